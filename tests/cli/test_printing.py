"""What the commands print."""

from __future__ import annotations

import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.cli import printing
from undercast.radiometry import Scaling

VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@given(st.dictionaries(st.text(), VALUES | st.lists(VALUES), max_size=5))
def test_json_is_one_line_of_ascii_that_gives_the_value_back(value: dict[str, object]) -> None:
    stream = io.StringIO()
    before, sys.stdout = sys.stdout, stream
    try:
        printing.print_json(value)
    finally:
        sys.stdout = before

    assert len(stream.getvalue().splitlines()) == 1
    assert stream.getvalue().isascii()
    assert json.loads(stream.getvalue()) == value


def test_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        printing.print_json({"value": float("nan")})


def test_what_a_stranger_wrote_cannot_move_a_terminals_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    printing.print_pairs([("title", "\x1b[2Jna\u202eme \u00e4")])
    printing.print_table(("name",), [("\x1b]0;x\x07",)])
    told = capsys.readouterr().out
    assert "\\x1b[2Jna\\u202eme \u00e4" in told
    assert "\x1b" not in told


def test_a_table_in_a_pipe_is_not_folded(capsys: pytest.CaptureFixture[str]) -> None:
    printing.print_table(("name", "text"), [("[a]", "word " * 60)])
    rows = capsys.readouterr().out.splitlines()[2:]

    assert len(rows) == 1
    assert rows[0].split() == ["[a]", *["word"] * 60]


def test_pairs_stand_in_two_columns(capsys: pytest.CaptureFixture[str]) -> None:
    printing.print_pairs([("a", "1"), ("long", "2")])

    assert capsys.readouterr().out == "a     1\nlong  2\n"


def test_there_is_no_bar_where_standard_error_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with printing.progress_bar("scene") as progress:
        assert progress is None
    assert capsys.readouterr().err == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_bar_is_drawn_on_standard_error_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with printing.progress_bar("my scene") as progress:
        assert progress is not None
        progress(1, 2)
        sys.stdout.write("result\n")

    assert "my scene" in terminal.getvalue()
    assert capsys.readouterr().out == "result\n"


@pytest.mark.parametrize(
    ("scaling", "formula"),
    [
        (Scaling(scale=1e-4, offset=-0.1), "reflectance = dn * 0.0001 - 0.1"),
        (Scaling(scale=2.75e-5, offset=0.2), "reflectance = dn * 2.75e-05 + 0.2"),
    ],
)
def test_a_scaling_is_a_formula(scaling: Scaling, formula: str) -> None:
    assert printing.describe_scaling(scaling) == formula
