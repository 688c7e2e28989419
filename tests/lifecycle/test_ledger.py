from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from undercast.errors import LedgerError, OutputError, OutputExistsError
from undercast.lifecycle import ledger as ledgers
from undercast.lifecycle.ledger import FIRST, Draft, Ledger, append, begin_ledger, canonical, check_head, read_ledger

MODEL = {"id": "tiny", "version": "1", "weights": {"one": "1220ab"}}


def draft(**facts: object) -> Draft:
    return Draft(event="refused", state="DEVELOPMENT", facts={"model": MODEL, **facts})


def written(path: Path, entries: int = 4) -> Ledger:
    first = Draft(event="begun", state="DEVELOPMENT", facts={"model": MODEL, "name": "Größe\u2028"})
    ledger = begin_ledger(path, first, by="Ada")
    return append(ledger, [draft(number=number, share=0.1 * number) for number in range(2, entries + 1)], by="Bob")


def named(path: Path) -> int:
    """Give the entry that the error names."""
    with pytest.raises(LedgerError) as error:
        read_ledger(path)
    assert "\n" not in str(error.value)
    found = re.search(r": entry (\d+) ", str(error.value))
    assert found is not None
    return int(found[1])


def test_what_was_written_is_read_and_each_entry_holds_the_hash_of_the_one_before(tmp_path: Path) -> None:
    ledger = written(tmp_path / "deep" / "life.jsonl")
    again = read_ledger(ledger.path)
    assert again == ledger
    assert [entry.previous for entry in again.entries] == [FIRST, *(entry.hash for entry in again.entries[:-1])]
    assert [entry.by for entry in again.entries] == ["Ada", "Bob", "Bob", "Bob"]
    assert len(ledger.path.read_bytes().splitlines()) == 4


@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changed_byte_is_refused_and_its_entry_is_named(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "life.jsonl"
    if not path.exists():
        written(path)
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[place]))
    other = tmp_path / "changed.jsonl"
    other.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
    assert named(other) == whole[:place].count(b"\n") + 1


@pytest.mark.parametrize(
    ("change", "first_bad"),
    [
        (lambda lines: [lines[0], lines[2], lines[3]], 2),
        (lambda lines: [lines[0], lines[2], lines[1], lines[3]], 2),
        (lambda lines: lines[1:], 1),
        (lambda lines: [*lines, lines[3]], 5),
        (lambda lines: [lines[0], lines[1], lines[2][:40], lines[3]], 3),
        (lambda lines: [*lines[:3], lines[3][:-30]], 4),
        (lambda lines: [line.replace(b"\n", b"\r\n") for line in lines], 1),
        (lambda lines: [lines[0], b"\n", *lines[1:]], 2),
        (lambda lines: [b"[" * 100_000 + b"\n", *lines[1:]], 1),
        (lambda lines: [lines[0].replace(b"undercast-life", b"undercast-else")], 1),
    ],
    ids=["removed", "moved", "begins later", "twice", "cut inside", "cut", "line ends", "empty", "deep", "other"],
)
def test_entries_that_were_removed_moved_added_or_cut_are_refused(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], first_bad: int
) -> None:
    ledger = written(tmp_path / "life.jsonl")
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    ledger.path.write_bytes(b"".join(change(lines)))
    assert named(ledger.path) == first_bad


def test_an_entry_whose_own_hash_was_computed_anew_breaks_the_chain_after_it(tmp_path: Path) -> None:
    ledger = written(tmp_path / "life.jsonl")
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    table = json.loads(lines[1]) | {"by": "Mallory"}
    table["hash"] = ledgers._hash(table)
    lines[1] = canonical(table) + b"\n"
    ledger.path.write_bytes(b"".join(lines))
    assert named(ledger.path) == 3


def test_a_number_that_is_no_whole_number_is_refused(tmp_path: Path) -> None:
    ledger = written(tmp_path / "life.jsonl", entries=1)
    table = json.loads(ledger.path.read_bytes()) | {"entry": True}
    table["hash"] = ledgers._hash(table)
    ledger.path.write_bytes(canonical(table) + b"\n")
    assert named(ledger.path) == 1


@pytest.mark.parametrize("value", [float("nan"), object()])
def test_facts_that_json_has_not_are_told_and_nothing_is_written(tmp_path: Path, value: object) -> None:
    ledger = written(tmp_path / "life.jsonl")
    before = ledger.path.read_bytes()
    with pytest.raises(LedgerError, match=r"entry 5 \(refused\): expected facts of finite numbers"):
        append(ledger, [draft(share=value)], by="Ada")
    assert ledger.path.read_bytes() == before


def test_a_kept_head_tells_that_entries_were_cut_off_at_the_end(tmp_path: Path) -> None:
    ledger = written(tmp_path / "life.jsonl")
    check_head(ledger, ledger.head)
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    ledger.path.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(LedgerError, match="cut or written anew"):
        check_head(read_ledger(ledger.path), ledger.head)


def test_a_missing_an_empty_and_a_foreign_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="is not there"):
        read_ledger(tmp_path / "life.jsonl")
    (tmp_path / "life.jsonl").touch()
    with pytest.raises(LedgerError, match="is empty"):
        read_ledger(tmp_path / "life.jsonl")
    with pytest.raises(LedgerError, match="cannot be read"):
        read_ledger(tmp_path)


def test_a_ledger_that_exists_is_not_begun_again(tmp_path: Path) -> None:
    ledger = written(tmp_path / "life.jsonl")
    before = ledger.path.read_bytes()
    with pytest.raises(OutputExistsError):
        written(ledger.path)
    assert ledger.path.read_bytes() == before


def test_a_writer_that_comes_too_late_is_refused(tmp_path: Path) -> None:
    ledger = written(tmp_path / "life.jsonl")
    append(ledger, [draft()], by="Ada")
    with pytest.raises(LedgerError, match="somebody else wrote meanwhile"):
        append(ledger, [draft()], by="Bob")
    assert len(read_ledger(ledger.path).entries) == 5


def add_entries(path: Path, wanted: int) -> None:
    done = 0
    while done < wanted:
        try:
            append(read_ledger(path), [draft()], by=str(os.getpid()))
        except LedgerError:
            continue
        done += 1


def test_two_writers_at_once_leave_a_chain_that_holds(tmp_path: Path) -> None:
    path = written(tmp_path / "life.jsonl").path
    processes = [get_context("spawn").Process(target=add_entries, args=(path, 5)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(read_ledger(path).entries) == 14


def test_a_write_that_fails_leaves_the_ledger_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = written(tmp_path / "life.jsonl")
    before = ledger.path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        append(ledger, [draft()], by="Ada")
    assert ledger.path.read_bytes() == before
    with pytest.raises(OutputError):
        written(tmp_path / "new.jsonl")
    assert not (tmp_path / "new.jsonl").exists()
