from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from undercast.annotation.points import Point
from undercast.annotation.proposals import propose
from undercast.types import Float32


def test_the_least_confident_place_comes_first_and_points_keep_others_away() -> None:
    confidence = np.ones((20, 20), np.float32)
    confidence[2:5, 2:5] = 0.3
    confidence[12:15, 12:15] = 0.5
    assert propose(confidence, [], number=2, apart_px=5) == ((3, 3), (13, 13))
    clicked = Point(row=4, col=4, label=5, round=1)
    assert propose(confidence, [clicked], number=1, apart_px=5) == ((13, 13),)


def test_a_place_without_data_is_never_proposed() -> None:
    confidence = np.full((9, 9), np.nan, np.float32)
    assert propose(confidence, []) == ()
    confidence[8, 0] = 0.9
    assert propose(confidence, []) == ((8, 0),)


def test_a_single_unsure_pixel_counts_less_than_an_unsure_place() -> None:
    confidence = np.ones((20, 20), np.float32)
    confidence[3, 3] = 0.2
    confidence[12:15, 12:15] = 0.6
    assert propose(confidence, [], number=1) == ((13, 13),)


@given(
    arrays(np.float32, (15, 17), elements=st.one_of(st.floats(0.125, 1.0, width=32), st.just(np.nan))),
    st.integers(2, 6),
    st.lists(st.tuples(st.integers(0, 14), st.integers(0, 16)), max_size=4),
)
def test_proposals_lie_apart_from_each_other_and_from_points(
    confidence: Float32, apart: int, clicked: list[tuple[int, int]]
) -> None:
    points = [Point(row=row, col=col, label=5, round=1) for row, col in clicked]
    found = propose(confidence, points, apart_px=apart)
    assert all(np.isfinite(confidence[place]) for place in found)
    pairs = [*itertools.combinations(found, 2), *itertools.product(found, clicked)]
    assert all(max(abs(one[0] - other[0]), abs(one[1] - other[1])) >= apart for one, other in pairs)
