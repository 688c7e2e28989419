"""Rules of the STAC extension MLM 1.5, by their names in its JSON schema.

Source: https://stac-extensions.github.io/mlm/v1.5.0/schema.json; 1.5.1 and 1.5.2 differ in their own identifier and a
description only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from undercast.models.lint.shapes import (
    Check,
    Fault,
    Path,
    anything,
    array,
    boolean,
    either,
    fault,
    mapping,
    named,
    number,
    one_of,
    or_null,
    record,
    text,
    whole,
)

VERSIONS = ("1.5.0", "1.5.1", "1.5.2")
"""Versions whose rules these are."""

SCHEMA = "https://stac-extensions.github.io/mlm/v{}/schema.json"
"""Identifier of a version's schema."""

TASKS = (
    "regression",
    "classification",
    "scene-classification",
    "detection",
    "object-detection",
    "segmentation",
    "semantic-segmentation",
    "instance-segmentation",
    "panoptic-segmentation",
    "similarity-search",
    "generative",
    "image-captioning",
    "super-resolution",
    "downscaling",
)
"""What a model can do."""

FRAMEWORKS = (
    "PyTorch",
    "TensorFlow",
    "scikit-learn",
    "Hugging Face",
    "Keras",
    "ONNX",
    "rgee",
    "spatialRF",
    "JAX",
    "Flax",
    "MXNet",
    "Caffe",
    "PyMC",
    "Weka",
    "Paddle",
)
"""Frameworks in their usual spelling; others are allowed."""

ACCELERATORS = ("amd64", "cuda", "xla", "amd-rocm", "intel-ipex-cpu", "intel-ipex-gpu", "macos-arm")
"""Accelerators; null is none."""

RESIZES = (
    "crop",
    "pad",
    *(f"interpolation-{kind}" for kind in ("nearest", "linear", "cubic", "area", "lanczos4", "max")),
    "wrap-fill-outliers",
    "wrap-inverse-map",
)
"""Ways of resizing an input."""

DATA_TYPES = (
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    *(f"float{bits}" for bits in (16, 32, 64)),
    *("cint16", "cint32", "cfloat32", "cfloat64", "other"),
)
"""Data types of the extension raster 1.1."""

MODEL_ROLE = "mlm:model"
"""Role of weights."""

_SEMVER = (
    r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|"
    r"\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?$"
)


def _scaling(kind: str, *fields: str) -> Check:
    return record({"type": one_of((kind,)), **{name: number() for name in fields}}, required=("type", *fields))


EXPRESSION: Check = record({"format": text(), "expression": anything()}, required=("format", "expression"))
EXPRESSIONS: Check = named(
    "$defs/ProcessingExpression",
    either(
        "an object with format and expression, a list of them, or null",
        or_null(EXPRESSION),
        array(or_null(EXPRESSION), least=1),
    ),
)
SCALING: Check = named(
    "$defs/ValueScaling",
    or_null(
        array(
            either(
                "min-max, z-score, clip, clip-min, clip-max, offset, scale or processing, with its fields",
                *(_scaling(kind, "minimum", "maximum") for kind in ("min-max", "clip")),
                _scaling("z-score", "mean", "stddev"),
                _scaling("clip-min", "minimum"),
                _scaling("clip-max", "maximum"),
                *(_scaling(kind, "value") for kind in ("offset", "scale")),
                record({"type": one_of(("processing",)), "format": text()}, required=("type", "format", "expression")),
            ),
            least=1,
        )
    ),
)
_NAMED_BAND: Check = record(
    {"name": text(filled=True), "format": text(filled=True), "expression": anything()}, required=("name",), closed=""
)


def _band(value: Any, path: Path) -> Iterator[Fault]:
    if isinstance(value, dict) and ("format" in value) != ("expression" in value):
        yield fault(path, "format and expression together", value)
    yield from either("a name, or an object with name", text(filled=True), _NAMED_BAND)(value, path)


