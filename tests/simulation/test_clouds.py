"""Clouds are layers of optical thickness at a height."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undercast.simulation.clouds import (
    BASE_M,
    CLOUD_KINDS,
    DEPTH_M,
    VALLEY_FOG_CHANCE,
    CloudKind,
    draw_clouds,
    draw_layer,
    over_relief,
)
from undercast.simulation.fields import fractal
from undercast.simulation.surface import HILLS_M
from undercast.types import Float32


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


def _mountains(height_m: float, seed: int = 0) -> Float32:
    return np.asarray(height_m * fractal(np.random.default_rng(seed), 64, 4.0), np.float32)


@pytest.mark.parametrize("kind", ["stratocumulus", "overcast", "broken", "fog"])
def test_a_ridge_above_a_layers_top_stands_out_of_it(kind: CloudKind) -> None:
    elevation = np.zeros((64, 64), np.float32)
    elevation[20:30] = 20_000.0
    layer = draw_layer(np.random.default_rng(3), 64, kind)
    (met,) = over_relief((layer,), elevation, _without_fog())
    assert met.base_m == layer.base_m
    assert not met.optical_thickness[20:30].any()
    assert met.optical_thickness[:20].any()


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.sampled_from(CLOUD_KINDS))
def test_no_cloud_is_denser_over_relief_but_fog_and_none_is_below_the_ground(seed: int, kind: CloudKind) -> None:
    layer = draw_layer(np.random.default_rng(seed), 64, kind)
    met = over_relief((layer,), _mountains(300.0, seed), np.random.default_rng(seed))[-1]
    assert met.optical_thickness.min() >= 0
    assert met.optical_thickness.max() <= layer.optical_thickness.max() * (1.5 if kind == "fog" else 1) + 1e-4


def test_fog_lies_in_valleys_and_heaps_of_cloud_over_crests() -> None:
    elevation = _mountains(300.0)

    def along(kind: CloudKind) -> float:
        found = []
        for seed in range(12):
            layer = draw_layer(np.random.default_rng(seed), 64, kind)
            thickness = over_relief((layer,), elevation, np.random.default_rng(seed))[-1].optical_thickness
            found.append(float(np.corrcoef(thickness.ravel(), elevation.ravel())[0, 1]))
        return float(np.nanmean(found))

    assert along("fog") < -0.4
    assert along("cumulus") > 0.05


def test_some_valleys_hold_fog_beside_other_clouds() -> None:
    seeds = range(200)
    hills, plain = (
        [over_relief((), _mountains(height), np.random.default_rng(seed)) for seed in seeds]
        for height in (3 * HILLS_M, HILLS_M / 3)
    )
    assert sum(map(len, hills)) / 200 == pytest.approx(VALLEY_FOG_CHANCE, abs=0.08)
    assert not any(plain)


def _without_fog() -> np.random.Generator:
    """Give a generator whose first number is above the chance of fog."""
    return next(rng for rng in map(np.random.default_rng, range(100)) if _first(rng) > VALLEY_FOG_CHANCE)


def _first(rng: np.random.Generator) -> float:
    state = rng.bit_generator.state
    drawn = float(rng.random())
    rng.bit_generator.state = state
    return drawn
