"""Tally: counts of classes and of valid pixels, gathered strip by strip."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from undercast.classes import CLASS_NAMES, percent_from_counts
from undercast.prediction import Strip
from undercast.types import NODATA


@dataclass(slots=True, kw_only=True, eq=False)
class Tally:
    """Counts over the strips seen so far."""

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(NODATA + 1, np.int64))
    """Pixels per stored value of the default scheme."""
    partly_valid: int = 0
    """Pixels that some but not all of the bands cover."""

    def add(self, strip: Strip) -> None:
        """Count a strip."""
        for value in (*range(len(CLASS_NAMES)), NODATA):  # several times faster than np.bincount
            self.counts[value] += np.count_nonzero(strip.class_map == value)
        self.partly_valid += strip.partly_valid

    @property
    def valid(self) -> int:
        """Number of valid pixels."""
        return int(self.counts[: len(CLASS_NAMES)].sum())

    @property
    def percent(self) -> dict[str, float]:
        """Percentage of each class among the valid pixels; all 0 where none is valid."""
        return percent_from_counts(self.counts)

    @property
    def valid_percent(self) -> float:
        """Percentage of valid pixels."""
        total = int(self.counts.sum())
        return 100.0 * self.valid / total if total else 0.0

    @property
    def cloud_percent(self) -> float:
        """Percentage of cloud of either kind among the valid pixels."""
        percent = self.percent
        return percent["thick_cloud"] + percent["thin_cloud"]
