from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from undercast.errors import EvaluationError, GridError
from undercast.evaluation.references import (
    NOT_TOLD,
    check_codes,
    check_unique,
    content_hash,
    data_hash,
    reference_scene,
)
from undercast.scene import Scene, scene_from_array


def scene(value: float = 0.2, name: str = "one") -> Scene:
    return scene_from_array(np.full((2, 8, 8), value, np.float32), ["red", "nir"], name=name)


def test_what_a_reference_does_not_say_is_not_told() -> None:
    reference = reference_scene(scene(), np.ones((8, 8), np.uint8), {"source": "drawn"})
    assert reference.source == "drawn"
    assert dict(reference.strata) == {
        "source": "drawn",
        "sensor": NOT_TOLD,
        "surface": NOT_TOLD,
        "gsd": NOT_TOLD,
        "labels": NOT_TOLD,
    }
    assert reference_scene(scene(), np.ones((8, 8), np.uint8), {}, gsd=30.0).strata["gsd"] == "30 m"


def test_labels_of_another_shape_are_refused() -> None:
    with pytest.raises(GridError, match="8 x 8 px as the scene, got 8 x 9"):
        reference_scene(scene(), np.ones((8, 9), np.uint8), {})


def test_a_reference_without_any_label_is_refused() -> None:
    with pytest.raises(EvaluationError, match="every pixel of the reference says 'ignore'"):
        reference_scene(scene(), np.zeros((8, 8), np.uint8), {})


def test_impossible_sets_are_refused() -> None:
    with pytest.raises(EvaluationError, match="0 to 15, got 16"):
        reference_scene(scene(), np.full((8, 8), 16, np.uint8), {})


def test_the_hash_follows_the_content_and_not_the_name() -> None:
    labels = np.ones((8, 8), np.uint8)
    same = content_hash(scene(name="one"), labels)
    assert same == content_hash(scene(name="two"), labels)
    assert same == content_hash(scene(0.200001), labels)
    assert same != content_hash(scene(0.21), labels)
    assert same != content_hash(scene(), labels * 2)
    assert same != content_hash(scene(np.nan), labels)
    assert same != content_hash(replace(scene(), bands=scene().bands[::-1]), labels)


def test_the_hash_of_data_does_not_depend_on_the_order() -> None:
    assert data_hash(["a", "b"]) == data_hash(("b", "a")) != data_hash(["a"])


def test_the_same_content_twice_is_refused() -> None:
    seen: dict[str, str] = {}
    check_unique("first", "abc", seen)
    with pytest.raises(EvaluationError, match="second and first have the same pixels"):
        check_unique("second", "abc", seen)


def test_unknown_codes_are_named() -> None:
    with pytest.raises(EvaluationError, match=r"got 7, 9\. Name the scheme"):
        check_codes(np.array([[0, 7, 9]], np.uint8), {0, 1}, name="mask", what="scheme cloud")
