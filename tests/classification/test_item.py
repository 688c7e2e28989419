"""A classifier's spec survives the way through its STAC item, and the item has no defect."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from undercast.classification.item import read_spec, slug, spec_properties
from undercast.errors import ModelError
from undercast.models.lint.defects import lint_file
from undercast.models.table import Table


def read(properties: dict[str, Any]) -> Any:
    return read_spec(Table(values=json.loads(json.dumps(properties)), origin="item"))


@pytest.mark.parametrize(("configuration", "order"), [("10m", "v0.2.0"), ("all", "v0.1.1"), ("s1", "v0.2.0")])
def test_a_spec_comes_back_as_it_went(make: SimpleNamespace, configuration: str, order: str) -> None:
    spec = make.tiny_spec(configuration, order)
    assert read(spec_properties(spec)) == spec


def test_the_other_channel_order_is_refused(make: SimpleNamespace) -> None:
    properties = spec_properties(make.tiny_spec("all"))
    properties["undercast:classifier"]["channel_order"] = "v0.1.1"
    with pytest.raises(ModelError, match=r"item: classifier 'tiny-classifier': bands: expected B02, B03.*v0.1.1.*VV"):
        read(properties)


def test_more_labels_than_classes_are_refused(make: SimpleNamespace) -> None:
    properties = spec_properties(make.tiny_spec())
    properties["undercast:classifier"]["labels"].append("Clouds")
    with pytest.raises(ModelError, match="labels: expected 19 labels, as the output has classes, got 20"):
        read(properties)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mlm:tasks": ["semantic-segmentation"]}, "a scene classifier that undercast packed"),
        ({"undercast:classifier": {}}, "labels is missing"),
        ({"mlm:input": []}, "a list of one object"),
        ({"eo:bands": []}, "bands that eo:bands describes"),
    ],
)
def test_a_field_that_is_missing_is_named(make: SimpleNamespace, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        read({**spec_properties(make.tiny_spec()), **change})


def test_labels_become_names_of_columns() -> None:
    assert slug("Beaches, dunes, sands") == "beaches_dunes_sands"


def test_our_own_lint_finds_no_defect(package: Path) -> None:
    assert lint_file(package / "item.json") == ()
