"""Grids: shape, affine transform and coordinate reference system of a raster."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from undercast.windows import Window

METERS_PER_DEGREE = 111_320.0
"""Length of a degree of latitude, and of longitude at the equator."""

EARTH_RADIUS_M = 6_378_137.0
"""Radius of the sphere on which web maps are drawn."""

_MERCATOR = re.compile(
    r'(?:PROJECTION|METHOD)\["(?:Mercator_1SP|Mercator_Auxiliary|Mercator \(variant A\)|Popular Vis)'
    r"|^EPSG:(?:3857|3395|900913)$",
    re.IGNORECASE,
)
"""CRS of web maps, whose unit is a metre at the equator and less of the ground elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Shape, affine transform and coordinate reference system of a raster."""

    shape: tuple[int, int]
    """Height and width, in pixels."""
    transform: tuple[float, float, float, float, float, float] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    """Affine (a, b, c, d, e, f): x = a*col + b*row + c, y = d*col + e*row + f."""
    crs: str | None = None
    """Coordinate reference system as WKT or ``EPSG:n``; None where the raster is not georeferenced."""
    geographic: bool = False
    """Whether the unit is the degree."""
    unit_m: float = 1.0
    """Length of the unit in metres, where it is not the degree."""

    @property
    def full(self) -> Window:
        """The whole grid as one window."""
        return Window(row=0, col=0, height=self.shape[0], width=self.shape[1])

    @property
    def gsd(self) -> float | None:
        """Ground sample distance along rows, in metres; None where the grid is not georeferenced.

        In degrees it is that along columns: a degree of latitude is as long everywhere, one of longitude is not. On web
        maps it is that of the equator, by which their pixels are known.
        """
        if self.crs is None:
            return None
        a, b, _, d, e, _ = self.transform
        return math.hypot(b, e) * METERS_PER_DEGREE if self.geographic else math.hypot(a, d) * self.unit_m

    @property
    def metres_per_unit(self) -> tuple[float, float]:
        """Metres that a unit of x, and one of y, are long at the grid's centre."""
        _, _, _, d, e, f = self.transform
        y = f + d * self.shape[1] / 2 + e * self.shape[0] / 2
        if self.geographic:
            return METERS_PER_DEGREE * math.cos(math.radians(y)), METERS_PER_DEGREE
        if self.crs is None or not _MERCATOR.search(self.crs):
            return self.unit_m, self.unit_m
        # y is the radius times the inverse Gudermannian of the latitude, so that the cosine of that is 1 / cosh.
        metres = self.unit_m / math.cosh(min(abs(y) * self.unit_m / EARTH_RADIUS_M, math.pi))
        return metres, metres

    @property
    def pixel_size_m(self) -> tuple[float, float] | None:
        """Height and width of a pixel at the grid's centre, in metres; None where the grid is not georeferenced."""
        if self.crs is None:
            return None
        a, b, _, d, e, _ = self.transform
        east, north = self.metres_per_unit
        return math.hypot(b, e) * north, math.hypot(a, d) * east

    def part(self, window: Window) -> Grid:
        """Give the grid of a window."""
        a, b, c, d, e, f = self.transform
        col, row = window.col, window.row
        return replace(self, shape=window.shape, transform=(a, b, a * col + b * row + c, d, e, d * col + e * row + f))
