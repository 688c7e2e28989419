"""What networks are worth on real scenes that were held out of their training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast.classes import CLEAR, CLOUD_SHADOW, THICK_CLOUD, THIN_CLOUD
from undercast.training.operating_point import KEPT, TRUSTED, Judge, chip_probabilities, f_beta

BINS = 20
"""Bins of probability that the calibration error is taken over."""

_CLOUD = (1 << THICK_CLOUD) | (1 << THIN_CLOUD)


def score(judges: Sequence[Judge], names: Sequence[str], *, thresholds: Mapping[str, float]) -> dict[str, Any]:
    """Score networks on the chips that each of them has not seen.

    Args:
        judges: Networks of calibrated logits, each with its held-out chips.
        names: Common names of the chips' layers.
        thresholds: ``{"cloud": threshold}`` on the probability of cloud.

    Returns:
        ``"labelled"``: per source and band set the F1, F2 and expected calibration error of cloud, and the F1 of shadow
        where it is labelled; ``"clear"``: the share of pixels called cloud on cloud-free scenes with all bands, over
        all of them and of the worst.
    """
    labelled: dict[str, _Tally] = {}
    clear: dict[str, tuple[int, int]] = {}
    for network, chips in judges:
        for chip in chips:
            if chip.weight < TRUSTED:
                continue
            cloud_free = not (chip.possible & ~np.uint8(1 << CLEAR)).any()
            for kept in KEPT[:1] if cloud_free else KEPT:
                probabilities = chip_probabilities(network, chip, [name in kept for name in names])
                is_cloud = probabilities[[THICK_CLOUD, THIN_CLOUD]].sum(axis=0)
                if cloud_free:
                    known = chip.possible > 0
                    clear[chip.name] = int((known & (is_cloud >= thresholds["cloud"])).sum()), int(known.sum())
                    continue
                bands = "all" if kept is KEPT[0] else ", ".join(name for name in names if name in kept)
                tally = labelled.setdefault(f"{chip.source}: {bands}", _Tally())
                tally.add(chip.possible, probabilities, is_cloud, thresholds["cloud"])
    shares = {name: wrong / max(known, 1) for name, (wrong, known) in clear.items()}
    worst = sorted(shares, key=lambda name: -shares[name])[:10]
    pixels = sum(known for _, known in clear.values())
    return {
        "labelled": {key: tally.figures() for key, tally in sorted(labelled.items())},
        "clear": {
            "scenes": len(clear),
            "false_cloud": sum(wrong for wrong, _ in clear.values()) / max(pixels, 1),
            "worst": {name: shares[name] for name in worst},
        },
    }


class _Tally:
    """Counts of true positives, false positives and false negatives, and a histogram of probability."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.cloud: NDArray[np.int64] = np.zeros(3, np.int64)
        self.shadow: NDArray[np.int64] = np.zeros(3, np.int64)
        self.seen: NDArray[np.float64] = np.zeros((3, BINS))

    def add(
        self, possible: NDArray[np.uint8], probabilities: NDArray[Any], cloud: NDArray[Any], threshold: float
    ) -> None:
        """Count one chip."""
        wanted = (possible & _CLOUD > 0) & (possible & ~np.uint8(_CLOUD) == 0)
        other = (possible > 0) & (possible & _CLOUD == 0)
        found = cloud >= threshold
        self.cloud += _confusion(found, wanted, other)
        bit = np.uint8(1 << CLOUD_SHADOW)
        is_shadow = (probabilities[CLOUD_SHADOW] > probabilities[CLEAR]) & ~found
        if (possible == bit).any():
            self.shadow += _confusion(is_shadow, possible == bit, (possible > 0) & (possible & bit == 0))
        told = wanted | other
        bins = np.minimum((cloud[told] * BINS).astype(np.intp), BINS - 1)
        for row, weights in enumerate((np.ones(bins.size), cloud[told], wanted[told])):
            self.seen[row] += np.bincount(bins, weights, BINS)

    def figures(self) -> dict[str, float | None]:
        """Give the figures."""
        pixels, probability, clouds = self.seen
        return {
            "cloud_f1": float(f_beta(self.cloud, 1.0)),
            "cloud_f2": float(f_beta(self.cloud, 2.0)),
            "cloud_ece": float(np.abs(probability - clouds).sum() / max(pixels.sum(), 1)),
            "shadow_f1": float(f_beta(self.shadow, 1.0)) if self.shadow.any() else None,
        }


def _confusion(found: NDArray[Any], wanted: NDArray[Any], other: NDArray[Any]) -> NDArray[np.int64]:
    return np.array([(found & wanted).sum(), (found & other).sum(), (~found & wanted).sum()], np.int64)
