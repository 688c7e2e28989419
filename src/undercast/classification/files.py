"""Files: windows and their scores as GeoParquet or GeoJSON, and as a table in CSV; all of them, or none."""

from __future__ import annotations

import csv
import io
import itertools
import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from rasterio.warp import transform

from undercast._optional import require
from undercast.classification.classify import SceneLabels, WindowLabels
from undercast.classification.item import slug
from undercast.classification.windows import corners
from undercast.errors import GridError, OutputError, OutputExistsError
from undercast.writers.staging import output_errors, publish, staging

VectorFormat = Literal["geoparquet", "geojson"]
"""Format of the windows with their outlines."""
VECTOR_FORMATS: tuple[VectorFormat, ...] = get_args(VectorFormat)

ENDINGS: Mapping[VectorFormat, str] = {"geoparquet": "parquet", "geojson": "geojson"}
"""Format -> ending of its files."""

LONGITUDE_LATITUDE = "OGC:CRS84"
"""Coordinates of the outlines: what GeoJSON (RFC 7946) demands, and what GeoParquet takes where it is told nothing."""

DIGITS = 7
"""Decimal places of degrees that are written: about a centimetre."""

GEOPARQUET = "1.1.0"
"""Version of GeoParquet that is written (https://geoparquet.org/releases/v1.1.0)."""

Ring = tuple[tuple[float, float], ...]
"""Longitudes and latitudes of a closed outline."""

Outline = tuple[Ring, ...]
"""One ring; two where the antimeridian cuts a window (RFC 7946, section 3.1.9)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFiles:
    """Files that were written."""

    windows: Path
    """Windows with their outlines."""
    table: Path
    """The same without outlines, in CSV."""


def label_files(folder: Path, name: str, kind: VectorFormat) -> LabelFiles:
    """Name the files of a run, without looking at the disk.

    Raises:
        OutputError: If the name cannot be part of a file name.
    """
    if not name or Path(name).name != name or "\0" in name:
        msg = f"expected a name that can begin a file name, got {name!r}. Give another with --name."
        raise OutputError(msg)
    return LabelFiles(windows=folder / f"{name}_labels.{ENDINGS[kind]}", table=folder / f"{name}_labels.csv")


def check_free(files: LabelFiles, *, overwrite: bool) -> None:
    """Make sure, before anything is computed, that nothing is replaced unasked.

    Raises:
        OutputExistsError: If a file exists and may not be replaced.
    """
    for path in (files.windows, files.table):
        if path.exists() and not overwrite:
            msg = f"{path} exists already. Allow to replace it with --overwrite, or choose another output folder."
            raise OutputExistsError(msg)


def write_labels(scenes: Sequence[SceneLabels], files: LabelFiles, kind: VectorFormat) -> None:
    """Write the windows of scenes that one classifier labelled, one row each.

    Args:
        scenes: Labelled scenes; at least one.
        files: Where to; older files are replaced.
        kind: Format of the windows with their outlines.

    Raises:
        GridError: If a scene's coordinates cannot be turned into longitude and latitude.
        OutputError: If a file cannot be written.
        MissingDependencyError: If GeoParquet is asked for and pyarrow is not installed.
    """
    rows = [row for scene in scenes for row in _rows(scene)]
    outlines = [outline for scene in scenes for outline in _outlines(scene)]
    about = _about(scenes[0])
    data = _parquet(rows, outlines, about) if kind == "geoparquet" else _geojson(rows, outlines, about)
    with staging(files.windows.parent, files.windows.stem) as stage:
        with output_errors(files.windows):
            (stage / files.windows.name).write_bytes(data)
            (stage / files.table.name).write_bytes(_csv(rows))
        publish(stage, [files.table, files.windows])


def _rows(scene: SceneLabels) -> Iterator[dict[str, Any]]:
    columns = [f"score_{slug(label)}" for label in scene.spec.labels]
    for one in scene.windows:
        scores = one.scores or (None,) * len(columns)
        yield {
            "scene": scene.scene,
            "row": one.window.row,
            "col": one.window.col,
            "status": one.status,
            "valid": round(one.valid, 4),
            "cloud": round(one.cloud, 4),
            "shadow": round(one.shadow, 4),
            "contains_cloud_or_shadow": one.contains_cloud_or_shadow,
            "weight": round(one.weight, 4),
            "labels": list(one.labels),
            **dict(zip(columns, (None if score is None else round(score, 6) for score in scores), strict=True)),
        }


def _outlines(scene: SceneLabels) -> Iterator[Outline]:
    """Give each window's outline in longitude and latitude, counterclockwise."""
    if scene.grid.crs is None:
        msg = f"{scene.scene}: expected a georeferenced scene, to say where its windows lie."
        raise GridError(msg)
    for one in scene.windows:
        yield _outline(scene, one)


