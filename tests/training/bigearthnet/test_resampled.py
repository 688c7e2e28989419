"""Figures of resamples equal those of torchmetrics on patches that are really repeated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from undercast.training.bigearthnet import resampled
from undercast.training.bigearthnet.metrics import scores
from undercast.training.bigearthnet.resampled import area_under_curve, average_precision, resampled_scores


def drawn(seed: int, patches: int = 24, labels: int = 5) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    truth = rng.random((patches, labels)) < 0.4
    truth[0], truth[1] = True, False
    # Rounded: some scores are equal.
    logits = np.round(rng.normal(0, 1, truth.shape) + truth, 1).astype(np.float32)
    counts = rng.integers(1, 4, (3, patches)).astype(np.float64)
    return logits, truth, counts


@pytest.mark.parametrize("seed", range(3))
def test_they_are_those_of_repeated_patches(seed: int) -> None:
    logits, truth, counts = drawn(seed)
    found = resampled_scores(logits, truth, counts)
    for number, row in enumerate(counts.astype(int)):
        wanted = scores(np.repeat(logits, row, axis=0), np.repeat(truth, row, axis=0))
        assert set(found) == set(wanted)
        for name, value in wanted.items():
            assert found[name][number] == pytest.approx(value, abs=1e-6), name


def test_they_do_not_depend_on_how_many_are_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, truth, counts = drawn(1)
    whole = resampled_scores(logits, truth, counts)
    monkeypatch.setattr(resampled, "MOST_NUMBERS", 1)
    for name, values in resampled_scores(logits, truth, counts).items():
        np.testing.assert_allclose(values, whole[name], rtol=1e-12)


def test_a_label_that_a_resample_lacks_keeps_its_figure() -> None:
    logits = np.array([[2, 2], [1, -1], [0, 1]], np.float32)
    truth = np.array([[True, False], [False, True], [False, False]])
    without = np.array([[1.0, 0.0, 2.0]])
    # Label 1 ranks its one patch last of three: 1/3, also where that patch is not drawn.
    assert resampled_scores(logits, truth, without)["AP_macro"][0] == pytest.approx((1 + 1 / 3) / 2)


@settings(max_examples=30)
@given(arrays(np.float32, 8, elements=st.sampled_from([-1.0, 0.0, 0.5, 2.0])), arrays(np.bool_, 8))
def test_figures_lie_in_0_to_1_and_order_is_of_no_matter(scored: Any, truth: Any) -> None:
    counts = np.ones((1, 8))
    for one in (average_precision, area_under_curve):
        value = one(scored, truth, counts)
        np.testing.assert_allclose(value, one(scored[::-1], truth[::-1], counts))
        if truth.any() and not truth.all():
            assert 0.0 <= value[0] <= 1.0
        elif not truth.any():
            assert np.isnan(value[0])
