"""Calibration: a temperature and an offset for cloud make a network's logits fit what real labels say.

Cloud shadow gets no offset of its own: few real chips label it, and many cloud-free ones are dark, so that a fit would
only learn to say none.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from undercast.classes import CLASS_NAMES, THICK_CLOUD, THIN_CLOUD
from undercast.training.chips import Chip
from undercast.training.losses import set_masks
from undercast.training.operating_point import KEPT, TRUSTED, Judge, chip_logits

SAMPLED = 4000
"""Pixels of a chip that are looked at, drawn at random where it has more."""
STEPS = 60
"""Most steps of the optimiser; a few dozen are enough for two numbers."""
WEAKEST = 1e-3
"""Strength that holds the numbers at 0 where the labels say nothing of them."""

_CLOUD = (1 << THICK_CLOUD) | (1 << THIN_CLOUD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What turns a network's logits into calibrated ones."""

    temperature: float = 1.0
    """Number that the logits are divided by."""
    cloud: float = 0.0
    """What is then added to the logits of both kinds of cloud."""


class Calibrated(nn.Module):
    """A network with calibrated logits."""

    def __init__(self, network: nn.Module, calibration: Calibration) -> None:
        super().__init__()
        self.network = network
        self.temperature = calibration.temperature
        offsets = torch.zeros(len(CLASS_NAMES))
        offsets[[THICK_CLOUD, THIN_CLOUD]] = calibration.cloud
        self.register_buffer("offsets", offsets.view(1, -1, 1, 1))

    def forward(self, reflectance: Tensor) -> Tensor:
        """Give logits ``(batch, class, y, x)``."""
        offsets: Tensor = self.offsets  # type: ignore[assignment]
        logits: Tensor = self.network(reflectance) / self.temperature + offsets
        return logits

    def folded(self) -> nn.Module:
        """Give a network whose last convolution calibrates, which costs nothing; itself where none is known."""
        network = copy.deepcopy(self.network)
        last = getattr(network, "last", None)
        if not isinstance(last, nn.Conv2d) or last.bias is None:
            return self
        offsets: Tensor = self.offsets.flatten()  # type: ignore[operator]
        with torch.no_grad():
            last.weight /= self.temperature
            last.bias /= self.temperature
            last.bias += offsets.repeat_interleave(last.out_channels // len(offsets))
        return network


def fit(judges: Sequence[Judge], names: Sequence[str], band_sets: Sequence[frozenset[str]] = KEPT) -> Calibration:
    """Find the calibration with which the probabilities fit the possible sets best.

    Every source that has clouds weighs the same, with every set of bands. Those without any are passed over: cloud-free
    scenes are chosen, most of them for being hard, and say nothing of how often what looks like cloud is cloud.

    Args:
        judges: Networks of logits, each with the chips that it is judged by; those with labels that are not trusted
            are passed over.
        names: Common names of the chips' layers.
        band_sets: Bands that the networks get to see, one set after the other.
    """
    groups = _samples(judges, names, band_sets)
    if not groups:
        return Calibration()
    numbers = torch.zeros(2, requires_grad=True)
    optimiser = torch.optim.LBFGS([numbers], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        total = torch.stack([_loss(numbers, *group) for group in groups]).mean() + WEAKEST * (numbers**2).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    sharpness, cloud = (float(value) for value in numbers.detach())
    return Calibration(temperature=float(np.exp(-sharpness)), cloud=cloud)


def _samples(
    judges: Sequence[Judge], names: Sequence[str], band_sets: Sequence[frozenset[str]]
) -> list[tuple[Tensor, Tensor]]:
    """Draw logits ``(class, pixel)`` and what is possible there, per source and set of bands."""
    cloudy = {chip.source for _, chips in judges for chip in chips if _is_told(chip) and (chip.possible & _CLOUD).any()}
    rng = np.random.default_rng(0)
    drawn: dict[tuple[str, int], list[tuple[Tensor, Tensor]]] = {}
    for network, chips in judges:
        for chip in chips:
            if not _is_told(chip) or chip.source not in cloudy:
                continue
            known = np.flatnonzero((chip.possible > 0).ravel())
            if not known.size:
                continue
            taken = rng.choice(known, min(SAMPLED, known.size), replace=False)
            inside = set_masks(torch.from_numpy(chip.possible.ravel()[taken])[None, None], len(CLASS_NAMES))[0, :, 0]
            for number, kept in enumerate(band_sets):
                logits = chip_logits(network, chip, [name in kept for name in names]).flatten(1)[:, taken]
                drawn.setdefault((chip.source, number), []).append((logits, inside))
    return [
        (torch.cat([logits for logits, _ in group], dim=1), torch.cat([inside for _, inside in group], dim=1))
        for group in drawn.values()
    ]


def _is_told(chip: Chip) -> bool:
    return chip.weight >= TRUSTED


def _loss(numbers: Tensor, logits: Tensor, inside: Tensor) -> Tensor:
    """Mean of minus the logarithm of the probability inside the possible sets."""
    is_cloud = torch.zeros(len(CLASS_NAMES), 1)
    is_cloud[[THICK_CLOUD, THIN_CLOUD]] = 1.0
    log_probabilities = torch.log_softmax(logits * torch.exp(numbers[0]) + is_cloud * numbers[1], dim=0)
    return -torch.logsumexp(log_probabilities.masked_fill(~inside, -1e4), dim=0).mean()
