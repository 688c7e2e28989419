from __future__ import annotations

import base64
import itertools

import numpy as np
import pytest
from rasterio.io import MemoryFile

from undercast.classes import load_scheme
from undercast.evaluation.evaluate import Evaluation, JudgedScene
from undercast.evaluation.references import reference_scene
from undercast.reports.pictures import (
    AGREES,
    FALSE_CLOUD,
    MISSED_CLOUD,
    NO_PREDICTION,
    NO_REFERENCE,
    SHADOW_OR_CLEAR,
    THICKNESS,
    VERDICTS,
    Example,
    class_legend,
    data_uri,
    error_share,
    make_example,
    panels,
    set_color,
    verdict_legend,
    verdicts,
)
from undercast.scene import scene_from_array


def linear(color: str) -> list[float]:
    parts = [part / 255 for part in bytes.fromhex(color[1:])]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


@pytest.mark.parametrize(
    ("possible", "predicted", "verdict"),
    [
        (0, 1, NO_REFERENCE),
        (0, 255, NO_REFERENCE),
        (1, 255, NO_PREDICTION),
        (1, 0, AGREES),
        (9, 3, AGREES),
        (6, 2, AGREES),
        (1, 2, FALSE_CLOUD),
        (9, 1, FALSE_CLOUD),
        (2, 0, MISSED_CLOUD),
        (6, 3, MISSED_CLOUD),
        (2, 2, THICKNESS),
        (4, 1, THICKNESS),
        (1, 3, SHADOW_OR_CLEAR),
        (8, 0, SHADOW_OR_CLEAR),
    ],
)
def test_a_pixel_has_one_verdict(possible: int, predicted: int, verdict: int) -> None:
    assert verdicts(np.array([possible], np.uint8), np.array([predicted], np.uint8)).tolist() == [verdict]


def test_errors_leave_thickness_and_pixels_without_prediction_aside() -> None:
    counts = np.zeros((16, 5), int)
    counts[2] = [1, 5, 2, 0, 7]
    counts[9] = [1, 0, 0, 1, 0]
    assert error_share(counts.tolist()) == 1 / 10


def test_the_share_of_errors_of_nothing_is_zero() -> None:
    assert error_share(np.zeros((16, 5), int).tolist()) == 0.0


def test_a_possible_set_has_the_mean_colour_of_its_classes() -> None:
    assert set_color(2) == load_scheme().classes[1].color
    mixed = [(first + second) / 2 for first, second in zip(b"\x00\x72\xb2", b"\x56\xb4\xe9", strict=True)]
    assert list(bytes.fromhex(set_color(6)[1:])) == [round(part) for part in mixed]


def test_verdicts_differ_in_lightness_for_people_who_do_not_see_colours() -> None:
    matter = [VERDICTS[key][1] for key in (AGREES, MISSED_CLOUD, FALSE_CLOUD, SHADOW_OR_CLEAR)]
    lights = [0.2126 * red + 0.7152 * green + 0.0722 * blue for red, green, blue in map(linear, matter)]
    ratios = [(max(pair) + 0.05) / (min(pair) + 0.05) for pair in itertools.combinations(lights, 2)]
    assert min(ratios) > 1.4


def test_an_example_shows_scene_reference_prediction_and_disagreement(evaluation: Evaluation) -> None:
    example = make_example(evaluation.examples[0])
    names = [name for name, _ in panels(example)]
    assert names == ["scene", "reference", "prediction", "disagreement"]
    assert {picture.shape for _, picture in panels(example)} == {(40, 40, 3)}


def test_a_large_scene_is_averaged_down_and_its_classes_are_sampled() -> None:
    image = np.full((1, 11, 20), 0.5, np.float32)
    image[0, :, :2] = np.nan
    possible = np.repeat(np.arange(10, dtype=np.uint8).clip(1, 8), 2)[None].repeat(11, axis=0)
    reference = reference_scene(scene_from_array(image, ["red"], name="large"), possible, {})
    class_map = np.zeros(possible.shape, np.uint8)
    example = make_example(JudgedScene(reference=reference, class_map=class_map), side=10)
    assert example.scene.shape == (6, 10, 3)
    assert example.possible[0].tolist() == possible[0, 1::2].tolist()
    assert example.scene[0, 0].tolist() == [64, 64, 64]
    assert example.bands == "red"


def test_legends_name_what_occurs() -> None:
    example = Example(
        name="x",
        scene=np.zeros((1, 3, 3), np.uint8),
        possible=np.array([[1, 6, 0]], np.uint8),
        class_map=np.array([[0, 0, 1]], np.uint8),
    )
    assert [name for name, _ in class_legend([example])] == [
        "Clear",
        "Thick cloud",
        "Thin cloud",
        "Cloud shadow",
        "Thick or thin cloud",
        "Nothing said",
    ]
    assert [name for name, _ in verdict_legend([example])] == ["Agrees", "Cloud missed", "No reference"]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_picture_in_a_link_is_a_png_with_the_same_pixels() -> None:
    picture = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    head, data = data_uri(picture).split(",")
    assert head == "data:image/png;base64"
    with MemoryFile(base64.b64decode(data)) as memory, memory.open() as source:
        assert np.array_equal(np.moveaxis(source.read(), 0, -1), picture)
