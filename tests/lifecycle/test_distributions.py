from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance as scipy_distance

from undercast.lifecycle.distributions import (
    BINS,
    HIGH,
    LOW,
    WIDTH,
    Counts,
    histogram,
    population_stability_index,
    wasserstein_distance,
)


def drawn(bins: dict[int, int]) -> Counts:
    counts = np.zeros(BINS, np.int64)
    counts[list(bins)] = list(bins.values())
    return counts


HISTOGRAMS = st.dictionaries(st.integers(0, BINS - 1), st.integers(1, 50), min_size=1, max_size=20).map(drawn)


def at(*reflectances: float) -> Counts:
    return histogram(np.asarray(reflectances, np.float32))


def test_values_outside_count_at_the_ends_and_nan_does_not_count() -> None:
    counts = at(-5.0, 0.2525, 99.0, np.nan)
    assert (counts[0], counts[-1], counts[int((0.2525 - LOW) / WIDTH)], counts.sum()) == (1, 1, 1, 3)


def test_the_index_of_shares_that_moved_is_the_sum_over_tenths() -> None:
    low, high = [0.1025] * 5, [0.5025] * 5
    other = at(*[0.1025] * 8, *[0.5025] * 2)
    expected = (0.8 - 0.5) * np.log(0.8 / 0.5) + (0.2 - 0.5) * np.log(0.2 / 0.5)
    assert population_stability_index(at(*low, *high), other) == pytest.approx(expected)


def test_a_shift_is_its_own_wasserstein_distance() -> None:
    rng = np.random.default_rng(0)
    reflectance = rng.uniform(0.1, 0.4, 5000).astype(np.float32)
    found = wasserstein_distance(histogram(reflectance), histogram(reflectance + np.float32(0.05)))
    assert found == pytest.approx(0.05, abs=WIDTH / 2)


def test_nothing_lies_at_no_distance_from_something() -> None:
    empty = np.zeros(BINS, np.int64)
    assert population_stability_index(empty, at(0.1)) is None
    assert wasserstein_distance(at(0.1), empty) is None


@given(HISTOGRAMS, HISTOGRAMS)
def test_both_are_zero_for_equal_shares_and_never_below(first: Counts, second: Counts) -> None:
    for measure in (population_stability_index, wasserstein_distance):
        assert measure(first, 3 * first) == pytest.approx(0.0, abs=1e-12)
        found = measure(first, second)
        assert found is not None
        assert found >= 0.0


@given(HISTOGRAMS, HISTOGRAMS)
def test_the_wasserstein_distance_is_that_of_scipy(first: Counts, second: Counts) -> None:
    middles = np.linspace(LOW, HIGH, BINS, endpoint=False) + WIDTH / 2
    expected = scipy_distance(middles, middles, first, second)
    assert wasserstein_distance(first, second) == pytest.approx(expected, abs=1e-9)
