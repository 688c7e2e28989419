from __future__ import annotations

import runpy
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from undercast.errors import BandError, GridError, MissingDependencyError, SceneError, SensorError
from undercast.radiometry import Scaling
from undercast.readers import open_scene, proba_v
from undercast.readers.base import OpenOptions
from undercast.scene import SunAngles
from undercast.sensors import load_sensor
from undercast.windows import Window

NONE = OpenOptions()


@pytest.fixture(scope="module")
def pv() -> SimpleNamespace:
    """The functions of ``tests/data/proba_v/make.py``."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "proba_v" / "make.py")))


@pytest.fixture(scope="module")
def products(pv: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both levels; not to be changed."""
    folder: Path = pv.make(tmp_path_factory.mktemp("proba_v"))
    return folder


def test_a_synthesis_comes_back_as_it_was_written(products: Path, pv: SimpleNamespace) -> None:
    scene = open_scene(products / pv.S1_NAME)
    np.testing.assert_allclose(scene.read(), pv.reflectance(), atol=1e-7)
    assert scene.name == "PROBAV_S1_TOA_X18Y02_20160512_333M_V101"
    assert (scene.sensor, scene.level) == ("proba-v", "toa")
    assert [band.common_name for band in scene.bands] == ["blue", "red", "nir", "swir16"]
    assert scene.bands[0].center_wavelength == pytest.approx(0.463)
    assert scene.acquired == datetime(2016, 5, 12, 10, 15, 30, tzinfo=UTC)
    assert scene.sun == SunAngles(zenith=40.0, azimuth=120.5)
    assert scene.provenance["scaling_from"] == "product"


def test_the_mapping_names_the_centre_of_the_first_pixel(products: Path, pv: SimpleNamespace) -> None:
    grid = open_scene(products / pv.S1_NAME).grid
    step = 1 / 336
    assert grid.crs == "EPSG:4326"
    assert grid.geographic
    assert grid.transform == pytest.approx((step, 0.0, 10.0 - step / 2, 0.0, -step, 45.0 + step / 2))


def test_windows_and_bands_are_read_alone(products: Path, pv: SimpleNamespace) -> None:
    scene = open_scene(products / pv.S1_NAME, bands="swir16,-,Red")
    window = Window(row=3, col=5, height=4, width=6)
    np.testing.assert_allclose(scene.read(window), pv.reflectance()[[3, 1], 3:7, 5:11], atol=1e-7)
    with pytest.raises(BandError, match=r"'green' is not in it\. It has BLUE \(blue\)"):
        open_scene(products / pv.S1_NAME, bands="green")
    with pytest.raises(BandError, match="named twice"):
        open_scene(products / pv.S1_NAME, bands="red,RED")
    with pytest.raises(BandError, match="at least one band"):
        open_scene(products / pv.S1_NAME, bands="-")


def test_what_the_status_map_calls_bad_has_no_data_in_that_band_only(tmp_path: Path, pv: SimpleNamespace) -> None:
    status = np.full(pv.SHAPE, 0xF8)
    status[0, 0] &= ~(1 << 7)  # blue
    status[1, 1] = 0
    valid = np.isfinite(open_scene(pv.write(tmp_path / pv.S1_NAME, status=status)).read())
    assert list(valid[:, 0, 0]) == [False, True, True, True]
    assert not valid[:, 1, 1].any()
    assert valid.sum() == valid.size - 5


def test_a_segment_needs_coverage_too(tmp_path: Path, pv: SimpleNamespace) -> None:
    status = np.full(pv.SHAPE, pv.ALL_GOOD)
    status[2, 3] &= ~(1 << 8)  # swir not covered
    scene = open_scene(pv.write(tmp_path / pv.L2A_NAME, status=status, group="LEVEL2A"))
    assert list(np.isfinite(scene.read()[:, 2, 3])) == [True, True, True, False]
    assert scene.level == "toa"


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint32])
def test_a_status_map_is_understood_however_it_is_stored(tmp_path: Path, pv: SimpleNamespace, dtype: type) -> None:
    path = pv.write(tmp_path / pv.L2A_NAME, group="LEVEL2A")
    with h5py.File(path, "r+") as file:
        del file["LEVEL2A/QUALITY/SM"]
        file["LEVEL2A/QUALITY/SM"] = np.full(pv.SHAPE, 0xFFB).astype(dtype)
    # In 8 bits there is no room for what says that a band was seen, unless the sign fills them.
    assert open_scene(path).valid().all() == (dtype is not np.uint8)
    assert (proba_v.quality(str(path)) == 1).all()


