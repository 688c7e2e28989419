"""Metadata of SPOT, Pleiades and Take5 products: the document, what it says of its image, and checked values of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element

from undercast.errors import SceneError
from undercast.radiometry import Scaling
from undercast.readers.xml import number, optional_text, text
from undercast.scene import SunAngles
from undercast.types import ProductLevel

PLACEHOLDER = 999.0
"""What the metadata hold where the producer left the solar irradiance open."""
LARGEST_DISAGREEMENT = 0.2
"""Share by which a solar irradiance of the metadata may differ from the published value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A metadata file."""

    path: Path
    """Where it is."""
    root: Element
    """Its root."""

    def text(self, path: str) -> str:
        """Read the text on a path; SceneError where there is none."""
        return text(self.root, path, origin=str(self.path))

    def optional_text(self, path: str) -> str | None:
        """Read the text on a path; None where there is none."""
        return optional_text(self.root, path)

    def number(self, path: str, element: Element | None = None) -> float:
        """Read the number on a path from the root, or from an element; SceneError where there is none."""
        return number(self.root if element is None else element, path, origin=str(self.path))

    def error(self, message: str) -> SceneError:
        """Make the error for what is wrong with it."""
        return SceneError(f"{self.path}: {message}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What a product says of its image."""

    name: str
    """Name of the scene."""
    sensor: str
    """Sensor id."""
    source: str
    """File that holds the pixels."""
    scalings: Mapping[str, Scaling]
    """Band -> digital numbers to reflectance, in the order of the file's layers."""
    level: ProductLevel | None
    """Kind of reflectance."""
    nodata: tuple[float, ...]
    """Stored values without data."""
    acquired: datetime
    """Time of acquisition."""
    sun: SunAngles
    """Sun angles."""
    note: str = ""
    """What a person should know, for the records."""


def earth_sun_distance(day_of_year: int) -> float:
    """Give the distance of the Earth from the Sun, in astronomical units, to about 3e-4.

    Source: the usual one-term formula, e.g. Landsat 7 Science Data Users Handbook; perihelion on 4 January.
    """
    return 1.0 - 0.01672 * math.cos(math.radians(0.9856 * (day_of_year - 4)))


def to_toa(gain: float, bias: float, irradiance: float, *, acquired: datetime, sun: SunAngles) -> Scaling:
    """Make the scaling from digital numbers to top-of-atmosphere reflectance.

    Args:
        gain: Digital numbers per W m-2 sr-1 um-1.
        bias: Radiance of digital number 0, in W m-2 sr-1 um-1.
        irradiance: E0, in W m-2 um-1.
        acquired: Its day gives the distance of the Sun.
        sun: Its zenith is below 90 degrees.
    """
    distance = earth_sun_distance(acquired.timetuple().tm_yday)
    factor = math.pi * distance**2 / (irradiance * math.cos(math.radians(sun.zenith)))
    return Scaling(scale=factor / gain, offset=factor * bias)


def checked_sun(document: Document, elevation: float, azimuth: float) -> SunAngles:
    """Make sun angles of degrees.

    Raises:
        SceneError: If the sun is below the horizon, or an angle is impossible.
    """
    if not 0.0 < elevation <= 90.0 or not -360.0 <= azimuth <= 360.0:
        raise document.error(
            f"expected the sun above the horizon, got elevation {elevation:g} and azimuth {azimuth:g} degrees."
        )
    return SunAngles(zenith=90.0 - elevation, azimuth=azimuth % 360.0)


def checked_gain(document: Document, gain: float, band: str) -> float:
    """Refuse a gain that is not above 0.

    Raises:
        SceneError: If it is not.
    """
    if gain <= 0.0:
        raise document.error(f"expected a gain above 0 for band {band}, got {gain:g}.")
    return gain


def irradiance_of(document: Document, band: str, own: float | None, published: float) -> float:
    """Take the solar irradiance of the metadata; the published one where they leave it open.

    Raises:
        SceneError: If the two are far from each other, as they are where bands are exchanged.
    """
    if own is None or own == PLACEHOLDER:
        return published
    if abs(own / published - 1.0) > LARGEST_DISAGREEMENT:
        raise document.error(
            f"expected a solar irradiance of about {published:g} W m-2 um-1 for band {band}, got {own:g}."
            " Are the bands in another order?"
        )
    return own


def acquired_at(document: Document, date: str, time: str | None) -> datetime:
    """Read a time of acquisition, in UTC unless it says otherwise.

    Raises:
        SceneError: If it is none.
    """
    try:
        moment = datetime.fromisoformat(f"{date.strip()}T{(time or '00:00:00').strip()}")
    except ValueError as error:
        msg = f"expected a date and a time, got {date[:20]!r} and {(time or '')[:20]!r}."
        raise document.error(msg) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def inside(document: Document, href: str) -> str:
    """Give the path of a file that metadata name; it must lie in their folder.

    Raises:
        SceneError: If it would lie elsewhere.
    """
    parts = PurePosixPath(href.replace("\\", "/"))
    if not href.isprintable() or not href or parts.is_absolute() or ".." in parts.parts or ":" in href:
        raise document.error(f"expected the name of a file beside it, got {href[:60]!r}, which is refused.")
    return str(document.path.parent / parts)


def nodata_values(document: Document, path: str, value: str) -> tuple[float, ...]:
    """Read stored values that mean no data; 0 where none is declared. Saturated pixels are bright, not empty."""
    found = [
        document.number(value, element)
        for element in document.root.iterfind(path)
        if "NODATA" in (optional_text(element, "SPECIAL_VALUE_TEXT") or "").upper().replace(" ", "")
    ]
    return tuple(found) or (0.0,)


def image_file(document: Document, path: str) -> str:
    """Find the image; where it comes in several tiles, GDAL puts them together by the metadata file.

    Raises:
        SceneError: If one is missing, or leads elsewhere.
    """
    hrefs = [element.get("href", "") for element in document.root.iterfind(f"{path}/DATA_FILE_PATH")]
    files = [inside(document, href) for href in hrefs]
    if not files:
        raise document.error("expected the name of an image, got none.")
    if missing := [file for file in files if not Path(file).is_file()]:
        raise document.error(
            f"expected the image {Path(missing[0]).name} beside it, got none. Is the product complete?"
        )
    return files[0] if len(files) == 1 else str(document.path)
