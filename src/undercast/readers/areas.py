"""Areas: bounds or geometries in longitude and latitude, and the window of a scene that they need."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.features import bounds as bounds_of
from rasterio.features import geometry_mask
from rasterio.transform import Affine
from rasterio.warp import transform, transform_bounds, transform_geom

from undercast.errors import GridError, SceneError, UsageError
from undercast.grids import Grid
from undercast.types import Bool
from undercast.windows import Window

LEAST_M = 1000.0
"""Side, in metres, to which what is read of a scene grows: a network needs to see what lies around."""

LARGEST_FILE = 64 * 1024**2
"""Bytes of a GeoJSON file from which it is refused."""

STEP_DEGREES = 0.01
"""Longest edge of a geometry, in degrees, that is taken for straight in a scene's CRS: about a kilometre."""

MOST_INSERTED = 100_000
"""Places that are inserted on the edges of a geometry, about, at most."""

_DEGREES = "EPSG:4326"
_STEPS = 100
"""Places on each edge of bounds that are transformed."""
_TURNS = (-360.0, 0.0, 360.0)
_SLIVER = 1e-4

Bounds: TypeAlias = tuple[float, float, float, float]
"""West, south, east and north."""
_EARTH: Bounds = (-180.0, -90.0, 180.0, 90.0)

