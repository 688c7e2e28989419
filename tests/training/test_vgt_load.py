"""The loader that travels with a package blends, aggregates and measures uncertainty as undercast does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from undercast.inference.ensemble import largest_std
from undercast.training.vgt_load import MODES, Ensemble, compiled_model, predict_large


def constant(value: float) -> torch.nn.Module:
    class Constant(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.full_like(x[:, :1], value)

    return Constant()


def red(x: torch.Tensor) -> torch.Tensor:
    return torch.sigmoid(x[:, 1:2] / 1000.0)


@settings(max_examples=15)
@given(height=st.integers(33, 150), width=st.integers(33, 150), window=st.sampled_from([32, 64, 96]))
def test_windows_do_not_change_what_a_pixel_wise_network_says(height: int, width: int, window: int) -> None:
    image = np.random.default_rng(0).uniform(1, 5000, (4, height, width)).astype(np.float32)
    probability, uncertainty = predict_large(image, Ensemble([red], "mean"), chunk_size=window, overlap=window // 4)
    assert probability.shape == uncertainty.shape == (1, height, width)
    expected = red(torch.from_numpy(image[None]))[0].numpy()
    np.testing.assert_allclose(probability, expected, atol=1e-6)


def test_equal_members_agree_and_opposite_ones_do_not() -> None:
    image = np.ones((4, 40, 40), np.float32)
    for values, uncertainty in (((0.3, 0.3), 0.0), ((0.0, 1.0), 1.0), ((0.0, 1.0, 1.0), 1.0)):
        _, found = predict_large(image, Ensemble([constant(value) for value in values], "mean"))
        np.testing.assert_allclose(found, uncertainty, atol=1e-6)
    assert largest_std(3) == pytest.approx(np.std([0.0, 1.0, 1.0]))


def test_modes_are_ordered() -> None:
    members = [constant(value) for value in (0.1, 0.2, 0.9)]
    found = {mode: float(Ensemble(members, mode)(torch.ones(1, 4, 8, 8))[0].mean()) for mode in MODES}
    assert found == pytest.approx({"mean": 0.4, "median": 0.2, "max": 0.9, "min": 0.1})


def test_pixels_without_data_are_nan() -> None:
    image = np.ones((4, 40, 40), np.float32)
    image[:, :5] = 0.0
    image[0, 10] = 0.0
    probability, uncertainty = predict_large(image, Ensemble([constant(0.5)], "mean"))
    for layer in (probability, uncertainty):
        assert np.isnan(layer[:, :5]).all()
        assert np.isfinite(layer[:, 5:]).all()


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="mode must be one of mean, median, max, min, got 'sum'"):
        compiled_model("nowhere", mode="sum")
