"""On a grid: rasters of codes, and areas, brought to the grid of a scene or a mask window by window."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterWindow

from undercast.errors import GridError, SceneError
from undercast.grids import Grid
from undercast.readers.areas import outside, read_area
from undercast.types import Bool
from undercast.windows import Window

Zone: TypeAlias = Callable[[Window], Bool]
"""Window of a grid -> True where a pixel lies in the zone, ``(y, x)``."""

VECTOR_SUFFIXES = (".geojson", ".json")
"""Ends of the names of zones that are polygons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodesOnGrid:
    """The first layer of a raster, in the windows of a grid; each pixel takes the nearest code."""

    source: Path
    """Raster in any CRS; one without CRS must have the grid's shape."""
    grid: Grid
    """The grid."""

    def __call__(self, window: Window) -> tuple[NDArray[Any], Bool]:
        """Read a window of the grid.

        Returns:
            Codes ``(y, x)``, and where the raster says something: inside of it, and not its nodata.

        Raises:
            SceneError: If the raster cannot be read.
            GridError: If the two do not fit.
        """
        area = RasterWindow(window.col, window.row, window.width, window.height)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                with rasterio.open(self.source) as raster:
                    if self._fits(raster):
                        return raster.read(1, window=area), raster.read_masks(1, window=area) != 0
                    beyond = MaskFlags.all_valid in raster.mask_flag_enums[0]
                    with self._warped(raster, add_alpha=beyond) as warped:
                        # As a mask, GDAL takes the alpha layer of 8 and 16 bits without sign alone.
                        told = warped.read(warped.count, window=area) if beyond else warped.read_masks(1, window=area)
                        return warped.read(1, window=area), told != 0
        except RasterioError as error:
            msg = f"{self.source} cannot be read: {' '.join(str(error).split())}."
            raise SceneError(msg) from error

    def _warped(self, raster: Any, *, add_alpha: bool) -> Any:
        """Bring it to the grid; where it declares nothing missing, an alpha layer tells what lies beyond it."""
        height, width = self.grid.shape
        return WarpedVRT(
            raster,
            crs=self.grid.crs,
            transform=Affine(*self.grid.transform),
            height=height,
            width=width,
            resampling=Resampling.nearest,
            add_alpha=add_alpha,
        )

    def _fits(self, raster: Any) -> bool:
        """Tell whether the raster lies on the grid; where one has no CRS, it must."""
        if raster.crs is not None and self.grid.crs is not None:
            aligned = np.allclose(raster.transform[:6], self.grid.transform, rtol=1e-9, atol=1e-9)
            return raster.shape == self.grid.shape and aligned and raster.crs == CRS.from_user_input(self.grid.crs)
        if raster.shape != self.grid.shape:
            msg = (
                f"{self.source}: expected {self.grid.shape} px, because it or the other raster has no CRS,"
                f" got {raster.shape}. Georeference both, or bring them to one grid."
            )
            raise GridError(msg)
        return True


def zone_on_grid(source: Path, grid: Grid) -> Zone:
    """Open a zone: polygons (GeoJSON in longitude and latitude), or a raster that is not 0 inside the zone.

    Raises:
        SceneError: If it cannot be read.
        GridError: If polygons are given for a grid without CRS.
    """
    if source.suffix.lower() not in VECTOR_SUFFIXES:
        codes = CodesOnGrid(source=source, grid=grid)

        def raster_zone(window: Window) -> Bool:
            values, told = codes(window)
            return np.asarray((values != 0) & told, np.bool_)

        return raster_zone
    if grid.crs is None:
        msg = f"{source}: expected a georeferenced mask to find its polygons in, got one without CRS."
        raise GridError(msg)
    area = read_area(source)
    return lambda window: ~outside(area, grid, window)
