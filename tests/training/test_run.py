"""From a recipe to a package that can be read and that says what it was made of."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from undercast.errors import OutputExistsError, TrainingError, UsageError
from undercast.model_spec import ModelSpec
from undercast.models.package import read_package
from undercast.training import bank, loop
from undercast.training.bank import BankPlan
from undercast.training.chips import Chip, file_hash
from undercast.training.recipe import LastPlan, Recipe
from undercast.training.run import Places, run, spec_of


@pytest.fixture(scope="module")
def told() -> list[tuple[str, int, int]]:
    return []


@pytest.fixture(scope="module")
def package(
    recipe: Recipe, chips: Path, told: list[tuple[str, int, int]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Train the tiny recipe once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "VALIDATION_CHIPS", 4)
        out = tmp_path_factory.mktemp("run") / "tiny"
        return run(recipe, chips, Places(package=out), progress=lambda *values: told.append(values))


def test_the_package_can_be_read_and_holds_the_recipes_spec(package: Path, recipe: Recipe) -> None:
    read = read_package(package)
    assert read.spec == replace(spec_of(recipe, read.spec.presets), working_bytes=read.spec.working_bytes)
    assert 4 * len(recipe.bands) < read.spec.working_bytes < ModelSpec(id="", version="", bands=()).working_bytes
    assert set(read.spec.presets) == {"balanced", "f2"}
    assert [band.required for band in read.spec.bands] == [False, True, True, False]
    assert len(read.members) == 1


def test_its_weights_run_and_give_probabilities(package: Path) -> None:
    (weights,) = package.rglob("*.onnx")
    session = onnxruntime.InferenceSession(weights.read_bytes(), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"reflectance": np.full((1, 4, 64, 32), 0.2, np.float32)})
    assert got.shape == (1, 4, 64, 32)
    np.testing.assert_allclose(got.sum(axis=1), 1.0, atol=1e-5)


def test_the_evaluation_record_says_what_the_weights_depend_on(package: Path, recipe: Recipe, chips: Path) -> None:
    record = json.loads((package / "evaluation.json").read_text("utf-8"))
    assert record["recipe"]["optimise"]["steps"] == recipe.optimise.steps
    assert record["data_sha256"]["human.npz"] == file_hash(chips / "human.npz")
    assert "weak.npz" not in record["data_sha256"]
    assert record["chips"]["simulated"] == 6
    assert record["calibration"]["temperature"] > 0
    assert set(record["made_with"]) == {"undercast", "torch", "numpy", "python", "machine"}


def test_the_card_names_each_source_and_its_licence(package: Path) -> None:
    (card,) = package.glob("*.md")
    text = card.read_text("utf-8")
    for source, licence in (("drawn_l8", "CC0-1.0"), ("drawn_clear", "CC-BY-4.0"), ("drawn_s2", "not stated")):
        assert re.search(rf"\| {source} \| \d+ \| {licence} \|", text)
    assert "drawn_weak" not in text
    assert "drawn_unlabelled" not in text


def test_progress_is_told_from_simulating_to_exporting(package: Path, told: list[tuple[str, int, int]]) -> None:
    assert list(dict.fromkeys(what for what, _, _ in told)) == ["simulating", "training", "exporting"]
    assert ("training", 12, 12) in told
    assert told[-1] == ("exporting", 1, 1)


def test_the_log_and_the_checkpoint_lie_beside_the_package(package: Path) -> None:
    work = package.with_name("tiny.work")
    assert {path.name for path in (work / "all").iterdir()} == {"log.jsonl", "checkpoint.pt"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_folds_are_trained_from_the_same_start_judged_by_what_they_have_not_seen_and_packed_as_an_ensemble(
    recipe: Recipe, chips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    monkeypatch.setattr(loop, "VALIDATION_CHIPS", 2)
    folded = replace(
        recipe,
        data=replace(recipe.data, folds=2, fold_steps=2, paste=0.5),
        optimise=replace(recipe.optimise, steps=3, pretrain_steps=3),
    )
    places = Places(package=tmp_path / "one", ensemble=tmp_path / "all", work=tmp_path / "work")
    package = run(folded, chips, places, jobs=jobs)
    assert {path.name for path in (tmp_path / "work").iterdir()} == {"pretrain", "fold-1", "fold-2", "all"}
    lines = (tmp_path / "work" / "fold-2" / "log.jsonl").read_text("utf-8").splitlines()
    assert json.loads(lines[-1])["step"] == 2
    ensemble = read_package(tmp_path / "all")
    assert ensemble.spec.id == "tiny-ensemble"
    assert [member.name for member in ensemble.members] == ["member-1", "member-2", "member-3"]
    assert len({member.checksum for member in ensemble.members}) == 3
    record = json.loads((package / "evaluation.json").read_text("utf-8"))
    for preset in ("balanced", "f2"):
        assert record["held_out"][preset]["clear"]["scenes"] == 2
        assert "drawn_l8: all" in record["held_out"][preset]["labelled"]


def test_in_a_last_stage_every_network_goes_on_at_its_rate_on_chips_of_its_own_seed(
    recipe: Recipe, chips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "VALIDATION_CHIPS", 2)
    simulated = []
    make = bank.make_bank

    def told(plan: BankPlan, *args: Any, **kwargs: Any) -> list[Chip]:
        simulated.append((plan.seed, plan.simulated))
        return make(plan, *args, **kwargs)

    monkeypatch.setattr(loop, "make_bank", told)
    last = LastPlan(steps=3, fold_steps=2, learning_rate=1e-5, warmup=0, seed=7, simulated=2)
    staged = replace(recipe, data=replace(recipe.data, folds=2, fold_steps=2), last=last)
    work = tmp_path / "work"
    package = run(staged, chips, Places(package=tmp_path / "one", work=work))
    assert (7, 2) in simulated
    for name, steps in (("all", 3), ("fold-1", 2), ("fold-2", 2)):
        first, second = (
            torch.load(folder / name / "checkpoint.pt", weights_only=True)["network"]
            for folder in (work, work / "last")
        )
        changed = max(float((second[key] - first[key]).abs().max()) for key in first if first[key].is_floating_point())
        assert changed > 0
        (line,) = (work / "last" / name / "log.jsonl").read_text("utf-8").splitlines()
        assert json.loads(line)["step"] == steps
        assert json.loads(line)["rate"] <= 1e-5
    record = json.loads((package / "evaluation.json").read_text("utf-8"))
    assert record["recipe"]["last"]["steps"] == 3


def test_an_ensemble_without_folds_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="folds of at least 2"):
        run(recipe, tmp_path, Places(package=tmp_path / "one", ensemble=tmp_path / "all"))


def test_an_existing_package_is_refused_before_anything_is_done(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(OutputExistsError, match="exists already"):
        run(recipe, tmp_path / "no data", Places(package=tmp_path))


def test_an_unknown_architecture_is_refused_before_anything_is_done(recipe: Recipe, tmp_path: Path) -> None:
    other = replace(recipe, model=replace(recipe.model, architecture="u-network"))
    with pytest.raises(UsageError, match="architecture 'u-network' is not known"):
        run(other, tmp_path / "no data", Places(package=tmp_path / "out"))


def test_a_folder_without_chips_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"manifest\.json"):
        run(recipe, tmp_path, Places(package=tmp_path / "out"))
