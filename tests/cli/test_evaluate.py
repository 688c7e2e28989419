from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from undercast.evaluation.packages import met_data
from undercast.models.package import read_package

Cli = Callable[..., Result]
DRAWN = runpy.run_path(str(Path(__file__).parents[1] / "data" / "references" / "make.py"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with five small scenes."""
    masks = {f"scene_{number}": DRAWN["stripes"](codes=(0, 1, 3)) for number in range(5)}
    folder: Path = DRAWN["write_folder"](tmp_path / "data", masks)
    return folder


def test_a_model_is_evaluated_to_a_table(cli: Cli, package: Path, data: Path) -> None:
    result = cli("evaluate", package, "--data", data, "--replicates", 20)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["predictor", "tiny", "1.0.0"]
    assert any(line.split()[:2] == ["overall", "5"] and "[" in line for line in lines)
    assert any(line.startswith("drawn") for line in lines)


def test_json_is_the_report_in_one_line(cli: Cli, package: Path, data: Path) -> None:
    result = cli("evaluate", package, "--data", data, "--json", "--replicates", 20, "--protocol", "cnes")
    report = json.loads(result.stdout)
    assert (report["kind"], report["protocol"]["id"]) == ("undercast-evaluation", "cnes")
    for figures in (report["overall"], report["strata"]["source"]["drawn"]["figures"]):
        for name in ("cloud_precision", "cloud_recall", "cloud_f1", "cloud_f2", "cloud_iou", "shadow_f1"):
            assert figures[name]["low"] <= figures[name]["value"] <= figures[name]["high"]


def test_a_report_is_written_as_json_markdown_and_page_and_not_replaced_by_accident(
    cli: Cli, package: Path, data: Path, tmp_path: Path
) -> None:
    words = ("evaluate", package, "--data", data, "-o", tmp_path / "report", "--replicates", 20)
    assert cli(*words).exit_code == 0
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == ["report.html", "report.json", "report.md"]
    again = cli(*words)
    assert again.exit_code == 2
    assert again.stderr.startswith("OutputExistsError: ")
    assert cli(*words, "--overwrite").exit_code == 0


def test_an_operating_point_is_taken_by_its_name(cli: Cli, package: Path, data: Path) -> None:
    result = cli("evaluate", package, "--data", data, "--preset", "nonsense")
    assert result.exit_code == 2
    assert "preset 'nonsense' is not known" in result.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "expected --data DATA"),
        (("--data", "missing"), "expected a folder with manifest.json"),
        (("--data", "missing", "--protocol", "nonsense"), "protocol 'nonsense' is not known"),
    ],
)
def test_bad_input_is_one_line(cli: Cli, package: Path, words: tuple[str, ...], told: str) -> None:
    result = cli("evaluate", package, *words)
    assert result.exit_code in {1, 2}
    assert told in result.stderr
    assert result.stderr.count("\n") == 1


def test_stress_is_put_into_the_report(cli: Cli, package: Path, data: Path, tmp_path: Path) -> None:
    result = cli("evaluate", package, "--data", data, "--stress", "--json", "--replicates", 5)
    assert result.exit_code == 0, result.stderr
    rows = json.loads(result.stdout)["stress"]
    assert {"degradation", "severity", "unit", "figures", "loss"} <= set(rows[0])


def test_a_report_becomes_part_of_a_package(cli: Cli, package: Path, data: Path, tmp_path: Path) -> None:
    new = tmp_path / "released"
    result = cli("evaluate", package, "--data", data, "--replicates", 20, "--package", new)
    assert result.exit_code == 0, result.stderr
    record = json.loads((new / "evaluation.json").read_text("utf-8"))
    assert record["report"]["kind"] == "undercast-evaluation"
    assert "## Evaluation on data, protocol pixel" in (new / "card.md").read_text("utf-8")
    assert cli("calibrate", new, "--data", data, "-o", tmp_path / "again").exit_code == 1


def test_an_earlier_report_stays_in_the_record(cli: Cli, package: Path, data: Path, tmp_path: Path) -> None:
    other = DRAWN["write_folder"](tmp_path / "other", {"b": DRAWN["stripes"](codes=(0, 1, 1, 3))})
    words = ("--replicates", 20, "--package")
    assert cli("evaluate", package, "--data", data, *words, tmp_path / "once").exit_code == 0
    first = met_data(read_package(tmp_path / "once")).evaluated
    assert cli("evaluate", tmp_path / "once", "--data", other, *words, tmp_path / "twice").exit_code == 0
    second = met_data(read_package(tmp_path / "twice")).evaluated
    assert first < second
    assert cli("calibrate", tmp_path / "twice", "--data", data, "-o", tmp_path / "tuned").exit_code == 1
    assert cli("models", "card", tmp_path / "twice", "--check").exit_code == 0


def test_some_bands_can_be_shown_alone_and_the_report_says_which(cli: Cli, package: Path, data: Path) -> None:
    words = ("evaluate", package, "--data", data, "--json", "--replicates", 20)
    result = cli(*words, "--bands", "red,green,blue")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["data"]["name"] == "data (red, green, blue alone)"
    assert json.loads(result.stdout)["data"]["hash"] == json.loads(cli(*words).stdout)["data"]["hash"]
    unknown = cli(*words, "--bands", "red,ultraviolet")
    assert unknown.exit_code == 2
    assert "band 'ultraviolet' is not a known common name" in unknown.stderr


@pytest.mark.parametrize("option", ["--output", "--package"])
def test_a_place_that_cannot_be_written_is_told_before_anything_is_computed(
    cli: Cli, package: Path, data: Path, tmp_path: Path, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("undercast.evaluation.evaluate.evaluate", lambda *_, **__: pytest.fail("computed"))
    (tmp_path / "file").touch()
    result = cli("evaluate", package, "--data", data, option, tmp_path / "file" / "new")
    assert result.exit_code == 1
    assert result.stderr.startswith("OutputError: expected a folder at ")
    assert result.stderr.count("\n") == 1


def test_only_a_package_can_be_written_again_which_is_told_first(cli: Cli, data: Path, tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    result = cli("evaluate", f"scl={tmp_path / 'masks'}", "--data", data, "--package", tmp_path / "new")
    assert result.exit_code == 2
    assert "--package: expected a model package, got scl" in result.stderr
