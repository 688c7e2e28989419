"""Elevation: the height of the ground from a raster, warped to a scene's grid as it is read."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.warp import reproject, transform
from rasterio.windows import Window as RasterWindow

from undercast.errors import GridError, SceneError
from undercast.grids import Grid
from undercast.readers.base import gdal_path, short_name
from undercast.types import Float32
from undercast.windows import Window

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

EXTREMES_M = (-9_000.0, 12_000.0)
"""Range of heights; others, as -9999, -32768 or 65535, are holes that are not declared, or the deepest seas."""
VALUES_AT_ONCE = 8_000_000
"""Heights of the raster that are read at once, about."""
MARGIN_PX = 4
"""Pixels of the raster that are read around what is asked for: interpolation needs two."""
LOOKED_PX = 256
"""Side of what ``known_share`` looks at, at most, in pixels."""
_LATTICE = 21
"""Places along a side of a window whose place in the raster is computed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Elevation:
    """The height of the ground, in the windows of a grid."""

    source: str
    """Raster with the height above the sea in its first layer, in metres, in any CRS."""
    grid: Grid
    """Grid of the scene."""

    @property
    def name(self) -> str:
        """The raster's name for the records: without folder, suffix, and what a URL may hold of secrets."""
        return short_name(self.source)

    def __call__(self, window: Window) -> Float32:
        """Read a window of the scene's grid; it may reach one pixel beyond it.

        Returns:
            Metres above the sea ``(y, x)``, interpolated linearly; NaN where the raster says nothing.

        Raises:
            SceneError: If the raster cannot be read.
            GridError: If it or the scene is not georeferenced.
        """
        height, width = self.grid.shape
        wider = self.grid.part(Window(row=-1, col=-1, height=height + 2, width=width + 2))
        return self._read(wider, replace(window, row=window.row + 1, col=window.col + 1), Resampling.bilinear)

    def known_share(self) -> float:
        """Tell for which share of the grid there is a height, from some of its pixels; errors as of a call."""
        height, width = self.grid.shape
        rows, cols = min(height, LOOKED_PX), min(width, LOOKED_PX)
        a, b, c, d, e, f = self.grid.transform
        down, right = height / rows, width / cols
        coarse = replace(self.grid, shape=(rows, cols), transform=(a * right, b * down, c, d * right, e * down, f))
        return float(np.isfinite(self._read(coarse, coarse.full, Resampling.nearest)).mean())

    def _read(self, grid: Grid, window: Window, resampling: Resampling) -> Float32:
        try:
            with rasterio.open(gdal_path(self.source)) as raster:
                if raster.crs is None or grid.crs is None:
                    msg = f"{self.source}: expected a georeferenced elevation and scene, got one without CRS."
                    raise GridError(msg)
                return _warped(raster, grid, window, resampling)
        except (RasterioError, CPLE_BaseError) as error:
            msg = f"elevation {self.source} cannot be read: {' '.join(str(error).split())}."
            raise SceneError(msg) from error


def _warped(raster: DatasetReader, grid: Grid, window: Window, resampling: Resampling) -> Float32:
    """Read what lies under a window of a grid and warp it, holes first, so that they do not mix with what is around."""
    metres = np.full(window.shape, np.nan, np.float32)
    steps = _steps(_places(raster, grid), grid.shape)
    needed = _needed(_places(raster, grid.part(window)), steps, raster)
    if needed is None:
        return metres
    down, right = steps
    reproject(
        _heights(raster, needed, steps),
        metres,
        src_transform=raster.transform * Affine(right, 0, needed.col, 0, down, needed.row),
        src_crs=raster.crs,
        src_nodata=np.nan,
        dst_transform=Affine(*grid.part(window).transform),
        dst_crs=grid.crs,
        dst_nodata=np.nan,
        resampling=resampling,
    )
    return metres


