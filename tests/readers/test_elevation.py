"""The ground's height comes from a raster in any CRS, warped to the scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from rasterio.warp import transform

from undercast.errors import GridError, SceneError
from undercast.grids import Grid
from undercast.readers.elevation import Elevation
from undercast.windows import Window

SCENE = Grid(shape=(100, 80), transform=(30.0, 0.0, 500000.0, 0.0, -30.0, 5000000.0), crs="EPSG:32632")


def dem(path: Path, *, crs: str | None = "EPSG:4326", nodata: float | None = -9999) -> Path:
    """Write heights that grow eastwards, 1000 m at 9 degrees and 1000 m more per degree, without data in the south."""
    metres = np.repeat(1000 + 10 * (np.arange(20, dtype=np.float32) + 0.5)[None], 20, axis=0)
    metres[12:] = -9999
    profile = {"driver": "GTiff", "count": 1, "height": 20, "width": 20, "dtype": "float32", "nodata": nodata}
    with rasterio.open(path, "w", crs=crs, transform=from_origin(9.0, 45.25, 0.01, 0.01), **profile) as raster:
        raster.write(metres, 1)
    return path


def test_heights_are_interpolated_on_the_scenes_grid(tmp_path: Path) -> None:
    ground = Elevation(source=str(dem(tmp_path / "dem.tif")), grid=SCENE)
    part = Window(row=0, col=40, height=10, width=20)
    metres = ground(part)
    assert metres.shape == (10, 20)
    # A degree is about 78.8 km here: 20 columns of 30 m are 7.6 m more.
    assert metres[0, -1] - metres[0, 0] == pytest.approx(19 * 30 / 78800 * 1000, abs=0.3)
    whole = ground(SCENE.full)
    np.testing.assert_allclose(whole[:10, 40:60], metres, atol=1e-3)
    assert np.isnan(whole[-1]).all()


def test_beyond_the_raster_there_is_no_height_also_where_no_nodata_is_declared(tmp_path: Path) -> None:
    elsewhere = Grid(shape=(10, 10), transform=(30.0, 0.0, 700000.0, 0.0, -30.0, 5000000.0), crs="EPSG:32632")
    ground = Elevation(source=str(dem(tmp_path / "dem.tif", nodata=None)), grid=elsewhere)
    assert np.isnan(ground(elsewhere.full)).all()


@pytest.mark.parametrize("nodata", [-9999, None])
def test_holes_are_not_mixed_with_the_heights_around_them(tmp_path: Path, nodata: float | None) -> None:
    metres = Elevation(source=str(dem(tmp_path / "dem.tif", nodata=nodata)), grid=SCENE)(SCENE.full)
    assert np.isnan(metres).any()
    assert metres[np.isfinite(metres)].min() > 1000


def flat(path: Path, side: int, px: float, holes: dict[Any, Any], *, nodata: float | None = None) -> Path:
    """Write ground at 500 m from 500000 m east and 5000000 m north on, with holes at some rows and columns."""
    metres = np.full((side, side), 500, np.float32)
    for place, value in holes.items():
        metres[place] = value
    profile = {"driver": "GTiff", "count": 1, "height": side, "width": side, "dtype": "float32", "nodata": nodata}
    with rasterio.open(
        path, "w", crs="EPSG:32632", transform=from_origin(500000, 5000000, px, px), **profile
    ) as raster:
        raster.write(metres, 1)
    return path


@pytest.mark.parametrize("nodata", [None, -9999, 0])
def test_several_kinds_of_holes_are_none_of_them_heights(tmp_path: Path, nodata: float | None) -> None:
    values = (-9999, -32768, -32767, 65535, 32767, 3.4e38, -3.4e38, np.inf, 15000)
    holes = {(2 + 4 * (number // 3), 2 + 4 * (number % 3)): value for number, value in enumerate(values)}
    path = flat(tmp_path / "dem.tif", 13, 90.0, holes, nodata=nodata)
    near = Grid(shape=(38, 38), transform=(30.0, 0.0, 500010.0, 0.0, -30.0, 4999990.0), crs="EPSG:32632")
    metres = Elevation(source=str(path), grid=near)(near.full)
    assert 9 <= np.isnan(metres).sum() <= 9 * 9
    np.testing.assert_allclose(metres[np.isfinite(metres)], 500, rtol=1e-6)


def test_a_hole_of_one_pixel_in_a_large_raster_is_found(tmp_path: Path) -> None:
    path = flat(tmp_path / "dem.tif", 2600, 30.0, {(1302, 1302): -32768})
    hole = Grid(shape=(9, 9), transform=(30.0, 0.0, 538900.0, 0.0, -30.0, 4961080.0), crs="EPSG:32632")
    metres = Elevation(source=str(path), grid=hole)(hole.full)
    assert 1 <= np.isnan(metres).sum() <= 9
    np.testing.assert_allclose(metres[np.isfinite(metres)], 500, rtol=1e-6)


def test_a_finer_raster_is_averaged_without_its_holes_and_some_rows_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("undercast.readers.elevation.VALUES_AT_ONCE", 1000)
    holes: dict[tuple[int, int], float] = {(row, 37): -9999 for row in range(0, 100, 2)}
    path = flat(
        tmp_path / "dem.tif", 100, 5.0, holes | {(row, col): -9999 for row in range(50, 80) for col in range(30)}
    )
    coarse = Grid(shape=(10, 10), transform=(50.0, 0.0, 500000.0, 0.0, -50.0, 5000000.0), crs="EPSG:32632")
    metres = Elevation(source=str(path), grid=coarse)(coarse.full)
    np.testing.assert_allclose(metres[np.isfinite(metres)], 500, rtol=1e-6)
    away = np.zeros((10, 10), np.bool_)
    away[5:8, :3] = True
    np.testing.assert_array_equal(np.isnan(metres), away)


def test_a_finer_raster_gives_the_same_heights_in_any_window(tmp_path: Path) -> None:
    metres = np.add.outer(np.arange(120), 2 * np.arange(120)).astype(np.float32)
    path = flat(tmp_path / "dem.tif", 120, 10.0, {...: metres})
    coarse = Grid(shape=(30, 30), transform=(35.0, 0.0, 500000.0, 0.0, -35.0, 5000000.0), crs="EPSG:32632")
    ground = Elevation(source=str(path), grid=coarse)
    whole = ground(coarse.full)
    # Without curvature, the average over a pixel is the height in its middle.
    rows = (np.arange(30) + 0.5) * 3.5 - 0.5
    differences = (whole - np.add.outer(rows, 2 * rows))[2:-2, 2:-2]
    assert np.abs(differences).max() < 1.0
    assert abs(differences.mean()) < 0.05
    part = Window(row=7, col=11, height=13, width=12)
    np.testing.assert_allclose(ground(part), whole[7:20, 11:23], atol=1e-3)


@pytest.mark.parametrize("west", [-180.0, 0.0, 170.0])
@pytest.mark.parametrize("crs", ["EPSG:32601", "EPSG:4326"])
def test_a_raster_around_the_earth_is_one_across_the_date_line(tmp_path: Path, west: float, crs: str) -> None:
    path, width = tmp_path / "dem.tif", 20 if west == 170.0 else 360
    east_of = (west + np.arange(width) + 0.5 - 170.0) % 360.0
    metres = np.repeat(100 * east_of[None], 10, axis=0).astype(np.float32)
    profile = {"driver": "GTiff", "count": 1, "height": 10, "width": width, "dtype": "float32", "nodata": None}
    with rasterio.open(path, "w", crs="EPSG:4326", transform=from_origin(west, 50, 1, 1), **profile) as raster:
        raster.write(metres, 1)
    if crs == "EPSG:4326":
        grid = Grid(shape=(10, 40), transform=(0.1, 0.0, 178.0, 0.0, -0.1, 46.0), crs=crs, geographic=True)
        wanted = np.full(10, 1)[:, None] * (800 + 10 * (np.arange(40) + 0.5))
    else:
        grid = Grid(shape=(10, 40), transform=(5000.0, 0.0, 120000.0, 0.0, -5000.0, 5000000.0), crs=crs)
        xs, ys = np.meshgrid(122500 + 5000 * np.arange(40), 4997500 - 5000 * np.arange(10))
        degrees = np.array(transform(crs, "EPSG:4326", xs.ravel(), ys.ravel())[0])
        wanted = (100 * ((degrees - 170.0) % 360.0)).reshape(10, 40)
    ground = Elevation(source=str(path), grid=grid)
    np.testing.assert_allclose(ground(grid.full), wanted, atol=0.5)
    part = Window(row=2, col=20, height=5, width=20)
    np.testing.assert_allclose(ground(part), wanted[2:7, 20:], atol=0.5)


def test_what_has_no_place_in_the_rasters_crs_has_no_height(tmp_path: Path) -> None:
    path = tmp_path / "half.tif"
    profile = {"driver": "GTiff", "count": 1, "height": 10, "width": 10, "dtype": "float32"}
    view = "+proj=ortho +lat_0=45 +lon_0=9"
    with rasterio.open(path, "w", crs=view, transform=from_origin(-7e6, 7e6, 14e5, 14e5), **profile) as raster:
        raster.write(np.full((10, 10), 5, np.float32), 1)
    earth = Grid(shape=(45, 90), transform=(4.0, 0.0, -180.0, 0.0, -4.0, 90.0), crs="EPSG:4326", geographic=True)
    metres = Elevation(source=str(path), grid=earth)(earth.full)
    assert np.isfinite(metres).mean() == pytest.approx(0.5, abs=0.01)
    assert np.nanmax(np.abs(metres - 5)) < 1e-3
    beyond = Grid(shape=(9, 9), transform=(30.0, 0.0, 500000.0, 0.0, -30.0, 5000000.0), crs="EPSG:32760")
    assert np.isnan(Elevation(source=str(path), grid=beyond)(beyond.full)).all()


def test_without_crs_or_file_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(GridError, match="without CRS"):
        Elevation(source=str(dem(tmp_path / "dem.tif", crs=None)), grid=SCENE)(SCENE.full)
    with pytest.raises(GridError, match="without CRS"):
        Elevation(source=str(dem(tmp_path / "dem2.tif")), grid=Grid(shape=(9, 9)))(
            Window(row=0, col=0, height=9, width=9)
        )
    with pytest.raises(SceneError, match="cannot be read"):
        Elevation(source=str(tmp_path / "none.tif"), grid=SCENE)(SCENE.full)
    (tmp_path / "cut.tif").write_bytes((tmp_path / "dem2.tif").read_bytes()[:200])
    with pytest.raises(SceneError, match="cannot be read"):
        Elevation(source=str(tmp_path / "cut.tif"), grid=SCENE)(SCENE.full)


def test_known_share_tells_holes_undeclared_ones_and_other_places(tmp_path: Path) -> None:
    # Rows 12 and on are holes: south of 45.13 degrees, which lie in the lower part of the scene.
    share = Elevation(source=str(dem(tmp_path / "dem.tif")), grid=SCENE).known_share()
    assert 0.2 < share < 1.0
    undeclared = Elevation(source=str(dem(tmp_path / "bare.tif", nodata=None)), grid=SCENE)
    assert undeclared.known_share() == pytest.approx(share)
    assert np.nanmin(undeclared(SCENE.full)) > -9000
    elsewhere = Grid(shape=(10, 10), transform=(30.0, 0.0, 700000.0, 0.0, -30.0, 5000000.0), crs="EPSG:32632")
    assert Elevation(source=str(tmp_path / "dem.tif"), grid=elsewhere).known_share() == 0.0
