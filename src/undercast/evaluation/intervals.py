"""Intervals: bootstrap over scenes, because pixels of one scene are not independent of each other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast.errors import UsageError

FEW_SCENES = 5
"""Below this many scenes an interval says little; reports warn."""

LEAST_DEFINED = 0.5
"""Share of replicates in which a figure must be defined to have an interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalOptions:
    """How intervals are made."""

    level: float = 0.95
    """Share of intervals that are to hold the truth, in (0, 1)."""
    replicates: int = 1000
    """Resamples."""
    seed: int = 0
    """Seed of the random numbers; the same seed gives the same interval."""

    def __post_init__(self) -> None:
        """Refuse impossible options."""
        if not 0.0 < self.level < 1.0:
            msg = f"level must lie in (0, 1), got {self.level:g}. Try 0.95."
            raise UsageError(msg)
        if self.replicates < 1:
            msg = f"replicates must be 1 or more, got {self.replicates}. Try 1000."
            raise UsageError(msg)

    def to_dict(self) -> dict[str, Any]:
        """Give the options as a report holds them."""
        return {"level": self.level, "replicates": self.replicates, "seed": self.seed, "unit": "scene"}


def resamples(scenes: int, options: IntervalOptions) -> NDArray[np.float64]:
    """Draw scenes with replacement.

    Returns:
        How often each scene is in each replicate, ``(replicate, scene)``.
    """
    rng = np.random.default_rng(options.seed)
    return rng.multinomial(scenes, np.full(scenes, 1.0 / scenes), size=options.replicates).astype(np.float64)


def interval(values: NDArray[np.float64], scenes: int, options: IntervalOptions) -> tuple[float, float] | None:
    """Give the interval of a figure from its replicates: the expanded percentile interval.

    The plain percentile interval is too narrow with few scenes: it lacks the factor sqrt(n / (n - 1)) and takes normal
    for Student's quantiles. Widening the percentiles by both mends that (Hesterberg 2015, The American Statistician
    69:371, section 5.3). In simulations with skewed scenes, a level of 0.95 covers the truth in 0.93 to 0.94 of cases
    from 12 scenes on, and in 0.89 with 5 (plain: 0.91 and 0.81).

    Args:
        values: The figure in each replicate; NaN where it is undefined.
        scenes: Scenes that bear on the figure.
        options: How.

    Returns:
        Lower and upper end; None with fewer than two scenes, or where most replicates leave the figure undefined.
    """
    defined = values[np.isfinite(values)]
    if scenes < 2 or defined.size < LEAST_DEFINED * values.size:
        return None
    tail = expanded_tail(scenes, options.level)
    low, high = np.quantile(defined, (tail, 1.0 - tail))
    return float(low), float(high)


@cache
def expanded_tail(scenes: int, level: float) -> float:
    """Give the share of replicates below the lower end of an interval: (1 - level) / 2 made smaller for few scenes."""
    quantile = student_quantile((1.0 + level) / 2.0, scenes - 1)
    return NormalDist().cdf(-math.sqrt(scenes / (scenes - 1)) * quantile)


def student_quantile(probability: float, freedom: int) -> float:
    """Give the quantile of Student's t for a probability in [0.5, 1) and whole degrees of freedom."""
    low, high = 0.0, 1.0
    while student_cdf(high, freedom) < probability:
        high *= 2.0
    for _ in range(80):
        middle = (low + high) / 2.0
        low, high = (middle, high) if student_cdf(middle, freedom) < probability else (low, middle)
    return (low + high) / 2.0


def student_cdf(value: float, freedom: int) -> float:
    """Give the distribution function of Student's t at a value of 0 or more (Abramowitz and Stegun 26.7.3, 26.7.4)."""
    angle = math.atan(value / math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    for step in range(odd + 1, freedom, 2):
        total += term
        term *= cosine * cosine * step / (step + 1)
    central = 2.0 / math.pi * (angle + sine * total) if odd else sine * total
    return 0.5 + central / 2.0
