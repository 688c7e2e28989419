from __future__ import annotations

from typing import Any

import numpy as np

from undercast.reports.content import loss_curve, loss_range, merged_matrix, set_matrix, stress_groups

ROWS: list[dict[str, Any]] = [
    {"degradation": "gain", "severity": 0.1, "unit": "relative", "loss": {"cloud_f1": 0.2}},
    {"degradation": "gain", "severity": -0.1, "unit": "relative", "loss": {"cloud_f1": -0.3}},
    {"degradation": "blur", "severity": 1.0, "unit": "px", "loss": {"cloud_f1": None}},
]


def test_rows_are_grouped_by_degradation_and_sorted_by_severity() -> None:
    groups = stress_groups(ROWS)
    assert list(groups) == ["gain", "blur"]
    assert [row["severity"] for row in groups["gain"]] == [-0.1, 0.1]


def test_a_curve_goes_through_the_untouched_image_and_leaves_out_what_is_undefined() -> None:
    assert loss_curve(ROWS[:2], "cloud_f1") == [(-0.1, -0.3), (0.0, 0.0), (0.1, 0.2)]
    assert loss_curve(ROWS[2:], "cloud_f1") == [(0.0, 0.0)]


def test_all_charts_share_a_range_with_nothing_outside() -> None:
    low, high = loss_range(ROWS, ["cloud_f1"])
    assert low < -0.3
    assert high > 0.2
    assert loss_range([], ["cloud_f1"])[0] == 0.0


def test_sets_that_do_not_occur_have_no_row_and_all_classes_have_a_column() -> None:
    counts = np.zeros((16, 5), int)
    counts[9], counts[1] = [5, 0, 0, 4, 0], [7, 1, 0, 0, 0]
    matrix = set_matrix(counts.tolist())
    assert matrix.rows == (1, 9)
    assert matrix.columns == ("Clear", "Thick cloud", "Thin cloud", "Cloud shadow")
    assert matrix.agrees(9) == (True, False, False, True)


def test_pixels_without_prediction_get_a_column_where_there_are_some() -> None:
    counts = np.zeros((16, 5), int)
    counts[1] = [7, 0, 0, 0, 2]
    matrix = set_matrix(counts.tolist())
    assert matrix.columns[-1] == "Not predicted"
    assert matrix.agrees(1)[-1] is None


def test_the_merged_matrix_holds_the_sets_inside_one_of_the_three() -> None:
    counts = np.zeros((16, 5), int)
    counts[1], counts[6], counts[4], counts[9] = [7, 1, 2, 3, 9], [0, 5, 6, 0, 0], [0, 1, 0, 0, 0], [50, 0, 0, 0, 0]
    assert merged_matrix(counts.tolist()).counts == ((7, 3, 3), (0, 12, 0), (0, 0, 0))
