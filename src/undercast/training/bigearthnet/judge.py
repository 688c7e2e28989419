"""Judge: figures of a classifier on patches that it has not seen, with intervals, beside the labels' frequencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast.evaluation.intervals import IntervalOptions, interval, resamples
from undercast.training.bigearthnet.metrics import scored_labels, scores, scores_by_label
from undercast.training.bigearthnet.resampled import Values, resampled_scores

Logits = NDArray[np.float32]
"""``(patch, label)``."""

MARGINS = ("AP_macro", "AP_micro")
"""Figures whose difference from the baseline's is given."""
RAREST = 1e-4
"""Frequency that the baseline takes for labels that no training patch has."""
NO_LABEL = "no patch that is judged has the label, or all have it"
"""Why a figure may be undefined."""


def judge(
    logits: Logits, truth: NDArray[np.bool_], labels: Sequence[str], baseline: Logits, options: IntervalOptions
) -> dict[str, Any]:
    """Judge a classifier.

    Args:
        logits: What it gives, ``(patch, label)``.
        truth: Whether a patch has a label, ``(patch, label)``.
        labels: Names of the labels, in this order.
        baseline: What the baseline gives.
        options: How intervals are made; patches are drawn with replacement.

    Returns:
        ``scores``, ``undefined``, ``scored_labels``, ``per_label`` and ``baseline`` of the evaluation record.
    """
    counts = resamples(len(truth), options)
    own, others = (resampled_scores(one, truth, counts) for one in (logits, baseline))
    values, other_values = scores(logits, truth), scores(baseline, truth)
    margins = {}
    for name in MARGINS:
        value, other = values[name], other_values[name]
        difference = None if value is None or other is None else value - other
        margins[name] = _figure(difference, own[name] - others[name], len(truth), options)
    support = truth.sum(axis=0)
    by_label = scores_by_label(logits, truth)
    return {
        "scores": _figures(values, own, len(truth), options),
        "undefined": {name: NO_LABEL for name, value in values.items() if value is None},
        "scored_labels": [labels[number] for number in scored_labels(truth)],
        "per_label": {
            label: {"support": int(count), **row} for label, count, row in zip(labels, support, by_label, strict=True)
        },
        "baseline": {
            "name": "the frequency of each label among the training patches, the same for every patch",
            "scores": _figures(other_values, others, len(truth), options),
            "margins": margins,
        },
    }


def frequency_baseline(trained: NDArray[np.bool_], patches: int) -> Logits:
    """Give the logits of the labels' frequencies, the same for every patch.

    Args:
        trained: Labels of the training patches, ``(patch, label)``.
        patches: Patches that are judged.

    Returns:
        ``(patch, label)``.
    """
    shares = np.clip(trained.mean(axis=0), RAREST, 1.0 - RAREST)
    return np.tile(np.log(shares / (1.0 - shares)).astype(np.float32), (patches, 1))


def _figures(
    values: Mapping[str, float | None], resampled: Mapping[str, Values], patches: int, options: IntervalOptions
) -> dict[str, dict[str, float | None]]:
    return {name: _figure(value, resampled[name], patches, options) for name, value in values.items()}


def _figure(value: float | None, resampled: Values, patches: int, options: IntervalOptions) -> dict[str, float | None]:
    ends = None if value is None else interval(resampled, patches, options)
    low, high = (None, None) if ends is None else ends
    return {"value": _rounded(value), "low": _rounded(low), "high": _rounded(high)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
