from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from undercast.errors import BandError, GridError, SceneError
from undercast.radiometry import Scaling
from undercast.readers import open_scene
from undercast.readers.raster import _shared_name
from undercast.scene import Scene
from undercast.windows import Window


def names(scene: Scene) -> list[str]:
    return [band.common_name for band in scene.bands]


def test_a_described_and_scaled_raster_needs_nothing_else(rasters: Path, make: SimpleNamespace) -> None:
    scene = open_scene(rasters / "described.tif")
    assert names(scene) == ["blue", "green", "red", "nir"]
    assert scene.name == "described"
    assert scene.level is None
    assert scene.provenance["bands_from"] == "band descriptions"
    assert scene.provenance["scaling_from"] == "file"
    np.testing.assert_allclose(scene.read(), make.numbers(4) * 1e-4, rtol=1e-6)


@pytest.mark.parametrize(("scale", "offset"), [(0.0, 0.1), (np.nan, 0.0), (np.inf, 0.0), (1e-4, np.nan), (1e300, 0.0)])
def test_a_scale_that_cannot_lead_to_reflectance_is_refused(
    tmp_path: Path, make: SimpleNamespace, scale: float, offset: float
) -> None:
    path = make.write(tmp_path / "a.tif", make.numbers(2), descriptions=("red", "nir"), scale=scale, offset=offset)
    with pytest.raises(SceneError, match=r"a\.tif: layer 1: expected a finite scale other than 0 and a finite offset"):
        open_scene(path)
    np.testing.assert_allclose(open_scene(path, scaling=Scaling(scale=1e-4)).read(), make.numbers(2) * 1e-4, rtol=1e-6)


def test_descriptions_that_are_not_utf_8_are_none(tmp_path: Path, make: SimpleNamespace) -> None:
    path = make.write(tmp_path / "a.tif", make.numbers(2), descriptions=("red", "nir"))
    path.write_bytes(path.read_bytes().replace(b">red<", b">r\xe9d<"))
    with pytest.raises(BandError, match="got no descriptions"):
        open_scene(path)
    np.testing.assert_array_equal(open_scene(path, bands="red,nir").read(), make.numbers(2))


def test_sides_that_no_scene_has_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.vrt"
    path.write_text('<VRTDataset rasterXSize="2000000000" rasterYSize="9"><VRTRasterBand band="1"/></VRTDataset>')
    with pytest.raises(SceneError, match="expected 1 to 2000000 rows and columns, got 9 x 2000000000"):
        open_scene(path, bands="red")


# rasterio cannot log a message of GDAL that is no UTF-8, and says so behind our back.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_damaged_files_give_our_errors(tmp_path: Path, make: SimpleNamespace, fuzzing: SimpleNamespace) -> None:
    path = make.write(tmp_path / "a.tif", make.numbers(2), descriptions=("red", "nir"), scale=1e-4)

    def open_bytes(data: bytes) -> None:
        path.write_bytes(data)
        scene = open_scene(path)
        height, width = scene.grid.shape
        scene.read(Window(row=0, col=0, height=min(height, 64), width=min(width, 64)))

    fuzzing.fuzz(open_bytes, path.read_bytes())


def test_the_callers_names_win_over_descriptions(rasters: Path) -> None:
    scene = open_scene(str(rasters / "described.tif"), bands="nir,-,red,_")
    assert names(scene) == ["nir", "red"]
    assert scene.provenance["bands_from"] == "caller"
    assert scene.provenance["skipped"] == "2 (green), 4 (nir)"


def test_layers_keep_their_pixels_when_others_are_left_out(rasters: Path, make: SimpleNamespace) -> None:
    scene = open_scene(rasters / "described.tif", bands=("-", "green", "-", "nir"))
    np.testing.assert_allclose(scene.read(), make.numbers(4)[[1, 3]] * 1e-4, rtol=1e-6)


def test_descriptions_win_over_the_sensors_order(tmp_path: Path, make: SimpleNamespace) -> None:
    path = make.write(tmp_path / "x.tif", make.numbers(4), descriptions=("NIR", "RED", "BLUE", "SWIR"))
    scene = open_scene(path, sensor="proba-v")
    assert names(scene) == ["nir", "red", "blue", "swir16"]
    assert scene.bands[0].center_wavelength == pytest.approx(0.845)


