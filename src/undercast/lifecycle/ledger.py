"""Ledger: a model's life as an append-only file of JSON lines, each holding the SHA-256 of the one before."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from undercast.errors import LedgerError, OutputExistsError
from undercast.models.fetch.locks import locked
from undercast.writers.staging import output_errors

KIND = "undercast-life"
"""Kind of every line."""
VERSION = 1
"""Version of the lines that are written and read."""
FIRST = "0" * 64
"""What stands for the hash of the entry before the first one."""
LARGEST_LEDGER = 256 * 1024**2
"""Largest ledger that is read, in bytes."""

State = Literal["DEVELOPMENT", "COMMISSIONING", "PRODUCTION", "MONITORING"]
"""Where a model is in its life."""
STATES: tuple[State, ...] = get_args(State)

Event = Literal["begun", "promoted", "refused", "monitored", "opened", "retrained"]
"""What an entry tells: ``refused`` is a promotion that its gate did not let pass, ``opened`` opens a retraining."""
EVENTS: tuple[Event, ...] = get_args(Event)

_KEYS = {"kind", "version", "entry", "previous", "at", "by", "event", "state", "facts", "hash"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is to be written as an entry."""

    event: Event
    """What happened."""
    state: State
    """Where the model is after it."""
    facts: Mapping[str, Any]
    """Model, report, gate and so on, JSON values only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a ledger."""

    number: int
    """Its place, from 1."""
    at: str
    """When it was written, ISO 8601 with time zone."""
    by: str
    """Who wrote it."""
    event: Event
    """What happened."""
    state: State
    """Where the model is after it."""
    facts: Mapping[str, Any]
    """Model, report, gate and so on."""
    previous: str
    """Hash of the entry before; ``FIRST`` for the first one."""
    hash: str
    """SHA-256 of all of the above, as ``canonical`` writes it."""

    def to_dict(self) -> dict[str, Any]:
        """Give the entry as the JSON object that its line holds."""
        return {**_content(self), "hash": self.hash}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """A ledger whose chain of hashes holds."""

    path: Path
    """Its file."""
    entries: tuple[Entry, ...]
    """From the first to the last; at least one."""

    @property
    def head(self) -> str:
        """Hash of the last entry, which stands for all of them."""
        return self.entries[-1].hash


