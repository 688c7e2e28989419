"""`undercast models card`: build a card from a package, or hold one against its record."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import Result

Cli = Callable[..., Result]

CLASSIFIERS = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "classifiers" / "make.py")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made: Path = CLASSIFIERS.tiny_classifier(tmp_path / "package")
    return made


def test_a_card_goes_to_standard_output_or_to_a_file(cli: Cli, folder: Path, tmp_path: Path) -> None:
    own = (folder / "card.md").read_text("utf-8")
    assert cli("models", "card", folder).stdout == own
    result = cli("models", "card", folder, "-o", tmp_path / "new.md")
    assert result.exit_code == 0
    assert (tmp_path / "new.md").read_text("utf-8") == own
    again = cli("models", "card", folder, "-o", tmp_path / "new.md")
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr
    assert cli("models", "card", folder, "-o", tmp_path / "new.md", "--overwrite").exit_code == 0


def test_the_model_that_comes_with_undercast_has_a_card_of_the_same_build(cli: Cli) -> None:
    result = cli("models", "card", "embedded")
    assert result.exit_code == 0
    assert "## Scores by source" in result.stdout


def test_unknown_placeholders_are_refused(cli: Cli, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "own.md").write_text("AP <AP_MACRO>, <HECTARES>\n", "utf-8")
    result = cli("models", "card", folder, "--template", tmp_path / "own.md")
    assert result.exit_code == 1
    assert "ModelError: card template: placeholders <HECTARES> are not known. Known: TITLE, " in result.stderr


def test_a_sound_card_passes_and_a_changed_one_fails(cli: Cli, folder: Path, tmp_path: Path) -> None:
    assert cli("models", "card", folder, "--check").exit_code == 0
    (tmp_path / "other.md").write_text("| AP | 0.9876 |\n| Precision | 0.9876 |\n", "utf-8")
    result = cli("models", "card", folder, "--check", "--card", tmp_path / "other.md", "--json")
    assert result.exit_code == 1
    assert [fault["code"] for fault in json.loads(result.stdout)["faults"]] == [
        *("untraceable-figure", "untraceable-figure", "precision-repeats-ap")
    ]
    words = cli("models", "card", folder, "--check", "--card", tmp_path / "other.md").stdout
    assert "precision-repeats-ap" in words
    assert words.endswith("other.md: 3 faults\n")


@pytest.mark.parametrize("arguments", [("--check", "--output", "x.md"), ("--json",), ("--card", "x.md")])
def test_options_that_contradict_each_other_are_refused(cli: Cli, folder: Path, arguments: tuple[str, ...]) -> None:
    result = cli("models", "card", folder, *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("UsageError:")