BANDS: Check = named("$defs/ModelBandsVariables", array(_band))
STRUCTURE: Check = record(
    {
        "shape": named("$defs/DimensionShape", array(whole(-1), least=1)),
        "dim_order": named("$defs/DimensionOrder", array(text(r"^[a-z\-_]+$"), least=1, unique=True)),
        "data_type": named("$defs/DataType", one_of(DATA_TYPES)),
    },
    required=("shape", "dim_order", "data_type"),
)
CLASSES: Check = named(
    "$defs/ClassificationClasses",
    array(
        record(
            {"value": whole(), "description": text(), "name": text(), "color_hint": text(r"^[0-9A-Fa-f]{6}$")},
            required=("value", "description"),
        ),
        unique=True,
    ),
)
TASK_LIST: Check = named("$defs/mlm:tasks", array(one_of(TASKS), unique=True))
INPUT: Check = named(
    "$defs/ModelInput",
    record(
        {
            "name": text(filled=True),
            "bands": BANDS,
            "variables": BANDS,
            "input": STRUCTURE,
            "value_scaling": SCALING,
            "description": text(filled=True),
            "resize_type": named("$defs/ResizeType", or_null(one_of(RESIZES))),
            "pre_processing_function": EXPRESSIONS,
        },
        required=("name", "input"),
    ),
)
OUTPUT: Check = named(
    "$defs/ModelOutput",
    record(
        {
            "name": text(filled=True),
            "tasks": TASK_LIST,
            "result": STRUCTURE,
            "bands": BANDS,
            "variables": BANDS,
            "classification:classes": CLASSES,
            "description": text(filled=True),
            "post_processing_function": EXPRESSIONS,
        },
        required=("name", "tasks", "result"),
    ),
)
FIELDS: dict[str, Check] = {
    "mlm:name": text(r"^[a-zA-Z][a-zA-Z0-9_.\-\s]+[a-zA-Z0-9]$"),
    "mlm:architecture": text(),
    "mlm:tasks": TASK_LIST,
    "mlm:framework": text(r"^[^\s._\-](.*[^\s._\-])?$"),
    "mlm:framework_version": text(_SEMVER),
    "mlm:memory_size": whole(0),
    "mlm:total_parameters": whole(0),
    "mlm:pretrained": boolean(),
    "mlm:pretrained_source": or_null(text()),
    "mlm:batch_size_suggestion": whole(0),
    "mlm:accelerator": or_null(one_of(ACCELERATORS)),
    "mlm:accelerator_constrained": boolean(),
    "mlm:accelerator_summary": text(),
    "mlm:accelerator_count": whole(1),
    "mlm:input": array(INPUT),
    "mlm:output": array(OUTPUT),
    "mlm:hyperparameters": record({}, least=1),
    "mlm:artifact_type": text(filled=True),
    "mlm:compile_method": text(filled=True),
    "mlm:entrypoint": text(filled=True),
}
"""Field -> its check."""

ITEM_REQUIRED = ("mlm:name", "mlm:architecture", "mlm:tasks", "mlm:input", "mlm:output")
ITEM_FORBIDDEN = ("mlm:artifact_type", "mlm:compile_method", "mlm:entrypoint")
ASSET_FORBIDDEN = ("mlm:name", "mlm:input", "mlm:output", "mlm:hyperparameters")

_NAMED_FIELDS = {key: named(f"$defs/{key}", check) for key, check in FIELDS.items()}
_PROPERTIES = named("$defs/mlmItemFields", record(_NAMED_FIELDS, required=ITEM_REQUIRED, closed="mlm:"))
_ASSET = named("$defs/mlmAssetFields", record(_NAMED_FIELDS, closed="mlm:"))


def mlm_faults(item: Mapping[str, Any], version: str) -> Iterator[Fault]:
    """Give what in an item breaks the rules of MLM 1.5.

    Args:
        item: The item.
        version: Version whose identifier it must declare.
    """
    properties, assets = _object(item, "properties"), _object(item, "assets")
    if SCHEMA.format(version) not in _list(item, "stac_extensions"):
        yield fault(
            ("stac_extensions",), SCHEMA.format(version), _list(item, "stac_extensions"), "$defs/stac_extensions_mlm"
        )
    yield from _PROPERTIES(item.get("properties"), ("properties",))
    yield from mapping(_ASSET)(item.get("assets"), ("assets",))
    yield from _forbidden(properties, ITEM_FORBIDDEN, ("properties",), "$defs/mlmItemFields/not")
    for name, asset in assets.items():
        if isinstance(asset, dict):
            yield from _forbidden(asset, ASSET_FORBIDDEN, ("assets", name), "$defs/mlmAssetFields/not")
            yield from _roles(asset, ("assets", name))
    hyperparameters = properties.get("mlm:hyperparameters")
    if isinstance(hyperparameters, dict):
        check = text(r"^[0-9a-zA-Z_.-]+$")
        for key in hyperparameters:
            path = ("properties", "mlm:hyperparameters", key)
            yield from named("$defs/mlm:hyperparameters", check)(key, path)
    yield from _dimensions(properties)
    if assets and not any(is_model(asset) for asset in assets.values()):
        rule = "$defs/AssetModelRoleMinimumOneDefinition"
        yield fault(("assets",), f"an asset with role {MODEL_ROLE}", list(assets), rule)
    yield from _references(item, "bands", _describes_bands(item))
    yield from _references(item, "variables", _describes_variables(item))


