"""Plans cover scenes with windows; blending weights are never zero."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.errors import WindowError
from undercast.windows import Window, WindowPlan, blend_ramp


@st.composite
def plans(draw: st.DrawFn) -> WindowPlan:
    window = draw(st.integers(8, 40))
    shape = draw(st.tuples(st.integers(8, 90), st.integers(8, 90)))
    return WindowPlan(shape=shape, window=window, overlap=draw(st.integers(0, window - 1)))


def test_a_window_gives_slices_and_shape() -> None:
    window = Window(row=2, col=3, height=4, width=5)
    assert np.arange(100).reshape(10, 10)[window.rows, window.cols].shape == window.shape == (4, 5)


def test_windows_of_a_small_scene_lie_where_they_are_drawn() -> None:
    plan = WindowPlan(shape=(8, 20), window=8, overlap=2)
    assert [(window.row, window.col) for window in plan] == [(0, 0), (0, 6), (0, 12)]
    assert len(plan) == 3


def test_a_scene_smaller_than_the_window_gets_one_window() -> None:
    assert [window.shape for window in WindowPlan(shape=(9, 10), window=32, overlap=4)] == [(32, 32)]


@given(plans())
def test_every_pixel_lies_in_at_least_one_window(plan: WindowPlan) -> None:
    seen = np.zeros(plan.shape, int)
    for window in plan:
        seen[window.rows, window.cols] += 1
    assert seen.min() >= 1


@given(plans())
def test_windows_stay_inside_and_share_the_overlap(plan: WindowPlan) -> None:
    for starts, side in ((plan.row_starts, plan.shape[0]), (plan.col_starts, plan.shape[1])):
        steps = np.diff(starts)
        assert starts[0] == 0
        assert starts[-1] + plan.window <= max(side, plan.window)
        assert (steps > 0).all()
        assert (steps <= plan.window - plan.overlap).all()
    assert len(list(plan)) == len(plan)


@pytest.mark.parametrize(
    ("shape", "window", "overlap", "told"),
    [
        ((7, 100), 32, 4, "a scene needs at least 8 px on each side, got 7 x 100."),
        ((100, 100), 4, 0, "window must be at least 8 px, got 4."),
        ((100, 100), 64, 64, r"overlap must be in \[0, 64\) for window=64, got 64. Try overlap=8."),
        ((100, 100), 64, -1, r"overlap must be in \[0, 64\)"),
    ],
)
def test_impossible_plans_are_refused(shape: tuple[int, int], window: int, overlap: int, told: str) -> None:
    with pytest.raises(WindowError, match=told):
        WindowPlan(shape=shape, window=window, overlap=overlap)


def test_a_ramp_rises_from_the_edge_and_falls_again() -> None:
    np.testing.assert_allclose(blend_ramp(8, 3), [0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25])


@given(st.integers(1, 64).flatmap(lambda window: st.tuples(st.just(window), st.integers(0, window - 1))))
def test_weights_are_positive_at_most_one_and_symmetric(sides: tuple[int, int]) -> None:
    weights = blend_ramp(*sides)
    assert weights.shape == (sides[0],)
    assert weights.dtype == np.float32
    assert weights.min() > 0
    assert weights.max() <= 1
    np.testing.assert_array_equal(weights, weights[::-1])
