"""Dialects: an item that undercast did not write, as a ModelSpec; what it does not say is assumed and noted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from undercast.bands import Band
from undercast.model_spec import ModelBand, ModelSpec, check_thresholds
from undercast.models.applicability import Applicability, stated_levels
from undercast.models.dialects.bands import read_bands
from undercast.models.dialects.publishers import published
from undercast.models.dialects.scaling import read_numbers
from undercast.models.table import Table
from undercast.types import Aggregation

LAYER_WORDS = {
    "clear": "clear",
    "clearsky": "clear",
    "noncloud": "clear",
    "notcloud": "clear",
    "background": "clear",
    "cloud": "cloud",
    "clouds": "cloud",
    "cloudy": "cloud",
    "thickcloud": "thick_cloud",
    "thincloud": "thin_cloud",
    "cloudshadow": "cloud_shadow",
    "shadow": "cloud_shadow",
}
"""Name of a class, in lower case and letters only -> output layer."""

AXES = (("batch",), ("bands", "band", "channel", "channels"), ("height", "y", "h"), ("width", "x", "w"))
"""Names of the four axes of an input."""

SEGMENTATION = frozenset({"segmentation", "semantic-segmentation"})
"""Tasks of an output that holds a class for each pixel."""

USUAL_WINDOW = ModelSpec(id="", version="", bands=())
"""Holds the window that is assumed where an item leaves it open."""

SIDES = (8, 8192)
"""Smallest and largest side of a window, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Windows of an input."""

    size: int
    """Side, in pixels."""
    multiple: int
    """Sides are multiples of this, in pixels; the size itself where it is fixed."""
    overlap: int
    """Pixels that neighbouring windows share."""


def is_dialect(properties: Mapping[str, Any]) -> bool:
    """Tell whether another software wrote an item: then undercast's versions are not in it."""
    return not {"undercast:package_version", "undercast:version"} & set(properties)


def read_dialect(item: Table, applicability: Applicability, notes: list[str]) -> ModelSpec:
    """Read the spec of an item that undercast did not write.

    Args:
        item: The item.
        applicability: What it states about scenes.
        notes: Is given what was assumed, one line each.

    Raises:
        ModelError: If a field is wrong, or nothing tells what it must say.
    """
    properties = item.table("properties")
    model_input = _only_input(properties)
    output = _class_output(properties)
    bands = read_bands(item, model_input, applicability.sensors, notes)
    windows = _windows(properties, model_input, len(bands), notes)
    scale, model_bands = _scaled(bands, read_numbers(item, model_input, len(bands), notes))
    layers = _layers(output)
    _check_probabilities(properties, output, notes)
    presets = _presets(output)
    return ModelSpec(
        id=_name(item, properties, notes),
        version=_version(properties, notes),
        title=properties.text("title", default=""),
        bands=model_bands,
        classes=layers,
        levels=_levels(item, properties, applicability, notes),
        scale=scale,
        fill=_fill(properties, notes),
        window=windows.size,
        multiple=windows.multiple,
        overlap=windows.overlap,
        aggregation=_aggregation(properties, output, notes),
        uncertainty="std" if _is_ensemble(properties) else "entropy",
        presets=presets,
        preset=next(iter(presets), None),
    )


def _only_input(properties: Table) -> Table:
    inputs = properties.tables("mlm:input")
    if len(inputs) != 1:
        raise properties.wrong(key="mlm:input", expected="one input, an image", got=f"{len(inputs)} inputs")
    return inputs[0]


def _class_output(properties: Table) -> Table:
    """Choose the output that holds the classes; the others, such as an uncertainty, are made here."""
    outputs = properties.tables("mlm:output")
    chosen = [row for row in outputs if SEGMENTATION & set(row.texts("tasks", default=()))]
    if not chosen:
        expected = "an output with task semantic-segmentation"
        raise properties.wrong(key="mlm:output", expected=expected, got=f"{len(outputs)} outputs without")
    return chosen[0]


def _layers(output: Table) -> tuple[str, ...]:
    """Name the output layers by the classes; one layer beside two classes is the one that is not clear."""
    rows = output.tables("classification:classes", default=()) or output.tables("classification_classes", default=())
    names = [row.text("name") for row in sorted(rows, key=lambda row: row.number("value"))]
    layers = [LAYER_WORDS.get(re.sub(r"[^a-z]", "", name.lower()), "") for name in names]
    count = _layer_count(output, len(layers))
    if count == 1:
        layers = [layer for layer in layers if layer != "clear"] or ["cloud"]
    if "" in layers or len(set(layers)) != len(layers) or len(layers) != count or (count > 1 and "clear" not in layers):
        expected = "cloud alone, or clear and kinds of cloud or cloud shadow, one layer each"
        raise output.wrong(key="classification:classes", expected=expected, got=f"{names} in {count} layers")
    return tuple(layers)


def _layer_count(output: Table, classes: int) -> int:
    result = output.table("result")
    shape, order = _shape(result), result.texts("dim_order")
    axes = [
        size
        for size, name in zip(shape, order, strict=False)
        if name in {"channel", "channels", "class", "classes", "bands"}
    ]
    if len(shape) != len(order) or len(axes) != 1:
        expected = "a shape with one axis of classes, and a name for each axis"
        raise result.wrong(key="shape", expected=expected, got=f"{list(shape)} as {list(order)}")
    return axes[0] if axes[0] > 0 else max(classes, 1)


