"""Sentinel-2 products are opened to reflectance, wherever their files are, at the resolution asked for."""

from __future__ import annotations

import runpy
import shutil
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from undercast.errors import BandError, GridError, SceneError, UndercastError
from undercast.readers import open_scene, sentinel2
from undercast.scene import SunAngles


@pytest.fixture(scope="module")
def safe() -> SimpleNamespace:
    """The functions of ``tests/data/safe/make.py``."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "safe" / "make.py")))


@pytest.fixture(scope="module")
def l1c(safe: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An L1C product; tests that change it copy it first."""
    product: Path = safe.write(tmp_path_factory.mktemp("safe"))
    return product


@pytest.fixture
def copied(l1c: Path, tmp_path: Path) -> Path:
    """A copy of the L1C product."""
    return Path(shutil.copytree(l1c, tmp_path / l1c.name))


def band_of(product: Path, band: str) -> Path:
    return next(product.glob(f"GRANULE/*/IMG_DATA/*_{band}.jp2"))


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_an_l1c_product_is_top_of_atmosphere_reflectance_with_its_offset(l1c: Path, safe: SimpleNamespace) -> None:
    scene = open_scene(l1c)
    assert (scene.sensor, scene.level, scene.name) == ("sentinel-2a-msi", "toa", l1c.stem)
    assert [band.name for band in scene.bands] == list(safe.BANDS)
    assert (scene.grid.shape, scene.grid.gsd) == ((36, 36), 10.0)
    assert scene.sun == SunAngles(zenith=65.5, azimuth=162.5)
    assert scene.acquired == datetime(2024, 1, 20, 10, 58, 50, 500329, tzinfo=UTC)
    assert scene.provenance["baseline"] == "05.10"
    # The mean of the azimuths 350 and 30 is 10.
    assert (scene.provenance["view_zenith"], scene.provenance["view_azimuth"]) == ("3.50", "10.00")
    read = scene.read()
    for band, values in zip(safe.BANDS, read, strict=True):
        stored = safe.numbers(band)
        factor = 36 // stored.shape[0]
        np.testing.assert_allclose(values, (np.kron(stored, np.ones((factor, factor))) - 1000) / 10_000, atol=1e-6)


@pytest.mark.parametrize("resolution", [20.0, 60.0])
def test_finer_bands_are_averaged_and_coarser_ones_repeated(
    l1c: Path, safe: SimpleNamespace, resolution: float
) -> None:
    scene = open_scene(l1c, resolution=resolution, bands="blue,B11,B01")
    side = round(360 / resolution)
    assert (scene.grid.shape, scene.grid.gsd) == ((side, side), resolution)
    blue, _, coastal = scene.read()
    stored = (safe.numbers("B02").astype(float) - 1000) / 10_000
    factor = 36 // side
    np.testing.assert_allclose(blue, stored.reshape(side, factor, side, factor).mean((1, 3)), atol=1e-4)
    repeats = side * 10 // 60
    np.testing.assert_allclose(
        coastal, (np.kron(safe.numbers("B01"), np.ones((repeats, repeats))) - 1000) / 10_000, atol=1e-6
    )


def test_a_window_is_what_the_whole_scene_has_there(l1c: Path) -> None:
    scene = open_scene(l1c, resolution=20)
    from undercast.windows import Window

    part = scene.read(Window(row=5, col=7, height=6, width=9))
    np.testing.assert_array_equal(part, scene.read()[:, 5:11, 7:16])


def test_zip_granule_and_metadata_file_are_the_same_scene(l1c: Path, tmp_path: Path) -> None:
    whole = open_scene(l1c).read()
    archive = shutil.make_archive(str(tmp_path / l1c.stem), "zip", l1c.parent, l1c.name)
    (granule,) = l1c.glob("GRANULE/*")
    for source in (archive, granule, l1c / "MTD_MSIL1C.xml"):
        scene = open_scene(source)
        assert scene.name == l1c.stem
        np.testing.assert_array_equal(scene.read(), whole)


def test_a_granule_alone_knows_its_offset_by_its_baseline(l1c: Path, tmp_path: Path) -> None:
    (granule,) = l1c.glob("GRANULE/*")
    alone = shutil.copytree(granule, tmp_path / granule.name)
    np.testing.assert_allclose(open_scene(alone).read(), open_scene(l1c).read(), atol=1e-6)


def test_before_baseline_0400_there_is_no_offset(tmp_path: Path, safe: SimpleNamespace) -> None:
    old = open_scene(safe.write(tmp_path, baseline="02.09", offset=None), bands="B02").read()
    np.testing.assert_allclose(old[0], safe.numbers("B02") / 10_000, atol=1e-6)


def test_l2a_is_surface_reflectance_without_b10_and_takes_the_files_of_the_resolution(
    tmp_path: Path, safe: SimpleNamespace
) -> None:
    product = safe.write(tmp_path, "L2A", letter="B")
    scene = open_scene(product, resolution=20)
    assert (scene.sensor, scene.level) == ("sentinel-2b-msi", "surface")
    assert "B10" not in {band.name for band in scene.bands}
    blue = scene.read()[1]
    np.testing.assert_allclose(blue, (safe.numbers("B02")[::2, ::2].astype(float) - 1000) / 10_000, atol=1e-6)