def test_descriptions_in_the_sensors_own_names_are_understood_with_the_sensor(
    tmp_path: Path, make: SimpleNamespace
) -> None:
    path = make.write(tmp_path / "x.tif", make.numbers(3), descriptions=("B4", "B8A", "SCL"))
    with pytest.raises(BandError, match="got B4, B8A, SCL"):
        open_scene(path)
    scene = open_scene(path, sensor="sentinel-2a")
    assert names(scene) == ["red", "nir08"]
    assert scene.provenance["skipped"] == "3 (SCL)"


def test_a_sensor_of_as_many_bands_names_bare_layers_and_scales_them(rasters: Path, make: SimpleNamespace) -> None:
    scene = open_scene(rasters / "bare.tif", sensor="proba-v")
    assert names(scene) == ["blue", "red", "nir", "swir16"]
    assert scene.sensor == "proba-v"
    assert scene.level == "toa"
    assert scene.provenance["bands_from"] == "sensor proba-v"
    assert scene.provenance["scaling_from"] == "sensor"
    np.testing.assert_allclose(scene.read(), make.numbers(4) * 5e-4, rtol=1e-6)


def test_a_sensor_of_more_bands_does_not_name_layers(rasters: Path) -> None:
    with pytest.raises(BandError, match="landsat-8-oli has 9 bands"):
        open_scene(rasters / "bare.tif", sensor="landsat-8")


def test_nothing_is_guessed_where_nothing_tells_the_bands(rasters: Path) -> None:
    with pytest.raises(BandError, match=r"each of the 4 layers.*--bands blue,green,red,nir.*--sensor"):
        open_scene(rasters / "bare.tif")


def test_a_sensor_does_not_scale_reflectance(tmp_path: Path, make: SimpleNamespace) -> None:
    values = (make.numbers(4) * 1e-4).astype(np.float32)
    scene = open_scene(make.write(tmp_path / "x.tif", values), sensor="proba-v")
    assert scene.level is None
    np.testing.assert_array_equal(scene.read(), values)


def test_the_files_scaling_wins_over_the_sensors(tmp_path: Path, make: SimpleNamespace) -> None:
    path = make.write(tmp_path / "x.tif", make.numbers(4), scale=1e-4, offset=-0.1)
    scene = open_scene(path, sensor="proba-v")
    np.testing.assert_allclose(scene.read(), make.numbers(4) * 1e-4 - 0.1, atol=1e-6)


def test_the_callers_scaling_wins_over_the_files(rasters: Path, make: SimpleNamespace) -> None:
    scene = open_scene(rasters / "described.tif", scaling=Scaling(scale=2e-4, offset=-0.1), level="surface")
    np.testing.assert_allclose(scene.read(), make.numbers(4) * 2e-4 - 0.1, atol=1e-6)
    assert scene.level == "surface"
    assert scene.provenance["scaling_from"] == "caller"


def test_integers_without_a_scale_stay_as_they_are(rasters: Path, make: SimpleNamespace) -> None:
    scene = open_scene(rasters / "bare.tif", bands="blue,green,red,nir")
    np.testing.assert_array_equal(scene.read(), make.numbers(4).astype(np.float32))
    assert scene.provenance["scaling_from"] == "none"


def test_the_callers_nodata_adds_to_the_files(tmp_path: Path, make: SimpleNamespace) -> None:
    values = make.numbers(1)
    values[0, 0, :3] = (0, 12345, 1)
    path = make.write(tmp_path / "x.tif", values, nodata=0, descriptions=("red",))
    assert open_scene(path, nodata=12345).valid()[0, :3].tolist() == [False, False, True]


def test_an_alpha_layer_need_not_be_named(tmp_path: Path, make: SimpleNamespace) -> None:
    values = make.numbers(4)
    values[3, 0] = 0
    path = make.write(tmp_path / "x.tif", values, last_is_alpha=True)
    for options in ({"bands": "blue,green,red"}, {"bands": "blue,green,red,-"}):
        scene = open_scene(path, **options)  # type: ignore[arg-type]
        assert names(scene) == ["blue", "green", "red"]
        np.testing.assert_array_equal(scene.valid(), values[3] != 0)


