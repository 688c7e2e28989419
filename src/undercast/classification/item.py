"""Item: a ClassifierSpec as the properties of a STAC MLM item, and back."""

from __future__ import annotations

import re
from typing import Any

from undercast.bands import Band
from undercast.classifier_spec import CHANNEL_ORDER_NAMES, DN, RADAR, ClassifierBand, ClassifierSpec
from undercast.errors import ModelError
from undercast.models.item import eo_names
from undercast.models.package import CLASSIFIER
from undercast.models.table import Table
from undercast.types import PRODUCT_LEVELS

TASK = "scene-classification"
"""MLM's name of the task."""


def slug(label: str) -> str:
    """Give a label as a name of letters, digits and underscores, for columns and classes."""
    return re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")


def spec_properties(spec: ClassifierSpec) -> dict[str, Any]:
    """Describe a spec: in the fields of MLM and eo where they have one, else in ``undercast:classifier``."""
    return {
        "mlm:name": spec.id,
        "mlm:architecture": spec.architecture,
        "mlm:tasks": [TASK],
        "mlm:input": [_input(spec)],
        "mlm:output": [_output(spec)],
        "eo:bands": [_band(layer) for layer in spec.bands],
        "undercast:title": spec.title,
        "undercast:version": spec.version,
        CLASSIFIER: {
            "configuration": spec.configuration,
            "channel_order": spec.channel_order,
            "labels": list(spec.labels),
            "side_px": spec.side_px,
            "gsd": spec.gsd,
            "threshold": spec.threshold,
            "levels": list(spec.levels),
        },
    }


def _input(spec: ClassifierSpec) -> dict[str, Any]:
    scaling = [{"type": "z-score", "mean": layer.mean, "stddev": layer.std} for layer in spec.bands]
    return {
        "name": "windows",
        "description": f"Sentinel-2 as reflectance * {DN:g}, Sentinel-1 in dB; no data becomes the mean.",
        "bands": list(spec.layers),
        "input": {
            "shape": [-1, len(spec.bands), spec.side_px, spec.side_px],
            "dim_order": ["batch", "bands", "height", "width"],
            "data_type": "float32",
        },
        "value_scaling": scaling,
    }


def _output(spec: ClassifierSpec) -> dict[str, Any]:
    return {
        "name": "logits",
        "description": "One logit per label; a label's score is its sigmoid. Several labels can hold at once.",
        "tasks": [TASK],
        "result": {"shape": [-1, len(spec.labels)], "dim_order": ["batch", "class"], "data_type": "float32"},
        "classification:classes": [
            {"value": value, "name": slug(label), "title": label, "description": label}
            for value, label in enumerate(spec.labels)
        ],
        "post_processing_function": {"format": "python", "expression": "scipy.special:expit"},
    }


def _band(layer: ClassifierBand) -> dict[str, Any]:
    if layer.band is None:
        return {"name": layer.name, "description": "Sentinel-1 backscatter, in dB"}
    described = {
        "name": layer.name,
        **eo_names(layer.band.common_name),
        "center_wavelength": layer.band.center_wavelength,
        "full_width_half_max": layer.band.full_width_half_max,
    }
    return described if layer.band.gsd is None else {**described, "gsd": layer.band.gsd}


def read_spec(properties: Table) -> ClassifierSpec:
    """Read a spec from an item's properties.

    Raises:
        ModelError: If the item is no classifier's, a field is missing or wrong, or they contradict each other (layers
            in another order than the declared one; more or fewer classes than labels).
    """
    tasks = properties.texts("mlm:tasks", default=())
    if TASK not in tasks or CLASSIFIER not in properties.values:
        expected = f"a scene classifier that undercast packed ({TASK}, with {CLASSIFIER})"
        raise properties.wrong(key="mlm:tasks", expected=expected, got=", ".join(tasks) or "none")
    own = properties.table(CLASSIFIER)
    labels = own.texts("labels")
    outputs = properties.first("mlm:output").tables("classification:classes")
    if len(outputs) != len(labels):
        raise own.wrong(key="labels", expected=f"{len(outputs)} labels, as the output has classes", got=len(labels))
    try:
        return ClassifierSpec(
            id=properties.text("mlm:name"),
            version=properties.text("undercast:version"),
            title=properties.text("undercast:title", default=""),
            bands=_read_bands(properties),
            configuration=own.text("configuration"),
            channel_order=own.choice("channel_order", CHANNEL_ORDER_NAMES),
            labels=labels,
            side_px=own.integer("side_px"),
            gsd=own.number("gsd"),
            threshold=own.number("threshold"),
            levels=own.choices("levels", PRODUCT_LEVELS),
            architecture=properties.text("mlm:architecture", default=""),
        )
    except ModelError as error:
        if str(error).startswith(properties.origin):
            raise
        msg = f"{properties.origin}: {error}"
        raise ModelError(msg) from error


def _read_bands(properties: Table) -> tuple[ClassifierBand, ...]:
    described = {row.text("name"): row for row in properties.tables("eo:bands")}
    model_input = properties.first("mlm:input")
    names, scaling = model_input.texts("bands"), model_input.tables("value_scaling")
    missing = [name for name in names if name not in described]
    if missing or len(scaling) != len(names) or len(set(names)) != len(names):
        expected = "bands that eo:bands describes, each once, with one z-score each"
        raise model_input.wrong(key="bands", expected=expected, got=", ".join(names) or "none")
    return tuple(
        ClassifierBand(
            name=name,
            band=None if name in RADAR else _read_band(described[name]),
            mean=row.number("mean"),
            std=row.number("stddev"),
        )
        for name, row in zip(names, scaling, strict=True)
    )


def _read_band(row: Table) -> Band:
    return Band(
        name=row.text("name"),
        common_name=row.optional_text("undercast:common_name") or row.text("common_name"),
        center_wavelength=row.number("center_wavelength"),
        full_width_half_max=row.number("full_width_half_max"),
        gsd=row.optional_number("gsd"),
    )
