"""Model packages: a folder with a STAC MLM item, member weights, a card and an evaluation record."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from undercast.errors import ModelError, OutputError, OutputExistsError, UnknownModelError
from undercast.model_spec import ModelSpec
from undercast.models.item import read_spec, spec_properties
from undercast.models.table import Table
from undercast.models.trust import MemberWeights, check_multihash, confined_path, multihash
from undercast.prediction import ModelIdentity

DEFAULT_MODEL = "embedded"
"""Name of the package that comes with undercast."""

ITEM = "item.json"
"""The STAC item of a package."""

PACKAGE_VERSION = 1
"""Version of the ``undercast:`` fields that is written; higher ones are refused."""

LARGEST_ITEM = 4 * 1024**2
"""Largest item that is read, in bytes."""

EXTENSIONS = (
    "https://stac-extensions.github.io/mlm/v1.5.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
)
"""STAC extensions of an item."""

MODEL_ROLE = "mlm:model"
"""Role of the assets that are member weights."""

ONNX_MEDIA_TYPE = "application/octet-stream; application=onnx"
"""Media type of ONNX weights."""

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
    card: str
    """The model card, as Markdown."""
    license: str = "Apache-2.0"
    """SPDX identifier of the weights' licence."""
    evaluation: Mapping[str, Any] | None = None
    """Evaluation record, JSON values only."""
    total_parameters: int | None = None
    """Parameters of one member."""
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    """How it was trained, JSON values only."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further properties, JSON values only; written as ``undercast:<key>``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPackage:
    """A model package that has been read; its weights have not."""

    spec: ModelSpec
    """What the model expects and returns."""
    members: tuple[MemberWeights, ...]
    """Weights, in the item's order; at least one."""
    item: Path
    """The STAC item."""
    properties: Mapping[str, Any]
    """Properties of the item as they are, for display."""

    @property
    def root(self) -> Path:
        """Folder of the package."""
        return self.item.parent

    @property
    def identity(self) -> ModelIdentity:
        """Which model it is; its weights are compared with the checksums before they are used."""
        return ModelIdentity(
            id=self.spec.id,
            version=self.spec.version,
            checksums=tuple(member.checksum for member in self.members),
            href=str(self.item),
        )


def list_packages() -> tuple[str, ...]:
    """List the model packages that come with undercast, sorted."""
    folder = _models_folder()
    if not folder.is_dir():
        return ()
    return tuple(sorted(entry.name for entry in folder.iterdir() if (entry / ITEM).is_file()))


def find_package(name: str | Path = DEFAULT_MODEL) -> Path:
    """Find a package's STAC item.

    Args:
        name: A name of ``list_packages()``, or the path of a package folder or of its item.

    Raises:
        UnknownModelError: If nothing answers to the name.
    """
    if isinstance(name, str) and name in list_packages():
        return _models_folder() / name / ITEM
    path = Path(name)
    item = path / ITEM if path.is_dir() else path
    if item.is_file():
        return item
    known = ", ".join(list_packages()) or "none"
    msg = f"model {str(name)!r} is not known. Known: {known}; or give the path of a package (with its {ITEM})."
    raise UnknownModelError(msg)


def read_package(path: str | Path) -> ModelPackage:
    """Read a package's item; weights are looked for, not opened.

    Fields that undercast does not know are left alone; those that it uses must have the right type.

    Args:
        path: The package folder or its item.

    Raises:
        ModelError: If the item is missing, no JSON, or a field is missing or wrong; the message names it.
        TrustError: If an asset lies outside the folder, or a checksum is none.
    """
    item = Path(path) / ITEM if Path(path).is_dir() else Path(path)
    table = Table(values=_load_json(item), origin=str(item))
    properties = table.table("properties")
    version = properties.integer("undercast:package_version", default=PACKAGE_VERSION)
    if version > PACKAGE_VERSION:
        msg = f"{item}: package version {version}, this undercast reads up to {PACKAGE_VERSION}. Upgrade it."
        raise ModelError(msg)
    return ModelPackage(
        spec=read_spec(properties),
        members=_read_members(table, item.parent),
        item=item,
        properties=properties.values,
    )


def write_package(folder: str | Path, spec: ModelSpec, weights: Mapping[str, bytes], details: PackageDetails) -> Path:
    """Write a model package: all of it under its name, or nothing.

    Args:
        folder: Folder to make; it must not exist.
        spec: What the model expects and returns.
        weights: Member name -> ONNX bytes, in the members' order.
        details: What else the package says.

    Returns:
        The folder.

    Raises:
        OutputExistsError: If the folder exists.
        OutputError: If its place cannot be written.
        ModelError: If there are no weights, or a name cannot be a file name.
    """
    target = Path(folder)
    _check_names(spec, weights)
    if target.exists():
        msg = f"model package {target} exists already. Remove it first, or write to another folder."
        raise OutputExistsError(msg)
    files: dict[str, bytes] = {f"{name}.onnx": data for name, data in weights.items()}
    files["card.md"] = details.card.encode()
    if details.evaluation is not None:
        files["evaluation.json"] = _dump(details.evaluation)
    files[ITEM] = _dump(_item(spec, weights, details, files))
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