def test_an_alpha_layer_that_is_named_is_a_band(tmp_path: Path, make: SimpleNamespace) -> None:
    values = make.numbers(4)
    values[3, 0] = 0
    path = make.write(tmp_path / "x.tif", values, last_is_alpha=True)
    for options in ({"bands": "blue,green,red,nir"}, {"sensor": "proba-v"}):
        scene = open_scene(path, **options)  # type: ignore[arg-type]
        assert len(scene.bands) == 4
        assert scene.valid().all()


def test_a_preset_skips_the_alpha_layer(tmp_path: Path, make: SimpleNamespace) -> None:
    path = make.write(tmp_path / "x.tif", make.numbers(5), last_is_alpha=True)
    assert names(open_scene(path, sensor="proba-v")) == ["blue", "red", "nir", "swir16"]


def test_two_layers_of_one_name_are_refused(tmp_path: Path, make: SimpleNamespace) -> None:
    path = make.write(tmp_path / "x.tif", make.numbers(2), descriptions=("red", "Red"))
    with pytest.raises(BandError, match="layers 1 and 2 are both called red"):
        open_scene(path)


def test_a_folder_with_one_file_per_band_is_a_scene(rasters: Path, make: SimpleNamespace) -> None:
    scene = open_scene(rasters / "bands")
    assert names(scene) == ["blue", "green", "nir", "red"]
    assert scene.name == "bands"
    assert scene.provenance["bands_from"] == "file names"
    np.testing.assert_allclose(scene.read(), make.numbers(4)[[0, 1, 3, 2]] * 1e-4, rtol=1e-6)


def test_files_are_taken_in_the_callers_order(rasters: Path, make: SimpleNamespace) -> None:
    files = [rasters / "bands" / f"{name}.tif" for name in ("red", "blue")]
    scene = open_scene(files)
    assert names(scene) == ["red", "blue"]
    np.testing.assert_allclose(scene.read(), make.numbers(4)[[2, 0]] * 1e-4, rtol=1e-6)
    assert names(open_scene(files, bands="nir,swir16")) == ["nir", "swir16"]


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (("S2_a_B02.tif", "S2_a_B03.tif"), "S2_a"),
        (("x/S2A_MSIL1C/B02.tif", "x/S2A_MSIL1C/B03.tif"), "S2A_MSIL1C"),
        (("https://host/S2A_MSIL1C/B02.tif?a=b", "https://host/S2A_MSIL1C/B03.tif?a=b"), "S2A_MSIL1C"),
        (("./B02.tif", "./B03.tif"), "B02"),
        (("a/B02.tif", "b/B03.tif"), "B02"),
    ],
)
def test_files_name_their_scene_by_what_they_share(files: tuple[str, ...], name: str) -> None:
    assert _shared_name(files) == name


def test_provider_names_of_files_are_understood_with_the_sensor(tmp_path: Path, make: SimpleNamespace) -> None:
    stems = ("LC08_L2SP_blue_20200101_SR_B4", "LC08_L2SP_blue_20200101_SR_B5", "LC08_L2SP_blue_20200101_QA_PIXEL")
    paths = make.write_band_files(tmp_path / "scene", stems)
    scene = open_scene(paths, sensor="landsat-8")
    assert names(scene) == ["red", "nir08"]
    assert scene.name == "LC08_L2SP_blue_20200101"
    assert "QA_PIXEL" in scene.provenance["skipped"]
    with pytest.raises(BandError, match=r"got QA_PIXEL, SR_B4, SR_B5.*--sensor"):
        open_scene(tmp_path / "scene")


def test_a_files_description_wins_over_its_name(tmp_path: Path, make: SimpleNamespace) -> None:
    for stem, text in (("red", "nir"), ("blue", "green")):
        make.write(tmp_path / f"{stem}.tif", make.numbers(1), descriptions=(text,))
    assert names(open_scene(tmp_path)) == ["green", "nir"]


def test_files_on_different_grids_are_refused(tmp_path: Path, make: SimpleNamespace) -> None:
    make.write(tmp_path / "red.tif", make.numbers(1))
    make.write(tmp_path / "nir.tif", make.numbers(1, shape=(24, 20)))
    with pytest.raises(GridError, match=r"nir\.tif and red\.tif.* Read them at one resolution"):
        open_scene(tmp_path)


