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
def report(cli: Cli, package: Path, tmp_path: Path) -> Path:
    """A report of a tiny model on five small scenes."""
    masks = {f"scene_{number}": DRAWN["stripes"](codes=(0, 1, 3)) for number in range(5)}
    data = DRAWN["write_folder"](tmp_path / "data", masks)
    cli("evaluate", package, "--data", data, "-o", tmp_path / "report", "--replicates", 20)
    return tmp_path / "report"


def rules(folder: Path, text: str) -> Path:
    path = folder / "rules.toml"
    path.write_text(text)
    return path


def test_a_report_that_keeps_all_rules_exits_with_0(cli: Cli, report: Path, tmp_path: Path) -> None:
    path = rules(tmp_path, '[[rules]]\nfigure = "cloud_precision"\nmin = 0.5\n')
    result = cli("gate", report, "--rules", path)
    assert result.exit_code == 0, result.stderr
    assert "cloud_precision >= 0.5" in result.stdout
    assert "passed" in result.stdout


def test_a_broken_rule_exits_with_1_and_a_table(cli: Cli, report: Path, tmp_path: Path) -> None:
    kept = '[[rules]]\nfigure = "cloud_precision"\nmin = 0.5\n'
    path = rules(tmp_path, kept + '[[rules]]\nfigure = "cloud_f1"\nmin = 0.999\nby = "source"\n')
    result = cli("gate", report / "report.json", "--rules", path)
    assert result.exit_code == 1
    assert "FAILED" in result.stdout
    as_json = cli("gate", report, "--rules", path, "--json")
    assert as_json.exit_code == 1
    table = json.loads(as_json.stdout)
    assert (table["passed"], [row["passed"] for row in table["rules"]]) == (False, [True, False])


def test_wrong_rules_are_one_line(cli: Cli, report: Path, tmp_path: Path) -> None:
    result = cli("gate", report, "--rules", rules(tmp_path, "x"))
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
