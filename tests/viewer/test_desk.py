from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from undercast.errors import LabelError, OutputExistsError
from undercast.scene import Scene, scene_from_array
from undercast.viewer.desk import Desk

MakeDesk = Callable[..., Desk]


def grey(height: int, width: int) -> Scene:
    return scene_from_array(np.full((2, height, width), 0.2, np.float32), ["red", "nir"], name="grey")


def test_a_new_desk_tells_classes_views_and_no_labels(desk: Desk) -> None:
    state = desk.state()
    assert [entry["written"] for entry in state["classes"]] == [
        "clear",
        "thick cloud",
        "thin cloud",
        "cloud shadow",
        "clear",
        "clear",
        "clear",
    ]
    assert (state["height"], state["width"], state["notice"], state["trained"]) == (24, 30, None, False)
    assert state["round"] == 1
    json.dumps(state, allow_nan=False)


def test_training_labels_the_scene_and_proposes_places(pointed: Desk) -> None:
    pointed.train()
    assert pointed.labelled is not None
    assert [np.bincount(pointed.labelled.labels[:, col], minlength=7).argmax() for col in (5, 15, 25)] == [6, 5, 2]
    state = pointed.state()
    assert state["trained"]
    assert state["proposals"]
    assert state["rounds"][0]["points"] == 18
    assert state["rounds"][0]["changed_percent"] is None
    pointed.train()
    assert pointed.state()["rounds"][1]["changed_percent"] == 0


def test_too_few_points_of_a_class_leave_the_labels_as_they_are(pointed: Desk) -> None:
    pointed.train()
    before = pointed.labelled
    pointed.add(0, 0, 7)
    with pytest.raises(LabelError, match="snow has 1"):
        pointed.train()
    assert pointed.labelled is before
    assert len(pointed.session.rounds) == 1


def test_a_click_on_a_pixel_without_data_is_refused(make_desk: MakeDesk) -> None:
    values = np.full((2, 10, 10), 0.2, np.float32)
    values[0, 3, 4] = np.nan
    desk = make_desk(scene_from_array(values, ["red", "nir"], name="hole"))
    with pytest.raises(LabelError, match="without"):
        desk.add(3, 4, 5)


def test_a_huge_scene_is_labelled_on_squares_and_says_so(make_desk: MakeDesk) -> None:
    desk = make_desk(grey(2000, 1000), largest=10_000)
    assert desk.state()["height"] * desk.state()["width"] <= 10_000
    assert desk.notice == (
        "2 megapixels are more than the 0.01 that are labelled at once:"
        " this scene is labelled on squares of 15 x 15 pixels."
    )


@pytest.mark.parametrize("shape", [(4, 40), (40, 4)])
def test_a_scene_that_is_too_small_is_refused(make_desk: MakeDesk, shape: tuple[int, int]) -> None:
    with pytest.raises(LabelError, match="at least 8 px"):
        make_desk(grey(*shape))


def test_a_scene_without_data_is_refused(make_desk: MakeDesk) -> None:
    empty = scene_from_array(np.full((2, 10, 10), np.nan, np.float32), ["red", "nir"], name="empty")
    with pytest.raises(LabelError, match="expected pixels with data"):
        make_desk(empty)


def test_a_session_goes_on_after_its_last_round(make_desk: MakeDesk, pointed: Desk) -> None:
    pointed.train()
    pointed.add(0, 0, 7)
    again = make_desk()
    assert again.session.points == pointed.session.points[:-1]
    assert again.session.rounds == pointed.session.rounds
    assert again.labelled is not None
    assert pointed.labelled is not None
    np.testing.assert_array_equal(again.labelled.labels, pointed.labelled.labels)


def test_a_session_of_other_pixels_is_refused_by_its_path(make_desk: MakeDesk, pointed: Desk, tmp_path: Path) -> None:
    pointed.train()
    with pytest.raises(LabelError, match=r"stripes_points\.json: .* other pixels"):
        make_desk(replace(grey(24, 30), name="stripes"))
    (tmp_path / "out" / "stripes_points.json").write_bytes(b"\xff\xfe")
    with pytest.raises(LabelError, match=r"stripes_points\.json"):
        make_desk()


def test_a_mask_that_no_session_made_is_not_replaced(make_desk: MakeDesk, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "stripes_class_map.tif").write_bytes(b"mine")
    with pytest.raises(OutputExistsError):
        make_desk()
    make_desk(overwrite=True)


def test_nothing_is_saved_before_the_present_points_are_trained(pointed: Desk) -> None:
    with pytest.raises(LabelError, match="Train first"):
        pointed.save()
    pointed.train()
    pointed.add(0, 0, 6)
    with pytest.raises(LabelError, match="Train first"):
        pointed.save()
    pointed.train()
    pointed.remove(0, 0)
    with pytest.raises(LabelError, match="Train first"):
        pointed.save()


@pytest.mark.parametrize("number", [-1, 99])
def test_an_unknown_view_is_refused(desk: Desk, number: int) -> None:
    with pytest.raises(LabelError, match="expected a view"):
        desk.view(number)


def test_there_is_no_overlay_before_training(desk: Desk) -> None:
    with pytest.raises(LabelError, match="Train first"):
        desk.overlay("labels")


def test_the_elevation_is_one_more_feature(make_desk: MakeDesk, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("undercast.viewer.desk.Elevation", lambda **_: lambda window: np.ones(window.shape, np.float32))
    assert make_desk(dem="dem.tif").features.shape[-1] == make_desk().features.shape[-1] + 1