def _places(raster: DatasetReader, grid: Grid) -> NDArray[np.float64]:
    """Give rows and columns of a raster under a lattice of places of a grid, ``(2, y, x)``; NaN where there are none.

    Columns of a raster in degrees go on beyond its edges where the grid lies across the date line.
    """
    height, width = grid.shape
    cols, rows = np.meshgrid(np.linspace(0, width, _LATTICE), np.linspace(0, height, _LATTICE))
    xs, ys = _moved(Affine(*grid.transform), cols, rows)
    cols, rows = _moved(~raster.transform, *_transformed(grid.crs, raster.crs, xs, ys))
    turn, known = _turn(raster), cols[np.isfinite(cols)]
    if turn is not None and len(known):
        cols -= turn * np.round((cols - known[len(known) // 2]) / turn)
    return np.stack([rows, cols])


def _moved(affine: Affine, xs: NDArray[np.float64], ys: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    a, b, c, d, e, f = affine[:6]
    return a * xs + b * ys + c, d * xs + e * ys + f


def _transformed(crs: Any, other: Any, xs: NDArray[np.float64], ys: NDArray[np.float64]) -> NDArray[np.float64]:
    """Transform places to another CRS ``(2, y, x)``; NaN where they have none in it."""
    try:
        moved = np.array(transform(crs, other, xs.ravel().tolist(), ys.ravel().tolist()))
    except (RasterioError, CPLE_BaseError):  # one place without is enough
        moved = np.array([_transformed_one(crs, other, x, y) for x, y in zip(xs.flat, ys.flat, strict=True)]).T
    return np.where(np.isfinite(moved).all(axis=0), moved, np.nan).reshape(2, *xs.shape)


def _transformed_one(crs: Any, other: Any, x: float, y: float) -> tuple[float, float]:
    try:
        (moved_x,), (moved_y,) = transform(crs, other, [x], [y])
    except (RasterioError, CPLE_BaseError):
        return math.nan, math.nan
    return moved_x, moved_y


def _turn(raster: DatasetReader) -> float | None:
    """Tell how many columns of a raster go around the earth; None where its columns are no meridians."""
    return abs(360.0 / raster.transform.a) if raster.crs.is_geographic and raster.transform.a else None


def _steps(places: NDArray[np.float64], shape: tuple[int, int]) -> tuple[int, int]:
    """Tell how many rows and columns of a raster are averaged to one, as a pixel of the grid covers that many."""
    height, width = shape
    moved = np.hypot(
        np.diff(places, axis=1)[:, :, :-1] * (_LATTICE - 1) / height,
        np.diff(places, axis=2)[:, :-1] * (_LATTICE - 1) / width,
    )
    usual = [float(np.median(part[np.isfinite(part)])) if np.isfinite(part).any() else 1.0 for part in moved]
    return max(1, int(usual[0])), max(1, int(usual[1]))


def _needed(places: NDArray[np.float64], steps: tuple[int, int], raster: DatasetReader) -> Window | None:
    """Give the window of a raster that interpolation at places needs, in whole steps; None where there is none.

    Columns of a raster in degrees may lie beyond its edges.
    """
    known = np.isfinite(places).all(axis=0)
    if not known.any():
        return None
    # Between the places of the lattice a window's edge may bend further; more where some places are not known.
    bend = 0.01 if known.all() else 0.1
    spans: list[tuple[int, int]] = []
    for values, step, side in zip(places[:, known], steps, raster.shape, strict=True):
        margin = MARGIN_PX * step + bend * (values.max() - values.min())
        first, last = math.floor((values.min() - margin) / step), math.ceil((values.max() + margin) / step)
        if not spans or _turn(raster) is None:
            first, last = max(first, 0), min(last, math.ceil(side / step))
        spans.append((first * step, last * step))
    (top, bottom), (left, right) = spans
    if top >= bottom or left >= right:
        return None
    return Window(row=top, col=left, height=bottom - top, width=right - left)


def _heights(raster: DatasetReader, window: Window, steps: tuple[int, int]) -> Float32:
    """Read a window of a raster, averaged over what is known in each step; NaN where nothing is.

    Every pixel is read, some rows at once: overviews may have mixed the holes with what is around.
    """
    down, right = steps
    rows = max(1, VALUES_AT_ONCE // (window.width * down)) * down
    parts = []
    for first in range(window.row, window.row + window.height, rows):
        part = replace(window, row=first, height=min(rows, window.row + window.height - first))
        metres = _unchanged(raster, part)
        if steps != (1, 1):
            blocks = metres.reshape(part.height // down, down, part.width // right, right)
            known = np.isfinite(blocks)
            total = np.where(known, blocks, np.float32(0)).sum(axis=(1, 3))
            number = known.sum(axis=(1, 3))
            metres = np.where(number > 0, total / np.maximum(number, 1), np.float32(np.nan)).astype(np.float32)
        parts.append(metres)
    return np.concatenate(parts)


def _unchanged(raster: DatasetReader, window: Window) -> Float32:
    """Read a window of a raster as it is; NaN in holes and beyond it, where it does not go on around the earth."""
    metres = np.full(window.shape, np.nan, np.float32)
    height, width = raster.shape
    bottom = min(window.row + window.height, height)
    for begin in _begins(window, width, _turn(raster)):
        left, right = max(window.col, begin), min(window.col + window.width, begin + width)
        if left < right:
            area = RasterWindow(left - begin, window.row, right - left, bottom - window.row)
            values = raster.read(1, window=area, masked=True).astype(np.float32).filled(np.nan)
            metres[: bottom - window.row, left - window.col : right - window.col] = values
    metres[~((metres >= EXTREMES_M[0]) & (metres <= EXTREMES_M[1]))] = np.nan
    return metres


def _begins(window: Window, width: int, turn: float | None) -> list[int]:
    """Give the columns at which a raster begins that meet a window: one, or some that lie a turn apart."""
    if turn is None:
        return [0]
    first, last = math.floor((window.col - width) / turn), math.ceil((window.col + window.width) / turn)
    return [round(number * turn) for number in range(first, last + 1)]
