"""The picture of a scene beside its class map."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.errors import NotGeoreferencedWarning

from undercast.bands import band_from_name
from undercast.classes import load_scheme
from undercast.prediction import Prediction, PredictionStream, Strip
from undercast.scene import PixelSource, Scene, scene_from_array
from undercast.windows import Window
from undercast.writers.quicklook import BACKGROUND, GAP, Preview, picture_bands, png, stretch
from undercast.writers.style import rgb


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["blue", "green", "red", "nir"], (2, 1, 0)),
        (["green", "red", "nir08"], (2, 1, 0)),
        (["nir08", "nir", "red", "green"], (0, 2, 3)),
        (["blue", "red", "nir", "swir16"], (3, 2, 1)),
        (["red", "swir22"], (0, 0, 0)),
    ],
)
def test_natural_colour_comes_first_then_false_colour_then_grey(names: list[str], expected: tuple[int, ...]) -> None:
    assert picture_bands([band_from_name(name) for name in names]) == expected


def test_a_stretch_leaves_invalid_pixels_to_the_background() -> None:
    values = np.array([[0.0, 1.0], [0.5, np.nan]])
    assert stretch(values, np.isfinite(values)).tolist() == [[0, 255], [128, BACKGROUND]]


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_a_constant_layer_can_be_stretched(value: float) -> None:
    assert np.unique(stretch(np.full((3, 3), value), np.full((3, 3), True))).tolist() == [0]


def test_a_picture_averages_the_scene_and_samples_the_classes(
    make: Callable[..., tuple[Prediction, Scene]],
) -> None:
    class_map = np.zeros((8, 8), np.uint8)
    class_map[2::4, 6] = 1
    prediction, _ = make(class_map=class_map)
    reflectance = np.zeros((1, 8, 8), np.float32)
    reflectance[:, ::2, 4:] = 0.8
    reflectance[:, 4:, :4] = np.nan
    preview = Preview(scene_from_array(reflectance, ["red"]), load_scheme(), side=2)
    for strip in prediction.stream().strips:
        preview.add(strip)
    picture = preview.picture()
    side = picture.shape[0]
    assert picture.shape == (side, 2 * side + GAP, 3)
    quarter, half = side // 4, side // 2
    corners = picture[quarter::half, quarter:side:half]
    assert corners[..., 0].tolist() == [[0, 255], [BACKGROUND, 255]]
    classes = picture[quarter::half, side + GAP + quarter :: half]
    clear, cloud = (rgb(entry.color) for entry in load_scheme().classes[:2])
    assert classes.tolist() == [[list(clear), list(cloud)]] * 2


@given(cuts=st.lists(st.integers(1, 36), max_size=5), side=st.sampled_from([5, 12, 64]))
def test_the_picture_does_not_depend_on_the_strips(
    make: Callable[..., tuple[Prediction, Scene]],
    cut: Callable[..., PredictionStream],
    cuts: list[int],
    side: int,
) -> None:
    prediction, scene = make((37, 23))
    pictures = []
    for stream in (prediction.stream(), cut(prediction, cuts)):
        preview = Preview(scene, load_scheme(), side=side)
        for strip in stream.strips:
            preview.add(strip)
        pictures.append(preview.picture().astype(int))
    # The order of a sum may move a value by one step of 255.
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


def test_a_large_scene_is_read_in_parts(
    make: Callable[..., tuple[Prediction, Scene]], monkeypatch: pytest.MonkeyPatch
) -> None:
    prediction, scene = make((40, 30))
    monkeypatch.setattr("undercast.writers.quicklook.VALUES_AT_ONCE", 7 * 3 * 30)
    whole, parts = (Preview(scene, load_scheme(), side=16) for _ in range(2))
    (strip,) = prediction.stream().strips
    assert [window.height for window in parts._windows(strip)] == [7, 7, 7, 7, 7, 5]
    parts.add(strip)
    monkeypatch.undo()
    whole.add(strip)
    np.testing.assert_array_equal(whole.picture(), parts.picture())


def test_a_scene_without_a_valid_pixel_is_grey(make: Callable[..., tuple[Prediction, Scene]]) -> None:
    prediction, scene = make(class_map=np.full((16, 16), 255, np.uint8))
    preview = Preview(scene, load_scheme())
    for strip in prediction.stream().strips:
        preview.add(strip)
    assert set(np.unique(preview.picture())) == {BACKGROUND, 255}


def test_a_png_holds_the_picture_and_has_nothing_beside_it(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    path = tmp_path / "picture.png"
    path.write_bytes(png(picture))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as source:
            assert source.driver == "PNG"
            np.testing.assert_array_equal(np.moveaxis(source.read(), 0, -1), picture)
    assert list(tmp_path.iterdir()) == [path]


def test_a_large_scene_whose_last_column_is_narrow_fills_its_picture() -> None:
    reflectance = np.full((1, 40, 112), 0.3, np.float32)
    scene = scene_from_array(reflectance, ["red"])
    preview = Preview(scene, load_scheme("undercast"), side=11)
    strip = Strip(
        row=0,
        class_map=np.zeros((40, 112), np.uint8),
        probabilities=np.zeros((4, 40, 112), np.float32),
        uncertainty=np.zeros((40, 112), np.float32),
    )
    preview.add(strip)
    assert (preview.picture()[..., 0] != BACKGROUND).all()


@given(cuts=st.lists(st.integers(1, 36), max_size=5), side=st.sampled_from([5, 12, 64]), ahead=st.booleans())
def test_a_picture_that_watches_the_scene_is_the_same_and_reads_nothing(
    make: Callable[..., tuple[Prediction, Scene]],
    cut: Callable[..., PredictionStream],
    cuts: list[int],
    side: int,
    ahead: bool,
) -> None:
    prediction, scene = make((37, 23))
    reading, watching = (Preview(scene, load_scheme(), side=side) for _ in range(2))
    watched = watching.watching(scene)
    bands = list(reversed(range(len(scene.bands))))
    watched.read(Window(row=0, col=3, height=5, width=9), bands)  # a look at a part says nothing
    watched.read(Window(row=20, col=0, height=5, width=23), bands)  # nor do rows before their turn
    if ahead:
        for row in range(0, 37, 5):
            watched.read(Window(row=max(row - 2, 0), col=0, height=min(7, 39 - row), width=23), bands)
        watching._scene = replace(scene, pixels=cast("PixelSource", None))
    for preview, stream in ((reading, prediction.stream()), (watching, cut(prediction, cuts))):
        for strip in stream.strips:
            preview.add(strip)
    np.testing.assert_array_equal(reading.picture(), watching.picture())
