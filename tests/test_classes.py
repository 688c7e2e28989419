"""Class schemes translate undercast's classes to and from other systems' codes."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.classes import CLASS_NAMES, class_percent, load_scheme, percent_from_counts, scheme_ids
from undercast.errors import SchemeError
from undercast.types import NODATA

HERE = np.array([[0, 1, 2], [3, NODATA, 0]], np.uint8)

ENCODED = {
    "alcd": [1, 2, 3, 4, 0],
    "cloud": [0, 1, 1, 0, 255],
    "clear-cloud-shadow": [0, 1, 1, 2, 255],
    "clouds2mask": [0, 1, 2, 3, 0],
    "cloudsen12": [0, 1, 2, 3, 99],
    "fmask": [0, 4, 4, 2, 255],
    "kappamask": [1, 4, 3, 2, 5],
    "kappaset": [1, 4, 3, 2, 0],
    "omnicloudmask": [0, 1, 2, 3, 0],
    "python-fmask": [1, 2, 2, 3, 0],
    "scl": [5, 9, 10, 3, 0],
    "ukis-csmask": [0, 1, 1, 2, 255],
    "undercast": [0, 1, 2, 3, 255],
}
"""Scheme -> what clear, thick cloud, thin cloud, cloud shadow and nodata become in it."""

schemes = pytest.mark.parametrize("name", scheme_ids())


def test_the_schemes_are_those_that_are_checked_here() -> None:
    assert scheme_ids() == tuple(sorted(ENCODED))


@schemes
def test_a_class_map_is_written_in_the_codes_of_a_scheme(name: str) -> None:
    table = np.array(ENCODED[name], np.uint8)
    wanted = table[np.array([[0, 1, 2], [3, 4, 0]])]
    got = load_scheme(name).encode(HERE)
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, wanted)


@schemes
def test_a_table_is_sound(name: str) -> None:
    scheme = load_scheme(name)
    values = [row.value for row in scheme.classes]
    names = [row.name for row in scheme.classes]
    assert scheme.id == name
    assert values == sorted(set(values))
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9_]+", row.name) for row in scheme.classes)
    assert all(re.fullmatch(r"#[0-9a-f]{6}", row.color) for row in scheme.classes)
    assert all(0 <= value <= 255 for value in (*values, scheme.nodata))
    assert set(scheme.from_undercast) == set(CLASS_NAMES)
    assert set(scheme.from_undercast.values()) <= set(values)
    assert all(row.possible <= set(CLASS_NAMES) for row in scheme.classes)


@schemes
def test_what_is_written_can_be_read_back_as_possible(name: str) -> None:
    scheme = load_scheme(name)
    there = np.arange(4, dtype=np.uint8)
    possible = scheme.possible_sets(scheme.encode(there))
    assert ((possible >> there) & 1 == 1).all()


@schemes
def test_unknown_codes_and_nodata_say_nothing_unless_nodata_is_a_class(name: str) -> None:
    scheme = load_scheme(name)
    known = {row.value for row in scheme.classes}
    others = np.array([value for value in range(256) if value not in known], np.uint8)
    assert not scheme.possible_sets(others).any()


def test_possible_sets_of_a_hand_drawn_scl_map() -> None:
    scl = np.array([[0, 1, 2, 3], [4, 9, 10, 11]], np.uint8)
    clear, thick, thin, shadow = 1, 2, 4, 8
    wanted = [[0, 0, clear | shadow, shadow], [clear, thick | thin, thin, clear]]
    np.testing.assert_array_equal(load_scheme("scl").possible_sets(scl), wanted)


def test_an_unknown_scheme_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SchemeError, match=r"^class scheme 'sen2cor' is not known\. Known: alcd, clear-cloud-shadow, "):
        load_scheme("sen2cor")


def test_percentages_leave_nodata_out() -> None:
    assert class_percent(HERE) == {"clear": 40.0, "thick_cloud": 20.0, "thin_cloud": 20.0, "cloud_shadow": 20.0}


def test_percentages_of_nothing_are_zero() -> None:
    assert set(class_percent(np.full((2, 2), NODATA, np.uint8)).values()) == {0.0}


@given(st.lists(st.integers(0, 10**9), min_size=4, max_size=256))
def test_percentages_sum_to_a_hundred_or_nothing(counts: list[int]) -> None:
    total = sum(percent_from_counts(np.array(counts)).values())
    assert total == pytest.approx(100.0 if sum(counts[:4]) else 0.0)
