"""Chips: patches as ``.npz`` files with a land cover code for each pixel, split by place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from undercast.errors import TrainingError
from undercast.scene_labels import Nomenclature, load_nomenclature
from undercast.training.bigearthnet.layers import Layers, check_layers
from undercast.training.bigearthnet.records import SPLITS, PatchRecord, Split
from undercast.training.chips import STORED_NODATA, file_hash, read_manifest

CODES = "corine_label"
"""Array with the codes."""
RADAR_LAYERS = "s1_vv_vh"
"""Array with Sentinel-1, ``(2, y, x)``: VV, VH in decibels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPlan:
    """How chips without a split of their own are split: neighbours in the data set's order stay together."""

    blocks: int = 10
    """Blocks of neighbouring patches that the chips are cut into."""
    validation: int = 1
    """Blocks for early stopping."""
    test: int = 4
    """Blocks that the model is judged by."""
    seed: int = 0
    """Seed of which blocks these are."""

    def __str__(self) -> str:
        """Say it in words."""
        return (
            f"{self.blocks} blocks of neighbours in the data set's order: {self.test} for test and {self.validation}"
            f" for validation, drawn with seed {self.seed}, the rest for training"
        )


class ChipPatches:
    """Chips of a folder."""

    def __init__(self, folder: Path, sources: Sequence[str]) -> None:
        """List the chips of some sources.

        Args:
            folder: Folder with ``manifest.json``.
            sources: Sources whose chips have land cover codes.

        Raises:
            TrainingError: If the manifest is wrong or has no chip of these sources.
        """
        self.folder = folder
        self._read: dict[str, dict[str, NDArray[Any]]] = {}
        self.rows = {
            str(row["file"]): row for row in read_manifest(folder) if str(row.get("source", folder.name)) in sources
        }
        if not self.rows:
            msg = f"{folder}: expected chips of {', '.join(sources)}, got none."
            raise TrainingError(msg)

    def records(self, plan: BlockPlan, nomenclature: Nomenclature | None = None) -> tuple[PatchRecord, ...]:
        """Give the chips' labels, and split them by place.

        Raises:
            TrainingError: If a chip is damaged, has no codes, or the plan leaves nothing to train on.
            LabelError: If a code is not known.
        """
        known = nomenclature or load_nomenclature()
        records = [
            PatchRecord(
                patch_id=file, labels=known.of_codes(whole_codes(self._array(file, CODES), known)), split="train"
            )
            for file in sorted(self.rows)
        ]
        splits = split_by_blocks(len(records), plan)
        return tuple(replace(record, split=split) for record, split in zip(records, splits, strict=True))

    def layers(self, record: PatchRecord, wanted: Sequence[str]) -> Layers:
        """Read layers of a chip.

        Raises:
            TrainingError: If the chip is damaged or one is not there.
        """
        names = self._array(record.patch_id, "band_names")
        stored = self._array(record.patch_id, "bands").astype(np.float32)
        stored[stored == STORED_NODATA] = np.nan
        layers = dict(zip(map(str, names), stored, strict=False))
        if {"VV", "VH"} & set(wanted):
            layers |= dict(zip(("VV", "VH"), self._array(record.patch_id, RADAR_LAYERS), strict=False))
        return check_layers(layers, wanted, self.folder / record.patch_id)

    def hashes(self) -> dict[str, str]:
        """Give file name -> SHA-256 of each chip."""
        return {file: file_hash(self.folder / file) for file in sorted(self.rows)}

    def licences(self) -> dict[str, str]:
        """Give source -> licences of its data, as the manifest has them."""
        found: dict[str, set[str]] = {}
        for row in self.rows.values():
            told = str(row.get("licence_data") or "not stated")
            found.setdefault(str(row.get("source", self.folder.name)), set()).add(told)
        return {source: "; ".join(sorted(told)) for source, told in sorted(found.items())}

    def _array(self, file: str, name: str) -> NDArray[Any]:
        arrays = self._arrays(file)
        if name not in arrays:
            msg = f"chip {self.folder / file}: expected the array {name!r}, got {', '.join(arrays)}."
            raise TrainingError(msg)
        return arrays[name]

    def _arrays(self, file: str) -> dict[str, NDArray[Any]]:
        """Read a chip, once: an epoch asks for all of them."""
        if file not in self._read:
            path = self.folder / file
            try:
                with path.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
                    self._read[file] = {name: stored[name] for name in stored.files if name in _WANTED}
            except (OSError, EOFError, ValueError, BadZipFile) as error:
                msg = f"chip {path} cannot be read: {' '.join(str(error).split())}."
                raise TrainingError(msg) from error
        return self._read[file]


_WANTED = ("bands", "band_names", CODES, RADAR_LAYERS)


def whole_codes(codes: NDArray[np.integer], nomenclature: Nomenclature) -> NDArray[np.integer]:
    """Give land cover codes back their hundreds where a file kept only the remainder of division by 256.

    Each code has another remainder but 999, which is not labelled: it has that of 231, pasture, and becomes that.
    """
    if codes.dtype != np.uint8:
        return codes
    table = np.full(256, -1, np.int16)
    for code in sorted({*nomenclature.without_label, *nomenclature.codes}, reverse=True):
        table[code % 256] = code
    whole: NDArray[np.int16] = table[codes]
    return whole


def split_by_blocks(patches: int, plan: BlockPlan) -> tuple[Split, ...]:
    """Say what each of some patches is for, in their order.

    Patches of one block, which lie near each other in the data set's order and so on the ground, have one split.

    Raises:
        TrainingError: If there are too few patches, or the plan leaves nothing to train on.
    """
    spared = plan.blocks - plan.validation - plan.test
    if min(plan.validation, plan.test, spared) < 1 or patches < plan.blocks:
        msg = (
            f"expected at least one block each to train, validate and test, and a patch in each; got {patches} patches,"
            f" {plan.blocks} blocks, {plan.validation} for validation and {plan.test} for test."
        )
        raise TrainingError(msg)
    counts = (spared, plan.validation, plan.test)
    of_block = np.random.default_rng(plan.seed).permutation(np.repeat(np.arange(len(SPLITS)), counts))
    blocks = np.arange(patches) * plan.blocks // patches
    return tuple(SPLITS[of_block[block]] for block in blocks)
