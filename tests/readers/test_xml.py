from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.errors import SceneError
from undercast.readers import xml
from undercast.readers.xml import number, optional_text, read_xml, text

BILLION = b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>'
OUTSIDE = b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hosts">]><a>&b;</a>'


def test_names_stand_without_their_namespaces() -> None:
    root = read_xml(b'<n:a xmlns:n="http://x" n:k="1"><n:b> 2.5 </n:b><c/></n:a>', origin="m.xml")
    assert (root.tag, root.get("k")) == ("a", "1")
    assert text(root, "b", origin="m.xml") == "2.5"
    assert number(root, "b", origin="m.xml") == 2.5
    assert optional_text(root, "c") is None
    assert optional_text(root, "d") is None


def test_a_file_and_its_bytes_are_read_alike(tmp_path: Path) -> None:
    data = '<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'.encode("latin-1")
    (tmp_path / "m.xml").write_bytes(data)
    assert read_xml(tmp_path / "m.xml", origin="m").text == read_xml(data, origin="m").text == "é"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (BILLION, "document type is refused"),
        (OUTSIDE, "document type is refused"),
        (b"<a><b></a>", "m.xml: expected XML, got what is truncated or none"),
        (b"", "expected XML"),
        (b'<?xml version="1.0" encoding="klingon"?><a/>', "expected XML"),
        (b"<a>" * 101 + b"</a>" * 101, "more than 100 elements deep"),
    ],
)
def test_hostile_and_broken_xml_is_one_clear_line(data: bytes, message: str) -> None:
    with pytest.raises(SceneError, match=message) as caught:
        read_xml(data, origin="m.xml")
    assert "\n" not in str(caught.value)


def test_too_much_xml_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(xml, "LARGEST_XML", 20)
    (tmp_path / "m.xml").write_bytes(b"<a>" + b" " * 20 + b"</a>")
    with pytest.raises(SceneError, match="got more than 0 MiB of XML"):
        read_xml(tmp_path / "m.xml", origin="m.xml")


def test_missing_files_elements_and_numbers_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match=r"m\.xml does not exist"):
        read_xml(tmp_path / "m.xml", origin="product")
    with pytest.raises(SceneError, match="cannot be read"):
        read_xml(tmp_path, origin="product")
    root = read_xml(b"<a><b>nan</b></a>", origin="m.xml")
    with pytest.raises(SceneError, match="expected <c> in its metadata, got none"):
        text(root, "c", origin="m.xml")
    with pytest.raises(SceneError, match="expected a number as <b>, got 'nan'"):
        number(root, "b", origin="m.xml")


@given(st.binary(max_size=200))
def test_any_bytes_are_xml_or_our_error(data: bytes) -> None:
    try:
        read_xml(data, origin="m.xml")
    except SceneError as error:
        message = str(error)
    else:
        message = ""
    assert "\n" not in message