def _models_folder() -> Path:
    return Path(str(resources.files("undercast") / "data" / "models"))


def _check_names(spec: ModelSpec, weights: Mapping[str, bytes]) -> None:
    if not weights:
        msg = f"model {spec.id!r}: expected the weights of at least one member, got none."
        raise ModelError(msg)
    for name in weights:
        if not _NAME.fullmatch(name) or name in {"card", "evaluation"}:
            msg = f"member name {name!r} must be letters, digits, '_', '-' and '.', and not card or evaluation."
            raise ModelError(msg)


def _dump(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _load_json(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_ITEM + 1)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}."
        raise ModelError(msg) from error
    if len(data) > LARGEST_ITEM:
        msg = f"{path}: a model's item has at most {LARGEST_ITEM} bytes."
        raise ModelError(msg)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        msg = f"{path} is not JSON (truncated?): {error}."
        raise ModelError(msg) from error
    if not isinstance(value, dict):
        msg = f"{path}: expected a JSON object, got {type(value).__name__}."
        raise ModelError(msg)
    return value


def _item(
    spec: ModelSpec, weights: Mapping[str, bytes], details: PackageDetails, files: Mapping[str, bytes]
) -> dict[str, Any]:
    west, south, east, north = -180.0, -90.0, 180.0, 90.0
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": list(EXTENSIONS),
        "id": f"{spec.id}-{spec.version}",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [west, south, east, north],
        "properties": _properties(spec, details),
        "links": [],
        "assets": _assets(spec, weights, files),
    }


def _properties(spec: ModelSpec, details: PackageDetails) -> dict[str, Any]:
    created = details.created.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    properties: dict[str, Any] = {
        "datetime": created,
        "created": created,
        "title": spec.title or spec.id,
        "description": details.description,
        "license": details.license,
        "mlm:architecture": details.architecture,
        "mlm:tasks": ["semantic-segmentation"],
        "mlm:framework": "ONNX",
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
    for key, value in details.extra.items():
        properties.setdefault(f"undercast:{key}", value)
    return properties


def _assets(spec: ModelSpec, weights: Mapping[str, bytes], files: Mapping[str, bytes]) -> dict[str, Any]:
    assets: dict[str, Any] = {}
    for number, name in enumerate(weights, start=1):
        data = files[f"{name}.onnx"]
        assets[name] = {
            "href": f"./{name}.onnx",
            "type": ONNX_MEDIA_TYPE,
            "title": f"Weights of member {number} of {len(weights)} of {spec.id}",
            "roles": [MODEL_ROLE, "mlm:weights", "data"],
            "mlm:artifact_type": "onnx",
            # Schema eo 1.1.0 allows eo:bands in the properties only where an asset has them, too.
            "eo:bands": spec_properties(spec)["eo:bands"],
            "file:size": len(data),
            "file:checksum": multihash(data),
        }
    for key, name, media_type in (
        ("card", "card.md", "text/markdown"),
        ("evaluation", "evaluation.json", "application/json"),
    ):
        if name in files:
            assets[key] = {
                "href": f"./{name}",
                "type": media_type,
                "roles": ["metadata"],
                "file:size": len(files[name]),
                "file:checksum": multihash(files[name]),
            }
    return assets


def _read_members(item: Table, root: Path) -> tuple[MemberWeights, ...]:
    members = []
    assets = item.table("assets")
    for name in assets.values:
        asset = assets.table(name)
        if MODEL_ROLE not in asset.texts("roles", default=()):
            continue
        origin = f"{asset.origin}: href"
        path = confined_path(asset.text("href"), root, origin=origin)
        if not path.is_file():
            msg = f"{origin}: weights {path} are missing. Install the model package again."
            raise ModelError(msg)
        members.append(
            MemberWeights(
                name=name,
                kind=asset.text("mlm:artifact_type"),
                path=path,
                checksum=check_multihash(asset.text("file:checksum"), origin=f"{asset.origin}: file:checksum"),
                size=asset.integer("file:size"),
            )
        )
    if not members:
        raise item.wrong(key="assets", expected=f"at least one asset with role {MODEL_ROLE}", got="none")
    return tuple(members)
