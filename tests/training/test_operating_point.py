"""Operating points that are chosen on labelled chips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from undercast.training.chips import STORED_NODATA, Chip
from undercast.training.operating_point import chip_probabilities, choose_presets

NAMES = ("blue", "green", "red", "nir")


class Brightness(nn.Module):
    """Says that a pixel is thick cloud with the probability of its red reflectance."""

    def forward(self, reflectance: Tensor) -> Tensor:
        red = reflectance[:, 2].clamp(1e-4, 1 - 1e-4)
        low = torch.full_like(red, -30.0)
        return torch.stack([torch.log(1 - red), torch.log(red), low, low], dim=1)


def chip(red: list[float], possible: list[int], *, weight: float = 1.0) -> Chip:
    """Make a chip of one row whose bands are alike."""
    values = np.round(np.array([red]) * 10_000).astype(np.int16)
    stored = np.repeat(values[None], len(NAMES), axis=0)
    return Chip(name="a", source="drawn", stored=stored, possible=np.array([possible], np.uint8), weight=weight)


def test_the_threshold_lies_where_clouds_and_the_rest_part() -> None:
    drawn = chip([0.10, 0.21, 0.44, 0.52, 0.90], [1, 1, 2, 6, 2])
    presets = choose_presets([(Brightness(), [drawn])], NAMES)
    assert 0.21 < presets["balanced"]["cloud"] <= 0.44
    assert 0.21 < presets["f2"]["cloud"] <= 0.44


def test_of_thresholds_that_are_as_good_the_highest_is_taken() -> None:
    drawn = chip([0.12, 0.52], [1, 2])
    assert choose_presets([(Brightness(), [drawn])], NAMES)["f2"] == {"cloud": 0.5}


def test_recall_weighs_more_in_f2() -> None:
    drawn = chip([0.12, 0.22, 0.22, 0.22, 0.22, 0.52, 0.52], [2, 1, 1, 1, 1, 2, 2])
    presets = choose_presets([(Brightness(), [drawn])], NAMES)
    assert presets["f2"]["cloud"] <= presets["balanced"]["cloud"]


def test_pixels_whose_set_holds_cloud_and_clear_say_nothing() -> None:
    drawn = chip([0.10, 0.33, 0.52], [1, 3, 2])
    told = chip([0.10, 0.52], [1, 2])
    first = choose_presets([(Brightness(), [drawn])], NAMES)
    assert first == choose_presets([(Brightness(), [told])], NAMES)


def test_without_trusted_clouds_the_threshold_is_a_half() -> None:
    weak = chip([0.1, 0.9], [1, 6], weight=0.2)
    empty = chip([0.1, 0.2], [1, 1])
    empty.stored[:, 0, 0] = STORED_NODATA
    expected = {"balanced": {"cloud": 0.5}, "f2": {"cloud": 0.5}}
    assert choose_presets([(Brightness(), [weak, empty])], NAMES) == expected


def test_a_chips_terrain_follows_its_bands() -> None:
    drawn = chip([0.1, 0.9], [1, 2])
    ground = np.array([[[0.5, np.nan]]] * 3, np.float16)
    seen: list[Tensor] = []

    class Watching(nn.Module):
        def forward(self, given: Tensor) -> Tensor:
            seen.append(given)
            return given[:, :4]

    chip_probabilities(Watching(), replace(drawn, terrain=ground), [True] * 4)
    chip_probabilities(Watching(), drawn, [True] * 4)
    assert [given.shape[1] for given in seen] == [7, 4]
    assert seen[0][0, 4:, 0, :2].tolist() == [[0.5, -1.0]] * 3
