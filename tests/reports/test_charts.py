from __future__ import annotations

import math
from xml.etree import ElementTree as ET

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from undercast.reports.charts import abstention_chart, interval_bar, reliability_chart, stress_chart, ticks


def drawn(svg: str, tag: str, style: str | None = None) -> list[ET.Element]:
    found = list(ET.fromstring(svg).iter(tag))  # noqa: S314 (made here)
    return [entry for entry in found if style is None or style in entry.get("class", "").split()]


def test_ticks_are_round() -> None:
    assert ticks(0, 1, 5) == (0, 0.2, 0.4, 0.6, 0.8, 1)
    assert ticks(-0.02, 0.1, 6) == (-0.02, 0, 0.02, 0.04, 0.06, 0.08, 0.1)


@given(st.floats(-1e3, 1e3), st.floats(1e-6, 1e3), st.integers(2, 8))
def test_ticks_lie_inside_and_are_few(low: float, length: float, most: int) -> None:
    high = low + length
    assume(high > low and length > 1e-6 * abs(low))
    found = ticks(low, high, most)
    assert 1 <= len(found) <= most + 1
    step = length / most
    assert all(low - 1e-5 * step - 1e-9 <= tick <= high + 1e-5 * step + 1e-9 for tick in found)


def test_ticks_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="low < high"):
        ticks(1, 1, 5)


def test_a_bar_shows_value_and_interval() -> None:
    bar = interval_bar({"value": 0.5, "low": 0.25, "high": 0.75}, width=108)
    assert drawn(bar, "circle")[0].get("cx") == "54"
    assert (drawn(bar, "line", "whisker")[0].get("x1"), drawn(bar, "line", "whisker")[0].get("x2")) == ("29", "79")


def test_an_undefined_figure_has_no_dot() -> None:
    bar = interval_bar({"value": None, "low": None, "high": None}, reference=0.5)
    assert not drawn(bar, "circle")
    assert not drawn(bar, "line", "whisker")


def test_empty_bins_are_no_points() -> None:
    bins: list[dict[str, float | None]] = [
        {"low": 0.0, "high": 0.5, "mean_probability": 0.25, "frequency": 0.5, "pixels": 4},
        {"low": 0.5, "high": 1.0, "mean_probability": None, "frequency": None, "pixels": 0},
    ]
    chart = reliability_chart(bins, title="Reliability", style="cloud")
    assert len(drawn(chart, "circle")) == 1
    assert len(drawn(chart, "rect", "count")) == 1


def test_a_point_on_the_diagonal_is_drawn_on_it() -> None:
    bins = [{"low": 0.0, "high": 1.0, "mean_probability": 0.5, "frequency": 0.5, "pixels": 4}]
    chart = reliability_chart(bins, title="Reliability", style="cloud")
    ideal, dot = drawn(chart, "line", "ideal")[0], drawn(chart, "circle")[0]
    for axis in "xy":
        middle = (float(ideal.get(f"{axis}1", "")) + float(ideal.get(f"{axis}2", ""))) / 2
        assert math.isclose(float(dot.get(f"c{axis}", "")), middle)


def test_the_abstention_curve_goes_from_all_pixels_to_few() -> None:
    chart = abstention_chart([{"kept": 1.0, "error": 0.2}, {"kept": 0.5, "error": 0.1}], title="Abstention")
    dots = [(float(dot.get("cx", "")), float(dot.get("cy", ""))) for dot in drawn(chart, "circle")]
    assert dots[0][0] < dots[1][0]
    assert dots[0][1] < dots[1][1]


def test_a_predictor_without_errors_has_a_flat_abstention_curve() -> None:
    chart = abstention_chart([{"kept": 1.0, "error": 0.0}, {"kept": 0.5, "error": 0.0}], title="Abstention")
    assert len({dot.get("cy") for dot in drawn(chart, "circle")}) == 1


def test_a_loss_is_drawn_above_the_line_of_no_loss() -> None:
    chart = stress_chart({"cloud": [(0.0, 0.0), (1.0, 0.1)]}, title="Blur", unit="px", losses=(0.0, 0.2))
    zero, loss = (float(dot.get("cy", "")) for dot in drawn(chart, "circle"))
    assert loss < zero


def test_a_degradation_without_figures_is_drawn_empty() -> None:
    chart = stress_chart({"cloud": [(0.0, 0.0)]}, title="Blur <1>", unit="px", losses=(0.0, 0.1))
    assert len(drawn(chart, "circle")) == 1
