from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from undercast.errors import LedgerError
from undercast.lifecycle.ledger import Draft, Event, Ledger, State, append, begin_ledger
from undercast.lifecycle.states import life_of, missing

Row = tuple[Event, State, str]


def ledger_of(path: Path, *rows: Row) -> Ledger:
    """Write entries; the last part of each is the version of the model."""

    def draft(row: Row) -> Draft:
        event, state, version = row
        facts: dict[str, Any] = {"model": {"id": "tiny", "version": version, "weights": {"one": f"1220{version}"}}}
        if event == "opened":
            facts["samples"] = [{"name": "a"}, {"name": "b"}]
        if state == "MONITORING" and event == "promoted":
            facts["drift_reference"] = {"bands": {}}
        return Draft(event=event, state=state, facts=facts)

    ledger = begin_ledger(path, draft(rows[0]), by="Ada")
    return append(ledger, [draft(row) for row in rows[1:]], by="Ada") if rows[1:] else ledger


UP: tuple[Row, ...] = (
    ("begun", "DEVELOPMENT", "1"),
    ("promoted", "COMMISSIONING", "1"),
    ("promoted", "PRODUCTION", "2"),
    ("promoted", "MONITORING", "2"),
)


def test_a_life_is_followed_from_entry_to_entry(tmp_path: Path) -> None:
    life = life_of(ledger_of(tmp_path / "life", *UP, ("monitored", "MONITORING", "2"), ("opened", "MONITORING", "2")))
    assert (life.state, life.next_state, life.opened, len(life.samples)) == ("MONITORING", None, True, 2)
    assert (life.model["version"], list(life.versions)) == ("2", ["1", "2"])
    assert life.drift_reference == {"bands": {}}


def test_a_retraining_closes_what_is_open_and_forgets_what_drift_was_measured_against(tmp_path: Path) -> None:
    rows: tuple[Row, ...] = (*UP, ("opened", "MONITORING", "2"), ("retrained", "DEVELOPMENT", "3"))
    life = life_of(ledger_of(tmp_path / "life", *rows))
    assert (life.state, life.opened, life.samples, life.drift_reference) == ("DEVELOPMENT", False, (), None)
    assert list(life.versions) == ["1", "2", "3"]


def test_a_refused_promotion_changes_nothing(tmp_path: Path) -> None:
    life = life_of(ledger_of(tmp_path / "life", UP[0], ("refused", "DEVELOPMENT", "9")))
    assert (life.state, life.model["version"], list(life.versions)) == ("DEVELOPMENT", "1", ["1"])


@pytest.mark.parametrize(
    ("rows", "number"),
    [
        ((("promoted", "COMMISSIONING", "1"),), 1),
        ((UP[0], ("begun", "DEVELOPMENT", "1")), 2),
        ((UP[0], ("promoted", "PRODUCTION", "1")), 2),
        ((UP[0], ("monitored", "DEVELOPMENT", "1")), 2),
        ((UP[0], UP[1], ("retrained", "DEVELOPMENT", "2")), 3),
        ((*UP, ("promoted", "MONITORING", "2")), 5),
        ((*UP, ("refused", "PRODUCTION", "2")), 5),
        ((*UP, ("opened", "DEVELOPMENT", "2")), 5),
    ],
)
def test_a_chain_that_holds_but_tells_an_impossible_step_is_refused(
    tmp_path: Path, rows: tuple[Row, ...], number: int
) -> None:
    with pytest.raises(LedgerError, match=f"entry {number} "):
        life_of(ledger_of(tmp_path / "life", *rows))


def test_an_entry_that_names_no_model_is_refused(tmp_path: Path) -> None:
    ledger = begin_ledger(tmp_path / "life", Draft(event="begun", state="DEVELOPMENT", facts={}), by="Ada")
    with pytest.raises(LedgerError, match="names no model"):
        life_of(ledger)


@pytest.mark.parametrize("samples", [None, "many", ["a"]])
def test_a_retraining_that_lists_no_samples_is_refused(tmp_path: Path, samples: object) -> None:
    draft = Draft(event="opened", state="MONITORING", facts={"samples": samples})
    with pytest.raises(LedgerError, match="entry 5 lists no samples"):
        life_of(append(ledger_of(tmp_path / "life", *UP), [draft], by="Ada"))


@pytest.mark.parametrize(("steps", "word"), [(1, "COMMISSIONING"), (3, "--scenes"), (4, "life monitor")])
def test_what_is_missing_names_the_next_step(tmp_path: Path, steps: int, word: str) -> None:
    assert word in " ".join(missing(life_of(ledger_of(tmp_path / "life", *UP[:steps])), "FILE"))


def test_an_open_retraining_is_what_is_missing(tmp_path: Path) -> None:
    life = life_of(ledger_of(tmp_path / "life", *UP, ("opened", "MONITORING", "2")))
    assert "2 more samples" in missing(life, "FILE")[0]
