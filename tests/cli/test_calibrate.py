from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Cli = Callable[..., Result]
DRAWN = runpy.run_path(str(Path(__file__).parents[1] / "data" / "references" / "make.py"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with three small scenes."""
    masks = {f"scene_{number}": DRAWN["stripes"](codes=(0, 1, 3)) for number in range(3)}
    folder: Path = DRAWN["write_folder"](tmp_path / "data", masks)
    return folder


def test_a_new_version_with_presets_is_written(cli: Cli, package: Path, data: Path, tmp_path: Path) -> None:
    words = ("calibrate", package, "--data", data, "-o", tmp_path / "new", "--preset", "recall=0.9", "--json")
    result = cli(*words)
    assert result.exit_code == 0, result.stderr
    assert set(json.loads(result.stdout)["presets"]) == {"recall=0.9"}
    shown = json.loads(cli("models", "show", tmp_path / "new", "--json").stdout)
    assert shown["version"] == "1.0.1"
    assert "recall=0.9" in shown["presets"]
    assert cli(*words).exit_code == 2


def test_the_table_says_what_each_preset_reaches(cli: Cli, package: Path, data: Path, tmp_path: Path) -> None:
    result = cli("calibrate", package, "--data", data, "-o", tmp_path / "new", "--recommend", "f2")
    assert result.exit_code == 0, result.stderr
    assert "balanced" in result.stdout
    assert "cloud recall" in result.stdout


def test_test_data_are_refused(cli: Cli, package: Path, data: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    assert cli("calibrate", package, "--data", data, "-o", new).exit_code == 0
    refused = cli("evaluate", new, "--data", data)
    assert refused.exit_code == 1
    assert "calibrated on this very scene" in refused.stderr


def test_a_place_that_cannot_be_written_is_told_before_anything_is_computed(
    cli: Cli, package: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("undercast.evaluation.calibrate.calibrate", lambda *_, **__: pytest.fail("computed"))
    (tmp_path / "file").touch()
    result = cli("calibrate", package, "--data", data, "-o", tmp_path / "file" / "new")
    assert result.exit_code == 1
    assert result.stderr.startswith("OutputError: expected a folder at ")
