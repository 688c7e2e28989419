"""Bands of an item that undercast did not write: named, described beside it, or only told in prose."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from undercast.bands import (
    COMMON_RANGES,
    COMMON_WAVELENGTHS,
    Band,
    canonical_name,
    may_be_called,
    tolerance_um,
)
from undercast.models.applicability import find_sensor
from undercast.models.members import MODEL_ROLE
from undercast.models.table import Table
from undercast.sensors import Sensor, nearest_common_name

DESCRIPTIONS = ("eo:bands", "raster:bands", "bands")
"""Fields of an item's properties or of a model asset that describe bands."""

PROSE_NAMES = {"nearinfrared": "nir", "nearir": "nir", "shortwaveinfrared": "swir16", "shortwaveir": "swir16"}
"""Words for a band in prose, in lower case without blanks and hyphens -> common name."""

MOST_BANDS = 64
"""Bands that a model has at most."""

LONGEST_NAME = 200
"""Characters of a band's name at most; a longer one is not read as prose."""

_WAVELENGTH = re.compile(r"(\d{3,5}(?:\.\d+)?)\s*nm|(\d(?:\.\d+)?)\s*(?:um|µm|μm|micrometers)", re.IGNORECASE)
_PROSE = re.compile(r"\s*([^(]*?)\s*\(\s*([^,)]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prose:
    """What the name of a band says in words."""

    common_name: str | None
    """Common name."""
    code: str | None
    """The provider's name, in brackets."""
    center_wavelength: float | None
    """Centre wavelength, in micrometres."""


def read_bands(item: Table, model_input: Table, sensors: tuple[str, ...], notes: list[str]) -> tuple[Band, ...]:
    """Read the bands of a model's input, in their order.

    Args:
        item: The item.
        model_input: The object of ``mlm:input``.
        sensors: Sensors that the item names; their tables fill in what it does not say.
        notes: Is given what was assumed.

    Raises:
        ModelError: If there are no bands, one is computed, or nothing tells its wavelength.
    """
    described = describe_bands(item)
    names = band_names(model_input) or tuple(described)
    if not 0 < len(names) <= MOST_BANDS or len(set(names)) != len(names):
        got = ", ".join(names[:MOST_BANDS]) or "none"
        raise model_input.wrong(key="bands", expected=f"1 to {MOST_BANDS} bands, each once", got=got)
    known = [sensor for name in sensors if (sensor := find_sensor(name)) is not None]
    assumed: dict[str, list[str]] = {}
    bands = tuple(
        _band(name, described.get(name) or Table(values={}, origin=model_input.origin), known, assumed)
        for name in names
    )
    notes.extend(f"{what}: {', '.join(of)}" for what, of in assumed.items())
    return bands


def band_names(model_input: Table) -> tuple[str, ...]:
    """Give the names of an input's bands.

    Raises:
        ModelError: If a band is no name, or is computed from others.
    """
    names = []
    rows = model_input.values.get("bands") or ()
    if not isinstance(rows, list | tuple):
        raise model_input.wrong(key="bands", expected="a list of bands", got=repr(rows))
    for row in rows:
        values: Mapping[str, Any] = row if isinstance(row, Mapping) else {"name": row}
        if "expression" in values:
            expected = "bands of the scene; give the model the bands that it is computed from"
            raise model_input.wrong(key="bands", expected=expected, got=f"an expression for {values.get('name')!r}")
        names.append(Table(values=values, origin=f"{model_input.origin}: bands").text("name"))
    return tuple(names)


def describe_bands(item: Table) -> dict[str, Table]:
    """Gather what an item says of its bands, by name: in its properties and in its model assets."""
    described: dict[str, Table] = {}
    for row in _descriptions(item):
        name = row.optional_text("name")
        if name is not None:
            before = described.get(name)
            described[name] = (
                row if before is None else Table(values={**row.values, **before.values}, origin=row.origin)
            )
    return described


def read_prose(name: str) -> Prose:
    """Read what a band's name says in words, such as ``Near-Infrared (B3, ~835nm)``."""
    if len(name) > LONGEST_NAME:
        return Prose(common_name=None, code=None, center_wavelength=None)
    found = _PROSE.match(name)
    words, code = (found.group(1), found.group(2).strip()) if found else (name, "")
    wavelength = _WAVELENGTH.search(name)
    center = None
    if wavelength is not None:
        nanometres, micrometres = wavelength.groups()
        center = float(nanometres) / 1000.0 if nanometres else float(micrometres)
    key = words.lower().replace(" ", "").replace("-", "")
    return Prose(
        common_name=canonical_name(words) or PROSE_NAMES.get(key),
        code=code if re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,7}", code) else None,
        center_wavelength=center,
    )


