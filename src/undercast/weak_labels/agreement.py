"""Agreement: how far two processors say the same of the same pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast.types import UInt8
from undercast.weak_labels.rules import CLEAR_SET, CLOUD_SET, IGNORE, OPEN, SHADOW_SET, THICK_SET, THIN_SET

SETS = OPEN + 1
"""Number of possible sets."""

CLASSES = {"clear": CLEAR_SET, "cloud": CLOUD_SET, "cloud_shadow": SHADOW_SET}
"""Classes that every processor can tell, as bits; they exclude each other."""
TASKS = {**CLASSES, "thick_cloud": THICK_SET, "thin_cloud": THIN_SET}
"""What agreement is told of, as bits."""


def count_pairs(one: UInt8, other: UInt8) -> NDArray[np.int64]:
    """Count pixels by the possible sets of two processors ``(16, 16)``; sums of such counts are counts again."""
    flat = one.astype(np.intp).ravel() * SETS + other.ravel()
    return np.bincount(flat, minlength=SETS * SETS).reshape(SETS, SETS)


def agreement(counts: NDArray[np.int64]) -> dict[str, Any]:
    """Say how far two processors agree.

    A pixel counts where both say something of it, and for a class where both say whether it is there.

    Args:
        counts: ``(16, 16)``, as ``count_pairs`` gives them.

    Returns:
        ``pixels`` that count, the share ``compatible`` of them whose sets have a class in common, ``kappa`` of clear,
        cloud and shadow, and for each class the pixels, each one's share, the share that is alike, and kappa; None
        where a figure is not defined.
    """
    values = np.arange(SETS)
    told = (values != IGNORE) & (values != OPEN)
    both = np.where(told[:, None] & told, counts, 0)
    compatible = int(both[(values[:, None] & values) != 0].sum())
    classes = _grouped(both, [_inside(bits) for bits in CLASSES.values()])
    return {
        "pixels": int(both.sum()),
        "compatible": _share(compatible, int(both.sum())),
        "kappa": _figure(float(cohen_kappa(classes))),
        "classes": {name: _task(both, bits) for name, bits in TASKS.items()},
    }


def cohen_kappa(matrix: NDArray[np.number[Any]]) -> NDArray[np.float64]:
    """Agreement of two raters beyond chance, Cohen 1960; NaN where chance alone would agree on every pixel.

    Args:
        matrix: Pixels by what one and the other says ``(..., n, n)``.
    """
    values = np.asarray(matrix, np.float64)
    total = values.sum(axis=(-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        chance = (values.sum(axis=-1) * values.sum(axis=-2)).sum(axis=-1) / total**2
        kappa = (np.trace(values, axis1=-2, axis2=-1) / total - chance) / (1.0 - chance)
    return np.asarray(kappa, np.float64)


def _inside(bits: int) -> NDArray[np.bool_]:
    """Tell which sets hold none but these classes, and one at least."""
    values = np.arange(SETS)
    return np.asarray((values != IGNORE) & (values & ~bits == 0), np.bool_)


def _grouped(counts: NDArray[np.int64], groups: list[NDArray[np.bool_]]) -> NDArray[np.int64]:
    chosen = np.array(groups, np.int64)
    return chosen @ counts @ chosen.T


def _task(both: NDArray[np.int64], bits: int) -> dict[str, Any]:
    matrix = _grouped(both, [_inside(bits), _inside(OPEN & ~bits)])
    pixels = int(matrix.sum())
    return {
        "pixels": pixels,
        "shares": [_share(int(matrix[0].sum()), pixels), _share(int(matrix[:, 0].sum()), pixels)],
        "alike": _share(int(np.trace(matrix)), pixels),
        "kappa": _figure(float(cohen_kappa(matrix))),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _figure(value: float) -> float | None:
    return round(value, 6) if np.isfinite(value) else None
