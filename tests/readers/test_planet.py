from __future__ import annotations

import runpy
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from undercast.errors import SceneError
from undercast.readers import open_scene, planet
from undercast.readers.base import OpenOptions
from undercast.scene import SunAngles


@pytest.fixture(scope="module")
def doves() -> SimpleNamespace:
    """The functions of ``tests/data/planet/make.py``."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "planet" / "make.py")))


def test_coefficients_of_the_metadata_make_toa_reflectance(tmp_path: Path, doves: SimpleNamespace) -> None:
    image = doves.write(tmp_path)
    scene = open_scene(tmp_path)
    assert (scene.sensor, scene.level, scene.name) == ("planetscope-superdove", "toa", image.stem)
    assert [band.name for band in scene.bands][:3] == ["coastal_blue", "blue", "green_i"]
    coefficients = np.array(doves.COEFFICIENTS)[:, None, None]
    np.testing.assert_allclose(scene.read(), doves.numbers() * coefficients, rtol=1e-5)
    assert scene.acquired == datetime(2022, 4, 1, 8, 47, 7, tzinfo=UTC)
    assert scene.sun == SunAngles(zenith=40.0, azimuth=100.0)
    metadata = next(tmp_path.glob("*_metadata.xml"))
    np.testing.assert_array_equal(open_scene(metadata).read(), open_scene(image).read())


def test_surface_reflectance_is_scaled_by_10000(tmp_path: Path, doves: SimpleNamespace) -> None:
    scene = open_scene(doves.write(tmp_path, kind="_SR_8b_harmonized"), bands="nir,red")
    assert scene.level == "surface"
    np.testing.assert_allclose(scene.read(), doves.numbers()[[7, 5]] * 1e-4, rtol=1e-5)


@pytest.mark.parametrize(
    ("instrument", "sensor", "red"),
    [
        ("PS2", "planetscope-dove", 0.63),
        ("PS2.SD", "planetscope-dove-r", 0.666),
        ("PSB.SD", "planetscope-superdove", 0.665),
    ],
)
def test_four_bands_are_those_of_their_instrument(
    tmp_path: Path, doves: SimpleNamespace, instrument: str, sensor: str, red: float
) -> None:
    scene = open_scene(doves.write(tmp_path, doves.numbers(4), kind="", text=doves.metadata(4, instrument)))
    assert scene.sensor == sensor
    assert [band.common_name for band in scene.bands] == ["blue", "green", "red", "nir"]
    assert scene.bands[2].center_wavelength == pytest.approx(red)


def test_zero_is_no_data(tmp_path: Path, doves: SimpleNamespace) -> None:
    values = doves.numbers()
    values[0, 3, 3] = 0
    assert not open_scene(doves.write(tmp_path, values)).valid()[3, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({">2e-05<": ">0<"}, r"expected reflectanceCoefficient of band 1 in \(0, 0.01\], got 0"),
        ({">2e-05<": ">20<"}, r"in \(0, 0.01\], got 20"),
        ({"<ps:bandNumber>8": "<ps:bandNumber>9"}, "expected coefficients of bands 1 to 8 as in the image"),
        ({"PSB.SD": "PSX"}, "expected instrument PS2, PS2.SD, PSB.SD, got 'PSX'. Say --sensor"),
        ({">50.0<": ">500<"}, "expected a sun elevation"),
    ],
)
def test_a_wrong_value_is_one_clear_line(
    tmp_path: Path, doves: SimpleNamespace, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(SceneError, match=message):
        open_scene(doves.write(tmp_path, text=doves.metadata(**changes)))


def test_metadata_and_image_that_contradict_each_other_are_refused(tmp_path: Path, doves: SimpleNamespace) -> None:
    with pytest.raises(SceneError, match="expected 8 or 4 layers of planetscope-superdove, got 5"):
        open_scene(doves.write(tmp_path, doves.numbers(5), kind="", text=doves.metadata(8)))


def test_a_truncated_image_and_truncated_metadata_are_one_clear_line(tmp_path: Path, doves: SimpleNamespace) -> None:
    image = doves.write(tmp_path)
    metadata = next(tmp_path.glob("*_metadata.xml"))
    metadata.write_bytes(metadata.read_bytes()[:400])
    with pytest.raises(SceneError, match="expected XML"):
        open_scene(image)
    doves.write(tmp_path)
    image.write_bytes(image.read_bytes()[:600])
    with pytest.raises(SceneError, match="truncated"):
        open_scene(image).read()


def test_a_folder_with_several_images_asks_for_one(tmp_path: Path, doves: SimpleNamespace) -> None:
    doves.write(tmp_path, kind="_SR_8b")
    image = doves.write(tmp_path)
    with pytest.raises(SceneError, match="Name the image"):
        open_scene(tmp_path)
    assert open_scene(image).level == "toa"


def test_an_image_without_metadata_is_not_taken(tmp_path: Path, doves: SimpleNamespace) -> None:
    image = doves.write(tmp_path)
    next(tmp_path.glob("*_metadata.xml")).unlink()
    assert not planet.accepts(str(image))


def test_damaged_metadata_give_our_errors_only(
    tmp_path: Path, doves: SimpleNamespace, fuzzing: SimpleNamespace
) -> None:
    doves.write(tmp_path)
    path = next(tmp_path.glob("*_metadata.xml"))

    def open_bytes(data: bytes) -> None:
        path.write_bytes(data)
        planet.open(str(tmp_path), OpenOptions()).read()

    fuzzing.fuzz(open_bytes, path.read_bytes())
