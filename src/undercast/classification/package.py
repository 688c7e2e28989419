"""Package: a scene classifier's folder: STAC MLM item, ONNX weights with checksum, evaluation record, card, picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from undercast.classification.item import read_spec, spec_properties
from undercast.classifier_spec import ClassifierSpec
from undercast.errors import ModelError
from undercast.models.documents import dump_json, load_json
from undercast.models.fetch.pull import PullOptions, local_item
from undercast.models.members import MODEL_ROLE, read_members
from undercast.models.package import ITEM, PACKAGE_VERSION, item_path
from undercast.models.publish.write import ARTIFACT_TYPES, MEDIA_TYPES, asset, item_of, time_text, write_folder
from undercast.models.table import Table
from undercast.models.trust.weights import MemberWeights
from undercast.prediction import ModelIdentity

MEMBER = "classifier"
"""Name of the asset with the weights."""
PICTURE = "example.png"
"""Name of the example picture."""
RECORD = "evaluation.json"
"""Name of the evaluation record."""
HUB_CONFIG = "config.json"
"""File of a hub folder that holds weights for PyTorch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierDetails:
    """What a classifier's package says beside the spec."""

    created: datetime
    """When the weights were made, with time zone."""
    description: str
    """What the model does, in a sentence or more."""
    card: str
    """The model card, as Markdown."""
    record: Mapping[str, Any]
    """Evaluation record, JSON values only."""
    license: str = "Apache-2.0"
    """SPDX identifier of the weights' licence."""
    picture: bytes | None = None
    """Example picture, as PNG."""
    total_parameters: int | None = None
    """Parameters of the network."""
    properties: Mapping[str, Any] = field(default_factory=dict)
    """Further properties of the item, JSON values only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierPackage:
    """A classifier's package that has been read; its weights have not."""

    spec: ClassifierSpec
    """What it takes and which labels it scores."""
    member: MemberWeights
    """Its weights."""
    item: Path
    """The STAC item."""
    properties: Mapping[str, Any]
    """Properties of the item as they are."""
    source: str | None = None
    """URL that the item was fetched from; None: it was on this machine."""

    @property
    def identity(self) -> ModelIdentity:
        """Which model it is; its weights are compared with the checksum before they are used."""
        return ModelIdentity(
            id=self.spec.id,
            version=self.spec.version,
            checksums=(self.member.checksum or "",),
            href=self.source or str(self.item),
        )


def package_properties(spec: ClassifierSpec, details: ClassifierDetails) -> dict[str, Any]:
    """Give the properties of a package's item."""
    created = time_text(details.created)
    properties: dict[str, Any] = {
        "datetime": created,
        "created": created,
        "title": spec.title or spec.id,
        "description": details.description,
        "license": details.license,
        "mlm:framework": "ONNX",
        "mlm:pretrained": True,
        "mlm:accelerator": None,
        "mlm:accelerator_constrained": False,
        "mlm:batch_size_suggestion": 8,
        "undercast:package_version": PACKAGE_VERSION,
        **spec_properties(spec),
    }
    if details.total_parameters is not None:
        properties["mlm:total_parameters"] = details.total_parameters
    training = details.record.get("training")
    if isinstance(training, Mapping) and training:
        properties["mlm:hyperparameters"] = dict(training)
    return {**details.properties, **properties}


def write_package(folder: str | Path, spec: ClassifierSpec, onnx: bytes, details: ClassifierDetails) -> Path:
    """Write a classifier's package: all of it under its name, or nothing.

    Args:
        folder: Folder to make; it must not exist.
        spec: What the classifier takes and which labels it scores.
        onnx: Network: normalised windows ``(window, layer, y, x)`` -> logits ``(window, label)``, float32.
        details: What else the package says.

    Raises:
        OutputExistsError: If the folder exists.
        OutputError: If its place cannot be written.
    """
    files = {f"{MEMBER}.onnx": onnx, RECORD: dump_json(details.record), "card.md": details.card.encode()}
    if details.picture is not None:
        files[PICTURE] = details.picture
    assets = {
        MEMBER: {
            **asset(f"{MEMBER}.onnx", onnx, MEDIA_TYPES["onnx"], (MODEL_ROLE, "mlm:weights", "data")),
            "title": f"Weights of {spec.id}",
            "mlm:artifact_type": ARTIFACT_TYPES["onnx"],
            # Schema eo 1.1.0 allows eo:bands in the properties only where an asset has them, too.
            "eo:bands": spec_properties(spec)["eo:bands"],
        },
        "card": asset("card.md", files["card.md"], "text/markdown", ("metadata",)),
        "evaluation": asset(RECORD, files[RECORD], "application/json", ("metadata",)),
    }
    if details.picture is not None:
        assets["example"] = asset(PICTURE, details.picture, "image/png", ("overview",))
    files[ITEM] = dump_json(item_of(f"{spec.id}-{spec.version}", package_properties(spec, details), assets))
    return write_folder(folder, files)


def read_classifier(path: str | Path) -> ClassifierPackage:
    """Read a classifier's item; its weights are looked for, not opened.

    Args:
        path: The package's folder or its item.

    Raises:
        ModelError: If there is no item, it is no classifier's, or a field is missing or wrong.
        TrustError: If the weights lie outside the folder, or their checksum is none.
    """
    item = item_path(path)
    _refuse_hub_folder(item)
    table = Table(values=load_json(item), origin=str(item))
    properties = table.table("properties")
    version = properties.integer("undercast:package_version", default=PACKAGE_VERSION)
    if version > PACKAGE_VERSION:
        msg = f"{item}: package version {version}, this undercast reads up to {PACKAGE_VERSION}. Upgrade it."
        raise ModelError(msg)
    spec = read_spec(properties)
    members = read_members(table, item.parent)
    if len(members) != 1 or members[0].kind != "onnx":
        got = ", ".join(f"{member.name} ({member.kind})" for member in members)
        raise table.wrong(key="assets", expected="one network in ONNX", got=got)
    return ClassifierPackage(spec=spec, member=members[0], item=item, properties=properties.values)


def open_classifier(name: str | Path, options: PullOptions | None = None) -> ClassifierPackage:
    """Read a classifier's package of this machine, or of a reference, which is fetched the first time.

    Args:
        name: The path of a package's folder or item, or a reference (``https://``, ``s3://``, ``hf:``).
        options: How it is fetched.

    Raises:
        UndercastError: As ``local_item`` and ``read_classifier`` do.
    """
    if isinstance(name, Path) or Path(name).is_dir():
        return read_classifier(name)
    item, source = local_item(name, options)
    package = read_classifier(item)
    told = None if source is None else source.partition("?")[0]
    return ClassifierPackage(
        spec=package.spec, member=package.member, item=package.item, properties=package.properties, source=told
    )


def _refuse_hub_folder(item: Path) -> None:
    """Say what is missing where a folder holds weights of a hub and no item.

    Raises:
        ModelError: If there is no item.
    """
    if item.is_file():
        return
    folder = item if item.is_dir() else item.parent
    if (folder / HUB_CONFIG).is_file():
        msg = (
            f"{folder}: expected a package with {ITEM}, got a hub folder for PyTorch ({HUB_CONFIG}). Make a package of"
            " it with undercast.training.bigearthnet.hub_package.pack_hub_classifier."
        )
    else:
        msg = f"{folder}: expected a classifier's package, got a folder with neither {ITEM} nor {HUB_CONFIG}."
    raise ModelError(msg)
