"""PixBox: expert-labelled pixels of 29 Sentinel-2 and 11 Landsat-8 products, collected for CMIX.

A table (``pixbox_sentinel2_cmix_*.csv`` or ``pixbox_landsat8_cmix_*.csv``) with a row per pixel, anywhere in a folder,
and the products beside it. Cloud and shadow are told independently: a pixel can be both. Rows of products that are not
there are left out, and counted in the log.

Sources: Paperin et al. 2021 (https://doi.org/10.5281/zenodo.5036991 and https://doi.org/10.5281/zenodo.5040271), with
the tables' descriptions.
"""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from pathlib import Path

from undercast.errors import EvaluationError
from undercast.evaluation.datasets.base import CLEAR_BIT, CLOUD_BITS, SHADOW_BIT, THICK_BIT, THIN_BIT
from undercast.evaluation.pairs import read_rows
from undercast.evaluation.points import burn
from undercast.evaluation.references import ReferenceEntry, References, ReferenceScene, reference_scene
from undercast.readers import open_scene

logger = logging.getLogger(__name__)

SOURCE = "pixbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """How one collection's table is read."""

    pattern: str
    """Name of the file."""
    sensor: str
    """Sensor id, for the strata."""
    cloud: str
    """Column that tells cloud."""
    clouds: Mapping[int, int]
    """Value of it -> possible set; ``CLEAR_BIT`` where there is no cloud, 0 where nothing can be said."""
    shadow: str
    """Column that tells shadow."""
    shadows: Mapping[int, bool]
    """Value of it -> whether a cloud's shadow falls on the pixel."""


TABLES = (
    Table(
        pattern="pixbox_sentinel2_cmix_*.csv",
        sensor="sentinel-2-msi",
        cloud="cloud_characteristics_id",
        # 2 opaque, 3-6 semi-transparent, 8 mixed, 9 contrail, 10 fog, 11 haze, 12 border.
        clouds={
            **dict.fromkeys((0, 1, 7), CLEAR_BIT),
            2: THICK_BIT,
            **dict.fromkeys((3, 4, 5, 6, 9, 11), THIN_BIT),
            **dict.fromkeys((8, 10, 12), CLOUD_BITS),
        },
        shadow="shadow_id",
        # 3 is a cloud's shadow; others are the terrain's, or lie on a cloud.
        shadows={0: False, 1: False, 2: False, 3: True, 4: False},
    ),
    Table(
        pattern="pixbox_landsat8_cmix_*.csv",
        sensor="landsat-8-oli",
        # In this table the column of the other one tells the kind of a cloud, not whether there is one.
        cloud="pixel_surface_type_id",
        clouds={
            **dict.fromkeys((0, 1), CLOUD_BITS),
            **dict.fromkeys((2, 3, 4, 5, 6, 7, 11, 12), CLEAR_BIT),
            **dict.fromkeys((8, 9, 10, 13), 0),
        },
        shadow="cloud_shadow_id",
        shadows={0: False, 1: True},
    ),
)


def accepts(folder: Path) -> bool:
    """Tell whether a folder holds one of the tables."""
    return any(True for table in TABLES for _ in folder.rglob(table.pattern))


def references(folder: Path) -> References:
    """List the products that the tables name and that are there.

    Raises:
        EvaluationError: If a table is damaged, or none of its products is there.
    """
    entries, away = [], 0
    for table in TABLES:
        for path in sorted(folder.rglob(table.pattern)):
            for product, rows in _by_product(path).items():
                found = _find(folder, product)
                if found is None:
                    away += len(rows)
                else:
                    read = partial(_read, path, table, found, product, rows)
                    entries.append(ReferenceEntry(name=product, read=read))
    if not entries:
        msg = f"{folder}: expected the products that PixBox's table names (such as {_products()['5472572']}), got none."
        raise EvaluationError(msg)
    if away:
        logger.warning("%s: %d labelled pixels of products that are not there", folder, away)
    return References(name=folder.name, entries=tuple(entries), label_kinds=("points",))


@cache
def _products() -> Mapping[str, str]:
    text = (resources.files("undercast") / "data" / "data_sets" / "pixbox_products.toml").read_text("utf-8")
    return tomllib.loads(text)


def _by_product(path: Path) -> dict[str, list[dict[str, str]]]:
    rows: dict[str, list[dict[str, str]]] = {}
    for row in read_rows(path):
        name = _products().get(row.get("product_id", ""))
        if name is None:
            msg = f"{path}: expected PRODUCT_ID of a product of the collection, got {row.get('product_id')!r}."
            raise EvaluationError(msg)
        rows.setdefault(name, []).append(row)
    return rows


def _find(folder: Path, product: str) -> Path | None:
    """Find a product: a folder or a file that is called so, whatever it ends in."""
    return next(iter(sorted(folder.rglob(f"{product}*"), key=lambda path: len(path.parts))), None)


def _read(path: Path, table: Table, source: Path, product: str, rows: Sequence[Mapping[str, str]]) -> ReferenceScene:
    scene = open_scene(source, name=product)
    height, width = scene.grid.shape
    told: dict[tuple[int, int], list[int]] = {}
    for row in rows:
        line, col = _number(row, "pixel_y", path), _number(row, "pixel_x", path)
        if not (0 <= line < height and 0 <= col < width):
            msg = f"{path}: pixel ({col}, {line}) lies outside {product} of {height} x {width} px."
            raise EvaluationError(msg)
        told.setdefault((line, col), []).extend(_sets(row, table, path))
    possible, stated = burn(told, scene.grid.shape)
    strata = {"source": SOURCE, "sensor": scene.sensor or table.sensor, "labels": "points"}
    return reference_scene(scene, possible, strata, stated=stated if stated.any() else None)


def _sets(row: Mapping[str, str], table: Table, path: Path) -> list[int]:
    """Give the possible sets that a row states: cloud, shadow, both, or clear."""
    cloud, shadow = _number(row, table.cloud, path), _number(row, table.shadow, path)
    if cloud not in table.clouds or shadow not in table.shadows:
        msg = (
            f"{path}: expected {table.cloud.upper()} of {min(table.clouds)} to {max(table.clouds)} and"
            f" {table.shadow.upper()} of {min(table.shadows)} to {max(table.shadows)}, got {cloud} and {shadow}."
        )
        raise EvaluationError(msg)
    sets = [table.clouds[cloud]]
    if table.shadows[shadow]:
        sets = [SHADOW_BIT] if sets == [CLEAR_BIT] else [*sets, SHADOW_BIT]
    return sets


def _number(row: Mapping[str, str], column: str, path: Path) -> int:
    try:
        return int(float(row[column]))
    except (KeyError, ValueError, OverflowError) as error:
        msg = f"{path}: expected a whole number in the column {column.upper()}, got {row.get(column)!r}."
        raise EvaluationError(msg) from error
