"""A template is filled in one pass, and its placeholders must be known."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.errors import ModelError
from undercast.models.card.template import PLACEHOLDER, default_template, fill, read_template


def test_placeholders_are_filled_and_the_rest_stays() -> None:
    assert fill("<A> <b>bold</b> <A_1>", {"A": "x", "A_1": "y"}) == "x <b>bold</b> y"


def test_unknown_placeholders_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"placeholders <BAR>, <FOO> are not known\. Known: A, "):
        fill("<FOO> <BAR> <A>", {"A": "x", "LABEL_1": "y"})


def test_text_of_a_field_is_never_filled_again() -> None:
    assert fill("<A>", {"A": "<B>", "B": "secret"}) == "&lt;B&gt;"


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True), st.text(max_size=30), min_size=1))
def test_no_placeholder_is_left(fields: dict[str, str]) -> None:
    template = " ".join(f"<{name}>" for name in fields)
    assert PLACEHOLDER.search(fill(template, fields)) is None


def test_the_own_template_holds_no_number() -> None:
    assert not any(char.isdigit() for char in default_template())


def test_a_template_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "card.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="UTF-8"):
        read_template(tmp_path / "card.md")
    with pytest.raises(ModelError, match="cannot be read"):
        read_template(tmp_path / "missing.md")
    (tmp_path / "large.md").write_bytes(b" " * (4 * 1024**2 + 1))
    with pytest.raises(ModelError, match="at most"):
        read_template(tmp_path / "large.md")
