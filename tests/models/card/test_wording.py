"""Values become words; those that are missing become a reason."""

from __future__ import annotations

import pytest

from undercast.models.card.wording import cell, figure, is_number, mapping, rows, table, told


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none (why)"),
        ([], "none (why)"),
        (0, "0"),
        (False, "no"),
        (0.001, "0.001"),
        (99.0, "99"),
        (["a", 2], "a, 2"),
        ({"train": 45}, "train 45"),
        ("a|b\nc", "a\\|b c"),
    ],
)
def test_a_value_is_told(value: object, text: str) -> None:
    assert told(value, "why") == text


def test_figures_have_decimals_and_intervals() -> None:
    assert figure(0.12345, 3) == "0.123"
    assert figure({"value": 0.5, "low": 0.4, "high": 0.6}, 2) == "0.50 [0.40 to 0.60]"
    assert figure({"value": 0.5, "low": None, "high": None}, 2) == "0.50"
    assert figure(None, why="no patch") == "none (no patch)"
    assert not is_number(True)


def test_tables_are_markdown() -> None:
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n|---|---|\n| 1 | 2 |"
    assert rows({"a": "1"}) == "| a | 1 |"
    assert cell(" a \n b ") == "a b"
    assert mapping([1]) == {}
