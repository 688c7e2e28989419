"""From a recipe to a package and a hub folder: the record says what was done, and the network is the one judged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from undercast.classification.classifier import load_classifier
from undercast.classification.package import read_classifier
from undercast.errors import OutputExistsError
from undercast.scene_labels import load_nomenclature
from undercast.training.bigearthnet import hub
from undercast.training.bigearthnet.data import make_sets
from undercast.training.bigearthnet.fit import fit
from undercast.training.bigearthnet.recipe import ClassifierRecipe, read_classifier_recipe
from undercast.training.bigearthnet.run import evaluate, run_classifier, spec_of

SHIPPED = Path(__file__).parents[3] / "recipes" / "bigearthnet.toml"


@pytest.fixture(scope="module")
def recipe(make: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> ClassifierRecipe:
    return read_classifier_recipe(make.write_recipe(tmp_path_factory.mktemp("recipe") / "recipe.toml", epochs="4"))


@pytest.fixture(scope="module")
def package(recipe: ClassifierRecipe, chips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "drawn"
    told: list[str] = []
    got = run_classifier(recipe, chips, out, progress=lambda what, _done, _total: told.append(what))
    assert got == out
    assert told[0] == "training"
    return got


@pytest.fixture(scope="module")
def record(package: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((package / "evaluation.json").read_text("utf-8"))
    return found


def test_water_is_told_from_forest(record: dict[str, Any]) -> None:
    assert record["scored_labels"] == ["Coniferous forest", "Inland waters"]
    assert record["scores"]["AP_macro"]["value"] > 0.95
    assert record["baseline"]["margins"]["AP_macro"]["low"] > 0.0


def test_the_record_says_what_was_done(record: dict[str, Any]) -> None:
    assert record["kind"] == "scene-classification"
    assert record["labels"] == list(load_nomenclature().labels)
    assert record["data"]["counts"] == {"train": 8, "validation": 4, "test": 8}
    assert record["data"]["licences"] == {"drawn": "CC0-1.0"}
    assert len(record["data"]["sha256"]) == 20
    assert len(record["data_sha256"]) == 12
    training = record["training"]
    assert (training["batch"], training["seed"], training["warmup"], training["steps"]) == (4, 1, 0, 8)
    assert 1 <= training["best_epoch"] <= training["epochs_run"] <= 4
    assert record["interval"]["unit"] == "patch"


def test_the_log_has_a_line_for_each_epoch(package: Path, record: dict[str, Any]) -> None:
    lines = (package.with_name("drawn.work") / "log.jsonl").read_text("utf-8").splitlines()
    assert len(lines) == record["training"]["epochs_run"]
    best = max(json.loads(line)["val/MultilabelAveragePrecision_macro"] for line in lines)
    assert best == pytest.approx(record["training"]["best_validation_AP_macro"], abs=1e-5)


def test_package_and_hub_folder_give_the_scores_on_record(
    package: Path, record: dict[str, Any], recipe: ClassifierRecipe, chips: Path
) -> None:
    test = make_sets(recipe, chips, spec_of(recipe)).sets["test"]
    packed = load_classifier(read_classifier(package))
    scores = packed.scores(test.values(0)[np.newaxis])[0]
    assert record["example"]["file"] == test.records[0].patch_id
    assert scores == pytest.approx(list(record["example"]["scores"].values()), abs=1e-4)
    fetched = hub.load_classifier(str(package.with_name("drawn.work") / "hub"))
    assert fetched.layers == packed.spec.layers
    with torch.no_grad():
        again = torch.sigmoid(fetched.classifier(test[0][0][None]))[0]
    assert again.numpy() == pytest.approx(scores, abs=1e-4)


def test_the_same_seed_gives_the_same_weights(recipe: ClassifierRecipe, chips: Path, tmp_path: Path) -> None:
    sets = make_sets(recipe, chips, spec_of(recipe)).sets
    short = replace(recipe, optimise=replace(recipe.optimise, epochs=1))
    one, other = (fit(short, sets["train"], sets["validation"], tmp_path / name).classifier for name in ("a", "b"))
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name], rtol=0, atol=0)


def test_an_existing_package_is_not_touched(recipe: ClassifierRecipe, chips: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputExistsError, match="exists already"):
        run_classifier(recipe, chips, tmp_path)


@pytest.mark.slow
def test_real_patches_are_told_better_than_by_the_frequency_of_their_labels(real_data: Path, tmp_path: Path) -> None:
    recipe = read_classifier_recipe(SHIPPED)
    found = make_sets(recipe, real_data / "train", spec_of(recipe))
    record = evaluate(recipe, found, fit(recipe, found.sets["train"], found.sets["validation"], tmp_path))
    assert record["data"]["counts"] == {"train": 45, "validation": 9, "test": 36}
    assert not {patch.patch_id for patch in found.sets["test"].records} & set(record["data_sha256"])
    for name in ("AP_macro", "AP_micro"):
        assert record["baseline"]["margins"][name]["low"] > 0.0
