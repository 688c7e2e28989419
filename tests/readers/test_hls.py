"""HLS scenes are surface reflectance with the bands of the sensor that they are named after."""

from __future__ import annotations

import runpy
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from undercast.errors import SceneError
from undercast.readers import open_scene
from undercast.scene import SunAngles


@pytest.fixture(scope="module")
def make() -> SimpleNamespace:
    """The functions of ``tests/data/hls/make.py``."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "hls" / "make.py")))


@pytest.mark.parametrize(
    ("kind", "sensor", "names"),
    [
        ("S30", "sentinel-2a-msi", ["blue", "green", "red", "nir08", "swir16"]),
        ("L30", "landsat-8-oli", ["blue", "green", "red", "nir08", "swir16", "cirrus"]),
    ],
)
def test_bands_go_by_the_sensor_and_thermal_ones_are_left_out(
    tmp_path: Path, make: SimpleNamespace, kind: str, sensor: str, names: list[str]
) -> None:
    scene = open_scene(make.write(tmp_path, kind))
    assert (scene.sensor, scene.level, scene.name) == (sensor, "surface", make.SCENE.format(kind=kind))
    assert [band.common_name for band in scene.bands] == names
    assert scene.sun == SunAngles(zenith=65.5, azimuth=162.5)
    assert scene.acquired == datetime(2024, 1, 20, 10, 53, 41, tzinfo=UTC)
    read = scene.read()
    # The first row is fill in the bands, the last in Fmask.
    assert np.isnan(read[:, [0, 7]]).all()
    np.testing.assert_allclose(read[0, 1:7], make.numbers(kind, "B02")[1:7] * 1e-4, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "tags", "sensor"),
    [
        ("S30", {"PRODUCT_URI": "S2B_MSIL1C_20240120T105341_N0510_R051_T31TCJ.SAFE"}, "sentinel-2b-msi"),
        ("S30", {"PRODUCT_URI": "S2Z_MSIL1C"}, "sentinel-2a-msi"),
        ("L30", {"LANDSAT_PRODUCT_ID": "LC09_L1TP_198030_20240120_20240121_02_T1; LC09_X"}, "landsat-9-oli"),
    ],
)
def test_the_tags_say_which_satellite_it_was(
    tmp_path: Path, make: SimpleNamespace, kind: str, tags: dict[str, str], sensor: str
) -> None:
    assert open_scene(make.write(tmp_path, kind, **tags)).sensor == sensor


def test_of_angles_of_several_products_the_first_counts(tmp_path: Path, make: SimpleNamespace) -> None:
    scene = open_scene(make.write(tmp_path, zenith="65.5;66.0"))
    assert scene.sun == SunAngles(zenith=65.5, azimuth=162.5)


def test_without_fmask_fill_is_that_of_the_bands(tmp_path: Path, make: SimpleNamespace) -> None:
    next(make.write(tmp_path).glob("*Fmask.tif")).unlink()
    assert np.isfinite(open_scene(tmp_path).read()[:, 1:]).all()


def test_one_file_stands_for_its_scene(tmp_path: Path, make: SimpleNamespace) -> None:
    make.write(tmp_path, "L30")
    file = next(make.write(tmp_path).glob("*S30*B04.tif"))
    assert open_scene(file).sensor == "sentinel-2a-msi"
    with pytest.raises(SceneError, match="expected the files of one HLS scene"):
        open_scene(tmp_path)


def test_wrong_angles_and_truncated_files_are_told(tmp_path: Path, make: SimpleNamespace) -> None:
    with pytest.raises(SceneError, match="expected a number as mean sun angle, got 'low'"):
        open_scene(make.write(tmp_path / "a", zenith="low"))
    path = next(make.write(tmp_path / "b").glob("*B04.tif"))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SceneError, match=r"B04\.tif can"):
        open_scene(tmp_path / "b").read()


# rasterio cannot log a message of GDAL that is no UTF-8, and says so behind our back.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_damaged_files_give_our_errors(tmp_path: Path, make: SimpleNamespace, fuzzing: SimpleNamespace) -> None:
    path = next(make.write(tmp_path).glob("*B04.tif"))

    def open_bytes(data: bytes) -> None:
        path.write_bytes(data)
        open_scene(tmp_path, bands="red").read()

    fuzzing.fuzz(open_bytes, path.read_bytes())
