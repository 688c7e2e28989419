"""Codes and zones are brought to a grid by the nearest pixel."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rasterio.warp import transform

from undercast.errors import GridError, SceneError
from undercast.grids import Grid
from undercast.weak_labels.on_grid import CodesOnGrid, zone_on_grid
from undercast.windows import Window

GRID = Grid(shape=(8, 10), transform=(10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0), crs="EPSG:32631")
PLAIN = Grid(shape=(8, 10))


@pytest.mark.parametrize("nodata", [None, 9.0])
def test_coarse_codes_are_repeated_and_beyond_the_raster_nothing_is_told(
    tmp_path: Path, make: SimpleNamespace, nodata: float | None
) -> None:
    path = make.write_raster(tmp_path / "a.tif", np.array([[0, 1], [2, 9]], np.uint8), gsd=30.0, nodata=nodata)
    values, told = CodesOnGrid(source=path, grid=GRID)(GRID.full)
    assert values[:6:3, :6:3].tolist() == [[0, 1], [2, 9 if nodata is None else values[3, 3]]]
    assert told[:3, :6].all()
    assert not told[6:].any()
    assert not told[:, 6:].any()
    assert told[3, 3] == (nodata is None)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32"])
def test_beyond_a_raster_of_any_kind_nothing_is_told(tmp_path: Path, make: SimpleNamespace, dtype: str) -> None:
    path = make.write_raster(tmp_path / "a.tif", np.ones((2, 2), dtype), gsd=30.0)
    told = CodesOnGrid(source=path, grid=GRID)(GRID.full)[1]
    assert told[:6, :6].all()
    assert told.sum() == 36


def test_windows_are_parts_of_the_whole(tmp_path: Path, make: SimpleNamespace) -> None:
    codes = np.random.default_rng(0).integers(0, 9, (12, 12)).astype(np.uint8)
    path = make.write_raster(tmp_path / "a.tif", codes, gsd=15.0)
    read = CodesOnGrid(source=path, grid=GRID)
    part = Window(row=2, col=3, height=5, width=4)
    np.testing.assert_array_equal(read(part)[0], read(GRID.full)[0][part.rows, part.cols])


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_without_crs_the_shapes_must_be_the_same(tmp_path: Path, make: SimpleNamespace) -> None:
    codes = np.arange(80, dtype=np.uint8).reshape(8, 10)
    path = make.write_raster(tmp_path / "a.tif", codes, crs=None)
    values, told = CodesOnGrid(source=path, grid=GRID)(Window(row=1, col=0, height=2, width=10))
    assert told.all()
    np.testing.assert_array_equal(values, codes[1:3])
    with pytest.raises(GridError, match=r"expected \(4, 4\) px, because it or the other raster has no CRS"):
        CodesOnGrid(source=path, grid=Grid(shape=(4, 4)))(Window(row=0, col=0, height=4, width=4))


def test_a_damaged_raster_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"no raster")
    with pytest.raises(SceneError, match=r"a\.tif cannot be read"):
        CodesOnGrid(source=tmp_path / "a.tif", grid=GRID)(GRID.full)


def test_a_zone_is_where_a_raster_is_not_zero(tmp_path: Path, make: SimpleNamespace) -> None:
    path = make.write_raster(tmp_path / "zone.tif", np.array([[0, 7]], np.uint8), gsd=40.0)
    zone = zone_on_grid(path, GRID)(GRID.full)
    assert zone[:4, 4:8].all()
    assert zone.sum() == 16


def test_a_zone_is_what_polygons_touch(tmp_path: Path) -> None:
    xs, ys = [500_022.0, 500_038.0], [4_999_978.0, 4_999_962.0]
    corners = [(xs[0], ys[0]), (xs[1], ys[0]), (xs[1], ys[1]), (xs[0], ys[1]), (xs[0], ys[0])]
    longitudes, latitudes = transform(GRID.crs, "EPSG:4326", *zip(*corners, strict=True))
    ring = [list(place) for place in zip(longitudes, latitudes, strict=True)]
    path = tmp_path / "zone.geojson"
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}), "utf-8")
    zone = zone_on_grid(path, GRID)(GRID.full)
    assert {tuple(place) for place in np.argwhere(zone).tolist()} == {(2, 2), (2, 3), (3, 2), (3, 3)}
    below = Window(row=5, col=0, height=3, width=10)
    assert not zone_on_grid(path, GRID)(below).any()
    with pytest.raises(GridError, match="expected a georeferenced mask to find its polygons in"):
        zone_on_grid(path, PLAIN)
