"""Working grid: a scene averaged down until it can be labelled in memory and in seconds."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from undercast.scene import ArrayPixels, Scene
from undercast.types import Bool, Float32
from undercast.windows import Window

LARGEST_PIXELS = 4_000_000
"""Pixels of the working grid at most; a tile of Sentinel-2 is then worked on at 60 m, as ALCD does."""
VALUES_AT_ONCE = 16_000_000
"""Reflectances that are read at once."""


def step_of(shape: tuple[int, int], *, largest: int = LARGEST_PIXELS) -> int:
    """Tell the side of the squares that are averaged, in pixels of the scene; 1 for a scene that is small enough."""
    step = max(1, math.isqrt(shape[0] * shape[1] // largest))
    while math.ceil(shape[0] / step) * math.ceil(shape[1] / step) > largest:
        step += 1
    return step


def working_scene(scene: Scene, *, largest: int = LARGEST_PIXELS) -> Scene:
    """Read a scene into memory on its working grid; memory is bounded by that grid and some rows of the scene.

    A pixel of the working grid has data where any of its pixels has data in every band.

    Args:
        scene: The scene; read once, from top to bottom.
        largest: Pixels of the working grid at most.

    Raises:
        SceneError: If the scene cannot be read.
    """
    step = step_of(scene.grid.shape, largest=largest)
    height, width = scene.grid.shape
    shape = math.ceil(height / step), math.ceil(width / step)
    reflectance = np.full((len(scene.bands), *shape), np.nan, np.float32)
    rows = step * max(1, VALUES_AT_ONCE // (len(scene.bands) * width * step))
    for first in range(0, height, rows):
        window = Window(row=first, col=0, height=min(rows, height - first), width=width)
        part = averaged(scene.read(window), step)
        reflectance[:, first // step : first // step + part.shape[1]] = part
    a, b, c, d, e, f = scene.grid.transform
    grid = replace(scene.grid, shape=shape, transform=(a * step, b * step, c, d * step, e * step, f))
    return replace(scene, grid=grid, pixels=ArrayPixels(reflectance=reflectance))


def averaged(reflectance: Float32, step: int) -> Float32:
    """Average squares over the pixels that have data in every band; squares at the end may be cut off.

    Args:
        reflectance: ``(band, y, x)``; NaN where there is no data.
        step: Side of a square, in pixels.
    """
    valid: Bool = np.asarray(np.isfinite(reflectance).all(axis=0), np.bool_)
    if step == 1:
        return np.where(valid, reflectance, np.float32(np.nan))
    rows, cols = (np.arange(0, length, step) for length in valid.shape)

    def total(values: NDArray[np.generic]) -> NDArray[np.float32]:
        down = np.add.reduceat(values, rows, axis=-2, dtype=np.float32)
        return np.asarray(np.add.reduceat(down, cols, axis=-1), np.float32)

    number = total(valid)
    sums = total(np.where(valid, reflectance, np.float32(0)))
    mean = sums / np.maximum(number, 1)
    return np.where(number > 0, mean, np.float32(np.nan)).astype(np.float32)