def _descriptions(item: Table) -> Iterator[Table]:
    assets = item.table("assets", default={})
    places = [item.table("properties")]
    places += [row for row in map(assets.table, assets.values) if MODEL_ROLE in row.texts("roles", default=())]
    for place in places:
        for key in DESCRIPTIONS:
            yield from place.tables(key, default=())


def _band(name: str, row: Table, sensors: list[Sensor], assumed: dict[str, list[str]]) -> Band:
    prose = read_prose(name)
    told = row.optional_text("common_name") or row.optional_text("eo:common_name")
    common = (_common_name(told) if told else None) or _common_name(name) or prose.common_name
    listed = [band for sensor in sensors if (band := sensor.band(common or name) or sensor.band(name)) is not None]
    center = _wavelength(row, "center_wavelength")
    width = _wavelength(row, "full_width_half_max")
    if center is None and prose.center_wavelength is not None:
        center = prose.center_wavelength
        _note(assumed, "centre wavelengths are taken from the bands' names", f"{common or name} {center:g} um")
    if center is None:
        center = _assumed_center(row, name, common, listed)
        source = f"of {sensors[0].id}" if listed else "typical of their names"
        _note(assumed, f"centre wavelengths are not stated, assumed {source}", f"{common or name} {center:g} um")
    common = _checked_name(common or (listed[0].common_name if listed else None), center)
    if width is None:
        width = listed[0].full_width_half_max if listed else _typical(common)[1]
        source = f"of {sensors[0].id}" if listed else "typical of their names"
        _note(assumed, f"widths of bands are not stated, assumed {source}", f"{common} {width:g} um")
    return Band(
        name=prose.code or name,
        common_name=common,
        center_wavelength=center,
        full_width_half_max=width,
        gsd=row.optional_number("gsd"),
    )


def _assumed_center(row: Table, name: str, common: str | None, listed: list[Band]) -> float:
    if listed:
        return listed[0].center_wavelength
    if common is None:
        expected = "a wavelength for each band (eo:bands with center_wavelength), or a common name"
        raise row.wrong(key="bands", expected=expected, got=repr(name))
    return _typical(common)[0]


def _wavelength(row: Table, key: str) -> float | None:
    """Read a wavelength, in micrometres, under the name of eo 1 or eo 2."""
    for field in (key, f"eo:{key}"):
        value = row.optional_number(field)
        if value is not None:
            if not 0.0 < value < 100.0:
                raise row.wrong(key=field, expected="micrometres", got=value)
            return value
    return None


def _common_name(text: str) -> str | None:
    """Read a common name, also one without a typical wavelength here: pan and those of thermal bands."""
    name = text.strip().lower()
    return name if name in COMMON_RANGES else canonical_name(text)


def _typical(common: str) -> tuple[float, float]:
    """Give the typical centre and width of a common name, in micrometres; else those of its range."""
    if common in COMMON_WAVELENGTHS:
        return COMMON_WAVELENGTHS[common]
    shortest, longest = COMMON_RANGES[common]
    return (shortest + longest) / 2, longest - shortest


def _checked_name(common: str | None, center: float) -> str:
    """Keep a name that fits the wavelength; else give the common name whose typical wavelength is nearest."""
    if common is not None and _fits(common, center):
        return common
    return min(COMMON_WAVELENGTHS, key=lambda name: abs(COMMON_WAVELENGTHS[name][0] - center))


def _fits(name: str, center: float) -> bool:
    """Tell whether a common name, or a sensor's own name for a band far from all of them, fits a wavelength."""
    if name in COMMON_WAVELENGTHS:
        typical, width = COMMON_WAVELENGTHS[name]
        band = Band(name=name, common_name=name, center_wavelength=typical, full_width_half_max=width)
        return abs(typical - center) <= tolerance_um(band)
    return may_be_called(name, center) if name in COMMON_RANGES else nearest_common_name(center) is None


def _note(assumed: dict[str, list[str]], what: str, of: str) -> None:
    assumed.setdefault(what, []).append(of)
