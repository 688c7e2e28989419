"""Rules of STAC 1.1 items and of the extensions that a model's item uses, by their names in the JSON schemas.

Sources: https://schemas.stacspec.org/v1.1.0/item-spec/json-schema/item.json and
https://stac-extensions.github.io/{file/v2.1.0,eo/v1.1.0,raster/v1.1.0}/schema.json.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from undercast.models.item import COMMON_NAMES
from undercast.models.lint.mlm_rules import DATA_TYPES
from undercast.models.lint.shapes import (
    Check,
    Fault,
    Path,
    above_zero,
    array,
    either,
    fault,
    is_number,
    mapping,
    named,
    number,
    one_of,
    or_null,
    record,
    text,
    whole,
)

STAC_VERSION = "1.1.0"
"""Version of STAC whose rules these are."""

EXTENSION = "https://stac-extensions.github.io/{}/schema.json"
"""Identifier of an extension's schema, by name and version."""

POSITION_DEPTHS = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}
"""Type of a geometry -> lists around its positions."""

LEAST_POSITIONS = {"LineString": 2, "MultiLineString": 2, "Polygon": 4, "MultiPolygon": 4}
"""Type of a geometry -> positions of a line or ring at least."""

_TIME = text(r"(\+00:00|Z)$")
_COMMON: dict[str, Check] = {
    "title": text(),
    "description": text(filled=True),
    "keywords": array(text()),
    "roles": array(text()),
    "datetime": or_null(_TIME),
    **dict.fromkeys(("start_datetime", "end_datetime", "created", "updated"), _TIME),
    "license": text(r"^[\w\-\.\+]+$"),
    **dict.fromkeys(("platform", "constellation", "mission"), text()),
    "instruments": array(text()),
    "gsd": above_zero(),
    "bands": array(record({"name": text()})),
}
_LINK = record(
    {**_COMMON, "href": text(filled=True), "rel": text(filled=True), "type": text()}, required=("rel", "href")
)
_ASSET = record({**_COMMON, "href": text(filled=True), "type": text()}, required=("href",))
_EO_BANDS = array(
    record(
        {
            "name": text(),
            "description": text(filled=True),
            "common_name": one_of(COMMON_NAMES),
            "center_wavelength": number(),
            "full_width_half_max": number(),
            "solar_illumination": number(),
        },
        least=1,
    ),
    least=1,
)
_RASTER_BANDS = array(
    record(
        {
            "data_type": one_of(DATA_TYPES),
            "unit": text(),
            "bits_per_sample": whole(),
            "sampling": one_of(("area", "point")),
            "nodata": either("a number, nan, inf or -inf", number(), one_of(("nan", "inf", "-inf"))),
            **dict.fromkeys(("scale", "offset", "spatial_resolution"), number()),
            "statistics": record(
                dict.fromkeys(("mean", "minimum", "maximum", "stddev", "valid_percent"), number()), closed="", least=1
            ),
        },
        least=1,
    ),
    least=1,
)
_FILE = {
    "file:byte_order": one_of(("big-endian", "little-endian")),
    "file:checksum": text(r"^[a-f0-9]+$"),
    "file:header_size": whole(0),
    "file:size": whole(0),
    "file:values": array(
        record(
            {"values": array(lambda _value, _path: iter(()), least=1), "summary": text(filled=True)},
            required=("values", "summary"),
        ),
        least=1,
    ),
    "file:local_path": text(r"^[^\r\n\t\\:'\"/]+(/[^\r\n\t\\:'\"/]+)*/?$"),
}
_EO = {"eo:bands": _EO_BANDS, "eo:cloud_cover": number(), "eo:snow_cover": number()}


def core_faults(item: Mapping[str, Any]) -> Iterator[Fault]:
    """Give what in an item breaks the rules of STAC 1.1."""
    top = record(
        {
            "type": one_of(("Feature",)),
            "stac_version": one_of((STAC_VERSION,)),
            "stac_extensions": array(text(), unique=True),
            "id": text(filled=True),
            "links": named("links", array(_LINK)),
            "assets": named("assets", mapping(_ASSET)),
            "properties": named("properties", record(_COMMON)),
        },
        required=("type", "stac_version", "id", "geometry", "links", "assets", "properties"),
    )
    yield from named("core", top)(item, ())
    yield from named("core: geometry and bbox", _place)(item, ())
    yield from named("properties: datetime", _times)(item.get("properties"), ("properties",))
    yield from _collection(item)
    yield from _bands_of_assets(item, "bands", "core: properties/bands")


