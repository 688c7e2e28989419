from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.errors import UsageError
from undercast.evaluation.intervals import (
    IntervalOptions,
    expanded_tail,
    interval,
    resamples,
    student_cdf,
    student_quantile,
)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    options = IntervalOptions(replicates=400)
    scenes, trials, truth = 12, 400, 0.8
    weights = resamples(scenes, options)
    covered = plain = 0
    for _ in range(trials):
        pixels = rng.integers(500, 1500, scenes).astype(float)
        right = rng.beta(8.0, 2.0, scenes) * pixels
        values = (weights @ right) / (weights @ pixels)
        low, high = interval(values, scenes, options) or (0.0, 0.0)
        covered += low <= truth <= high
        narrow = np.quantile(values, (0.025, 0.975))
        plain += narrow[0] <= truth <= narrow[1]
    assert 0.90 <= covered / trials <= 0.985
    assert plain < covered


def test_equal_scenes_give_an_interval_without_width() -> None:
    options = IntervalOptions(replicates=50)
    values = resamples(7, options) @ np.full(7, 3.0) / 21.0
    assert interval(values, 7, options) == pytest.approx((1.0, 1.0))


def test_one_scene_has_no_interval() -> None:
    assert interval(np.ones(10), 1, IntervalOptions()) is None


def test_a_figure_that_most_replicates_leave_undefined_has_no_interval() -> None:
    values = np.where(np.arange(10) < 4, 0.5, np.nan)
    assert interval(values, 5, IntervalOptions()) is None
    assert interval(np.where(np.arange(10) < 6, 0.5, np.nan), 5, IntervalOptions()) == (0.5, 0.5)


def test_the_same_seed_draws_the_same_scenes() -> None:
    first, again = (resamples(5, IntervalOptions(replicates=20, seed=3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (first.sum(axis=1) == 5).all()
    assert not np.array_equal(first, resamples(5, IntervalOptions(replicates=20, seed=4)))


@given(st.integers(1, 200), st.floats(0.0, 30.0))
def test_students_distribution_equals_scipy(freedom: int, value: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    assert student_cdf(value, freedom) == pytest.approx(stats.t.cdf(value, freedom), abs=1e-9)


def test_the_quantile_undoes_the_distribution() -> None:
    assert student_cdf(student_quantile(0.975, 9), 9) == pytest.approx(0.975, abs=1e-12)
    assert student_quantile(0.975, 9) == pytest.approx(2.2621572, abs=1e-6)


def test_many_scenes_need_no_widening() -> None:
    assert expanded_tail(10000, 0.95) == pytest.approx(0.025, abs=1e-4)
    assert expanded_tail(5, 0.95) < expanded_tail(50, 0.95) < 0.025


@pytest.mark.parametrize("changes", [{"level": 0.0}, {"level": 1.0}, {"replicates": 0}])
def test_impossible_options_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="Try"):
        IntervalOptions(**changes)  # type: ignore[arg-type]
