"""Patches of every kind of file become normalised arrays and vectors of labels, by split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from undercast.errors import TrainingError
from undercast.training.bigearthnet.data import SplitPatches, make_sets
from undercast.training.bigearthnet.recipe import ClassifierRecipe, PatchesPlan, read_classifier_recipe
from undercast.training.bigearthnet.records import SPLITS
from undercast.training.bigearthnet.spec import make_spec


@pytest.fixture
def recipe(make: SimpleNamespace, tmp_path: Path) -> ClassifierRecipe:
    return read_classifier_recipe(make.write_recipe(tmp_path / "recipe.toml"))


def sets(recipe: ClassifierRecipe, data: Path, configuration: str = "10m_s1") -> SplitPatches:
    return make_sets(recipe, data, make_spec(configuration, "v0.2.0", id="drawn", version="1"))


def test_chips_are_normalised_and_labelled(recipe: ClassifierRecipe, chips: Path) -> None:
    found = sets(recipe, chips)
    assert [len(found.sets[split]) for split in SPLITS] == [8, 4, 8]
    test = found.sets["test"]
    patch, labels = test[0]
    assert (patch.shape, patch.dtype, labels.shape) == ((6, 120, 120), torch.float32, (19,))
    with np.load(chips / test.records[0].patch_id) as stored:
        wanted = (stored["bands"][3] - 2193.2919921875) / 1369.3717041015625
    np.testing.assert_allclose(patch[5], wanted, rtol=1e-4, atol=1e-5)
    assert test.truth()[0].tolist() == (labels > 0.5).tolist()


def test_only_training_patches_are_flipped(recipe: ClassifierRecipe, chips: Path) -> None:
    found = sets(recipe, chips)
    assert [found.sets[split].flips for split in SPLITS] == [True, False, False]
    torch.manual_seed(0)
    train = found.sets["train"]
    whole, _ = replace(train, flips=False)[0]
    ways = {tuple(patch[0, [0, 0, -1, -1], [0, -1, 0, -1]].tolist()) for patch, _ in (train[0] for _ in range(40))}
    corners = whole[0, [0, 0, -1, -1], [0, -1, 0, -1]].tolist()
    assert len(ways) == 4
    assert all(sorted(way) == sorted(corners) for way in ways)


@pytest.mark.parametrize("kind", ["lmdb", "geotiffs"])
def test_files_of_bigearthnet_give_the_same_patch(
    kind: str, recipe: ClassifierRecipe, make: SimpleNamespace, tmp_path: Path
) -> None:
    table: list[dict[str, Any]] = [row | {"split": split} for row, split in zip(make.rows(1) * 3, SPLITS, strict=True)]
    table.append(table[0] | {"contains_cloud_or_shadow": True})
    make.write_metadata(tmp_path / "metadata.parquet", table)
    (make.write_lmdb if kind == "lmdb" else make.write_geotiffs)(tmp_path / "patches")
    plan = PatchesPlan(kind=kind, path="patches", metadata=("metadata.parquet",))
    found = sets(replace(recipe, patches=plan), tmp_path, "all_full")
    assert [len(found.sets[split]) for split in SPLITS] == [1, 1, 1]
    assert list(found.hashes) == ["metadata.parquet"]
    values = found.sets["test"].values(0)
    names = found.sets["test"].spec.layers
    np.testing.assert_array_equal(values[names.index("B04")], make.drawn(make.PATCH, "B04"))
    np.testing.assert_array_equal(values[names.index("B01"), ::6, ::6], make.drawn(make.PATCH, "B01"))
    np.testing.assert_array_equal(values[names.index("VH")], make.drawn(make.RADAR_PATCH, "VH"))


def test_a_split_without_patches_is_refused(recipe: ClassifierRecipe, make: SimpleNamespace, tmp_path: Path) -> None:
    make.write_metadata(tmp_path / "metadata.parquet")
    plan = PatchesPlan(kind="lmdb", metadata=("metadata.parquet",))
    with pytest.raises(TrainingError, match="expected patches of the split 'validation', got none"):
        sets(replace(recipe, patches=plan), tmp_path)
