"""A classifier's card shows the example's best labels first, scores with intervals, and what no patch has."""

from __future__ import annotations

from typing import Any

import pytest

from undercast.models.card.scene_fields import picture_layers, scene_fields


def test_the_widget_shows_the_five_best_labels(properties: dict[str, Any], record: dict[str, Any]) -> None:
    shuffled = {**record, "example": {"scores": {"a": 0.1, "b": 0.9, "c": 0.5, "d": 0.4, "e": 0.3, "f": 0.2}}}
    made = scene_fields(properties, shuffled, "example.png")
    assert [line.strip() for line in made.widget if "label:" in line] == [f'- label: "{name}"' for name in "bcdef"]
    assert (made.fields["LABEL_6"], made.fields["SCORE_6"]) == ("a", "0.100000")
    assert made.fields["LABEL_7"] == "none (the model has no more labels)"
    assert scene_fields(properties, shuffled, None).widget == ()


def test_all_labels_of_the_example_are_listed(properties: dict[str, Any], record: dict[str, Any]) -> None:
    example = scene_fields(properties, record, "example.png").fields["EXAMPLE"]
    assert "![Example](example.png)" in example
    assert all(f"| {label} | {score:.6f} |" in example for label, score in record["example"]["scores"].items())


def test_scores_stand_with_their_intervals_and_averages(properties: dict[str, Any], record: dict[str, Any]) -> None:
    fields = scene_fields(properties, record, None).fields
    macro = record["scores"]["AP_macro"]
    written = f"{macro['value']:.4f} [{macro['low']:.4f} to {macro['high']:.4f}]"
    assert f"| AP | {written} |" in fields["SCORES"]
    assert "none (not defined) |" in fields["SCORES"]  # average precision has no average over samples
    assert f"| AP macro | {written} |" in fields["BASELINE"]


def test_a_label_that_no_held_patch_has_says_so(properties: dict[str, Any], record: dict[str, Any]) -> None:
    by_label = scene_fields(properties, record, None).fields["SCORES_BY_CLASS"]
    assert "| Agro-forestry areas | 0 | 0 | none (no held patch has it) |" in by_label
    assert len(by_label.splitlines()) == 2 + 19


def test_an_undefined_score_says_why(properties: dict[str, Any], record: dict[str, Any]) -> None:
    scores = {**record["scores"], "AUROC_macro": {"value": None}}
    told = {**record, "scores": scores, "undefined": {"AUROC_macro": "one class only"}}
    assert "| AUROC | none (one class only) |" in scene_fields(properties, told, None).fields["SCORES"]


@pytest.mark.parametrize(
    ("layers", "shown"),
    [
        (("VV", "VH", "B02", "B03", "B04", "B08"), ("B04", "B03", "B02")),
        (("B03", "B04", "B08"), ("B08", "B04", "B03")),
        (("VH", "VV"), ("VH", "VH", "VH")),
    ],
)
def test_a_picture_takes_layers_by_name(layers: tuple[str, ...], shown: tuple[str, ...]) -> None:
    assert picture_layers(layers) == shown
