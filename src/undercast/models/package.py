"""Model packages: a folder with a STAC MLM item, member weights, a card and an evaluation record."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any

from undercast.errors import ModelError, OutputError, OutputExistsError, UnknownModelError
from undercast.model_spec import ModelSpec
from undercast.models.applicability import Applicability, read_applicability
from undercast.models.dialects import is_dialect, read_dialect
from undercast.models.documents import dump_json, load_json
from undercast.models.item import member_properties, read_spec, spec_properties
from undercast.models.members import MODEL_ROLE, read_foreign_members, read_members, with_specs
from undercast.models.table import Table
from undercast.models.trust import MemberWeights, multihash
from undercast.models.weight_list import item_of_weights, list_weights
from undercast.prediction import ModelIdentity

DEFAULT_MODEL = "embedded"
"""Name of the package that comes with undercast."""
ENSEMBLE_MODEL = "embedded-ensemble"
"""Name of the package with several members that `--ensemble` asks for."""

ITEM = "item.json"
"""The STAC item of a package."""

MLSTAC_ITEM = "mlm.json"
"""The STAC item of a package that mlstac downloaded."""

PACKAGE_VERSION = 1
"""Version of the ``undercast:`` fields that is written; higher ones are refused."""

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
    card: str
    """The model card, as Markdown."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPackage:
    """A model package that has been read; its weights have not."""

    spec: ModelSpec
    """What the model expects and returns."""
    members: tuple[MemberWeights, ...]
    """Weights, in the item's order; at least one."""
    item: Path
    """The STAC item; the folder where there is none."""
    properties: Mapping[str, Any]
    """Properties of the item as they are, for display."""
    applicability: Applicability = field(default_factory=Applicability)
    """Scenes and machine that the model is for."""
    assumptions: tuple[str, ...] = ()
    """What was assumed because the item does not say it, one line each."""
    source: str | None = None
    """URL that the item was fetched from; None: it was on this machine."""

    @property
    def root(self) -> Path:
        """Folder of the package."""
        return self.item if self.item.is_dir() else self.item.parent

    @property
    def identity(self) -> ModelIdentity:
        """Which model it is; its weights are compared with the checksums before they are used."""
        return ModelIdentity(
            id=self.spec.id,
            version=self.spec.version,
            checksums=tuple(member.checksum or "" for member in self.members),
            href=self.source or str(self.item),
            verified=all(member.checksum is not None and member.verified for member in self.members),
            assumptions=self.assumptions,
        )

    def spec_of(self, member: MemberWeights) -> ModelSpec:
        """Give what a member expects: its own spec, or the package's."""
        return member.spec or self.spec


def list_packages() -> tuple[str, ...]:
    """List the model packages that come with undercast, sorted."""
    folder = _models_folder()
    if not folder.is_dir():
        return ()
    return tuple(sorted(entry.name for entry in folder.iterdir() if (entry / ITEM).is_file()))


def find_package(name: str | Path = DEFAULT_MODEL) -> Path:
    """Find a package's STAC item; or its folder where that holds `.pt2` files and no item.

    Args:
        name: A name of ``list_packages()``, or the path of a package folder or of its item.

    Raises:
        UnknownModelError: If nothing answers to the name.
    """
    if isinstance(name, str) and name in list_packages():
        return _models_folder() / name / ITEM
    path = Path(name)
    if path.is_dir():
        item = item_path(path)
        if item.is_file() or list_weights(path):
            return item if item.is_file() else path
    elif path.is_file():
        return path
    known = ", ".join(list_packages()) or "none"
    msg = f"model {str(name)!r} is not known. Known: {known}; or give the path of a package (with its {ITEM})."
    raise UnknownModelError(msg)


def item_path(path: str | Path) -> Path:
    """Give the item of a package folder, or the path itself where it is no folder."""
    given = Path(path)
    if not given.is_dir():
        return given
    return next((given / name for name in (ITEM, MLSTAC_ITEM) if (given / name).is_file()), given / ITEM)


