from __future__ import annotations

import runpy
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from undercast.errors import MissingDependencyError, SceneError
from undercast.readers import open_scene, spot_vgt
from undercast.readers.base import OpenOptions
from undercast.scene import SunAngles
from undercast.windows import Window


@pytest.fixture(scope="module")
def vgt() -> SimpleNamespace:
    """The functions of ``tests/data/spot_vgt/make.py``."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "spot_vgt" / "make.py")))


@pytest.mark.parametrize("suffix", ["TIF", "HDF5", "NC", "HDF"])
def test_a_product_comes_back_as_it_was_written(tmp_path: Path, vgt: SimpleNamespace, suffix: str) -> None:
    if suffix == "HDF":
        pytest.importorskip("pyhdf", reason="HDF4 is read where its library is")
    scene = open_scene(vgt.write(tmp_path / vgt.NAME, suffix=suffix))
    np.testing.assert_allclose(scene.read(), vgt.reflectance(), atol=1e-7)
    window = Window(row=2, col=3, height=5, width=7)
    np.testing.assert_allclose(scene.read(window, [2]), vgt.reflectance()[2:3, 2:7, 3:10], atol=1e-7)
    assert (scene.sensor, scene.level, scene.name) == ("spot-vgt-1", "toa", vgt.NAME)
    assert [band.common_name for band in scene.bands] == ["blue", "red", "nir", "swir16"]
    assert scene.acquired == datetime(1999, 1, 10, 9, 45, 1, tzinfo=UTC)
    assert scene.sun == SunAngles(zenith=40.0, azimuth=150.0)


def test_angles_without_data_are_none(tmp_path: Path, vgt: SimpleNamespace) -> None:
    folder = vgt.write(tmp_path / vgt.NAME)
    vgt.SAVE["TIF"](folder / f"{vgt.STATION}_SZA.TIF", np.full(vgt.SHAPE, 255, np.uint8))
    assert open_scene(folder).sun is None


def test_a_log_that_cannot_be_read_is_one_clear_line(
    tmp_path: Path, vgt: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = vgt.write(tmp_path / vgt.NAME)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(SceneError, match="LOG cannot be read: Permission denied"):
        spot_vgt.open(str(folder), OpenOptions())


def test_corners_are_centres_or_edges_as_the_resolution_says(tmp_path: Path, vgt: SimpleNamespace) -> None:
    step, (height, width) = vgt.STEP, vgt.SHAPE
    centres = open_scene(vgt.write(tmp_path / vgt.NAME)).grid
    assert centres.transform == pytest.approx((step, 0.0, -11.0 - step / 2, 0.0, -step, 45.0 + step / 2), abs=1e-6)
    changes = {"CARTO_UPPER_RIGHT_X": -11.0 + width * step, "CARTO_LOWER_LEFT_Y": 45.0 - height * step}
    edges = open_scene(vgt.write(tmp_path / "b" / vgt.NAME, text=vgt.log(**changes))).grid
    assert edges.transform == pytest.approx((step, 0.0, -11.0, 0.0, -step, 45.0), abs=1e-6)


def test_the_classic_layout_and_a_synthesis_are_read(tmp_path: Path, vgt: SimpleNamespace) -> None:
    folder = tmp_path / "V2KRNS10__20040101"
    vgt.write(folder / "0001", prefix="0001", text=vgt.log(SEGM_FIRST_DATE=None))
    (folder / "PHYS_VOL.TXT").write_text("PHYS_VOL_NUMBER 1\n", "utf-8")
    scene = open_scene(folder)
    assert (scene.sensor, scene.level, scene.acquired) == ("spot-vgt-2", "surface", None)


def test_what_the_status_map_calls_bad_has_no_data_in_that_band_only(tmp_path: Path, vgt: SimpleNamespace) -> None:
    status = np.full(vgt.SHAPE, 0xF8)
    status[0, 0] &= ~(1 << 4)  # mid infrared
    status[1, 1] = 0
    valid = np.isfinite(open_scene(vgt.write(tmp_path / vgt.NAME, status=status)).read())
    assert list(valid[:, 0, 0]) == [True, True, True, False]
    assert not valid[:, 1, 1].any()
    assert valid.sum() == valid.size - 5


def test_the_status_map_becomes_a_quality_map(tmp_path: Path, vgt: SimpleNamespace) -> None:
    status = np.full(vgt.SHAPE, 0xF8)
    status[0, :6] = [0xF8, 0xF9, 0xFA, 0xFB, 0xFC, 0xFF]  # clear, shadow, uncertain, cloud, snow, cloud over snow
    status[1, 0] = 0x03
    classes = spot_vgt.quality(str(vgt.write(tmp_path / vgt.NAME, status=status)))
    assert list(classes[0, :7]) == [0, 2, 255, 1, 3, 1, 0]
    assert classes[1, 0] == 255


def test_without_the_hdf4_library_it_names_it_and_the_other_way(
    tmp_path: Path, vgt: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = vgt.write(tmp_path / vgt.NAME)
    (folder / f"{vgt.STATION}_B0.TIF").write_bytes(b"\x0e\x03\x13\x01" + bytes(100))
    monkeypatch.setitem(sys.modules, "pyhdf", None)
    with pytest.raises(MissingDependencyError, match=r"GeoTIFF, NetCDF-4 or HDF5.*pip install 'undercast\[hdf4\]'"):
        open_scene(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"CARTO_LOWER_LEFT_X": None}, "expected a number as attribute CARTO_LOWER_LEFT_X, got none"),
        ({"CARTO_UPPER_RIGHT_Y": "north"}, "CARTO_UPPER_RIGHT_Y, got 'north'"),
        ({"CARTO_UPPER_RIGHT_X": "62.0"}, "expected corners that fit 20 x 24 px"),
        ({"MAP_PROJ_RESOLUTION": "0"}, "expected attribute MAP_PROJ_RESOLUTION above 0"),
    ],
)
def test_a_wrong_log_is_one_clear_line(
    tmp_path: Path, vgt: SimpleNamespace, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(SceneError, match=message):
        open_scene(vgt.write(tmp_path / vgt.NAME, text=vgt.log(**changes)))


def test_missing_and_truncated_files_are_one_clear_line(tmp_path: Path, vgt: SimpleNamespace) -> None:
    folder = vgt.write(tmp_path / vgt.NAME)
    path = folder / f"{vgt.STATION}_B3.TIF"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(SceneError, match="truncated"):
        open_scene(folder).read()
    path.unlink()
    with pytest.raises(SceneError, match="expected a file of B3"):
        open_scene(folder)


def test_the_sensor_is_known_by_the_name_or_the_log(tmp_path: Path, vgt: SimpleNamespace) -> None:
    assert open_scene(vgt.write(tmp_path / "a" / "tile", text=vgt.log(SATELLITE="SPOT5"))).sensor == "spot-vgt-2"
    folder = vgt.write(tmp_path / "tile")
    with pytest.raises(SceneError, match="Say --sensor"):
        open_scene(folder)
    assert open_scene(folder, sensor="spot-vgt-1").level is None
    assert not spot_vgt.accepts(str(tmp_path))


def test_damaged_logs_and_files_give_our_errors_only(
    tmp_path: Path, vgt: SimpleNamespace, fuzzing: SimpleNamespace
) -> None:
    folder = vgt.write(tmp_path / vgt.NAME)
    path = folder / f"{vgt.STATION}_LOG"

    def open_bytes(data: bytes) -> None:
        path.write_bytes(data)
        spot_vgt.open(str(folder), OpenOptions()).read(Window(row=0, col=0, height=4, width=4))

    fuzzing.fuzz(open_bytes, path.read_bytes())


@pytest.mark.parametrize("suffix", ["HDF", "TIF"])
def test_damaged_bands_give_our_errors_only(
    tmp_path: Path, vgt: SimpleNamespace, fuzzing: SimpleNamespace, suffix: str
) -> None:
    if suffix == "HDF":
        pytest.importorskip("pyhdf", reason="HDF4 is read where its library is")
    folder = vgt.write(tmp_path / vgt.NAME, suffix=suffix)
    path = folder / f"{vgt.STATION}_B2.{suffix}"
    examples = 4 if suffix == "HDF" else 25  # a process each

    def open_bytes(data: bytes) -> None:
        path.write_bytes(data)
        spot_vgt.open(str(folder), OpenOptions()).read()

    fuzzing.fuzz(open_bytes, path.read_bytes(), examples=examples)
