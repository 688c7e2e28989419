"""A sensor blurs, adds noise, saturates and counts in steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undercast.sensors import Optics, load_sensor
from undercast.simulation.sensor import (
    EARLY_CHANCE,
    EARLY_CHANCE_OF_8_BITS,
    EARLY_SATURATION,
    EARLY_SUN,
    SATURATION,
    early_saturation,
    observe,
    point_spread,
    wavelengths,
)

SHARP = Optics(psf_sigma_px=0.0, snr=1e9, bits=16)
FLAT = np.full((2, 64, 64), 0.3, np.float32)
RED, NIR = 0.66, 0.84


def test_a_perfect_sensor_shows_what_is_there() -> None:
    np.testing.assert_allclose(observe(FLAT, SHARP, np.random.default_rng(0), wavelengths=(RED, NIR)), FLAT, atol=2e-5)


@pytest.mark.parametrize("snr", [50.0, 200.0])
def test_the_noise_is_that_of_the_signal_to_noise_ratio_at_reflectance_0_3(snr: float) -> None:
    seen = observe(FLAT, Optics(psf_sigma_px=0.0, snr=snr, bits=16), np.random.default_rng(1), wavelengths=(RED, NIR))
    # This seed draws neither stripes nor compression. A misregistered flat field stays flat, so what is left is noise.
    assert float(seen.std()) == pytest.approx(0.3 / snr, rel=0.05)


def test_a_blur_takes_contrast_away() -> None:
    board = (np.indices((1, 32, 32)).sum(axis=0) % 2).astype(np.float32)
    seen = observe(board, Optics(psf_sigma_px=0.7, snr=1e6, bits=16), np.random.default_rng(0), wavelengths=(RED,))
    assert float(seen.std()) < 0.2 * float(board.std())


@settings(max_examples=100)
@given(st.integers(0, 2**32), st.integers(6, 14), st.floats(20, 500))
def test_values_are_steps_below_saturation_and_the_same_for_a_seed(seed: int, bits: int, snr: float) -> None:
    bright = np.random.default_rng(seed).uniform(0, 3, (3, 8, 8)).astype(np.float32)
    optics = Optics(psf_sigma_px=0.5, snr=snr, bits=bits)
    seen, again = (observe(bright, optics, np.random.default_rng(seed), wavelengths=(RED, NIR, NIR)) for _ in range(2))
    step = 1.5 / 2**bits
    assert seen.dtype == np.float32
    np.testing.assert_allclose(seen / step, np.round(seen / step), atol=1e-2)
    assert seen.max() <= SATURATION + step
    np.testing.assert_array_equal(seen, again)


def test_wavelengths_come_in_the_order_of_the_bands() -> None:
    assert wavelengths(load_sensor("proba-v")) == (0.463, 0.655, 0.845, 1.6)


def test_each_band_is_blurred_by_its_own_width() -> None:
    edge = np.zeros((2, 32, 32), np.float32)
    edge[:, :, 16:] = 1.0
    sharp, soft = point_spread(edge, Optics(psf_sigma_px=0.5, psf_scale=(1.0, 3.0)))
    assert np.abs(np.diff(sharp, axis=1)).max() > np.abs(np.diff(soft, axis=1)).max()
    np.testing.assert_array_equal(point_spread(edge, Optics(psf_sigma_px=0.5), factor=3.0)[1], soft)


def test_half_of_what_detectors_of_8_bits_see_saturates_early() -> None:
    bright = np.full((2, 32, 32), 1.4, np.float32)

    def early(bits: int) -> float:
        optics = Optics(psf_sigma_px=0.0, snr=1e6, bits=bits)
        seen = [observe(bright, optics, np.random.default_rng(seed), wavelengths=(RED, NIR)) for seed in range(200)]
        return float(np.mean([image.max() < 1.35 for image in seen]))

    assert early(12) == pytest.approx(EARLY_CHANCE, abs=0.06)
    assert early(8) == pytest.approx(EARLY_CHANCE_OF_8_BITS, abs=0.08)


def test_a_band_saturates_where_those_of_landsat_7_do() -> None:
    levels = np.array([early_saturation((RED, NIR), np.random.default_rng(seed)) for seed in range(2000)])
    (short_low, short_high), (long_low, long_high) = EARLY_SATURATION
    # The sun stands 15 to 65 degrees from the zenith.
    lowest, highest = 1 / np.cos(np.radians(EARLY_SUN))
    assert (levels >= np.array([short_low, long_low]) * lowest - 1e-6).all()
    assert (levels <= np.array([short_high, long_high]) * highest + 1e-6).all()
    assert levels.max() <= SATURATION
    # At 37 degrees, red at high gain saturates at .39.
    assert (levels[:, 0] < 0.39).any()
