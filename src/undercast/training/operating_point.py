"""Operating points: thresholds on the probability of cloud, chosen on labelled chips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from undercast.bands import COMMON_WAVELENGTHS
from undercast.classes import THICK_CLOUD, THIN_CLOUD
from undercast.training.augment import ABSENT
from undercast.training.chips import STORED_NODATA, STORED_SCALE, Chip
from undercast.types import Float32

BETAS: dict[str, float] = {"balanced": 1.0, "f2": 2.0}
"""Preset -> beta of the F-score that it is chosen for."""
TRIED = np.arange(0.05, 0.71, 0.05)
"""Thresholds that are tried."""
ALIKE = 0.002
"""F-scores that are this near count as one: a few dozen chips do not tell them apart, and a higher threshold calls less
cloud falsely."""
KEPT: tuple[frozenset[str], ...] = (
    frozenset(COMMON_WAVELENGTHS),
    frozenset({"green", "red", "nir"}),
    frozenset({"blue", "green", "red", "nir"}),
    frozenset({"blue", "red", "nir", "swir16"}),
)
"""Band sets that a threshold has to serve: all, and those of sensors with few bands."""
TRUSTED = 0.5
"""Weight from which a chip's labels are trusted; processors' masks are not."""

_CLOUD = (1 << THICK_CLOUD) | (1 << THIN_CLOUD)


Judge = tuple[nn.Module, Sequence[Chip]]
"""A network that gives logits, and chips for it to be judged by."""


def choose_presets(
    judges: Sequence[Judge], names: Sequence[str], band_sets: Sequence[frozenset[str]] = KEPT
) -> dict[str, dict[str, float]]:
    """Choose a threshold on cloud for each preset: the best mean F-score over sources and band sets.

    Of those that are as good (``ALIKE``), the highest is taken. The sum of all kinds of cloud is held against it, so
    that two kinds that share the probability do not lose to clear. Where a network was trained on its chips,
    the threshold leans to what it has learnt by heart: hold them out.

    Args:
        judges: Networks with real or simulated chips; those with labels that are not trusted, and sources without any
            cloud, are passed over.
        names: Common names of the chips' layers.
        band_sets: Bands that the networks get to see, one set after the other.

    Returns:
        Preset -> ``{"cloud": threshold}``; 0.5 where no chip has clouds.
    """
    counts: dict[tuple[str, int], NDArray[np.int64]] = {}
    for network, chips in judges:
        for chip in chips:
            if chip.weight < TRUSTED:
                continue
            for number, kept in enumerate(band_sets):
                found = _counts(network, chip, [name in kept for name in names])
                counts[chip.source, number] = counts.get((chip.source, number), np.zeros_like(found)) + found
    counts = {key: found for key, found in counts.items() if found[0].any() or found[2].any()}
    if not counts:
        return {name: {"cloud": 0.5} for name in BETAS}
    presets = {}
    for name, beta in BETAS.items():
        mean = np.mean([f_beta(found, beta) for found in counts.values()], axis=0)
        best = np.flatnonzero(mean >= mean.max() - ALIKE)
        presets[name] = {"cloud": round(float(TRIED[best[-1]]), 2)}
    return presets


def chip_logits(network: nn.Module, chip: Chip, kept: Sequence[bool]) -> Tensor:
    """Put a whole chip through a network.

    Args:
        network: Gives logits.
        chip: Of any size; one with terrain is for a network that takes all of ``TERRAIN_LAYERS``.
        kept: Which of its bands the network gets to see.

    Returns:
        Logits ``(class, y, x)``.
    """
    values = chip.stored * np.float32(STORED_SCALE)
    values[chip.stored == STORED_NODATA] = ABSENT
    values[~np.array(kept)] = ABSENT
    if chip.terrain is not None:
        ground = chip.terrain.astype(np.float32)
        values = np.concatenate([values, np.where(np.isfinite(ground), ground, np.float32(ABSENT))])
    height, width = chip.possible.shape
    grown = np.pad(values, ((0, 0), (0, -height % 32), (0, -width % 32)), mode="symmetric")
    with torch.no_grad():
        logits: Tensor = network(torch.from_numpy(grown.astype(np.float32))[None])[0, :, :height, :width]
    return logits


def chip_probabilities(network: nn.Module, chip: Chip, kept: Sequence[bool]) -> Float32:
    """Give the probabilities ``(class, y, x)`` of a whole chip; arguments as in ``chip_logits``."""
    return np.asarray(torch.softmax(chip_logits(network, chip, kept), dim=0).numpy(), np.float32)


def _counts(network: nn.Module, chip: Chip, kept: Sequence[bool]) -> NDArray[np.int64]:
    """Count true positives, false positives and false negatives of a chip at each threshold, ``(3, threshold)``."""
    probability = chip_probabilities(network, chip, kept)[[THICK_CLOUD, THIN_CLOUD]].sum(axis=0)
    cloud = (chip.possible & _CLOUD > 0) & (chip.possible & ~np.uint8(_CLOUD) == 0)
    other = (chip.possible > 0) & (chip.possible & _CLOUD == 0)
    found = probability[None] >= TRIED[:, None, None]
    return np.stack([(found & cloud).sum((1, 2)), (found & other).sum((1, 2)), (~found & cloud).sum((1, 2))])


def f_beta(counts: NDArray[np.int64], beta: float) -> NDArray[np.float64]:
    """F-score of true positives, false positives and false negatives, ``(3, ...)``; 0 where there are none."""
    hit, false, missed = counts
    total = (1 + beta**2) * hit + beta**2 * missed + false
    return np.asarray((1 + beta**2) * hit / np.maximum(total, 1), np.float64)
