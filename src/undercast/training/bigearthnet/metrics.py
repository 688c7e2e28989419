"""Metrics: the figures of published classifiers, by torchmetrics, and the same of many resamples at once.

A label that no patch has, or that every patch has where a figure needs both, leaves figures undefined. torchmetrics
counts them as 0; here they are None, and averages over labels are over those that some patch has.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.functional import classification

THRESHOLD = 0.5
"""Probability from which a label is given."""

_RANKING: Mapping[str, Callable[..., Tensor]] = {
    "AP": classification.multilabel_average_precision,
    "AUROC": classification.multilabel_auroc,
}
_COUNTING: Mapping[str, Callable[..., Tensor]] = {
    "accuracy": classification.multilabel_accuracy,
    "F1": classification.multilabel_f1_score,
    "F2": partial(classification.multilabel_fbeta_score, beta=2.0),
    "precision": classification.multilabel_precision,
    "recall": classification.multilabel_recall,
    "specificity": classification.multilabel_specificity,
}
_FIGURES: Mapping[str, Callable[..., Tensor]] = {**_RANKING, **_COUNTING}
_NEEDS_WITH, _NEEDS_WITHOUT = {"AP", "AUROC", "F1", "F2", "recall"}, {"AUROC", "specificity"}


def scored_labels(truth: NDArray[np.bool_]) -> NDArray[np.intp]:
    """List the labels that some patch has and some has not, from ``(patch, label)``."""
    return np.flatnonzero(truth.any(axis=0) & ~truth.all(axis=0))


def scores(logits: NDArray[np.float32], truth: NDArray[np.bool_]) -> dict[str, float | None]:
    """Give all figures: ``AP_macro``, ``AP_micro``, ``F1_sample`` and so on.

    Args:
        logits: ``(patch, label)``, two labels or more.
        truth: Whether a patch has a label, ``(patch, label)``.

    Returns:
        Name -> figure; macro is over ``scored_labels``, micro over all; None where there are none.
    """
    chosen = scored_labels(truth)
    given, wanted = _tensors(logits, truth)
    mixed = bool(truth.any() and not truth.all())
    found: dict[str, float | None] = {}
    for name, figure in _FIGURES.items():
        by_label = _by_label(name, given, wanted)[chosen]
        found[f"{name}_macro"] = float(by_label.mean()) if chosen.size else None
        micro = figure(given, wanted, num_labels=truth.shape[1], average="micro", **_at(name)) if mixed else None
        found[f"{name}_micro"] = None if micro is None else float(micro)
    for name, figure in _COUNTING.items():
        options = {"average": "micro", "multidim_average": "samplewise", **_at(name)}
        of_patches = figure(given[..., None], wanted[..., None], num_labels=truth.shape[1], **options)
        found[f"{name}_sample"] = float(of_patches.mean())
    return found


def scores_by_label(logits: NDArray[np.float32], truth: NDArray[np.bool_]) -> list[dict[str, float | None]]:
    """Give the figures of each label.

    Returns:
        For each label: name -> figure, None where no patch has the label, or all have it and it matters.
    """
    with_it = truth.sum(axis=0)
    found: list[dict[str, float | None]] = [{} for _ in range(truth.shape[1])]
    for name in _FIGURES:
        for label, value in enumerate(_by_label(name, *_tensors(logits, truth))):
            none, every = with_it[label] == 0, with_it[label] == len(truth)
            undefined = (none and name in _NEEDS_WITH) or (every and name in _NEEDS_WITHOUT)
            found[label][name] = None if undefined else round(float(value), 6)
    return found


def average_precision_macro(logits: Tensor, labels: Tensor) -> float:
    """Give the average precision, averaged over the labels that some patch has and some has not; 0 without any."""
    truth = labels.detach().cpu().numpy() > THRESHOLD
    chosen = scored_labels(truth)
    by_label = _by_label("AP", *_tensors(logits.detach().cpu().numpy(), truth))[chosen]
    return float(by_label.mean()) if chosen.size else 0.0


def _by_label(name: str, given: Tensor, wanted: Tensor) -> NDArray[np.float64]:
    """Give a figure of each label; what torchmetrics warns of is told by the caller, as None."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No (positive|negative) samples")
        found = _FIGURES[name](given, wanted, num_labels=given.shape[1], average="none", **_at(name))
    return np.asarray(found.numpy(), np.float64)


def _tensors(logits: NDArray[np.float32], truth: NDArray[np.bool_]) -> tuple[Tensor, Tensor]:
    """Give probabilities, which torchmetrics cannot take for logits, and whole numbers."""
    return torch.sigmoid(torch.from_numpy(np.asarray(logits, np.float64))), torch.from_numpy(truth.astype(np.int64))


def _at(name: str) -> dict[str, Any]:
    return {} if name in _RANKING else {"threshold": THRESHOLD}
