"""Coarse images keep what is the same everywhere, mix what lies in one pixel, and say what is not known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undercast.bands import band_from_name
from undercast.errors import BandError
from undercast.sensors import load_sensor
from undercast.simulation.coarse import SPECTRAL_WEIGHTS, coarse_sets, seen_by, shares, simulate_coarse
from undercast.simulation.scenes import BIT_CLEAR, BIT_SHADOW, BIT_THICK, BIT_THIN

PROBA_V = load_sensor("proba-v")
FOUR = [band_from_name(name) for name in ("blue", "red", "nir", "swir16")]
FIVE = [band_from_name("coastal"), *FOUR]
CLOUD, OTHER = BIT_THICK | BIT_THIN, BIT_CLEAR | BIT_SHADOW


@settings(max_examples=15)
@given(factor=st.integers(1, 9), height=st.integers(10, 40), width=st.integers(10, 40), value=st.floats(0.0, 1.5))
def test_a_constant_stays_constant(factor: int, height: int, width: int, value: float) -> None:
    seen = seen_by(PROBA_V, np.full((4, height, width), value, np.float32), FOUR, factor)
    np.testing.assert_allclose(seen, value, atol=1e-5)


def test_blue_is_mixed_of_coastal_and_blue_as_published() -> None:
    image = np.arange(1, 6, dtype=np.float32)[:, None, None] * np.ones((5, 4, 4), np.float32)
    seen = seen_by(PROBA_V, image, FIVE, 1)
    weights = SPECTRAL_WEIGHTS["blue"]
    assert sum(weights.values()) == pytest.approx(1.0)
    np.testing.assert_allclose(seen[:, 0, 0], [weights["coastal"] + 2 * weights["blue"], 3, 4, 5], rtol=1e-6)


def test_the_short_wave_infrared_is_blurred_more() -> None:
    image = np.zeros((4, 45, 45), np.float32)
    image[:, :, 23:] = 1.0
    red, swir = seen_by(PROBA_V, image, FOUR, 3)[[1, 3], 7]
    assert np.abs(np.diff(red)).max() > np.abs(np.diff(swir)).max() + 0.1


def test_an_image_without_a_band_of_the_sensor_is_refused() -> None:
    with pytest.raises(BandError, match="proba-v has the band swir16, the image has blue, red, nir"):
        seen_by(PROBA_V, np.zeros((3, 9, 9), np.float32), FOUR[:3], 3)


def test_a_pixel_without_enough_data_has_none_and_spoils_no_other() -> None:
    image = np.full((4, 12, 12), 0.3, np.float32)
    image[1, :3, :3] = np.nan
    image[2, 11, 11] = np.nan
    seen = seen_by(PROBA_V, image, FOUR, 3)
    assert np.isnan(seen[:, 0, 0]).all()
    assert np.isfinite(seen).sum() == 4 * 15
    np.testing.assert_allclose(seen[np.isfinite(seen)], 0.3, atol=1e-5)


def test_half_a_pixel_of_cloud_is_cloud() -> None:
    possible = np.full((4, 8), BIT_CLEAR, np.uint8)
    possible[:, :2] = BIT_THICK
    possible[0, 4:] = BIT_THIN
    np.testing.assert_array_equal(coarse_sets(possible, 4), [[CLOUD, OTHER]])


def test_a_pixel_that_is_mostly_unknown_is_not_told() -> None:
    possible = np.full((4, 8), BIT_SHADOW, np.uint8)
    possible[0, :] = 0
    possible[1, :4] = BIT_CLEAR | BIT_THIN
    np.testing.assert_array_equal(coarse_sets(possible, 4), [[0, 0]])
    possible[0, 4:] = BIT_THICK
    np.testing.assert_array_equal(coarse_sets(possible, 4), [[0, OTHER]])


def test_shares_take_what_is_left_at_the_edge_when_it_is_half_a_pixel() -> None:
    mask = np.zeros((5, 7), np.bool_)
    mask[:, 4:] = True
    np.testing.assert_allclose(shares(mask, 3), [[0.0, 0.75], [0.0, 0.75]])
    assert shares(np.ones((8, 8), np.bool_), 3).shape == (3, 3)


def test_a_simulated_scene_has_the_sensors_grid_and_knows_cloud_and_the_rest() -> None:
    made = simulate_coarse(PROBA_V, size=32, gsd=333.0, seed=3)
    assert made.reflectance.shape == (4, 32, 32)
    assert made.gsd == 333.0
    assert set(np.unique(made.possible)) <= {0, CLOUD, OTHER}
    assert made.optical_thickness.shape == made.elevation.shape == (32, 32)
    again = simulate_coarse(PROBA_V, size=32, gsd=333.0, seed=3)
    np.testing.assert_array_equal(made.reflectance, again.reflectance)


def test_a_sensor_without_scales_blurs_all_bands_alike() -> None:
    alike = replace(PROBA_V, optics=replace(PROBA_V.optics, psf_scale=()))
    image = np.random.default_rng(0).random((1, 24, 24), np.float32).repeat(4, axis=0)
    seen = seen_by(alike, image, FOUR, 3)
    np.testing.assert_allclose(seen, seen[:1].repeat(4, axis=0), atol=1e-6)
