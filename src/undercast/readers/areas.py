"""Areas: bounds or geometries in longitude and latitude, and the window of a scene that they need."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.features import bounds as bounds_of
from rasterio.features import geometry_mask
from rasterio.transform import Affine
from rasterio.warp import transform_bounds, transform_geom

from undercast.errors import GridError, SceneError, UsageError
from undercast.grids import Grid
from undercast.types import Bool
from undercast.windows import Window

LEAST_M = 1000.0
"""Side, in metres, to which what is read of a scene grows: a network needs to see what lies around."""

LARGEST_FILE = 64 * 1024**2
"""Bytes of a GeoJSON file from which it is refused."""

_DEGREES = "EPSG:4326"


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A part of the earth."""

    bounds: tuple[float, float, float, float]
    """West, south, east and north, in degrees."""
    geometry: Mapping[str, Any] | None = None
    """Polygon or MultiPolygon of GeoJSON, in degrees; what lies in the bounds and outside of it becomes nodata."""

    def __post_init__(self) -> None:
        """Refuse bounds that are none."""
        west, south, east, north = self.bounds
        if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
            msg = (
                "expected west < east in -180 to 180 and south < north in -90 to 90 degrees (longitude and latitude),"
                f" got {west:g},{south:g},{east:g},{north:g}. Across the date line, mask two areas."
            )
            raise UsageError(msg)


def read_area(path: Path) -> Area:
    """Read the polygons of a GeoJSON file as one area.

    Raises:
        SceneError: If it cannot be read, or holds no polygon in longitude and latitude.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            msg = f"{path}: expected a GeoJSON file of at most {LARGEST_FILE // 1024**2} MB, got {size // 1024**2} MB."
            raise SceneError(msg)
        polygons = list(_polygons(json.loads(path.read_text("utf-8"))))
    except OSError as error:
        if isinstance(error, SceneError):
            raise
        msg = f"{path} cannot be read: {error.strerror or error}."
        raise SceneError(msg) from error
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
        msg = f"{path}: expected GeoJSON with polygons in longitude and latitude, got {' '.join(str(error).split())}."
        raise SceneError(msg) from error
    if not polygons:
        msg = f"{path}: expected GeoJSON with a Polygon or MultiPolygon, got none."
        raise SceneError(msg)
    geometry = {"type": "MultiPolygon", "coordinates": polygons}
    west, south, east, north = bounds_of(geometry)
    try:
        return Area(bounds=(west, south, east, north), geometry=geometry)
    except UsageError as error:
        msg = f"{path}: {error}"
        raise SceneError(msg) from error


def _polygons(value: Any) -> Iterator[list[list[tuple[float, float]]]]:
    """Go through the polygons of a GeoJSON object, each a list of closed rings (RFC 7946)."""
    kind = value["type"]
    if kind == "FeatureCollection":
        for feature in value["features"]:
            yield from _polygons(feature)
    elif kind == "Feature":
        yield from _polygons(value["geometry"])
    elif kind == "GeometryCollection":
        for geometry in value["geometries"]:
            yield from _polygons(geometry)
    elif kind == "MultiPolygon":
        yield from (_rings(rings) for rings in value["coordinates"])
    elif kind == "Polygon":
        yield _rings(value["coordinates"])


def _rings(rings: Sequence[Any]) -> list[list[tuple[float, float]]]:
    read = [[(float(place[0]), float(place[1])) for place in ring] for ring in rings]
    for ring in read:
        if len(ring) < 4 or ring[0] != ring[-1] or not np.isfinite(ring).all():
            raise ValueError(f"a ring of {len(ring)} places that is not closed or not finite")
    if not read:
        raise ValueError("a polygon without a ring")
    return read


def window_of(area: Area, grid: Grid, *, name: str) -> Window:
    """Give the smallest window of a grid that covers the part of an area inside it.

    Args:
        area: The area.
        grid: Grid of the scene.
        name: The scene, for messages.

    Raises:
        GridError: If the grid is not georeferenced.
        SceneError: If the area lies outside of it.
    """
    if grid.crs is None:
        msg = f"{name}: expected a georeferenced scene to find the area in, got one without CRS."
        raise GridError(msg)
    try:
        bounds = transform_bounds(_DEGREES, grid.crs, *area.bounds, densify_pts=21)
    except RasterioError as error:
        msg = f"{name}: the area has no place in the scene's CRS: {' '.join(str(error).split())}."
        raise SceneError(msg) from error
    height, width = grid.shape
    if not np.isfinite(bounds).all():
        msg = f"{name}: the area has no place in the scene's CRS."
        raise SceneError(msg)
    corners = _moved(~Affine(*grid.transform), bounds[::2], bounds[1::2])
    # What reaches a millionth of a pixel into another one does not need it.
    first = np.maximum(np.floor(corners.min(axis=0) + 1e-6), 0).astype(int)
    last = np.minimum(np.ceil(corners.max(axis=0) - 1e-6), (width, height)).astype(int)
    if (first >= last).any():
        west, south, east, north = transform_bounds(grid.crs, _DEGREES, *_outline(grid))
        msg = (
            f"{name}: expected an area inside the scene, which covers {west:.4f},{south:.4f},{east:.4f},{north:.4f};"
            f" got {','.join(f'{value:.4f}' for value in area.bounds)} (west, south, east, north)."
        )
        raise SceneError(msg)
    (col, row), (right, bottom) = first.tolist(), last.tolist()
    return Window(row=row, col=col, height=bottom - row, width=right - col)


def _outline(grid: Grid) -> tuple[float, float, float, float]:
    height, width = grid.shape
    corners = _moved(Affine(*grid.transform), (0, width), (0, height))
    return (*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())


def _moved(transform: Affine, xs: Sequence[float], ys: Sequence[float]) -> NDArray[np.float64]:
    """Transform the four corners of a rectangle, ``(corner, 2)``."""
    places = np.array([(x, y, 1.0) for x in xs for y in ys])
    return np.asarray(places @ np.array(transform[:6]).reshape(2, 3).T, np.float64)


def with_context(window: Window, grid: Grid, context_px: int) -> Window:
    """Grow a window by some pixels, and to ``LEAST_M`` at least, as far as the grid reaches."""
    pixel = grid.pixel_size_m or (math.inf, math.inf)
    spans = []
    for begin, length, whole, step in zip((window.row, window.col), window.shape, grid.shape, pixel, strict=True):
        more = max(context_px, math.ceil((LEAST_M / step - length) / 2))
        first, last = max(begin - more, 0), min(begin + length + more, whole)
        spans.append((first, last - first))
    (row, height), (col, width) = spans
    return Window(row=row, col=col, height=height, width=width)


def outside(area: Area, grid: Grid, window: Window) -> Bool:
    """Tell which pixels of a window of a grid an area's geometry does not touch, ``(y, x)``."""
    if area.geometry is None:
        return np.zeros(window.shape, np.bool_)
    geometry = transform_geom(_DEGREES, grid.crs, area.geometry)
    transform = Affine(*grid.part(window).transform)
    mask: Bool = geometry_mask([geometry], window.shape, transform, all_touched=True)
    return mask
