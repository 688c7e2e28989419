"""Elevation: the height of the ground from a raster, warped to a scene's grid as it is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterWindow

from undercast.errors import GridError, SceneError
from undercast.grids import Grid
from undercast.readers.base import gdal_path, short_name
from undercast.types import Float32
from undercast.windows import Window

EXTREMES_M = (-9_000.0, 12_000.0)
"""Range of heights; others are holes that a raster does not declare, or the deepest seas."""
HOLES = (-9999, -32768, -32767)
"""Values that holes have where a raster does not declare them; they are looked for before anything is interpolated."""
SEARCHED_PX = 1024
"""Side of what is searched for them, at most, in pixels of the raster or of its overviews."""
LOOKED_PX = 256
"""Side of what ``known_share`` looks at, at most, in pixels."""


@lru_cache(maxsize=16)
def _hole(source: str) -> float | None:
    """Find the value that the holes of a raster have which declares none; None where no such value is met."""
    with rasterio.open(gdal_path(source)) as raster:
        shape = tuple(min(side, SEARCHED_PX) for side in raster.shape)
        values = raster.read(1, out_shape=shape, resampling=Resampling.nearest)
    return next((float(value) for value in HOLES if (values == value).any()), None)


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
        height, width = grid.shape
        area = RasterWindow(window.col, window.row, window.width, window.height)
        try:
            with rasterio.open(gdal_path(self.source)) as raster:
                if raster.crs is None or grid.crs is None:
                    msg = f"{self.source}: expected a georeferenced elevation and scene, got one without CRS."
                    raise GridError(msg)
                with WarpedVRT(
                    raster,
                    crs=grid.crs,
                    transform=Affine(*grid.transform),
                    height=height,
                    width=width,
                    resampling=resampling,
                    src_nodata=_hole(self.source) if raster.nodata is None else raster.nodata,
                    # Beyond the raster there is no elevation, also where the raster declares no nodata.
                    nodata=np.nan,
                    dtype="float32",
                ) as warped:
                    metres = np.asarray(warped.read(1, window=area), np.float32)
        except RasterioError as error:
            msg = f"elevation {self.source} cannot be read: {' '.join(str(error).split())}."
            raise SceneError(msg) from error
        metres[(metres < EXTREMES_M[0]) | (metres > EXTREMES_M[1])] = np.nan
        return metres
