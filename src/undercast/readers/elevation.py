"""Elevation: the height of the ground from a raster, warped to a scene's grid as it is read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterWindow

from undercast.errors import GridError, SceneError
from undercast.grids import Grid
from undercast.readers.base import gdal_path
from undercast.types import Float32
from undercast.windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Elevation:
    """The height of the ground, in the windows of a grid."""

    source: str
    """Raster with the height above the sea in its first layer, in metres, in any CRS."""
    grid: Grid
    """Grid of the scene."""

    def __call__(self, window: Window) -> Float32:
        """Read a window of the scene's grid.

        Returns:
            Metres above the sea ``(y, x)``, interpolated linearly; NaN where the raster says nothing.

        Raises:
            SceneError: If the raster cannot be read.
            GridError: If it or the scene is not georeferenced.
        """
        height, width = self.grid.shape
        area = RasterWindow(window.col, window.row, window.width, window.height)
        try:
            with rasterio.open(gdal_path(self.source)) as raster:
                if raster.crs is None or self.grid.crs is None:
                    msg = f"{self.source}: expected a georeferenced elevation and scene, got one without CRS."
                    raise GridError(msg)
                with WarpedVRT(
                    raster,
                    crs=self.grid.crs,
                    transform=Affine(*self.grid.transform),
                    height=height,
                    width=width,
                    resampling=Resampling.bilinear,
                    # Beyond the raster there is no elevation, also where the raster declares no nodata.
                    nodata=np.nan,
                    dtype="float32",
                ) as warped:
                    metres = warped.read(1, window=area)
        except RasterioError as error:
            msg = f"elevation {self.source} cannot be read: {' '.join(str(error).split())}."
            raise SceneError(msg) from error
        return np.asarray(metres, np.float32)
