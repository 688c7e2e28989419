"""`undercast models lint` and `undercast models repair` from end to end."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from click.testing import Result

make = SimpleNamespace(
    **runpy.run_path(str(Path(__file__).parents[1] / "data" / "models" / "make_dialects.py")),
)


Run = Callable[..., "Result"]


@pytest.fixture
def item(tmp_path: Path) -> Path:
    path = tmp_path / "item.json"
    path.write_text(json.dumps(make.fdr4vgt_item()))
    return path


def test_lint_lists_the_defects_and_fails(cli: Run, item: Path) -> None:
    result = cli("models", "lint", item)
    assert result.exit_code == 1
    assert "properties/mlm:tasks/1" in result.stdout
    assert "$defs/AnyBandsRef" in result.stdout
    assert result.stdout.endswith(f"{item}: 7 errors, 13 warnings\n")


def test_lint_gives_json(cli: Run, item: Path) -> None:
    result = cli("models", "lint", item.parent, "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["item"], told["errors"], told["warnings"]) == (1, str(item), 7, 13)
    assert set(told["defects"][0]) == {"severity", "code", "where", "rule", "message"}


def test_lint_of_an_item_without_defects_succeeds(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "item.json").write_text(json.dumps(make.plain_item()))
    result = cli("models", "lint", tmp_path)
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path / 'item.json'}: 0 errors, 0 warnings\n")


def test_repair_writes_a_valid_item_and_lists_what_it_did(cli: Run, item: Path) -> None:
    new = item.with_name("new.json")
    result = cli("models", "repair", item, "-o", new)
    assert result.exit_code == 0
    assert "assumed" in result.stdout
    assert result.stdout.endswith(f"{new}: 0 errors, 3 warnings\n")
    assert json.loads(cli("models", "lint", new, "--json").stdout)["errors"] == 0


def test_repair_gives_json_and_takes_a_version(cli: Run, item: Path) -> None:
    new = item.with_name("new.json")
    told = json.loads(cli("models", "repair", item, "-o", new, "--mlm", "1.5.2", "--json").stdout)
    assert (told["item"], len(told["assumptions"]), len(told["left"])) == (str(new), 5, 3)
    assert "mlm/v1.5.2" in json.loads(new.read_text())["stac_extensions"][0]


@pytest.mark.parametrize(
    ("text", "words"), [("{", "is not JSON"), ("[]", "expected a JSON object"), (" " * 5_000_000, "at most 4194304")]
)
def test_what_is_no_item_is_one_line(cli: Run, tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "item.json").write_text(text)
    for command in (("lint", tmp_path), ("repair", tmp_path, "-o", tmp_path / "new.json")):
        result = cli("models", *command)
        assert result.exit_code == 1
        assert words in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_what_is_not_there_is_a_usage_error(cli: Run, tmp_path: Path) -> None:
    assert cli("models", "lint", tmp_path / "gone.json").exit_code == 2


def test_repair_never_replaces_a_file(cli: Run, item: Path) -> None:
    result = cli("models", "repair", item, "-o", item)
    assert (result.exit_code, "exists already" in result.stderr) == (2, True)
