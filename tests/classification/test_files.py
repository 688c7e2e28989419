"""Windows are written as GeoParquet, GeoJSON and CSV that other software reads, all or none."""

from __future__ import annotations

import csv
import itertools
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio.warp

from undercast.classification.classifier import Classifier
from undercast.classification.classify import ClassifyOptions, SceneLabels, classify
from undercast.classification.files import VECTOR_FORMATS, check_free, label_files, write_labels
from undercast.errors import GridError, MissingDependencyError, OutputError, OutputExistsError
from undercast.loading import Model
from undercast.scene import ArrayPixels, Scene

MakeScene = Callable[..., Scene]


@pytest.fixture(scope="module")
def labels(make_scene: MakeScene, classifier: Classifier, cloud_model: Model) -> SceneLabels:
    """Two windows, the second under cloud."""
    scene = make_scene(120, 240)
    values = np.full((4, 120, 240), 0.15, np.float32)
    values[:, :, 120:] = 0.8
    return classify(replace(scene, pixels=ArrayPixels(reflectance=values)), classifier, cloud_model, ClassifyOptions())


def test_geoparquet_holds_outlines_flags_and_scores(labels: SceneLabels, tmp_path: Path) -> None:
    files = label_files(tmp_path, "drawn", "geoparquet")
    write_labels([labels], files, "geoparquet")
    table = pq.read_table(files.windows)
    geo = json.loads(table.schema.metadata[b"geo"])
    column = geo["columns"][geo["primary_column"]]
    assert (geo["version"], column["encoding"], column["geometry_types"]) == ("1.1.0", "WKB", ["Polygon"])
    assert "crs" not in column  # which means longitude and latitude
    rows = table.to_pylist()
    assert [row["status"] for row in rows] == ["scored", "cloudy"]
    assert [row["contains_cloud_or_shadow"] for row in rows] == [False, True]
    assert rows[0]["labels"] == ["Agro-forestry areas"]
    assert rows[1]["score_agro_forestry_areas"] is None
    about = json.loads(table.schema.metadata[b"undercast"])
    assert about["columns"]["score_agro_forestry_areas"] == "Agro-forestry areas"
    ring = ring_of(rows[0]["geometry"])
    assert len(ring) == 5
    assert ring[0] == ring[-1]
    assert signed_area(ring) > 0
    xs, ys = rasterio.warp.transform("OGC:CRS84", "EPSG:32633", *zip(*ring, strict=True))
    assert np.allclose([min(xs), max(xs), min(ys), max(ys)], [390000, 391200, 5347200, 5348400], atol=0.05)
    assert column["bbox"][0] == min(x for x, _ in ring)


def test_geopandas_and_gdal_open_what_was_written(labels: SceneLabels, tmp_path: Path) -> None:
    geopandas = pytest.importorskip("geopandas")
    for kind in VECTOR_FORMATS:
        files = label_files(tmp_path, "drawn", kind)
        write_labels([labels], files, kind)
        read = geopandas.read_parquet if kind == "geoparquet" else geopandas.read_file
        frame = read(files.windows)
        assert frame.geometry.is_valid.all()
        assert frame.crs == "OGC:CRS84" or frame.crs.to_epsg() == 4326
        areas = frame.to_crs("EPSG:32633").area
        assert np.allclose(areas, 1200.0**2, rtol=1e-4)
        assert frame["status"].tolist() == ["scored", "cloudy"]


@pytest.mark.parametrize("west", [-1200.0, 0.0, 600.0])
def test_a_window_across_the_antimeridian_is_cut_there(labels: SceneLabels, tmp_path: Path, west: float) -> None:
    geopandas = pytest.importorskip("geopandas")
    (x,), (y,) = rasterio.warp.transform("EPSG:4326", "EPSG:32601", [-180.0], [60.0])
    grid = replace(labels.grid, crs="EPSG:32601", transform=(10.0, 0.0, x - 1200.0 + west / 2, 0.0, -10.0, y))
    for kind in VECTOR_FORMATS:
        files = label_files(tmp_path, "cut", kind)
        write_labels([replace(labels, grid=grid)], files, kind)
        frame = (geopandas.read_parquet if kind == "geoparquet" else geopandas.read_file)(files.windows)
        assert frame.geometry.is_valid.all()
        parts = frame.geometry.explode()
        assert (parts.bounds.maxx - parts.bounds.minx < 0.1).all()
        assert parts.bounds.minx.min() >= -180.0
        assert parts.bounds.maxx.max() <= 180.0
        assert len(parts) > len(frame)
        assert parts.to_crs("EPSG:32601").area.sum() == pytest.approx(2 * 1200.0**2, rel=1e-3)


