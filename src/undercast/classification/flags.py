"""Flags: clouds that a data set's metadata state for its patches, beside those that the mask finds in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from undercast.classification.classify import SceneLabels


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagComparison:
    """How often the mask's ``contains_cloud_or_shadow`` is that of the metadata; counts of patches."""

    both: int = 0
    """Both say cloud or shadow."""
    mask_only: int = 0
    """The mask says so, the metadata do not."""
    stated_only: int = 0
    """The metadata say so, the mask does not."""
    neither: int = 0
    """Neither says so."""
    not_stated: int = 0
    """Patches that the metadata do not know."""

    @property
    def agreement(self) -> float | None:
        """Share of the patches that both know on which they agree; None where there is none."""
        known = self.both + self.mask_only + self.stated_only + self.neither
        return (self.both + self.neither) / known if known else None

    def to_dict(self) -> dict[str, Any]:
        """Give the comparison as JSON values."""
        return {
            "both": self.both,
            "mask_only": self.mask_only,
            "stated_only": self.stated_only,
            "neither": self.neither,
            "not_stated": self.not_stated,
            "agreement": self.agreement,
        }


def predicted_flag(labels: SceneLabels) -> bool:
    """Tell whether any window of a patch is under cloud or shadow: BigEarthNet's ``contains_cloud_or_shadow``."""
    return any(window.contains_cloud_or_shadow for window in labels.windows)


def compare_flags(patches: Iterable[SceneLabels], stated: Mapping[str, bool]) -> FlagComparison:
    """Compare the flags of patches.

    Args:
        patches: Labelled patches.
        stated: Name of a patch -> what its metadata say.
    """
    counts = dict.fromkeys(("both", "mask_only", "stated_only", "neither", "not_stated"), 0)
    for patch in patches:
        found, said = predicted_flag(patch), stated.get(patch.scene)
        if said is None:
            counts["not_stated"] += 1
        elif found:
            counts["both" if said else "mask_only"] += 1
        else:
            counts["stated_only" if said else "neither"] += 1
    return FlagComparison(**counts)
