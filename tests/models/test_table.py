"""JSON fields read with their types checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from undercast.errors import ModelError
from undercast.models.table import Table

TABLE = Table(
    values={"text": "a", "none": None, "true": True, "number": 1.5, "whole": 3, "nan": float("nan")}
    | {"empty": "", "object": {"deep": 1}, "rows": [{"a": 1}], "texts": ["a", "b"], "mixed": ["a", 1]},
    origin="item.json",
)


def test_fields_of_the_right_type_are_read() -> None:
    assert TABLE.text("text") == "a"
    assert TABLE.text("absent", default="") == ""
    assert TABLE.optional_text("none") is None
    assert TABLE.optional_text("text") == "a"
    assert TABLE.number("whole") == 3.0
    assert TABLE.optional_number("absent") is None
    assert TABLE.optional_number("number") == 1.5
    assert TABLE.integer("whole") == 3
    assert TABLE.table("object").integer("deep") == 1
    assert TABLE.first("rows").integer("a") == 1
    assert TABLE.tables("none", default=()) == ()
    assert TABLE.texts("texts") == ("a", "b")
    assert TABLE.choice("text", ("b", "a"), default="b") == "a"
    assert TABLE.choices("texts", ("b", "a", "c"), default=()) == ("b", "a")


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (lambda: TABLE.text("number"), "number: expected a text, got 1.5"),
        (lambda: TABLE.text("empty"), "empty: expected a text"),
        (lambda: TABLE.text("absent"), "absent is missing"),
        (lambda: TABLE.number("true"), "true: expected a number"),
        (lambda: TABLE.number("nan"), "nan: expected a number"),
        (lambda: TABLE.number("text"), "text: expected a number"),
        (lambda: TABLE.integer("true"), "true: expected a whole number"),
        (lambda: TABLE.integer("number"), "number: expected a whole number"),
        (lambda: TABLE.table("texts"), "texts: expected an object"),
        (lambda: TABLE.table("object").text("deep"), "object: deep: expected a text"),
        (lambda: TABLE.tables("none"), "none: expected a list of objects"),
        (lambda: TABLE.tables("texts"), "texts: expected a list of objects"),
        (lambda: TABLE.first("rows").text("a"), r"rows\[0\]: a: expected a text"),
        (lambda: Table(values={"x": []}, origin="i").first("x"), "x: expected a list of one object, got 0"),
        (lambda: TABLE.texts("mixed"), "mixed: expected a list of texts"),
        (lambda: TABLE.texts("text"), "text: expected a list of texts"),
        (lambda: TABLE.choice("text", ("b", "c"), default="b"), "text: expected one of b, c, got 'a'"),
        (lambda: TABLE.choice("texts", ("b", "c"), default="b"), "texts: expected one of b, c"),
        (lambda: TABLE.choices("texts", ("b", "c"), default=()), "texts: expected some of b, c"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(read: Callable[[], Any], words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        read()
    assert "\n" not in str(caught.value)