def test_longitudes_beyond_180_degrees_come_back(labels: SceneLabels, tmp_path: Path) -> None:
    grid = replace(labels.grid, crs="EPSG:4326", geographic=True, transform=(1e-4, 0.0, 190.0, 0.0, -1e-4, 10.0))
    files = label_files(tmp_path, "turned", "geojson")
    write_labels([replace(labels, grid=grid)], files, "geojson")
    (ring,) = json.loads(files.windows.read_text("utf-8"))["features"][0]["geometry"]["coordinates"]
    assert (min(x for x, _ in ring), max(x for x, _ in ring)) == pytest.approx((-170.0, -169.988))


def test_geojson_says_the_same(labels: SceneLabels, tmp_path: Path) -> None:
    files = label_files(tmp_path, "drawn", "geojson")
    write_labels([labels], files, "geojson")
    features = json.loads(files.windows.read_text("utf-8"))["features"]
    assert [one["properties"]["status"] for one in features] == ["scored", "cloudy"]
    assert features[1]["properties"]["score_pastures"] is None
    assert signed_area(features[0]["geometry"]["coordinates"][0]) > 0


@pytest.mark.parametrize("kind", ["geoparquet", "geojson"])
def test_the_table_has_the_same_rows(labels: SceneLabels, tmp_path: Path, kind: Any) -> None:
    files = label_files(tmp_path, "drawn", kind)
    write_labels([labels, replace(labels, scene="other")], files, kind)
    with files.table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["scene"], row["col"], row["status"]) for row in rows] == [
        ("drawn", "0", "scored"),
        ("drawn", "120", "cloudy"),
        ("other", "0", "scored"),
        ("other", "120", "cloudy"),
    ]
    assert rows[1]["score_pastures"] == ""
    assert float(rows[0]["score_pastures"]) == pytest.approx(1 / (1 + np.exp(1.0)), abs=1e-6)


def test_existing_files_are_not_replaced_unasked(labels: SceneLabels, tmp_path: Path) -> None:
    files = label_files(tmp_path, "drawn", "geojson")
    files.table.write_text("mine", "utf-8")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        check_free(files, overwrite=False)
    check_free(files, overwrite=True)
    write_labels([labels], files, "geojson")
    assert files.table.read_text("utf-8").startswith("scene,row,col")


def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="can begin a file name"):
        label_files(tmp_path, "../x", "geojson")


def test_windows_without_coordinates_are_not_written(labels: SceneLabels, tmp_path: Path) -> None:
    files = label_files(tmp_path, "drawn", "geojson")
    with pytest.raises(GridError, match="georeferenced"):
        write_labels([replace(labels, grid=replace(labels.grid, crs=None))], files, "geojson")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_pyarrow_is_answered_by_its_pip_line(
    labels: SceneLabels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"undercast\[geoparquet\]"):
        write_labels([labels], label_files(tmp_path, "drawn", "geoparquet"), "geoparquet")
    assert list(tmp_path.iterdir()) == []


def ring_of(wkb: bytes) -> list[tuple[float, float]]:
    order, kind, rings, points = struct.unpack_from("<BIII", wkb)
    assert (order, kind, rings) == (1, 3, 1)
    return [struct.unpack_from("<dd", wkb, 13 + 16 * place) for place in range(points)]


def signed_area(ring: Any) -> float:
    return float(sum(a[0] * b[1] - b[0] * a[1] for a, b in itertools.pairwise(ring)))