def _shape(structure: Table) -> tuple[int, ...]:
    """Read a shape: whole numbers, -1 where a side is free."""
    sizes = structure.values.get("shape")
    whole = isinstance(sizes, list) and all(isinstance(n, int) and not isinstance(n, bool) and n >= -1 for n in sizes)
    if not isinstance(sizes, list) or not whole:
        raise structure.wrong(key="shape", expected="a list of whole numbers, -1 where a side is free", got=repr(sizes))
    return tuple(sizes)


def _windows(properties: Table, model_input: Table, bands: int, notes: list[str]) -> Windows:
    structure = model_input.table("input")
    shape, order = _shape(structure), structure.texts("dim_order")
    named = len(order) == len(AXES) and all(name.lower() in axis for name, axis in zip(order, AXES, strict=True))
    if not named or len(shape) != len(AXES):
        raise structure.wrong(key="dim_order", expected="batch, bands, height, width", got=", ".join(order))
    batch, channels, height, width = shape
    if batch not in {-1, 1} or channels not in {-1, bands} or height != width:
        expected = f"[-1, {bands}, side, side]"
        raise structure.wrong(key="shape", expected=expected, got=list(shape))
    side, multiple = height, height
    if side == -1:
        side, multiple = properties.integer("custom:tile_size", default=USUAL_WINDOW.window), USUAL_WINDOW.multiple
        notes.append(f"the window's side is free: {side} px, and multiples of {multiple} px, are assumed")
    if not SIDES[0] <= side <= SIDES[1] or side % multiple:
        expected = f"a side of {SIDES[0]} to {SIDES[1]} px, a multiple of {min(multiple, USUAL_WINDOW.multiple)}"
        raise structure.wrong(key="shape", expected=expected, got=side)
    return Windows(size=side, multiple=multiple, overlap=_overlap(properties, side, notes))


def _overlap(properties: Table, side: int, notes: list[str]) -> int:
    if properties.values.get("custom:recommended_overlap") is None:
        overlap = side // 8
        notes.append(f"the overlap of windows is not stated: {overlap} px are assumed")
        return overlap
    overlap = properties.integer("custom:recommended_overlap")
    if overlap >= side:
        raise properties.wrong(key="custom:recommended_overlap", expected=f"less than {side} px", got=overlap)
    return overlap


def _scaled(bands: Sequence[Band], numbers: Sequence[tuple[float, float]]) -> tuple[float, tuple[ModelBand, ...]]:
    """Give one factor for all bands where that is the scaling, else a gain and an offset per band."""
    first = numbers[0]
    if first[1] == 0.0 and all(pair == first for pair in numbers):
        return first[0], tuple(ModelBand(band=band) for band in bands)
    pairs = zip(bands, numbers, strict=True)
    return 1.0, tuple(ModelBand(band=band, gain=gain, offset=offset) for band, (gain, offset) in pairs)


def _check_probabilities(properties: Table, output: Table, notes: list[str]) -> None:
    if properties.values.get("custom:has_sigmoid") is False:
        expected = "a network that ends in sigmoid or softmax; export it with that"
        raise properties.wrong(key="custom:has_sigmoid", expected=expected, got="false")
    if properties.values.get("custom:has_sigmoid") is not True and "value_range" not in output.values:
        notes.append("the output's range is not stated: probabilities in [0, 1] are assumed")


def _presets(output: Table) -> dict[str, dict[str, float]]:
    """Read the thresholds on cloud, the recommended one first."""
    presets = {}
    for name in ("recommended", "standard"):
        key = f"{name}_threshold"
        if output.values.get(key) is not None:
            presets[name] = {"cloud": output.number(key)}
            try:
                check_thresholds(presets[name])
            except ValueError as error:
                raise output.wrong(key=key, expected="a threshold in (0, 1)", got=output.values[key]) from error
    return presets


def _name(item: Table, properties: Table, notes: list[str]) -> str:
    name = properties.optional_text("mlm:name")
    if name is None:
        name = item.text("id")
        notes.append(f"mlm:name is missing: the item's id stands for it ({name})")
    return name


def _version(properties: Table, notes: list[str]) -> str:
    version = properties.optional_text("version")
    if version is not None:
        return version
    date = properties.optional_text("updated") or properties.optional_text("created")
    version = (date or properties.optional_text("datetime") or "unknown")[:10]
    notes.append(f"the weights have no version: the item's date stands for it ({version})")
    return version


def _levels(item: Table, properties: Table, applicability: Applicability, notes: list[str]) -> tuple[Any, ...]:
    if not applicability.levels:
        notes.append("the product level is not stated: both toa and surface reflectance are taken")
        return USUAL_WINDOW.levels
    if "undercast:levels" not in properties.values:
        levels = " and ".join(applicability.levels)
        said = published(item.values)
        other = f" ({said.source} says {' and '.join(said.levels)})" if said and said.levels else ""
        notes.append(f"the product level is told in words only: {levels} reflectance is assumed{other}")
    return stated_levels(properties)


def _fill(properties: Table, notes: list[str]) -> float:
    if "undercast:fill" in properties.values:
        return properties.number("undercast:fill")
    notes.append("the value of pixels without data is not stated: the network gets 0, as mlstac does by default")
    return 0.0


def _is_ensemble(properties: Table) -> bool:
    fused = properties.values.get("custom:ensemble_fused") is True
    return properties.integer("custom:ensemble_size", default=1) > 1 and not fused


def _aggregation(properties: Table, output: Table, notes: list[str]) -> Aggregation:
    if _is_ensemble(properties):
        stated = re.search(r"\b(mean|median|max|min)\b", output.text("description", default=""), re.IGNORECASE)
        source = "the output's description" if stated else "nothing; it is undercast's default"
        notes.append(f"the default aggregation is not a field: mean is assumed, from {source} (mlstac takes max)")
    return "mean"
