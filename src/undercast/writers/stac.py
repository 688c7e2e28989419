"""STAC: an item that describes the outputs, and links to the scene and to the model's item."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pystac import Asset, Item, Link, MediaType
from rasterio.crs import CRS
from rasterio.warp import transform, transform_bounds

from undercast import __version__
from undercast.classes import ClassScheme
from undercast.grids import Grid
from undercast.prediction import PredictionHeader
from undercast.scene import Scene
from undercast.writers.outputs import RUN, OutputOptions
from undercast.writers.style import stored_nodata
from undercast.writers.tags import one_line
from undercast.writers.tally import Tally

EXTENSIONS = tuple(
    f"https://stac-extensions.github.io/{name}/schema.json"
    for name in ("classification/v1.1.0", "eo/v1.1.0", "file/v2.1.0", "processing/v1.1.0")
)
"""Schemas that every item keeps."""
PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
"""Schema that the item of a georeferenced scene keeps too."""

SHA2_256 = "1220"
"""Prefix of a multihash: SHA2-256, 32 bytes; see https://multiformats.io/multihash."""

DIGITS = 7
"""Decimals of longitudes and latitudes; about a centimetre."""

SECRET = re.compile(r"^(x-amz-|x-goog-|awsaccesskeyid)|sig|token|key|secret|password|credential", re.IGNORECASE)
"""Names of query parameters that sign or open a URL."""

LONLAT = "EPSG:4326"

WHOLE_TURN = 360.0
"""Degrees of longitude around the earth."""


def build_item(
    scene: Scene,
    header: PredictionHeader,
    tally: Tally,
    options: OutputOptions,
    files: Mapping[str, Path],
) -> dict[str, Any]:
    """Describe the outputs of a scene as a STAC 1.1 item.

    Args:
        scene: The scene.
        header: What made the prediction.
        tally: Counts over the whole scene.
        options: Folder, class scheme and command.
        files: Name of each output -> the finished file, which may still lie in another folder.

    Returns:
        The item as JSON values; hrefs are relative to the output folder.
    """
    now = datetime.now(UTC)
    geometry, bbox = footprint(header.grid)
    item = Item(
        id=f"{scene.name}_mask",
        geometry=geometry,
        bbox=bbox,
        datetime=scene.acquired or now,
        properties={
            "title": f"Cloud mask of {scene.name}",
            "description": _description(scene, header),
            "created": now.isoformat(timespec="seconds").replace("+00:00", "Z"),
            **_measures(header, tally),
            **_run(header, options),
            **_projection(header.grid),
        },
        stac_extensions=[*EXTENSIONS, *([] if header.grid.crs is None else [PROJECTION])],
    )
    for key, path in files.items():
        item.add_asset(key, _asset(key, path, header, options.scheme))
    for link in _links(scene, header, options.folder if options.store is None else None):
        item.add_link(link)
    return item.to_dict(include_self_link=False, transform_hrefs=False)


def _description(scene: Scene, header: PredictionHeader) -> str:
    model = header.model
    text = f"Cloud and cloud-shadow mask made by undercast with the model {model.id} {model.version}."
    if not model.verified:
        text += " The model is not verified: its checksums are unknown or do not match."
    if scene.acquired is None:
        text += " The time of acquisition is not known; datetime is the time of processing."
    return text


def _measures(header: PredictionHeader, tally: Tally) -> dict[str, Any]:
    """Give what was measured; percentages of classes only where a pixel is valid."""
    measures: dict[str, Any] = {
        "undercast:valid_percent": round(tally.valid_percent, 4),
        "undercast:partly_valid": tally.partly_valid,
    }
    if tally.valid:
        measures["eo:cloud_cover"] = round(min(tally.cloud_percent, 100.0), 4)
        measures["undercast:percent"] = {name: round(value, 4) for name, value in tally.percent.items()}
    if header.grid.gsd is not None:
        measures["gsd"] = round(header.grid.gsd, 4)
    return measures