def test_no_data_has_no_data(tmp_path: Path, pv: SimpleNamespace) -> None:
    values = pv.reflectance()
    values[1, 4, 4] = np.nan
    assert not open_scene(pv.write(tmp_path / pv.S1_NAME, values)).valid()[4, 4]


def test_the_level_chooses_between_toa_and_toc(tmp_path: Path, pv: SimpleNamespace) -> None:
    path = pv.write(tmp_path / "PROBAV_S10_TOC_X18Y02_20160511_333M_V101.HDF5", kinds=("TOA", "TOC"))
    top, ground = open_scene(path), open_scene(path, level="surface")
    assert (top.level, ground.level) == ("toa", "surface")
    np.testing.assert_allclose(ground.read(), top.read() / 2, atol=3e-4)
    assert top.acquired is None  # ten days have no time of acquisition
    only = pv.write(tmp_path / "PROBAV_S5_TOA_X18Y02_20160511_333M_V101.HDF5")
    with pytest.raises(SceneError, match="expected reflectance TOC in LEVEL3/RADIOMETRY/BLUE"):
        open_scene(only, level="surface")


def test_the_status_map_becomes_a_quality_map(tmp_path: Path, pv: SimpleNamespace) -> None:
    status = np.full(pv.SHAPE, 0xF8)
    status[0, :5] = [0xF8, 0xF9, 0xFA, 0xFB, 0xFC]  # clear, shadow, undefined, cloud, snow
    status[1, 0] = 0x0B  # cloud, but no band is good
    path = pv.write(tmp_path / pv.S1_NAME, status=status)
    classes = proba_v.quality(str(path))
    assert list(classes[0, :6]) == [0, 2, 255, 1, 3, 0]
    assert classes[1, 0] == 255


def test_the_callers_scaling_and_nodata_are_taken(tmp_path: Path, pv: SimpleNamespace) -> None:
    path = pv.write(tmp_path / pv.S1_NAME, np.full((4, *pv.SHAPE), 0.5))
    scene = open_scene(path, scaling=Scaling(scale=0.001))
    assert scene.read()[0, 0, 0] == pytest.approx(1.0)
    assert not open_scene(path, nodata=1000).valid().any()


def test_a_folder_and_a_file_of_another_name_are_known_by_their_contents(tmp_path: Path, pv: SimpleNamespace) -> None:
    folder = tmp_path / "PV_S1"
    folder.mkdir()
    pv.write(folder / pv.S1_NAME)
    (folder / "readme.xml").write_text("<a/>", "utf-8")
    assert open_scene(folder).sensor == "proba-v"
    renamed = pv.write(tmp_path / "tile.h5")
    assert open_scene(renamed).sensor == "proba-v"
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["x"] = [1, 2]
    assert not proba_v.accepts(str(other))


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"SCALE": 0.0}, "expected attribute SCALE above 0, got 0"),
        ({"SCALE": None}, "expected a number as attribute SCALE, got none"),
        ({"SCALE": b"many"}, "expected a number as attribute SCALE, got 'many'"),
        ({"NO_DATA": np.nan}, "expected a number as attribute NO_DATA"),
        ({"MAPPING": None}, "expected attribute MAPPING"),
        ({"MAPPING": np.array([b"UTM"] + [b"1"] * 6)}, "expected attribute MAPPING with 'Geographic"),
        ({"MAPPING": np.array([b"Geographic Lat/Lon"] + [b"400"] * 6)}, "expected a place on Earth"),
    ],
)
def test_a_wrong_attribute_is_one_clear_line(
    tmp_path: Path, pv: SimpleNamespace, attributes: dict[str, object], message: str
) -> None:
    path = pv.write(tmp_path / pv.S1_NAME, attributes=attributes)
    with pytest.raises(SceneError, match=message) as caught:
        open_scene(path)
    assert "\n" not in str(caught.value)


