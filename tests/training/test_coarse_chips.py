"""Coarse chips: real images are degraded and mirrored, some scenes are held out, the same seed makes the same chips."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from undercast.errors import TrainingError
from undercast.training.chips import file_hash
from undercast.training.coarse_chips import CoarsePlan, CoarsePools, file_of, make_coarse_pools

CLOUD, OTHER = 0b0110, 0b1001


def test_labelled_images_become_chips_of_several_resolutions(coarse_pools: CoarsePools) -> None:
    chips = [chip for chip in coarse_pools.real if file_of(chip) == "cloudy-1.npz"]
    assert [chip.name.rpartition(":")[2] for chip in chips] == ["2", "4"]
    for chip in chips:
        assert chip.stored.shape == (4, 64, 64)
        assert set(np.unique(chip.possible)) <= {0, CLOUD, OTHER}
        bright = chip.stored[1] > 4000
        assert (bright == (chip.possible == CLOUD)).mean() > 0.9


def test_scenes_for_thresholds_are_in_no_other_pool(coarse_pools: CoarsePools) -> None:
    held = {file_of(chip) for chip in coarse_pools.validation if chip.source == "drawn"}
    assert held == {"cloudy-0.npz"}
    assert held.isdisjoint({file_of(chip) for chip in coarse_pools.real})
    assert sum(chip.source == "simulated" for chip in coarse_pools.validation) == 1


def test_the_pools_say_which_files_were_used(coarse_pools: CoarsePools, coarse_folder: Path) -> None:
    names = {"cloudy-0.npz", "cloudy-1.npz", "clear-0.npz"}
    assert coarse_pools.hashes == {name: file_hash(coarse_folder / name) for name in names}
    assert len(coarse_pools.simulated) == 2
    assert {chip.source for chip in coarse_pools.on_real} == {"simulated on real"}


def test_the_same_seed_makes_the_same_chips(
    coarse_plan: CoarsePlan, coarse_pools: CoarsePools, coarse_folder: Path
) -> None:
    told: list[tuple[int, int]] = []
    again = make_coarse_pools(coarse_plan, coarse_folder, lambda *values: told.append(values))
    for one, other in zip(coarse_pools.simulated, again.simulated, strict=True):
        np.testing.assert_array_equal(one.stored, other.stored)
    assert told[-1] == (4, 4)


def test_a_folder_without_the_bands_is_refused(coarse_plan: CoarsePlan, chips: Path, coarse_folder: Path) -> None:
    with pytest.raises(TrainingError, match="images with the bands blue, red, nir, swir16: both are needed"):
        make_coarse_pools(coarse_plan, chips)
    with pytest.raises(TrainingError, match="0 cloud-free"):
        make_coarse_pools(replace(coarse_plan, leave_out=("clear-0.npz",)), coarse_folder)