def read_package(path: str | Path | Sequence[str | Path]) -> ModelPackage:
    """Read a package's item; weights are looked for, not opened.

    An item that undercast wrote is read strictly: fields that it does not know are left alone, those that it uses
    must be there with the right type. Items of other software (STAC MLM 1.4 and 1.5, FDR4VGT's and mlstac's layout)
    are read tolerantly: what they do not say is assumed and told in ``assumptions``.

    Args:
        path: The package folder or its item; or `.pt2` files of one folder, or that folder.

    Raises:
        ModelError: If the item is missing, no JSON, or a field is missing or wrong; the message names it.
        TrustError: If an asset lies outside the folder, or a checksum is none.
    """
    notes: list[str] = []
    item, values = _open(path, notes)
    table = Table(values=values, origin=str(item))
    properties = table.table("properties")
    applicability = read_applicability(properties)
    dialect = is_dialect(properties.values)

    def read(values: Table) -> ModelSpec:
        return read_dialect(values, applicability, notes) if dialect else read_spec(values.table("properties"))

    _check_version(properties)
    spec = read(table)
    root = item if item.is_dir() else item.parent
    members = read_foreign_members(table, root, notes) if dialect else read_members(table, root)
    return ModelPackage(
        spec=spec,
        members=with_specs(members, table, spec, read),
        item=item,
        properties=properties.values,
        applicability=applicability,
        assumptions=(*properties.texts("undercast:assumptions", default=()), *dict.fromkeys(notes)),
    )


def _open(path: str | Path | Sequence[str | Path], notes: list[str]) -> tuple[Path, dict[str, Any]]:
    """Open an item; for a list of weights, or a folder of nothing else, make it."""
    if not isinstance(path, str | Path):
        files = tuple(Path(one) for one in path)
        return (files[0].parent if files else Path()), item_of_weights(files, notes)
    item = Path(path)
    if not item.is_dir():
        return (item.parent, item_of_weights([item], notes)) if item.suffix == ".pt2" else (item, load_json(item))
    found = item_path(item)
    files = () if found.is_file() else list_weights(item)
    return (item, item_of_weights(files, notes)) if files else (found, load_json(found))


def _check_version(properties: Table) -> None:
    version = properties.integer("undercast:package_version", default=PACKAGE_VERSION)
    if version > PACKAGE_VERSION:
        msg = (
            f"{properties.origin}: package version {version}, this undercast reads up to {PACKAGE_VERSION}. Upgrade it."
        )
        raise ModelError(msg)


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
    target = Path(folder)
    _check_names(spec, weights, details)
    if target.exists():
        msg = f"model package {target} exists already. Remove it first, or write to another folder."
        raise OutputExistsError(msg)
    files: dict[str, bytes] = {_file_name(name, details): data for name, data in weights.items()}
    files |= details.examples
    files["card.md"] = details.card.encode()
    if details.evaluation is not None:
        files["evaluation.json"] = dump_json(details.evaluation)
    files[ITEM] = dump_json(_item(spec, weights, details, files))
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
        "assets": {**_member_assets(spec, weights, details), **_other_assets(details, files)},
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
            **_asset(_file_name(name, details), data, MEDIA_TYPES[kind], (MODEL_ROLE, "mlm:weights", "data")),
            "title": f"Weights of member {number} of {len(weights)} of {spec.id}",
            "mlm:artifact_type": ARTIFACT_TYPES[kind],
            # Schema eo 1.1.0 allows eo:bands in the properties only where an asset has them, too.
            "eo:bands": spec_properties(own)["eo:bands"],
        }
        if own != spec:
            assets[name]["undercast:member"] = member_properties(own, spec)
    return assets


def _other_assets(details: PackageDetails, files: Mapping[str, bytes]) -> dict[str, Any]:
    assets = {"card": _asset("card.md", files["card.md"], "text/markdown", ("metadata",))}
    if "evaluation.json" in files:
        assets["evaluation"] = _asset("evaluation.json", files["evaluation.json"], "application/json", ("metadata",))
    for name, data in details.examples.items():
        assets[PurePosixPath(name).stem] = _asset(name, data, "application/octet-stream", ("mlm:example_data", "data"))
    return assets


def _asset(name: str, data: bytes, media_type: str, roles: Sequence[str]) -> dict[str, Any]:
    return {
        "href": f"./{name}",
        "type": media_type,
        "roles": list(roles),
        "file:size": len(data),
        "file:checksum": multihash(data),
    }
