"""Write: a new model package, with its item, weights, card, example data and evaluation record."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from undercast.destinations import check_new_package
from undercast.errors import ModelError, OutputError
from undercast.model_spec import ModelSpec
from undercast.models.card.fields import CardSource, build_card
from undercast.models.documents import dump_json
from undercast.models.item import member_properties, spec_properties
from undercast.models.members import MODEL_ROLE
from undercast.models.package import ITEM, PACKAGE_VERSION
from undercast.models.trust.checksums import multihash

EXTENSIONS = (
    "https://stac-extensions.github.io/mlm/v1.5.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
)
"""STAC extensions of an item."""

MEDIA_TYPES = {
    "onnx": "application/octet-stream; application=onnx",
    "pt2": "application/octet-stream; framework=pytorch; profile=ExportedProgram",
    "safetensors": "application/octet-stream; application=safetensors",
}
"""Kind of weights -> media type."""

ARTIFACT_TYPES = {"onnx": "onnx", "pt2": "torch.export.save", "safetensors": "safetensors"}
"""Kind of weights -> artifact type, as MLM recommends it."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageDetails:
    """What a package says about its model beside the spec."""

    architecture: str
    """Architecture of the networks."""
    created: datetime
    """When the weights were made, with time zone."""
    description: str
    """What the model does, in a sentence or more."""
    card: str = ""
    """The model card, as Markdown; empty: built from the item and the evaluation record."""
    license: str = "Apache-2.0"
    """SPDX identifier of the weights' licence."""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """Member -> kind of its weights (``onnx``, ``pt2``, ``safetensors``), where that is not ONNX."""
    member_specs: Mapping[str, ModelSpec] = field(default_factory=dict)
    """Member -> what it expects, where that is not what the package does."""
    examples: Mapping[str, bytes] = field(default_factory=dict)
    """File name -> example data."""
    evaluation: Mapping[str, Any] | None = None
    """Evaluation record, JSON values only."""
    total_parameters: int | None = None
    """Parameters of one member."""
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    """How it was trained, JSON values only."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further properties, JSON values only; written as ``undercast:<key>``."""
    properties: Mapping[str, Any] = field(default_factory=dict)
    """Further properties of STAC, such as ``gsd`` and ``start_datetime``, JSON values only; written as they are."""


def write_package(folder: str | Path, spec: ModelSpec, weights: Mapping[str, bytes], details: PackageDetails) -> Path:
    """Write a model package: all of it under its name, or nothing.

    Args:
        folder: Folder to make; it must not exist.
        spec: What the model expects and returns.
        weights: Member name -> the bytes of its file, in the members' order.
        details: What else the package says.

    Returns:
        The folder.

    Raises:
        OutputExistsError: If the folder exists.
        OutputError: If its place cannot be written.
        ModelError: If there are no weights, or a name cannot be a file name.
    """
    _check_names(spec, weights, details)
    files: dict[str, bytes] = {_file_name(name, details): data for name, data in weights.items()}
    files |= details.examples
    files["card.md"] = (details.card or _card(spec, details)).encode()
    if details.evaluation is not None:
        files["evaluation.json"] = dump_json(details.evaluation)
    files[ITEM] = dump_json(_item(spec, weights, details, files))
    return write_folder(folder, files)


