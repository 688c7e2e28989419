"""What a sensor does to an image: blur, misregistration, noise, saturation and quantisation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from undercast.sensors import Optics, Sensor
from undercast.simulation.fields import blur, shift
from undercast.types import Bool, Float32

EARLY_CHANCE, EARLY_CHANCE_OF_8_BITS = 0.12, 0.5
"""Share of scenes that a detector of high gain sees, whose bright clouds saturate, and that share where it has 8 bits,
which leave no room between noise and range (assumption)."""
EARLY_SATURATION = ((0.30, 0.52), (0.43, 0.77))
"""Lowest and highest reflectance at which a band of such a detector saturates under an overhead sun, up to and from
``EARLY_FROM_UM``: those of Landsat-7 at high and at low gain (radiances and solar irradiances of Chander, Markham and
Helder 2009)."""
EARLY_FROM_UM = 0.7
"""Wavelength from which ground is bright, and gains are lower, in micrometres."""
EARLY_SUN = (15.0, 65.0)
"""Range of the sun's zenith, in degrees: the lower it stands, the brighter is what saturates."""
STRIPE_CHANCE = 0.06
"""Share of scenes whose detectors differ from column to column."""
STRIPES = (0.002, 0.02)
"""Range of the standard deviation of a column's gain (assumption)."""
COMPRESSION_CHANCE = 0.1
"""Share of scenes that were compressed with loss."""
COMPRESSION = (0.001, 0.008)
"""Range of the faintest detail that is kept, in reflectance (assumption)."""
FEW_BITS = 8
"""Bits of the detectors of Landsat-4 to 7 and SPOT-1 to 5."""
SATURATION = 1.6
"""Reflectance at which a well-set detector saturates (assumed)."""


def observe(reflectance: Float32, optics: Optics, rng: np.random.Generator, *, wavelengths: Sequence[float]) -> Float32:
    """Look at a reflectance image through a sensor.

    Args:
        reflectance: ``(band, y, x)``, unitless.
        optics: Blur, noise and quantisation.
        rng: Source of randomness.
        wavelengths: Centres of the bands, in micrometres.
    """
    seen = point_spread(reflectance, optics)
    if rng.random() < 0.4:
        offsets = rng.normal(0, 0.25, (len(seen), 2))
        seen = np.stack([shift(band, dy, dx) for band, (dy, dx) in zip(seen, offsets, strict=True)])
    noise = rng.standard_normal(seen.shape, dtype=np.float32)
    sigma = 0.3 / optics.snr * np.sqrt(np.maximum(seen, 0.02) / 0.3)
    noisy = np.asarray(seen + noise * sigma, np.float32)
    if rng.random() < STRIPE_CHANCE:
        noisy *= 1 + rng.normal(0, rng.uniform(*STRIPES), (len(seen), 1, seen.shape[-1])).astype(np.float32)
    if rng.random() < COMPRESSION_CHANCE:
        noisy = _compress(noisy, rng.uniform(*COMPRESSION))
    early = EARLY_CHANCE if optics.bits > FEW_BITS else EARLY_CHANCE_OF_8_BITS
    top = early_saturation(wavelengths, rng)[:, None, None] if rng.random() < early else SATURATION
    step = np.float32(1.5 / 2**optics.bits)
    return np.round(np.minimum(noisy, top) / step).astype(np.float32) * step


def early_saturation(wavelengths: Sequence[float], rng: np.random.Generator) -> Float32:
    """Draw the reflectance at which each band of a detector of high gain saturates, ``(band,)``."""
    sun = 1 / np.cos(np.radians(rng.uniform(*EARLY_SUN)))
    (short_low, short_high), (long_low, long_high) = EARLY_SATURATION
    long = np.asarray(wavelengths) >= EARLY_FROM_UM
    levels = sun * rng.uniform(np.where(long, long_low, short_low), np.where(long, long_high, short_high))
    return np.asarray(np.minimum(levels, SATURATION), np.float32)


def point_spread(reflectance: Float32, optics: Optics, *, factor: float = 1.0) -> Float32:
    """Blur a periodic image as a sensor's optics do, each band by its own width.

    Args:
        reflectance: ``(band, y, x)``.
        optics: Point spread.
        factor: Pixels of the image along the side of one pixel of the sensor.
    """
    sigma = optics.psf_sigma_px * factor
    if not optics.psf_scale:
        return blur(reflectance, sigma)
    return np.stack([blur(band, sigma * scale) for band, scale in zip(reflectance, optics.psf_scale, strict=True)])


def gaps(size: int, rng: np.random.Generator) -> Bool:
    """Draw what a scan-line corrector that fails leaves out: slanted stripes without data, ``(y, x)``."""
    period, slant = rng.uniform(12, 34), rng.uniform(-0.25, 0.25)
    y, x = np.mgrid[:size, :size]
    width = np.clip(np.linspace(rng.uniform(0, 0.45), rng.uniform(0, 0.45), size), 0, 0.45)
    return np.asarray(((y + slant * x) / period + rng.random()) % 1.0 < width[None, :])


def _compress(stack: Float32, strength: float) -> Float32:
    """Drop faint detail, as lossy wavelet compression does: what is below ``strength`` around the smooth part."""
    smooth = blur(stack, 1.5)
    detail = stack - smooth
    return np.asarray(smooth + np.sign(detail) * np.maximum(np.abs(detail) - strength, 0), np.float32)


def wavelengths(sensor: Sensor) -> tuple[float, ...]:
    """Centre wavelengths of a sensor's bands, in micrometres."""
    return tuple(band.center_wavelength for band in sensor.bands)
