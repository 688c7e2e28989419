"""Landsat products of every generation are opened to reflectance, and their quality bits to classes."""

from __future__ import annotations

import runpy
import shutil
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio

from undercast import predict
from undercast.errors import GridError, SceneError
from undercast.readers import landsat, open_scene
from undercast.scene import SunAngles


@pytest.fixture(scope="module")
def make() -> SimpleNamespace:
    """The functions of ``tests/data/landsat/make.py``."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "landsat" / "make.py")))


@pytest.mark.parametrize("kind", ["pre", "c1", "c2l1"])
@pytest.mark.parametrize("suffix", ["txt", "xml", "json"])
def test_level_1_is_corrected_for_the_suns_elevation(
    tmp_path: Path, make: SimpleNamespace, kind: str, suffix: str
) -> None:
    scene = open_scene(make.write(tmp_path, kind, suffix=suffix))
    assert (scene.name, scene.sensor, scene.level) == (make.SCENE, "landsat-8-oli", "toa")
    assert [band.name for band in scene.bands] == ["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B9"]
    assert scene.sun == SunAngles(zenith=60.0, azimuth=115.5)
    assert scene.acquired == datetime(2015, 8, 4, 16, 19, 21, 791742, tzinfo=UTC)
    stored = np.stack([make.numbers(band) for band in make.BANDS])
    # The sine of 30 degrees is a half.
    np.testing.assert_allclose(scene.read(), (stored * 2e-5 - 0.1) / 0.5, rtol=1e-5)


def test_level_2_is_surface_reflectance(tmp_path: Path, make: SimpleNamespace) -> None:
    scene = open_scene(make.write(tmp_path, "c2l2"), bands="red,nir08")
    assert scene.level == "surface"
    stored = np.stack([make.numbers(4), make.numbers(5)])
    np.testing.assert_allclose(scene.read(), stored * 2.75e-5 - 0.2, rtol=1e-4)


def test_level_2_of_collection_1_goes_by_its_own_metadata(tmp_path: Path, make: SimpleNamespace) -> None:
    folder = make.write_espa(tmp_path / "product")
    scene = open_scene(folder)
    assert (scene.name, scene.sensor, scene.level) == (make.ESPA, "landsat-5-tm", "surface")
    assert [band.name for band in scene.bands] == ["B1", "B2", "B3", "B4", "B5", "B7"]
    assert scene.sun is not None
    assert (scene.sun.zenith, scene.sun.azimuth) == pytest.approx((64.973633, 161.785904))
    assert scene.acquired == datetime(2005, 11, 9, 18, 50, 29, 820056, tzinfo=UTC)
    read = scene.read()
    assert np.isnan(read[:, 0]).all()
    np.testing.assert_allclose(read[2, 1:], (make.numbers(3) // 10)[1:] * 1e-4, rtol=1e-5)
    np.testing.assert_array_equal(landsat.quality(str(folder))[0, :6], [0, 1, 2, 3, 255, 0])
    archive = shutil.make_archive(str(tmp_path / make.ESPA), "gztar", folder)
    np.testing.assert_array_equal(open_scene(archive).read(), read)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('scale_factor="0.000100"', "", "expected a number as REFLECTANCE_MULT_BAND_1, got ''"),
        ('zenith="64.973633"', 'zenith="high"', "expected a number as solar zenith, got 'high'"),
        ('name="sr_band', 'name="toa_band', "expected FILE_NAME_BAND_1"),
        ("LANDSAT_5", "LANDSAT_1", r"expected LANDSAT_4.*got 'LANDSAT_1'"),
    ],
)
def test_wrong_metadata_of_level_2_of_collection_1_are_refused(
    tmp_path: Path, make: SimpleNamespace, old: str, new: str, said: str
) -> None:
    path = make.write_espa(tmp_path) / f"{make.ESPA}.xml"
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")
    with pytest.raises(SceneError, match=said):
        open_scene(tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [('UTM_ZONE = "17"', 'UTM_ZONE = "18"'), ('X_PRODUCT = "500015.000', 'X_PRODUCT = "510015.000')],
)
def test_images_that_lie_elsewhere_than_their_metadata_say_are_refused(
    tmp_path: Path, make: SimpleNamespace, old: str, new: str
) -> None:
    path = make.write(tmp_path) / f"{make.SCENE}_MTL.txt"
    assert old in path.read_text("utf-8")
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")
    with pytest.raises(GridError, match="as in the metadata"):
        open_scene(tmp_path)


def test_the_margin_around_clouds_says_nothing(tmp_path: Path, make: SimpleNamespace) -> None:
    bits = np.zeros((12, 16), np.uint16)
    bits[0, :4] = (0b00010, 0b01010, 0b10010, 0b00100)
    make.write_tif(make.write(tmp_path, "c2l1") / f"{make.SCENE}_QA_PIXEL.TIF", bits)
    np.testing.assert_array_equal(landsat.quality(str(tmp_path))[0, :5], [255, 1, 2, 1, 0])


def test_a_tar_and_the_metadata_file_are_the_same_scene(tmp_path: Path, make: SimpleNamespace) -> None:
    folder = make.write(tmp_path / "one")
    archive = shutil.make_archive(str(tmp_path / make.SCENE), "tar", folder)
    whole = open_scene(folder).read()
    for source in (archive, folder / f"{make.SCENE}_MTL.txt"):
        np.testing.assert_array_equal(open_scene(source).read(), whole)


def test_fill_is_no_data(tmp_path: Path, make: SimpleNamespace) -> None:
    values = make.numbers(4)
    values[2] = 0
    make.write_tif(make.write(tmp_path) / f"{make.SCENE}_B4.TIF", values)
    read = open_scene(tmp_path, bands="red").read()[0]
    assert np.isnan(read[2]).all()
    assert np.isfinite(read[3:]).all()


@pytest.mark.parametrize(
    ("kind", "classes"),
    [("pre", [0, 1, 0, 3, 255]), ("c1", [0, 1, 2, 3, 255]), ("c2l1", [0, 1, 2, 3, 255])],
)
def test_quality_bits_become_classes(tmp_path: Path, make: SimpleNamespace, kind: str, classes: list[int]) -> None:
    found = landsat.quality(str(make.write(tmp_path, kind)))
    assert found[0, :5].tolist() == classes
    assert not found[1:].any()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("LANDSAT_8", "LANDSAT_3", r"expected LANDSAT_4, .* got 'LANDSAT_3'"),
        ('SUN_ELEVATION = "30.0"', 'SUN_ELEVATION = "-3"', "expected a sun above the horizon"),
        ('SUN_ELEVATION = "30.0"', 'SUN_ELEVATION = "high"', "expected a number as SUN_ELEVATION, got 'high'"),
        ('REFLECTANCE_MULT_BAND_4 = "2.0E-05"', "", "expected REFLECTANCE_MULT_BAND_4"),
        ('REFLECTANCE_MULT_BAND_4 = "2.0E-05"', 'REFLECTANCE_MULT_BAND_4 = "0"', "above 0"),
        ("2015-08-04", "2015-18-04", "expected DATE_ACQUIRED"),
        ("END\n", "", "stops before"),
        ("_B4.TIF", "_B14.TIF", "'LC80010012015216LGN00_B14.TIF' is missing"),
        ("_B4.TIF", "../../B4.TIF", "is missing"),
    ],
)
def test_wrong_metadata_are_refused_in_one_line(
    tmp_path: Path, make: SimpleNamespace, old: str, new: str, said: str
) -> None:
    path = make.write(tmp_path) / f"{make.SCENE}_MTL.txt"
    text = path.read_text("utf-8")
    if old == "END\n":
        path.write_text(text.removesuffix("END\n"), "utf-8")
    else:
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")
    with pytest.raises(SceneError, match=said) as caught:
        open_scene(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_band_of_another_scene_is_refused(tmp_path: Path, make: SimpleNamespace) -> None:
    make.write_tif(make.write(tmp_path) / f"{make.SCENE}_B4.TIF", make.numbers(4, (30, 30)))
    with pytest.raises(GridError, match="expected all bands over the same ground"):
        open_scene(tmp_path)


def test_a_truncated_band_is_told(tmp_path: Path, make: SimpleNamespace) -> None:
    path = make.write(tmp_path) / f"{make.SCENE}_B4.TIF"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SceneError, match=r"B4\.TIF can"):
        open_scene(tmp_path).read()


def test_a_truncated_tar_is_refused(tmp_path: Path, make: SimpleNamespace) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / make.SCENE), "tar", make.write(tmp_path / "one")))
    archive.write_bytes(archive.read_bytes()[:1000])
    with pytest.raises(SceneError, match=r"cannot be read as a tar|expected the metadata"):
        open_scene(archive)


def test_two_scenes_in_a_folder_ask_for_one(tmp_path: Path, make: SimpleNamespace) -> None:
    (make.write(tmp_path) / "LC80010012015232LGN00_MTL.txt").write_text("END\n")
    with pytest.raises(SceneError, match="Name one of them"):
        open_scene(tmp_path)


@pytest.mark.parametrize("suffix", ["txt", "xml", "json", "espa"])
def test_damaged_metadata_give_our_errors(
    tmp_path: Path, make: SimpleNamespace, fuzzing: SimpleNamespace, suffix: str
) -> None:
    if suffix == "espa":
        path = make.write_espa(tmp_path) / f"{make.ESPA}.xml"
    else:
        path = make.write(tmp_path, "c2l1", suffix=suffix) / f"{make.SCENE}_MTL.{suffix}"

    def open_bytes(data: bytes) -> None:
        path.write_bytes(data)
        open_scene(tmp_path, bands="red").read()

    fuzzing.fuzz(open_bytes, path.read_bytes())


@pytest.fixture(scope="module")
def product(real_data: Path) -> Path:
    return real_data / "products" / "landsat8_l1" / "LC80200392015216LGN00"


@pytest.mark.real_data
def test_the_real_product_equals_a_hand_computation(product: Path) -> None:
    scene = open_scene(product)
    lines = (product / f"{product.name}_MTL.txt").read_text("ascii").splitlines()
    said = dict(line.replace(" ", "").split("=") for line in lines if "=" in line)
    assert float(said["SUN_ELEVATION"]) == pytest.approx(64.74360932)
    assert (scene.sensor, scene.level, len(scene.bands)) == ("landsat-8-oli", "toa", 8)
    for band, values in zip(scene.bands, scene.read(), strict=True):
        with rasterio.open(product / f"{product.name}_{band.name}.TIF") as raster:
            dn = raster.read(1).astype(np.float64)
        gain, bias = (float(said[f"REFLECTANCE_{kind}_BAND_{band.name[1:]}"]) for kind in ("MULT", "ADD"))
        assert (gain, bias) == (2.0e-5, -0.1)
        by_hand = np.where(dn == 0, np.nan, (gain * dn + bias) / np.sin(np.radians(float(said["SUN_ELEVATION"]))))
        assert np.isfinite(by_hand).mean() > 0.9
        np.testing.assert_allclose(values, by_hand, atol=1e-4)


@pytest.mark.real_data
def test_our_clouds_agree_with_the_processors_on_the_real_product(product: Path) -> None:
    reference = landsat.quality(str(product))
    found = np.isin(predict(open_scene(product)).class_map, (1, 2))
    known = reference != landsat.UNKNOWN
    cloud = reference == landsat.CLOUD
    hit, either = (found & cloud & known).sum(), (found & known).sum() + (cloud & known).sum()
    assert 2 * hit / either >= 0.80
