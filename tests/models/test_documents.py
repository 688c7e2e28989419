"""JSON of strangers is bounded in size, in depth and in its numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from undercast.errors import ModelError
from undercast.models.documents import DEEPEST, LARGEST_ITEM, LONGEST_LINE, dump_json, load_json, one_line, parse_json


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"a": ' * DEEPEST + b"{}" + b"}" * DEEPEST, "nests at most 64 levels"),
        (b'{"a": ' + b"[" * 100_000, "is not JSON"),
        (b'{"a": NaN}', "NaN is no number of JSON"),
        (b'{"a": -Infinity}', "-Infinity is no number of JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b" " * (LARGEST_ITEM + 1), "at most 4194304 bytes"),
        (b"[]", "expected a JSON object, got list"),
        (b'{"a": 1', "is not JSON"),
        (b"\xff", "is not JSON"),
    ],
)
def test_hostile_json_is_refused_in_one_line(data: bytes, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        parse_json(data, origin="https://host/item.json")
    assert str(caught.value).startswith("https://host/item.json")
    assert "\n" not in str(caught.value)


def test_the_deepest_that_is_allowed_is_read() -> None:
    deep = b'{"a": ' * (DEEPEST - 1) + b"1" + b"}" * (DEEPEST - 1)
    assert parse_json(deep, origin="x")["a"]["a"]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    value = {"é": [1, None, "\ud800"]}
    (tmp_path / "a.json").write_bytes(dump_json(value))
    assert load_json(tmp_path / "a.json") == value


def test_what_a_stranger_wrote_is_one_line_without_escapes() -> None:
    assert one_line("a\nb\x1b[31m\ud800é") == "a\\nb\\x1b[31m\\ud800é"
    assert len(one_line("9" * 5000)) == LONGEST_LINE + 3


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone.json cannot be read: No such file"):
        load_json(tmp_path / "gone.json")
