"""Points: single labelled places in scenes, in the manner of PixBox, as references that are empty elsewhere."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from functools import partial, reduce
from operator import or_
from pathlib import Path

import numpy as np
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform

from undercast.classes import CLASS_NAMES, ClassScheme, load_scheme
from undercast.errors import EvaluationError
from undercast.evaluation.pairs import gsd_of, read_rows, strata_of
from undercast.evaluation.references import ReferenceEntry, References, ReferenceScene, reference_scene
from undercast.grids import Grid
from undercast.readers import open_scene
from undercast.readers.base import short_name
from undercast.scene import Scene
from undercast.types import UInt8

logger = logging.getLogger(__name__)

POINT_COLUMNS = ("scene", "x", "y", "class")
"""Columns of a list of points; ``crs``, ``scheme``, ``source``, ``sensor``, ``surface`` and ``gsd`` may follow."""


def point_references(path: Path, *, scheme: str) -> References:
    """List the references of a CSV file of points, one per scene.

    ``x`` and ``y`` are in the scene's CRS, or in the ``crs`` of the row; in scenes without CRS they are column and row,
    where the upper left pixel reaches from 0 to 1. ``class`` is a value or a name of the class scheme.

    Raises:
        EvaluationError: If the list is wrong.
        SchemeError: If a class scheme is unknown.
    """
    scenes: dict[str, list[dict[str, str]]] = {}
    for row in read_rows(path):
        missing = [column for column in POINT_COLUMNS if not row.get(column)]
        if missing:
            msg = f"{path}: expected the columns {', '.join(POINT_COLUMNS)} in every row, got no {', '.join(missing)}."
            raise EvaluationError(msg)
        load_scheme(row.get("scheme") or scheme)
        scenes.setdefault(row["scene"], []).append(row)
    entries = tuple(
        ReferenceEntry(name=short_name(name), read=partial(read_points, path, rows, scheme))
        for name, rows in scenes.items()
    )
    return References(name=path.stem, entries=entries, label_kinds=("points",))


def read_points(path: Path, rows: Sequence[Mapping[str, str]], scheme: str) -> ReferenceScene:
    """Open a scene and burn its points.

    Points of one pixel that agree count once. Where they do not, the pixel can be each of the stated classes, and what
    is stated is kept for protocols that give one of them priority.

    Raises:
        EvaluationError: If a point lies outside the scene, or its class is unknown.
    """
    name = rows[0]["scene"]
    scene = open_scene(name if "://" in name or name.startswith("/vsi") else path.parent / name)
    told: dict[tuple[int, int], list[int]] = {}
    for row in rows:
        told.setdefault(_pixel(row, scene, path), []).append(
            _possible(row, load_scheme(row.get("scheme") or scheme), path)
        )
    possible, stated = burn(told, scene.grid.shape)
    if len(told) < len(rows):
        logger.warning("%s: %d points in %d pixels", scene.name, len(rows), len(told))
    strata = {"labels": "points", **strata_of(rows[0])}
    if "sensor" not in strata and scene.sensor:
        strata["sensor"] = scene.sensor
    return reference_scene(scene, possible, strata, gsd=gsd_of(rows[0], path), stated=stated if stated.any() else None)


def burn(told: Mapping[tuple[int, int], Sequence[int]], shape: tuple[int, int]) -> tuple[UInt8, UInt8]:
    """Burn the sets that are told of some pixels.

    Args:
        told: Row and column -> possible sets.
        shape: Height and width.

    Returns:
        Possible sets, the union of what is told; and the classes that are stated together, as bits, where several
        single classes are told.
    """
    possible, stated = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    for place, sets in told.items():
        union = reduce(or_, sets)
        possible[place] = union
        if len(set(sets)) > 1 and all(one.bit_count() == 1 for one in sets):
            stated[place] = union
    return possible, stated


def _possible(row: Mapping[str, str], scheme: ClassScheme, path: Path) -> int:
    text = row["class"]
    for scene_class in scheme.classes:
        if text in {str(scene_class.value), scene_class.name, scene_class.title}:
            return sum(1 << CLASS_NAMES.index(name) for name in scene_class.possible)
    known = ", ".join(f"{one.value} {one.name}" for one in scheme.classes)
    msg = f"{path}: class {text!r} is not in scheme {scheme.id}: {known}"
    raise EvaluationError(msg)


def _pixel(row: Mapping[str, str], scene: Scene, path: Path) -> tuple[int, int]:
    try:
        x, y = float(row["x"]), float(row["y"])
    except ValueError as error:
        msg = f"{path}: expected numbers for x and y, got {row['x']!r} and {row['y']!r}."
        raise EvaluationError(msg) from error
    if row.get("crs"):
        x, y = _warped(x, y, row["crs"], scene, path)
    col, line = column_and_row(scene.grid, x, y)
    height, width = scene.grid.shape
    if not (0 <= col < width and 0 <= line < height):
        msg = (
            f"{path}: point ({row['x']}, {row['y']}) lies outside {scene.name} (column {col:.1f} of {width},"
            f" row {line:.1f} of {height}). Say its CRS in a column crs, e.g. EPSG:4326."
        )
        raise EvaluationError(msg)
    return int(line), int(col)


def column_and_row(grid: Grid, x: float, y: float) -> tuple[float, float]:
    """Give the column and row of a place in a grid's coordinates, with fractions."""
    a, b, c, d, e, f = grid.transform
    determinant = a * e - b * d
    return (e * (x - c) - b * (y - f)) / determinant, (a * (y - f) - d * (x - c)) / determinant


def _warped(x: float, y: float, crs: str, scene: Scene, path: Path) -> tuple[float, float]:
    if scene.grid.crs is None:
        msg = f"{path}: crs {crs!r} is given, and {scene.name} is not georeferenced. Give column and row, without crs."
        raise EvaluationError(msg)
    try:
        xs, ys = transform(CRS.from_user_input(crs), CRS.from_user_input(scene.grid.crs), [x], [y])[:2]
    except CRSError as error:
        msg = f"{path}: crs {crs!r} is not known. Try EPSG:4326."
        raise EvaluationError(msg) from error
    if not (math.isfinite(xs[0]) and math.isfinite(ys[0])):
        msg = f"{path}: point ({x:g}, {y:g}) of {crs} has no place in the CRS of {scene.name}."
        raise EvaluationError(msg)
    return float(xs[0]), float(ys[0])
