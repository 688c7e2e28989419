"""North: where it lies on a grid, and where the sun stands seen from the grid."""

from __future__ import annotations

import math
from dataclasses import replace

from rasterio._err import CPLE_BaseError
from rasterio.errors import CRSError, RasterioError
from rasterio.warp import transform

from undercast.grids import Grid
from undercast.scene import SunAngles

LONLAT = "EPSG:4326"

STEP_DEGREES = 0.01
"""How far from the grid's centre, along its meridian, a second place is looked at: about a kilometre."""


def north_of(grid: Grid) -> float:
    """Give the direction of north at a grid's centre, in degrees clockwise from the y axis of its CRS.

    In UTM it is a few degrees at most; in polar and continental projections it can be any.

    Returns:
        In [-180, 180]; 0 where the grid is geographic or not georeferenced, or its place on the earth cannot be told.
    """
    if grid.crs is None or grid.geographic:
        return 0.0
    a, b, c, d, e, f = grid.transform
    row, col = grid.shape[0] / 2, grid.shape[1] / 2
    x, y = a * col + b * row + c, d * col + e * row + f
    try:
        (longitude,), (latitude,) = transform(grid.crs, LONLAT, [x], [y])[:2]
        # Towards the equator, so that the second place is on the earth, too.
        step = -math.copysign(STEP_DEGREES, latitude)
        (other_x,), (other_y,) = transform(LONLAT, grid.crs, [longitude], [latitude + step])[:2]
    except (RasterioError, CRSError, CPLE_BaseError):
        return 0.0
    north = math.degrees(math.atan2((other_x - x) / step, (other_y - y) / step))
    return north if math.isfinite(north) else 0.0


def sun_on_grid(sun: SunAngles, grid: Grid) -> SunAngles:
    """Give where the sun stands with the azimuth counted from the y axis of a grid's CRS, not from north."""
    return replace(sun, azimuth=(sun.azimuth + north_of(grid)) % 360.0)