def test_a_raster_is_read_at_the_resolution_that_is_asked_for(tmp_path: Path, make: SimpleNamespace) -> None:
    fine = make.write(tmp_path / "red.tif", make.numbers(1, shape=(40, 20)), descriptions=("red",))
    gsd = open_scene(fine).grid.gsd
    assert gsd is not None
    scene = open_scene(fine, resolution=2 * gsd)
    assert (scene.grid.shape, scene.grid.gsd) == ((20, 10), 2 * gsd)
    means = make.numbers(1, shape=(40, 20)).reshape(1, 20, 2, 10, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(scene.read(), means, atol=0.5)  # the stored numbers are whole
    with pytest.raises(GridError, match="do not make whole pixels"):
        open_scene(fine, resolution=3 * gsd)


def test_files_of_several_resolutions_are_read_at_the_one_that_is_asked_for(
    tmp_path: Path, make: SimpleNamespace
) -> None:
    fine = make.numbers(1, shape=(40, 20))
    make.write(tmp_path / "red.tif", fine)
    header = open_scene(tmp_path / "red.tif", bands="red").grid
    a, b, c, d, e, f = header.transform
    coarse = make.write(tmp_path / "nir.tif", fine[:, ::2, ::2], transform=(2 * a, b, c, d, 2 * e, f))
    assert header.gsd is not None
    scene = open_scene(tmp_path, resolution=header.gsd)
    assert scene.grid.shape == (40, 20)
    (nir,) = (place for place, band in enumerate(scene.bands) if band.common_name == "nir")
    np.testing.assert_array_equal(scene.read()[nir, ::2, ::2], open_scene(coarse, bands="nir").read()[0])


def test_a_raster_without_a_place_on_the_ground_has_no_resolution(tmp_path: Path, make: SimpleNamespace) -> None:
    bare = make.write(tmp_path / "red.tif", make.numbers(1), descriptions=("red",), crs=None)
    with pytest.raises(GridError, match=r"pixels have no size in metres, so that 20 m cannot be read"):
        open_scene(bare, resolution=20.0)


def test_a_file_of_several_layers_is_no_band(tmp_path: Path, make: SimpleNamespace) -> None:
    make.write(tmp_path / "red.tif", make.numbers(2))
    make.write(tmp_path / "nir.tif", make.numbers(1))
    with pytest.raises(BandError, match="one band per file, got 2 layers"):
        open_scene(tmp_path)


def test_a_folder_without_a_product_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match=r"looked for .*\.tif.*found nothing"):
        open_scene(tmp_path)
    (tmp_path / "notes.txt").write_text("x", "utf-8")
    with pytest.raises(SceneError, match=r"found notes\.txt"):
        open_scene(tmp_path)


def test_a_raster_is_read_over_http(served: str, rasters: Path) -> None:
    scene = open_scene(f"{served}/described.tif")
    assert scene.name == "described"
    np.testing.assert_array_equal(scene.read(), open_scene(rasters / "described.tif").read())


def test_a_missing_address_is_one_clear_line(served: str) -> None:
    with pytest.raises(SceneError, match=r"no\.tif cannot be opened") as caught:
        open_scene(f"{served}/no.tif")
    assert "\n" not in str(caught.value)


def test_an_archive_is_read_in_place(tmp_path: Path, rasters: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(rasters / "described.tif", "inside.tif")
    scene = open_scene(f"/vsizip/{tmp_path}/x.zip/inside.tif")
    np.testing.assert_array_equal(scene.read(), open_scene(rasters / "described.tif").read())


def test_real_landsat7_reads_as_the_reference_has_it(real_data: Path) -> None:
    scene = open_scene(real_data / "products" / "geotiff" / "landsat7_toa_6band.tif")
    with np.load(real_data / "val" / "ukis_csmask__landsat7.npz") as reference:
        assert names(scene) == list(reference["common_names"])
        np.testing.assert_allclose(scene.read(), reference["bands"] * 1e-4, rtol=1e-6)
    assert scene.valid().all()