def _outline(scene: SceneLabels, one: WindowLabels) -> Outline:
    xs, ys = zip(*corners(scene.grid, one.window), strict=True)
    longitudes, latitudes = transform(scene.grid.crs, LONGITUDE_LATITUDE, xs, ys)[:2]
    west = min(longitudes)
    if max(longitudes) - west > 180.0:
        longitudes = [longitude + 360.0 if longitude < 0.0 else longitude for longitude in longitudes]
    elif west >= 180.0:
        longitudes = [longitude - 360.0 for longitude in longitudes]
    points = list(zip(longitudes, latitudes, strict=True))[:-1]
    if max(longitudes) <= 180.0:
        return (_ring(points),)
    beyond = [(x - 360.0, y) for x, y in _beside(points, 180.0, east=True)]
    rings = (_ring(_beside(points, 180.0, east=False)), _ring(beyond))
    return tuple(ring for ring in rings if len(set(ring)) > 2)  # a side on the meridian leaves no area beyond it


def _beside(points: Sequence[tuple[float, float]], meridian: float, *, east: bool) -> list[tuple[float, float]]:
    """Keep the part of a convex outline on one side of a meridian (Sutherland and Hodgman 1974)."""
    kept = []
    for (x0, y0), (x1, y1) in itertools.pairwise([points[-1], *points]):
        if (x0 > meridian) != (x1 > meridian):
            kept.append((meridian, y0 + (y1 - y0) * (meridian - x0) / (x1 - x0)))
        if (x1 > meridian) == east:
            kept.append((x1, y1))
    return kept


def _ring(points: Sequence[tuple[float, float]]) -> Ring:
    """Round and close an outline and turn it counterclockwise."""
    ring = tuple((round(x, DIGITS), round(y, DIGITS)) for x, y in [*points, points[0]])
    area = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in itertools.pairwise(ring))
    return ring if area >= 0.0 else ring[::-1]


def _about(scene: SceneLabels) -> dict[str, Any]:
    """Say which models made the table, and what its columns stand for."""
    return {
        "classifier": {
            "id": scene.classifier.id,
            "version": scene.classifier.version,
            "checksums": list(scene.classifier.checksums),
        },
        "cloud_model": {
            "id": scene.cloud_model.id,
            "version": scene.cloud_model.version,
            "checksums": list(scene.cloud_model.checksums),
        },
        "threshold": scene.spec.threshold,
        "columns": {f"score_{slug(label)}": label for label in scene.spec.labels},
    }


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({**row, "labels": "; ".join(row["labels"])})
    return text.getvalue().encode()


def _geojson(rows: Sequence[Mapping[str, Any]], outlines: Sequence[Outline], about: Mapping[str, Any]) -> bytes:
    features = [
        {"type": "Feature", "geometry": _geometry(outline), "properties": row}
        for row, outline in zip(rows, outlines, strict=True)
    ]
    collection = {"type": "FeatureCollection", "undercast": about, "features": features}
    return json.dumps(collection, allow_nan=False).encode()


def _geometry(outline: Outline) -> dict[str, Any]:
    if len(outline) == 1:
        return {"type": "Polygon", "coordinates": [outline[0]]}
    return {"type": "MultiPolygon", "coordinates": [[ring] for ring in outline]}


def _parquet(rows: Sequence[Mapping[str, Any]], outlines: Sequence[Outline], about: Mapping[str, Any]) -> bytes:
    arrow: Any = require("pyarrow", extra="geoparquet", purpose="write GeoParquet")
    parquet: Any = require("pyarrow.parquet", extra="geoparquet", purpose="write GeoParquet")
    points = [point for outline in outlines for ring in outline for point in ring]
    longitudes, latitudes = zip(*points, strict=True)
    geometry = {
        "encoding": "WKB",
        "geometry_types": sorted({_geometry(outline)["type"] for outline in outlines}),
        "orientation": "counterclockwise",
        "bbox": [min(longitudes), min(latitudes), max(longitudes), max(latitudes)],
    }
    geo = {"version": GEOPARQUET, "primary_column": "geometry", "columns": {"geometry": geometry}}
    columns = {name: arrow.array([row[name] for row in rows], _type(arrow, name)) for name in rows[0]}
    columns["geometry"] = arrow.array([_wkb(outline) for outline in outlines], arrow.binary())
    told = {"geo": json.dumps(geo), "undercast": json.dumps(about)}
    buffer = io.BytesIO()
    parquet.write_table(arrow.table(columns).replace_schema_metadata(told), buffer)
    return buffer.getvalue()


def _type(arrow: Any, name: str) -> Any:
    """Give a column's type, which must not depend on its values: all of a column may be empty."""
    known = {
        "scene": arrow.string(),
        "row": arrow.int32(),
        "col": arrow.int32(),
        "status": arrow.string(),
        "contains_cloud_or_shadow": arrow.bool_(),
        "labels": arrow.list_(arrow.string()),
    }
    return known.get(name, arrow.float32())


def _wkb(outline: Outline) -> bytes:
    """Write a polygon, or several, as well-known binary, little-endian (OGC 06-103r4, 8.2)."""
    polygons = [
        struct.pack("<BIII", 1, 3, 1, len(ring)) + b"".join(struct.pack("<dd", x, y) for x, y in ring)
        for ring in outline
    ]
    return polygons[0] if len(polygons) == 1 else struct.pack("<BII", 1, 6, len(polygons)) + b"".join(polygons)
