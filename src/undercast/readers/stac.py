"""STAC items: assets with band metadata (STAC 1.0 and 1.1) as one scene; collections as many."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from undercast.bands import Band
from undercast.errors import BandError, SceneError
from undercast.grids import Grid
from undercast.radiometry import SENTINEL2_SCALING, SENTINEL2_SCALING_0400, Scaling
from undercast.readers.base import (
    SKIP_NAMES,
    OpenOptions,
    band_called,
    checked_scaling,
    preset_scaling,
    record,
)
from undercast.readers.layers import Layer, LayerPixels, RasterHeader, read_header, same_grid, shared_grid
from undercast.readers.multires import common_grid
from undercast.readers.stac_documents import is_address, list_items, read_item, resolve
from undercast.scene import Scene, SunAngles
from undercast.sensors import Sensor, load_sensors, nearest_common_name
from undercast.types import ProductLevel

logger = logging.getLogger(__name__)

LONGEST_REFLECTIVE = 3.0
"""Centre wavelength, in micrometres, above which a band is thermal and left out."""
MAIN_BANDS = frozenset({"blue", "green", "red", "nir", "nir08"})
"""Bands that decide which grid to take where an item has several."""
LEFT_OUT_ROLES = frozenset({"thumbnail", "overview", "metadata", "visual", "data-mask", "cloud", "saturation"})
"""Roles of assets that hold no reflectance."""
PREFERRED_ROLES = ("reflectance", "data")
"""Roles of assets that hold reflectance, best first."""

SENTINEL2_OFFSET_SINCE = datetime(2022, 1, 25, tzinfo=UTC)
"""First day of Sentinel-2 processing baseline 04.00, which brought the offset."""
SENTINEL2_NODATA = 0.0
"""Digital number without data in every Sentinel-2 product (product specification, "special values")."""

ASSET_FIELDS = (
    *("nodata", "gsd", "raster:scale", "raster:offset", "raster:spatial_resolution"),
    *("eo:common_name", "eo:center_wavelength", "eo:full_width_half_max"),
)
"""Fields of bands that an asset may carry for all its bands."""

OFFSET_TAKEN_OUT = ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied")
"""Properties that say that the provider has already taken the offset out of the pixels."""

_LEVELS: tuple[tuple[re.Pattern[str], ProductLevel], ...] = (
    (
        re.compile(r"\b(s2)?(msi)?l(evel[- ]?)?2(a|sp|sr)\b|\bs2msi2a\b|\bsr\b|\bsurface reflectance\b"),
        "surface",
    ),
    (
        re.compile(r"\b(s2)?(msi)?l(evel[- ]?)?1(c|tp|gt|gs)\b|\bs2msi1c\b|\btoa\b|\btop of atmosphere\b"),
        "toa",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """A STAC item and where it was found."""

    href: str
    id: str
    properties: Mapping[str, Any]
    assets: Mapping[str, Mapping[str, Any]]
    collection: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _AssetBand:
    """One band of one asset, with what the item says of it."""

    key: str
    href: str
    number: int
    band: Band
    scaling: Scaling | None
    nodata: float | None
    rank: tuple[int, ...]

    @property
    def label(self) -> str:
        return f"{self.key}: {self.band.common_name}"


def accepts(source: str) -> bool:
    """Tell whether a source is named like a STAC document: JSON, or a page of an API."""
    return is_address(source)


def members(source: str) -> list[str]:
    """List the items that a collection, catalog or item collection leads to; the source itself where it is an item.

    Raises:
        SceneError: If it cannot be read, or leads to too many.
    """
    return list_items(source)


def open(source: str, options: OpenOptions) -> Scene:  # noqa: A001 (the protocol's name)
    """Open a STAC item.

    Where its bands lie on several grids, those of the grid with most of blue, green, red and near infrared are taken;
    the others are listed under ``skipped`` in the provenance. With a resolution, all are resampled to it.

    Raises:
        SceneError: If the item or an asset cannot be read, an asset leads to a place it must not, or the sun has an
            impossible angle.
        BandError: If no asset says its bands, or a wanted band is missing.
        GridError: If the wanted bands lie on different grids, or the resolution does not fit them.
    """
    item = _read_item(source)
    sensor = options.sensor or _sensor(item)
    level = options.level or _level(item)
    options = replace(options, sensor=sensor, level=level)
    found = list(_asset_bands(item, sensor))
    if not found:
        msg = (
            f"STAC item {item.id}: expected assets with bands (bands or eo:bands),"
            f" got {', '.join(item.assets) or 'none'}."
            " Give the files themselves with --bands."
        )
        raise BandError(msg)
    wanted = [replace(one, href=resolve(one.href, item.href)) for one in _wanted(item, found, options)]
    headers = {href: read_header(href) for href in dict.fromkeys(one.href for one in wanted)}
    chosen, left_out, grid = _choose_grid(wanted, headers, options, item.id)
    layers, origins = [], []
    for one in chosen:
        layer, origin = _layer(item, one, headers[one.href], options)
        layers.append(layer)
        origins.append(origin)
    if left_out:
        logger.warning("%s: left out, on another grid: %s", item.id, ", ".join(one.label for one in left_out))
    return Scene(
        name=options.name or item.id,
        bands=tuple(one.band for one in chosen),
        grid=grid,
        pixels=LayerPixels(layers, grid.shape),
        level=level or _preset_level(sensor, origins),
        sensor=sensor.id if sensor is not None else None,
        acquired=_acquired(item),
        sun=_sun(item),
        provenance=record(
            source=source,
            bands_from="caller" if options.bands is not None else "STAC item",
            scaling_from=", ".join(dict.fromkeys(origins)),
            skipped=", ".join(one.label for one in left_out),
        ),
    )


def _read_item(source: str) -> _Item:
    document = read_item(source)
    content = document.content
    properties = content.get("properties")
    return _Item(
        href=document.href,
        id=_one_line(content.get("id") or Path(urlsplit(document.href).path).stem),
        properties=properties if isinstance(properties, dict) else {},
        assets={_one_line(key): asset for key, asset in content["assets"].items() if isinstance(asset, dict)},
        collection=str(content.get("collection") or ""),
    )


def _one_line(value: object) -> str:
    return " ".join(str(value).split())


def _asset_bands(item: _Item, sensor: Sensor | None) -> Iterator[_AssetBand]:
    for key, asset in item.assets.items():
        roles = {str(role) for role in _rows(asset.get("roles"))}
        href = asset.get("href")
        if not isinstance(href, str) or roles & LEFT_OUT_ROLES or not _is_raster(asset):
            continue
        rows = _band_rows(asset) or _row_of_asset(key, asset, roles)
        for number, row in enumerate(rows, start=1):
            band = _band(row, asset, sensor)
            if band is None:
                continue
            yield _AssetBand(
                key=key,
                href=href,
                number=number,
                band=band,
                scaling=_declared_scaling(row),
                nodata=_number(row.get("nodata")),
                rank=_rank(key, asset, len(rows), roles),
            )


def _is_raster(asset: Mapping[str, Any]) -> bool:
    kind = str(asset.get("type") or "image/tiff").lower()
    return kind.startswith("image/") and not kind.startswith(("image/png", "image/jpeg"))


def _band_rows(asset: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give one table per band with the plain names of STAC 1.0's extensions, whatever the version of the item."""
    inherited = {key: asset[key] for key in ASSET_FIELDS if key in asset}
    bands, older, rasters = (
        [row for row in _rows(asset.get(key)) if isinstance(row, dict)] for key in ("bands", "eo:bands", "raster:bands")
    )
    rows = []
    for number, row in enumerate(bands or older):
        raster = rasters[number] if number < len(rasters) else {}
        merged = {**inherited, **raster, **row}
        rows.append({key.removeprefix("eo:").removeprefix("raster:"): value for key, value in merged.items()})
    return rows


