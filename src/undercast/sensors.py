"""Sensors: tables of bands, radiometry and optics; data, not code."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from undercast.bands import COMMON_RANGES, COMMON_WAVELENGTHS, Band, canonical_name, may_be_called
from undercast.errors import SensorError
from undercast.radiometry import Scaling
from undercast.types import PRODUCT_LEVELS, ProductLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class Optics:
    """What blurs and disturbs a sensor's image; used by the simulator."""

    psf_sigma_px: float = 0.45
    """Standard deviation of the Gaussian point spread, in pixels of the sensor's gsd."""
    psf_scale: tuple[float, ...] = ()
    """Each band's point spread over ``psf_sigma_px``; empty: all the same."""
    snr: float = 200.0
    """Signal-to-noise ratio at reflectance 0.3."""
    bits: int = 12
    """Bits of quantisation over reflectance 0 to 1.5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """One sensor."""

    id: str
    """Name on the command line, such as ``landsat-8-oli``."""
    title: str
    """Name for people."""
    platforms: tuple[str, ...]
    """STAC platform ids that carry it."""
    instrument: str
    """STAC instrument id."""
    gsd: float
    """Ground sample distance of the main bands, in metres."""
    bands: tuple[Band, ...]
    """Bands in the provider's order."""
    scaling: Scaling | None = None
    """Usual scaling of stored digital numbers; None where it depends on the product."""
    level: ProductLevel | None = None
    """What the usual scaling leads to."""
    optics: Optics = Optics()
    """Blur, noise and quantisation."""
    aliases: tuple[str, ...] = ()
    """Other names, lower case."""

    def band(self, name: str) -> Band | None:
        """Find a band by the provider's name or by its common name; None where there is none."""
        wanted = name.strip().lower()
        for band in self.bands:
            if wanted in {band.name.lower(), band.common_name}:
                return band
        padded = f"{wanted[:1]}0{wanted[1:]}"
        return next((band for band in self.bands if band.name.lower() == padded), None)


def sensor_ids() -> tuple[str, ...]:
    """List the ids of the sensors that come with undercast, sorted."""
    folder = resources.files("undercast") / "data" / "sensors"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


@cache
def load_sensors() -> tuple[Sensor, ...]:
    """Load every sensor that comes with undercast."""
    folder = resources.files("undercast") / "data" / "sensors"
    return tuple(parse_sensor((folder / f"{name}.toml").read_text("utf-8"), origin=name) for name in sensor_ids())


def load_sensor(name: str | Path) -> Sensor:
    """Load a sensor by id, alias, platform or the path of a TOML file.

    Raises:
        SensorError: If nothing answers to the name, or the file is wrong.
    """
    if isinstance(name, Path) or str(name).endswith(".toml"):
        return read_sensor(Path(name))
    wanted = str(name).strip().lower()
    for sensor in load_sensors():
        if wanted in {sensor.id, *sensor.aliases, *sensor.platforms}:
            return sensor
    msg = (
        f"sensor {name!r} is not known. Known: {', '.join(sensor_ids())};"
        " or give the path of your own .toml (see CONTRIBUTING.md, add a sensor)."
    )
    raise SensorError(msg)