Ring: TypeAlias = list[tuple[float, float]]
"""Places of a closed ring, as longitude and latitude."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A part of the earth."""

    bounds: Bounds
    """West, south, east and north, in degrees."""
    geometry: Mapping[str, Any] | None = field(default=None, hash=False)
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
    """Read the polygons of a GeoJSON file as one area; points, lines and features without a place are passed over.

    Raises:
        SceneError: If it cannot be read, or holds no polygon in longitude and latitude.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            msg = f"{path}: expected a GeoJSON file of at most {LARGEST_FILE // 1024**2} MB, got {size // 1024**2} MB."
            raise SceneError(msg)
        polygons = list(_polygons(_json(path.read_bytes())))
    except OSError as error:
        if isinstance(error, SceneError):
            raise
        msg = f"{path} cannot be read: {error.strerror or error}."
        raise SceneError(msg) from error
    except RecursionError as error:
        msg = f"{path}: expected GeoJSON with polygons in longitude and latitude, got lists in lists without end."
        raise SceneError(msg) from error
    except _OddError as error:
        msg = f"{path}: expected GeoJSON with polygons in longitude and latitude, got {error}."
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


class _OddError(ValueError):
    """What a file holds instead of polygons."""


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise _OddError(f"text that is no JSON (line {error.lineno}, column {error.colno})") from error
    except ValueError as error:  # no UTF-8, or a number of thousands of digits
        raise _OddError("what is no JSON") from error


def _polygons(value: Any) -> Iterator[list[Ring]]:
    """Go through the polygons of a GeoJSON object, each a list of closed rings (RFC 7946)."""
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str):
        raise _OddError(f"{_brief(value)} where an object with a type belongs")
    if kind == "FeatureCollection":
        for feature in _listed(value, "features"):
            yield from _polygons(feature)
    elif kind == "Feature":
        # RFC 7946, section 3.2: a feature without a place has the geometry null.
        if value.get("geometry") is not None:
            yield from _polygons(value["geometry"])
    elif kind == "GeometryCollection":
        for geometry in _listed(value, "geometries"):
            yield from _polygons(geometry)
    elif kind == "MultiPolygon":
        yield from (_rings(rings) for rings in _listed(value, "coordinates"))
    elif kind == "Polygon":
        yield _rings(_listed(value, "coordinates"))


def _listed(value: Mapping[str, Any], key: str) -> list[Any]:
    entries = value.get(key)
    if not isinstance(entries, list):
        raise _OddError(f"a {value['type']} with {key} {_brief(entries)}")
    return entries


def _rings(rings: Any) -> list[Ring]:
    if not isinstance(rings, list) or not rings:
        raise _OddError("a polygon without a ring")
    read = []
    for ring in rings:
        if not isinstance(ring, list):
            raise _OddError(f"{_brief(ring)} where a ring belongs")
        places = [_place(place) for place in ring]
        if len(places) < 4 or places[0] != places[-1]:
            raise _OddError(f"a ring of {len(places)} places that is not closed")
        read.append(places)
    return read


def _place(place: Any) -> tuple[float, float]:
    numbers = place[:2] if isinstance(place, list) else ()
    # Larger ones are no degrees, and may be none that a float holds.
    if len(numbers) < 2 or not all(type(number) in {int, float} and abs(number) < 1e9 for number in numbers):
        raise _OddError(f"{_brief(place)} where a longitude and a latitude belong")
    return float(numbers[0]), float(numbers[1])


def _brief(value: Any) -> str:
    """Show a JSON value in one short line."""
    return "null" if value is None else reprlib.repr(value)


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
    scene = _bounds_in_degrees(grid)
    parts = [part for bounds in _inside(area.bounds, scene) if (part := _pixels(bounds, grid, name=name)) is not None]
    if not parts:
        west, south, east, north = scene
        msg = (
            f"{name}: expected an area inside the scene, which covers {west:.4f},{south:.4f},{east:.4f},{north:.4f};"
            f" got {','.join(f'{value:.4f}' for value in area.bounds)} (west, south, east, north)."
        )
        raise SceneError(msg)
    first = np.min([part[0] for part in parts], axis=0).tolist()
    last = np.max([part[1] for part in parts], axis=0).tolist()
    return Window(row=first[1], col=first[0], height=last[1] - first[1], width=last[0] - first[0])


def _bounds_in_degrees(grid: Grid) -> Bounds:
    """Give the bounds of a grid; east is beyond 180 where it lies across the date line, all if not known."""
    outline = _outline(grid)
    try:
        # A view of a whole side of the earth has corners in space; GDAL would pass over them.
        transform(grid.crs, _DEGREES, [*outline[::2], *outline[::2]], [outline[1], *outline[1::2], outline[3]])
        bounds = transform_bounds(grid.crs, _DEGREES, *outline, densify_pts=_STEPS)
    except (RasterioError, CPLE_BaseError):
        return _EARTH
    if not np.isfinite(bounds).all():
        return _EARTH
    west, south, east, north = bounds
    return (west, south, east if west < east else east + 360.0, north)


def _inside(bounds: Bounds, scene: Bounds) -> list[Bounds]:
    """Cut bounds at those of a scene, which may lie a turn further east or west.

    What lies far from a scene may have no place in its CRS.
    """
    south, north = max(bounds[1], scene[1]), min(bounds[3], scene[3])
    parts = [(max(bounds[0] + turn, scene[0]), south, min(bounds[2] + turn, scene[2]), north) for turn in _TURNS]
    parts = [part for part in parts if part[0] < part[2] and south < north]
    # Half a pixel of a whole earth may lie beyond the date line: areas there would become as wide as the earth.
    least = (scene[2] - scene[0]) * _SLIVER
    return [part for part in parts if part[2] - part[0] >= least] or parts


def _pixels(bounds: Bounds, grid: Grid, *, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Give the first and the last place (column, row) of the pixels that bounds cover; None where they cover none."""
    try:
        moved = transform_bounds(_DEGREES, grid.crs, *bounds, densify_pts=_STEPS)
    except (RasterioError, CPLE_BaseError) as error:
        msg = f"{name}: the area has no place in the scene's CRS: {' '.join(str(error).split())}."
        raise SceneError(msg) from error
    if not np.isfinite(moved).all():
        msg = f"{name}: the area has no place in the scene's CRS."
        raise SceneError(msg)
    height, width = grid.shape
    corners = _moved(~Affine(*grid.transform), moved[::2], moved[1::2])
    # What reaches a millionth of a pixel into another one does not need it.
    first = np.maximum(np.floor(corners.min(axis=0) + 1e-6), 0).astype(np.int64)
    last = np.minimum(np.ceil(corners.max(axis=0) - 1e-6), (width, height)).astype(np.int64)
    return None if (first >= last).any() else (first, last)


