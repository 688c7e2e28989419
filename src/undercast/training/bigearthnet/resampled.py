"""Resampled: figures of a classifier for many resamples of its patches at once, for intervals.

The same figures as ``metrics`` gives by torchmetrics, with a number of times that each patch counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from undercast.training.bigearthnet.metrics import THRESHOLD, scored_labels

Values = NDArray[np.float64]

MOST_NUMBERS = 20_000_000
"""Numbers of an array that are worked on at once, at most."""


def resampled_scores(logits: NDArray[np.float32], truth: NDArray[np.bool_], counts: Values) -> dict[str, Values]:
    """Give all figures for each resample.

    Args:
        logits: ``(patch, label)``.
        truth: Whether a patch has a label, ``(patch, label)``.
        counts: How often each patch is in each resample, ``(resample, patch)``.

    Returns:
        Name as ``metrics.scores`` has -> figure ``(resample,)``, NaN where it is undefined.
    """
    rows = max(1, MOST_NUMBERS // truth.size)
    parts = [_scores(logits, truth, counts[start : start + rows]) for start in range(0, len(counts), rows)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _scores(logits: NDArray[np.float32], truth: NDArray[np.bool_], counts: Values) -> dict[str, Values]:
    chosen = scored_labels(truth)
    found: dict[str, Values] = {}
    for name, one in (("AP", average_precision), ("AUROC", area_under_curve)):
        by_label = [_or_whole(one, logits[:, label], truth[:, label], counts) for label in chosen]
        found[f"{name}_macro"] = np.mean(by_label, axis=0) if by_label else np.full(len(counts), np.nan)
        every = np.repeat(counts, truth.shape[1], axis=1)
        found[f"{name}_micro"] = one(logits.ravel(), truth.ravel(), every)
    given = 1.0 / (1.0 + np.exp(-logits.astype(np.float64))) > THRESHOLD
    cells = _cells(given, truth)
    by_label_counts = np.einsum("rp,cpl->crl", counts, cells)
    for name, values in _rates(by_label_counts[..., chosen]):
        found[f"{name}_macro"] = values.mean(-1) if chosen.size else np.full(len(counts), np.nan)
    for name, values in _rates(by_label_counts.sum(-1)):
        found[f"{name}_micro"] = values
    for name, values in _rates(cells.sum(-1)):
        found[f"{name}_sample"] = counts @ values / counts.sum(1)
    return found


def average_precision(scored: NDArray[np.float32], truth: NDArray[np.bool_], counts: Values) -> Values:
    """Give the average precision, ``(resample,)``: precision at each score, weighted by the recall gained there."""
    order, last = _ranked(scored)
    hits = np.cumsum(counts[:, order] * truth[order], axis=1)[:, last]
    called = np.cumsum(counts[:, order], axis=1)[:, last]
    gained = np.diff(hits, axis=1, prepend=0.0)
    precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    return _divided((gained * precision).sum(1), hits[:, -1], otherwise=np.nan)


def area_under_curve(scored: NDArray[np.float32], truth: NDArray[np.bool_], counts: Values) -> Values:
    """Give the chance that a patch with the label scores higher than one without, ``(resample,)``; ties count half."""
    order, last = _ranked(scored)
    hits = np.cumsum(counts[:, order] * truth[order], axis=1)[:, last]
    misses = np.cumsum(counts[:, order] * ~truth[order], axis=1)[:, last]
    more, before = np.diff(misses, axis=1, prepend=0.0), np.diff(hits, axis=1, prepend=0.0)
    area = (more * (hits - before / 2.0)).sum(1)
    return _divided(area, hits[:, -1] * misses[:, -1], otherwise=np.nan)


def _ranked(scored: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Order from the highest score down, and where the last of each run of equal scores is."""
    order = np.argsort(-scored, kind="stable")
    ranked = scored[order]
    return order, np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), ranked.size - 1)


def _cells(given: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Values:
    """Give hits, false alarms, misses and right rejections, ``(4, patch, label)``."""
    cells = np.stack([given & truth, given & ~truth, ~given & truth, ~given & ~truth])
    return np.asarray(cells, np.float64)


def _rates(cells: Values) -> Iterator[tuple[str, Values]]:
    """Give the figures of counted cells ``(4, ...)``; 0 where they are undefined, as torchmetrics has it."""
    hits, alarms, misses, rejections = cells
    yield "accuracy", _divided(hits + rejections, cells.sum(0))
    for name, beta in (("F1", 1.0), ("F2", 4.0)):
        yield name, _divided((1.0 + beta) * hits, (1.0 + beta) * hits + beta * misses + alarms)
    yield "precision", _divided(hits, hits + alarms)
    yield "recall", _divided(hits, hits + misses)
    yield "specificity", _divided(rejections, rejections + alarms)


def _divided(part: Values, whole: Values, *, otherwise: float = 0.0) -> Values:
    quotient: Values = np.divide(part, whole, out=np.full(np.shape(whole), otherwise), where=whole > 0)
    return quotient


def _or_whole(
    one: Callable[..., Values], scored: NDArray[np.float32], truth: NDArray[np.bool_], counts: Values
) -> Values:
    """Give a label's figure; a resample that lacks the label takes the one of all patches.

    Left out, rare labels, which often score low, would be missing from the average of just these resamples.
    """
    values = one(scored, truth, counts)
    whole = one(scored, truth, np.ones((1, len(truth))))
    return np.where(np.isfinite(values), values, whole)
