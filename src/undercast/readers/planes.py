"""Planes: scenes whose bands are one two-dimensional data set each, with scale, place and status in attributes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast.bands import Band
from undercast.errors import GridError, SceneError, SensorError
from undercast.grids import Grid
from undercast.radiometry import Scaling
from undercast.readers.base import OpenOptions
from undercast.readers.hdf import Plane, PlaneHeader, read_plane, read_plane_header
from undercast.scene import SunAngles
from undercast.sensors import Sensor
from undercast.types import Bool, Float32, UInt8
from undercast.windows import Window

CLEAR, CLOUD, SHADOW, SNOW, UNKNOWN = 0, 1, 2, 3, 255
"""Values of a quality map, as the producer's status map says: clear, cloud, cloud shadow, snow or ice, nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneBand:
    """One band and the plane that holds it."""

    plane: Plane
    """Where its digital numbers are."""
    band: Band
    """Which band it is."""
    scaling: Scaling
    """Digital numbers to reflectance."""
    nodata: tuple[float, ...] = ()
    """Stored values that mean no data."""
    good: int = 0
    """Bits of the status map that are all set where the band is good; 0: the status map says nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanePixels:
    """Pixels of planes that share a grid; files are open only while a window is read."""

    bands: tuple[PlaneBand, ...]
    """Bands of the scene, in order."""
    status: Plane | None = None
    """Status map, where there is one."""

    def read(self, window: Window, bands: Sequence[int]) -> Float32:
        """Read a window of some bands.

        Returns:
            Reflectance ``(band, y, x)``, unitless; NaN where a band has no data or the status map calls it bad.

        Raises:
            SceneError: If a file is truncated, damaged or gone.
        """
        reflectance = np.empty((len(bands), *window.shape), np.float32)
        status = self._status(window) if any(self.bands[band].good for band in bands) else None
        for place, band in enumerate(bands):
            one = self.bands[band]
            stored = read_plane(one.plane, window)
            reflectance[place] = one.scaling.to_reflectance(stored)
            reflectance[place][_without_data(stored, one.nodata)] = np.nan
            if status is not None and one.good:
                reflectance[place][(status & one.good) != one.good] = np.nan
        return reflectance

    def _status(self, window: Window) -> NDArray[np.integer[Any]] | None:
        return None if self.status is None else read_status(self.status, window)


def _without_data(stored: NDArray[Any], nodata: Sequence[float]) -> Bool:
    invalid = ~np.isfinite(stored)
    for value in nodata:
        invalid |= stored == value
    return np.asarray(invalid, np.bool_)


def read_status(plane: Plane, window: Window) -> NDArray[np.integer[Any]]:
    """Read a window of a status map.

    Returns:
        Its lowest 16 bits, however it is stored: no status map here has a bit above them.

    Raises:
        SceneError: If it cannot be read, or does not hold integers.
    """
    stored = read_plane(plane, window)
    if not np.issubdtype(stored.dtype, np.integer):
        msg = f"{plane.label}: expected a status map of integers, got {stored.dtype}."
        raise SceneError(msg)
    return stored.astype(np.uint16, copy=False)


def read_quality(plane: Plane, decode: Callable[[NDArray[np.integer[Any]]], UInt8]) -> UInt8:
    """Read a whole status map as a quality map.

    Returns:
        ``(y, x)``: 0 clear, 1 cloud, 2 cloud shadow, 3 snow or ice, 255 where it says nothing.
    """
    height, width = read_plane_header(plane).shape
    return decode(read_status(plane, Window(row=0, col=0, height=height, width=width)))


def as_text(value: object) -> str:
    """Read an attribute as text: HDF keeps texts as bytes, or as arrays of one or more of them."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip("\0 ")
    if isinstance(value, np.ndarray):
        return " ".join(as_text(part) for part in value.reshape(-1)[:16])
    return str(value).strip("\0 ")


def as_number(value: object, name: str, *, what: str) -> float:
    """Read an attribute as a finite number.

    Raises:
        SceneError: If it is missing or none.
    """
    try:
        found = float(as_text(value)) if value is not None else math.nan
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        got = "none" if value is None else repr(as_text(value)[:40])
        msg = f"{what}: expected a number as attribute {name}, got {got}."
        raise SceneError(msg)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """How a data set stores its values."""

    scaling: Scaling
    """Digital numbers to reflectance, or to degrees."""
    nodata: tuple[float, ...] = ()
    """Stored values that mean no data."""


def vito_coding(attributes: Mapping[str, Any], *, what: str) -> Coding:
    """Read SCALE, OFFSET and NO_DATA: ``reflectance = (dn - OFFSET) / SCALE``.

    Source: PROBA-V Products User Manual, attributes of the HDF5 data sets.

    Raises:
        SceneError: If SCALE or OFFSET is missing, one is no number, or SCALE is not above 0.
    """
    scale, offset = (as_number(attributes.get(name), name, what=what) for name in ("SCALE", "OFFSET"))
    divisor = positive(scale, "SCALE", what=what)
    return Coding(
        scaling=Scaling(scale=1.0 / divisor, offset=-offset / divisor),
        nodata=as_nodata(attributes, "NO_DATA", what=what),
    )


