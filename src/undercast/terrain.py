"""Terrain: what a model can be told of the ground's shape: elevation, slope, and how squarely the sun meets it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from undercast.errors import GridError
from undercast.grids import Grid
from undercast.scene import SunAngles
from undercast.types import TERRAIN_LAYERS, Float32, TerrainLayer
from undercast.windows import Window

LOWEST_KM = -0.45
"""Elevations below it, sea floors, are given as it: the shore of the Dead Sea, and well above the -1 of absence."""
STEEPEST = 3.0
"""Largest slope that is told apart from steeper ones, rise over run."""

Steps: TypeAlias = tuple[tuple[float, float], tuple[float, float]]
"""Metres to the east and to the north that one column, and one row, lead."""


def north_up(pixel_m: float) -> Steps:
    """Give the steps of a grid of square pixels whose rows go south."""
    return (pixel_m, 0.0), (0.0, -pixel_m)


def steps_of(grid: Grid) -> Steps:
    """Give the steps of a grid at its centre; the y axis of its CRS counts as north.

    Raises:
        GridError: If the grid is not georeferenced.
    """
    if grid.crs is None:
        msg = "expected a georeferenced scene for its elevation, got one without CRS."
        raise GridError(msg)
    a, b, _, d, e, _ = grid.transform
    east, north = grid.metres_per_unit
    return (a * east, d * north), (b * east, e * north)


def terrain_layers(
    elevation: Float32, steps: Steps, sun: SunAngles | None, layers: Sequence[TerrainLayer] = TERRAIN_LAYERS
) -> Float32:
    """Describe the ground's shape as networks take it.

    Args:
        elevation: Metres above the sea with one pixel more on each side, ``(y + 2, x + 2)``; NaN where it is not known.
        steps: What a column and a row lead to.
        sun: Where the sun stands; None: ``sun_cosine`` is not known.
        layers: What is wanted, in that order.

    Returns:
        ``(layer, y, x)``: ``elevation`` in kilometres, ``slope`` as rise over run by central differences, and
        ``sun_cosine``, the cosine of the angle between the sun and the ground's normal, 0 where the slope turns away
        (no shadow that other slopes cast); NaN where an elevation that it takes is not known.
    """
    (east_col, north_col), (east_row, north_row) = steps
    by_col = (elevation[1:-1, 2:] - elevation[1:-1, :-2]) / 2
    by_row = (elevation[2:, 1:-1] - elevation[:-2, 1:-1]) / 2
    area = east_col * north_row - north_col * east_row
    east = np.asarray((north_row * by_col - north_col * by_row) / area, np.float32)
    north = np.asarray((east_col * by_row - east_row * by_col) / area, np.float32)
    slope: Float32 = np.hypot(east, north).astype(np.float32)
    made = {
        "elevation": np.maximum(elevation[1:-1, 1:-1] / 1000, LOWEST_KM),
        "slope": np.minimum(slope, STEEPEST),
        "sun_cosine": np.full(slope.shape, np.nan) if sun is None else _sun_cosine(east, north, sun),
    }
    return np.stack([made[layer] for layer in layers]).astype(np.float32)


def _sun_cosine(east: Float32, north: Float32, sun: SunAngles) -> Float32:
    zenith, azimuth = math.radians(sun.zenith), math.radians(sun.azimuth)
    towards = east * math.sin(azimuth) + north * math.cos(azimuth)
    cosine = (math.cos(zenith) - math.sin(zenith) * towards) / np.sqrt(1 + east**2 + north**2)
    return np.asarray(np.maximum(cosine, 0.0), np.float32)


def widened(elevation: Float32) -> Float32:
    """Carry an elevation on by one pixel on each side, straight, so that ``terrain_layers`` gives its own shape."""
    return np.pad(elevation, 1, mode="reflect", reflect_type="odd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terrain:
    """The shape of a scene's ground, in the windows of its grid."""

    elevation: Callable[[Window], Float32]
    """Metres above the sea in a window of the grid, which may reach one pixel beyond it; NaN where it is not known."""
    steps: Steps
    """What a column and a row of the grid lead to."""
    sun: SunAngles | None
    """Where the sun stands, where it is known."""

    def read(self, window: Window, layers: Sequence[TerrainLayer]) -> Float32:
        """Give the layers of a window as ``terrain_layers`` does, ``(layer, y, x)``; NaN where they are not known."""
        wider = replace(
            window, row=window.row - 1, col=window.col - 1, height=window.height + 2, width=window.width + 2
        )
        return terrain_layers(self.elevation(wider), self.steps, self.sun, layers)

    def inside(self, part: Window) -> Terrain:
        """Give the ground under a window of the grid, as that of a scene of its own."""

        def elevation(window: Window) -> Float32:
            return self.elevation(replace(window, row=window.row + part.row, col=window.col + part.col))

        return replace(self, elevation=elevation)


def terrain_of(elevation: Float32, pixel_m: float, sun: SunAngles | None) -> Terrain:
    """Give the shape of the ground under an image in memory whose rows go south.

    Args:
        elevation: Metres above the sea, ``(y, x)``; NaN where it is not known.
        pixel_m: Side of its pixels, in metres.
        sun: Where the sun stands, where it is known.
    """
    around = widened(elevation)

    def read(window: Window) -> Float32:
        top, left = window.row + 1, window.col + 1
        return around[top : top + window.height, left : left + window.width]

    return Terrain(elevation=read, steps=north_up(pixel_m), sun=sun)
