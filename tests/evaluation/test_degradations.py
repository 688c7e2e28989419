from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from undercast.errors import UsageError
from undercast.evaluation import degradations
from undercast.evaluation.degradations import DEGRADATIONS, check_severity, find_degradation
from undercast.types import Float32

NAN = float("nan")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def layer(*rows: list[float]) -> Float32:
    return np.array([rows], np.float32)


@st.composite
def images(draw: st.DrawFn) -> Float32:
    """Images with holes, no band of which is wholly without data."""
    shape = (draw(st.integers(1, 4)), draw(st.integers(2, 12)), draw(st.integers(2, 12)))
    source = rng(draw(st.integers(0, 2**32 - 1)))
    image = source.uniform(0, 1, shape).astype(np.float32)
    image[source.random(shape) < draw(st.sampled_from([0.0, 0.3]))] = np.nan
    return image


@pytest.mark.parametrize("name", [name for name in DEGRADATIONS if name != "missing_bands"])
@given(image=images(), place=st.integers(0, 2))
def test_the_same_pixels_have_data_before_and_after(name: str, image: Float32, place: int) -> None:
    before = image.copy()
    degraded = DEGRADATIONS[name].apply(image, DEGRADATIONS[name].defaults[place], rng())
    assert degraded.shape == image.shape
    assert degraded.dtype == np.float32
    assert np.array_equal(np.isfinite(degraded), np.isfinite(image))
    assert np.array_equal(image, before, equal_nan=True)


@pytest.mark.parametrize("name", list(DEGRADATIONS))
@given(image=images())
def test_severity_zero_changes_nothing(name: str, image: Float32) -> None:
    assert np.array_equal(DEGRADATIONS[name].apply(image, 0.0, rng()), image, equal_nan=True)


@pytest.mark.parametrize("name", list(DEGRADATIONS))
def test_the_same_seed_degrades_in_the_same_way(name: str) -> None:
    image = rng(3).uniform(0, 1, (3, 9, 9)).astype(np.float32)
    first, second = (DEGRADATIONS[name].apply(image, DEGRADATIONS[name].defaults[-1], rng(1)) for _ in range(2))
    assert np.array_equal(first, second, equal_nan=True)


@pytest.mark.parametrize("name", ["blur", "misregistration", "lower_resolution"])
@given(image=images(), place=st.integers(0, 2))
def test_what_moves_light_about_leaves_a_constant_image_as_it_is(name: str, image: Float32, place: int) -> None:
    constant = np.where(np.isfinite(image), np.float32(0.3), np.float32(NAN))
    degraded = DEGRADATIONS[name].apply(constant, DEGRADATIONS[name].defaults[place], rng())
    assert_allclose(degraded, constant, rtol=1e-5)


def test_noise_has_the_stated_standard_deviation() -> None:
    degraded = degradations.noise(np.zeros((1, 200, 200), np.float32), 0.02, rng())
    assert degraded.std() == pytest.approx(0.02, rel=0.03)


def test_blur_spreads_a_point_as_a_gaussian_does() -> None:
    image = np.zeros((1, 21, 21), np.float32)
    image[0, 10, 10] = 1.0
    row = degradations.blur(image, 1.5, rng())[0, 10]
    assert row[11] / row[10] == pytest.approx(np.exp(-0.5 / 1.5**2), rel=1e-4)
    assert row[13] / row[10] == pytest.approx(np.exp(-0.5 * 4), rel=1e-4)


def test_blur_takes_nothing_from_pixels_without_data() -> None:
    assert_allclose(degradations.blur(layer([1, NAN, 1]), 1.0, rng()), layer([1, NAN, 1]), rtol=1e-6)


def test_gain_and_offset_are_relative_and_absolute() -> None:
    assert_allclose(degradations.gain(layer([0.2, 0.4]), -0.1, rng()), layer([0.18, 0.36]), rtol=1e-6)
    assert_allclose(degradations.offset(layer([0.2, 0.4]), 0.1, rng()), layer([0.3, 0.5]), rtol=1e-6)


def test_misregistration_leaves_the_first_band_and_moves_the_others_by_the_stated_distance() -> None:
    rows, cols = np.mgrid[0:40, 0:40].astype(np.float32)
    image = np.stack([rows, rows, cols])
    moved = degradations.misregistration(np.concatenate([image, image[1:]]), 1.5, rng())
    inside = np.s_[5:-5, 5:-5]
    assert np.array_equal(moved[0], image[0])
    down, right = (image[1] - moved[1])[inside], (image[2] - moved[2])[inside]
    angles = rng().uniform(0, 2 * np.pi, 5)
    assert_allclose(down, 1.5 * np.sin(angles[1]), atol=1e-4)
    assert_allclose(right, 1.5 * np.cos(angles[2]), atol=1e-4)


def test_quantisation_keeps_multiples_of_the_step() -> None:
    assert_allclose(degradations.quantisation(layer([0.04, 0.26, NAN]), 0.1, rng()), layer([0.0, 0.3, NAN]), rtol=1e-6)


def test_striping_is_one_gain_per_column_and_band() -> None:
    degraded = degradations.striping(np.full((2, 5, 400), 0.5, np.float32), 0.1, rng())
    assert np.ptp(degraded, axis=1).max() == 0.0
    assert (degraded[:, 0] / 0.5 - 1).std() == pytest.approx(0.1, rel=0.1)
    assert not np.array_equal(degraded[0], degraded[1])


def test_lower_resolution_averages_squares_and_smaller_ones_at_the_edge() -> None:
    image = layer([1, 3, 5], [1, 3, NAN], [7, 9, 2])
    assert_allclose(degradations.lower_resolution(image, 2, rng()), layer([2, 2, 5], [2, 2, NAN], [8, 8, 2]))


def test_the_last_bands_are_lost_and_never_more_than_there_are() -> None:
    image = np.ones((3, 2, 2), np.float32)
    lost = [np.isnan(degradations.missing_bands(image, count, rng())).all(axis=(1, 2)).tolist() for count in (1, 2, 9)]
    assert lost == [[False, False, True], [False, True, True], [True, True, True]]


def test_every_degradation_says_what_its_severity_is_and_has_three_or_more() -> None:
    for name, degradation in DEGRADATIONS.items():
        assert degradation.unit
        assert degradation.severity
        assert len(set(degradation.defaults)) >= 3
        assert list(degradation.defaults) == sorted(degradation.defaults)
        for severity in degradation.defaults:
            check_severity(name, severity)


@pytest.mark.parametrize(("name", "severity"), [("noise", -0.1), ("blur", float("nan")), ("gain", float("inf"))])
def test_an_impossible_severity_is_refused(name: str, severity: float) -> None:
    with pytest.raises(UsageError, match="The usual ones are"):
        check_severity(name, severity)


def test_an_unknown_degradation_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="noise, blur"):
        find_degradation("fog")
