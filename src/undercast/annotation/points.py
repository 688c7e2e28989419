"""Points: what a person says about single pixels, in the classes of ALCD."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from undercast.classes import CLEAR, CLOUD_SHADOW, THICK_CLOUD, THIN_CLOUD, SceneClass, load_scheme
from undercast.errors import LabelError
from undercast.types import NODATA, UInt8

LABELS: tuple[SceneClass, ...] = load_scheme("alcd").classes
"""Classes that a person can choose, with ALCD's codes and colours."""
NO_LABEL = 0
"""Code of a pixel without label."""
FEWEST = 3
"""Points that a class needs, as in ALCD."""

_WRITTEN = {2: THICK_CLOUD, 3: THIN_CLOUD, 4: CLOUD_SHADOW}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One pixel and what a person says it is."""

    row: int
    """Row on the working grid."""
    col: int
    """Column on the working grid."""
    label: int
    """Code of one of ``LABELS``."""
    round: int
    """Round in which it was set, from 1."""


def counts(points: Sequence[Point]) -> dict[str, int]:
    """Count the points of each class that has some."""
    found = Counter(point.label for point in points)
    return {entry.name: found[entry.value] for entry in LABELS if found[entry.value]}


def check_points(points: Sequence[Point]) -> None:
    """Refuse points that no forest can be trained on.

    Raises:
        LabelError: If fewer than two classes have points, or one of them has fewer than ``FEWEST``.
    """
    found = counts(points)
    few = [f"{name} has {number}" for name, number in found.items() if number < FEWEST]
    if few:
        msg = (
            f"expected at least {FEWEST} points of every class that is used, but {', '.join(few)}."
            " Add points of it, or remove those that it has."
        )
        raise LabelError(msg)
    if len(found) < 2:
        got = ", ".join(found) or "none"
        msg = f"expected points of at least two classes, got {got}. Click pixels of another class."
        raise LabelError(msg)


def written_classes(labels: UInt8) -> UInt8:
    """Turn labels into undercast's classes.

    Low clouds are written as thick cloud and high clouds as thin cloud, and the page says so to the person; land,
    water, snow and background are clear.

    Args:
        labels: Codes of ``LABELS``, 0 without label; any shape.

    Returns:
        0 to 3, and 255 where there is no label; the same shape.
    """
    table = np.full(256, NODATA, np.uint8)
    for entry in LABELS:
        table[entry.value] = _WRITTEN.get(entry.value, CLEAR)
    return table[labels]
