"""Cloud-free scenes that a network takes for cloud are drawn more often."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from undercast.training.chips import Chip
from undercast.training.loop import Pools
from undercast.training.mining import HARDEST, mine


class Brightness(nn.Module):
    """Says thick cloud with the probability of the red reflectance."""

    def forward(self, reflectance: Tensor) -> Tensor:
        red = reflectance[:, 0].clamp(1e-4, 1 - 1e-4)
        low = torch.full_like(red, -30.0)
        return torch.stack([torch.log(1 - red), torch.log(red), low, low], dim=1)


def chip(name: str, red: float, possible: int) -> Chip:
    stored = np.full((1, 8, 8), round(red * 10_000), np.int16)
    return Chip(name=name, source="drawn", stored=stored, possible=np.full((8, 8), possible, np.uint8))


def pools(*real: Chip) -> Pools:
    return Pools(real=list(real), on_real=[], simulated=[], validation=[], hashes={})


def test_a_bright_clear_scene_is_drawn_more_often_than_a_dark_one_and_a_cloudy_one_as_before() -> None:
    mined = mine(pools(chip("dark", 0.02, 1), chip("snow", 0.8, 9), chip("cloudy", 0.9, 2)), Brightness())
    hardness = {chip.name: chip.hardness for chip in mined.real}
    assert hardness["snow"] > 5 * hardness["dark"] > 0
    assert hardness["cloudy"] == 1.0


def test_one_hard_scene_does_not_crowd_out_the_rest() -> None:
    mined = mine(pools(chip("snow", 0.9, 1), *(chip(str(number), 0.0, 1) for number in range(99))), Brightness())
    assert max(chip.hardness for chip in mined.real) == HARDEST


def test_without_clear_scenes_or_known_pixels_nothing_breaks() -> None:
    cloudy, empty = chip("cloudy", 0.9, 2), chip("empty", 0.9, 0)
    assert mine(pools(cloudy), Brightness()).real == [cloudy]
    assert mine(pools(empty), Brightness()).real[0].hardness == 1.0
