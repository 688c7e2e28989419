from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from undercast.errors import EvaluationError, UsageError
from undercast.evaluation.protocols import (
    load_protocol,
    near_border,
    parse_protocol,
    protocol_from_dict,
    protocol_ids,
    scored_sets,
)
from undercast.evaluation.references import ReferenceScene, reference_scene
from undercast.scene import scene_from_array

CLEAR, THICK, THIN, SHADOW = 1, 2, 4, 8


def reference_of(
    possible: list[list[int]], *, gsd: float | None = 10.0, stated: list[list[int]] | None = None
) -> ReferenceScene:
    sets = np.array(possible, np.uint8)
    scene = scene_from_array(np.zeros((1, *sets.shape), np.float32), ["red"])
    return reference_scene(scene, sets, {}, gsd=gsd, stated=None if stated is None else np.array(stated, np.uint8))


@pytest.mark.parametrize("name", protocol_ids())
def test_every_protocol_loads_and_survives_json(name: str) -> None:
    protocol = load_protocol(name)
    assert protocol.id == name
    assert protocol_from_dict(protocol.to_dict(), origin="json") == protocol


def test_the_protocols_of_the_field_are_there() -> None:
    assert {"pixel", "cnes", "omnicloudmask", "cloudsen12", "ukis", "boundary"} <= set(protocol_ids())


def test_pixel_scores_what_the_reference_says() -> None:
    reference = reference_of([[CLEAR, THICK, CLEAR | SHADOW]])
    np.testing.assert_array_equal(scored_sets(reference, load_protocol("pixel")), reference.possible)


def test_thin_cloud_is_left_out_where_the_protocol_says_so() -> None:
    reference = reference_of([[CLEAR, THIN, THICK | THIN]])
    np.testing.assert_array_equal(scored_sets(reference, load_protocol("cnes")), reference.possible)
    without = scored_sets(reference, load_protocol("cnes-without-thin"))
    np.testing.assert_array_equal(without, [[CLEAR, 0, THICK | THIN]])


def test_priority_settles_what_is_stated_and_not_what_cannot_be_told() -> None:
    reference = reference_of(
        [[THICK | SHADOW, THIN | SHADOW, CLEAR | SHADOW]], stated=[[THICK | SHADOW, THIN | SHADOW, 0]]
    )
    settled = scored_sets(reference, load_protocol("cloudsen12"))
    np.testing.assert_array_equal(settled, [[THICK, SHADOW, CLEAR | SHADOW]])
    np.testing.assert_array_equal(scored_sets(reference, load_protocol("pixel")), reference.possible)


def test_pixels_near_a_border_are_left_out_and_unlabelled_ones_make_none() -> None:
    row = [CLEAR] * 4 + [0] * 2 + [THICK] * 3 + [SHADOW] * 4
    reference = reference_of([row], gsd=30.0)
    scored = scored_sets(reference, load_protocol("boundary"))
    np.testing.assert_array_equal(scored, [[CLEAR] * 4 + [0, 0, THICK, 0, 0, 0, 0, SHADOW, SHADOW]])


def test_a_buffer_needs_the_gsd() -> None:
    with pytest.raises(EvaluationError, match="needs the gsd"):
        scored_sets(reference_of([[CLEAR]], gsd=None), load_protocol("boundary"))


@given(arrays(np.uint8, (6, 7), elements=st.sampled_from([0, 1, 2])), st.floats(0.0, 4.0))
def test_near_a_border_is_within_the_distance_of_another_label(possible: np.ndarray, distance: float) -> None:
    rows, cols = np.indices(possible.shape)
    expected = np.zeros(possible.shape, bool)
    for row, col in np.argwhere(possible > 0):
        apart = (rows - row) ** 2 + (cols - col) ** 2 <= distance * distance
        expected[row, col] = bool((apart & (possible > 0) & (possible != possible[row, col])).any())
    np.testing.assert_array_equal(near_border(possible, distance), expected)


def test_a_persons_own_protocol_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'id = "mine"\ntitle = "t"\ndescription = "d"\nsource = "s"\ntasks = ["cloud"]\nthin = "cloud"\n'
        'buffer_m = 0\ncollisions = "ignore"\nbetas = [0.5]\n'
    )
    assert load_protocol(path).betas == (0.5,)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id =", "is not TOML"),
        ('id = "x"', "a key is missing"),
        ('colour = "x"', "key 'colour' is not known"),
    ],
)
def test_a_wrong_protocol_is_refused(text: str, told: str) -> None:
    with pytest.raises(EvaluationError, match=told):
        parse_protocol(text, origin="mine")


@pytest.mark.parametrize(
    "changes",
    [
        {"tasks": []},
        {"tasks": ["fog"]},
        {"thin": "no"},
        {"collisions": "no"},
        {"buffer_m": -1},
        {"betas": [0]},
        {"priority": ["fog"]},
    ],
)
def test_impossible_values_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(EvaluationError, match=f"{next(iter(changes))}: expected"):
        protocol_from_dict({**load_protocol().to_dict(), **changes}, origin="mine")


def test_an_unknown_protocol_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Known: boundary, cloudsen12, cnes"):
        load_protocol("nonsense")
    with pytest.raises(EvaluationError, match=r"missing\.toml cannot be read: No such file or directory\.$"):
        load_protocol(tmp_path / "missing.toml")
