"""Combining: one set of labels from those of several processors."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from undercast.classes import CLASS_NAMES
from undercast.errors import GridError, LabelError
from undercast.types import UInt8
from undercast.weak_labels.agreement import SETS, agreement, count_pairs
from undercast.weak_labels.label_files import (
    LabelFile,
    LabelTarget,
    check_target,
    file_sha256,
    refuse_existing,
    strips,
    write_labels,
)
from undercast.weak_labels.rules import IGNORE, OPEN

Rule = Literal["intersect", "majority"]
"""How contradictions are settled: not at all (the pixel is ignored), or by more than half of those who speak."""
RULES: tuple[Rule, ...] = get_args(Rule)


def consensus(sets: Sequence[UInt8], rule: Rule = "intersect") -> UInt8:
    """Combine the possible sets of several processors.

    Args:
        sets: One array per processor, all of one shape.
        rule: ``intersect``: what all of them hold possible; a pixel that one ignores, or of which they contradict each
            other, is ignored. ``majority``: what more than half of those who say something hold possible; where there
            is no such class the pixel is ignored.

    Returns:
        The same shape. With ``intersect`` no set holds a class that any of the given ones rules out.

    Raises:
        LabelError: If there are no sets, or their shapes differ.
    """
    if not sets or any(each.shape != sets[0].shape for each in sets):
        came = ", ".join(str(each.shape) for each in sets) or "none"
        msg = f"expected labels of one shape, got {came}."
        raise LabelError(msg)
    together: UInt8 = np.bitwise_and.reduce(list(sets))
    if rule == "intersect":
        return together
    speaking = [(each != IGNORE) & (each != OPEN) for each in sets]
    half = np.sum(speaking, axis=0) / 2
    out = np.zeros(together.shape, np.uint8)
    for bit in range(len(CLASS_NAMES)):
        votes = np.sum([speaks & (each >> bit & 1 > 0) for each, speaks in zip(sets, speaking, strict=True)], axis=0)
        out[votes > half] |= 1 << bit
    return np.where(half > 0, out, together)


def consensus_files(
    sources: Sequence[LabelFile],
    target: Path,
    rule: Rule = "intersect",
    *,
    software: str = "undercast",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Combine label files on the grid of the first one, strip by strip, and say how far they agree.

    Args:
        sources: Two or more; those on other grids are brought to that of the first, by the nearest pixel.
        target: GeoTIFF to write; a ``.json`` beside it holds the agreement of each pair.
        rule: How contradictions are settled.
        software: Name and version of what writes it, for the records.
        overwrite: Whether files that exist are replaced.

    Returns:
        What the JSON file says.

    Raises:
        LabelError: If there are fewer than two.
        UsageError: If the target is no GeoTIFF, or one of the sources.
        GridError: If the grids do not fit, or nothing of two of them lies on the same ground.
        UndercastError: As ``LabelFile.read`` and ``write_labels`` do.
    """
    if len(sources) < 2:
        msg = f"expected labels of two processors or more, got {len(sources)}."
        raise LabelError(msg)
    check_target(target, [source.path for source in sources])
    grid = sources[0].grid
    made_by = f"consensus ({rule}: {', '.join(source.made_by for source in sources)})"
    labels = LabelTarget(path=target, grid=grid, made_by=made_by, software=software, overwrite=overwrite)
    refuse_existing(labels)
    pairs = list(itertools.combinations(range(len(sources)), 2))
    counts = {pair: np.zeros((SETS, SETS), np.int64) for pair in pairs}

    def combined() -> Any:
        for window, _ in strips(grid):
            read = [source.read(window, grid) for source in sources]
            for one, other in pairs:
                counts[one, other] += count_pairs(read[one], read[other])
            yield consensus(read, rule)

    def about() -> dict[str, Any]:
        _refuse_apart(counts, sources)
        return {
            "rule": rule,
            "sources": [
                {"source": str(source.path), "sha256": file_sha256(source.path), "made_by": source.made_by}
                for source in sources
            ],
            "agreement": [
                {"between": [sources[one].made_by, sources[other].made_by], **agreement(counts[one, other])}
                for one, other in pairs
            ],
        }

    return write_labels(labels, combined(), about)


def _refuse_apart(counts: dict[tuple[int, int], Any], sources: Sequence[LabelFile]) -> None:
    """Refuse labels of which nothing lies on the same ground."""
    for (one, other), table in counts.items():
        if not table[1:, 1:].any():
            names = f"{sources[one].path} and {sources[other].path}"
            msg = f"expected labels of the same ground, got none in common in {names}."
            raise GridError(msg)
