"""Data: the patches of a recipe by split, as normalised arrays with the vectors of their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from undercast.classifier_spec import ClassifierSpec, normalised
from undercast.errors import TrainingError
from undercast.scene_labels import load_nomenclature
from undercast.training.bigearthnet.chips import ChipPatches
from undercast.training.bigearthnet.geotiffs import GeotiffPatches
from undercast.training.bigearthnet.layers import Interpolation, Patches, stack
from undercast.training.bigearthnet.lmdb import LmdbPatches
from undercast.training.bigearthnet.recipe import ClassifierRecipe
from undercast.training.bigearthnet.records import (
    SPLITS,
    PatchRecord,
    Split,
    clear_of_snow_and_clouds,
    read_records,
)
from undercast.types import Float32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PatchSet(Dataset[tuple[Tensor, Tensor]]):
    """Patches of one split: ``(channel, y, x)`` normalised, and ``(label,)``."""

    patches: Patches
    """Where they lie."""
    records: tuple[PatchRecord, ...]
    """Which they are."""
    spec: ClassifierSpec
    """Channels and normalisation."""
    interpolation: Interpolation = "nearest"
    """How bands of 20 and 60 m are brought to 10 m."""
    flips: bool = False
    """Whether they are flipped at random, left to right and upside down."""

    def __len__(self) -> int:
        """Give the number of patches."""
        return len(self.records)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        """Read a patch."""
        patch = torch.from_numpy(normalised(self.spec, self.values(number)))
        if self.flips:
            axes = [axis for axis, drawn in zip((1, 2), torch.rand(2).tolist(), strict=True) if drawn < 0.5]
            patch = torch.flip(patch, axes)
        labels = load_nomenclature().vector(self.records[number].labels)
        return patch, torch.from_numpy(labels.astype(np.float32))

    def values(self, number: int) -> Float32:
        """Read a patch before it is normalised, ``(channel, y, x)``."""
        wanted = self.spec.layers
        layers = self.patches.layers(self.records[number], wanted)
        return stack(layers, wanted, side=self.spec.side_px, interpolation=self.interpolation)

    def truth(self) -> NDArray[np.bool_]:
        """Give the labels of all, ``(patch, label)``."""
        known = load_nomenclature()
        return np.stack([known.vector(record.labels) for record in self.records])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SplitPatches:
    """The patches of a recipe."""

    sets: dict[Split, PatchSet]
    """Split -> its patches."""
    hashes: dict[str, str]
    """File name -> SHA-256 of what says which data these are."""
    licences: dict[str, str]
    """Source -> licence of its data."""


def make_sets(recipe: ClassifierRecipe, data: Path, spec: ClassifierSpec) -> SplitPatches:
    """Find the patches of a recipe, without those that have snow, clouds or shadows where the metadata tell.

    Raises:
        TrainingError: If files are missing or wrong, or a split has no patch.
        LabelError: If a label is not known.
    """
    patches, records = _patches(recipe, data)
    sets = {}
    for split in SPLITS:
        chosen = tuple(record for record in clear_of_snow_and_clouds(records) if record.split == split)
        if not chosen:
            msg = f"{data}: expected patches of the split {split!r}, got none."
            raise TrainingError(msg)
        sets[split] = PatchSet(
            patches=patches,
            records=chosen,
            spec=spec,
            interpolation=recipe.interpolation,
            flips=split == "train",
        )
    return SplitPatches(sets=sets, hashes=patches.hashes(), licences=patches.licences())


def _patches(recipe: ClassifierRecipe, data: Path) -> tuple[Patches, Sequence[PatchRecord]]:
    plan = recipe.patches
    if plan.kind == "chips":
        chips = ChipPatches(data / plan.path, plan.sources)
        return chips, chips.records(recipe.blocks)
    metadata = [data / name for name in plan.metadata]
    kind = LmdbPatches if plan.kind == "lmdb" else GeotiffPatches
    return kind(data / plan.path, metadata=metadata), read_records(*metadata)
