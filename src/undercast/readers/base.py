"""What every reader shares: the options, the protocol, and how a layer learns which band it is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import DTypeLike

from undercast.bands import Band, band_from_name, canonical_name
from undercast.errors import BandError, SceneError
from undercast.radiometry import Scaling
from undercast.scene import Scene
from undercast.sensors import Sensor, load_sensors
from undercast.types import ProductLevel

SKIP_NAMES = ("-", "_", "")
"""Band names that leave a layer out."""

LONGEST_SIDE = 2_000_000
"""Rows or columns above which a file is not taken for a scene; the earth in pixels of 30 m has 1 335 834."""

LARGEST_SCALE = 1e6
"""Scale or offset above which neither leads to reflectance."""

REMOTE_PREFIXES = {"http": "/vsicurl/http://", "https": "/vsicurl/https://", "s3": "/vsis3/", "gs": "/vsigs/"}
"""Scheme of a source -> what GDAL wants in its place."""

_BRACKETED = re.compile(r"^(?P<outer>[^()]+?)\s*\((?P<inner>[^()]+)\)$")
_NUMBERED = re.compile(r"^b0?(?P<number>\d{1,2})(?P<letter>a?)$")
_PLACEHOLDER = re.compile(r"^(band|layer)[ _]?\d+$")
_DECORATION = re.compile(r"(^(sr|toa|toc|boa|rho|reflectance)[ _]+)|([ _]+(sr|toa|toc|boa|rho|reflectance|band)$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOptions:
    """What a person says about a scene that the scene does not say itself."""

    bands: tuple[str, ...] | None = None
    """One name per layer in file order: common name or the sensor's name; ``-`` or ``_`` skips the layer."""
    sensor: Sensor | None = None
    """Sensor, where the source does not say it."""
    scaling: Scaling | None = None
    """Digital numbers to reflectance; wins over what the source says."""
    level: ProductLevel | None = None
    """Kind of reflectance; wins over what the source says."""
    nodata: float | None = None
    """Stored value that means no data, beside those that the source declares."""
    name: str | None = None
    """Short name of the scene."""
    resolution: float | None = None
    """Ground sample distance that products with bands of several resolutions are read at, in metres; the finest unless
    given."""


class Reader(Protocol):
    """A product format: an object, or a module, with these two functions.

    A format whose sources may hold several scenes has a third, ``members(source)``, which lists them as sources
    of their own.
    """

    def accepts(self, source: str) -> bool:
        """Tell from the name or a first look whether this reader is the one for the source."""
        ...

    def open(self, source: str, options: OpenOptions) -> Scene:
        """Open the source lazily.

        Raises:
            UndercastError: Of the class that fits, in one line with the way out.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """Which band each layer is."""

    bands: tuple[Band | None, ...]
    """One per layer; None where the layer is left out."""
    origin: str
    """Where the names come from, for the records."""


def is_remote(source: str) -> bool:
    """Tell whether a source lies behind a network."""
    scheme, separator, _ = source.partition("://")
    known = bool(separator) and scheme.lower() in REMOTE_PREFIXES
    return known or source.startswith(("/vsicurl", "/vsis3", "/vsigs", "/vsiaz"))


def is_unsigned() -> bool:
    """Tell whether requests to S3 are not signed, by the variable that GDAL reads too."""
    return os.environ.get("AWS_NO_SIGN_REQUEST", "").upper() in {"YES", "TRUE", "ON", "1"}


def gdal_path(source: str) -> str:
    """Give GDAL's name for a path or a URL."""
    scheme, separator, rest = source.partition("://")
    prefix = REMOTE_PREFIXES.get(scheme.lower())
    return prefix + rest if separator and prefix is not None else source


def list_folder(folder: str | Path) -> list[Path]:
    """List a folder in order; nothing where it cannot be listed, which is told when it is opened."""
    try:
        return sorted(Path(folder).iterdir())
    except OSError:
        return []


def short_name(source: str) -> str:
    """Give the name of a file without its folder and suffix."""
    path = urlsplit(source).path if "://" in source else source
    return PurePosixPath(path.replace("\\", "/").rstrip("/")).stem or "scene"