def read_sensor(path: Path) -> Sensor:
    """Read a person's own sensor table.

    Raises:
        SensorError: If the file is missing or wrong.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        msg = f"sensor table {path} cannot be read: {error.strerror or error}."
        raise SensorError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"sensor table {path} is not text (UTF-8)."
        raise SensorError(msg) from error
    return parse_sensor(text, origin=str(path))


def parse_sensor(text: str, *, origin: str) -> Sensor:
    """Parse a sensor table.

    Args:
        text: TOML.
        origin: Where it comes from, for messages.

    Raises:
        SensorError: If a key is missing, of the wrong type, or a value impossible.
    """
    try:
        return _sensor(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        msg = f"sensor table {origin} is not TOML: {error}."
        raise SensorError(msg) from error
    except SensorError as error:
        msg = f"sensor table {origin}: {error}."
        raise SensorError(msg) from error


_REQUIRED = object()
"""Stands for the default of a key that must be there."""
_SENSOR_KEYS = (
    "id",
    "title",
    "platforms",
    "instrument",
    "gsd",
    "aliases",
    "bands",
    "radiometry",
    "simulation",
)
_RADIOMETRY_KEYS = ("scale", "offset", "level")
_BAND_KEYS = ("name", "common_name", "center_wavelength", "full_width_half_max", "gsd")
_LARGEST_BITS = 32
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def _sensor(table: Mapping[str, Any]) -> Sensor:
    _check_keys(table, _SENSOR_KEYS, "the table")
    sensor_id = _text(table, "id", "")
    if not _ID.fullmatch(sensor_id):
        msg = f"id must be letters, digits, '-', '_' and '.', got {sensor_id!r}"
        raise SensorError(msg)
    gsd = _positive(table, "gsd", "")
    bands = tuple(_band(row, default_gsd=gsd) for row in _tables(table, "bands"))
    names = [band.name for band in bands]
    if len(set(names)) != len(names):
        msg = f"band names must be unique, got {', '.join(names)}"
        raise SensorError(msg)
    scaling, level = _radiometry(table)
    return Sensor(
        id=sensor_id,
        title=_text(table, "title", "", default=sensor_id),
        platforms=_texts(table, "platforms"),
        instrument=_text(table, "instrument", "", default=""),
        gsd=gsd,
        bands=bands,
        scaling=scaling,
        level=level,
        optics=_optics(table, len(bands)),
        aliases=_texts(table, "aliases"),
    )


def _radiometry(table: Mapping[str, Any]) -> tuple[Scaling | None, ProductLevel | None]:
    if "radiometry" not in table:
        return None, None
    radiometry = _table(table, "radiometry")
    _check_keys(radiometry, _RADIOMETRY_KEYS, "[radiometry]")
    level = radiometry.get("level")
    if level not in PRODUCT_LEVELS:
        msg = f"radiometry.level must be one of {', '.join(PRODUCT_LEVELS)}, got {level!r}"
        raise SensorError(msg)
    scale = _positive(radiometry, "scale", "radiometry.")
    return Scaling(scale=scale, offset=_number(radiometry, "offset", "radiometry.")), level


def _optics(table: Mapping[str, Any], bands: int) -> Optics:
    if "simulation" not in table:
        return Optics()
    simulation = _table(table, "simulation")
    _check_keys(simulation, tuple(field.name for field in fields(Optics)), "[simulation]")
    usual, where = Optics(), "simulation."
    sigma = _number(simulation, "psf_sigma_px", where, default=usual.psf_sigma_px)
    bits = simulation.get("bits", usual.bits)
    if sigma < 0.0:
        msg = f"simulation.psf_sigma_px must not be negative, got {sigma:g}"
        raise SensorError(msg)
    if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= _LARGEST_BITS:
        msg = f"simulation.bits must be a whole number from 1 to {_LARGEST_BITS}, got {bits!r}"
        raise SensorError(msg)
    snr = _positive(simulation, "snr", where, default=usual.snr)
    return Optics(psf_sigma_px=sigma, psf_scale=_psf_scale(simulation, bands), snr=snr, bits=bits)


def _psf_scale(simulation: Mapping[str, Any], bands: int) -> tuple[float, ...]:
    scales = simulation.get("psf_scale", [])
    numbers = isinstance(scales, list) and all(
        isinstance(scale, int | float) and not isinstance(scale, bool) and 0.0 < scale < math.inf for scale in scales
    )
    if not numbers or len(scales) not in {0, bands}:
        msg = f"simulation.psf_scale must be a list of {bands} numbers above 0, one per band, got {scales!r}"
        raise SensorError(msg)
    return tuple(float(scale) for scale in scales)


def _band(row: Mapping[str, Any], *, default_gsd: float) -> Band:
    name = _text(row, "name", "each band's ")
    where = f"band {name}: "
    _check_keys(row, _BAND_KEYS, f"band {name}")
    center = _number(row, "center_wavelength", where)
    if not 0.3 <= center <= 15.0:  # ultraviolet to thermal
        msg = f"{where}center_wavelength must be 0.3 to 15 micrometres, got {center:g} (nanometres?)"
        raise SensorError(msg)
    width = _number(row, "full_width_half_max", where)
    if not 0.0 < width < center:
        msg = f"{where}full_width_half_max must be in (0, {center:g}) micrometres, got {width:g}"
        raise SensorError(msg)
    return Band(
        name=name,
        common_name=_common_name(row, center, where) or nearest_common_name(center) or name.lower(),
        center_wavelength=center,
        full_width_half_max=width,
        gsd=_positive(row, "gsd", where, default=default_gsd),
    )


def _common_name(row: Mapping[str, Any], center: float, where: str) -> str:
    """Read a common name; empty where none is stated."""
    stated = _text(row, "common_name", where, default="").lower()
    if not stated:
        return ""
    name = stated if stated in COMMON_RANGES else canonical_name(stated)
    if name is None:
        msg = f"{where}common_name must be one of {', '.join(COMMON_RANGES)}, got {stated!r}"
        raise SensorError(msg)
    if not may_be_called(name, center):
        shortest, longest = COMMON_RANGES[name]
        near = nearest_common_name(center)
        way_out = f"write {near!r}" if near else "leave common_name out"
        msg = (
            f"{where}common_name {stated!r} stands for {shortest:g} to {longest:g} micrometres,"
            f" got center_wavelength {center:g}; correct it, or {way_out}"
        )
        raise SensorError(msg)
    return name


def _check_keys(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    if unknown := sorted(set(table) - set(known)):
        msg = f"{where} has unknown keys: {', '.join(unknown)}. Known: {', '.join(known)}"
        raise SensorError(msg)


def _value(table: Mapping[str, Any], key: str, where: str, default: object) -> object:
    if key in table:
        return table[key]
    if default is _REQUIRED:
        msg = f"{where}{key} is missing"
        raise SensorError(msg)
    return default


def _text(table: Mapping[str, Any], key: str, where: str, *, default: object = _REQUIRED) -> str:
    value = _value(table, key, where, default)
    if not isinstance(value, str) or (default is _REQUIRED and not value.strip()):
        msg = f"{where}{key} must be a text, got {value!r}"
        raise SensorError(msg)
    return value.strip()


def _number(table: Mapping[str, Any], key: str, where: str, *, default: object = _REQUIRED) -> float:
    value = _value(table, key, where, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        msg = f"{where}{key} must be a finite number, got {value!r}"
        raise SensorError(msg)
    return float(value)


def _positive(table: Mapping[str, Any], key: str, where: str, *, default: object = _REQUIRED) -> float:
    value = _number(table, key, where, default=default)
    if value <= 0.0:
        msg = f"{where}{key} must be greater than 0, got {value:g}"
        raise SensorError(msg)
    return value


def _texts(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = table.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        msg = f'{key} must be a list of texts, e.g. {key} = ["a", "b"], got {values!r}'
        raise SensorError(msg)
    return tuple(value.strip().lower() for value in values)


def _table(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = table[key]
    if not isinstance(value, dict):
        msg = f"{key} must be a table [{key}], got {value!r}"
        raise SensorError(msg)
    return value


def _tables(table: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    rows = _value(table, key, "", _REQUIRED)
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        msg = f"{key} must be at least one table [[{key}]]"
        raise SensorError(msg)
    return rows


def nearest_common_name(center_wavelength: float) -> str | None:
    """Name a band by the common name whose typical centre is nearest, in micrometres.

    Returns:
        The name; None where the centre is far from what that name stands for, as at 1.24 um.
    """
    name = min(COMMON_WAVELENGTHS, key=lambda name: abs(COMMON_WAVELENGTHS[name][0] - center_wavelength))
    return name if may_be_called(name, center_wavelength) else None
