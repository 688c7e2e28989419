"""SHA-256 multihashes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.errors import TrustError
from undercast.models.trust.checksums import check_multihash, multihash

OF_TEST = "12209f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


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
