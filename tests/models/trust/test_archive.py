"""Archives: plain ones open; odd ones, which readers see differently, do not."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undercast.errors import TrustError
from undercast.models.trust import archive
from undercast.models.trust.archive import LARGEST_RATIO, open_archive

names = st.from_regex(r"[a-z0-9_]{1,8}(/[a-z0-9_.]{1,3}[a-z])?", fullmatch=True)


def zipped(records: dict[str, bytes], method: int = zipfile.ZIP_STORED, comment: bytes = b"") -> bytes:
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", method) as archive:
        for name, data in records.items():
            archive.writestr(name, data)
        archive.comment = comment
    return stored.getvalue()


@settings(max_examples=50)
@given(st.dictionaries(names, st.binary(max_size=50), min_size=1, max_size=5), st.booleans())
def test_what_was_written_is_read(records: dict[str, bytes], packed: bool) -> None:
    opened = open_archive(zipped(records, zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED), origin="x")
    assert {name: opened.read(name) for name in opened.records} == records


def test_more_than_4_gib_of_directory_fields_are_read_as_zip64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    data = zipped({"a": b"1", "b": b"2"})
    assert b"PK\x06\x06" in data
    assert open_archive(data, origin="x").read("b") == b"2"


@pytest.mark.parametrize(
    "name", ["../a", "a/../b", "/a", "a//b", "a/", "./a", "a\\b", "C:/a", "a\nb", "\u00e4", "a*"], ids=repr
)
def test_a_name_that_is_no_plain_path_is_refused(name: str) -> None:
    with pytest.raises(TrustError, match=r"a record with the name"):
        open_archive(zipped({name: b"x"}), origin="x")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no zip archive"),
        (b"PK\x05\x06" + bytes(18), "no zip archive"),
        (zipped({"a": b"x"}, comment=b"c"), "something after it"),
        (zipped({"a": b"x"}) + b"x", "something after it"),
        (b"PK\x03\x04" + zipped({"a": b"x"}), "between its directory and its end|does not say"),
        (zipped({"a": b"x"}, zipfile.ZIP_BZIP2), "oddly compressed"),
        (zipped({"a": bytes(10**6)}, zipfile.ZIP_DEFLATED), "would unpack to 1000000"),
    ],
)
def test_odd_archives_are_refused(data: bytes, told: str) -> None:
    with pytest.raises(TrustError, match=told):
        open_archive(data, origin="x")


def test_a_damaged_record_is_refused_when_it_is_read() -> None:
    data = zipped({"a": b"hello"}).replace(b"hello", b"jello")
    opened = open_archive(data, origin="x")
    with pytest.raises(TrustError, match=r"a damaged record a"):
        opened.read("a")


def test_nothing_unpacks_to_more_than_the_largest_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "LARGEST_WEIGHTS", 500)
    with pytest.raises(TrustError, match=r"would unpack to 600"):
        open_archive(zipped({"a": bytes(300), "b": bytes(300)}), origin="x")


def test_archives_may_be_compressed_up_to_the_ratio() -> None:
    data = zipped({"a": bytes(1000)}, zipfile.ZIP_DEFLATED)
    assert LARGEST_RATIO * len(data) > 1000
    assert open_archive(data, origin="x").read("a") == bytes(1000)
