"""Augmentation: crops, resolution, flips, gains, absent bands and missing pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast.bands import band_from_name
from undercast.classes import CLEAR
from undercast.simulation.fields import blur
from undercast.simulation.sensor import early_saturation
from undercast.training.chips import STORED_NODATA, STORED_SCALE, Chip
from undercast.types import TERRAIN_LAYERS, Float32, UInt8

ABSENT = -1.0
"""Network input of an absent band or a pixel without data."""

AIR_CHANCE = 0.3
"""Share of chips to which air is added, or from which it is taken."""
PASTED_AROUND_PX = 2.5
"""Standard deviation of the Gaussian that widens what is pasted beyond its labels, in pixels."""
MOST_PASTED = 0.8
"""Share of a chip that clouds pasted onto it cover at most."""

BAND_SETS: tuple[tuple[frozenset[str] | None, float], ...] = (
    (None, 0.32),
    (frozenset({"blue", "green", "red", "nir", "swir16", "swir22"}), 0.22),
    (frozenset({"green", "red", "nir"}), 0.16),
    (frozenset({"blue", "green", "red", "nir"}), 0.13),
    (frozenset({"blue", "red", "nir", "swir16"}), 0.11),
    (frozenset({"green", "red", "nir", "swir16"}), 0.06),
)
"""Bands that are kept (None: all), and how often; the sets are those of real sensors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentPlan:
    """How strongly chips are varied."""

    crop: int = 192
    """Side of what the network sees, in pixels."""
    smallest: float = 0.6
    """Smallest side of the cut, over ``crop``: below 1 the image is enlarged."""
    largest: float = 1.33
    """Largest side of the cut, over ``crop``: above 1 the image is reduced."""
    gain: float = 0.08
    """Standard deviation of the gain that all bands share."""
    band_gain: float = 0.03
    """Standard deviation of each band's own gain."""
    offset: float = 0.005
    """Standard deviation of each band's offset, in reflectance."""
    air: float = 0.02
    """Standard deviation of what the air adds or a correction takes away at 0.48 um, in reflectance; it falls with the
    cube of the wavelength (assumption)."""
    saturation: float = 0.0
    """Share of the chips that a detector of few bits and high gain sees: bright clouds saturate."""
    holes: float = 0.12
    """Chance of an area without data."""
    without_terrain: float = 0.5
    """Share of the chips whose terrain a model that takes it does not get to see."""


def augment(
    chip: Chip,
    names: Sequence[str],
    plan: AugmentPlan,
    rng: np.random.Generator,
    *,
    all_bands: bool = False,
    terrain: Sequence[str] = (),
) -> tuple[Float32, UInt8]:
    """Cut, resample and vary one chip.

    Args:
        chip: What to vary.
        names: Common names of the chip's layers.
        plan: How strongly.
        rng: Source of randomness.
        all_bands: Let no band go missing: the network needs them all.
        terrain: Which of ``TERRAIN_LAYERS`` the network takes, after the bands.

    Returns:
        Network input ``(band and terrain, crop, crop)`` with ``ABSENT`` where there is nothing, and possible sets
        ``(crop, crop)``.
    """
    stored, possible, ground = _cut(chip, plan, rng)
    missing = stored == STORED_NODATA
    values = stored * np.float32(STORED_SCALE)
    layers = len(values)
    gain = (1 + rng.normal(0, plan.gain)) * (1 + rng.normal(0, plan.band_gain, (layers, 1, 1)))
    values = values * gain.astype(np.float32) + rng.normal(0, plan.offset, (layers, 1, 1)).astype(np.float32)
    if rng.random() < AIR_CHANCE:
        values += np.float32(rng.normal(0, plan.air)) * _air_colour(tuple(names))
    if rng.random() < 0.3:
        values += rng.normal(0, rng.uniform(0, 0.01), values.shape).astype(np.float32)
    if plan.saturation and rng.random() < plan.saturation:
        values = np.minimum(values, _full(tuple(names), rng))
    values[missing] = ABSENT
    if not all_bands:
        values[~_kept(names, rng)] = ABSENT
    if rng.random() < plan.holes:
        hole = _hole(plan.crop, rng)
        values[:, hole] = ABSENT
        possible = np.where(hole, np.uint8(0), possible)
    if terrain:
        values = np.concatenate([values, _seen_terrain(ground, terrain, plan, rng)])
    turns = int(rng.integers(4))
    values, possible = np.rot90(values, turns, (1, 2)), np.rot90(possible, turns)
    if rng.random() < 0.5:
        values, possible = values[:, :, ::-1], possible[:, ::-1]
    return np.ascontiguousarray(values, np.float32), np.ascontiguousarray(possible)


