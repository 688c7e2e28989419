"""Labels near a border between classes are ignored."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from undercast.postprocessing.morphology import disc
from undercast.types import UInt8
from undercast.weak_labels.borders import eroded

CLEAR, CLOUD, SHADOW, OPEN = 1, 6, 8, 15
labels = arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 15))


def test_both_sides_of_a_border_are_ignored() -> None:
    row = np.array([[CLEAR, CLEAR, CLEAR, CLOUD, CLOUD, CLOUD]], np.uint8)
    assert eroded(row, disc(10, (10, 10))).tolist() == [[CLEAR, CLEAR, 0, 0, CLOUD, CLOUD]]


def test_sets_that_share_a_class_make_no_border_and_neither_do_ignored_pixels() -> None:
    row = np.array([[CLEAR, CLEAR | SHADOW, SHADOW, 0, CLOUD, OPEN, CLEAR]], np.uint8)
    assert eroded(row, disc(10, (10, 10))).tolist() == row.tolist()


@given(labels, st.floats(0, 60))
def test_erosion_never_adds_a_label(sets: UInt8, radius: float) -> None:
    out = eroded(sets, disc(radius, (10, 10)))
    assert np.isin(out, (0,)).sum() >= (sets == 0).sum()
    assert ((out == sets) | (out == 0)).all()


@given(labels, st.floats(0, 60))
def test_what_is_left_has_no_contrary_label_within_the_radius(sets: UInt8, radius: float) -> None:
    out = eroded(sets, disc(radius, (10, 10)))
    rows, cols = np.nonzero(out)
    for row, col in zip(rows, cols, strict=True):
        others = np.argwhere((sets > 0) & (sets & out[row, col] == 0))
        assert (np.hypot(*(others - (row, col)).T) * 10 > radius * (1 - 1e-9)).all()
