"""Counts of classes and of valid pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.prediction import Prediction, PredictionStream
from undercast.writers.tally import Tally


def test_percentages_are_of_the_valid_pixels(
    make: Callable[..., tuple[Prediction, object]], cut: Callable[..., PredictionStream]
) -> None:
    class_map = np.full((8, 8), 255, np.uint8)
    class_map[0, :4] = [0, 1, 2, 2]
    tally = Tally()
    for strip in cut(make(class_map=class_map)[0], [3]).strips:
        tally.add(strip)
    assert tally.percent == {"clear": 25.0, "thick_cloud": 25.0, "thin_cloud": 50.0, "cloud_shadow": 0.0}
    assert tally.cloud_percent == 75.0
    assert tally.valid_percent == 6.25
    assert tally.partly_valid == 3


def test_without_a_valid_pixel_everything_is_zero() -> None:
    tally = Tally()
    assert tally.valid_percent == 0.0
    assert set(tally.percent.values()) == {0.0}


@given(seed=st.integers(0, 99), cuts=st.lists(st.integers(1, 19), max_size=5))
def test_the_counts_do_not_depend_on_the_strips(
    make: Callable[..., tuple[Prediction, object]],
    cut: Callable[..., PredictionStream],
    seed: int,
    cuts: list[int],
) -> None:
    prediction, _ = make((20, 11), seed=seed)
    tally = Tally()
    for strip in cut(prediction, cuts).strips:
        tally.add(strip)
    assert tally.percent == prediction.percent
    assert tally.valid_percent == pytest.approx(100 * prediction.valid.mean())
