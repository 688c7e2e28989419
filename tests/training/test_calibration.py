"""Calibration fits probabilities to labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from undercast.classes import CLASS_NAMES
from undercast.training.calibration import Calibrated, Calibration, fit
from undercast.training.chips import Chip
from undercast.training.operating_point import Judge

NAMES = ("green", "red", "nir")


class Sure(nn.Module):
    """Says with logit 4 that bright pixels are thick cloud, dark ones shadow and the others clear."""

    def forward(self, image: Tensor) -> Tensor:
        red = image[:, 1:2]
        cloud, shadow = (red > 0.4).float(), (red < 0.05).float()
        never = torch.full_like(cloud, -9.0)
        return 4 * torch.cat([1 - cloud - shadow, cloud, never, torch.where(shadow > 0, 1.0, never)], dim=1)


def judge(wrong: float, *, source: str = "drawn", weight: float = 1.0, cloud: float = 0.5) -> Judge:
    """Draw a chip of which a share of the pixels is labelled against its brightness."""
    rng = np.random.default_rng(0)
    is_cloud = rng.random((64, 64)) < cloud
    stored = np.where(is_cloud, 9000, 1000).astype(np.int16)[None].repeat(len(NAMES), axis=0)
    told = is_cloud ^ (rng.random((64, 64)) < wrong)
    possible = np.where(told, 2, 1).astype(np.uint8)
    return Sure(), [Chip(name="a", source=source, stored=stored, possible=possible, weight=weight)]


def probability_of_cloud(network: nn.Module, reflectance: float) -> float:
    logits = network(torch.full((1, len(NAMES), 1, 1), reflectance))
    return float(torch.softmax(logits, dim=1)[0, 1])


def test_a_network_that_is_too_sure_becomes_as_sure_as_it_is_right() -> None:
    network = Calibrated(Sure(), fit([judge(0.3)], NAMES))
    assert probability_of_cloud(network, 0.9) == pytest.approx(0.7, abs=0.03)
    assert probability_of_cloud(network, 0.1) == pytest.approx(0.3, abs=0.03)


def test_a_network_that_calls_too_little_cloud_gets_an_offset() -> None:
    network, (chip,) = judge(0.0)
    dark = chip.possible == 1
    chip.possible[dark] = np.random.default_rng(1).choice([1, 2], dark.sum())
    found = fit([(network, [chip])], NAMES)
    assert found.cloud > 0.5
    assert probability_of_cloud(Calibrated(network, found), 0.1) == pytest.approx(0.5, abs=0.05)


def test_labels_that_are_not_trusted_and_missing_ones_change_nothing() -> None:
    assert fit([judge(0.3, weight=0.2)], NAMES) == Calibration()
    network, (chip,) = judge(0.3)
    chip.possible[:] = 0
    assert fit([(network, [chip])], NAMES) == Calibration()


def test_sources_without_any_cloud_change_nothing() -> None:
    cloudy = judge(0.2)
    clear = [judge(0.0, source=f"clear-{number}", cloud=0.0) for number in range(5)]
    assert fit([cloudy, *clear], NAMES) == fit([cloudy], NAMES)
    assert fit(clear, NAMES) == Calibration()


def test_the_offsets_are_those_of_the_classes() -> None:
    logits = Calibrated(Sure(), Calibration(temperature=2.0, cloud=0.5))(torch.full((1, 3, 1, 1), 0.9))
    plain = Sure()(torch.full((1, 3, 1, 1), 0.9)) / 2
    np.testing.assert_allclose((logits - plain).flatten().numpy(), [0.0, 0.5, 0.5, 0.0], atol=1e-6)
    assert len(CLASS_NAMES) == 4