def _run(header: PredictionHeader, options: OutputOptions) -> dict[str, Any]:
    """Give what made the prediction; what is empty is left out."""
    model = header.model
    run = {
        "processing:software": {"undercast": __version__},
        "processing:lineage": one_line(options.command or ""),
        "undercast:model": {
            "id": model.id,
            "version": model.version,
            "checksums": list(model.checksums),
            "verified": model.verified,
            "assumptions": list(model.assumptions),
        },
        "undercast:aggregation": header.aggregation,
        "undercast:thresholds": dict(header.thresholds),
        "undercast:tta": header.tta,
        "undercast:precision": header.precision,
        "undercast:bands": dict(header.bands),
        "undercast:absent_bands": list(header.absent),
        "undercast:postprocessing": dict(header.postprocessing),
        "undercast:warnings": list(header.warnings),
        RUN: options.run,
    }
    return {key: value for key, value in run.items() if value}


def _projection(grid: Grid) -> dict[str, Any]:
    """Give the fields of the projection extension, or none where the grid is not georeferenced."""
    if grid.crs is None:
        return {}
    crs = CRS.from_user_input(grid.crs)
    code = crs.to_epsg()
    system = {"proj:wkt2": crs.to_wkt(version="WKT2_2019")} if code is None else {"proj:code": f"EPSG:{code}"}
    return {
        **system,
        "proj:shape": list(grid.shape),
        "proj:transform": [float(value) for value in grid.transform],
    }


def footprint(grid: Grid) -> tuple[dict[str, Any] | None, list[float] | None]:
    """Give the outline of a grid in longitude and latitude (WGS84), and its bounding box.

    The outline joins the four corners counter-clockwise. Where it would cross the antimeridian, or the
    corners say little (around a pole), it is the bounding box, cut at the antimeridian (RFC 7946, section
    3.1.9).

    Returns:
        Geometry and bounding box (west, south, east, north); both None where the grid is not georeferenced or
        cannot be brought to longitudes and latitudes.
    """
    if grid.crs is None:
        return None, None
    corners = _corners(grid)
    xs, ys = zip(*corners, strict=True)
    west, south, east, north = transform_bounds(grid.crs, LONLAT, min(xs), min(ys), max(xs), max(ys))
    lons, lats = transform(grid.crs, LONLAT, xs, ys)
    if not all(map(math.isfinite, (west, south, east, north, *lons, *lats))):
        return None, None
    if west <= east:
        # A geographic grid may go on beyond 180 degrees, or count from 0 to 360.
        west, east, turned = _within_turn(west, east)
        lons = [lon + turned for lon in lons]
    bbox = [round(value, DIGITS) for value in (west, south, east, north)]
    if west > east:
        boxes = (_box(west, south, 180.0, north), _box(-180.0, south, east, north))
        return {"type": "MultiPolygon", "coordinates": [[ring] for ring in boxes]}, bbox
    if max(lons) - min(lons) > 180.0 or east - west > 180.0:
        return {"type": "Polygon", "coordinates": [_box(west, south, east, north)]}, bbox
    return {"type": "Polygon", "coordinates": [_ring(list(zip(lons, lats, strict=True)))]}, bbox


def _within_turn(west: float, east: float) -> tuple[float, float, float]:
    """Bring west and east to [-180, 180]; across the antimeridian west is then larger.

    Returns:
        Both, and the turns, in degrees, that bring the middle between them there.
    """
    if -180.0 <= west <= east <= 180.0:
        return west, east, 0.0
    if east - west > WHOLE_TURN - 10.0**-DIGITS:
        return -180.0, 180.0, 0.0
    turned = -WHOLE_TURN * math.floor((west + east + WHOLE_TURN) / (2 * WHOLE_TURN))
    west, east = west + turned, east + turned
    return (west + WHOLE_TURN if west < -180.0 else west), (east - WHOLE_TURN if east > 180.0 else east), turned