def is_model(asset: object) -> bool:
    """Tell whether an asset has the role of weights."""
    return isinstance(asset, dict) and MODEL_ROLE in _list(asset, "roles")


def _object(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = values.get(key)
    return found if isinstance(found, dict) else {}


def _list(values: Mapping[str, Any], key: str) -> list[Any]:
    found = values.get(key)
    return found if isinstance(found, list) else []


def _forbidden(values: Mapping[str, Any], keys: tuple[str, ...], path: Path, rule: str) -> Iterator[Fault]:
    for key in keys:
        if key in values:
            yield fault((*path, key), "this field elsewhere", values[key], rule)


def _roles(asset: Mapping[str, Any], path: Path) -> Iterator[Fault]:
    if is_model(asset) != ("mlm:artifact_type" in asset):
        expected = f"role {MODEL_ROLE} and mlm:artifact_type together"
        yield fault(path, expected, _list(asset, "roles"), "$defs/AssetModelRequiredProperties")
    if "mlm:entrypoint" in asset and "code" not in _list(asset, "roles"):
        expected = "role code beside mlm:entrypoint"
        yield fault(path, expected, _list(asset, "roles"), "$defs/AssetCodeRoleWithEntrypoint")


def _dimensions(properties: Mapping[str, Any]) -> Iterator[Fault]:
    """Hold the bands and variables of inputs and outputs against the names of their axes."""
    for key, structure, what in (("mlm:input", "input", "ModelInput"), ("mlm:output", "result", "ModelOutput")):
        for position, row in enumerate(_list(properties, key)):
            if not isinstance(row, dict):
                continue
            order = _list(_object(row, structure), "dim_order")
            known = "dim_order" in _object(row, structure)
            for axis in ("bands", "variables"):
                listed = bool(_list(row, axis))
                if known and listed != (axis in order):
                    expected = f"an axis {axis!r}" if listed else f"no axis {axis!r} without {axis}"
                    path = ("properties", key, position, structure, "dim_order")
                    yield fault(path, expected, order, f"$defs/{what}{axis.capitalize()}DimensionRef")


def _references(item: Mapping[str, Any], axis: str, described: bool) -> Iterator[Fault]:  # noqa: FBT001 (a fact)
    properties = _object(item, "properties")
    named_rows = [
        rows
        for key in ("mlm:input", "mlm:output")
        if (rows := _list(properties, key)) and all(isinstance(row, dict) and _list(row, axis) for row in rows)
    ]
    if named_rows and not described:
        ways = {
            "bands": "eo:bands (properties or each model asset), raster:bands (each model asset) or bands (properties)",
            "variables": "cube:variables (properties or each model asset)",
        }
        expected = f"{ways[axis]}, with its extension declared"
        yield fault(("properties", "mlm:input"), expected, "none", f"$defs/Any{axis.capitalize()}Ref")


def _declares(item: Mapping[str, Any], extension: str) -> bool:
    start = f"https://stac-extensions.github.io/{extension}."
    return any(isinstance(url, str) and url.startswith(start) for url in _list(item, "stac_extensions"))


def _on_models(item: Mapping[str, Any], check: Check) -> bool:
    models = [asset for asset in _object(item, "assets").values() if is_model(asset)]
    return all(next(check(asset, ()), None) is None for asset in models)


def _describes_bands(item: Mapping[str, Any]) -> bool:
    rows, named_rows = (
        array(record({}), least=1),
        array(record({"name": text(filled=True)}, required=("name",)), least=1),
    )
    eo, raster = (
        record({key: check}, required=(key,)) for key, check in (("eo:bands", rows), ("raster:bands", named_rows))
    )
    properties = _object(item, "properties")
    return (
        (_declares(item, "raster/v1") and _on_models(item, raster))
        or (_declares(item, "eo/v1") and (next(eo(properties, ()), None) is None or _on_models(item, eo)))
        or next(record({"bands": rows}, required=("bands",))(properties, ()), None) is None
    )


def _describes_variables(item: Mapping[str, Any]) -> bool:
    check = record({"cube:variables": record({}, least=1)}, required=("cube:variables",))
    given = next(check(_object(item, "properties"), ()), None) is None or _on_models(item, check)
    return _declares(item, "datacube/v2") and given