def test_names_of_before_december_2016_are_understood(tmp_path: Path, safe: SimpleNamespace) -> None:
    product = safe.rename_to_old(safe.write(tmp_path, baseline="02.01", offset=None))
    (granule,) = product.glob("GRANULE/*")
    assert granule.name.startswith("S2A_OPER_MSI_L1C_TL_SGS__2016")
    for source in (product, granule):
        scene = open_scene(source)
        assert [band.name for band in scene.bands] == list(safe.BANDS)
        np.testing.assert_allclose(scene.read(bands=[1])[0], safe.numbers("B02") / 10_000, atol=1e-6)


def test_l2a_of_before_2018_writes_its_quantification_with_a_prefix(tmp_path: Path, safe: SimpleNamespace) -> None:
    product = safe.write(tmp_path, "L2A", baseline="02.06", offset=None)
    rewrite(product / "MTD_MSIL2A.xml", "BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE")
    read = open_scene(product, bands="B02").read()
    np.testing.assert_allclose(read[0], safe.numbers("B02") / 10_000, atol=1e-6)


def test_masks_become_classes(tmp_path: Path, l1c: Path, safe: SimpleNamespace) -> None:
    by_masks = sentinel2.quality(str(l1c))
    np.testing.assert_array_equal(by_masks[0], [1, 1, 3, 0, 0, 0])
    np.testing.assert_array_equal(by_masks[1:, 0], [0, 0, 0, 0, 255])
    by_codes = sentinel2.quality(str(safe.write(tmp_path, "L2A")))
    np.testing.assert_array_equal(by_codes[0, :12], [255, 255, 0, 2, 0, 0, 0, 0, 1, 1, 1, 3])
    assert (by_codes[1:] == 0).all()


def test_masks_that_are_missing_or_of_another_shape_are_told(copied: Path, safe: SimpleNamespace) -> None:
    (footprint,) = copied.glob("GRANULE/*/QI_DATA/MSK_DETFOO_B01.jp2")
    safe.write_jp2(footprint, safe.mask("DETFOO_B01", 72), 60)
    with pytest.raises(SceneError, match=r"masks of one shape, got \(6, 6\) and \(12, 12\)"):
        sentinel2.quality(str(copied))
    footprint.with_name("MSK_CLASSI_B00.jp2").unlink()
    with pytest.raises(SceneError, match=r"expected cloud masks \(MSK_CLASSI_B00\.jp2, from baseline 04\.00 on\)"):
        sentinel2.quality(str(copied))


def test_zero_is_no_data(copied: Path, safe: SimpleNamespace) -> None:
    values = safe.numbers("B04")
    values[:3] = 0
    safe.write_jp2(band_of(copied, "B04"), values, 10)
    read = open_scene(copied, bands="B04").read()[0]
    assert np.isnan(read[:3]).all()
    assert np.isfinite(read[3:]).all()


def test_a_missing_band_is_named_with_the_way_out(copied: Path) -> None:
    band_of(copied, "B11").unlink()
    with pytest.raises(SceneError, match=r"bands B11 are missing\. Get them, or go on without: --bands B01,B02"):
        open_scene(copied)
    assert len(open_scene(copied, bands="B02,B03").bands) == 2
    with pytest.raises(BandError, match="'B11' is not in it"):
        open_scene(copied, bands="B11")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Sentinel-2A", "Sentinel-2X", r"expected Sentinel-2A, .* got 'Sentinel-2X'\. Name the sensor with --sensor"),
        ("05.10", "5", "expected a processing baseline such as 05.10, got '5'"),
        (">10000<", ">0<", "expected QUANTIFICATION_VALUE above 0"),
        (">10000<", ">many<", "expected a number as <.//QUANTIFICATION_VALUE>, got 'many'"),
        ('band_id="12"', 'band_id="13"', "expected band_id 0 to 12"),
        (">-1000<", ">nan<", "expected a number as RADIO_ADD_OFFSET"),
        ("RADIO_ADD_OFFSET", "ADD_OFFSET", r"baseline 05\.10 has RADIO_ADD_OFFSET in its metadata; these have none"),
        ("<n1:General_Info>", "", "expected XML, got what is truncated"),
    ],
)
def test_wrong_metadata_are_refused_in_one_line(copied: Path, old: str, new: str, said: str) -> None:
    rewrite(copied / "MTD_MSIL1C.xml", old, new)
    with pytest.raises(SceneError, match=said) as caught:
        open_scene(copied)
    assert "\n" not in str(caught.value)


def test_a_persons_scaling_wins_over_metadata_that_lack_it(copied: Path, safe: SimpleNamespace) -> None:
    from undercast.radiometry import Scaling

    rewrite(copied / "MTD_MSIL1C.xml", "RADIO_ADD_OFFSET", "ADD_OFFSET")
    read = open_scene(copied, bands="B02", scaling=Scaling(scale=1e-4)).read()
    np.testing.assert_allclose(read[0], safe.numbers("B02") / 10_000, atol=1e-6)


