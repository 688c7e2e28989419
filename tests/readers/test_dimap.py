from __future__ import annotations

import math
import runpy
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from undercast.errors import SceneError
from undercast.readers import dimap, open_scene
from undercast.readers.base import OpenOptions
from undercast.scene import SunAngles

NONE = OpenOptions()


@pytest.fixture(scope="module")
def products() -> SimpleNamespace:
    """The functions of ``tests/data/dimap/make.py``."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "dimap" / "make.py")))


def test_spot_becomes_toa_reflectance_by_the_formula(tmp_path: Path, products: SimpleNamespace) -> None:
    products.spot(tmp_path / "SCENE01")
    scene = open_scene(tmp_path / "SCENE01")
    assert (scene.sensor, scene.level, scene.name) == ("spot-5-hrg", "toa", "SPOT5_2_20070902T105143")
    # The file's layers are near infrared, red, green, short-wave infrared; there is no blue.
    assert [band.common_name for band in scene.bands] == ["nir", "red", "green", "swir16"]
    assert scene.acquired == datetime(2007, 9, 2, 10, 51, 43, tzinfo=UTC)
    assert scene.sun == SunAngles(zenith=40.0, azimuth=160.5)
    stored = products.numbers()
    distance = 1 - 0.01672 * math.cos(math.radians(0.9856 * (245 - 4)))  # 2 September is day 245
    assert distance == pytest.approx(1.0089, abs=2e-4)  # almanac
    for layer, band in enumerate(("XS3", "XS2", "XS1", "SWIR")):
        radiance = stored[layer] / products.SPOT_GAINS[band] + 0.5
        expected = math.pi * radiance * distance**2 / (products.SPOT_IRRADIANCE[band] * math.cos(math.radians(40.0)))
        np.testing.assert_allclose(scene.read(bands=[layer])[0], expected, rtol=1e-5)


def test_zero_is_no_data_and_saturated_pixels_are_bright(tmp_path: Path, products: SimpleNamespace) -> None:
    values = products.numbers()
    values[:, 0, 0], values[:, 0, 1] = 0, 255
    scene = open_scene(products.spot(tmp_path / "a", values))
    assert not scene.valid()[0, 0]
    assert scene.valid()[0, 1]


def test_spot_without_swir_and_without_irradiance_is_read(tmp_path: Path, products: SimpleNamespace) -> None:
    path = products.spot(
        tmp_path / "a", products.numbers(3), **{"<Solar_Irradiance>": "<X>", "</Solar_Irradiance>": "</X>"}
    )
    scene = open_scene(path, bands="green,red")
    assert [band.name for band in scene.bands] == ["XS1", "XS2"]
    full = open_scene(products.spot(tmp_path / "b", products.numbers(3)))
    np.testing.assert_allclose(scene.read()[1] / full.read()[1], 1575.0 / 1577.6, rtol=1e-5)


@pytest.mark.parametrize("tiles", [1, 2])
def test_pleiades_becomes_toa_reflectance_by_the_formula(tmp_path: Path, products: SimpleNamespace, tiles: int) -> None:
    products.pleiades(tmp_path / "IMG_PHR1A_MS_001", tiles=tiles)
    scene = open_scene(tmp_path)
    assert (scene.sensor, scene.level) == ("pleiades-hiri", "toa")
    assert [band.common_name for band in scene.bands] == ["red", "green", "blue", "nir"]
    assert scene.sun == SunAngles(zenith=35.0, azimuth=150.0)
    assert scene.grid.shape == products.SHAPE
    stored = products.numbers(dtype="uint16", top=4000)
    distance = 1 - 0.01672 * math.cos(math.radians(0.9856 * (228 - 4)))  # 15 August 2012 is day 228
    radiance = stored[0] / products.PLEIADES_GAINS["B2"]
    expected = math.pi * radiance * distance**2 / (1594.0 * math.cos(math.radians(35.0)))
    np.testing.assert_allclose(scene.read(bands=[0])[0], expected, rtol=1e-5)


def test_pleiades_reflectance_is_scaled_by_its_own_gain(tmp_path: Path, products: SimpleNamespace) -> None:
    scene = open_scene(products.pleiades(tmp_path / "a", **{">BASIC<": ">REFLECTANCE<"}))
    np.testing.assert_allclose(scene.read(), products.numbers(dtype="uint16", top=4000) * 1e-4, rtol=1e-5)
    assert scene.level is None
    assert "Rayleigh" in scene.provenance["note"]


def test_take5_is_scaled_by_its_quantification(tmp_path: Path, products: SimpleNamespace) -> None:
    values = products.numbers(dtype="int16", top=900)
    values[:, 2, 3] = -10_000
    scene = open_scene(products.take5(tmp_path / "a", values))
    assert (scene.sensor, scene.level, scene.name) == ("spot-4-hrvir", "surface", products.TAKE5)
    assert [band.common_name for band in scene.bands] == ["green", "red", "nir", "swir16"]
    assert not scene.valid()[2, 3]
    np.testing.assert_allclose(scene.read()[:, 0, 0], values[:, 0, 0] / 1000, rtol=1e-6)
    top = {f"<ORTHO_SURF_CORR_PENTE>{products.TAKE5}_PENTE": f"<GEOTIFF>{products.TAKE5}_PENTE"}
    ends = {"PENTE.TIF</ORTHO_SURF_CORR_PENTE>": "PENTE.TIF</GEOTIFF>", "ORTHO_SURF_CORR_ENV>": "NOTHING>"}
    assert open_scene(products.take5(tmp_path / "b", values, **top, **ends)).level == "toa"


SPOT_CHANGES = [
    ({"<SUN_ELEVATION>50.0": "<SUN_ELEVATION>-3"}, "the sun above the horizon, got elevation -3"),
    ({"<PHYSICAL_GAIN>1.5": "<PHYSICAL_GAIN>0"}, "expected a gain above 0 for band XS1, got 0"),
    ({"<PHYSICAL_GAIN>1.5": "<PHYSICAL_GAIN>high"}, "expected a number as <PHYSICAL_GAIN>, got 'high'"),
    ({"1858.0": "1047.5"}, "solar irradiance of about 1859.8 W m-2 um-1 for band XS1, got 1047.5. Are the bands"),
    ({"<MISSION_INDEX>5": "<MISSION_INDEX>7"}, "expected SPOT 4 or 5 with instrument 1 or 2, got SPOT 7, 2"),
    ({"2007-09-02": "yesterday"}, "expected a date and a time, got 'yesterday'"),
    ({'version="1.1"': 'version="3"'}, "expected DIMAP of version 1 or 2"),
    ({'href="IMAGERY.TIF"': 'href="IMAGE.TIF"'}, "expected the image IMAGE.TIF beside it, got none"),
    ({'href="IMAGERY.TIF"': 'href="../../etc/passwd"'}, "which is refused"),
    ({'href="IMAGERY.TIF"': 'href="/etc/passwd"'}, "which is refused"),
    ({"<BAND_DESCRIPTION>SWIR": "<BAND_DESCRIPTION>PAN"}, "expected the bands XS3, XS2, XS1, SWIR once each, got PAN"),
    ({"<Dimap_Document>": "<!DOCTYPE a><Dimap_Document>"}, "document type is refused"),
]


@pytest.mark.parametrize(("changes", "message"), SPOT_CHANGES)
def test_wrong_spot_metadata_are_one_clear_line(
    tmp_path: Path, products: SimpleNamespace, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(SceneError, match=message) as caught:
        open_scene(products.spot(tmp_path / "a", **changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({">BASIC<": ">DISPLAY<"}, "BASIC or REFLECTANCE, got DISPLAY, which is for display"),
        ({"<MISSION>PHR": "<MISSION>SPOT"}, r"expected Pleiades \(PHR\), got SPOT"),
        ({"<ALPHA_CHANNEL>B3": "<ALPHA_CHANNEL>B2"}, "expected 4 bands of B0, B1, B2, B3, got B2, B1, B0, B2"),
        ({"<Band_Radiance><BAND_ID>B1": "<Band_Radiance><BAND_ID>B9"}, "expected <Band_Radiance> of band B1, got none"),
        ({"Located_Geometric_Values": "Other"}, "expected the sun's angles"),
    ],
)
def test_wrong_pleiades_metadata_are_one_clear_line(
    tmp_path: Path, products: SimpleNamespace, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(SceneError, match=message):
        open_scene(products.pleiades(tmp_path / "a", **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"<PLATEFORM>SPOT4": "<PLATEFORM>LANDSAT8"}, "expected SPOT4 or SPOT5"),
        ({"<VALUE>1000.0": "<VALUE>-1"}, "expected a gain above 0"),
        ({"_PENTE.TIF": "_\n.TIF"}, "_ .TIF does not exist"),
        ({"ORTHO_SURF_CORR_": "NOTHING_"}, "expected an image under FILES"),
    ],
)
def test_wrong_take5_metadata_are_one_clear_line(
    tmp_path: Path, products: SimpleNamespace, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(SceneError, match=message) as caught:
        open_scene(products.take5(tmp_path / "a", **changes))
    assert "\n" not in str(caught.value)


def test_metadata_and_image_that_contradict_each_other_are_refused(tmp_path: Path, products: SimpleNamespace) -> None:
    path = products.spot(tmp_path / "a")
    path.with_name("IMAGERY.TIF").unlink()  # or GDAL would delete the metadata with it
    products.write_image(path.with_name("IMAGERY.TIF"), products.numbers(3))
    with pytest.raises(SceneError, match=r"expected 4 layers \(XS3, XS2, XS1, SWIR\).*its image has 3"):
        open_scene(path)


def test_truncated_metadata_and_images_are_one_clear_line(tmp_path: Path, products: SimpleNamespace) -> None:
    path = products.spot(tmp_path / "a")
    image = path.with_name("IMAGERY.TIF")
    image.write_bytes(image.read_bytes()[:700])
    with pytest.raises(SceneError, match="truncated"):
        open_scene(path).read()
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(SceneError, match="expected XML, got what is truncated"):
        open_scene(path)


def test_of_several_images_the_one_with_several_bands_is_taken(tmp_path: Path, products: SimpleNamespace) -> None:
    products.pleiades(tmp_path / "MS")
    products.pleiades(tmp_path / "P", **{"<NBANDS>4": "<NBANDS>1"})
    assert len(open_scene(tmp_path).bands) == 4
    products.pleiades(tmp_path / "MS2")
    with pytest.raises(SceneError, match="expected the metadata of one image with several bands"):
        open_scene(tmp_path)


@pytest.mark.parametrize("kind", ["spot", "pleiades", "take5"])
def test_damaged_metadata_give_our_errors_only(
    tmp_path: Path, products: SimpleNamespace, fuzzing: SimpleNamespace, kind: str
) -> None:
    path = getattr(products, kind)(tmp_path / "a")

    def open_bytes(data: bytes) -> None:
        path.write_bytes(data)
        dimap.open(str(path), NONE).read()

    fuzzing.fuzz(open_bytes, path.read_bytes())
