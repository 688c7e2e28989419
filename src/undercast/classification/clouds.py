"""Clouds first: which share of each window lies under cloud or shadow, by undercast's own mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from undercast.classes import CLOUD_SHADOW, THICK_CLOUD, THIN_CLOUD
from undercast.classification.windows import Lattice
from undercast.prediction import ModelIdentity, PredictionStream, Strip
from undercast.types import NODATA, Bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CloudShares:
    """Shares of each window, ``(row, column)`` of the lattice."""

    valid: NDArray[np.float64]
    """Share of pixels with data, in [0, 1]."""
    cloud: NDArray[np.float64]
    """Share of thick and thin cloud among the pixels with data, in [0, 1]; 0 where none has data."""
    shadow: NDArray[np.float64]
    """Share of cloud shadow among the pixels with data, in [0, 1]; 0 where none has data."""
    model: ModelIdentity
    """Which model made the mask."""


def cloud_shares(prediction: PredictionStream, lattice: Lattice) -> CloudShares:
    """Count cloud and shadow in each window while a scene is masked; no class map is kept.

    Args:
        prediction: On the scene's grid; its strips are used up.
        lattice: Windows inside that grid.
    """
    counts = np.zeros((3, *lattice.shape), np.int64)
    for strip in prediction.strips:
        for kind, there in enumerate(_kinds(strip)):
            counts[kind] += _count(there, strip.row, lattice)
    valid, cloud, shadow = counts
    known = np.maximum(valid, 1)
    return CloudShares(
        valid=valid / (lattice.height * lattice.width),
        cloud=cloud / known,
        shadow=shadow / known,
        model=prediction.header.model,
    )


def _kinds(strip: Strip) -> tuple[Bool, Bool, Bool]:
    """Tell where a strip has data, cloud and shadow."""
    classes = strip.class_map
    return classes != NODATA, (classes == THICK_CLOUD) | (classes == THIN_CLOUD), classes == CLOUD_SHADOW


def _count(there: Bool, first: int, lattice: Lattice) -> NDArray[np.int64]:
    """Count pixels of some rows in each window, by sums over all pixels above and to the left."""
    sums = np.zeros((there.shape[0] + 1, there.shape[1] + 1), np.int64)
    sums[1:, 1:] = there.cumsum(axis=0, dtype=np.int64).cumsum(axis=1)
    tops = np.clip(np.array(lattice.row_starts) - first, 0, len(there))
    ends = np.clip(np.array(lattice.row_starts) + lattice.height - first, 0, len(there))
    lefts = np.array(lattice.col_starts)
    rights = lefts + lattice.width
    rows: NDArray[np.int64] = sums[ends] - sums[tops]
    return rows[:, rights] - rows[:, lefts]
