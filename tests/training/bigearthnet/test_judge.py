"""A judgement has figures with intervals, by label, and how far it is above the labels' frequencies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from undercast.evaluation.intervals import IntervalOptions
from undercast.training.bigearthnet.judge import frequency_baseline, judge

LABELS = ("a", "b", "c")
OPTIONS = IntervalOptions(replicates=200)


def drawn(sure: float, patches: int = 60) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    truth = rng.random((patches, 3)) < (0.5, 0.3, 0.0)
    return (rng.normal(0, 1, truth.shape) + sure * truth).astype(np.float32), truth


def test_the_baseline_scores_every_patch_by_frequency() -> None:
    baseline = frequency_baseline(np.array([[True, False, True], [True, False, False]]), 4)
    assert baseline.shape == (4, 3)
    assert np.ptp(baseline, axis=0).tolist() == [0, 0, 0]
    assert 1 / (1 + np.exp(-baseline[0])) == pytest.approx([1 - 1e-4, 1e-4, 0.5], abs=1e-6)


def test_a_good_classifier_is_above_the_baseline_and_its_interval_holds_the_figure() -> None:
    logits, truth = drawn(3.0)
    found = judge(logits, truth, LABELS, frequency_baseline(truth, len(truth)), OPTIONS)
    for figure in (*found["scores"].values(), *found["baseline"]["margins"].values()):
        assert figure["low"] <= figure["value"] <= figure["high"]
    assert found["baseline"]["margins"]["AP_macro"]["low"] > 0.2
    assert found["baseline"]["scores"]["AUROC_macro"]["value"] == 0.5


def test_chance_is_not_above_the_baseline() -> None:
    logits, truth = drawn(0.0)
    margin = judge(logits, truth, LABELS, frequency_baseline(truth, len(truth)), OPTIONS)["baseline"]["margins"]
    assert margin["AP_micro"]["low"] < 0.0


def test_labels_that_no_patch_has_are_told() -> None:
    logits, truth = drawn(3.0)
    found = judge(logits, truth, LABELS, logits, OPTIONS)
    assert found["scored_labels"] == ["a", "b"]
    assert found["per_label"]["c"]["support"] == 0
    assert found["per_label"]["c"]["AP"] is None
    assert found["undefined"] == {}
    assert found["baseline"]["margins"]["AP_macro"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_figures_that_nothing_defines_say_why() -> None:
    logits, truth = drawn(3.0)
    found = judge(logits, np.zeros_like(truth), LABELS, logits, OPTIONS)
    assert found["scores"]["AP_macro"] == {"value": None, "low": None, "high": None}
    assert found["undefined"]["AP_macro"].startswith("no patch that is judged has the label")
    assert found["baseline"]["margins"]["AP_micro"]["value"] is None
