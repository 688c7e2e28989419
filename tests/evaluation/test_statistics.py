from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from undercast.evaluation import metrics
from undercast.evaluation.intervals import IntervalOptions
from undercast.evaluation.protocols import load_protocol
from undercast.evaluation.statistics import (
    FigureOptions,
    SceneCounts,
    figure_options,
    figures,
    lower_is_better,
    replicated,
    statistics_of,
    subject_of,
)

CLEAR, THICK, THIN, SHADOW = 1, 2, 4, 8
NAMES = {
    *(f"{task}_{name}" for task in metrics.TASK_CLASSES for name in ("precision", "recall", "f1", "f2", "iou")),
    *(f"{task}_balanced_accuracy" for task in metrics.TASK_CLASSES),
    *("overall_accuracy", "balanced_accuracy", "kappa", "micro_iou"),
    *("cloud_ap", "cloud_ece", "shadow_ap", "shadow_ece", "clear_false_cloud", "abstention_gain"),
}
possible_sets = arrays(np.uint8, 40, elements=st.integers(0, 15))
class_maps = arrays(np.uint8, 40, elements=st.sampled_from([0, 1, 2, 3, 255]))


def counted(possible: list[int], class_map: list[int]) -> SceneCounts:
    return SceneCounts(counts=metrics.confusion(np.array(possible, np.uint8), np.array(class_map, np.uint8)))


def test_figures_are_pooled_over_the_pixels_of_all_scenes() -> None:
    scenes = [counted([THICK] * 3 + [CLEAR], [1, 1, 1, 0]), counted([THICK] * 1 + [CLEAR] * 3, [0, 1, 0, 0])]
    found = figures(statistics_of(scenes), FigureOptions()).values
    assert set(found) == NAMES
    assert found["cloud_recall"].value == pytest.approx(3 / 4)
    assert found["cloud_precision"].value == pytest.approx(3 / 4)
    assert found["cloud_recall"].low is None


def test_false_cloud_is_measured_on_scenes_without_cloud_alone() -> None:
    scenes = [counted([CLEAR] * 3 + [SHADOW], [1, 0, 0, 0]), counted([CLEAR, THICK], [1, 1])]
    assert figures(statistics_of(scenes), FigureOptions()).values["clear_false_cloud"].value == pytest.approx(1 / 4)


def test_what_is_undefined_is_none_and_says_why() -> None:
    found = figures(statistics_of([counted([CLEAR] * 4, [0] * 4)]), FigureOptions(), IntervalOptions(replicates=10))
    assert found.values["cloud_recall"].value is None
    assert found.undefined["cloud_recall"] == "the reference has no cloud"
    assert found.undefined["cloud_precision"] == "no pixel is called cloud"
    assert "probabilities" in found.undefined["cloud_ap"]
    assert set(found.undefined) == {name for name, figure in found.values.items() if figure.value is None}


def test_tasks_that_the_protocol_or_the_predictor_leaves_out_are_undefined() -> None:
    options = FigureOptions(tasks=("cloud", "thick"), told=("cloud", "clear"))
    found = figures(statistics_of([counted([CLEAR, THICK, SHADOW], [0, 1, 3])]), options)
    assert found.undefined["shadow_f1"] == "the protocol does not score it"
    assert found.undefined["thick_f1"] == "the predictor does not tell thick cloud"
    assert found.values["cloud_f1"].value == 1.0


def test_a_predictor_that_says_its_classes_is_scored_on_those() -> None:
    options = figure_options(load_protocol(), {"classes": ["clear", "cloud", "cloud_shadow"]}, {"id": "all"})
    assert options.told == ("cloud", "shadow", "clear")


def test_scenes_whose_reference_knows_no_shadow_do_not_bear_on_it() -> None:
    told = counted([CLEAR, SHADOW, THICK], [0, 3, 1])
    untold = counted([CLEAR | SHADOW, THICK, THICK], [0, 3, 3])
    statistics = statistics_of([told, untold])
    assert statistics.bearing("shadow") == 1
    assert statistics.bearing("cloud") == 2
    assert figures(statistics, FigureOptions()).values["shadow_precision"].value == 1.0


@given(possible_sets, class_maps)
def test_the_same_scene_many_times_has_an_interval_without_width(possible: np.ndarray, class_map: np.ndarray) -> None:
    scenes = [SceneCounts(counts=metrics.confusion(possible, class_map))] * 4
    for figure in figures(statistics_of(scenes), FigureOptions(), IntervalOptions(replicates=20)).values.values():
        if figure.value is not None:
            assert figure.low == pytest.approx(figure.value, abs=1e-12)
            assert figure.high == pytest.approx(figure.value, abs=1e-12)


def test_every_figure_has_a_subject_whose_scenes_can_be_counted() -> None:
    statistics = statistics_of([counted([CLEAR, THICK], [0, 1])])
    drawn = replicated(statistics, FigureOptions(), IntervalOptions(replicates=3))
    assert set(drawn) == NAMES
    for name in drawn:
        assert statistics.bearing(subject_of(name)) in {0, 1}


def test_errors_and_false_cloud_are_better_when_lower() -> None:
    assert {name for name in NAMES if lower_is_better(name)} == {
        "cloud_ece",
        "shadow_ece",
        "clear_false_cloud",
        "abstention_gain",
    }
