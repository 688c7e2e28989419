"""Every defect of an item is told with the rule that it breaks, as the published schemas judge it."""

from __future__ import annotations

import copy
import json
import random
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undercast.errors import ModelError
from undercast.models.lint.defects import Defect, lint, lint_file, mlm_version, read_card

make = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "data" / "models" / "make_dialects.py")))

Validate = Callable[[dict[str, Any]], list[str]]

SEVEN = {
    ("collection", "STAC 1.1.0 core: collection"),
    ("properties/mlm:tasks/1", "MLM 1.5.0 $defs/mlm:tasks"),
    ("properties/mlm:output/1/tasks/0", "MLM 1.5.0 $defs/mlm:tasks"),
    ("properties/mlm:input/0/input/dim_order", "MLM 1.5.0 $defs/ModelInputBandsDimensionRef"),
    ("properties/mlm:input", "MLM 1.5.0 $defs/AnyBandsRef"),
    ("properties/mlm:output/0/classification:classes/0/color_hint", "MLM 1.5.0 $defs/ClassificationClasses"),
    ("properties/mlm:output/0/post_processing_function", "MLM 1.5.0 $defs/ProcessingExpression"),
}
"""Where the published item breaks its schemas, and which rule."""

LET_THROUGH = {
    ("clockwise-ring", "geometry/coordinates/0"),
    ("framework-spelling", "properties/mlm:framework"),
    ("unknown-norm", "properties/mlm:input/0/norm"),
    ("prose-bands", "properties/mlm:input/0/bands"),
    ("float-integer", "properties/mlm:output/0/classification:classes/0/value"),
    ("float-integer", "properties/mlm:output/0/classification:classes/1/value"),
    ("no-checksum", "assets"),
    ("no-license", "properties/license"),
    ("license-conflict", "properties/license"),
    ("level-conflict", "properties/mlm:input"),
}
"""What the schemas let through, and where; beside the artifact type of each member."""


def errors(defects: tuple[Defect, ...]) -> set[tuple[str, str]]:
    return {(defect.where, defect.rule) for defect in defects if defect.severity == "error"}


def warnings(defects: tuple[Defect, ...]) -> set[tuple[str, str]]:
    found = {(defect.code, defect.where) for defect in defects if defect.severity == "warning"}
    return {(code, where) for code, where in found if code != "artifact-type"}


def test_the_layout_of_fdr4vgt_has_exactly_its_known_defects() -> None:
    defects = lint(make.fdr4vgt_item())
    assert errors(defects) == SEVEN
    assert warnings(defects) == LET_THROUGH
    assert len(defects) == 7 + 10 + 3


@pytest.mark.real_data
def test_the_published_item_has_exactly_its_known_defects(schemas: Path, validate: Validate) -> None:
    path = schemas / "fdr4vgt_item.json"
    defects = lint_file(path)
    assert errors(defects) == SEVEN
    assert len(validate(json.loads(path.read_text()))) == 7
    assert warnings(defects) == LET_THROUGH
    assert len(defects) == 7 + 10 + 6


def test_an_item_without_defects_has_none() -> None:
    assert lint(make.plain_item()) == ()


def test_a_defect_says_what_was_expected_and_what_came() -> None:
    item = make.plain_item()
    item["properties"]["mlm:tasks"] = ["mowing"]
    (defect,) = lint(item)
    assert defect.to_dict() == {
        "severity": "error",
        "code": "schema",
        "where": "properties/mlm:tasks/0",
        "rule": "MLM 1.5.0 $defs/mlm:tasks",
        "message": defect.message,
    }
    assert defect.message.startswith("expected one of regression, classification")
    assert defect.message.endswith("got 'mowing'")


@pytest.mark.parametrize(
    ("card", "codes"),
    [
        ("---\nlicense: mit\n---\nFor TOA reflectance.", set()),
        ("---\nlicense: cc0-1.0\n---\n", {"license-conflict"}),
        ("For L2A products.", {"level-conflict"}),
        ("For L1C and L2A products.", set()),
    ],
)
def test_an_item_is_held_against_the_card_beside_it(tmp_path: Path, card: str, codes: set[str]) -> None:
    (tmp_path / "README.md").write_text(card)
    (tmp_path / "item.json").write_text(json.dumps(make.plain_item()))
    assert {defect.code for defect in lint_file(tmp_path / "item.json")} == codes


def test_a_card_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "README.md").mkdir()
    (tmp_path / "card.md").write_text("license: MIT")
    assert read_card(tmp_path) == "license: MIT"


def test_a_product_level_in_words_only_is_a_defect() -> None:
    item = make.plain_item(name="TOA reflectance")
    del item["properties"]["undercast:levels"]
    assert {defect.code for defect in lint(item)} == {"level-in-words"}