def _row_of_asset(key: str, asset: Mapping[str, Any], roles: set[str]) -> list[dict[str, Any]]:
    """Take an asset without a list of bands for one band, which its own fields or its key name.

    STAC 1.1 lets an asset of one band carry the band's fields itself; many catalogues name assets by common names.
    """
    own = {key: asset[key] for key in ASSET_FIELDS if key in asset}
    rasters = [row for row in _rows(asset.get("raster:bands")) if isinstance(row, dict)]
    if not (roles & set(PREFERRED_ROLES) or not roles or "eo:common_name" in own):
        return []
    merged = {"name": key, **own, **(rasters[0] if len(rasters) == 1 else {})}
    return [{name.removeprefix("eo:").removeprefix("raster:"): value for name, value in merged.items()}]


def _rows(value: object) -> list[Any]:
    """Give a JSON list; an empty one for what is none."""
    return value if isinstance(value, list) else []


def _band(row: Mapping[str, Any], asset: Mapping[str, Any], sensor: Sensor | None) -> Band | None:
    """Make a band of an item's words; None where it is thermal or says nothing."""
    name, common_name = (_one_line(row.get(key) or "") for key in ("name", "common_name"))
    center, width = _number(row.get("center_wavelength")), _number(row.get("full_width_half_max"))
    if center is not None and center > LONGEST_REFLECTIVE:
        return None
    known = band_called(name, sensor) or band_called(common_name, sensor)
    gsd = _number(row.get("gsd")) or _number(row.get("spatial_resolution")) or _number(asset.get("gsd"))
    if center is None or width is None:
        return known
    if center <= 0.0 or width <= 0.0:
        return None
    if known is not None:
        common_name = known.common_name
    name = name or common_name or f"{center:g}"
    return Band(
        name=name,
        common_name=common_name or nearest_common_name(center) or name.lower(),
        center_wavelength=center,
        full_width_half_max=width,
        gsd=gsd,
    )