def positive(value: float, name: str, *, what: str) -> float:
    """Refuse a divisor that is not above 0.

    Raises:
        SceneError: If it is not; ``name`` is the attribute's.
    """
    if value <= 0.0:
        msg = f"{what}: expected attribute {name} above 0, got {value:g}."
        raise SceneError(msg)
    return value


def as_nodata(attributes: Mapping[str, Any], name: str, *, what: str) -> tuple[float, ...]:
    """Read the stored value that means no data, where it is declared.

    Raises:
        SceneError: If it is no number.
    """
    value = attributes.get(name)
    return () if value is None else (as_number(value, name, what=what),)


def plane_band(plane: Plane, band: Band, coding: Coding, options: OpenOptions, *, good: int = 0) -> PlaneBand:
    """Make a band of what the product says and what the person says; a scaling of the person's wins."""
    return PlaneBand(
        plane=plane,
        band=band,
        scaling=options.scaling or coding.scaling,
        nodata=coding.nodata if options.nodata is None else (*coding.nodata, options.nodata),
        good=good,
    )


def as_grid(attributes: Mapping[str, Any], shape: tuple[int, int], *, what: str) -> Grid:
    """Read MAPPING: projection, the reference point's place in its pixel (x, y), its longitude and latitude, the steps.

    Raises:
        SceneError: If it is missing, of another projection, or impossible.
    """
    mapping = attributes.get("MAPPING")
    parts = [as_text(part) for part in np.asarray(mapping).reshape(-1)] if mapping is not None else []
    if len(parts) < 7 or not parts[0].lower().startswith("geographic"):
        msg = (
            f"{what}: expected attribute MAPPING with 'Geographic Lat/Lon' and six numbers, got {parts[:7] or 'none'}."
        )
        raise SceneError(msg)
    in_x, in_y, lon, lat, dx, dy = (as_number(part, "MAPPING", what=what) for part in parts[1:7])
    height, width = shape
    if min(dx, dy) <= 0.0 or abs(lat) > 91.0 or abs(lon) > 361.0 or dy * height > 181.0 or dx * width > 361.0:
        msg = f"{what}: expected a place on Earth as attribute MAPPING, got {parts[3:7]} for {height} x {width} px."
        raise SceneError(msg)
    return degrees_grid(shape, (lon - in_x * dx, lat + in_y * dy), (dx, dy))


def degrees_grid(shape: tuple[int, int], corner: tuple[float, float], step: tuple[float, float]) -> Grid:
    """Make a grid of longitudes and latitudes from its upper left corner and its steps, in degrees."""
    transform = (step[0], 0.0, corner[0], 0.0, -step[1], corner[1])
    return Grid(shape=shape, transform=transform, crs="EPSG:4326", geographic=True)


def value_at_centre(plane: Plane, read_coding: Callable[..., Coding]) -> float:
    """Read the value at a map's centre; NaN where it has no data there.

    Args:
        plane: Where the map is.
        read_coding: Reads from its attributes how it is stored, like ``vito_coding``.

    Raises:
        SceneError: If the map is missing or damaged.
    """
    header = read_plane_header(plane)
    coding = read_coding(header.attributes, what=plane.label)
    height, width = header.shape
    stored = float(read_plane(plane, Window(row=height // 2, col=width // 2, height=1, width=1))[0, 0])
    return math.nan if stored in coding.nodata else stored * coding.scaling.scale + coding.scaling.offset


def sun_angles(zenith: float, azimuth: float, *, what: str) -> SunAngles | None:
    """Make sun angles of degrees; None where one is NaN.

    Raises:
        SceneError: If an angle is impossible.
    """
    if math.isnan(zenith) or math.isnan(azimuth):
        return None
    if not 0.0 <= zenith <= 180.0 or not -360.0 <= azimuth <= 720.0:
        msg = f"{what}: expected the sun's zenith and azimuth in degrees, got {zenith:g} and {azimuth:g}."
        raise SceneError(msg)
    return SunAngles(zenith=zenith, azimuth=azimuth % 360.0)


def sensor_bands(sensor: Sensor, names: Sequence[str], grid: Grid, *, what: str) -> list[Band]:
    """Take bands of a sensor by their names, at the gsd of a product's grid.

    Raises:
        SensorError: If the sensor has no band of such a name.
    """
    bands = [sensor.band(name) for name in names]
    if missing := [name for name, band in zip(names, bands, strict=True) if band is None]:
        has = ", ".join(band.name for band in sensor.bands)
        msg = f"{what}: expected a sensor with the bands {', '.join(missing)}, got {sensor.id} with {has}."
        raise SensorError(msg)
    return [replace(band, gsd=grid.gsd) for band in bands if band is not None]


def check_shapes(headers: Mapping[str, PlaneHeader], *, what: str) -> None:
    """Refuse planes of different shapes.

    Raises:
        GridError: If they differ; it says which.
    """
    first, *others = headers
    for other in others:
        if headers[other].shape != headers[first].shape:
            shapes = f"{headers[first].shape} of {first} and {headers[other].shape} of {other}"
            msg = f"{what}: expected all data sets of one shape, got {shapes}."
            raise GridError(msg)
