"""Sentinel-1 is found by the names of its layers and lies on the optical scene's windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from undercast.classification.sentinel1 import open_radar, patch_radar
from undercast.errors import BandError, GridError, SceneError
from undercast.grids import Grid

PLACE = Affine(10.0, 0.0, 390000.0, 0.0, -10.0, 5348400.0)
GRID = Grid(shape=(40, 40), transform=(30.0, 0.0, 390000.0, 0.0, -30.0, 5348400.0), crs="EPSG:32633")


def write(path: Path, values: np.ndarray, *, crs: str | None = "EPSG:32633", names: tuple[str, ...] = ()) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = values.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": "float32"}
    with rasterio.open(path, "w", crs=crs, transform=PLACE, **profile) as raster:
        raster.write(values.astype(np.float32))
        for number, name in enumerate(names, start=1):
            raster.set_band_description(number, name)
    return path


def ramp(low: float) -> np.ndarray:
    return low + np.tile(np.arange(120.0), (120, 1))[np.newaxis] / 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "S1A_patch_VV.tif", ramp(-12.0))
    write(tmp_path / "S1A_patch_VH.tif", ramp(-19.0))
    return tmp_path


def test_layers_come_in_the_wanted_order_on_the_wanted_ground(folder: Path) -> None:
    found = open_radar(folder).read(("VH", "VV"), GRID, 120)
    assert found.shape == (2, 120, 120)
    assert np.allclose(found, np.concatenate([ramp(-19.0), ramp(-12.0)]))


def test_outside_of_the_product_there_is_no_data(folder: Path) -> None:
    moved = Grid(shape=(40, 40), transform=(30.0, 0.0, 390600.0, 0.0, -30.0, 5348400.0), crs="EPSG:32633")
    found = open_radar(folder).read(("VV",), moved, 120)
    assert np.isnan(found[0, :, 60:]).all()
    assert np.allclose(found[0, :, :60], ramp(-12.0)[0, :, 60:])


def test_one_file_names_its_layers(tmp_path: Path) -> None:
    both = np.concatenate([ramp(-19.0), ramp(-12.0)])
    path = write(tmp_path / "s1.tif", both, names=("sigma0 VH", "sigma0 VV"))
    assert np.allclose(open_radar(path).read(("VV",), GRID, 120), ramp(-12.0))


def test_a_missing_polarisation_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a_VV.tif", ramp(-12.0))
    with pytest.raises(BandError, match=r"VH missing.* A folder of several products needs --metadata\."):
        open_radar(tmp_path)


def test_two_layers_of_one_name_are_refused(folder: Path) -> None:
    write(folder / "other_VV.tif", ramp(-12.0))
    with pytest.raises(BandError, match="one layer VV, got two"):
        open_radar(folder)


def test_a_file_that_is_no_raster_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s1.tif").write_bytes(b"nothing")
    with pytest.raises(SceneError, match="expected a Sentinel-1 raster"):
        open_radar(tmp_path / "s1.tif")


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_product_without_coordinates_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a_VV.tif", ramp(-12.0), crs=None)
    write(tmp_path / "a_VH.tif", ramp(-19.0), crs=None)
    with pytest.raises(GridError, match="georeferenced Sentinel-1"):
        open_radar(tmp_path).read(("VV",), GRID, 120)


def test_a_patch_is_found_in_the_data_sets_folder(tmp_path: Path) -> None:
    name = "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_70_48"
    for one in ("VV", "VH"):
        write(tmp_path / "S1A_IW_GRDH_1SDV_20170613T165043" / name / f"{name}_{one}.tif", ramp(-12.0))
    assert patch_radar(tmp_path, name).layers.keys() == {"VV", "VH"}
    with pytest.raises(SceneError, match="expected the Sentinel-1 patch"):
        patch_radar(tmp_path, "../elsewhere_1_2_3")


@pytest.mark.real_data
def test_a_real_patch_is_in_decibels(real_data: Path) -> None:
    root = real_data / "products" / "bigearthnet_tiff" / "BigEarthNet-S1"
    radar = patch_radar(root, "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_70_48")
    with rasterio.open(radar.layers["VV"][0]) as raster:
        grid = Grid(shape=raster.shape, transform=tuple(raster.transform)[:6], crs=raster.crs.to_wkt())
        stored = raster.read(1)
    assert np.array_equal(radar.read(("VV",), grid, 120)[0], stored)
