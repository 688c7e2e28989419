"""Weights are read whole and as they are declared, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from undercast.errors import ModelError, TrustError
from undercast.models.trust import weights as trust
from undercast.models.trust.weights import LARGEST_WEIGHTS, MemberWeights, measured, verified_bytes

OF_TEST = "12209f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def member(folder: Path, data: bytes = b"test") -> MemberWeights:
    path = folder / "one.onnx"
    path.write_bytes(data)
    return MemberWeights(name="one", kind="onnx", path=path, checksum=OF_TEST, size=4)


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


def test_weights_that_lie_elsewhere_are_told_with_their_place(tmp_path: Path) -> None:
    elsewhere = replace(member(tmp_path), path=tmp_path / "none.onnx", href="https://a.example/none.onnx")
    with pytest.raises(ModelError, match=r"The item names https://a.example/none.onnx: put the file there, or"):
        verified_bytes(elsewhere)
    with pytest.raises(ModelError, match=r"The item names https://a.example/none.onnx"):
        measured(replace(elsewhere, checksum=None))
