from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from undercast.reports.markdown import escape, markdown, stress_blocks, write_markdown
from undercast.reports.wording import FEW


def tables(text: str) -> list[list[list[str]]]:
    """Split a text into its tables: rows of cells, bars that are escaped aside."""
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    return [[re.split(r"(?<!\\)\|", line)[1:-1] for line in block] for block in blocks]


def test_every_row_of_a_table_has_as_many_cells_as_its_head(report: dict[str, Any]) -> None:
    found = tables(markdown(report))
    assert len(found) >= 6
    assert all(len(row) == len(table[0]) for table in found for row in table)


def test_key_figures_stand_with_intervals_and_reasons(report: dict[str, Any]) -> None:
    text = markdown(report)
    figure = report["overall"]["cloud_f1"]
    assert f"| Cloud F1 | {figure['value']:.3f} [{figure['low']:.3f}\u2013{figure['high']:.3f}] |" in text
    assert FEW in text
    assert "undefined:" in text


def test_hostile_names_start_no_markup(report: dict[str, Any]) -> None:
    text = markdown(report)
    assert "<script" not in text.replace("\\<", "")
    assert "\x00" not in text
    assert not re.search(r"(?<!\\)<", text)


def test_without_stress_there_is_no_such_section(report: dict[str, Any]) -> None:
    assert "## Stress" in markdown(report)
    assert "## Stress" not in markdown({**report, "stress": None})
    assert stress_blocks({"stress": None}) == []


def test_the_file_holds_the_text(report: dict[str, Any], tmp_path: Path) -> None:
    assert write_markdown(report, tmp_path / "new" / "report.md").read_text("utf-8") == markdown(report).replace(
        "\ud800", "?"
    )


@given(st.text())
def test_an_escaped_text_stays_in_its_cell(text: str) -> None:
    escaped = escape(text)
    assert "\n" not in escaped
    assert not re.search(r"(?<!\\)(?:\\\\)*[|<`]", escaped)
