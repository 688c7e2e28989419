from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

Cli = Callable[..., Result]
DRAWN = runpy.run_path(str(Path(__file__).parents[1] / "data" / "references" / "make.py"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with five small scenes, and masks of a processor that calls everything clear."""
    masks = {f"scene_{number}": DRAWN["stripes"](codes=(0, 1, 3)) for number in range(5)}
    folder: Path = DRAWN["write_folder"](tmp_path / "data", masks)
    for name in masks:
        DRAWN["write_raster"](folder / f"{name}.tif", np.full((1, 32, 32), 4, np.uint8))
    return folder


def test_a_model_is_compared_with_a_processor(cli: Cli, package: Path, data: Path) -> None:
    result = cli("compare", f"scl={data}", package, "--data", data, "--json", "--replicates", 50)
    assert result.exit_code == 0, result.stderr
    (comparison,) = json.loads(result.stdout)
    rows = {row["figure"]: row for row in comparison["overall"]}
    assert (comparison["first"]["id"], comparison["second"]["id"]) == ("scl", "tiny")
    assert rows["cloud_recall"]["verdict"] == "better"
    assert rows["cloud_recall"]["low"] > 0


def test_the_table_has_the_verdict_in_words(cli: Cli, package: Path, data: Path) -> None:
    result = cli("compare", package, package, "--data", data, "--replicates", 20)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("tiny against tiny, protocol pixel\n")
    assert "noise" in result.stdout


def test_reports_stand_for_what_they_judged(cli: Cli, package: Path, data: Path, tmp_path: Path) -> None:
    for protocol in ("pixel", "cnes"):
        words = ("--data", data, "--replicates", 5, "--protocol", protocol, "-o", tmp_path / protocol)
        assert cli("evaluate", package, *words).exit_code == 0
    assert cli("compare", tmp_path / "pixel", tmp_path / "pixel" / "report.json").exit_code == 0
    refused = cli("compare", tmp_path / "pixel", tmp_path / "cnes")
    assert refused.exit_code == 1
    assert "expected reports of one protocol, got pixel and cnes" in refused.stderr


def test_what_is_not_there_is_told_before_anything_is_evaluated(
    cli: Cli, package: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[object] = []
    monkeypatch.setattr("undercast.evaluation.evaluate.evaluate", judged.append)
    result = cli("compare", package, "no-such-model", "--data", data)
    assert (result.exit_code, judged) == (2, [])
    assert "model 'no-such-model' is not known" in result.stderr


def test_one_alone_is_refused(cli: Cli, package: Path) -> None:
    result = cli("compare", package, "--data", "x")
    assert result.exit_code == 2
    assert "expected two or more to compare" in result.stderr
