"""Labels of a scene become vectors in a stated order, and land cover codes become labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.errors import LabelError, UsageError
from undercast.scene_labels import load_nomenclature, nomenclature_names

LEXICOGRAPHIC = load_nomenclature()
ORIGINAL = load_nomenclature(order="original")


def test_outputs_of_models_are_in_lexicographic_order() -> None:
    assert LEXICOGRAPHIC.labels[0] == "Agro-forestry areas"
    assert LEXICOGRAPHIC.labels[18] == "Urban fabric"
    assert LEXICOGRAPHIC.labels == tuple(sorted(ORIGINAL.labels))


def test_the_order_of_the_paper_is_kept_beside_it() -> None:
    assert ORIGINAL.labels[0] == "Urban fabric"
    assert ORIGINAL.labels[-1] == "Marine waters"
    assert len(ORIGINAL.labels) == 19


def test_the_vector_of_a_known_patch() -> None:
    patch = LEXICOGRAPHIC.vector(["Pastures", "Arable land", "Mixed forest", "Broad-leaved forest"])
    assert np.flatnonzero(patch).tolist() == [1, 3, 12, 15]
    assert np.flatnonzero(ORIGINAL.vector(LEXICOGRAPHIC.named(patch))).tolist() == [2, 4, 8, 10]


@given(st.sets(st.sampled_from(LEXICOGRAPHIC.labels)))
def test_labels_survive_the_way_through_a_vector(labels: set[str]) -> None:
    for nomenclature in (LEXICOGRAPHIC, ORIGINAL):
        assert set(nomenclature.named(nomenclature.vector(labels))) == labels


def test_codes_of_corine_become_labels_and_those_without_one_do_not() -> None:
    assert LEXICOGRAPHIC.of_codes(np.array([[211, 213], [241, 423], [999, 523]])) == (
        "Arable land",
        "Marine waters",
        "Permanent crops",
    )


def test_every_level_3_code_of_corine_is_known() -> None:
    counts: dict[int, int] = {11: 2, 12: 4, 13: 3, 14: 2, 21: 3, 22: 3, 23: 1, 24: 4, 31: 3, 32: 4, 33: 5, 41: 2, 42: 3}
    counts |= {51: 2, 52: 3}
    expected = {10 * group + number for group, count in counts.items() for number in range(1, count + 1)}
    assert expected | {999} == {*LEXICOGRAPHIC.codes, *LEXICOGRAPHIC.without_label}


def test_an_unknown_label_is_refused() -> None:
    with pytest.raises(LabelError, match=r"got Moon\. Known: Agro-forestry areas;"):
        LEXICOGRAPHIC.vector(["Pastures", "Moon"])


def test_an_unknown_code_is_refused() -> None:
    with pytest.raises(LabelError, match="land cover codes 57 are not of BigEarthNet, 19 classes"):
        LEXICOGRAPHIC.of_codes(np.array([211, 57]))


def test_a_vector_of_another_length_is_refused() -> None:
    with pytest.raises(LabelError, match="expected a vector of 19 labels"):
        LEXICOGRAPHIC.named(np.zeros(43, bool))


def test_unknown_names_and_orders_are_refused() -> None:
    assert nomenclature_names() == ("bigearthnet19",)
    wrong: Any = "random"
    with pytest.raises(UsageError, match=r"nomenclature 'corine' is not known\. Known: bigearthnet19"):
        load_nomenclature("corine")
    with pytest.raises(UsageError, match="expected labels in one of the orders lexicographic, original, got 'random'"):
        load_nomenclature(order=wrong)
