"""Cards of classifiers and of cloud models are built from one template, and every number of them is traceable."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undercast.models.card.fields import CardSource, build_card, card_fields
from undercast.models.card.lint import figures_of, lint_card
from undercast.models.card.template import PLACEHOLDER
from undercast.models.package import find_package

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = (
    *("scores", "per_label", "baseline", "training", "data", "interval", "undefined", "example", "limits", "chips"),
    *("licences", "held_out", "validation_on_simulated", "recipe", "calibration", "report", "scored_labels", "seed"),
)
PROPERTIES = (
    *("title", "undercast:version", "description", "license", "eo:bands", "undercast:classifier", "mlm:architecture"),
    *("undercast:presets", "undercast:optional_bands", "mlm:hyperparameters", "mlm:name", "created"),
)
TASKS = st.sampled_from([["scene-classification"], ["semantic-segmentation"], None, 3])


def numbers_of(value: Any) -> list[float]:
    """Gather the numbers of JSON values, apart from the lint that is tested."""
    if isinstance(value, dict):
        return [number for one in (*value.values(), *value) for number in numbers_of(one)] + [len(value)]
    if isinstance(value, list):
        return [number for one in value for number in numbers_of(one)] + [len(value)]
    if isinstance(value, str):
        return [float(found) for found in re.findall(r"\d+(?:\.\d+)?", value)]
    return [] if value is None or isinstance(value, bool) else [float(value)]


def test_every_number_of_a_classifiers_card_is_in_its_record_or_item(
    properties: dict[str, Any], record: dict[str, Any]
) -> None:
    card = build_card(CardSource(properties=properties, record=record, picture="example.png"))
    known = numbers_of(record) + numbers_of(properties)
    figures = [figure for line in card.splitlines() for figure in figures_of(line)]
    assert len(figures) > 200
    for figure in figures:
        decimals = len(figure.partition(".")[2])
        assert any(f"{number:.{decimals}f}" == figure for number in known), figure
    assert lint_card(card, [record, properties]) == ()


def test_no_placeholder_is_left_and_fields_without_value_say_why(
    properties: dict[str, Any], record: dict[str, Any]
) -> None:
    fields = card_fields(CardSource(properties=properties, record=record, picture="example.png"))
    template = "\n".join(f"<{name}>" for name in fields)
    card = build_card(CardSource(properties=properties, record=record, picture="example.png"), template)
    assert PLACEHOLDER.search(card) is None
    assert fields["WARMUP_STEPS"] == "none (not in the evaluation record)"
    assert all(text.strip() for text in fields.values())
    empty = card_fields(CardSource(properties={"mlm:tasks": ["scene-classification"]}))
    assert empty.keys() >= fields.keys() - {"FACTS"}
    assert empty["AP_MACRO"] == empty["SCORES"] == "none (not in the evaluation record)"


def test_both_tasks_have_the_same_fields(properties: dict[str, Any], record: dict[str, Any]) -> None:
    classifier = card_fields(CardSource(properties=properties, record=record))
    cloud = card_fields(CardSource(properties={"mlm:tasks": ["semantic-segmentation"]}))
    assert classifier.keys() == cloud.keys()
    assert cloud["AP_MACRO"] == "none (a cloud model scores pixels, not labels of scenes)"


def test_the_embedded_models_card_is_of_the_same_build() -> None:
    item = find_package("embedded")
    properties = json.loads(item.read_text("utf-8"))["properties"]
    record = json.loads((item.parent / "evaluation.json").read_text("utf-8"))
    card = build_card(CardSource(properties=properties, record=record))
    assert lint_card(card, [record, properties]) == ()
    assert f"# {properties['title']}, {properties['undercast:version']}" in card
    for source in record["chips"]:
        assert f"| {source} |" in card


@pytest.mark.parametrize("title", ["<AP_MACRO>", "a | b", "two\nlines"])
def test_what_a_stranger_wrote_breaks_no_table(title: str, properties: dict[str, Any], record: dict[str, Any]) -> None:
    card = build_card(CardSource(properties={**properties, "title": title}, record=record))
    assert lint_card(card, [record, properties]) == ()
    heading = next(line for line in card.splitlines() if line.startswith("# "))
    assert heading.endswith(", 1.0.0")


def test_a_template_in_the_layout_of_reben_is_filled(
    properties: dict[str, Any], record: dict[str, Any], tmp_path: Path
) -> None:
    template = (
        "Model <MODEL_NAME> (<MODEL_NAME_RAW>) on <DATASET_NAME_FULL>, <BAND_CONFIG>:"
        " <BANDS_USED>, seen as <VIS_BANDS>\n"
        "lr <LEARNING_RATE>, dropout <DROPOUT_RATE>, epochs <EPOCHS>, batch <BATCH_SIZE>, seed <SEED>\n"
        "| Average Precision | <AP_MACRO> | <AP_MICRO> |\n| Precision | <PRECISION_MACRO> | <PRECISION_MICRO> |\n"
        + "".join(f"- <LABEL_{i}>: <SCORE_{i}>\n" for i in range(1, 20))
    )
    card = build_card(CardSource(properties=properties, record=record), template)
    first, second, *_ = card.splitlines()
    assert first == (
        "Model Linear (linear-10m_s1-v0.2.0) on Invented, 10m_s1: Sentinel-1 & Sentinel-2, seen as B04, B03, B02"
    )
    assert second == "lr 0.001, dropout 0.15, epochs 23, batch 16, seed 42"
    assert f"{record['scores']['precision_macro']['value']:.6f}" in card
    assert "- Agro-forestry areas: 0.990000\n- Arable land: 0.940000" in card
    assert lint_card(card, [record, properties]) == ()


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(KEYS), JSON), st.dictionaries(st.sampled_from(PROPERTIES), JSON), TASKS)
def test_whatever_a_stranger_recorded_becomes_a_card(
    record: dict[str, Any], properties: dict[str, Any], tasks: object
) -> None:
    card = build_card(CardSource(properties={**properties, "mlm:tasks": tasks}, record=record, picture="example.png"))
    assert PLACEHOLDER.search(card) is None
    assert "## Limits" in card
