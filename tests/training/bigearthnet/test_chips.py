"""Chips give layers and labels, whole land cover codes, and a split by blocks of neighbours."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.errors import LabelError, TrainingError
from undercast.scene_labels import load_nomenclature
from undercast.training.bigearthnet.chips import BlockPlan, ChipPatches, split_by_blocks, whole_codes
from undercast.training.bigearthnet.records import SPLITS

KNOWN = load_nomenclature()


def test_labels_come_of_the_codes(chips: Path) -> None:
    records = ChipPatches(chips, ["drawn"]).records(BlockPlan())
    assert len(records) == 20
    assert {record.labels for record in records} == {("Inland waters",), ("Coniferous forest",)}
    assert records[0].labels == ("Inland waters",)


def test_layers_are_named(chips: Path) -> None:
    patches = ChipPatches(chips, ["drawn"])
    (record, *_) = patches.records(BlockPlan())
    layers = patches.layers(record, ["VH", "B08"])
    with np.load(chips / record.patch_id) as stored:
        np.testing.assert_array_equal(layers["VH"], stored["s1_vv_vh"][1])
        np.testing.assert_array_equal(layers["B08"], stored["bands"][3])
    with pytest.raises(TrainingError, match=r"got no B05\. It has B02, B03, B04, B08"):
        patches.layers(record, ["B05"])


def test_pixels_without_data_are_told(make: SimpleNamespace, tmp_path: Path) -> None:
    bands = np.full((4, 120, 120), 7, np.int16)
    bands[0, 0, 0] = -32768
    patches = ChipPatches(make.write_chips(tmp_path, bands=bands), ["drawn"])
    layer = patches.layers(patches.records(BlockPlan())[0], ["B02"])["B02"]
    assert np.isnan(layer[0, 0])
    assert np.isfinite(layer).sum() == layer.size - 1


def test_every_code_survives_as_a_remainder_but_999() -> None:
    codes = np.array(sorted({*KNOWN.codes, *KNOWN.without_label}), np.uint16)
    back = whole_codes((codes % 256).astype(np.uint8), KNOWN)
    assert dict(zip(codes.tolist(), back.tolist(), strict=True)) == {int(code): int(code) for code in codes} | {
        999: 231
    }


def test_whole_codes_stay_and_remainders_of_none_are_refused() -> None:
    whole = np.array([211, 523], np.uint16)
    assert whole_codes(whole, KNOWN) is whole
    with pytest.raises(LabelError, match="codes -1 are not of"):
        KNOWN.of_codes(whole_codes(np.array([200], np.uint8), KNOWN))


@given(st.integers(10, 200), st.integers(3, 10), st.integers(1, 4), st.integers(1, 4), st.integers(0, 9))
def test_blocks_of_neighbours_have_one_split(patches: int, blocks: int, validation: int, test: int, seed: int) -> None:
    plan = BlockPlan(blocks=blocks, validation=validation, test=test, seed=seed)
    if validation + test >= blocks:
        with pytest.raises(TrainingError, match="expected at least one block each"):
            split_by_blocks(patches, plan)
        return
    splits = split_by_blocks(patches, plan)
    assert len(splits) == patches
    assert set(splits) == set(SPLITS)
    of_block = [
        {split for number, split in enumerate(splits) if number * blocks // patches == one} for one in range(blocks)
    ]
    assert all(len(found) == 1 for found in of_block)
    assert sum(found == {"test"} for found in of_block) == test
    assert split_by_blocks(patches, plan) == splits


def test_wrong_chips_are_refused(make: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"expected chips of elsewhere, got none"):
        ChipPatches(make.write_chips(tmp_path / "a"), ["elsewhere"])
    with pytest.raises(TrainingError, match="expected the array 'corine_label', got bands"):
        ChipPatches(make.write_chips(tmp_path / "b", corine_label=None), ["drawn"]).records(BlockPlan())
    folder = make.write_chips(tmp_path / "c")
    (folder / "patch_000.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(TrainingError, match=r"patch_000\.npz cannot be read"):
        ChipPatches(folder, ["drawn"]).records(BlockPlan())


def test_licences_are_those_of_the_manifest(chips: Path) -> None:
    patches = ChipPatches(chips, ["drawn"])
    assert patches.licences() == {"drawn": "CC0-1.0"}
    assert len(patches.hashes()) == 20


def test_real_chips_have_labels_and_a_split(real_data: Path) -> None:
    patches = ChipPatches(real_data / "train", ["bigearthnet_kshitij"])
    records = patches.records(BlockPlan())
    assert len(records) == 90
    assert all(record.labels for record in records)
    assert [sum(record.split == split for record in records) for split in SPLITS] == [45, 9, 36]
    sea = [record for record in records if record.labels == ("Marine waters",)]
    assert sea
    assert np.median(patches.layers(sea[0], ["B08"])["B08"]) < 200
