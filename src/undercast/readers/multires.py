"""Multires: bands of several resolutions over the same ground, on one grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import rasterio

from undercast.errors import GridError
from undercast.grids import Grid
from undercast.readers.layers import RasterHeader
from undercast.scene import PixelSource
from undercast.types import Float32
from undercast.windows import Window

_LARGEST_FACTOR = 1000.0
_EDGE_PX = 2.0
"""Pixels by which images may stick out of the ground that metadata declare: corners are told by centre or by edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where metadata say that a product lies."""

    epsg: int
    """Code of the coordinate reference system."""
    left: float
    """Smallest x."""
    bottom: float
    """Smallest y."""
    right: float
    """Largest x."""
    top: float
    """Largest y."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilledPixels:
    """Pixels that have no data where another layer has none."""

    pixels: PixelSource
    """Where the pixels come from."""
    fill: PixelSource
    """Its first band has no data where none of the pixels has."""

    def read(self, window: Window, bands: Sequence[int]) -> Float32:
        """Read a window of some bands."""
        reflectance = self.pixels.read(window, bands)
        reflectance[:, np.isnan(self.fill.read(window, [0])[0])] = np.nan
        return reflectance


def refuse_elsewhere(grid: Grid, ground: Ground | None, *, what: str) -> None:
    """Refuse images that lie elsewhere than their metadata say; a part of the ground is fine.

    Args:
        grid: Of the images.
        ground: Of the metadata; None where they do not say it.
        what: The product, for messages.

    Raises:
        GridError: If the coordinate reference systems differ, or the images stick out.
    """
    if ground is None:
        return
    epsg = None if grid.crs is None else rasterio.CRS.from_user_input(grid.crs).to_epsg()
    if epsg is not None and epsg != ground.epsg:
        msg = f"{what}: expected images in EPSG:{ground.epsg} as in the metadata, got EPSG:{epsg}. Are they its own?"
        raise GridError(msg)
    left, top, right, bottom = _corners(grid)
    margin = _EDGE_PX * max(abs(grid.transform[0]), abs(grid.transform[4]))
    inside = (
        min(left, right) >= ground.left - margin
        and max(left, right) <= ground.right + margin
        and min(top, bottom) >= ground.bottom - margin
        and max(top, bottom) <= ground.top + margin
    )
    if not inside:
        msg = (
            f"{what}: expected images inside ({ground.left:.10g}, {ground.top:.10g}) to"
            f" ({ground.right:.10g}, {ground.bottom:.10g}) as in the metadata,"
            f" got ({left:.10g}, {top:.10g}) to ({right:.10g}, {bottom:.10g}). Are they its own?"
        )
        raise GridError(msg)


def common_grid(headers: Sequence[RasterHeader], resolution: float | None, *, what: str) -> Grid:
    """Give the grid that bands are read on.

    Args:
        headers: Of the bands' files.
        resolution: Ground sample distance, in metres; that of the finest file unless given.
        what: The product, for messages.

    Raises:
        GridError: If the files do not cover the same ground, or the resolution does not part it evenly.
    """
    finest = min(headers, key=lambda header: abs(header.grid.transform[0]))
    for header in headers:
        if not _same_ground(finest.grid, header.grid):
            msg = (
                f"{what}: expected all bands over the same ground, got {_place(finest)} and {_place(header)}."
                " Is a file of another product among them?"
            )
            raise GridError(msg)
    native = finest.grid.gsd
    if resolution is None or resolution == native:
        return finest.grid
    if native is None:
        msg = f"{what}: its pixels have no size in metres, so that {resolution:g} m cannot be read. Leave it out."
        raise GridError(msg)
    factor = resolution / native
    height, width = (side / factor for side in finest.grid.shape)
    if not (
        1 / _LARGEST_FACTOR < factor < _LARGEST_FACTOR and height == int(height) and width == int(width) and height >= 1
    ):
        rows, cols = finest.grid.shape
        msg = (
            f"{what}: {rows} x {cols} px of {native:g} m do not make whole pixels of {resolution:g} m."
            f" Choose a multiple of {native:g} m that parts it evenly, or native."
        )
        raise GridError(msg)
    a, b, c, d, e, f = finest.grid.transform
    transform = (a * factor, b * factor, c, d * factor, e * factor, f)
    return replace(finest.grid, shape=(int(height), int(width)), transform=transform)


def _same_ground(one: Grid, other: Grid) -> bool:
    """Tell whether two grids cover the same ground, up to a pixel of the coarser one."""
    if one.crs != other.crs:
        return False
    largest = max(abs(one.transform[0]), abs(other.transform[0]))
    return all(abs(a - b) < largest for a, b in zip(_corners(one), _corners(other), strict=True))


def _corners(grid: Grid) -> tuple[float, float, float, float]:
    a, b, c, d, e, f = grid.transform
    height, width = grid.shape
    return c, f, c + a * width + b * height, f + d * width + e * height


def _place(header: RasterHeader) -> str:
    left, top, right, bottom = _corners(header.grid)
    name = header.source.rpartition("/")[2]
    return f"{name} at ({left:.10g}, {top:.10g}) to ({right:.10g}, {bottom:.10g})"
