"""Metrics: confusion counts with possible sets, and every figure that follows from sums of them.

All figures take arrays with any leading axes, so that a thousand replicates are computed at once, and give NaN where
they are undefined: a value is never 0 or 1 because nothing could be measured.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from undercast.classes import CLASS_NAMES, CLEAR, CLOUD_SHADOW, THICK_CLOUD, THIN_CLOUD
from undercast.types import Bool, UInt8

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

SETS = 1 << len(CLASS_NAMES)
"""Number of possible sets; set 0 is: ignore."""
NO_PREDICTION = len(CLASS_NAMES)
"""Column of a confusion for pixels that have a label and no prediction."""
BINS = 256
"""Bins of a histogram of probability or uncertainty over [0, 1]."""
CALIBRATION_BINS = 16
"""Bins over [0, 1] of the reliability curve and of the expected calibration error that a report gives."""

_CLOUD_CLASSES = (THICK_CLOUD, THIN_CLOUD)
TASK_CLASSES: dict[str, tuple[int, ...]] = {
    "cloud": _CLOUD_CLASSES,
    "thick": (THICK_CLOUD,),
    "thin": (THIN_CLOUD,),
    "shadow": (CLOUD_SHADOW,),
    "clear": (CLEAR,),
}
"""Task -> values of the classes that are positive; the rest is negative."""
MERGED: tuple[tuple[int, ...], ...] = ((CLEAR,), _CLOUD_CLASSES, (CLOUD_SHADOW,))
"""The three merged classes: clear, cloud, shadow."""

TP, FP, FN, TN = range(4)
"""Positions in a tally."""


def _bits(values: tuple[int, ...]) -> int:
    return sum(1 << value for value in values)


# ------------------------------------------------------------------------------------------------------ from pixels


def confusion(possible: UInt8, class_map: UInt8) -> Counts:
    """Count pixels by possible set and predicted class.

    Args:
        possible: Possible sets, 0 to 15; any shape.
        class_map: 0 to 3; anything else is no prediction; the same shape.

    Returns:
        ``(16, 5)``: rows are sets, row 0 (ignore) holds nothing; columns are the classes, then no prediction.
    """
    predicted = np.minimum(class_map, NO_PREDICTION).astype(np.intp)
    flat = possible.astype(np.intp) * (NO_PREDICTION + 1) + predicted
    counts = np.bincount(flat.ravel(), minlength=SETS * (NO_PREDICTION + 1)).astype(np.int64)
    counts = counts.reshape(SETS, NO_PREDICTION + 1)
    counts[0] = 0
    return counts


def settled(possible: UInt8, task: str) -> tuple[Bool, Bool]:
    """Tell where the reference is surely positive on a task, and where surely negative."""
    bits = np.uint8(_bits(TASK_CLASSES[task]))
    labelled = possible > 0
    return labelled & ((possible & ~bits) == 0), labelled & ((possible & bits) == 0)


def histogram(positive: Bool, value: NDArray[np.floating]) -> Counts:
    """Count pixels by truth and bin of a value in [0, 1].

    Returns:
        ``(2, 256)``: not positive, positive.
    """
    index = np.clip((value.astype(np.float64) * BINS).astype(np.intp), 0, BINS - 1)
    flat = index + BINS * positive.astype(np.intp)
    return np.bincount(flat.ravel(), minlength=2 * BINS).astype(np.int64).reshape(2, BINS)


def is_right(possible: UInt8, class_map: UInt8) -> Bool:
    """Tell where the prediction, merged to clear, cloud and shadow, is possible as far as the reference tells."""
    table = np.zeros(256, np.uint8)
    for values in MERGED:
        for value in values:
            table[value] = _bits(values)
    return (table[class_map] & possible) > 0


# ------------------------------------------------------------------------------------------------------ from counts


def scores_task(counts: Counts, task: str) -> bool:
    """Tell whether the reference of one scene can be scored on a task.

    A reference that knows no shadow (clear may be shadow) could still count false shadows on its clouds, and never a
    true one. So a scene counts only if, of the pixels that belong to the classes that the reference mixes up with the
    task's, at least half are settled.

    Args:
        counts: ``(16, 5)`` of one scene.
        task: One of ``TASK_CLASSES``.
    """
    pixels = counts.sum(axis=1)
    bits = _bits(TASK_CLASSES[task])
    mixed = [s for s in range(1, SETS) if pixels[s] and s & bits and s & ~bits]
    unsettled = sum(int(pixels[s]) for s in mixed)
    if not unsettled:
        return True
    concerned = 0
    for s in mixed:
        concerned |= s
    sure = sum(int(pixels[s]) for s in range(1, SETS) if s not in mixed and not s & ~concerned)
    return sure >= unsettled


def task_tally(counts: Counts, task: str) -> Counts:
    """Count true and false positives and negatives of a task.

    A pixel is counted if its set tells: inside the task's classes, or without any of them.

    Args:
        counts: ``(..., 16, 5)``.
        task: One of ``TASK_CLASSES``.

    Returns:
        ``(..., 4)``: true positives, false positives, false negatives, true negatives.
    """
    bits = _bits(TASK_CLASSES[task])
    positive = np.array([s > 0 and not s & ~bits for s in range(SETS)])
    negative = np.array([s > 0 and not s & bits for s in range(SETS)])
    called = np.array([value in TASK_CLASSES[task] for value in range(NO_PREDICTION)])
    predicted = counts[..., :NO_PREDICTION]
    yes, no = predicted[..., called].sum(axis=-1), predicted[..., ~called].sum(axis=-1)
    return np.stack(
        [
            yes[..., positive].sum(axis=-1),
            yes[..., negative].sum(axis=-1),
            no[..., positive].sum(axis=-1),
            no[..., negative].sum(axis=-1),
        ],
        axis=-1,
    )


def merged_confusion(counts: Counts) -> Counts:
    """Merge to clear, cloud and shadow; sets that lie in none of the three are left out.

    Args:
        counts: ``(..., 16, 5)``.

    Returns:
        ``(..., 3, 3)``: rows are the reference.
    """
    rows = []
    for truth in MERGED:
        inside = np.array([s > 0 and not s & ~_bits(truth) for s in range(SETS)])
        of_truth = counts[..., inside, :].sum(axis=-2)
        rows.append(np.stack([of_truth[..., list(called)].sum(axis=-1) for called in MERGED], axis=-1))
    return np.stack(rows, axis=-2)


# ------------------------------------------------------------------------------------------------- figures of a tally


def _ratio(part: NDArray[np.number], whole: NDArray[np.number]) -> Floats:
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    out = np.full(np.broadcast(part, whole).shape, np.nan)
    np.divide(part, whole, out=out, where=whole != 0.0)
    return out


def precision(tally: NDArray[np.number]) -> Floats:
    """Share of the pixels called positive that are (user's accuracy); NaN where none is called so."""
    return _ratio(tally[..., TP], tally[..., TP] + tally[..., FP])


def recall(tally: NDArray[np.number]) -> Floats:
    """Share of the positive pixels that are called so (producer's accuracy); NaN where there is none."""
    return _ratio(tally[..., TP], tally[..., TP] + tally[..., FN])


def f_beta(tally: NDArray[np.number], beta: float = 1.0) -> Floats:
    """Weighted harmonic mean of precision and recall; NaN where no pixel is or is called positive.

    (1 + b^2) TP / ((1 + b^2) TP + b^2 FN + FP), van Rijsbergen 1979, chapter 7.
    """
    weight = beta * beta
    hits = (1.0 + weight) * tally[..., TP]
    return _ratio(hits, hits + weight * tally[..., FN] + tally[..., FP])


def iou(tally: NDArray[np.number]) -> Floats:
    """Intersection over union (Jaccard); NaN where no pixel is or is called positive."""
    return _ratio(tally[..., TP], tally[..., TP] + tally[..., FP] + tally[..., FN])


def balanced_accuracy(tally: NDArray[np.number]) -> Floats:
    """Mean of recall and specificity; NaN where there is no positive or no negative pixel."""
    specificity = _ratio(tally[..., TN], tally[..., TN] + tally[..., FP])
    return (recall(tally) + specificity) / 2.0


# ---------------------------------------------------------------------------------------------- figures of a matrix


def overall_accuracy(matrix: NDArray[np.number]) -> Floats:
    """Share of the pixels on the diagonal of ``(..., n, n)``; NaN where there is no pixel."""
    return _ratio(np.trace(matrix, axis1=-2, axis2=-1), matrix.sum(axis=(-2, -1)))


def mean_recall(matrix: NDArray[np.number]) -> Floats:
    """Mean recall of the classes that occur in ``(..., n, n)`` (balanced accuracy); NaN where fewer than two do."""
    diagonal = np.diagonal(matrix, axis1=-2, axis2=-1)
    recalls = _ratio(diagonal, matrix.sum(axis=-1))
    occur = np.isfinite(recalls).sum(axis=-1)
    total = np.nansum(recalls, axis=-1)
    return np.where(occur > 1, _ratio(total, occur), np.nan)


def micro_iou(matrix: NDArray[np.number]) -> Floats:
    """Sum of the classes' intersections over the sum of their unions; NaN where there is no pixel."""
    hits = np.trace(matrix, axis1=-2, axis2=-1)
    return _ratio(hits, 2 * matrix.sum(axis=(-2, -1)) - hits)


# ------------------------------------------------------------------------------------------- figures of probabilities


def average_precision(positive: Bool, score: NDArray[np.floating]) -> float:
    """Mean precision over the recall that each threshold adds, exact; NaN where no pixel is positive.

    Args:
        positive: Truth, ``(n,)``.
        score: Higher is more probably positive, ``(n,)``; equal scores are one threshold.
    """
    if not positive.any():
        return float("nan")
    order = np.argsort(score, kind="stable")[::-1]
    truth, sorted_score = positive[order], score[order]
    last = np.append(np.flatnonzero(np.diff(sorted_score)), truth.size - 1)
    hits = np.cumsum(truth)[last]
    gained = np.diff(hits, prepend=0) / hits[-1]
    return float((gained * hits / (last + 1)).sum())


def average_precision_of_histogram(counts: NDArray[np.number]) -> Floats:
    """Average precision where the 256 bins are the thresholds.

    Args:
        counts: ``(..., 2, 256)``: negative, positive.
    """
    falling = np.asarray(counts, np.float64)[..., ::-1]
    hits = np.cumsum(falling[..., 1, :], axis=-1)
    called = hits + np.cumsum(falling[..., 0, :], axis=-1)
    steps = _ratio(hits, called) * falling[..., 1, :]
    return _ratio(np.nansum(steps, axis=-1), hits[..., -1])


def auroc_of_histogram(counts: NDArray[np.number]) -> Floats:
    """Area under the receiver operating curve where the 256 bins are the thresholds; ties count half.

    It is the chance that a positive pixel has a higher value than a negative one. NaN where either is missing.

    Args:
        counts: ``(..., 2, 256)``: negative, positive.
    """
    values = np.asarray(counts, np.float64)
    negative, positive = values[..., 0, :], values[..., 1, :]
    below = np.cumsum(negative, axis=-1) - negative / 2.0
    return _ratio((positive * below).sum(axis=-1), positive.sum(axis=-1) * negative.sum(axis=-1))


def expected_calibration_error(positive: Bool, probability: NDArray[np.floating], bins: int = 15) -> float:
    """Mean distance of frequency and mean probability over bins of equal width, by their pixels; NaN without pixels.

    Naeini et al. 2015, AAAI; a probability on an edge belongs to the bin above.
    """
    if not positive.size:
        return float("nan")
    index = np.clip((probability * bins).astype(np.intp), 0, bins - 1)
    gap = np.bincount(index, weights=positive - probability.astype(np.float64), minlength=bins)
    return float(np.abs(gap).sum() / positive.size)


def calibration_error_of_histogram(counts: NDArray[np.number]) -> Floats:
    """Expected calibration error over 16 bins; a pixel's probability is taken as the centre of its 256th.

    Args:
        counts: ``(..., 2, 256)``: negative, positive.
    """
    negative, positive, probability = _coarse(counts)
    pixels = negative + positive
    gap = np.abs(positive - probability)
    return _ratio(gap.sum(axis=-1), pixels.sum(axis=-1))


def reliability(counts: NDArray[np.number]) -> list[dict[str, float | int]]:
    """Give the reliability curve of ``(2, 256)``: bins with pixels, their mean probability and frequency."""
    negative, positive, probability = _coarse(counts)
    pixels = negative + positive
    return [
        {
            "low": index / CALIBRATION_BINS,
            "high": (index + 1) / CALIBRATION_BINS,
            "mean_probability": float(probability[index] / pixels[index]),
            "frequency": float(positive[index] / pixels[index]),
            "pixels": int(pixels[index]),
        }
        for index in range(CALIBRATION_BINS)
        if pixels[index]
    ]


def _coarse(counts: NDArray[np.number]) -> tuple[Floats, Floats, Floats]:
    """Sum negative pixels, positive pixels and probabilities over the bins of calibration."""
    values = np.asarray(counts, np.float64)
    centres = (np.arange(BINS) + 0.5) / BINS
    shape = (*values.shape[:-2], CALIBRATION_BINS, BINS // CALIBRATION_BINS)
    negative, positive = values[..., 0, :], values[..., 1, :]
    probability = (negative + positive) * centres
    return (
        negative.reshape(shape).sum(axis=-1),
        positive.reshape(shape).sum(axis=-1),
        probability.reshape(shape).sum(axis=-1),
    )


# --------------------------------------------------------------------------------------------------------- abstention


def error_when_kept(counts: NDArray[np.number], kept: float) -> Floats:
    """Give the share of wrong pixels when the most uncertain are dropped; within a bin in proportion.

    Args:
        counts: ``(..., 2, 256)``: right, wrong, by bin of uncertainty.
        kept: Fraction of pixels that is kept, in (0, 1].
    """
    values = np.asarray(counts, np.float64)
    pixels = values.sum(axis=-2)
    wanted = kept * pixels.sum(axis=-1, keepdims=True)
    before = np.cumsum(pixels, axis=-1) - pixels
    share = np.clip(np.nan_to_num(_ratio(wanted - before, pixels)), 0.0, 1.0)
    return _ratio((share * values[..., 1, :]).sum(axis=-1), wanted[..., 0])


def abstention_curve(counts: NDArray[np.number], steps: int = 20) -> list[dict[str, float]]:
    """Give the error against the fraction kept, from all pixels down to one step; empty without pixels."""
    fractions = [step / steps for step in range(steps, 0, -1)]
    if not np.asarray(counts).sum():
        return []
    return [{"kept": kept, "error": float(error_when_kept(counts, kept))} for kept in fractions]
