from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.annotation.session import (
    LARGEST_TEXT,
    Round,
    Session,
    from_json,
    to_json,
    with_point,
    with_round,
    without_point,
)
from undercast.errors import LabelError

EMPTY = Session(scene="s", shape=(10, 12), fingerprint="f")
DONE = Round(
    number=1,
    finished="2026-01-01T00:00:00+00:00",
    points={"land": 3},
    added=3,
    removed=0,
    mean_confidence=0.9,
    changed_percent=None,
    seconds=1.5,
)


def test_a_second_click_on_a_pixel_replaces_the_first() -> None:
    session = with_point(with_point(EMPTY, 2, 3, 5), 2, 3, 6)
    assert [(point.row, point.col, point.label) for point in session.points] == [(2, 3, 6)]


def test_points_know_their_round_and_removals_are_counted() -> None:
    session = with_round(with_point(EMPTY, 2, 3, 5), DONE)
    session = without_point(with_point(session, 4, 4, 2), 2, 3)
    assert [point.round for point in session.points] == [2]
    assert session.removed == 1
    assert with_round(session, DONE).removed == 0
    assert without_point(session, 0, 0) == session


@pytest.mark.parametrize(("row", "col", "label"), [(-1, 0, 5), (10, 0, 5), (0, 12, 5), (0, 0, 0), (0, 0, 8)])
def test_impossible_points_are_refused(row: int, col: int, label: int) -> None:
    with pytest.raises(LabelError, match="expected a"):
        with_point(EMPTY, row, col, label)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 11), st.integers(1, 7)), max_size=20))
def test_a_session_goes_through_json(clicks: list[tuple[int, int, int]]) -> None:
    session = EMPTY
    for row, col, label in clicks:
        session = with_point(session, row, col, label)
    session = with_round(session, DONE)
    assert from_json(to_json(session, {"note": "ignored"}), EMPTY) == session


def changed(**values: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda stored: {**stored, **values}


def without(key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda stored: {name: value for name, value in stored.items() if name != key}


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda stored: [stored], "expected JSON of the kind"),
        (changed(kind="other"), "expected JSON of the kind"),
        (changed(fingerprint="g"), "other pixels"),
        (without("points"), "no entry 'points'"),
        (changed(points=7), "not iterable"),
        (changed(points=[{"row": 99, "col": 0, "label": 5, "round": 1}]), "inside 10 x 12"),
        (changed(points=[{"row": True, "col": 0, "label": 5, "round": 1}]), "whole number"),
        (changed(points=[{"row": 1.5, "col": 0, "label": 5, "round": 1}]), "whole number"),
        (changed(rounds=[{}]), "no entry"),
        (changed(removed="many"), "whole number"),
    ],
)
def test_a_damaged_session_is_refused_in_one_line(damage: Callable[[dict[str, Any]], Any], told: str) -> None:
    stored = json.loads(to_json(with_point(EMPTY, 1, 1, 5)))
    with pytest.raises(LabelError, match=told) as caught:
        from_json(json.dumps(damage(stored)), EMPTY)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '"' + "x" * LARGEST_TEXT + '"'], ids=str.__len__)
def test_text_that_is_no_session_is_refused(text: str) -> None:
    with pytest.raises(LabelError, match="no session"):
        from_json(text, EMPTY)


def test_numbers_beyond_all_sense_are_refused() -> None:
    stored = to_json(with_round(EMPTY, DONE)).replace("1.5", "1e999")
    with pytest.raises(LabelError, match="expected a number"):
        from_json(stored, EMPTY)
