"""Pins: what was first fetched for a reference, in the cache's lock file; a later change is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from undercast.errors import ModelError, TrustError
from undercast.models.documents import load_json
from undercast.models.fetch.locks import locked
from undercast.models.table import Table
from undercast.models.trust.checksums import check_multihash, file_multihash
from undercast.models.trust.paths import confined_path

LOCK_FILE = "models.lock.json"
"""Name of the lock file in the cache."""

PINS_VERSION = 1
"""Version of the lock file that is written; others are refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """What was fetched for a reference."""

    url: str
    """Where its item was."""
    folder: str
    """Where the package lies, relative to the cache."""
    fetched: str
    """When, in UTC (RFC 3339)."""
    files: Mapping[str, str]
    """File in the folder -> SHA-256 multihash; the item's is ``item.json``."""


def read_pins(cache: Path) -> dict[str, Pin]:
    """Read the lock file: reference -> pin; empty where there is none.

    Raises:
        ModelError: If it is there and is no lock file.
        TrustError: If a folder or file lies outside the cache.
    """
    path = cache / LOCK_FILE
    if not path.exists():
        return {}
    table = Table(values=load_json(path), origin=str(path))
    if table.integer("version") != PINS_VERSION:
        raise table.wrong(key="version", expected=str(PINS_VERSION), got=table.values["version"])
    rows = table.table("models")
    return {reference: _read_pin(rows.table(reference), cache) for reference in rows.values}


def write_pin(cache: Path, reference: str, pin: Pin) -> None:
    """Add a pin to the lock file, or replace it; several processes may do so at once.

    Raises:
        OSError: If the file cannot be written.
    """
    with locked(cache / "locks" / "pins.lock"):
        rows = {**read_pins(cache), reference: pin}
        table: dict[str, Any] = {
            "version": PINS_VERSION,
            "models": {key: asdict(rows[key]) for key in sorted(rows)},
        }
        temporary = cache / f".{LOCK_FILE}.{os.getpid()}"
        temporary.write_text(json.dumps(table, indent=2) + "\n", "utf-8")
        temporary.replace(cache / LOCK_FILE)


def is_complete(cache: Path, pin: Pin) -> bool:
    """Tell whether every file of a pin is there."""
    return all((cache / pin.folder / name).is_file() for name in pin.files)


def changed_files(cache: Path, pin: Pin, names: Collection[str] | None = None) -> tuple[str, ...]:
    """Name the files of a pin, or those of them that are named, that are missing or no longer what was fetched."""
    folder = cache / pin.folder
    return tuple(
        name
        for name, checksum in pin.files.items()
        if (names is None or name in names) and _differs(folder / name, checksum)
    )


def _differs(path: Path, checksum: str) -> bool:
    return not path.is_file() or file_multihash(path) != checksum


def _read_pin(row: Table, cache: Path) -> Pin:
    folder = row.text("folder")
    root = confined_path(folder, cache, origin=f"{row.origin}: folder")
    files = row.table("files")
    for name in files.values:
        confined_path(name, root, origin=f"{files.origin}: {name}")
    if not files.values or PurePosixPath(folder) == PurePosixPath("."):
        msg = f"{row.origin}: expected a folder and its files. Remove the file; packages are then fetched again."
        raise ModelError(msg)
    checksums = {name: check_multihash(files.text(name), origin=files.origin) for name in files.values}
    return Pin(url=row.text("url"), folder=folder, fetched=row.text("fetched"), files=checksums)


def changed_error(reference: str, pin: Pin, what: str) -> TrustError:
    """Make the error for a package that is not what was first fetched."""
    return TrustError(
        f"model {reference}: {what} changed since it was first fetched ({pin.fetched[:10]})."
        f" If you trust the change: undercast models pull --update {reference}"
    )
