"""Pack: weights and what a person says about them in a TOML file become a model package."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from undercast.bands import Band, band_from_name
from undercast.errors import BandError, ModelError
from undercast.model_spec import ModelSpec
from undercast.models.documents import LARGEST_ITEM, load_json
from undercast.models.item import read_spec
from undercast.models.members import ENDINGS
from undercast.models.publish.write import PackageDetails, write_package
from undercast.models.table import Table
from undercast.models.trust.scan import CHECKS
from undercast.models.trust.weights import LARGEST_WEIGHTS
from undercast.sensors import load_sensor

LARGEST_EXAMPLE = 64 * 1024**2
"""Largest file of example data, in bytes."""

MODEL_KEYS = {
    "id": "mlm:name",
    "version": "undercast:version",
    "title": "undercast:title",
    "optional_bands": "undercast:optional_bands",
    "classes": "undercast:layers",
    "levels": "undercast:levels",
    "fill": "undercast:fill",
    "window": "undercast:window",
    "aggregation": "undercast:aggregation",
    "uncertainty": "undercast:uncertainty",
    "temperature": "undercast:temperature",
    "presets": "undercast:presets",
    "preset": "undercast:preset",
}
"""Key of ``[model]`` -> property of an item that it becomes; ``sensor``, ``bands`` and ``scale`` are translated."""

PACKAGE_KEYS = frozenset(
    {
        *("architecture", "description", "license", "created", "total_parameters"),
        *("card", "evaluation", "examples", "properties"),
    }
)
"""Keys of ``[package]``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackPlan:
    """What a TOML file says about a package."""

    spec: ModelSpec
    """What the model expects and returns."""
    details: PackageDetails
    """What else the package says."""


def pack(weights: Sequence[Path], plan: Path, folder: Path) -> Path:
    """Write a package of weight files, which are scanned first.

    Args:
        weights: One file per member (ONNX, ``.pt2``, safetensors), in the members' order and with their names.
        plan: TOML file with the tables ``[model]`` and ``[package]``.
        folder: Folder to make; it must not exist.

    Raises:
        ModelError: If a file is missing, or the TOML file is wrong.
        TrustError: If weights are not what their name says, or could run code.
        OutputError: If the folder exists, or cannot be written.
    """
    read = read_plan(plan)
    members: dict[str, bytes] = {}
    kinds: dict[str, str] = {}
    for path in weights:
        kind = ENDINGS.get(path.suffix.lower())
        if kind is None or path.stem in members:
            msg = f"weights {path}: expected a name of its own that ends in {', '.join(ENDINGS)}."
            raise ModelError(msg)
        members[path.stem] = _read_file(path, LARGEST_WEIGHTS)
        CHECKS[kind](members[path.stem], origin=str(path))
        if kind != "onnx":
            kinds[path.stem] = kind
    return write_package(folder, read.spec, members, replace(read.details, kinds=kinds))


def read_plan(path: Path) -> PackPlan:
    """Read the TOML file of a package; the files that it names lie beside it.

    Raises:
        ModelError: If it, or a file that it names, is missing, or a key or value is wrong.
    """
    data = _read_file(path, LARGEST_ITEM)
    try:
        values = tomllib.loads(data.decode())
    except ValueError as error:
        msg = f"{path} is not TOML: {error}."
        raise ModelError(msg) from error
    table = Table(values=values, origin=str(path))
    model, package = table.table("model"), table.table("package")
    _check_keys(table, {"model", "package"})
    _check_keys(model, {*MODEL_KEYS, "sensor", "bands", "scale"})
    _check_keys(package, PACKAGE_KEYS)
    spec = _spec(model)
    return PackPlan(spec=spec, details=_details(package, path.parent))


def _check_keys(table: Table, known: set[str] | frozenset[str]) -> None:
    if unknown := sorted(set(table.values) - known):
        msg = f"{table.origin}: unknown keys {', '.join(unknown)}. Known: {', '.join(sorted(known))}."
        raise ModelError(msg)


def _spec(model: Table) -> ModelSpec:
    """Make the spec as a package's reader would, so that what is refused there is refused here."""
    bands = _bands(model)
    scale = model.number("scale", default=1.0)
    if scale == 0.0:
        raise model.wrong(key="scale", expected="a number other than 0", got=scale)
    properties: dict[str, Any] = {
        MODEL_KEYS[key]: value for key, value in model.values.items() if key in MODEL_KEYS
    } | {
        "eo:bands": [
            {
                "name": band.name,
                "common_name": band.common_name,
                "center_wavelength": band.center_wavelength,
                "full_width_half_max": band.full_width_half_max,
                "gsd": band.gsd,
            }
            for band in bands
        ],
        "mlm:input": [
            {"bands": [band.name for band in bands], "value_scaling": [{"type": "scale", "value": 1.0 / scale}]}
        ],
    }
    return read_spec(Table(values=properties, origin=model.origin))


def _bands(model: Table) -> list[Band]:
    """Give the bands: a sensor's own where one is named, else by common name."""
    names = model.texts("bands")
    named = model.optional_text("sensor")
    if named is None:
        try:
            return [band_from_name(name) for name in names]
        except BandError as error:
            msg = f"{model.origin}: {error}"
            raise ModelError(msg) from error
    sensor = load_sensor(named)
    known = {band.name.lower(): band for band in sensor.bands}
    missing = [name for name in names if name.lower() not in known]
    if missing:
        expected = f"bands of {sensor.id}: {', '.join(band.name for band in sensor.bands)}"
        raise model.wrong(key="bands", expected=expected, got=", ".join(missing))
    return [known[name.lower()] for name in names]


def _details(package: Table, folder: Path) -> PackageDetails:
    created = package.values.get("created")
    if created is not None and not isinstance(created, datetime):
        raise package.wrong(key="created", expected="a date and time, such as 2024-05-01T12:00:00Z", got=created)
    when = created or datetime.now(UTC)
    card, evaluation = package.optional_text("card"), package.optional_text("evaluation")
    description = package.text("description")
    examples = [folder / name for name in package.texts("examples", default=())]
    return PackageDetails(
        architecture=package.text("architecture"),
        created=when if when.tzinfo is not None else when.replace(tzinfo=UTC),
        description=description,
        card="" if card is None else _read_text(folder / card),
        license=package.text("license"),
        evaluation=None if evaluation is None else load_json(folder / evaluation),
        total_parameters=package.integer("total_parameters") if "total_parameters" in package.values else None,
        examples={path.name: _read_file(path, LARGEST_EXAMPLE) for path in examples},
        properties=_json_values(package.table("properties", default={})),
    )


def _json_values(table: Table) -> Mapping[str, Any]:
    """Turn TOML's dates into texts, and refuse what JSON has not."""
    try:
        values: dict[str, Any] = json.loads(json.dumps(dict(table.values), default=_date_text, allow_nan=False))
    except ValueError as error:
        raise table.wrong(key="values", expected="finite numbers, texts and dates", got=error) from error
    return values


def _date_text(value: Any) -> str:
    return str(value.isoformat()).replace("+00:00", "Z")


def _read_text(path: Path) -> str:
    try:
        return _read_file(path, LARGEST_ITEM).decode()
    except UnicodeDecodeError as error:
        msg = f"{path}: expected text in UTF-8, got {error}."
        raise ModelError(msg) from error


def _read_file(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}."
        raise ModelError(msg) from error
    if len(data) > limit:
        msg = f"{path}: expected at most {limit} bytes."
        raise ModelError(msg)
    return data
