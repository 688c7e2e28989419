"""Radiometry: digital numbers to reflectance and back, and a guard against wrong declarations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from undercast.errors import RadiometryError
from undercast.types import Float32, ProductLevel

BRIGHTEST = 3.0
"""Reflectance that no natural surface or cloud exceeds at the 99th percentile, glint and low sun included."""
DARKEST = 0.004
"""Reflectance below which the 99th percentile of a day-time scene is implausible."""
MOST_NEGATIVE = -0.08
"""Median reflectance below which an offset has been applied twice, or to data that do not carry it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How stored digital numbers become reflectance: ``reflectance = dn * scale + offset``."""

    scale: float = 1.0
    """Reflectance per digital number."""
    offset: float = 0.0
    """Reflectance of digital number 0."""

    def to_reflectance(self, dn: NDArray[np.generic]) -> Float32:
        """Turn digital numbers into reflectance, unitless, as float32."""
        reflectance = dn.astype(np.float32)
        if self.scale != 1.0:
            reflectance *= np.float32(self.scale)
        if self.offset != 0.0:
            reflectance += np.float32(self.offset)
        return reflectance

    def to_dn(self, reflectance: NDArray[np.floating], dtype: str = "uint16") -> NDArray[np.generic]:
        """Turn finite reflectance into digital numbers, rounded and clipped to ``dtype``'s range."""
        info = np.iinfo(dtype)
        dn = np.round((np.asarray(reflectance, np.float64) - self.offset) / self.scale)
        return np.clip(dn, info.min, info.max).astype(dtype)


SENTINEL2_SCALING = Scaling(scale=1e-4, offset=0.0)
"""Sentinel-2 before processing baseline 04.00."""
SENTINEL2_SCALING_0400 = Scaling(scale=1e-4, offset=-0.1)
"""Sentinel-2 from processing baseline 04.00 on (RADIO_ADD_OFFSET -1000)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What a sample of a scene's pixels looks like, over all bands."""

    p1: float
    """1st percentile of reflectance."""
    p50: float
    """Median reflectance."""
    p99: float
    """99th percentile of reflectance."""


def observe(sample: Float32) -> Observed | None:
    """Summarise a sample of reflectance; NaN is left out; None where nothing is left."""
    values = sample[np.isfinite(sample)]
    if values.size == 0:
        return None
    p1, p50, p99 = np.percentile(values, (1, 50, 99))
    return Observed(p1=float(p1), p50=float(p50), p99=float(p99))


def guard(observed: Observed, *, name: str, level: ProductLevel | None) -> tuple[str, ...]:
    """Hold declared reflectance against what is observed.

    Args:
        observed: Percentiles of a sample.
        name: Scene, for the message.
        level: What the reflectance is declared to be, where it is declared.

    Returns:
        Warnings, each one line.

    Raises:
        RadiometryError: If the values cannot be reflectance.
    """
    seen = f"1st, 50th and 99th percentiles {observed.p1:.4g}, {observed.p50:.4g}, {observed.p99:.4g}"
    if observed.p99 > BRIGHTEST:
        scale = "0.0001" if observed.p99 > 255 else "0.00392157 (1/255) or the product's own"
        msg = (
            f"{name}: expected reflectance of about 0 to 1, got {seen}: these look like digital numbers."
            f" Say how to scale them, e.g. --scale {scale}"
            " (Sentinel-2 baseline 04.00 and later: --scale 0.0001 --offset -0.1)."
        )
        raise RadiometryError(msg)
    if observed.p50 < MOST_NEGATIVE:
        msg = (
            f"{name}: expected reflectance of about 0 to 1, got {seen}: the offset seems to be applied twice,"
            " or to data that do not carry it. Try --scale 0.0001 --offset 0."
        )
        raise RadiometryError(msg)
    warnings = []
    if observed.p99 < DARKEST:
        warnings.append(f"{name}: very dark for reflectance ({seen}); is the scale right, is it a night scene?")
    if level == "toa" and observed.p1 < -0.02:
        warnings.append(f"{name}: negative values for top-of-atmosphere reflectance ({seen}); is the offset right?")
    return tuple(warnings)