def band_called(text: str, sensor: Sensor | None = None) -> Band | None:
    """Find the band that a text names, or None if it names none.

    Understands common names and their spellings, the sensor's own names where the sensor is given (``B4`` for ``B04``
    and the other way round), and both with a remark: ``B2 (blue)``, ``Blue (B0)``, ``SR_B4``.
    """
    return next((band for band in (_exact_band(spelling, sensor) for spelling in _spellings(text)) if band), None)


def _spellings(text: str) -> Iterator[str]:
    stripped = text.strip()
    yield stripped
    bracketed = _BRACKETED.match(stripped)
    if bracketed is not None:
        yield bracketed["outer"]
        yield bracketed["inner"].strip()
    bare = _DECORATION.sub("", stripped.lower())
    if bare != stripped.lower():
        yield bare


def _exact_band(text: str, sensor: Sensor | None) -> Band | None:
    common_name = canonical_name(text)
    if sensor is not None:
        numbered = _NUMBERED.match(text.lower())
        unpadded = f"B{numbered['number']}{numbered['letter']}" if numbered is not None else text
        band = sensor.band(text) or sensor.band(unpadded) or (sensor.band(common_name) if common_name else None)
        if band is not None:
            return band
    return band_from_name(text) if common_name is not None else None


def bands_from_caller(names: Sequence[str], layers: int, *, what: str, sensor: Sensor | None) -> Naming:
    """Read the names that a person gave, one per layer.

    Args:
        names: Names in the order of the layers.
        layers: Number of layers.
        what: The source, for messages.
        sensor: Whose band names are understood beside common names.

    Raises:
        BandError: If there are more or fewer names than layers, or one is unknown or used twice.
    """
    if len(names) != layers:
        msg = (
            f"{what}: expected one band name per layer, got {len(names)} names for {layers} layers."
            " Leave a layer out with '-', e.g. --bands blue,green,red,-"
        )
        raise BandError(msg)
    bands = tuple(None if name.strip() in SKIP_NAMES else _known_band(name, what, sensor) for name in names)
    return _checked(Naming(bands=bands, origin="caller"), what)


def _known_band(name: str, what: str, sensor: Sensor | None) -> Band:
    band = band_called(name, sensor)
    if band is None:
        own = f", or of {sensor.id}: {', '.join(band.name for band in sensor.bands)}" if sensor is not None else ""
        msg = (
            f"{what}: band {name!r} is not known. Use a common name (blue, green, red, nir, swir16, ...){own};"
            f" '-' leaves the layer out.{sensor_hint([name]) if sensor is None else ''}"
        )
        raise BandError(msg)
    return band


def bands_from_texts(texts: Sequence[str | None], *, what: str, sensor: Sensor | None, origin: str) -> Naming | None:
    """Read band descriptions, or None if not one of them names a band.

    Layers whose text names no band (thermal, quality, alpha) are left out.

    Raises:
        BandError: If two layers name the same band.
    """
    useful = [text if text and not _PLACEHOLDER.match(text.strip().lower()) else None for text in texts]
    bands = tuple(band_called(text, sensor) if text else None for text in useful)
    if not any(bands):
        return None
    return _checked(Naming(bands=bands, origin=origin), what)


def bands_from_preset(layers: int, sensor: Sensor | None) -> Naming | None:
    """Take the sensor's bands in their order, or None if their number is not that of the layers."""
    if sensor is None or len(sensor.bands) != layers:
        return None
    return Naming(bands=sensor.bands, origin=f"sensor {sensor.id}")


def _checked(naming: Naming, what: str) -> Naming:
    seen: dict[tuple[str, float], int] = {}
    for number, band in enumerate(naming.bands, start=1):
        if band is None:
            continue
        key = (band.common_name, band.center_wavelength)
        if key in seen:
            msg = (
                f"{what}: layers {seen[key]} and {number} are both called {band.common_name} ({naming.origin})."
                " Name each layer once with --bands; '-' leaves a layer out."
            )
            raise BandError(msg)
        seen[key] = number
    if not seen:
        msg = f"{what}: expected at least one band, got only layers that are left out."
        raise BandError(msg)
    return naming


