"""Pairs: a scene and its reference mask as rasters, listed in a CSV file or a STAC collection."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError

from undercast.classes import load_scheme
from undercast.errors import EvaluationError, GridError
from undercast.evaluation.references import (
    ReferenceEntry,
    References,
    ReferenceScene,
    check_codes,
    reference_scene,
)
from undercast.grids import Grid
from undercast.readers import open_scene
from undercast.readers.base import short_name
from undercast.sensors import load_sensor
from undercast.types import PRODUCT_LEVELS, UInt8

PAIR_COLUMNS = ("scene", "reference")
"""Columns that a list of pairs must have; paths are relative to the list."""
OPTIONAL_COLUMNS = ("scheme", "name", "source", "sensor", "surface", "labels", "gsd", "bands", "level")
"""Columns that it may have; bands are separated by spaces."""

REFERENCE_ROLE = "reference"
"""Role, or key, of the asset of a STAC item that holds the reference mask."""
SCHEME_FIELD = "undercast:scheme"
"""Property of a STAC item or its reference asset that names the class scheme."""

_GRID_TOLERANCE_PX = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One scene and its reference mask."""

    scene: str
    """Path or URL of the scene, or of its STAC item."""
    reference: str
    """Path or URL of the mask."""
    scheme: str
    """Class scheme of the mask."""
    strata: Mapping[str, str]
    """Key of ``STRATA`` -> stratum, as far as told."""
    name: str | None = None
    """Name; the file's where it is None."""
    bands: tuple[str, ...] | None = None
    """Bands of the scene in file order, where the file does not say."""
    level: str | None = None
    """Kind of reflectance, where the file does not say."""
    gsd: float | None = None
    """Ground sample distance, in metres, where the grid does not say."""


def pair_references(path: Path, *, scheme: str) -> References:
    """List the references of a CSV file with the columns scene, reference and any of ``OPTIONAL_COLUMNS``.

    Args:
        path: The list.
        scheme: Class scheme of masks whose row names none.

    Raises:
        EvaluationError: If the list is wrong.
        SchemeError: If a class scheme is unknown.
    """
    rows = read_rows(path)
    return _references(path, [_pair(row, path, scheme) for row in rows])


def collection_references(path: Path, *, scheme: str) -> References:
    """List the references of a local STAC collection.

    Each item's bands are the scene; its asset with the key or role ``reference`` is the mask.

    Raises:
        EvaluationError: If the file is none, or an item lacks a reference.
        SchemeError: If a class scheme is unknown.
    """
    return _references(path, [_item_pair(item, href, path, scheme) for item, href in _items(path)])


def read_pair(pair: Pair) -> ReferenceScene:
    """Open a pair's scene and read its mask.

    Raises:
        GridError: If scene and mask lie on different grids.
        EvaluationError: If the mask cannot be read, holds unknown codes or no label.
        UndercastError: As ``readers.open_scene`` does.
    """
    options: dict[str, Any] = {"name": pair.name, "bands": pair.bands, "level": pair.level}
    sensor = pair.strata.get("sensor")
    scene = open_scene(pair.scene, **{key: value for key, value in options.items() if value is not None})
    codes, grid = _read_mask(pair.reference)
    check_grid(scene.grid, grid, name=scene.name)
    scheme = load_scheme(pair.scheme)
    known = {scene_class.value for scene_class in scheme.classes} | {scheme.nodata}
    check_codes(codes, known, name=pair.reference, what=f"scheme {scheme.id}")
    strata = {**({"sensor": scene.sensor} if scene.sensor and not sensor else {}), **pair.strata}
    return reference_scene(scene, scheme.possible_sets(codes), strata, gsd=pair.gsd)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a CSV file with a header; names of columns in lower case, texts without spaces around them.

    Raises:
        EvaluationError: If it cannot be read or holds no row.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [
                {key.strip().lower(): (value or "").strip() for key, value in row.items() if isinstance(key, str)}
                for row in csv.DictReader(file)
            ]
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}."
        raise EvaluationError(msg) from error
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"{path} is not a CSV file (UTF-8): {error}."
        raise EvaluationError(msg) from error
    if not rows:
        msg = f"{path}: expected a header and at least one row, got none."
        raise EvaluationError(msg)
    return rows


def check_grid(scene: Grid, reference: Grid, *, name: str) -> None:
    """Refuse a reference on another grid than its scene's.

    Raises:
        GridError: If shape, transform or coordinate reference system differ.
    """
    way_out = "Warp the reference to the scene's grid with nearest neighbour."
    if scene.shape != reference.shape:
        msg = f"{name}: expected a reference of {scene.shape} px as the scene, got {reference.shape}. {way_out}"
        raise GridError(msg)
    if scene.crs is None or reference.crs is None:
        return
    if not _same_crs(scene.crs, reference.crs):
        msg = f"{name}: expected a reference in the scene's CRS, got another. {way_out}"
        raise GridError(msg)
    distance = corner_distance_px(scene, reference)
    if distance > _GRID_TOLERANCE_PX:
        msg = f"{name}: expected a reference on the scene's grid, got one that is {distance:.2f} px off. {way_out}"
        raise GridError(msg)


def corner_distance_px(scene: Grid, reference: Grid) -> float:
    """Give the largest distance between corners of two grids of one shape, in pixels."""
    height, width = scene.shape
    largest = 0.0
    for row, col in ((0, 0), (0, width), (height, 0), (height, width)):
        first, second = (_corner(grid, row, col) for grid in (scene, reference))
        largest = max(largest, float(np.hypot(*(np.subtract(second, first)))))
    return largest / float(np.hypot(scene.transform[0], scene.transform[3]))


