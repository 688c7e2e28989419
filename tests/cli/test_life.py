"""`undercast life`: each step by its command, and what is wrong in one line."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import Result

Cli = Callable[..., Result]
DRAWN = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "references" / "make.py")))
KEPT = '[[rules]]\nfigure = "cloud_recall"\nmin = 0.5\n'


@pytest.fixture
def model(make: SimpleNamespace, tmp_path: Path) -> Path:
    """A package that says what it was trained on."""
    weights = {"one": make.brightness_network()}
    written: Path = make.write_package(
        tmp_path / "model", make.tiny_spec(), weights, replace(make.tiny_details(), evaluation={"data_sha256": {}})
    )
    return written


@pytest.fixture
def report(cli: Cli, model: Path, tmp_path: Path) -> Path:
    masks = {f"scene_{number}": DRAWN.stripes(codes=(0, 1, 3)) for number in range(2)}
    data = DRAWN.write_folder(tmp_path / "data", masks)
    assert cli("evaluate", model, "--data", data, "-o", tmp_path / "report", "--replicates", 20).exit_code == 0
    return tmp_path / "report"


def gate(folder: Path, text: str = KEPT) -> Path:
    path = folder / "gate.toml"
    path.write_text(text)
    return path


def refused(result: Result, status: int = 1) -> str:
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_a_model_is_taken_from_development_to_a_failed_monitoring_and_a_retraining(
    cli: Cli, make: SimpleNamespace, model: Path, report: Path, tmp_path: Path
) -> None:
    ledger, data = tmp_path / "life.jsonl", tmp_path / "data"
    begun = cli("life", "begin", model, "--ledger", ledger, "--by", "Ada")
    assert begun.exit_code == 0, begun.stderr
    assert "DEVELOPMENT" in begun.stdout
    step = ("life", "promote", model, "--ledger", ledger, "--report", report, "--gate", gate(tmp_path))
    for state, more in (("COMMISSIONING", ()), ("PRODUCTION", ()), ("MONITORING", ("--scenes", data))):
        promoted = cli(*step, *more)
        assert promoted.exit_code == 0, promoted.stderr
        assert "cloud_recall >= 0.5" in promoted.stdout
        assert state in promoted.stdout
    strict = tmp_path / "strict.toml"
    strict.write_text('[[rules]]\nfigure = "band_psi"\nmax = 0.1\n' + KEPT.replace("0.5", "1.0"))
    watch = ("--ledger", ledger, "--gate", strict, "--data", data, "-o", tmp_path / "out", "--json")
    monitored = cli("life", "monitor", model, *watch)
    assert monitored.exit_code == 1, monitored.stderr
    told = json.loads(monitored.stdout)
    assert (told["state"], told["retraining_open"], len(told["samples"])) == ("MONITORING", True, 2)
    status = cli("life", "status", "--ledger", ledger, "--head", told["head"])
    assert "a retraining is open" in status.stdout
    page = cli("life", "page", "--ledger", ledger, "-o", tmp_path / "life.html")
    assert page.stdout == f"{tmp_path / 'life.html'}\n"
    details = replace(make.tiny_details(), evaluation={"data_sha256": {}})
    weights = {"one": make.network_bytes(3, 4)}
    new = make.write_package(tmp_path / "new", make.tiny_spec(version="2.0.0"), weights, details)
    retrained = cli("life", "retrain", new, "--ledger", ledger)
    assert retrained.exit_code == 0, retrained.stderr
    assert "tiny 2.0.0" in retrained.stdout
    assert "DEVELOPMENT" in retrained.stdout


def test_a_ledger_that_was_edited_by_hand_is_refused_in_one_line(cli: Cli, model: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "life.jsonl"
    cli("life", "begin", model, "--ledger", ledger, "--by", "Ada")
    ledger.write_text(ledger.read_text().replace("DEVELOPMENT", "PRODUCTION"))
    for words in (("status",), ("page", "-o", tmp_path / "x.html"), ("promote", model), ("retrain", model)):
        told = refused(cli("life", *words, "--ledger", ledger))
        assert told.startswith(f"LedgerError: ledger {ledger}: entry 1 was changed")
    assert not (tmp_path / "x.html").exists()


def test_promote_without_a_report_is_refused_in_one_line(cli: Cli, model: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "life.jsonl"
    cli("life", "begin", model, "--ledger", ledger)
    told = refused(cli("life", "promote", model, "--ledger", ledger, "--gate", gate(tmp_path)))
    assert told.startswith("TransitionError: expected a report for COMMISSIONING, got none")
    assert "undercast evaluate" in told


def test_a_failed_gate_exits_with_1_and_says_which_rule(cli: Cli, model: Path, report: Path, tmp_path: Path) -> None:
    ledger, strict = tmp_path / "life.jsonl", gate(tmp_path, KEPT.replace("0.5", "1.0"))
    cli("life", "begin", model, "--ledger", ledger)
    result = cli("life", "promote", model, "--ledger", ledger, "--report", report, "--gate", strict)
    assert result.exit_code == 1
    assert "FAILED" in result.stdout
    assert "DEVELOPMENT" in result.stdout


def test_a_head_that_the_ledger_has_not_tells_that_it_was_cut(cli: Cli, model: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "life.jsonl"
    cli("life", "begin", model, "--ledger", ledger)
    assert "cut or written anew" in refused(cli("life", "status", "--ledger", ledger, "--head", "ab" * 32))


def test_the_page_does_not_take_the_ledgers_place(cli: Cli, model: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "life.jsonl"
    cli("life", "begin", model, "--ledger", ledger)
    before = ledger.read_bytes()
    assert "another file for the page" in refused(cli("life", "page", "--ledger", ledger, "-o", ledger), status=2)
    assert ledger.read_bytes() == before


def test_a_page_is_replaced_only_where_that_is_said(cli: Cli, model: Path, tmp_path: Path) -> None:
    ledger, page = tmp_path / "life.jsonl", tmp_path / "life.html"
    cli("life", "begin", model, "--ledger", ledger)
    page.write_text("mine")
    assert "--overwrite" in refused(cli("life", "page", "--ledger", ledger, "-o", page), status=2)
    assert page.read_text() == "mine"
    assert cli("life", "page", "--ledger", ledger, "-o", page, "--overwrite").exit_code == 0
    assert page.read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("begin", "MODEL", "--by", "a\nb"), "printable characters"),
        (("monitor", "MODEL", "-o", "out"), "expected --gate"),
        (("retrain", "MODEL", "--recipe", "r.toml"), "--recipe and --data together"),
    ],
)
def test_wrong_usage_is_one_line_with_status_2(
    cli: Cli, model: Path, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    words = tuple(str(model) if word == "MODEL" else word for word in words)
    assert told in refused(cli("life", *words, "--ledger", tmp_path / "life.jsonl"), status=2)


def test_who_is_the_account_unless_somebody_is_named(
    cli: Cli, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "grace")
    assert "grace" in cli("life", "begin", model, "--ledger", tmp_path / "a.jsonl").stdout

    def nobody() -> str:
        raise OSError("no such account")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert "Give --by NAME" in refused(cli("life", "begin", model, "--ledger", tmp_path / "b.jsonl"), status=2)
