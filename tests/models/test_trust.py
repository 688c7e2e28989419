"""Checksums, confined paths and bounded reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.errors import ModelError, TrustError
from undercast.models import trust
from undercast.models.trust import (
    LARGEST_WEIGHTS,
    MemberWeights,
    check_multihash,
    confined_path,
    multihash,
    verified_bytes,
)

OF_TEST = "12209f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def member(folder: Path, data: bytes = b"test") -> MemberWeights:
    path = folder / "one.onnx"
    path.write_bytes(data)
    return MemberWeights(name="one", kind="onnx", path=path, checksum=OF_TEST, size=4)


def test_the_multihash_of_a_known_text_is_the_known_one() -> None:
    assert multihash(b"test") == OF_TEST


@given(st.binary(max_size=64))
def test_every_multihash_is_accepted_in_either_case(data: bytes) -> None:
    text = multihash(data)
    assert check_multihash(text.upper(), origin="x") == text


@pytest.mark.parametrize(
    "text", ["", OF_TEST[4:], "1114" + OF_TEST[4:44], OF_TEST + "0", OF_TEST[:-1] + "g", OF_TEST + "\n"]
)
def test_what_is_no_sha256_multihash_is_refused(text: str) -> None:
    with pytest.raises(TrustError, match=r"item.json: file:checksum: expected a SHA-256 multihash"):
        check_multihash(text, origin="item.json: file:checksum")


def test_weights_that_match_are_returned(tmp_path: Path) -> None:
    assert verified_bytes(member(tmp_path)) == b"test"


def test_a_changed_byte_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match=rf"expected checksum {OF_TEST}, got 1220.*install") as caught:
        verified_bytes(member(tmp_path, b"tesu"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"tes", b"test and more"])
def test_another_size_is_refused_before_the_file_is_read(
    tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "multihash", lambda _: pytest.fail("the file was read"))
    with pytest.raises(TrustError, match=rf"expected 4 bytes, got {len(data)} bytes"):
        verified_bytes(member(tmp_path, data))


def test_weights_above_the_limit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match=rf"at most {LARGEST_WEIGHTS} bytes"):
        verified_bytes(replace(member(tmp_path), size=LARGEST_WEIGHTS + 1))


def test_missing_weights_are_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none.onnx cannot be read: No such file"):
        verified_bytes(replace(member(tmp_path), path=tmp_path / "none.onnx"))


@pytest.mark.parametrize("href", ["one.onnx", "./one.onnx", "deep/one.onnx"])
def test_a_file_in_the_folder_is_found(tmp_path: Path, href: str) -> None:
    assert confined_path(href, tmp_path, origin="x") == (tmp_path / href).resolve()


@pytest.mark.parametrize(
    "href",
    [
        "",
        "../one.onnx",
        "deep/../../one.onnx",
        "/etc/passwd",
        "https://example.com/one.onnx",
        "file:///etc/passwd",
        "C:/one.onnx",
        "C:one.onnx",
        "\\\\server\\one.onnx",
        "deep\\..\\..\\one.onnx",
        "one.onnx\0",
    ],
)
def test_what_leads_out_of_the_folder_is_refused(tmp_path: Path, href: str) -> None:
    with pytest.raises(TrustError, match=r"item.json: href: expected a file inside the package folder"):
        confined_path(href, tmp_path, origin="item.json: href")


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (tmp_path / "secret").write_text("x")
    (package / "one.onnx").symlink_to(tmp_path / "secret")
    (package / "up").symlink_to(tmp_path)
    for href in ("one.onnx", "up/secret"):
        with pytest.raises(TrustError, match=r"is a link that leads out"):
            confined_path(href, package, origin="x")
