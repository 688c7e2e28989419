"""Distributions: histograms of reflectance that add up, and two measures of how far one lies from another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from undercast.types import Float32

Counts = NDArray[np.int64]
Shares = NDArray[np.float64]

LOW, HIGH = -0.1, 1.5
"""Reflectance at the ends of a histogram; what lies outside counts in the first or last bin."""
BINS = 320
"""Bins of a histogram, each 0.005 wide."""
WIDTH = (HIGH - LOW) / BINS
"""Width of a bin, in reflectance."""
GROUPS = 10
"""Groups of the population stability index: tenths of the reference."""
SMALLEST_SHARE = 1e-4
"""What an empty group counts as, so that its logarithm is finite."""


def histogram(reflectance: Float32) -> Counts:
    """Count reflectance by bins; NaN does not count.

    Returns:
        Counts ``(BINS,)``.
    """
    values = reflectance[np.isfinite(reflectance)]
    counts, _ = np.histogram(np.clip(values, LOW, HIGH), bins=BINS, range=(LOW, HIGH))
    return counts.astype(np.int64)


def population_stability_index(reference: Counts, other: Counts) -> float | None:
    """Give ``sum((q - p) * ln(q / p))`` over tenths of the reference, p and q the shares of both in them.

    It is the symmetric divergence of Kullback and Leibler (1951, Annals of Mathematical Statistics 22:79), known as
    population stability index from credit scoring, where below 0.1 counts as stable and above 0.25 as another
    population (Siddiqi 2006, Credit Risk Scorecards); these are rules of thumb, not tests.

    Args:
        reference: Counts ``(BINS,)``; the tenths are made of whole bins.
        other: Counts ``(BINS,)``.

    Returns:
        0 or more, 0 for equal shares; None where one of them is empty.
    """
    if not reference.sum() or not other.sum():
        return None
    groups = _tenths(reference)
    p, q = (np.bincount(groups, weights=_shares(counts), minlength=GROUPS) for counts in (reference, other))
    p, q = (np.maximum(shares, SMALLEST_SHARE) for shares in (p, q))
    return float(np.sum((q - p) * np.log(q / p)))


def wasserstein_distance(reference: Counts, other: Counts) -> float | None:
    """Give the area between two distribution functions: by how much reflectance moved, on average.

    In one dimension it is the Wasserstein distance of order 1, the mean distance between quantiles of equal rank
    (Vallender 1974, Theory of Probability and Its Applications 18:784). Values inside a bin count as one.

    Returns:
        Reflectance, 0 or more; None where one of them is empty.
    """
    if not reference.sum() or not other.sum():
        return None
    apart = np.abs(np.cumsum(_shares(reference)) - np.cumsum(_shares(other)))
    return float(apart.sum() * WIDTH)


def _shares(counts: Counts) -> Shares:
    shares: Shares = counts / counts.sum()
    return shares


def _tenths(reference: Counts) -> NDArray[np.intp]:
    """Sort bins into groups by the share of the reference below their middle."""
    shares = _shares(reference)
    below = np.cumsum(shares) - shares / 2
    return np.minimum((below * GROUPS).astype(np.intp), GROUPS - 1)
