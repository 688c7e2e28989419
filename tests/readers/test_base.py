from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.bands import COMMON_WAVELENGTHS
from undercast.errors import BandError
from undercast.readers.base import (
    OpenOptions,
    band_called,
    bands_from_caller,
    bands_from_texts,
    gdal_path,
    is_remote,
    preset_scaling,
    short_name,
    unnamed_error,
)
from undercast.sensors import load_sensor

MSI = load_sensor("sentinel-2a")
OLI = load_sensor("landsat-8")


@pytest.mark.parametrize(
    ("text", "sensor", "expected"),
    [
        ("blue", None, "blue"),
        ("SWIR 1", None, "swir16"),
        ("Blue (B0)", None, "blue"),
        ("B2 (blue)", None, "blue"),
        ("red_toa", None, "red"),
        ("B04", None, None),
        ("QA_PIXEL", None, None),
        ("B04", MSI, "red"),
        ("b4", MSI, "red"),
        ("B8a", MSI, "nir08"),
        ("B04", OLI, "red"),
        ("SR_B5", OLI, "nir08"),
        ("B2 (blue)", OLI, "blue"),
        ("ST_B10", OLI, None),
    ],
)
def test_a_text_names_the_band_that_a_person_would_read_in_it(text: str, sensor: object, expected: str | None) -> None:
    band = band_called(text, sensor)  # type: ignore[arg-type]
    assert (band.common_name if band else None) == expected


@given(st.sampled_from(sorted(COMMON_WAVELENGTHS)), st.sampled_from(["{}", " {} ", "{}_sr", "{} (B1)", "X ({})"]))
def test_every_common_name_is_found_in_its_usual_dress(name: str, dress: str) -> None:
    band = band_called(dress.format(name))
    assert band is not None
    assert band.common_name == name


def test_a_sensor_gives_its_own_wavelengths_to_common_names() -> None:
    band = band_called("nir", MSI)
    assert band is not None
    assert band.center_wavelength == pytest.approx(0.8328)
    assert band.name == "B08"


def test_a_dash_or_an_underscore_leaves_a_layer_out() -> None:
    naming = bands_from_caller(("red", "-", "_", "nir"), 4, what="x.tif", sensor=None)
    assert [band.common_name if band else None for band in naming.bands] == ["red", None, None, "nir"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("red",), "got 1 names for 2 layers"),
        (("red", "nir", "blue"), "got 3 names for 2 layers"),
        (("red", "infrared"), "band 'infrared' is not known"),
        (("red", "Red"), "layers 1 and 2 are both called red"),
        (("-", "-"), "at least one band"),
    ],
)
def test_wrong_names_are_refused_in_one_line(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(BandError, match=message) as caught:
        bands_from_caller(names, 2, what="x.tif", sensor=None)
    assert "\n" not in str(caught.value)


def test_placeholders_are_no_descriptions() -> None:
    texts = ["Band 1", "band_2", None, ""]
    assert bands_from_texts(texts, what="x", sensor=OLI, origin="band descriptions") is None


def test_texts_that_say_nothing_leave_their_layers_out() -> None:
    naming = bands_from_texts(["red", "QA", "nir"], what="x", sensor=None, origin="band descriptions")
    assert naming is not None
    assert [band is None for band in naming.bands] == [False, True, False]


def test_the_error_for_unnamed_bands_lists_the_ways_out_and_the_sensors_of_the_names() -> None:
    text = str(unnamed_error(["B8A", "B11", "B12"], what="x.tif", sensor=None))
    assert "--bands blue,green,red" in text
    assert "--sensor" in text
    assert "sentinel-2a-msi" in text
    assert "landsat-8-oli" not in text


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("a/b.tif", "a/b.tif"),
        ("https://host/b.tif?k=1", "/vsicurl/https://host/b.tif?k=1"),
        ("s3://bucket/b.tif", "/vsis3/bucket/b.tif"),
        ("/vsizip/a.zip/b.tif", "/vsizip/a.zip/b.tif"),
    ],
)
def test_addresses_become_gdal_names(source: str, path: str) -> None:
    assert gdal_path(source) == path
    assert is_remote(source) == source.startswith(("http", "s3"))


@pytest.mark.parametrize("source", ["/a/scene.tif", "https://host/scene.tif?key=a/b", "scene.tif", "/a/scene/"])
def test_short_names_have_neither_folder_nor_suffix(source: str) -> None:
    assert short_name(source) == "scene"


def test_a_sensors_scaling_is_for_integers_and_its_own_level() -> None:
    options = OpenOptions(sensor=OLI)
    assert preset_scaling(options, "uint16") == OLI.scaling
    assert preset_scaling(options, "float32") is None
    assert preset_scaling(OpenOptions(sensor=OLI, level="toa"), "uint16") is None
    assert preset_scaling(OpenOptions(), "uint16") is None
