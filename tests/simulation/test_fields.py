"""Random fields are periodic, reproducible and as rough as told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.simulation.fields import (
    band_limited,
    blur,
    cells,
    cover,
    draw_length,
    fractal,
    line,
    shift,
    standardise,
)
from undercast.types import Float32

seeds = st.integers(0, 2**32)
sizes = st.integers(8, 48)


@given(seeds, sizes, st.floats(1.0, 4.0), st.floats(1.0, 10.0), st.floats(0.0, 3.2))
def test_a_fractal_has_mean_0_and_standard_deviation_1(
    seed: int, size: int, slope: float, stretch: float, angle: float
) -> None:
    field = fractal(np.random.default_rng(seed), size, slope, stretch=stretch, angle=angle)
    assert field.shape == (size, size)
    assert field.dtype == np.float32
    assert float(field.mean()) == pytest.approx(0, abs=1e-4)
    assert float(field.std()) == pytest.approx(1, abs=1e-3)


def test_a_steeper_spectrum_is_smoother() -> None:
    steps = [np.diff(fractal(np.random.default_rng(0), 64, slope)).std() for slope in (1.5, 2.5, 3.5)]
    assert steps[0] > steps[1] > steps[2]


def test_structures_are_longer_along_the_stretch() -> None:
    field = fractal(np.random.default_rng(0), 64, 2.5, stretch=6.0, angle=0.0)
    assert np.diff(field, axis=1).std() < 0.6 * np.diff(field, axis=0).std()


def correlation(field: Float32, lag: int) -> float:
    return float((field * np.roll(field, lag, axis=1)).mean())


def test_a_limited_band_has_no_structures_longer_than_told() -> None:
    far = [
        abs(correlation(band_limited(np.random.default_rng(seed), 128, 3.4, longest_px=10), 40)) for seed in range(8)
    ]
    assert np.mean(far) < 0.2
    assert correlation(band_limited(np.random.default_rng(0), 128, 3.4, longest_px=10), 1) > 0.6


def test_a_band_without_a_limit_is_a_fractal() -> None:
    limited, free = (
        np.diff(draw(np.random.default_rng(3), 64, 3.0)).std()
        for draw in (lambda rng, size, slope: band_limited(rng, size, slope, longest_px=1e6), fractal)
    )
    assert limited == pytest.approx(free, rel=0.25)


@given(seeds, sizes, st.floats(1.0, 64.0))
def test_a_length_lies_between_the_shortest_and_twice_the_side(seed: int, size: int, shortest: float) -> None:
    length = draw_length(np.random.default_rng(seed), size, shortest_px=shortest)
    assert min(shortest, size) * 0.999 <= length <= 2 * size * 1.001


def test_a_constant_field_standardises_to_zero() -> None:
    np.testing.assert_array_equal(standardise(np.full((4, 4), 7, np.float32)), 0)


def test_cover_leaves_the_fraction_above_zero() -> None:
    field = np.arange(100, dtype=np.float32).reshape(10, 10)
    assert int((cover(field, 0.3) > 0).sum()) == 30


def test_a_shift_moves_down_and_right_and_around_the_edge() -> None:
    field = np.zeros((4, 4), np.float32)
    field[3, 1] = 1.0
    moved = shift(field, 1.0, 2.0)
    assert np.argwhere(moved).tolist() == [[0, 3]]
    half = shift(field, -0.5, 0.0)
    assert half[2, 1] == half[3, 1] == 0.5


@given(seeds, st.floats(-100, 100), st.floats(-100, 100))
def test_a_shift_keeps_the_sum_and_the_range(seed: int, dy: float, dx: float) -> None:
    field = np.random.default_rng(seed).random((9, 7), dtype=np.float32)
    moved = shift(field, dy, dx)
    assert float(moved.sum()) == pytest.approx(float(field.sum()), rel=1e-4)
    assert moved.min() >= field.min() - 1e-5
    assert moved.max() <= field.max() + 1e-5


def test_a_blur_spreads_a_point_evenly() -> None:
    point = np.zeros((1, 15, 15), np.float32)
    point[0, 7, 7] = 1.0
    blurred = blur(point, 1.0)[0]
    assert blurred.sum() == pytest.approx(1.0, abs=1e-5)
    assert blurred[7, 7] == blurred.max() == pytest.approx(1 / (2 * np.pi), rel=0.02)
    np.testing.assert_allclose(blurred, blurred.T, atol=1e-6)
    np.testing.assert_allclose(blurred, blurred[::-1], atol=1e-6)


def test_no_blur_gives_the_same_pixels() -> None:
    stack = np.random.default_rng(0).random((2, 8, 8), dtype=np.float32)
    np.testing.assert_array_equal(blur(stack, 0.0), stack)


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_each_pixel_belongs_to_its_nearest_point_around_the_edges(power: float) -> None:
    size, count = 12, 5
    index, distance = cells(np.random.default_rng(3), size, count, power=power)
    points = np.random.default_rng(3).uniform(0, size, (count, 2)).astype(np.float32)
    gaps = np.abs(np.indices((size, size))[None] - points[:, :, None, None])
    gaps = np.minimum(gaps, size - gaps)
    distances = gaps.sum(axis=1) if power == 1.0 else np.hypot(gaps[:, 0], gaps[:, 1])
    np.testing.assert_array_equal(index, distances.argmin(axis=0))
    np.testing.assert_allclose(distance, distances.min(axis=0) / (size / np.sqrt(count)), rtol=1e-5)


@given(seeds, sizes, st.floats(0.0, 20.0), st.floats(0.0, 0.1))
def test_a_line_lies_in_0_to_1_and_crosses_the_square(seed: int, size: int, width: float, wiggle: float) -> None:
    drawn = line(np.random.default_rng(seed), size, width, wiggle=wiggle)
    assert drawn.shape == (size, size)
    assert 0.0 <= drawn.min() <= drawn.max() <= 1.0
