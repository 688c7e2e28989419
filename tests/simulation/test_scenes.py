"""Simulated scenes are reproducible, and their labels say only what is certain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undercast.errors import UsageError
from undercast.scene import SunAngles
from undercast.sensors import load_sensor, sensor_ids
from undercast.simulation.atmosphere import Air, Lit, View
from undercast.simulation.scenes import Background, Simulated, _real_ground, label, simulate
from undercast.types import Float32

SENSOR = load_sensor("sentinel-2a-msi")
KNOWN = {0, 0b0001, 0b1001, 0b0101, 0b1000, 0b0100, 0b0110, 0b0010}
"""Ignore, clear, clear or shadow, clear or thin, shadow, thin, thin or thick, thick."""


def lit(thickness: list[float], contrast: list[float]) -> Lit:
    flat = np.array([thickness], np.float32)
    return Lit(
        reflectance=flat[None],
        optical_thickness=flat,
        shade=np.zeros_like(flat),
        contrast=np.array([contrast], np.float32),
    )


def test_labels_of_hand_drawn_pixels() -> None:
    thickness = [0.0, 0.0, 0.0, 0.15, 0.5, 2.5, 9.0, 9.0]
    contrast = [0.0, 0.15, 0.50, 0.0, 0.5, 0.0, 0.0, 0.9]
    got = label(lit(thickness, contrast))
    wanted = [[0b0001, 0b1001, 0b1000, 0, 0b0100, 0b0110, 0b0010, 0b0010]]
    np.testing.assert_array_equal(got, wanted)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1)), min_size=1, max_size=30))
def test_a_label_is_always_one_of_the_known_sets(pixels: list[tuple[float, float]]) -> None:
    thickness, contrast = zip(*pixels, strict=True)
    assert set(label(lit(list(thickness), list(contrast))).ravel().tolist()) <= KNOWN


@settings(max_examples=15)
@given(st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_scene_with_known_sets(seed: int) -> None:
    first, second = (simulate(SENSOR, size=32, seed=seed) for _ in range(2))
    np.testing.assert_array_equal(first.reflectance, second.reflectance)
    np.testing.assert_array_equal(first.possible, second.possible)
    assert (first.sun, first.level) == (second.sun, second.level)
    assert first.reflectance.shape == (13, 32, 32)
    assert first.reflectance.dtype == np.float32
    missing = np.isnan(first.reflectance)
    assert (missing.any(axis=0) == missing.all(axis=0)).all()
    assert not first.possible[missing.any(axis=0)].any()
    assert set(np.unique(first.possible).tolist()) <= KNOWN


def test_another_seed_gives_another_scene() -> None:
    assert (simulate(SENSOR, size=32, seed=1).reflectance != simulate(SENSOR, size=32, seed=2).reflectance).any()


@pytest.mark.parametrize("name", sensor_ids())
def test_every_sensor_can_be_simulated(name: str) -> None:
    made = simulate(load_sensor(name), size=16, seed=3)
    assert made.reflectance.shape == (len(load_sensor(name).bands), 16, 16)
    assert made.gsd == load_sensor(name).gsd
    assert -0.2 < float(np.nanmedian(made.reflectance)) < 1.7


@pytest.fixture(scope="module")
def many() -> list[Simulated]:
    return [simulate(SENSOR, size=64, seed=seed) for seed in range(40)]


def test_every_class_occurs_and_both_levels_do(many: list[Simulated]) -> None:
    counts = np.bincount(np.concatenate([made.reference.ravel() for made in many]), minlength=256)
    shares = counts[[0, 1, 2, 3]] / counts.sum()
    assert shares[0] > 0.1
    assert (shares > 0.01).all()
    assert {made.level for made in many} == {"toa", "surface"}


def test_the_reference_says_only_what_is_certain(many: list[Simulated]) -> None:
    for made in many:
        certain = made.reference < 255
        np.testing.assert_array_equal(certain, np.isin(made.possible, (1, 2, 4, 8)))
        np.testing.assert_array_equal(1 << made.reference[certain].astype(int), made.possible[certain])


def test_thick_cloud_is_brighter_than_what_is_clear_and_shadow_darker(many: list[Simulated]) -> None:
    red = [band.name for band in SENSOR.bands].index("B04")
    means = {
        value: np.mean(np.concatenate([made.reflectance[red][made.reference == value] for made in many]))
        for value in (0, 1, 3)
    }
    assert means[3] < means[0] < means[1]


def test_level_and_gsd_are_taken_when_given() -> None:
    made = simulate(SENSOR, size=16, seed=0, level="surface", gsd=60.0)
    assert (made.level, made.gsd) == ("surface", 60.0)


def test_a_simulated_scene_is_a_scene() -> None:
    made = simulate(SENSOR, size=16, seed=0)
    scene = made.scene("drawn")
    assert (scene.name, scene.level, scene.bands) == ("drawn", made.level, SENSOR.bands)
    np.testing.assert_array_equal(scene.read(), made.reflectance)


def background(values: Float32, clear: bool | None = None) -> Background:
    known = None if clear is None else np.full(values.shape[1:], clear)
    return Background(reflectance=values, level="surface", clear=known)


def ground(size: int = 24) -> Float32:
    return np.random.default_rng(0).uniform(0.05, 0.3, (4, size, size)).astype(np.float32)


def test_clouds_can_be_put_on_a_real_background() -> None:
    sensor, values = load_sensor("proba-v"), ground()
    made = [simulate(sensor, seed=seed, background=background(values), gsd=10.0) for seed in range(12)]
    assert all(scene.level == "surface" and scene.possible.shape == (24, 24) for scene in made)
    for scene in made:
        clear = scene.possible == 1
        if clear.mean() > 0.9:
            difference = np.abs(scene.reflectance - values)[:, clear]
            assert float(np.median(difference)) < 0.08
    assert any((scene.possible == 0b0010).any() for scene in made)


def test_where_the_background_is_not_known_to_be_clear_only_thick_cloud_is_labelled() -> None:
    sensor = load_sensor("proba-v")
    made = [simulate(sensor, seed=seed, background=background(ground(), clear=False)) for seed in range(12)]
    assert {int(value) for scene in made for value in np.unique(scene.possible)} <= {0, 0b0110, 0b0010}
    assert any((scene.possible == 0b0010).any() for scene in made)


def test_pixels_without_data_do_not_change_what_counts_as_air_over_the_others() -> None:
    view = View(
        wavelengths=(0.46, 0.65, 0.85, 1.6),
        gsd=10.0,
        sun=SunAngles(zenith=40.0, azimuth=135.0),
        air=Air(haze=0.2, angstrom=1.3, vapour=6.0),
        level="toa",
    )
    values = np.tile(ground(12), (1, 2, 1))[:, :, :12].repeat(2, axis=2)
    holed = values.copy()
    holed[:, 12:] = np.nan
    below, path = _real_ground(Background(reflectance=values, level="toa"), view)
    below_holed, path_holed = _real_ground(Background(reflectance=holed, level="toa"), view)
    assert (path > 0.0).all()
    np.testing.assert_allclose(path_holed, path, rtol=0.05)
    np.testing.assert_allclose(below + path[:, None, None], values, rtol=1e-5)
    assert np.isfinite(below_holed).all()


def test_a_background_of_other_bands_is_refused() -> None:
    with pytest.raises(UsageError, match=r"expected a square background of 13 bands \(sentinel-2a-msi\)"):
        simulate(SENSOR, background=background(ground()))


def test_a_tiny_scene_is_refused() -> None:
    with pytest.raises(UsageError, match="size must be at least 8 px, got 7"):
        simulate(SENSOR, size=7)


@pytest.mark.parametrize("gsd", [0.0, -10.0, float("nan"), float("inf")])
def test_a_ground_sample_distance_that_is_none_is_refused(gsd: float) -> None:
    with pytest.raises(UsageError, match="gsd: expected metres above 0, got "):
        simulate(SENSOR, size=16, gsd=gsd)


@pytest.mark.parametrize("size", [8, 9, 33])
def test_small_and_odd_sizes_work(size: int) -> None:
    for seed in range(6):
        made = simulate(load_sensor("proba-v"), size=size, seed=seed)
        assert made.reflectance.shape == (4, size, size)
        assert np.isfinite(made.reflectance[:, made.possible > 0]).all()
