"""Augmentation varies chips and leaves what is missing missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undercast.training.augment import ABSENT, BAND_SETS, AugmentPlan, augment, paste
from undercast.training.chips import STORED_NODATA, Chip
from undercast.types import TERRAIN_LAYERS

NAMES = ("blue", "green", "red", "nir", "swir16", "swir22", "cirrus")
STILL = AugmentPlan(crop=32, smallest=1, largest=1, gain=0, band_gain=0, offset=0, air=0, holes=0)


def chip(size: int = 48, *, seed: int = 0) -> Chip:
    """Draw a chip whose label is told by its reflectance: bright pixels are thick cloud, the others clear."""
    rng = np.random.default_rng(seed)
    cloud = rng.random((size, size)) < 0.4
    stored = np.where(cloud, 9000, 1000).astype(np.int16)[None].repeat(len(NAMES), axis=0)
    possible = np.where(cloud, 2, 1).astype(np.uint8)
    stored[:, :2], possible[:2] = STORED_NODATA, 0
    return Chip(name="drawn", source="test", stored=stored, possible=possible)


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.sampled_from([32, 64]), st.integers(20, 80))
def test_the_outcome_has_the_crops_size_and_the_same_seed_gives_the_same(seed: int, crop: int, size: int) -> None:
    plan = AugmentPlan(crop=crop)
    image, possible = augment(chip(size), NAMES, plan, np.random.default_rng(seed))
    again, _ = augment(chip(size), NAMES, plan, np.random.default_rng(seed))
    assert image.shape == (len(NAMES), crop, crop)
    assert possible.shape == (crop, crop)
    assert image.dtype == np.float32
    assert possible.dtype == np.uint8
    assert np.isfinite(image).all()
    assert set(np.unique(possible)) <= {0, 1, 2}
    np.testing.assert_array_equal(image, again)


@settings(max_examples=40)
@given(st.integers(0, 2**32))
def test_pixels_and_labels_move_together(seed: int) -> None:
    image, possible = augment(chip(), NAMES, STILL, np.random.default_rng(seed))
    red = image[NAMES.index("red")]
    if (red == ABSENT).all():
        return
    np.testing.assert_array_equal(possible == 0, red == ABSENT)
    np.testing.assert_array_equal(possible == 2, red > 0.5)


@settings(max_examples=40)
@given(st.integers(0, 2**32))
def test_red_and_near_infrared_always_stay(seed: int) -> None:
    image, _ = augment(chip(), NAMES, STILL, np.random.default_rng(seed))
    there = {name for name, layer in zip(NAMES, image, strict=True) if (layer != ABSENT).any()}
    assert {"red", "nir"} <= there
    assert any(kept is None or there <= kept for kept, _ in BAND_SETS)


def test_bands_go_missing_now_and_then() -> None:
    counts = np.zeros(len(NAMES))
    for seed in range(100):
        image, _ = augment(chip(32), NAMES, STILL, np.random.default_rng(seed))
        counts += (image != ABSENT).any(axis=(1, 2))
    assert counts[NAMES.index("red")] == 100
    assert 20 < counts[NAMES.index("cirrus")] < 70
    assert 40 < counts[NAMES.index("blue")] < 95


def test_the_shares_of_band_sets_sum_to_one() -> None:
    assert sum(share for _, share in BAND_SETS) == pytest.approx(1.0)


def test_a_hole_takes_pixels_and_labels_in_every_band() -> None:
    plan = AugmentPlan(crop=32, holes=1.0)
    taken = 0
    for seed in range(20):
        image, possible = augment(chip(), NAMES, plan, np.random.default_rng(seed))
        missing = (image == ABSENT).all(axis=0)
        assert not possible[missing].any()
        taken += int(missing.sum())
    assert taken > 0


def test_a_detector_that_saturates_takes_the_tops_of_clouds_and_leaves_ground_and_gaps() -> None:
    flat = 0
    for seed in range(20):
        image, _ = augment(chip(), NAMES, replace(STILL, saturation=1.0), np.random.default_rng(seed), all_bands=True)
        as_it_is, _ = augment(chip(), NAMES, STILL, np.random.default_rng(seed), all_bands=True)
        assert (image[image != ABSENT] > 0).all()
        assert np.isclose(image[image != ABSENT].min(), as_it_is[as_it_is != ABSENT].min(), atol=0.1)
        flat += int((image.reshape(len(NAMES), -1).max(axis=1) < 0.8).sum())
    # Every band has one level of its own, most of them below the brightest of the clouds (.9).
    assert flat > 20 * len(NAMES) / 2


def test_the_chip_itself_is_not_changed() -> None:
    drawn = chip(32)
    before = drawn.stored.copy(), drawn.possible.copy()
    for seed in range(20):
        augment(drawn, NAMES, AugmentPlan(crop=32), np.random.default_rng(seed))
    np.testing.assert_array_equal(drawn.stored, before[0])
    np.testing.assert_array_equal(drawn.possible, before[1])


def test_shrinking_never_mixes_data_with_nodata() -> None:
    plan = AugmentPlan(crop=32, smallest=1.4, largest=1.5, gain=0, band_gain=0, offset=0, holes=0)
    for seed in range(20):
        image, _ = augment(chip(48), NAMES, plan, np.random.default_rng(seed))
        red = image[NAMES.index("red")]
        assert ((red == ABSENT) | (red > 0.0)).all()


def test_pasting_brings_clouds_and_their_labels_and_leaves_the_rest() -> None:
    below = np.full((2, 64, 64), 0.1, np.float32), np.full((64, 64), 1, np.uint8)
    image, sets = np.full((2, 64, 64), 0.8, np.float32), np.full((64, 64), 9, np.uint8)
    sets[20:30, 20:30] = 2
    values, possible = paste(below, (image, sets))
    assert (possible[20:30, 20:30] == 2).all()
    assert (values[:, 20:30, 20:30] == np.float32(0.8)).all()
    assert (values[:, 50:, 50:] == np.float32(0.1)).all()
    assert (possible[50:, 50:] == 1).all()


def test_a_band_that_is_absent_in_either_is_absent_after_pasting() -> None:
    image, sets = np.full((3, 64, 64), 0.8, np.float32), np.full((64, 64), 1, np.uint8)
    sets[20:30, 20:30] = 2
    image[0] = ABSENT
    below = np.full((3, 64, 64), 0.1, np.float32)
    below[1] = ABSENT
    values, _ = paste((below, np.ones((64, 64), np.uint8)), (image, sets))
    assert (values[:2] == ABSENT).all()
    assert (values[2] > 0).all()


def test_without_a_cloud_nothing_is_pasted() -> None:
    pair = np.full((1, 32, 32), 0.1, np.float32), np.ones((32, 32), np.uint8)
    assert paste(pair, (pair[0] + 1, pair[1])) is pair


def test_terrain_moves_with_the_pixels_and_is_absent_where_it_is_not_known() -> None:
    drawn = chip()
    ground = np.stack([np.where(drawn.possible == 2, value, 0.0) for value in (1.0, 2.0, 3.0)]).astype(np.float16)
    ground[:, drawn.possible == 0] = np.nan
    shaped = replace(drawn, terrain=ground)
    for seed in range(8):
        plan = replace(STILL, without_terrain=0.0)
        image, possible = augment(shaped, NAMES, plan, np.random.default_rng(seed), terrain=TERRAIN_LAYERS)
        assert image.shape[0] == len(NAMES) + 3
        np.testing.assert_array_equal(image[-1] == 3.0, possible == 2)
        np.testing.assert_array_equal(image[-3] == ABSENT, possible == 0)
    for left_out in (drawn, shaped):
        plan = replace(STILL, without_terrain=1.0)
        image, _ = augment(left_out, NAMES, plan, np.random.default_rng(0), terrain=TERRAIN_LAYERS)
        assert (image[-3:] == ABSENT).all()


def test_pasted_clouds_leave_the_terrain_as_it_is() -> None:
    below = np.zeros((4, 16, 16), np.float32), np.ones((16, 16), np.uint8)
    above = np.ones((4, 16, 16), np.float32), np.ones((16, 16), np.uint8)
    above[1][:4, :4] = 2
    image, possible = paste(below, above, layers=3)
    assert (possible == 2).any()
    assert image[:3].max() == 1.0
    assert (image[3] == 0).all()
