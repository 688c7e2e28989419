from __future__ import annotations

import pytest

from undercast.evaluation.statistics import lower_is_better
from undercast.reports.wording import (
    FIGURES,
    Notes,
    change,
    figure_wording,
    interval,
    number,
    plain,
    set_name,
    share,
    whole,
)


def test_figures_have_three_decimals_and_shares_are_percent() -> None:
    assert number("cloud_f1", 0.91249) == "0.912"
    assert number("clear_false_cloud", 0.0123) == "1.23 %"


def test_an_undefined_value_is_a_dash_and_not_a_number() -> None:
    assert number("cloud_f1", None) == "\u2013"
    assert change("cloud_f1", None) == "\u2013"


def test_an_interval_that_is_not_there_is_not_written() -> None:
    assert interval("cloud_f1", {"value": 0.5, "low": None, "high": None}) is None
    assert interval("cloud_f1", {"value": 0.5, "low": 0.25, "high": 0.75}) == "0.250\u20130.750"


@pytest.mark.parametrize(
    ("value", "text"), [(0.0504, "+0.050"), (-0.05, "\u22120.050"), (-0.0001, "0.000"), (0.0, "0.000")]
)
def test_a_difference_has_a_sign_unless_it_rounds_to_zero(value: float, text: str) -> None:
    assert change("cloud_f1", value) == text


def test_a_share_of_nothing_is_not_a_number_and_a_small_one_is_not_zero() -> None:
    assert share(0, 0) == "\u2013"
    assert share(1, 10_000) == "<0.1 %"
    assert share(0, 10) == "0.0 %"


def test_thousands_are_set_apart() -> None:
    assert whole(1234567) == "1\u202f234\u202f567"


def test_possible_sets_have_names() -> None:
    assert [set_name(bits) for bits in (0, 1, 6, 9)] == [
        "Not scored",
        "Clear",
        "Thick or thin cloud",
        "Clear or cloud shadow",
    ]


def test_one_reason_has_one_letter_and_the_27th_has_two() -> None:
    notes = Notes()
    assert [notes.letter(reason) for reason in ("no cloud", "no shadow", "no cloud")] == ["a", "b", "a"]
    letters = [notes.letter(str(place)) for place in range(26)]
    assert letters[-1] == "ab"
    assert len(set(letters)) == len(letters)


def test_options_are_written_in_words() -> None:
    assert plain({"cloud": 0.45, "on": True, "of": ["a", None]}) == "cloud 0.45, on yes, of a, none"
    assert plain([]) == "none"


def test_a_figure_without_wording_is_called_by_its_name() -> None:
    assert figure_wording("micro_iou").title == "Micro iou"


def test_what_is_better_when_lower_is_known_for_every_figure() -> None:
    assert {name for name in FIGURES if lower_is_better(name)} >= {"cloud_ece", "shadow_ece", "clear_false_cloud"}
