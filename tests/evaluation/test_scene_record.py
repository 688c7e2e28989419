"""The record of a scene classifier is held against rules as a report of masks is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from undercast.errors import EvaluationError
from undercast.evaluation.gate import RuleVerdict, gate, parse_rules
from undercast.evaluation.scene_record import SceneRecord, read_judged, scene_record

RECORD: dict[str, Any] = {
    "kind": "scene-classification",
    "scores": {
        "AP_macro": {"value": 0.6, "low": 0.5, "high": 0.7},
        "AUROC_micro": {"value": None, "low": None, "high": None},
    },
    "undefined": {"AUROC_micro": "no patch has a label"},
    "baseline": {"margins": {"AP_macro": {"value": 0.2, "low": 0.1, "high": 0.3}}},
    "per_label": {
        "Pastures": {"support": 9, "train_support": 4, "AP": 0.8},
        "Arable land": {"support": 5, "train_support": 7, "AP": 0.4},
        "Marine waters": {"support": 0, "train_support": 1, "AP": None},
    },
}


def verdict(rule: str, record: dict[str, Any] | None = None) -> RuleVerdict:
    (one,) = gate(scene_record(record or RECORD, origin="here"), parse_rules(f"[[rules]]\n{rule}", origin="rules"))
    return one


def test_figures_and_ends_of_their_intervals_are_held_against_thresholds() -> None:
    assert verdict('figure = "AP_macro"\nmin = 0.55').passed
    assert not verdict('figure = "AP_macro"\nmin = 0.55\nuse = "low"').passed


def test_a_classifier_must_be_above_the_labels_frequencies() -> None:
    assert verdict('figure = "AP_macro_over_baseline"\nmin = 0.0\nuse = "low"').found == 0.1


def test_the_worst_label_decides() -> None:
    worst = verdict('figure = "AP_macro"\nmin = 0.5\nby = "label"\nleast_scenes = 1')
    assert (worst.passed, worst.where, worst.found) == (False, "Arable land", 0.4)
    assert verdict('figure = "AP_macro"\nmin = 0.5\nby = "label"\nleast_scenes = 6').where == "Pastures"


def test_what_is_undefined_says_why() -> None:
    assert verdict('figure = "AUROC_micro"\nmin = 0.5').reason == "undefined: no patch has a label"


def test_another_report_is_no_baseline() -> None:
    with pytest.raises(EvaluationError, match="Set min on AP_macro_over_baseline"):
        verdict('figure = "AP_macro"\nbaseline = "other.json"')


def test_a_package_is_read_by_its_folder(tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text(json.dumps(RECORD), "utf-8")
    assert isinstance(read_judged(tmp_path), SceneRecord)


@pytest.mark.parametrize("part", ["scores", "undefined", "baseline", "per_label"])
def test_a_record_without_a_part_is_refused(part: str, tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps({key: value for key, value in RECORD.items() if key != part}), "utf-8")
    with pytest.raises(EvaluationError, match="expected the evaluation record of a scene classifier"):
        read_judged(path)


@pytest.mark.parametrize("text", ["{", '{"kind": "cheese"}', "[]"])
def test_what_is_neither_report_nor_record_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text(text, "utf-8")
    with pytest.raises(EvaluationError):
        read_judged(path)
    with pytest.raises(EvaluationError, match="cannot be read"):
        read_judged(tmp_path / "gone")


def test_numbers_that_are_not_finite_are_refused() -> None:
    scores = {"AP_macro": {"value": "nan", "low": 0.0, "high": 1.0}}
    with pytest.raises(EvaluationError, match="expected a finite number"):
        scene_record(RECORD | {"scores": scores}, origin="here")