def test_the_suns_angles_must_be_possible(copied: Path) -> None:
    (granule,) = copied.glob("GRANULE/*/MTD_TL.xml")
    rewrite(granule, ">65.5<", ">655<")
    with pytest.raises(SceneError, match="expected the sun's zenith"):
        open_scene(copied)


def test_bands_of_another_place_are_refused(copied: Path, safe: SimpleNamespace) -> None:
    safe.write_jp2(band_of(copied, "B03"), safe.numbers("B03")[:12], 10)
    with pytest.raises(GridError, match="expected all bands over the same ground"):
        open_scene(copied)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("EPSG:32631", "EPSG:32632", "expected images in EPSG:32632 as in the metadata, got EPSG:32631"),
        ("<ULX>300000<", "<ULX>400000<", r"inside \(400000, 4900020\) to \(400360, 4899660\)"),
        ("<NROWS>36<", "<NROWS>12<", "expected images inside"),
    ],
)
def test_images_that_lie_elsewhere_than_their_metadata_say_are_refused(
    copied: Path, old: str, new: str, said: str
) -> None:
    rewrite(next(copied.glob("GRANULE/*/MTD_TL.xml")), old, new)
    with pytest.raises(GridError, match=said):
        open_scene(copied)


def test_a_part_of_the_tile_is_fine(copied: Path) -> None:
    rewrite(next(copied.glob("GRANULE/*/MTD_TL.xml")), "<NROWS>36<", "<NROWS>10980<")
    assert open_scene(copied).grid.shape == (36, 36)


def test_a_resolution_that_does_not_part_the_scene_evenly_is_refused(l1c: Path) -> None:
    with pytest.raises(GridError, match="do not make whole pixels of 7 m"):
        open_scene(l1c, resolution=7)


def test_a_truncated_band_is_told_when_it_is_opened_or_read(copied: Path) -> None:
    path = band_of(copied, "B02")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SceneError, match=r"B02\.jp2 can"):
        open_scene(copied).read()


def test_a_half_extracted_zip_is_refused(l1c: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / l1c.name), "zip", l1c.parent, l1c.name))
    archive.write_bytes(archive.read_bytes()[:-4000])
    with pytest.raises(SceneError, match="cannot be read as a zip"):
        open_scene(archive)


@pytest.mark.parametrize("name", ["S1A_IW_GRDH_1SDV_20240120.SAFE", "S2A_MSIL1B_20240120T105341.SAFE"])
def test_other_missions_and_lower_levels_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(SceneError, match="expected a Sentinel-2 L1C or L2A product"):
        open_scene(tmp_path / name)


def test_a_safe_without_anything_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "S2A_MSIL1C_x.SAFE").mkdir()
    with pytest.raises(SceneError, match="got nothing of it"):
        open_scene(tmp_path / "S2A_MSIL1C_x.SAFE")


def test_several_granules_ask_for_one(copied: Path) -> None:
    (granule,) = copied.glob("GRANULE/*")
    shutil.copytree(granule, granule.with_name(f"{granule.name}_2"))
    with pytest.raises(SceneError, match="holds 2 granules"):
        open_scene(copied)
    assert open_scene(granule).grid.shape == (36, 36)


# rasterio cannot log a message of GDAL that is no UTF-8, and says so behind our back.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", ["MTD_MSIL1C.xml", "GRANULE/*/MTD_TL.xml", "GRANULE/*/IMG_DATA/*_B02.jp2"])
def test_damaged_products_give_our_errors(copied: Path, fuzzing: SimpleNamespace, name: str) -> None:
    (path,) = copied.glob(name)

    def open_bytes(data: bytes) -> None:
        path.write_bytes(data)
        open_scene(copied, bands="B02").read()

    fuzzing.fuzz(open_bytes, path.read_bytes())


def test_a_document_type_is_refused(copied: Path) -> None:
    rewrite(copied / "MTD_MSIL1C.xml", '<?xml version="1.0"?>', '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]>')
    with pytest.raises(UndercastError, match="document type"):
        open_scene(copied)


@pytest.mark.real_data
def test_real_products_open_to_the_right_reflectance(real_data: Path) -> None:
    folder = real_data / "products" / "sentinel2_l1c_safe"
    products = sorted(folder.glob("*.SAFE"))
    assert [open_scene(product).sensor for product in products] == ["sentinel-2a-msi", "sentinel-2b-msi"]
    for product in products:
        scene = open_scene(product)
        import rasterio

        for band, values in zip(scene.bands, scene.read(), strict=True):
            with rasterio.open(band_of(product, band.name)) as raster:
                np.testing.assert_allclose(values, (raster.read(1).astype(float) - 1000) / 10_000, atol=1e-6)


def test_only_what_looks_like_sentinel_2_is_accepted(l1c: Path, tmp_path: Path) -> None:
    assert sentinel2.accepts(str(l1c))
    assert sentinel2.accepts(str(l1c / "MTD_MSIL1C.xml"))
    assert not sentinel2.accepts(str(tmp_path))
    assert not sentinel2.accepts("s3://bucket/scene.tif")