def extension_faults(item: Mapping[str, Any]) -> Iterator[tuple[str, Fault]]:
    """Give what breaks the rules of the extensions that an item declares, with the extension."""
    declared = item.get("stac_extensions")
    for name, check in EXTENSION_CHECKS.items():
        if isinstance(declared, list) and EXTENSION.format(name) in declared:
            for found in check(item):
                yield name, found


def _place(item: Any, path: Path) -> Iterator[Fault]:
    geometry = item.get("geometry")
    if geometry is None:
        if "bbox" in item:
            yield fault((*path, "bbox"), "no bbox without geometry", item["bbox"])
        return
    bbox = item.get("bbox")
    if not isinstance(bbox, list) or len(bbox) not in {4, 6} or not all(map(is_number, bbox)):
        yield fault((*path, "bbox"), "4 or 6 numbers", bbox)
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind == "GeometryCollection":
        return
    if not isinstance(kind, str) or kind not in POSITION_DEPTHS:
        yield fault((*path, "geometry"), f"a geometry of {', '.join(POSITION_DEPTHS)}", geometry)
    elif not _positions(geometry.get("coordinates"), POSITION_DEPTHS[kind], LEAST_POSITIONS.get(kind, 0)):
        yield fault((*path, "geometry", "coordinates"), f"the positions of a {kind}", geometry.get("coordinates"))


def _positions(value: object, depth: int, least: int) -> bool:
    if not isinstance(value, list):
        return False
    if depth == 0:
        return len(value) >= 2 and all(map(is_number, value))
    return (depth > 1 or len(value) >= least) and all(_positions(entry, depth - 1, least) for entry in value)


def _times(properties: Any, path: Path) -> Iterator[Fault]:
    if not isinstance(properties, dict):
        return
    ends = [key for key in ("start_datetime", "end_datetime") if key in properties]
    if len(ends) == 1:
        yield fault(path, "start_datetime and end_datetime together", ends)
    if "datetime" not in properties or (properties["datetime"] is None and len(ends) != 2):
        yield fault(path, "datetime; null only beside start_datetime and end_datetime", properties.get("datetime"))


def _collection(item: Mapping[str, Any]) -> Iterator[Fault]:
    links = item.get("links")
    linked = isinstance(links, list) and any(isinstance(row, dict) and row.get("rel") == "collection" for row in links)
    if linked != ("collection" in item):
        expected = "collection beside a link with rel=collection" if linked else "a link with rel=collection beside it"
        yield fault(("collection",), expected, item.get("collection"), "core: collection")
    elif linked:
        yield from named("core: collection", text(filled=True))(item["collection"], ("collection",))


def _bands_of_assets(item: Mapping[str, Any], key: str, rule: str) -> Iterator[Fault]:
    """Refuse a description of bands in the properties where no asset has one."""
    properties, assets = item.get("properties"), item.get("assets")
    on_assets = isinstance(assets, dict) and any(isinstance(row, dict) and key in row for row in assets.values())
    if isinstance(properties, dict) and key in properties and not on_assets:
        yield fault(("properties", key), f"{key} of an asset beside it", properties[key], rule)


def _in_assets(fields: Mapping[str, Check], prefix: str) -> Check:
    return mapping(record(fields, closed=prefix))


def _file_faults(item: Mapping[str, Any]) -> Iterator[Fault]:
    yield from named("fields", _in_assets(_FILE, "file:"))(item.get("assets"), ("assets",))
    yield from named("fields", array(record(_FILE, closed="file:")))(item.get("links"), ("links",))


def _eo_faults(item: Mapping[str, Any]) -> Iterator[Fault]:
    yield from named("fields", record(_EO, closed="eo:"))(item.get("properties"), ("properties",))
    yield from named("fields", _in_assets(_EO, "eo:"))(item.get("assets"), ("assets",))
    yield from _bands_of_assets(item, "eo:bands", "fields/eo:bands")


def _raster_faults(item: Mapping[str, Any]) -> Iterator[Fault]:
    yield from named("assetfields", _in_assets({"raster:bands": _RASTER_BANDS}, "raster:"))(
        item.get("assets"), ("assets",)
    )


EXTENSION_CHECKS: dict[str, Callable[[Mapping[str, Any]], Iterator[Fault]]] = {
    "file/v2.1.0": _file_faults,
    "eo/v1.1.0": _eo_faults,
    "raster/v1.1.0": _raster_faults,
}
"""Extension and version -> its rules."""
