"""What a processor is known to get wrong is left open, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.errors import LabelError, UsageError
from undercast.weak_labels.failings import FAILINGS, find_failings, left_open
from undercast.weak_labels.processors import PROCESSORS, find_processor

CLEAR, CLOUD, SHADOW, THIN = 1, 6, 8, 4


@pytest.mark.parametrize("failing", FAILINGS)
def test_every_failing_has_a_source_and_processors_that_exist(failing: str) -> None:
    assert FAILINGS[failing].source
    assert set(FAILINGS[failing].codes) <= set(PROCESSORS)


@pytest.mark.parametrize(
    ("processor", "failing", "stored", "sets"),
    [
        ("fmask", "snow", [0, 3], [CLEAR, CLEAR | CLOUD]),
        ("qa-pixel", "snow", [21824, 30048], [CLEAR, CLEAR | CLOUD]),
        ("bqa-c1", "snow", [2720, 3744], [CLEAR, CLEAR | CLOUD]),
        ("bqa-pre", "snow", [20480, 23552], [CLEAR | SHADOW, 15]),
        ("proba-v-sm", "snow", [0b1111_1000, 0b1111_1100], [CLEAR, CLEAR | CLOUD]),
        ("spot-vgt-sm", "snow", [0b1111_1000, 0b1111_1100], [CLEAR, CLEAR | CLOUD]),
        ("scl", "high-ground", [9, 10], [CLOUD, CLEAR | THIN]),
        ("qa-pixel", "high-ground", [22280, 54596], [CLOUD, CLEAR | CLOUD]),
        ("maja-clm", "high-ground", [0b111, 0b1000_0011], [CLOUD, CLEAR | CLOUD]),
        ("maja-clm", "outside-shadow", [0b0010_0001, 0b0100_0001], [SHADOW, CLEAR | SHADOW]),
        ("maja-cld", "outside-shadow", [0b0000_0101, 0b0000_1001], [SHADOW, CLEAR | SHADOW]),
        ("bqa-c1", "thin-cloud", [2720, 2976, 6816], [CLEAR | THIN, SHADOW, CLOUD]),
        ("qa-pixel", "thin-cloud", [21824, 23888, 1], [CLEAR | THIN, SHADOW, 0]),
        ("hls-fmask", "thin-cloud", [64, 8], [CLEAR | THIN, SHADOW]),
        ("scl", "dark-water", [5, 6], [CLEAR, CLEAR | SHADOW]),
    ],
)
def test_the_codes_in_question_are_left_open(processor: str, failing: str, stored: list[int], sets: list[int]) -> None:
    product = find_processor(processor)
    codes = np.array([stored])
    out = left_open(product.possible(codes), codes, product, find_failings([failing], product), None)
    assert out.tolist() == [sets]


def test_only_narrow_clouds_may_be_bright_ground() -> None:
    codes = np.zeros((60, 120), np.uint8)
    codes[10:50, 10:50] = 4
    codes[10:14, 80:90] = 4
    product = find_processor("fmask")
    out = left_open(product.possible(codes), codes, product, find_failings(["bright-ground"], product), (10.0, 10.0))
    assert (out[10:14, 80:90] == CLEAR | CLOUD).all()
    assert (out[20:40, 20:40] == CLOUD).all()
    assert (out[codes == 0] == CLEAR).all()


def test_narrow_needs_the_size_of_a_pixel() -> None:
    product = find_processor("fmask")
    codes = np.full((2, 2), 4)
    with pytest.raises(LabelError, match="bright-ground: expected the size of a pixel in metres"):
        left_open(product.possible(codes), codes, product, find_failings(["all"], product), None)


def test_a_processor_is_only_asked_for_its_own_failings() -> None:
    product = find_processor("maja-clm")
    with pytest.raises(UsageError, match=r"not known for 'snow'\. Known: high-ground, outside-shadow"):
        find_failings(["snow"], product)
    assert [failing.id for failing in find_failings(["all"], product)] == ["high-ground", "outside-shadow"]
    assert find_failings([], product) == ()


@given(name=st.sampled_from(sorted(PROCESSORS)), data=st.data())
def test_a_set_only_grows_and_ignored_pixels_stay_ignored(name: str, data: st.DataObject) -> None:
    product = PROCESSORS[name]
    known = np.flatnonzero(product._tables[2])
    codes = known[np.array(data.draw(st.lists(st.integers(0, len(known) - 1), min_size=4, max_size=4)))].reshape(2, 2)
    sets = product.possible(codes)
    out = left_open(sets, codes, product, find_failings(["all"], product), (10.0, 10.0))
    assert (out & sets == sets).all()
    assert (out[sets == 0] == 0).all()