def _declared_scaling(row: Mapping[str, Any]) -> Scaling | None:
    scale, offset = _number(row.get("scale")), _number(row.get("offset"))
    if scale is None and offset is None:
        return None
    return Scaling(scale=1.0 if scale is None else scale, offset=0.0 if offset is None else offset)


def _number(value: object) -> float | None:
    """Read a JSON number; None for what is none, and for the texts nan and inf."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def _rank(key: str, asset: Mapping[str, Any], bands: int, roles: set[str]) -> tuple[int, ...]:
    """Order assets that hold the same band; the smallest is taken."""
    role = next((place for place, role in enumerate(PREFERRED_ROLES) if role in roles), len(PREFERRED_ROLES))
    words = f"{key} {asset.get('title') or ''}".lower()
    derived = any(word in words for word in ("visual", "true color", "true colour", "tci", "preview"))
    return int(derived), role, int("jp2" in str(asset.get("type") or "").lower()), int(bands > 1)


def _wanted(item: _Item, found: Sequence[_AssetBand], options: OpenOptions) -> list[_AssetBand]:
    """Take one asset per band: those the person names in their order, else all."""
    ordered = sorted(found, key=lambda one: one.rank)
    if options.bands is None:
        best: dict[tuple[str, float], _AssetBand] = {}
        for one in ordered:
            best.setdefault((one.band.common_name, one.band.center_wavelength), one)
        kept = set(map(id, best.values()))
        return [one for one in found if id(one) in kept]
    wanted = []
    for name in (name.strip() for name in options.bands):
        if name in SKIP_NAMES:
            continue
        known = band_called(name, options.sensor)
        common_name = known.common_name if known is not None else name
        named = [one for one in ordered if name in {one.key, one.band.name}]
        match = next(iter(named or [one for one in ordered if one.band.common_name == common_name]), None)
        if match is None:
            offered = ", ".join(dict.fromkeys(one.band.common_name for one in found))
            msg = f"STAC item {item.id}: band {name!r} is not in it. It has {offered}."
            raise BandError(msg)
        wanted.append(match)
    if not wanted:
        msg = f"STAC item {item.id}: expected at least one band, got only names that leave layers out."
        raise BandError(msg)
    return wanted


def _choose_grid(
    wanted: Sequence[_AssetBand], headers: Mapping[str, RasterHeader], options: OpenOptions, identity: str
) -> tuple[list[_AssetBand], list[_AssetBand], Grid]:
    """Choose the bands that are read, those that are left out, and the grid that they are read on."""
    if options.resolution is not None:
        files = [headers[one.href] for one in wanted]
        return list(wanted), [], common_grid(files, options.resolution, what=f"STAC item {identity}")
    chosen, left_out = (list(wanted), []) if options.bands is not None else _one_grid(wanted, headers)
    return chosen, left_out, shared_grid([headers[one.href] for one in chosen])


def _one_grid(
    wanted: Sequence[_AssetBand], headers: Mapping[str, RasterHeader]
) -> tuple[list[_AssetBand], list[_AssetBand]]:
    """Split bands into those on the best grid and the others."""
    groups: list[list[_AssetBand]] = []
    for one in wanted:
        grid = headers[one.href].grid
        group = next((group for group in groups if same_grid(headers[group[0].href].grid, grid)), None)
        if group is None:
            groups.append([one])
        else:
            group.append(one)

    def worth(group: Sequence[_AssetBand]) -> tuple[int, int, int]:
        main = len(MAIN_BANDS & {one.band.common_name for one in group})
        return main, len(group), math.prod(headers[group[0].href].grid.shape)

    best = max(groups, key=worth)
    taken = set(map(id, best))
    return best, [one for one in wanted if id(one) not in taken]


def _layer(item: _Item, one: _AssetBand, header: RasterHeader, options: OpenOptions) -> tuple[Layer, str]:
    if one.number > len(header.dtypes):
        msg = f"STAC item {item.id}: asset {one.key} has {len(header.dtypes)} layers, its metadata names more."
        raise BandError(msg)
    scaling, origin = _scaling(item, one, header, options)
    nodata = [value for value in (options.nodata, one.nodata) if value is not None]
    if not nodata and _is_sentinel2(options.sensor) and origin != "file":
        nodata.append(SENTINEL2_NODATA)
    return Layer(source=header.source, number=one.number, band=one.band, scaling=scaling, nodata=tuple(nodata)), origin


def _scaling(item: _Item, one: _AssetBand, header: RasterHeader, options: OpenOptions) -> tuple[Scaling, str]:
    """Choose the scaling: what the person says, else the item, else the file, else the sensor, else none."""
    if options.scaling is not None:
        return options.scaling, "caller"
    scaling, origin = _told_scaling(item, one, header, options)
    # Earth Search declares the offset also where the pixels do not carry it any more:
    # https://github.com/Element84/earth-search/issues/66
    done = any(item.properties.get(key) is True for key in OFFSET_TAKEN_OUT)
    return (replace(scaling, offset=0.0) if done else scaling), origin


def _told_scaling(item: _Item, one: _AssetBand, header: RasterHeader, options: OpenOptions) -> tuple[Scaling, str]:
    """Choose among what is declared and what is usual, whether or not pixels still carry the offset."""
    if one.scaling is not None:
        return checked_scaling(one.scaling, what=f"STAC item {item.id}: asset {one.key}"), "STAC item"
    own = header.scalings[one.number - 1]
    if own is not None:
        return checked_scaling(own, what=f"{header.source}: layer {one.number}"), "file"
    dtype = header.dtypes[one.number - 1]
    preset = _sentinel2_scaling(item) if _is_sentinel2(options.sensor) else preset_scaling(options, dtype)
    if preset is None or "int" not in dtype:
        return Scaling(), "none"
    return preset, "sensor"


def _preset_level(sensor: Sensor | None, origins: Sequence[str]) -> ProductLevel | None:
    """Give what the sensor's usual scaling leads to, where it was used; Sentinel-2 scales both levels alike."""
    if sensor is None or _is_sentinel2(sensor) or set(origins) != {"sensor"}:
        return None
    return sensor.level


