"""Figures on real scenes that a network has not seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from undercast.training.chips import Chip
from undercast.training.held_out import score

NAMES = ("blue", "green", "red", "nir", "swir16")


class Brightness(nn.Module):
    """Says thick cloud with the probability of the red reflectance; under 0.05 it is shadow."""

    def forward(self, reflectance: Tensor) -> Tensor:
        red = reflectance[:, 2].clamp(1e-4, 1 - 1e-4)
        low = torch.full_like(red, -30.0)
        return torch.stack([torch.log(1 - red), torch.log(red), low, torch.where(red < 0.05, 9.0, low)], dim=1)


def chip(name: str, red: list[float], possible: list[int], *, weight: float = 1.0) -> Chip:
    stored = np.round(np.array([red]) * 10_000).astype(np.int16)[None].repeat(len(NAMES), axis=0)
    return Chip(name=name, source="drawn", stored=stored, possible=np.array([possible], np.uint8), weight=weight)


def test_labelled_and_clear_scenes_are_scored_apart() -> None:
    cloudy = chip("cloudy", [0.9, 0.2, 0.8, 0.3, 0.01, 0.9], [2, 2, 6, 1, 8, 9])
    clear = chip("clear", [0.9, 0.1, 0.1, 0.1], [1, 1, 1, 0])
    weak = chip("weak", [0.1, 0.9], [2, 1], weight=0.2)
    found = score([(Brightness(), [cloudy, clear, weak])], NAMES, thresholds={"cloud": 0.5})
    everything = found["labelled"]["drawn: all"]
    # Found: columns 0, 2 and 5, of which the last one is not cloud; missed: column 1.
    assert everything["cloud_f1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert everything["shadow_f1"] == pytest.approx(1.0)
    assert 0.0 < everything["cloud_ece"] < 0.5
    assert set(found["labelled"]) == {f"drawn: {bands}" for bands in (
        "all", "green, red, nir", "blue, green, red, nir", "blue, red, nir, swir16"
    )}  # fmt: skip
    assert found["clear"]["scenes"] == 1
    assert found["clear"]["false_cloud"] == pytest.approx(1 / 3)
    assert found["clear"]["worst"] == {"clear": pytest.approx(1 / 3)}