def _seen_terrain(
    ground: NDArray[np.float16] | None, wanted: Sequence[str], plan: AugmentPlan, rng: np.random.Generator
) -> Float32:
    """Give the terrain that a network gets to see: none at times, and with holes at times."""
    if ground is None or rng.random() < plan.without_terrain:
        return np.full((len(wanted), plan.crop, plan.crop), ABSENT, np.float32)
    places = [place for place, layer in enumerate(TERRAIN_LAYERS) if layer in wanted]
    layers = ground[places].astype(np.float32)
    if rng.random() < plan.holes:
        layers[:, _hole(plan.crop, rng)] = np.nan
    return np.where(np.isfinite(layers), layers, np.float32(ABSENT))


def _cut(
    chip: Chip, plan: AugmentPlan, rng: np.random.Generator
) -> tuple[np.ndarray[Any, Any], UInt8, NDArray[np.float16] | None]:
    """Cut a square and resample it to ``crop`` px: nearest when it grows, means of blocks when it shrinks.

    The shape of the ground is cut alike, always to the nearest pixel.
    """
    stored, possible, ground = chip.stored, chip.possible, chip.terrain
    height, width = possible.shape
    side = round(plan.crop * rng.uniform(plan.smallest, plan.largest)) if rng.random() < 0.6 else plan.crop
    side = min(side, height, width)
    row, col = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    stored = stored[:, row : row + side, col : col + side]
    possible = possible[row : row + side, col : col + side]
    ground = None if ground is None else ground[:, row : row + side, col : col + side]
    if side == plan.crop:
        return stored, possible, ground
    index = np.minimum((np.arange(plan.crop) + 0.5) * side / plan.crop, side - 1).astype(np.intp)
    shrunk = stored[:, index][:, :, index]
    if side > plan.crop:
        after = np.minimum(index + 1, side - 1)
        other = stored[:, after][:, :, after]
        both = (shrunk != STORED_NODATA) & (other != STORED_NODATA)
        mean = ((shrunk.astype(np.int32) + other) // 2).astype(np.int16)
        shrunk = np.where(both, mean, shrunk)
    return shrunk, possible[index][:, index], None if ground is None else ground[:, index][:, :, index]


def paste(
    onto: tuple[Float32, UInt8], other: tuple[Float32, UInt8], *, layers: int | None = None
) -> tuple[Float32, UInt8]:
    """Paste the clouds and shadows of one augmented chip, and what is close to them, onto another.

    A band that is absent in either is absent in what comes out. Chips without a cloud to paste, or nearly full of
    them, leave the first as it is. Only the first ``layers`` of the image are pasted (None: all): the terrain stays.
    """
    (below, possible), (image, sets) = onto, other
    known = (sets > 0) & (sets & (1 << CLEAR) == 0)
    region = blur(known.astype(np.float32), PASTED_AROUND_PX) > 0.1
    if not 0.0 < region.mean() <= MOST_PASTED:
        return onto
    pasted = np.where(region, image, below)
    absent = (image == ABSENT).all(axis=(1, 2)) | (below == ABSENT).all(axis=(1, 2))
    pasted[absent] = ABSENT
    if layers is not None:
        pasted[layers:] = below[layers:]
    return pasted, np.where(region, sets, possible)


def _full(names: tuple[str, ...], rng: np.random.Generator) -> Float32:
    """Draw the reflectance at which each band saturates, ``(band, 1, 1)``; the cirrus band is dark."""
    return early_saturation([band_from_name(name).center_wavelength for name in names], rng)[:, None, None]


@cache
def _air_colour(names: tuple[str, ...]) -> Float32:
    """Share of what the air adds in the blue, ``(band, 1, 1)``; nothing in the cirrus band."""
    wavelengths = np.array([band_from_name(name).center_wavelength for name in names])
    share = np.minimum((wavelengths / 0.48) ** -3.0, 1.0) * np.array([name != "cirrus" for name in names])
    return np.asarray(share[:, None, None], np.float32)


def _kept(names: Sequence[str], rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Choose the bands that are kept; single bands go missing now and then."""
    chances = np.array([chance for _, chance in BAND_SETS])
    kept_set = BAND_SETS[int(rng.choice(len(BAND_SETS), p=chances / chances.sum()))][0]
    kept = np.array([kept_set is None or name in kept_set for name in names])
    for position, name in enumerate(names):
        if name not in {"red", "nir"} and rng.random() < 0.07:
            kept[position] = False
    return kept


def _hole(size: int, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Draw a scene edge or a rectangle without data."""
    y, x = np.mgrid[:size, :size]
    if rng.random() < 0.5:
        angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.6) * size
        return np.asarray((x - size / 2) * np.cos(angle) + (y - size / 2) * np.sin(angle) > reach)
    top, left = rng.integers(0, size, 2)
    height, width = rng.integers(4, size // 2, 2)
    return np.asarray((y >= top) & (y < top + height) & (x >= left) & (x < left + width))
