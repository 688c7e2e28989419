"""BigEarthNet patches open as scenes of surface reflectance, alone or by the folder."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from undercast.errors import BandError, SceneError
from undercast.readers import list_scenes, open_scene

PRODUCT = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP"


def write_patch(folder: Path, *, bands: tuple[str, ...] = ("B01", "B02", "B04", "B05", "B8A")) -> Path:
    """Write a patch whose digital numbers are 1000 plus the band's place."""
    folder.mkdir(parents=True)
    for place, name in enumerate(bands):
        side = {"B01": 20, "B09": 20, "B02": 120, "B03": 120, "B04": 120, "B08": 120}.get(name, 60)
        gsd = 1200 / side
        profile = {"driver": "GTiff", "count": 1, "height": side, "width": side, "dtype": "uint16"}
        place_on_ground = Affine(gsd, 0, 390000, 0, -gsd, 5348400)
        path = folder / f"{folder.name}_{name}.tif"
        with rasterio.open(path, "w", crs="EPSG:32633", transform=place_on_ground, **profile) as raster:
            raster.write(np.full((1, side, side), 1000 + place, np.uint16))
    return folder


def test_a_patch_is_a_scene_on_the_finest_grid(tmp_path: Path) -> None:
    scene = open_scene(write_patch(tmp_path / PRODUCT / f"{PRODUCT}_75_43"))
    assert scene.name == f"{PRODUCT}_75_43"
    assert [band.name for band in scene.bands] == ["B01", "B02", "B04", "B05", "B8A"]
    assert (scene.grid.shape, scene.grid.gsd, scene.level) == ((120, 120), 10.0, "surface")
    assert (scene.sensor, scene.acquired) == ("sentinel-2a-msi", datetime(2017, 6, 13, 10, 10, 31, tzinfo=UTC))
    assert np.allclose(scene.read().mean(axis=(1, 2)), np.array([0.1, 0.1001, 0.1002, 0.1003, 0.1004]))


def test_a_folder_holds_its_patches_as_scenes(tmp_path: Path) -> None:
    names = [f"{PRODUCT}_75_43", f"{PRODUCT}_89_18"]
    for name in names:
        write_patch(tmp_path / "BigEarthNet-S2" / PRODUCT / name)
    for folder in (tmp_path / "BigEarthNet-S2", tmp_path / "BigEarthNet-S2" / PRODUCT):
        assert [Path(str(source)).name for source in list_scenes(folder)] == names
    with pytest.raises(SceneError, match="expected the folder of one patch"):
        open_scene(tmp_path / "BigEarthNet-S2")


def test_patches_of_the_first_version_open_too(tmp_path: Path) -> None:
    scene = open_scene(write_patch(tmp_path / "S2B_MSIL2A_20180526T100031_14_23"))
    assert scene.sensor == "sentinel-2b-msi"


def test_bands_can_be_chosen_and_a_missing_one_is_named(tmp_path: Path) -> None:
    patch = write_patch(tmp_path / f"{PRODUCT}_75_43")
    assert [band.name for band in open_scene(patch, bands="red,B02").bands] == ["B04", "B02"]
    with pytest.raises(BandError, match=r"band 'nir' is not in it\. It has B01"):
        open_scene(patch, bands="red,nir")


def test_a_band_that_is_no_raster_is_refused(tmp_path: Path) -> None:
    patch = write_patch(tmp_path / f"{PRODUCT}_75_43")
    (patch / f"{patch.name}_B02.tif").write_bytes(b"cut short")
    with pytest.raises(SceneError, match="B02"):
        open_scene(patch)


@pytest.mark.real_data
def test_the_real_patch_opens_with_all_its_bands(real_data: Path) -> None:
    (source,) = list_scenes(real_data / "products" / "bigearthnet_tiff" / "BigEarthNet-S2")
    assert isinstance(source, str)
    scene = open_scene(source)
    assert len(scene.bands) == 12
    with rasterio.open(next(Path(source).glob("*_B11.tif"))) as raster:
        stored = raster.read(1)
    place = [band.name for band in scene.bands].index("B11")
    assert np.allclose(scene.read(bands=[place])[0], stored.repeat(2, axis=0).repeat(2, axis=1) / 10_000)
