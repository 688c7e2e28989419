"""A bank of simulated chips depends on its plan alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from undercast.bands import band_from_name
from undercast.sensors import sensor_ids
from undercast.training.bank import SENSOR_CHANCES, BankPlan, make_bank
from undercast.training.chips import STORED_NODATA, Chip, read_clear_images

WANT = tuple(band_from_name(name) for name in ("blue", "red", "nir", "cirrus"))
PLAN = BankPlan(simulated=5, on_real=3, size=32, seed=7, workers=1)


def same(left: list[Chip], right: list[Chip]) -> None:
    assert [(chip.name, chip.source) for chip in left] == [(chip.name, chip.source) for chip in right]
    for one, other in zip(left, right, strict=True):
        np.testing.assert_array_equal(one.stored, other.stored)
        np.testing.assert_array_equal(one.possible, other.possible)


def test_the_shares_of_sensors_sum_to_one_and_name_known_sensors() -> None:
    assert sum(SENSOR_CHANCES.values()) == pytest.approx(1.0)
    assert set(SENSOR_CHANCES) <= set(sensor_ids())


def test_a_bank_holds_both_kinds_and_tells_its_progress(chips: Path) -> None:
    told: list[tuple[int, int]] = []
    images = read_clear_images(chips, size=32)
    bank = make_bank(PLAN, WANT, images, lambda done, total: told.append((done, total)))
    assert [chip.source for chip in bank] == ["simulated"] * 5 + ["simulated on real"] * 3
    assert told == [(done, 8) for done in range(1, 9)]
    for chip in bank:
        assert chip.stored.shape == (4, 32, 32)
        assert chip.stored.dtype == np.int16
        missing = chip.stored[1:3] == STORED_NODATA
        assert not chip.possible[missing.any(axis=0)].any()
    assert all((chip.stored[3] == STORED_NODATA).all() for chip in bank[5:]), "the drawn images have no cirrus band"


def test_the_outcome_does_not_depend_on_the_number_of_workers(chips: Path) -> None:
    images = read_clear_images(chips, size=32)
    same(make_bank(PLAN, WANT, images), make_bank(replace(PLAN, workers=2), WANT, images))


def test_a_chip_depends_on_the_seed_and_its_number_alone() -> None:
    short, long = (make_bank(replace(PLAN, simulated=count, on_real=0), WANT, ()) for count in (2, 4))
    same(short, long[:2])
    other = make_bank(replace(PLAN, simulated=2, on_real=0, seed=8), WANT, ())
    assert any((one.stored != two.stored).any() for one, two in zip(short, other, strict=True))


def test_simulated_chips_bring_the_shape_of_their_ground_where_it_is_wanted(chips: Path) -> None:
    images = read_clear_images(chips, size=32)
    bank = make_bank(PLAN, WANT, images, terrain=True)
    same(bank, make_bank(PLAN, WANT, images))
    assert all(chip.terrain is None for chip in bank[5:])
    for chip in bank[:5]:
        assert chip.terrain is not None
        assert chip.terrain.shape == (3, 32, 32)
        assert np.isfinite(chip.terrain).all()
        assert chip.terrain[0].min() >= 0
        assert 0 <= chip.terrain[2].min() <= chip.terrain[2].max() <= 1
