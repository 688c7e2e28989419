"""The ground's height comes from a raster in any CRS, warped to the scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

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
