"""What a sensor does to an image: blur, misregistration, noise, saturation and quantisation."""

from __future__ import annotations

import numpy as np

from undercast.sensors import Optics, Sensor
from undercast.simulation.fields import blur, shift
from undercast.types import Float32

EARLY_SATURATION = (0.45, 1.0)
"""Range of reflectance at which a band of a high-gain detector saturates (assumption, after Landsat-7's high gain)."""
EARLY_CHANCE = 0.12
"""Share of scenes seen with a high gain."""
SATURATION = 1.6
"""Reflectance at which a well-set detector saturates (assumed; Landsat-7's high gain saturates far lower)."""


def observe(reflectance: Float32, optics: Optics, rng: np.random.Generator) -> Float32:
    """Look at a reflectance image through a sensor.

    Args:
        reflectance: ``(band, y, x)``, unitless.
        optics: Blur, noise and quantisation.
        rng: Source of randomness.
    """
    seen = blur(reflectance, optics.psf_sigma_px)
    if rng.random() < 0.4:
        offsets = rng.normal(0, 0.25, (len(seen), 2))
        seen = np.stack([shift(band, dy, dx) for band, (dy, dx) in zip(seen, offsets, strict=True)])
    noise = rng.standard_normal(seen.shape, dtype=np.float32)
    sigma = 0.3 / optics.snr * np.sqrt(np.maximum(seen, 0.02) / 0.3)
    noisy = seen + noise * sigma
    top = rng.uniform(*EARLY_SATURATION, (len(seen), 1, 1)) if rng.random() < EARLY_CHANCE else SATURATION
    step = np.float32(1.5 / 2**optics.bits)
    return np.round(np.minimum(noisy, top) / step).astype(np.float32) * step


def wavelengths(sensor: Sensor) -> tuple[float, ...]:
    """Centre wavelengths of a sensor's bands, in micrometres."""
    return tuple(band.center_wavelength for band in sensor.bands)
