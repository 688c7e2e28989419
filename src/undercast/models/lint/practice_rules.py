"""Rules beyond the schemas: what an item may say by its schema, and still leaves its reader to guess."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from undercast.models.applicability import levels_in
from undercast.models.dialects.bands import read_prose
from undercast.models.dialects.publishers import Published, json_object, link_license, published, spdx
from undercast.models.lint.mlm_rules import FRAMEWORKS, is_model
from undercast.models.lint.shapes import Path

ARTIFACTS = {"torch.export.pt2": "torch.export.save", "torch.export": "torch.export.save", "pt2": "torch.export.save"}
"""Artifact type as it is found -> as MLM recommends it."""

REMOVED_FIELDS = ("norm", "norm_type", "norm_by_channel", "norm_clip", "norm_with_clip_values", "statistics")
"""Fields of an input that MLM had before 1.4, or never; it has ``value_scaling`` for them."""


class Remark(NamedTuple):
    """Something that an item may say, and should not."""

    code: str
    """Name of the rule."""
    path: Path
    """Where it is."""
    rule: str
    """Who recommends otherwise."""
    message: str
    """What is there, and what is better."""


def remarks(item: Mapping[str, Any], card: str = "") -> Iterator[Remark]:
    """Give what an item leaves its reader to guess.

    Args:
        item: The item.
        card: Text of the model card beside it.
    """
    properties = json_object(item.get("properties"))
    yield from _ring(item)
    yield from _framework(properties)
    yield from _inputs(properties)
    yield from _whole_numbers(properties)
    yield from _checksums(item)
    yield from _artifacts(item)
    yield from _licenses(item, properties, published(item, card))
    yield from _levels(properties, published(item, card))


def signed_area(ring: list[Any]) -> float:
    """Give twice the area of a ring of positions; below 0 where it runs clockwise."""
    corners = [position[:2] for position in ring]
    return float(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairwise(corners)))


def is_clockwise(item: Mapping[str, Any]) -> bool:
    """Tell whether the outer ring of a polygon runs clockwise."""
    geometry = json_object(item.get("geometry"))
    try:
        return geometry.get("type") == "Polygon" and signed_area(geometry["coordinates"][0]) < 0.0
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):  # no polygon at all, which the schema tells
        return False


def prose_bands(model_input: Mapping[str, Any]) -> list[str]:
    """List the bands whose names hold their wavelength."""
    bands = model_input.get("bands")
    names = [name for name in bands if isinstance(name, str)] if isinstance(bands, list) else []
    return [name for name in names if read_prose(name).center_wavelength is not None]


def _rows(properties: Mapping[str, Any], key: str) -> list[tuple[int, dict[str, Any]]]:
    rows = properties.get(key)
    return [(i, row) for i, row in enumerate(rows) if isinstance(row, dict)] if isinstance(rows, list) else []


def _ring(item: Mapping[str, Any]) -> Iterator[Remark]:
    if is_clockwise(item):
        message = "the outer ring runs clockwise; it must run counter-clockwise"
        yield Remark("clockwise-ring", ("geometry", "coordinates", 0), "RFC 7946 section 3.1.6", message)


def _framework(properties: Mapping[str, Any]) -> Iterator[Remark]:
    name = properties.get("mlm:framework")
    usual = next((one for one in FRAMEWORKS if isinstance(name, str) and one.lower() == name.lower()), name)
    if usual != name:
        message = f"{name!r} is spelled {usual!r} in MLM"
        yield Remark("framework-spelling", ("properties", "mlm:framework"), "MLM README, framework", message)


def _inputs(properties: Mapping[str, Any]) -> Iterator[Remark]:
    for position, row in _rows(properties, "mlm:input"):
        path = ("properties", "mlm:input", position)
        for key in REMOVED_FIELDS:
            if key in row:
                message = f"{key} is no field of MLM 1.5, and nothing reads it; value_scaling or raster:bands is"
                yield Remark("unknown-norm", (*path, key), "MLM README, model input", message)
        if names := prose_bands(row):
            message = f"wavelengths stand in the names of bands ({', '.join(names)}); eo:bands has fields for them"
            yield Remark("prose-bands", (*path, "bands"), "MLM README, bands", message)


def _whole_numbers(properties: Mapping[str, Any]) -> Iterator[Remark]:
    """Find whole numbers that are written as 1.0: JSON schema lets them through, and most readers do not."""
    for key, inner in (("mlm:input", "input"), ("mlm:output", "result")):
        for position, row in _rows(properties, key):
            shape = json_object(row.get(inner)).get("shape")
            if isinstance(shape, list) and any(isinstance(size, float) for size in shape):
                path: Path = ("properties", key, position, inner, "shape")
                yield Remark("float-integer", path, "MLM README, shape", f"{shape} holds numbers with a point")
            classes = row.get("classification:classes")
            for number, one in enumerate(classes if isinstance(classes, list) else []):
                if isinstance(one, dict) and isinstance(one.get("value"), float):
                    path = ("properties", key, position, "classification:classes", number, "value")
                    message = f"the value of a class is written {one['value']}, with a point"
                    yield Remark("float-integer", path, "classification v1.1.0 README, class", message)


def _checksums(item: Mapping[str, Any]) -> Iterator[Remark]:
    assets = json_object(item.get("assets"))
    bare = [name for name, asset in assets.items() if isinstance(asset, dict) and not asset.get("file:checksum")]
    if any(is_model(assets[name]) for name in bare):
        message = (
            f"no file:checksum on {len(bare)} of {len(assets)} assets ({', '.join(bare)}): nothing can be verified"
        )
        yield Remark("no-checksum", ("assets",), "MLM best practices, file extension", message)


def _artifacts(item: Mapping[str, Any]) -> Iterator[Remark]:
    for name, asset in json_object(item.get("assets")).items():
        told = asset.get("mlm:artifact_type") if isinstance(asset, dict) else None
        if isinstance(told, str) and told in ARTIFACTS:
            path = ("assets", name, "mlm:artifact_type")
            message = f"{told!r} is called {ARTIFACTS[told]!r} in MLM"
            yield Remark("artifact-type", path, "MLM best practices, artifact types", message)


def _licenses(item: Mapping[str, Any], properties: Mapping[str, Any], said: Published | None) -> Iterator[Remark]:
    told, linked, path = properties.get("license"), link_license(item), ("properties", "license")
    if told is None:
        message = "no license in the properties" + (f", only a link to {linked}" if linked else "")
        yield Remark("no-license", path, "STAC 1.1.0, licensing", message)
    claims = {
        "the properties": told if isinstance(told, str) else None,
        "the link": linked,
        said.source if said else "": said.license if said else None,
    }
    known = {source: spdx(claim) for source, claim in claims.items() if claim}
    if len({name.lower() for name in known.values()}) > 1:
        message = "; ".join(f"{source}: {name}" for source, name in known.items())
        yield Remark("license-conflict", path, "STAC 1.1.0, licensing", message)


def _levels(properties: Mapping[str, Any], said: Published | None) -> Iterator[Remark]:
    inputs = properties.get("mlm:input")
    words = levels_in(json.dumps(inputs)) if inputs else ()
    field = properties.get("undercast:levels")
    told = tuple(field) if isinstance(field, list) else words
    if told and said is not None and said.levels and not set(told) & set(said.levels):
        message = (
            f"the item says {' and '.join(map(str, told))} reflectance, {said.source} says {' and '.join(said.levels)}"
        )
        yield Remark("level-conflict", ("properties", "mlm:input"), "undercast, decision 3", message)
    elif words and not isinstance(field, list):
        message = f"the product level ({' and '.join(words)}) is told in words only; undercast:levels is a field for it"
        yield Remark("level-in-words", ("properties", "mlm:input"), "undercast, decision 3", message)
