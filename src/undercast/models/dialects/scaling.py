"""Scaling of an item that undercast did not write: from reflectance to the numbers that its network takes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from undercast.models.dialects.bands import band_names, describe_bands
from undercast.models.scaling import SMALLEST, Affine, per_band, read_scaling
from undercast.models.table import Table

USUAL_FACTOR = 10000.0
"""Digital number of reflectance 1 in most products."""

LARGEST_REFLECTANCE = 2.0
"""Statistics of reflectance lie below this; larger ones are of digital numbers."""

_FACTOR = re.compile(
    r"(?:scaled by|times|multiplied by|(?:reflectances?|values?|\()\s*[x\u00d7*])\s*(\d{2,5})\b", re.IGNORECASE
)
"""A factor in words; a cross stands for it only after what it multiplies: 256 x 256 is the size of a window."""


def read_numbers(item: Table, model_input: Table, bands: int, notes: list[str]) -> tuple[Affine, ...]:
    """Read how reflectance becomes the network's input.

    Two steps: reflectance to the product's numbers (``raster:bands``, ``norm``, or in words), and those to the
    input (``value_scaling``, or ``norm_type`` with ``statistics`` before MLM 1.4).

    Returns:
        One gain and offset per band.

    Raises:
        ModelError: If a step is no gain and offset.
    """
    if model_input.values.get("norm_clip"):
        raise model_input.wrong(key="norm_clip", expected="no clipping", got=model_input.values["norm_clip"])
    scaling = per_band(_value_scaling(model_input, bands), bands)
    numbers = _numbers(item, model_input, bands, notes)
    return tuple((a * g, b * g + o) for (a, b), (g, o) in zip(numbers, scaling, strict=True))


def _value_scaling(model_input: Table, bands: int) -> tuple[Affine, ...]:
    """Read the second step; that of MLM before 1.4 is put in the words of 1.5 first."""
    old = model_input.optional_text("norm_type")
    if old is None:
        return read_scaling(model_input, bands)
    renamed = [{"type": old, **row.values} for row in model_input.tables("statistics", default=())]
    moved = Table(values={"value_scaling": renamed or [{"type": old}]}, origin=f"{model_input.origin}: norm_type")
    return read_scaling(moved, bands)


def _numbers(item: Table, model_input: Table, bands: int, notes: list[str]) -> tuple[Affine, ...]:
    """Read the first step: number = reflectance * gain + offset."""
    described = _from_bands(item, model_input)
    if described:
        return per_band(described, bands)
    told = _from_norm(model_input, notes) or _from_words(model_input, notes)
    if told is None and _is_large(model_input):
        told = USUAL_FACTOR
        notes.append(f"the scaling is of digital numbers: reflectance x {told:g} is assumed")
    if told is None:
        told = 1.0
        notes.append("what the network's numbers are is not stated: unitless reflectance is assumed")
    return ((told, 0.0),) * bands


def _from_bands(item: Table, model_input: Table) -> Sequence[Affine]:
    """Read ``scale`` and ``offset`` of raster:bands: reflectance = number * scale + offset."""
    described = describe_bands(item)
    found = []
    for name in band_names(model_input) or tuple(described):
        row = described.get(name)
        key = next((key for key in ("scale", "raster:scale") if row is not None and key in row.values), None)
        if row is None or key is None:
            return ()
        scale = row.number(key)
        if not SMALLEST <= abs(scale) <= 1.0 / SMALLEST:
            raise row.wrong(key=key, expected="a number that is neither 0 nor huge", got=scale)
        offset = row.number(key.replace("scale", "offset"), default=0.0)
        found.append((float(f"{1.0 / scale:.12g}"), float(f"{-offset / scale:.12g}") + 0.0))
    return found


def _from_norm(model_input: Table, notes: list[str]) -> float | None:
    """Read FDR4VGT's ``norm``: a raw range whose upper end is reflectance 1."""
    if model_input.values.get("norm") is None:
        return None
    norm = model_input.table("norm")
    kind = norm.text("type", default="raw")
    span = norm.values.get("range")
    whole = isinstance(span, list) and len(span) == 2 and all(isinstance(x, int | float) for x in span)
    if not kind.lower().startswith("raw") or not isinstance(span, list) or not whole or not _is_span(*span):
        raise model_input.wrong(key="norm", expected="type raw and range [0, number]", got=f"{kind} {span}")
    factor = float(span[1])
    notes.append(f"norm is no field of MLM: the network takes reflectance x {factor:g}, not clipped, is assumed")
    return factor


def _is_span(low: float, high: float) -> bool:
    return low == 0 and SMALLEST <= high <= 1.0 / SMALLEST


def _from_words(model_input: Table, notes: list[str]) -> float | None:
    text = model_input.text("description", default="")
    found = _FACTOR.search(text)
    if found is None:
        return 1.0 if re.search(r"unitless reflectance|reflectance in \[0, ?1\]", text, re.IGNORECASE) else None
    notes.append(f"the scaling is told in words only: reflectance x {found.group(1)} is assumed")
    return float(found.group(1))


def _is_large(model_input: Table) -> bool:
    """Tell whether the input's type or its statistics are those of digital numbers."""
    if model_input.table("input").text("data_type", default="").startswith(("int", "uint")):
        return True
    rows = (*model_input.tables("value_scaling", default=()), *model_input.tables("statistics", default=()))
    figures = [row.values.get(key) for row in rows for key in ("mean", "stddev", "maximum", "value")]
    return any(isinstance(x, int | float) and abs(x) > LARGEST_REFLECTANCE for x in figures)