def canonical(value: Mapping[str, Any]) -> bytes:
    """Write a JSON object in the one way that is hashed: keys sorted, no spaces, ASCII.

    Raises:
        ValueError: If it holds NaN or an infinite number, which JSON has not.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def read_ledger(path: Path) -> Ledger:
    """Read a ledger and follow its chain.

    What is found: any change of an entry, entries that were removed, added or put in another order, and a last line
    that was cut. Not found: whole entries cut off at the end, and a chain that somebody computed anew; for these keep
    the head elsewhere.

    Raises:
        LedgerError: If the chain does not hold; the message names the first entry that is wrong.
    """
    *lines, rest = _bytes(path).split(b"\n")
    if not lines and not rest:
        msg = f"ledger {path} is empty. Begin a life: undercast life begin MODEL --ledger FILE, with another FILE."
        raise LedgerError(msg)
    entries: list[Entry] = []
    for number, line in enumerate(lines, start=1):
        entries.append(_entry(line, number, entries[-1].hash if entries else FIRST, path))
    if rest:
        raise broken(path, len(lines) + 1, "is cut: its line has no end")
    return Ledger(path=path, entries=tuple(entries))


def begin_ledger(path: Path, draft: Draft, *, by: str) -> Ledger:
    """Write the first entry to a new file.

    Raises:
        OutputExistsError: If the file exists.
        OutputError: If it cannot be written.
    """
    with output_errors(path), locked(_lock_of(path)):
        if path.exists():
            msg = f"ledger {path} exists already. Its model goes on with: undercast life status --ledger {path}"
            raise OutputExistsError(msg)
        _write(path, _chained((draft,), (), by))
        return read_ledger(path)


def append(ledger: Ledger, drafts: Sequence[Draft], *, by: str) -> Ledger:
    """Write entries at the end: all of them or none.

    Args:
        ledger: As it was read; writers take turns, and one that comes too late is refused.
        drafts: What to write.
        by: Who writes.

    Returns:
        The ledger with the new entries.

    Raises:
        LedgerError: If the file was changed since it was read.
        OutputError: If it cannot be written.
    """
    path = ledger.path
    with output_errors(path), locked(_lock_of(path)):
        now = read_ledger(path)
        if now.head != ledger.head:
            msg = (
                f"ledger {path}: expected entry {len(ledger.entries)} to be the last, got entry {len(now.entries)}:"
                " somebody else wrote meanwhile. Look at it and run this again."
            )
            raise LedgerError(msg)
        _write(path, _chained(drafts, now.entries, by))
        return read_ledger(path)


def check_head(ledger: Ledger, head: str) -> None:
    """Refuse a ledger that lacks an entry which it once had: it was cut at its end, or its chain computed anew.

    Args:
        ledger: The ledger.
        head: Hash of an entry, as somebody kept it.

    Raises:
        LedgerError: If no entry has this hash.
    """
    if head.strip().lower() not in {entry.hash for entry in ledger.entries}:
        msg = (
            f"ledger {ledger.path}: expected an entry with the hash {head[:80]!r}, got none among"
            f" {len(ledger.entries)} entries: it was cut or written anew. Bring back a copy from before."
        )
        raise LedgerError(msg)


def broken(path: Path, number: int, why: str) -> LedgerError:
    """Make the error of an entry that is wrong."""
    return LedgerError(
        f"ledger {path}: entry {number} {why}. Nothing after it can be trusted: bring back a copy from before."
    )


def _lock_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_LEDGER + 1)
    except FileNotFoundError as error:
        msg = f"ledger {path} is not there. Begin a life: undercast life begin MODEL --ledger {path}"
        raise LedgerError(msg) from error
    except OSError as error:
        msg = f"ledger {path} cannot be read: {error.strerror or error}."
        raise LedgerError(msg) from error
    if len(data) > LARGEST_LEDGER:
        msg = f"ledger {path}: expected at most {LARGEST_LEDGER} bytes, got more. Is it a ledger?"
        raise LedgerError(msg)
    return data


def _entry(line: bytes, number: int, previous: str, path: Path) -> Entry:
    """Read one line and hold it against its place in the chain."""
    try:
        table = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise broken(path, number, "is not JSON") from error
    if not isinstance(table, dict) or table.get("kind") != KIND:
        raise broken(path, number, f"is not of the kind {KIND!r}")
    if table.get("version") != VERSION:
        raise broken(path, number, f"has version {table.get('version')!r}, this undercast reads version {VERSION}")
    if not _is_well_formed(table):
        raise broken(path, number, "lacks a field, has one too many, or one of the wrong kind")
    if _hash(table) != table["hash"] or not _is_canonical(table, line):
        raise broken(path, number, "was changed: its SHA-256 is not the one that it states")
    if table["entry"] != number:
        raise broken(path, number, f"says that it is entry {table['entry']}: entries were removed or moved")
    if table["previous"] != previous:
        raise broken(path, number, "does not follow from the entry before it: that one was replaced")
    return Entry(
        number=number,
        at=table["at"],
        by=table["by"],
        event=table["event"],
        state=table["state"],
        facts=table["facts"],
        previous=previous,
        hash=table["hash"],
    )


def _is_well_formed(table: Mapping[str, Any]) -> bool:
    return (
        set(table) == _KEYS
        and all(isinstance(table[key], str) for key in ("previous", "at", "by", "event", "state", "hash"))
        and type(table["entry"]) is int
        and isinstance(table["facts"], dict)
        and table["event"] in EVENTS
        and table["state"] in STATES
    )


def _is_canonical(table: Mapping[str, Any], line: bytes) -> bool:
    return canonical(table) == line


def _hash(table: Mapping[str, Any]) -> str:
    """Give the SHA-256 of an entry without its own hash; empty for what could not have been written."""
    try:
        return hashlib.sha256(canonical({key: table[key] for key in table if key != "hash"})).hexdigest()
    except (ValueError, RecursionError):
        return ""


def _content(entry: Entry) -> dict[str, Any]:
    return {
        "kind": KIND,
        "version": VERSION,
        "entry": entry.number,
        "previous": entry.previous,
        "at": entry.at,
        "by": entry.by,
        "event": entry.event,
        "state": entry.state,
        "facts": dict(entry.facts),
    }


def _chained(drafts: Sequence[Draft], before: Sequence[Entry], by: str) -> tuple[Entry, ...]:
    entries = list(before)
    at = datetime.now(tz=UTC).isoformat(timespec="seconds")
    for draft in drafts:
        unsigned = Entry(
            number=len(entries) + 1,
            at=at,
            by=by,
            event=draft.event,
            state=draft.state,
            facts=draft.facts,
            previous=entries[-1].hash if entries else FIRST,
            hash="",
        )
        entries.append(replace(unsigned, hash=_signature(unsigned)))
    return tuple(entries[len(before) :])


def _signature(unsigned: Entry) -> str:
    """Give the SHA-256 of an entry that is to be written.

    Raises:
        LedgerError: If its facts are not all JSON values.
    """
    try:
        return hashlib.sha256(canonical(_content(unsigned))).hexdigest()
    except (TypeError, ValueError) as error:
        what = f"entry {unsigned.number} ({unsigned.event})"
        msg = f"{what}: expected facts of finite numbers and text, got something else: {error}. Mend the report."
        raise LedgerError(msg) from error


def _write(path: Path, entries: Sequence[Entry]) -> None:
    """Add lines to a file and wait until they are on the disk; where that fails, the file is as before."""
    lines = b"".join(canonical(entry.to_dict()) + b"\n" for entry in entries)
    new = not path.exists()
    with path.open("ab", buffering=0) as file:
        size = file.tell()
        try:
            written = file.write(lines)
            while written < len(lines):
                written += file.write(lines[written:])
            os.fsync(file.fileno())
        except BaseException:
            file.truncate(size)
            if new:
                path.unlink()
            raise
    if new and os.name == "posix":
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Wait until a new file's name is on the disk, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
