"""Pins: the cache's lock file keeps what was first fetched, for several processes, and is itself not trusted."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from undercast.errors import ModelError, TrustError
from undercast.models.fetch.pins import LOCK_FILE, Pin, changed_error, changed_files, is_complete, read_pins, write_pin
from undercast.models.trust.checksums import file_multihash, multihash

PIN = Pin(
    url="https://a.example/item.json",
    folder="packages/a",
    fetched="2024-05-01T00:00:00Z",
    files={"item.json": multihash(b"x")},
)


def test_an_empty_cache_has_no_pins(tmp_path: Path) -> None:
    assert read_pins(tmp_path) == {}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_pin(tmp_path, "hf:a/b", PIN)
    assert read_pins(tmp_path) == {"hf:a/b": PIN}


def test_several_write_at_once_and_none_is_lost(tmp_path: Path) -> None:
    threads = [threading.Thread(target=write_pin, args=(tmp_path, f"hf:a/{number}", PIN)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_pins(tmp_path)) == 8


def test_a_changed_file_is_named(tmp_path: Path) -> None:
    place = tmp_path / "packages" / "a"
    assert not is_complete(tmp_path, PIN)
    place.mkdir(parents=True)
    (place / "item.json").write_bytes(b"x")
    assert file_multihash(place / "item.json") == multihash(b"x")
    assert (is_complete(tmp_path, PIN), changed_files(tmp_path, PIN)) == (True, ())
    (place / "item.json").write_bytes(b"y")
    assert (is_complete(tmp_path, PIN), changed_files(tmp_path, PIN)) == (True, ("item.json",))


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"folder": "../../etc"}, "inside the package folder"),
        ({"folder": "/etc"}, "inside the package folder"),
        ({"folder": "."}, "expected a folder"),
        ({"files": {"../x": multihash(b"")}}, "inside the package folder"),
        ({"files": {"x": "1234"}}, "SHA-256 multihash"),
        ({"files": {}}, "expected a folder and its files"),
        ({"url": 1}, "url: expected a text"),
    ],
)
def test_a_lock_file_that_leads_elsewhere_is_refused(tmp_path: Path, row: dict[str, object], told: str) -> None:
    write_pin(tmp_path, "hf:a/b", PIN)
    table = json.loads((tmp_path / LOCK_FILE).read_text("utf-8"))
    table["models"]["hf:a/b"].update(row)
    (tmp_path / LOCK_FILE).write_text(json.dumps(table), "utf-8")
    with pytest.raises((ModelError, TrustError), match=told):
        read_pins(tmp_path)


def test_a_lock_file_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_text('{"version": 9, "models": {}}', "utf-8")
    with pytest.raises(ModelError, match=r"version: expected 1, got 9"):
        read_pins(tmp_path)


def test_a_change_is_told_with_the_way_out() -> None:
    error = changed_error("hf:a/b", PIN, "its item")
    assert str(error) == (
        "model hf:a/b: its item changed since it was first fetched (2024-05-01)."
        " If you trust the change: undercast models pull --update hf:a/b"
    )
