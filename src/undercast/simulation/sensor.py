"""What a sensor does to an image: blur, misregistration, noise, saturation and quantisation."""

from __future__ import annotations

import numpy as np

from undercast.sensors import Optics, Sensor
from undercast.simulation.fields import blur, shift
from undercast.types import Bool, Float32

EARLY_SATURATION = (0.45, 1.0)
"""Range of reflectance at which a band of a high-gain detector saturates (assumption, after Landsat-7's high gain)."""
EARLY_CHANCE = 0.12
"""Share of scenes seen with a high gain."""
STRIPE_CHANCE = 0.06
"""Share of scenes whose detectors differ from column to column."""
STRIPES = (0.002, 0.02)
"""Range of the standard deviation of a column's gain (assumption)."""
COMPRESSION_CHANCE = 0.1
"""Share of scenes that were compressed with loss."""
COMPRESSION = (0.001, 0.008)
"""Range of the faintest detail that is kept, in reflectance (assumption)."""
SATURATION = 1.6
"""Reflectance at which a well-set detector saturates (assumed; Landsat-7's high gain saturates far lower)."""


def observe(reflectance: Float32, optics: Optics, rng: np.random.Generator) -> Float32:
    """Look at a reflectance image through a sensor.

    Args:
        reflectance: ``(band, y, x)``, unitless.
        optics: Blur, noise and quantisation.
        rng: Source of randomness.
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
    top = rng.uniform(*EARLY_SATURATION, (len(seen), 1, 1)) if rng.random() < EARLY_CHANCE else SATURATION
    step = np.float32(1.5 / 2**optics.bits)
    return np.round(np.minimum(noisy, top) / step).astype(np.float32) * step


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