def test_what_an_item_is_made_of_cannot_break_a_line() -> None:
    item = make.plain_item()
    item["assets"]["a\n\x1b[31m"] = {"href": ""}
    (defect,) = lint(item)
    assert defect.where == r"assets/a\n\x1b[31m/href"


def test_an_item_is_judged_by_the_version_that_it_declares() -> None:
    item = make.plain_item()
    item["stac_extensions"][0] = "https://stac-extensions.github.io/mlm/v1.5.2/schema.json"
    assert (mlm_version(item), lint(item)) == ("1.5.2", ())
    item["stac_extensions"][0] = "https://stac-extensions.github.io/mlm/v1.4.0/schema.json"
    assert errors(lint(item)) == {("stac_extensions", "MLM 1.5.0 $defs/stac_extensions_mlm")}


def test_a_file_that_is_no_item_is_refused(tmp_path: Path) -> None:
    (tmp_path / "item.json").write_text("[]")
    with pytest.raises(ModelError, match=r"expected a JSON object, got list"):
        lint_file(tmp_path / "item.json")
    assert lint({})[0].message.startswith("expected the field type")


JUNK: tuple[Any, ...] = (None, "", "x y", -2, 0, 1.5, True, [], {}, ["a", "a"], [1], {"a": 1}, "bands", ["bands"])
"""Values that stand in for others; an entry that is removed is one more."""


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, entry in inner for place in places(entry, (*path, key)))]


def changed(item: dict[str, Any], path: tuple[str | int, ...], junk: object) -> dict[str, Any]:
    copied = copy.deepcopy(item)
    place: Any = copied
    for key in path[:-1]:
        place = place[key]
    if junk == "remove":
        del place[path[-1]]
    else:
        place[path[-1]] = copy.deepcopy(junk)
    return copied


def rich_item() -> dict[str, Any]:
    """Give a valid item that uses as many fields as there are rules here."""
    item: dict[str, Any] = make.plain_item(
        value_scaling=[{"type": "z-score", "mean": 0.1, "stddev": 0.2}],
        resize_type="crop",
        pre_processing_function={"format": "python", "expression": "f"},
    )
    item["stac_extensions"].append("https://stac-extensions.github.io/raster/v1.1.0/schema.json")
    item["collection"] = "many"
    item["links"] = [{"rel": "collection", "href": "./collection.json"}]
    item["properties"] |= {
        "mlm:framework": "PyTorch",
        "mlm:framework_version": "2.5.1+cu121",
        "mlm:accelerator": "cuda",
        "mlm:accelerator_constrained": False,
        "mlm:accelerator_count": 1,
        "mlm:batch_size_suggestion": 4,
        "mlm:total_parameters": 7,
        "mlm:pretrained": True,
        "mlm:hyperparameters": {"rate": 1},
        "gsd": 10.0,
        "eo:bands": copy.deepcopy(item["assets"]["weights"]["eo:bands"]),
    }
    item["properties"]["mlm:output"][0]["classification:classes"][0]["color_hint"] = "00FF00"
    item["assets"]["weights"]["raster:bands"] = [
        {"name": "B03", "data_type": "uint16", "scale": 0.0001, "nodata": 0, "statistics": {"mean": 1.0}}
    ]
    item["assets"]["code"] = {"href": "./code.py", "roles": ["code"], "mlm:entrypoint": "f"}
    return item


@pytest.mark.real_data
def test_a_valid_item_that_is_broken_anywhere_gets_the_verdict_of_the_schemas(validate: Validate) -> None:
    item = rich_item()
    assert validate(item) == []
    assert errors(lint(item)) == set()
    cases = [(place, junk) for place in places(item)[1:] if place[0] != "stac_extensions" for junk in ("remove", *JUNK)]
    for place, junk in random.Random(4).sample(cases, 60):
        broken = changed(item, place, junk)
        assert bool(errors(lint(broken))) == bool(validate(broken)), (place, junk, lint(broken), validate(broken))


@pytest.mark.real_data
def test_the_published_examples_get_the_verdict_of_the_schemas(schemas: Path, validate: Validate) -> None:
    paths = sorted(schemas.glob("v1.5.[02]/examples/item_*.json"))
    assert len(paths) > 10
    for path in paths:
        item = json.loads(path.read_text())
        assert bool(errors(lint(item))) == bool(validate(item)), (path, errors(lint(item)), validate(item))


@settings(max_examples=100)
@given(place=st.sampled_from(places(rich_item())[1:]), junk=st.sampled_from(("remove", *JUNK, 10**400, "9" * 400)))
def test_any_broken_item_is_judged(place: tuple[str | int, ...], junk: object) -> None:
    for defect in lint(changed(rich_item(), place, junk)):
        assert "\n" not in defect.message
        assert len(defect.message) < 1000