def _corners(grid: Grid) -> list[tuple[float, float]]:
    a, b, c, d, e, f = grid.transform
    height, width = grid.shape
    places = ((0, 0), (0, height), (width, height), (width, 0))
    return [(a * col + b * row + c, d * col + e * row + f) for col, row in places]


def _box(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return _ring([(west, south), (east, south), (east, north), (west, north)])


def _ring(points: list[tuple[float, float]]) -> list[list[float]]:
    """Close a ring and turn it counter-clockwise."""
    following = points[1:] + points[:1]
    twice_area = sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in zip(points, following, strict=True))
    turned = points if twice_area > 0 else points[::-1]
    return [[round(x, DIGITS), round(y, DIGITS)] for x, y in [*turned, turned[0]]]


def _asset(key: str, path: Path, header: PredictionHeader, scheme: ClassScheme) -> Asset:
    title, media_type, roles = {
        "class_map": ("Class map", MediaType.COG, ["data", "cloud", "cloud-shadow"]),
        "probabilities": ("Class probabilities", MediaType.COG, ["data", "probability"]),
        "uncertainty": (f"Uncertainty ({header.uncertainty_kind})", MediaType.COG, ["data", "uncertainty"]),
        "quicklook": ("Scene beside class map", MediaType.PNG, ["overview"]),
        "style": ("QGIS style of the class map", MediaType.XML, ["metadata", "style"]),
    }[key]
    return Asset(
        href=f"./{quote(path.name)}",
        title=title,
        media_type=media_type,
        roles=roles,
        extra_fields={
            **_data_fields(key, header, scheme),
            "file:size": path.stat().st_size,
            "file:checksum": SHA2_256 + _sha256(path),
        },
    )


def _data_fields(key: str, header: PredictionHeader, scheme: ClassScheme) -> dict[str, Any]:
    """Give the fields on what a raster's values mean."""
    if key == "class_map":
        nodata = stored_nodata(scheme)
        return {
            "data_type": "uint8",
            **({} if nodata is None else {"nodata": nodata}),
            "classification:classes": [
                {
                    "value": entry.value,
                    "name": entry.name,
                    "description": entry.title,
                    "color_hint": entry.color.removeprefix("#").upper(),
                }
                for entry in scheme.classes
            ],
        }
    if key == "probabilities":
        return {"data_type": "float32", "nodata": "nan", "bands": [{"name": name} for name in header.classes]}
    if key == "uncertainty":
        return {"data_type": "float32", "nodata": "nan"}
    return {}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _links(scene: Scene, header: PredictionHeader, folder: Path | None) -> list[Link]:
    links = []
    source = scene.provenance.get("source")
    if source and source != "array" and (_is_remote(source) or Path(source).exists()):
        links.append(Link(rel="derived_from", target=_href(source, folder), title=f"Scene {scene.name}"))
    model = header.model
    if model.href:
        title = f"Model {model.id} {model.version}"
        href = _href(model.href, folder)
        links.append(Link(rel="derived_from", target=href, media_type=MediaType.GEOJSON, title=title))
    return links


def _href(target: str, folder: Path | None) -> str:
    """Refer to a URL as it is, and to a local file relative to the output folder where there is one."""
    if _is_remote(target):
        return without_secrets(target)
    if folder is None:
        return Path(target).resolve().as_uri()
    try:
        relative = os.path.relpath(target, folder)
    except ValueError:  # another drive
        return Path(target).resolve().as_uri()
    return quote(Path(relative).as_posix())


def _is_remote(target: str) -> bool:
    return "://" in target or target.startswith("/vsi")


def without_secrets(url: str) -> str:
    """Drop the user, the password and signed query parameters from a URL, because items are published."""
    plain = re.sub(r"://[^/@]*@", "://", url)
    base, mark, query = plain.partition("?")
    kept = [part for part in query.split("&") if part and not SECRET.search(part.partition("=")[0])]
    return base + (mark + "&".join(kept) if kept else "")