def _outline(grid: Grid) -> Bounds:
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
    """Tell which pixels of a window of a grid an area's geometry does not touch, ``(y, x)``.

    Raises:
        SceneError: If the geometry has no place in the grid's CRS.
    """
    if area.geometry is None:
        return np.zeros(window.shape, np.bool_)
    geometry = _geometry_on(area, grid)
    if geometry is None:
        return np.ones(window.shape, np.bool_)
    mask: Bool = geometry_mask([geometry], window.shape, Affine(*grid.part(window).transform), all_touched=True)
    return mask


@lru_cache(maxsize=4)
def _geometry_on(area: Area, grid: Grid) -> Mapping[str, Any] | None:
    """Give what of an area's geometry lies near a grid, in its CRS; None where nothing does.

    Places are inserted on long edges, which are straight in degrees and bent in a CRS.
    """
    polygons = _near(area.geometry or {}, _bounds_in_degrees(grid))
    if not polygons:
        return None
    length = sum(float(np.abs(np.diff(ring, axis=0)).sum()) for rings in polygons for ring in rings)
    step = max(STEP_DEGREES, length / MOST_INSERTED)
    near = [[_denser(ring, step).tolist() for ring in rings] for rings in polygons]
    try:
        moved: Mapping[str, Any] = transform_geom(_DEGREES, grid.crs, {"type": "MultiPolygon", "coordinates": near})
    except (RasterioError, CPLE_BaseError, SystemError) as error:  # SystemError: GDAL gave no reason
        msg = "the area has no place in the scene's CRS: cut its geometry to what the scene shows."
        raise SceneError(msg) from error
    return moved


def _near(geometry: Mapping[str, Any], scene: Bounds) -> list[list[NDArray[np.float64]]]:
    """Cut polygons around a scene, each a list of closed rings; the cuts lie beyond the scene."""
    several = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    margins = (scene[2] - scene[0]) / 10, (scene[3] - scene[1]) / 10
    low, high = np.subtract(scene[:2], margins), np.add(scene[2:], margins)
    polygons = []
    for polygon in several:
        rings = [np.array(ring, np.float64)[:, :2] for ring in polygon]
        first, last = rings[0].min(axis=0), rings[0].max(axis=0)
        for turn in ((degrees, 0.0) for degrees in _TURNS):
            if (np.add(first, turn) > high).any() or (np.add(last, turn) < low).any():
                continue
            cut = [_cut(np.add(ring, turn), (*low.tolist(), *high.tolist())) for ring in rings]
            if len(cut[0]):
                polygons.append([ring for ring in cut if len(ring)])
    return polygons


def _cut(ring: NDArray[np.float64], limits: Bounds) -> NDArray[np.float64]:
    """Cut a closed ring with four lines (Sutherland and Hodgman, 1974); empty where nothing of it lies inside them."""
    places = ring[:-1]
    for side, limit in enumerate(limits):
        axis, sign = side % 2, 1 if side < 2 else -1
        inside = sign * (places[:, axis] - limit) >= 0
        if inside.all():
            continue
        after = np.roll(places, -1, axis=0)
        crosses = inside != np.roll(inside, -1)
        way = np.where(crosses, after[:, axis] - places[:, axis], 1.0)
        met = places + ((limit - places[:, axis]) / way)[:, None] * (after - places)
        met[:, axis] = limit
        places = np.stack([places, met], axis=1)[np.stack([inside, crosses], axis=1)]
    return np.concatenate([places, places[:1]])


def _denser(ring: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Insert places on the edges of a ring so that none is longer than a step along an axis."""
    edges = np.diff(ring, axis=0)
    if np.abs(edges).max() <= step:
        return ring
    parts = np.maximum(np.ceil(np.abs(edges).max(axis=1) / step), 1).astype(int)
    begins = np.repeat(np.cumsum(parts) - parts, parts)
    shares = (np.arange(parts.sum()) - begins) / np.repeat(parts, parts)
    inserted = np.repeat(ring[:-1], parts, axis=0) + shares[:, None] * np.repeat(edges, parts, axis=0)
    return np.concatenate([inserted, ring[-1:]])