def test_a_truncated_file_is_one_clear_line(products: Path, tmp_path: Path, pv: SimpleNamespace) -> None:
    data = (products / pv.S1_NAME).read_bytes()
    path = tmp_path / pv.S1_NAME
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(SceneError, match="may be truncated, damaged"):
        open_scene(path).read()


def test_missing_bands_and_other_shapes_are_refused(tmp_path: Path, pv: SimpleNamespace) -> None:
    path = pv.write(tmp_path / pv.S1_NAME)
    with h5py.File(path, "r+") as file:
        del file["LEVEL3/RADIOMETRY/NIR"]
    with pytest.raises(SceneError, match="expected LEVEL3/RADIOMETRY/NIR/TOA with two dimensions"):
        open_scene(path)
    with h5py.File(path, "r+") as file:
        file["LEVEL3/RADIOMETRY/NIR/TOA"] = np.zeros((4, 4), np.int16)
    with pytest.raises(GridError, match="one shape"):
        open_scene(path)
    with pytest.raises(SensorError, match="expected a sensor with the bands SWIR"):
        open_scene(pv.write(tmp_path / pv.L2A_NAME, group="LEVEL2A"), sensor="sentinel-2a-msi")


def test_a_product_of_vegetation_index_only_is_refused(tmp_path: Path, pv: SimpleNamespace) -> None:
    path = tmp_path / "PROBAV_S10_NDVI_X18Y02_20160511_333M_V101.HDF5"
    with h5py.File(path, "w") as file:
        file["LEVEL3/NDVI/NDVI"] = np.zeros((4, 4), np.uint8)
    with pytest.raises(SceneError, match="expected a group LEVEL3 or LEVEL2A with RADIOMETRY"):
        open_scene(path)


def test_without_the_decoder_for_szip_it_says_what_to_install(
    products: Path, pv: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("undercast.readers.hdf._SZIP", h5py.h5z.FILTER_DEFLATE)
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda _: False)
    with pytest.raises(SceneError, match=r"SZIP.*pip install --force-reinstall --no-deps h5py.*h5repack"):
        open_scene(products / pv.S1_NAME)


def test_without_h5py_its_pip_line_is_given(
    products: Path, pv: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'undercast\[hdf5\]'"):
        proba_v.open(str(products / pv.S1_NAME), NONE)


def test_pixels_in_other_files_are_refused(tmp_path: Path, pv: SimpleNamespace) -> None:
    inner = pv.write(tmp_path / "inner.h5")
    path = pv.write(tmp_path / pv.S1_NAME)
    with h5py.File(path, "r+") as file:
        del file["LEVEL3/RADIOMETRY/RED/TOA"]
        file["LEVEL3/RADIOMETRY/RED/TOA"] = h5py.ExternalLink(str(inner), "LEVEL3/RADIOMETRY/RED/TOA")
    with pytest.raises(SceneError, match="another file, which is refused"):
        open_scene(path)


def test_pieces_too_large_to_decode_are_refused(tmp_path: Path, pv: SimpleNamespace) -> None:
    path = pv.write(tmp_path / pv.S1_NAME)
    with h5py.File(path, "r+") as file:
        del file["LEVEL3/RADIOMETRY/RED/TOA"]
        file.create_dataset("LEVEL3/RADIOMETRY/RED/TOA", (20_000, 20_000), np.int16, chunks=(20_000, 20_000))
    with pytest.raises(SceneError, match="expected pieces of at most 256 MiB, got 762 MiB"):
        open_scene(path)


def test_the_sensor_table_is_the_shipped_one(products: Path, pv: SimpleNamespace) -> None:
    scene = open_scene(products / pv.L2A_NAME)
    assert {band.name for band in scene.bands} == {band.name for band in load_sensor("proba-v").bands}


def test_damaged_files_give_our_errors_only(
    products: Path, tmp_path: Path, pv: SimpleNamespace, fuzzing: SimpleNamespace
) -> None:
    path = tmp_path / pv.S1_NAME

    def open_bytes(data: bytes) -> None:
        path.write_bytes(data)
        proba_v.open(str(path), NONE).read()
        proba_v.quality(str(path))

    fuzzing.fuzz(open_bytes, (products / pv.S1_NAME).read_bytes())
