"""Clouds are layers of optical thickness at a height."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undercast.simulation.clouds import BASE_M, CLOUD_KINDS, DEPTH_M, CloudKind, draw_clouds, draw_layer


@pytest.mark.parametrize("kind", CLOUD_KINDS)
@settings(max_examples=12)
@given(seed=st.integers(0, 2**32))
def test_a_layer_of_each_kind_is_finite_and_lies_at_its_height(kind: CloudKind, seed: int) -> None:
    layer = draw_layer(np.random.default_rng(seed), 24, kind)
    assert layer.kind == kind
    assert layer.optical_thickness.shape == (24, 24)
    assert layer.optical_thickness.dtype == np.float32
    assert np.isfinite(layer.optical_thickness).all()
    assert layer.optical_thickness.min() >= 0
    assert BASE_M[kind][0] <= layer.base_m <= BASE_M[kind][1]
    assert DEPTH_M[kind][0] <= layer.depth_m <= DEPTH_M[kind][1]


@pytest.mark.parametrize("kind", CLOUD_KINDS)
def test_a_kind_shows_cloud_in_most_draws(kind: CloudKind) -> None:
    thickest = [draw_layer(np.random.default_rng(seed), 32, kind).optical_thickness.max() for seed in range(10)]
    assert sum(value > 0.25 for value in thickest) >= 8


@pytest.mark.parametrize("kind", ["cirrus", "contrail"])
def test_high_clouds_are_of_ice(kind: CloudKind) -> None:
    layers = [draw_layer(np.random.default_rng(seed), 16, kind) for seed in range(5)]
    assert all(layer.ice and layer.base_m >= 6000 for layer in layers)


def test_fog_is_rarely_of_ice_and_lies_on_the_ground() -> None:
    layers = [draw_layer(np.random.default_rng(seed), 16, "fog") for seed in range(40)]
    assert sum(layer.ice for layer in layers) <= 8
    assert all(layer.base_m <= 150 for layer in layers)


def test_scenes_have_no_cloud_one_layer_or_two() -> None:
    counts = [len(draw_clouds(np.random.default_rng(seed), 16)) for seed in range(200)]
    assert set(counts) == {0, 1, 2}
    assert counts.count(0) / 200 == pytest.approx(0.15, abs=0.08)


@settings(max_examples=15)
@given(st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_clouds(seed: int) -> None:
    first, second = (draw_clouds(np.random.default_rng(seed), 16) for _ in range(2))
    assert [layer.kind for layer in first] == [layer.kind for layer in second]
    for left, right in zip(first, second, strict=True):
        np.testing.assert_array_equal(left.optical_thickness, right.optical_thickness)
