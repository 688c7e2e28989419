"""Hard negatives: cloud-free scenes that a network takes for cloud are drawn more often."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from undercast.classes import THICK_CLOUD, THIN_CLOUD
from undercast.training.chips import Chip
from undercast.training.loop import Pools
from undercast.training.operating_point import chip_probabilities

if TYPE_CHECKING:
    from torch import nn

EASY = 0.05
"""Mean probability of cloud that a scene without any mistake counts as, so that it is still drawn."""
_CLOUD = (1 << THICK_CLOUD) | (1 << THIN_CLOUD)
HARDEST = 8.0
"""How often the hardest is drawn at most, over the mean of all."""


def mine(pools: Pools, network: nn.Module) -> Pools:
    """Let each cloud-free real scene be drawn in proportion to the cloud that a network sees in it.

    The network must not have been trained on the scenes: one of simulated chips alone is meant.

    Args:
        pools: Chips to draw from.
        network: Gives logits.
    """
    mistaken = {chip.name: EASY + _mistaken(chip, network) for chip in pools.real if _is_clear(chip)}
    if not mistaken:
        return pools
    mean = sum(mistaken.values()) / len(mistaken)
    real = [
        replace(chip, hardness=min(mistaken[chip.name] / mean, HARDEST)) if chip.name in mistaken else chip
        for chip in pools.real
    ]
    return replace(pools, real=real)


def _is_clear(chip: Chip) -> bool:
    return not (chip.possible & _CLOUD).any()


def _mistaken(chip: Chip, network: nn.Module) -> float:
    """Give the mean probability of cloud where the scene is known to be clear."""
    known = chip.possible > 0
    if not known.any():
        return 0.0
    probabilities = chip_probabilities(network, chip, [True] * len(chip.stored))
    return float(probabilities[[THICK_CLOUD, THIN_CLOUD]].sum(axis=0)[known].mean())
