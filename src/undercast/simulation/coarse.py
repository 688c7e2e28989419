"""Coarse: fine images as a coarser sensor sees them, by spectral weights, point spread and sampling, and their labels.

After the published simulation of PROBA-V from Landsat-8 (Mateo-Garcia et al. 2020, doi 10.1109/JSTARS.2020.3031741).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from undercast.bands import Band, match_bands
from undercast.errors import BandError
from undercast.sensors import Optics, Sensor
from undercast.simulation.scenes import BIT_CLEAR, BIT_SHADOW, BIT_THICK, BIT_THIN, Simulated, simulate
from undercast.simulation.sensor import observe, point_spread, wavelengths
from undercast.types import Bool, Float32, ProductLevel, UInt8

SPECTRAL_WEIGHTS: dict[str, dict[str, float]] = {"blue": {"coastal": 0.24916137667938665, "blue": 0.7508386233206134}}
"""Band of the coarse sensor -> weights of the fine one's bands, where it has them all; others come from the nearest."""
UNKNOWN = 0.2
"""Share of a pixel without data, or of unknown class, above which nothing is known of it (Mateo-Garcia et al.)."""
CLOUDY = 0.5
"""Share of cloud from which a pixel is cloud (Mateo-Garcia et al.)."""
SHARP = Optics(psf_sigma_px=0.0, snr=2000.0, bits=14)
"""Optics of the fine image that a coarse scene is simulated from."""
FINE = 3
"""Fine pixels along the side of a coarse one, where both are simulated."""
REACH = 3.0
"""Standard deviations of the point spread beyond which nothing comes in."""

_CLOUD = BIT_THICK | BIT_THIN
_OTHER = BIT_CLEAR | BIT_SHADOW


def seen_by(sensor: Sensor, reflectance: Float32, bands: Sequence[Band], factor: int) -> Float32:
    """Show a fine image as a coarser sensor sees it, without noise.

    Args:
        sensor: The coarse sensor.
        reflectance: The fine image, ``(band, y, x)``, NaN where there is no data.
        bands: Its bands.
        factor: Fine pixels along the side of a coarse one, at least 1.

    Returns:
        ``(band of the sensor, y / factor, x / factor)``, rounded; NaN where more than a fifth has no data.

    Raises:
        BandError: If a band of the sensor has no match.
    """
    layers = _weighted(sensor, reflectance, bands)
    if factor == 1:
        return layers
    known = np.isfinite(layers).all(axis=0)
    means = layers[:, known].mean(axis=1) if known.any() else np.zeros(len(layers), np.float32)
    filled = np.where(known, layers, means[:, None, None]).astype(np.float32)
    widest = sensor.optics.psf_sigma_px * factor * max(sensor.optics.psf_scale, default=1.0)
    room = math.ceil(REACH * widest)
    grown = np.pad(filled, ((0, 0), (room, room), (room, room)), mode="symmetric")
    blurred = point_spread(grown, sensor.optics, factor=factor)
    rows, cols = (_centres(side, factor) + room for side in layers.shape[1:])
    seen = blurred[:, rows][:, :, cols]
    seen[:, shares(np.asarray(~known), factor) > UNKNOWN] = np.nan
    return np.asarray(seen, np.float32)


def coarse_sets(possible: UInt8, factor: int) -> UInt8:
    """Say of each coarse pixel whether it can be cloud, of the fine pixels' possible sets.

    Args:
        possible: Possible sets of the fine image, ``(y, x)``.
        factor: Fine pixels along the side of a coarse one.

    Returns:
        Possible sets: cloud of either kind where half of what is known is cloud, else clear or shadow; 0 where more
        than a fifth is unknown.
    """
    cloud = shares(np.asarray((possible & _CLOUD > 0) & (possible & _OTHER == 0)), factor)
    other = shares(np.asarray((possible & _OTHER > 0) & (possible & _CLOUD == 0)), factor)
    sets = np.where(cloud >= CLOUDY * (cloud + other), np.uint8(_CLOUD), np.uint8(_OTHER))
    sets[1.0 - cloud - other > UNKNOWN] = 0
    return sets


def shares(mask: Bool, factor: int) -> Float32:
    """Give the share of each coarse pixel where a mask is true; the last ones take what is left at the edge."""
    out: Float32 = mask.astype(np.float32)
    for axis, side in enumerate(mask.shape):
        starts = np.arange(_count(side, factor)) * factor
        sizes = np.diff(np.append(starts, side)).astype(np.float32)
        summed = np.add.reduceat(out, starts, axis=axis)
        out = np.asarray(summed / (sizes[:, None] if axis == 0 else sizes), np.float32)
    return out


def simulate_coarse(
    sensor: Sensor, *, size: int, gsd: float, seed: int | np.random.Generator, level: ProductLevel | None = None
) -> Simulated:
    """Make a labelled scene of a coarse sensor, whose pixels mix what a finer one would tell apart.

    Args:
        sensor: Bands and optics.
        size: Side, in coarse pixels.
        gsd: Its ground sample distance, in metres.
        seed: Seed or generator; the same seed gives the same scene.
        level: Kind of reflectance; drawn unless given.
    """
    rng = seed if isinstance(seed, np.random.Generator) else np.random.default_rng(seed)
    fine = simulate(replace(sensor, optics=SHARP), size=FINE * size, seed=rng, gsd=gsd / FINE, level=level)
    seen = seen_by(sensor, fine.reflectance, sensor.bands, FINE)
    missing = ~np.isfinite(seen).all(axis=0)
    noisy = observe(
        np.nan_to_num(seen, nan=0.0), replace(sensor.optics, psf_sigma_px=0.0), rng, wavelengths=wavelengths(sensor)
    )
    noisy[:, missing] = np.nan
    possible = coarse_sets(fine.possible, FINE)
    possible[missing] = 0
    return replace(
        fine,
        reflectance=noisy,
        possible=possible,
        optical_thickness=_sampled(fine.optical_thickness, FINE),
        elevation=_sampled(fine.elevation, FINE),
        gsd=gsd,
        sensor=sensor,
    )


def _weighted(sensor: Sensor, reflectance: Float32, bands: Sequence[Band]) -> Float32:
    """Give the sensor's bands at the fine resolution."""
    matches = match_bands(sensor.bands, bands)
    names = [band.common_name for band in bands]
    out = np.empty((len(matches), *reflectance.shape[1:]), np.float32)
    for position, match in enumerate(matches):
        if match.index is None:
            msg = (
                f"{sensor.id} has the band {match.wanted.common_name}, the image has {', '.join(names)}."
                " Give an image that has it."
            )
            raise BandError(msg)
        weights = SPECTRAL_WEIGHTS.get(match.wanted.common_name, {})
        whole = len(bands) > len(matches) and weights and set(weights) <= set(names)
        parts = weights.items() if whole else ((names[match.index], 1.0),)
        indexes = [(names.index(name) if whole else match.index, share) for name, share in parts]
        out[position] = sum(np.float32(share) * reflectance[index] for index, share in indexes)
    return out


def _count(side: int, factor: int) -> int:
    """Count the coarse pixels along a side; what is left at the edge is one where it is half of one."""
    return max(1, (side + factor // 2) // factor)


def _centres(side: int, factor: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Give the fine pixels at the centres of the coarse ones."""
    places = ((np.arange(_count(side, factor)) + 0.5) * factor).astype(np.intp)
    return np.minimum(places, side - 1)


def _sampled(field: Float32, factor: int) -> Float32:
    rows, cols = (_centres(side, factor) for side in field.shape)
    return field[rows][:, cols]