def unnamed_error(texts: Sequence[str | None], *, what: str, sensor: Sensor | None) -> BandError:
    """Make the error for a source of which nothing tells the bands."""
    said = ", ".join(text for text in texts if text)
    got = f"got {said}" if said else "got no descriptions"
    if sensor is not None:
        preset = f" Sensor {sensor.id} has {len(sensor.bands)} bands, so its order says nothing here."
    else:
        preset = " Or name the sensor with --sensor, if the layers are its bands in their order or by their names."
    example = ",".join(("blue", "green", "red", "nir", "swir16", "swir22")[: len(texts)])
    msg = (
        f"{what}: expected to learn which band each of the {len(texts)} layers is, {got}."
        f" Name them with --bands, e.g. --bands {example} ('-' leaves a layer out).{preset}"
        f"{sensor_hint([text for text in texts if text]) if sensor is None else ''}"
    )
    return BandError(msg)


def sensor_hint(texts: Sequence[str]) -> str:
    """Say which sensors know all of these names, as the end of a message; empty where none does."""
    if not texts:
        return ""
    ids = [sensor.id for sensor in load_sensors() if all(band_called(text, sensor) for text in texts)]
    return f" Sensors with bands of these names: {', '.join(ids)}." if ids else ""


def skipped_layers(naming: Naming, texts: Sequence[str | None]) -> str:
    """List the layers that are left out, for the records."""
    left_out = [
        f"{number} ({text})" if text else str(number)
        for number, (band, text) in enumerate(zip(naming.bands, texts, strict=True), start=1)
        if band is None
    ]
    return ", ".join(left_out)


def chosen_bands(offered: Sequence[Band], options: OpenOptions, *, what: str, sensor: Sensor | None) -> list[int]:
    """Choose bands of a product that names them itself: those that the person names, in that order, else all.

    Returns:
        Positions in ``offered``.

    Raises:
        BandError: If one is not offered, or none is left.
    """
    if options.bands is None:
        return list(range(len(offered)))
    places = []
    for name in (name.strip() for name in options.bands if name.strip() not in SKIP_NAMES):
        known = band_called(name, sensor)
        names = {name, *(() if known is None else (known.name, known.common_name))}
        place = next((place for place, band in enumerate(offered) if {band.name, band.common_name} & names), None)
        if place is None or place in places:
            has = ", ".join(f"{band.name} ({band.common_name})" for band in offered)
            wrong = "is not in it" if place is None else "is named twice"
            msg = f"{what}: band {name!r} {wrong}. It has {has}."
            raise BandError(msg)
        places.append(place)
    if not places:
        msg = f"{what}: expected at least one band, got only names that leave layers out."
        raise BandError(msg)
    return places


def preset_scaling(options: OpenOptions, dtype: DTypeLike) -> Scaling | None:
    """Give the sensor's usual scaling where it applies: integers, and no other product level asked for."""
    sensor = options.sensor
    if sensor is None or sensor.scaling is None or not np.issubdtype(np.dtype(dtype), np.integer):
        return None
    return sensor.scaling if options.level in {None, sensor.level} else None


def checked_scaling(scaling: Scaling, *, what: str) -> Scaling:
    """Refuse a scale or an offset that a source declares and that cannot lead to reflectance.

    Raises:
        SceneError: If the scale is 0, or one of the two is not finite or far too large.
    """
    if not (0.0 < abs(scaling.scale) <= LARGEST_SCALE and abs(scaling.offset) <= LARGEST_SCALE):
        msg = (
            f"{what}: expected a finite scale other than 0 and a finite offset, it declares"
            f" {scaling.scale:g} and {scaling.offset:g}. Say the right ones with --scale and --offset."
        )
        raise SceneError(msg)
    return scaling


def check_sides(shape: Sequence[int], *, what: str) -> None:
    """Refuse sides that no scene has, before memory is taken for them.

    Raises:
        SceneError: If a side is empty or longer than ``LONGEST_SIDE``.
    """
    if min(shape) < 1 or max(shape) > LONGEST_SIDE:
        msg = f"{what}: expected 1 to {LONGEST_SIDE} rows and columns, got {' x '.join(map(str, shape))}."
        raise SceneError(msg)


def record(**entries: str | None) -> dict[str, str]:
    """Collect provenance, without what is empty."""
    return {key: value for key, value in entries.items() if value}
