"""Masks as processors make them: they err as processors do, and what both say is mostly right."""

from __future__ import annotations

import numpy as np
import pytest

from undercast.sensors import load_sensor
from undercast.simulation.scenes import Simulated, simulate
from undercast.training.processor_like import BUFFER_PX, fmask_like, is_cloud, maja_like, weak_sets


@pytest.fixture(scope="module")
def scenes() -> list[Simulated]:
    return [simulate(load_sensor("landsat-8-oli"), size=64, seed=seed, gsd=60, level="toa") for seed in range(12)]


def test_the_codes_are_those_of_the_processors(scenes: list[Simulated]) -> None:
    for scene in scenes:
        assert set(np.unique(fmask_like(scene, np.random.default_rng(0)))) <= {0, 2, 3, 4, 255}
        assert set(np.unique(maja_like(scene, np.random.default_rng(0)))) <= {0, 0b111, 0b100001}


def test_thick_clouds_are_found_and_widened_and_the_thinnest_missed(scenes: list[Simulated]) -> None:
    thick = sum(int((scene.possible == 2).sum()) for scene in scenes)
    missed = false = thin_missed = 0
    for scene in scenes:
        # Without what is drawn per scene: bright ground and dark slopes.
        found = maja_like(scene, np.random.default_rng(1)) & 0b10 > 0
        missed += int(((scene.possible == 2) & ~found).sum())
        false += int((found & (scene.possible == 1)).sum())
        thin_missed += int(((scene.optical_thickness > 0.25) & (scene.optical_thickness < 0.3) & ~found).sum())
    assert thick
    assert missed < 0.01 * thick
    assert false
    assert thin_missed
    assert BUFFER_PX == 3


def test_what_both_agree_on_is_more_often_right_than_either(scenes: list[Simulated]) -> None:
    def wrong(cloud: np.ndarray, clear: np.ndarray, scene: Simulated) -> int:
        return int((cloud & (scene.possible == 1)).sum() + (clear & is_cloud(scene.possible)).sum())

    alone = together = 0
    for number, scene in enumerate(scenes):
        found = fmask_like(scene, np.random.default_rng(number)) == 4
        alone += wrong(found, ~found, scene)
        sets = weak_sets(scene, np.random.default_rng(number))
        together += wrong(is_cloud(sets), (sets > 0) & (sets & 0b0110 == 0), scene)
    assert together < alone
