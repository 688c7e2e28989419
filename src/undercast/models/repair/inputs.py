"""Repair of a model's inputs: bands with their wavelengths, axes, scaling, product level."""

from __future__ import annotations

from typing import Any

from undercast.bands import Band
from undercast.errors import ModelError
from undercast.models.applicability import read_applicability
from undercast.models.dialects.bands import read_bands
from undercast.models.dialects.publishers import published
from undercast.models.dialects.scaling import read_numbers
from undercast.models.item import eo_names
from undercast.models.lint.mlm_rules import is_model
from undercast.models.lint.practice_rules import REMOVED_FIELDS
from undercast.models.repair.log import RepairLog
from undercast.models.repair.outputs import mend_function, whole_sizes
from undercast.models.scaling import Affine
from undercast.models.table import Table

AXIS_NAMES = ("channel", "channels", "band")
"""Names of the axis that MLM calls ``bands`` where bands are named."""


def repair_inputs(item: dict[str, Any], before: Table, log: RepairLog) -> None:
    """Mend the inputs of a model.

    Args:
        item: The item, changed in place.
        before: The item as it was.
        log: Is given what was changed and assumed.
    """
    rows = item["properties"].get("mlm:input")
    for position, row in enumerate(rows if isinstance(rows, list) else []):
        if isinstance(row, dict):
            where = f"mlm:input/{position}"
            whole_sizes(row, "input", where, log)
            mend_function(row, "pre_processing_function", where, log)
            if len(rows) == 1:
                _describe(item, row, before, log)
            _axes(row, where, log)
    _level(item, before, log)


def _describe(item: dict[str, Any], row: dict[str, Any], before: Table, log: RepairLog) -> None:
    """Describe bands and scaling in fields, where the item tells them otherwise and they can be understood."""
    told: list[str] = []
    try:
        model_input = before.table("properties").tables("mlm:input")[0]
        sensors = read_applicability(before.table("properties")).sensors
        bands = read_bands(before, model_input, sensors, told)
        numbers = read_numbers(before, model_input, len(bands), told)
    except ModelError as error:
        log.changes.append(
            f"mlm:input: bands and scaling are left as they are, since they cannot be understood: {error}"
        )
        return
    if not told and not any(key in row for key in REMOVED_FIELDS):
        return
    log.assumptions.extend(f"mlm:input: {line}" for line in told)
    _write_bands(item, row, bands)
    _write_scaling(item, row, bands, numbers)


def _write_bands(item: dict[str, Any], row: dict[str, Any], bands: tuple[Band, ...]) -> None:
    described = [_described(band) for band in bands]
    row["bands"] = [band.name for band in bands]
    item["properties"].pop("bands", None)
    item["properties"]["eo:bands"] = described
    for asset in item["assets"].values():
        if is_model(asset):
            # Schema eo 1.1.0 allows eo:bands in the properties only where an asset has them, too.
            asset["eo:bands"] = [dict(band) for band in described]


def _described(band: Band) -> dict[str, Any]:
    return {
        "name": band.name,
        **eo_names(band.common_name),
        "center_wavelength": band.center_wavelength,
        "full_width_half_max": band.full_width_half_max,
    }


def _write_scaling(
    item: dict[str, Any], row: dict[str, Any], bands: tuple[Band, ...], numbers: tuple[Affine, ...]
) -> None:
    """Say in raster:bands what the numbers are that the network takes: reflectance = number * scale + offset."""
    removed = [row.pop(key) for key in REMOVED_FIELDS if key in row]
    told = [row.get("description"), *(norm.get("description") for norm in removed if isinstance(norm, dict))]
    words = [text for text in told if isinstance(text, str) and text]
    if words:
        row["description"] = ". ".join(words)
    row["value_scaling"] = None
    rows = [_stored(band, pair) for band, pair in zip(bands, numbers, strict=True)]
    for asset in item["assets"].values():
        if is_model(asset):
            asset["raster:bands"] = [dict(one) for one in rows]


def _stored(band: Band, numbers: Affine) -> dict[str, Any]:
    gain, offset = numbers
    return {"name": band.name, "scale": float(f"{1.0 / gain:.12g}"), "offset": float(f"{-offset / gain:.12g}") + 0.0}


def _axes(row: dict[str, Any], where: str, log: RepairLog) -> None:
    structure = row.get("input")
    order = structure.get("dim_order") if isinstance(structure, dict) else None
    if not row.get("bands") or not isinstance(structure, dict) or not isinstance(order, list) or "bands" in order:
        return
    axis = next((name for name in AXIS_NAMES if name in order), None)
    if axis is not None:
        structure["dim_order"] = ["bands" if name == axis else name for name in order]
        log.changes.append(f"{where}: the axis {axis} is called bands")


def _level(item: dict[str, Any], before: Table, log: RepairLog) -> None:
    properties = item["properties"]
    try:
        levels = read_applicability(before.table("properties")).levels
    except ModelError as error:
        log.changes.append(f"undercast:levels: left out: {error}")
        return
    if "undercast:levels" in properties or not levels:
        return
    properties["undercast:levels"] = list(levels)
    said = published(item)
    other = f"; {said.source} says {' and '.join(said.levels)}" if said and not set(said.levels) & set(levels) else ""
    log.assumptions.append(f"undercast:levels: {' and '.join(levels)} is assumed, from the words of the input{other}")
