"""Masks as processors would make them of simulated scenes, with the errors that they are known for."""

from __future__ import annotations

import numpy as np

from undercast.postprocessing.morphology import dilated, disc
from undercast.simulation.fields import blur
from undercast.simulation.scenes import BIT_CLEAR, BIT_SHADOW, BIT_THICK, BIT_THIN, Simulated
from undercast.terrain import north_up, terrain_layers
from undercast.types import Bool, Float32, UInt8
from undercast.weak_labels.borders import eroded
from undercast.weak_labels.combining import consensus
from undercast.weak_labels.failings import find_failings, left_open
from undercast.weak_labels.processors import FMASK, MAJA_CLM
from undercast.weak_labels.rules import ProcessorMask

THINNEST = {"fmask": (0.4, 1.2), "maja-clm": (0.3, 0.9)}
"""Processor -> range of the optical thickness below which it sees no cloud; drawn per scene (assumption)."""
BUFFER_PX = 3
"""Pixels by which Fmask widens clouds and shadows (its default)."""
BLOCK_M = 240.0
"""Side of the pixels in which MAJA looks for clouds."""
BLOCK_SHARE = 0.15
"""Share of cloud from which such a pixel is cloud (assumption)."""
BRIGHT_CHANCE = 0.4
"""Share of scenes in which Fmask takes the brightest ground for cloud (assumption)."""
BRIGHT_SHARE, BRIGHTEST = 0.03, 0.2
"""Share of the clear ground that it does so with, and the visible reflectance that it must have (assumptions)."""
DARK_CHANCE, DARK = 0.5, 0.4
"""Share of scenes in which Fmask takes slopes for shadow, and the light on them over that on flat ground
(assumptions)."""
SHADOW_MISSED = 0.3
"""Share of a scene whose shadows a processor misses (assumption: it must find the cloud and its height)."""
BORDER_M = 60.0
"""Distance from a border of classes within which consensus labels are ignored."""

_CLOUD, _OTHER = BIT_THICK | BIT_THIN, BIT_CLEAR | BIT_SHADOW


def fmask_like(scene: Simulated, rng: np.random.Generator) -> UInt8:
    """Make Fmask's codes.

    The thinnest clouds are missed, cloud over snow is called snow, the brightest ground cloud and dark slopes shadow;
    clouds and shadows are widened.

    Returns:
        0 clear, 2 cloud shadow, 3 snow, 4 cloud, 255 no data, ``(y, x)``.
    """
    cloud, shadow = _clouds(scene, "fmask", rng), _shadows(scene, rng)
    visible, swir = _band(scene, "green"), _band(scene, "swir16")
    snow = (visible > 0.15) & (visible - swir > 0.4 * (visible + swir))
    clear = ~cloud & ~shadow
    if rng.random() < BRIGHT_CHANCE and clear.any():
        cloud |= clear & (visible > max(float(np.quantile(visible[clear], 1 - BRIGHT_SHARE)), BRIGHTEST))
    if rng.random() < DARK_CHANCE:
        shadow |= clear & (_light(scene) < DARK)
    square = (BUFFER_PX,) * (2 * BUFFER_PX + 1)
    codes = np.zeros(cloud.shape, np.uint8)
    codes[dilated(shadow, square)] = 2
    codes[dilated(cloud & ~snow, square)] = 4
    codes[(codes == 0) & snow] = 3
    codes[~np.isfinite(scene.reflectance).all(axis=0)] = 255
    return codes


def maja_like(scene: Simulated, rng: np.random.Generator) -> UInt8:
    """Make MAJA's CLM bits: clouds and shadows found in pixels of 240 m, the thinnest clouds missed.

    Returns:
        Bits of CLM, ``(y, x)``: 0 to 2 for clouds, 0 and 5 for shadows.
    """
    block = max(round(BLOCK_M / scene.gsd), 1)
    cloud = _in_blocks(_clouds(scene, "maja-clm", rng), block)
    shadow = _in_blocks(_shadows(scene, rng), block) & ~cloud
    return (cloud * np.uint8(0b111) + shadow * np.uint8(0b100001)).astype(np.uint8)


def weak_sets(scene: Simulated, rng: np.random.Generator) -> UInt8:
    """Turn both masks into possible sets, as weak labels are: known failings left open, borders ignored, both agreed.

    Returns:
        Possible sets ``(y, x)``.
    """
    fmask = _imported(FMASK, fmask_like(scene, rng), scene)
    return consensus([fmask, _imported(MAJA_CLM, maja_like(scene, rng), scene)])


def is_cloud(possible: UInt8) -> Bool:
    """Tell where possible sets say cloud of either kind and nothing else."""
    return np.asarray((possible & _CLOUD > 0) & (possible & _OTHER == 0), np.bool_)


def _imported(product: ProcessorMask, codes: UInt8, scene: Simulated) -> UInt8:
    pixel_m = (scene.gsd, scene.gsd)
    sets = left_open(product.possible(codes), codes, product, find_failings(("all",), product), pixel_m)
    return eroded(sets, disc(BORDER_M, pixel_m))


def _clouds(scene: Simulated, product: str, rng: np.random.Generator) -> Bool:
    return is_cloud(scene.possible) & (scene.optical_thickness >= rng.uniform(*THINNEST[product]))


def _shadows(scene: Simulated, rng: np.random.Generator) -> Bool:
    size = scene.possible.shape[0]
    places = blur(rng.standard_normal((size, size)).astype(np.float32), size / 16)
    seen = places > np.quantile(places, SHADOW_MISSED)
    return np.asarray((scene.possible == BIT_SHADOW) & seen, np.bool_)


def _band(scene: Simulated, name: str) -> Float32:
    index = next(number for number, band in enumerate(scene.sensor.bands) if band.common_name == name)
    return np.asarray(np.nan_to_num(scene.reflectance[index]), np.float32)


def _light(scene: Simulated) -> Float32:
    """Give the direct light on the ground over that on flat ground, ``(y, x)``."""
    around = np.pad(scene.elevation, 1, mode="wrap")
    (cosine,) = terrain_layers(around, north_up(scene.gsd), scene.sun, ("sun_cosine",))
    return np.asarray(cosine / max(np.cos(np.radians(scene.sun.zenith)), 0.15), np.float32)


def _in_blocks(mask: Bool, side: int) -> Bool:
    """Mark the blocks of which a share is marked; blocks at the edge may be smaller."""
    height, width = mask.shape
    grown = np.pad(mask, ((0, -height % side), (0, -width % side)), mode="edge")
    rows, cols = grown.shape[0] // side, grown.shape[1] // side
    marked = grown.reshape(rows, side, cols, side).mean(axis=(1, 3)) >= BLOCK_SHARE
    return np.asarray(marked.repeat(side, axis=0).repeat(side, axis=1)[:height, :width], np.bool_)
