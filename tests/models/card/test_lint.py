"""Figures of a card must come from the record, and precision must not repeat average precision."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.models.card.lint import figures_of, lint_card

RECORD = {
    "scores": {"AP": 0.703272, "precision": 0.745704, "share": 0.01234},
    "hashes": {"a": "x", "b": "y"},
    "version": "0.2.0",
    "count": 45099,
    "note": "trained on 36 patches",
}


def codes(card: str) -> list[tuple[str, int]]:
    return [(fault.code, fault.line) for fault in lint_card(card, [RECORD])]


@pytest.mark.parametrize(
    "line",
    [
        *("| AP | 0.703272 |", "AP of 0.7033, or 0.70", "1.23 % of the pixels", "1.2% of them", "45099 pixels"),
        *("45\u202f099 pixels", "36 patches", "version 0.2.0", "Sentinel-2 at 2024-01-02T03:04:05Z", "B04 of v0.2.0"),
        *("each of the 2 files", "[0.70 to 0.75]", "0.70\u20130.75", "resnet18, 10m"),
    ],
)
def test_figures_of_the_record_pass(line: str) -> None:
    assert codes(f"# Card\n\n{line}\n") == []


@pytest.mark.parametrize("line", ["AP 0.7034", "AP 0.704", "1.24 % of it", "37 patches", "0.70\u20130.76", "| 1e-4 |"])
def test_figures_that_nothing_leads_to_are_refused(line: str) -> None:
    assert codes(f"# Card\n\n{line}\n") == [("untraceable-figure", 3)]


def test_a_row_of_precision_that_repeats_average_precision_is_refused() -> None:
    card = "| score | macro | micro |\n|---|---|---|\n| AP | 0.7033 | 0.7457 |\n| Precision | 0.7033 | 0.7457 |\n"
    assert codes(card) == [("precision-repeats-ap", 4)]
    assert codes(card.replace("| Precision | 0.7033 |", "| Precision | 0.7457 |")) == []


def test_rows_of_different_tables_are_not_compared() -> None:
    assert codes("| Average Precision | 0.7033 |\n\nThen:\n\n| Precision | 0.7033 |\n") == []


def test_a_placeholder_that_is_left_is_refused() -> None:
    assert codes("AP: <AP_MACRO>\n") == [("placeholder-left", 1)]


@given(st.floats(0, 1, exclude_min=True), st.integers(1, 6))
def test_a_figure_is_known_however_it_is_rounded(value: float, decimals: int) -> None:
    assert lint_card(f"score {value:.{decimals}f}", [{"score": value}]) == ()


def test_numbers_beyond_measure_are_no_figures() -> None:
    assert lint_card(f"1.{'0' * 1000}", [{"huge": 10**400, "one": 1.0}])[0].code == "untraceable-figure"


def test_words_with_digits_are_no_figures() -> None:
    assert list(figures_of("| B8A | S2A | v0.1.1 | 12 px | 2024-01-02 | (3.5) | -1.25 | 7% |")) == [
        *("12", "3.5", "-1.25", "7%")
    ]
