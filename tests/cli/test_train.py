"""`undercast train` trains a recipe and prints where its package is; what is wrong is told in one line."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from undercast.cli.app import main
from undercast.models.package import read_package
from undercast.training import loop

make = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "chips" / "make.py")))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    make.write_folder(tmp_path / "chips")
    return tmp_path / "chips"


def train(recipe: Path, data: Path, out: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["train", str(recipe), "--data", str(data), "-o", str(out), *words])


def test_train_writes_a_package_and_prints_its_place(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "VALIDATION_CHIPS", 2)
    recipe = make.write_recipe(tmp_path / "tiny.toml", steps="2", warmup="0")
    out = tmp_path / "tiny"
    result = train(recipe, data, out, "--work", str(tmp_path / "work"))
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out}\n"
    assert result.stderr == ""
    assert read_package(out).spec.id == "tiny"
    assert (tmp_path / "work" / "all" / "log.jsonl").exists()
    again = train(recipe, data, out)
    assert again.exit_code == 2
    assert again.stderr.startswith(f"OutputExistsError: model package {out} exists already.")


@pytest.mark.parametrize("option", ["-o", "--work", "--ensemble"])
def test_a_place_that_cannot_be_written_is_told_before_anything_is_computed(
    data: Path, tmp_path: Path, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("undercast.training.run.make_pools", lambda *_: pytest.fail("computed"))
    (tmp_path / "file").touch()
    recipe = make.write_recipe(tmp_path / "tiny.toml", leave_out="[]\nfolds = 2")
    result = train(recipe, data, tmp_path / "out", option, str(tmp_path / "file" / "new"))
    assert result.exit_code == 1
    assert result.stderr.startswith("OutputError: expected a folder at ")
    assert not (tmp_path / "out").exists()


def test_a_wrong_recipe_is_told_in_one_line(data: Path, tmp_path: Path) -> None:
    recipe = make.write_recipe(tmp_path / "tiny.toml", crop="40")
    result = train(recipe, data, tmp_path / "out")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "[augment]: crop must be a multiple of 32 px, got 40." in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("device", ["nope", "meta", "cuda:99"])
def test_a_device_that_is_not_here_is_told_in_one_line(data: Path, tmp_path: Path, device: str) -> None:
    result = train(make.write_recipe(tmp_path / "tiny.toml"), data, tmp_path / "out", "--device", device)
    assert result.exit_code == 2
    assert result.stderr.startswith("UsageError: --device: expected one that PyTorch sees here, cpu")
    assert result.stderr.endswith(f"got '{device}'. Try --device cpu\n")
    assert result.stderr.count("\n") == 1


def test_missing_data_are_told_in_one_line(tmp_path: Path) -> None:
    result = train(make.write_recipe(tmp_path / "tiny.toml"), tmp_path / "gone", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.startswith("TrainingError: expected ")
    assert result.stderr.count("\n") == 1


def test_without_torch_the_pip_line_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    result = train(tmp_path / "recipe.toml", tmp_path, tmp_path / "out")
    assert result.exit_code == 1
    assert "Try: pip install 'undercast[train]'" in result.stderr


def test_train_is_listed_with_the_other_commands() -> None:
    assert "train " in CliRunner().invoke(main, ["--help"]).output


def test_a_recipe_of_a_classifier_is_trained_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Path(__file__).parents[2] / "recipes" / "bigearthnet.toml"
    result = train(recipe, tmp_path, tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"TrainingError: expected {tmp_path / 'manifest.json'}")
    assert train(recipe, tmp_path, tmp_path / "out", "--judge-by", str(tmp_path)).exit_code == 2
    monkeypatch.setitem(sys.modules, "lightning", None)
    assert "Try: pip install 'undercast[scenes]'" in train(recipe, tmp_path, tmp_path / "out").stderr