def _corner(grid: Grid, row: float, col: float) -> tuple[float, float]:
    a, b, c, d, e, f = grid.transform
    return a * col + b * row + c, d * col + e * row + f


def _same_crs(first: str, second: str) -> bool:
    try:
        return bool(CRS.from_user_input(first) == CRS.from_user_input(second))
    except CRSError:
        return first == second


def _read_mask(path: str) -> tuple[UInt8, Grid]:
    try:
        with rasterio.open(path) as mask:
            codes: NDArray[Any] = mask.read(1)
            grid = Grid(
                shape=(mask.height, mask.width),
                transform=tuple(mask.transform)[:6],
                crs=mask.crs.to_wkt() if mask.crs else None,
            )
    except RasterioError as error:
        msg = f"reference {path} cannot be read: {' '.join(str(error).split())}."
        raise EvaluationError(msg) from error
    whole = np.asarray(codes)
    if not np.array_equal(whole, whole.astype(np.uint8)):
        msg = f"reference {path}: expected class codes of 0 to 255, got {whole.min()} to {whole.max()}."
        raise EvaluationError(msg)
    return whole.astype(np.uint8), grid


def _references(path: Path, pairs: Sequence[Pair]) -> References:
    entries = []
    for pair in pairs:
        load_scheme(pair.scheme)
        entries.append(ReferenceEntry(name=pair.name or short_name(pair.scene), read=partial(read_pair, pair)))
    kinds = sorted({pair.strata["labels"] for pair in pairs if "labels" in pair.strata})
    return References(name=path.stem, entries=tuple(entries), label_kinds=tuple(kinds))


def _pair(row: Mapping[str, str], path: Path, scheme: str) -> Pair:
    missing = [column for column in PAIR_COLUMNS if not row.get(column)]
    if missing:
        msg = f"{path}: expected the columns {', '.join(PAIR_COLUMNS)} in every row, got no {', '.join(missing)}."
        raise EvaluationError(msg)
    level = row.get("level") or None
    if level is not None and level not in PRODUCT_LEVELS:
        msg = f"{path}: level: expected one of {', '.join(PRODUCT_LEVELS)}, got {level!r}."
        raise EvaluationError(msg)
    return Pair(
        scene=_beside(path, row["scene"]),
        reference=_beside(path, row["reference"]),
        scheme=row.get("scheme") or scheme,
        strata=strata_of(row),
        name=row.get("name") or None,
        bands=tuple(row["bands"].replace(",", " ").split()) if row.get("bands") else None,
        level=level,
        gsd=gsd_of(row, path),
    )


def strata_of(row: Mapping[str, str]) -> dict[str, str]:
    """Give the strata that a row tells; a sensor is written as its id where it is known."""
    strata = {key: row[key] for key in ("source", "sensor", "surface", "labels") if row.get(key)}
    if "sensor" in strata:
        try:
            strata["sensor"] = load_sensor(strata["sensor"]).id
        except KeyError:
            return strata
    return strata


def gsd_of(row: Mapping[str, str], path: Path) -> float | None:
    """Give the gsd that a row tells, in metres.

    Raises:
        EvaluationError: If it is no number above 0.
    """
    if not row.get("gsd"):
        return None
    try:
        gsd = float(row["gsd"])
    except ValueError:
        gsd = 0.0
    if not 0.0 < gsd < float("inf"):
        msg = f"{path}: gsd: expected metres above 0, got {row['gsd']!r}."
        raise EvaluationError(msg)
    return gsd


def _beside(path: Path, name: str) -> str:
    """Give a path relative to a list; URLs and GDAL's own names stay."""
    return name if "://" in name or name.startswith("/vsi") else str(path.parent / name)


def _items(path: Path) -> Iterator[tuple[Mapping[str, Any], Path]]:
    """Give the items of a collection, each with the file that it stands in."""
    table = _json(path)
    links = [link for link in table.get("links", ()) if link.get("rel") == "item"]
    if table.get("type") != "Collection" or not links:
        kind = table.get("type")
        msg = f"{path}: expected a STAC collection with links to items, got type {kind!r}, {len(links)} links."
        raise EvaluationError(msg)
    for link in links:
        item = Path(_beside(path, str(link["href"])))
        yield _json(item), item


def _json(path: Path) -> Mapping[str, Any]:
    try:
        table = json.loads(path.read_text("utf-8"))
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}."
        raise EvaluationError(msg) from error
    except ValueError as error:
        msg = f"{path} is not JSON: {error}."
        raise EvaluationError(msg) from error
    if not isinstance(table, dict):
        msg = f"{path}: expected a JSON object, got {type(table).__name__}."
        raise EvaluationError(msg)
    return table


def _item_pair(item: Mapping[str, Any], href: Path, path: Path, scheme: str) -> Pair:
    assets: Mapping[str, Mapping[str, Any]] = item.get("assets", {})
    found = [
        asset for key, asset in assets.items() if key == REFERENCE_ROLE or REFERENCE_ROLE in asset.get("roles", ())
    ]
    if len(found) != 1:
        msg = f"{href}: expected one asset with the role {REFERENCE_ROLE!r}, got {len(found)} of {len(assets)}."
        raise EvaluationError(msg)
    properties = item.get("properties", {})
    told = {
        "source": str(item.get("collection") or path.parent.name),
        "sensor": str((properties.get("instruments") or [""])[0]),
        "surface": str(properties.get("undercast:surface", "")),
        "labels": str(properties.get("undercast:labels", "")),
    }
    return Pair(
        scene=str(href),
        reference=_beside(href, str(found[0]["href"])),
        scheme=str(found[0].get(SCHEME_FIELD) or properties.get(SCHEME_FIELD) or scheme),
        strata=strata_of(told),
        name=str(item.get("id") or href.stem),
        gsd=properties.get("gsd"),
    )