def write_folder(folder: str | Path, files: Mapping[str, bytes]) -> Path:
    """Write the files of a package: all of them under its name, or nothing.

    Args:
        folder: Folder to make; it must not exist.
        files: File name -> content.

    Returns:
        The folder.

    Raises:
        OutputExistsError: If the folder exists.
        OutputError: If its place cannot be written.
    """
    target = Path(folder)
    check_new_package(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        msg = f"model package {target} cannot be written: {error.strerror or error}."
        raise OutputError(msg) from error
    try:
        for name, data in files.items():
            (temporary / name).write_bytes(data)
        temporary.chmod(0o755)
        temporary.rename(target)
    except OSError as error:
        msg = f"model package {target} cannot be written: {error.strerror or error}."
        raise OutputError(msg) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _card(spec: ModelSpec, details: PackageDetails) -> str:
    return build_card(CardSource(properties=_properties(spec, details), record=details.evaluation or {}))


def _file_name(member: str, details: PackageDetails) -> str:
    return f"{member}.{details.kinds.get(member, 'onnx')}"


def _check_names(spec: ModelSpec, weights: Mapping[str, bytes], details: PackageDetails) -> None:
    if not weights:
        msg = f"model {spec.id!r}: expected the weights of at least one member, got none."
        raise ModelError(msg)
    for name in weights:
        if not _NAME.fullmatch(name) or name in {"card", "evaluation"}:
            msg = f"member name {name!r} must be letters, digits, '_', '-' and '.', and not card or evaluation."
            raise ModelError(msg)
    taken = {ITEM, "card.md", "evaluation.json", *(_file_name(name, details) for name in weights)}
    for name in details.examples:
        if not _NAME.fullmatch(name) or name in taken or PurePosixPath(name).stem in weights:
            msg = f"example data {name!r} must be letters, digits, '_', '-' and '.', and not the name of another file."
            raise ModelError(msg)


def _item(
    spec: ModelSpec, weights: Mapping[str, bytes], details: PackageDetails, files: Mapping[str, bytes]
) -> dict[str, Any]:
    assets = {**_member_assets(spec, weights, details), **_other_assets(details, files)}
    return item_of(f"{spec.id}-{spec.version}", _properties(spec, details), assets)


def item_of(name: str, properties: Mapping[str, Any], assets: Mapping[str, Any]) -> dict[str, Any]:
    """Give the STAC item of a model that is not tied to a place."""
    west, south, east, north = -180.0, -90.0, 180.0, 90.0
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": list(EXTENSIONS),
        "id": name,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [west, south, east, north],
        "properties": properties,
        "links": [],
        "assets": assets,
    }


def _properties(spec: ModelSpec, details: PackageDetails) -> dict[str, Any]:
    created = time_text(details.created)
    properties: dict[str, Any] = {
        "datetime": created,
        "created": created,
        "title": spec.title or spec.id,
        "description": details.description,
        "license": details.license,
        "mlm:architecture": details.architecture,
        "mlm:tasks": ["semantic-segmentation"],
        "mlm:framework": "PyTorch" if details.kinds else "ONNX",
        "mlm:pretrained": True,
        "mlm:accelerator": None,
        "mlm:accelerator_constrained": False,
        "mlm:batch_size_suggestion": 1,
        "undercast:package_version": PACKAGE_VERSION,
        **spec_properties(spec),
    }
    if details.total_parameters is not None:
        properties["mlm:total_parameters"] = details.total_parameters
    if details.hyperparameters:
        properties["mlm:hyperparameters"] = dict(details.hyperparameters)
    for key, value in details.properties.items():
        properties.setdefault(key, value)
    for key, value in details.extra.items():
        properties.setdefault(f"undercast:{key}", value)
    return properties


def _member_assets(spec: ModelSpec, weights: Mapping[str, bytes], details: PackageDetails) -> dict[str, Any]:
    assets: dict[str, Any] = {}
    for number, (name, data) in enumerate(weights.items(), start=1):
        own = details.member_specs.get(name, spec)
        kind = details.kinds.get(name, "onnx")
        assets[name] = {
            **asset(_file_name(name, details), data, MEDIA_TYPES[kind], (MODEL_ROLE, "mlm:weights", "data")),
            "title": f"Weights of member {number} of {len(weights)} of {spec.id}",
            "mlm:artifact_type": ARTIFACT_TYPES[kind],
            # Schema eo 1.1.0 allows eo:bands in the properties only where an asset has them, too.
            "eo:bands": spec_properties(own)["eo:bands"],
        }
        if own != spec:
            assets[name]["undercast:member"] = member_properties(own, spec)
    return assets


def _other_assets(details: PackageDetails, files: Mapping[str, bytes]) -> dict[str, Any]:
    assets = {"card": asset("card.md", files["card.md"], "text/markdown", ("metadata",))}
    if "evaluation.json" in files:
        assets["evaluation"] = asset("evaluation.json", files["evaluation.json"], "application/json", ("metadata",))
    for name, data in details.examples.items():
        assets[PurePosixPath(name).stem] = asset(name, data, "application/octet-stream", ("mlm:example_data", "data"))
    return assets


def time_text(moment: datetime) -> str:
    """Write a moment as STAC does: in UTC, to the second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def asset(name: str, data: bytes, media_type: str, roles: Sequence[str]) -> dict[str, Any]:
    """Describe a file of a package: where it is, its size and its checksum."""
    return {
        "href": f"./{name}",
        "type": media_type,
        "roles": list(roles),
        "file:size": len(data),
        "file:checksum": multihash(data),
    }
