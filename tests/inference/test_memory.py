"""Windows that fit scene and memory: every pixel is covered, little is seen twice, the budget is kept."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undercast.bands import band_from_name
from undercast.errors import UsageError
from undercast.inference.memory import LARGEST_GROWTH, Load, fitted_plan, parse_bytes
from undercast.inference.sliding import SlidingPlan, plan_windows
from undercast.model_spec import ModelBand, ModelSpec
from undercast.types import FEW_PIXELS

SPEC = ModelSpec(id="tiny", version="1", bands=(ModelBand(band=band_from_name("red")),))
LOAD = Load(bands=4, layers=4, windows=2)
PLENTY = 10**11


def seen(plan: SlidingPlan) -> int:
    return len(plan) * plan.window[0] * plan.window[1]


@settings(max_examples=60)
@given(st.tuples(st.integers(8, 6000), st.integers(8, 6000)), st.integers(1, 4000))
def test_windows_cover_the_scene_and_see_no_more_than_the_models_own(shape: tuple[int, int], budget_mb: int) -> None:
    plan = fitted_plan(SPEC, shape, LOAD, budget=budget_mb * 10**6)
    for length, side, starts in zip(plan.grown, plan.window, (plan.row_starts, plan.col_starts), strict=True):
        assert starts[0] == 0
        assert starts[-1] + side == length
        assert all(after - before <= side for before, after in itertools.pairwise(starts))
        assert side % SPEC.multiple == 0
        assert side <= SPEC.window * LARGEST_GROWTH
    assert plan.shape == shape
    assert seen(fitted_plan(SPEC, shape, LOAD, budget=PLENTY)) <= seen(plan_windows(SPEC, shape))


def test_a_scene_a_little_larger_than_a_window_gets_one_window() -> None:
    assert len(plan_windows(SPEC, (600, 600))) == 4
    plan = fitted_plan(SPEC, (600, 600), LOAD, budget=PLENTY)
    assert (plan.window, len(plan)) == ((608, 608), 1)


def test_a_wide_scene_gets_lower_windows_and_keeps_the_budget() -> None:
    plan = fitted_plan(SPEC, (10980, 10980), LOAD, budget=800_000_000)
    assert LOAD.bytes_of(plan) <= 800_000_000
    assert SPEC.window / 2 <= plan.window[0] < SPEC.window


def test_windows_of_a_small_model_stay_large_enough() -> None:
    plan = fitted_plan(replace(SPEC, window=12, overlap=4, multiple=1), (40, 40), LOAD, budget=1)
    assert min(plan.window) >= FEW_PIXELS


def test_a_budget_that_nothing_keeps_leads_to_the_smallest_plan() -> None:
    plan = fitted_plan(SPEC, (2000, 2000), LOAD, budget=1)
    assert plan.window[0] == SPEC.window // 2


@pytest.mark.parametrize(
    ("text", "value"), [("800MB", 800_000_000), (" 1.5 GB", 1_500_000_000), ("1GiB", 2**30), ("64MiB", 2**26)]
)
def test_memory_is_read_with_its_unit(text: str, value: int) -> None:
    assert parse_bytes(text) == value


@pytest.mark.parametrize("text", ["", "1", "GB", "-1GB", "0MB", "1TB", "1e9MB", "nan GB"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected a number and one of MB, GB, MiB, GiB"):
        parse_bytes(text)