def _is_sentinel2(sensor: Sensor | None) -> bool:
    return sensor is not None and sensor.id.startswith("sentinel-2")


def _sentinel2_scaling(item: _Item) -> Scaling | None:
    """Scaling by processing baseline, else by date; None for older dates, which exist with and without the offset."""
    for key in ("s2:processing_baseline", "sentinel:processing_baseline", "processing:version"):
        match = re.fullmatch(r"(\d+)\.(\d+)", str(item.properties.get(key) or ""))
        if match is not None:
            return SENTINEL2_SCALING_0400 if int(match[1]) >= 4 else SENTINEL2_SCALING
    acquired = _acquired(item)
    return SENTINEL2_SCALING_0400 if acquired is not None and acquired >= SENTINEL2_OFFSET_SINCE else None


def _sensor(item: _Item) -> Sensor | None:
    """Find the one sensor of the item's platform and instruments; None where none or several fit."""
    platform = str(item.properties.get("platform") or "").strip().lower().replace("_", "-").replace(" ", "-")
    aboard = [sensor for sensor in load_sensors() if platform in sensor.platforms]
    instruments = {str(text).lower() for text in _rows(item.properties.get("instruments"))}
    fitting = [sensor for sensor in aboard if sensor.instrument in instruments]
    candidates = fitting or aboard
    return candidates[0] if len(candidates) == 1 else None


def _level(item: _Item) -> ProductLevel | None:
    """Read the product level from where catalogues write it; None where they do not."""
    keys = ("processing:level", "landsat:correction", "s2:product_type", "product:type")
    for text in (*(str(item.properties.get(key) or "") for key in keys), item.collection, item.id):
        words = text.lower().replace("_", " ")
        for pattern, level in _LEVELS:
            if pattern.search(words):
                return level
    return None


def _acquired(item: _Item) -> datetime | None:
    text = item.properties.get("datetime") or item.properties.get("start_datetime")
    if not isinstance(text, str):
        return None
    try:
        acquired = datetime.fromisoformat(text)
    except ValueError:
        logger.warning("%s: datetime %r is not RFC 3339; the scene goes without", item.id, text)
        return None
    return acquired if acquired.tzinfo is not None else acquired.replace(tzinfo=UTC)


def _sun(item: _Item) -> SunAngles | None:
    elevation, azimuth = (_number(item.properties.get(f"view:sun_{angle}")) for angle in ("elevation", "azimuth"))
    if elevation is None or azimuth is None:
        return None
    if not (-90.0 <= elevation <= 90.0 and -360.0 <= azimuth <= 360.0):
        msg = (
            f"STAC item {item.id}: expected the sun's elevation and azimuth in degrees,"
            f" got {elevation:g} and {azimuth:g}."
        )
        raise SceneError(msg)
    return SunAngles(zenith=90.0 - elevation, azimuth=azimuth % 360.0)
