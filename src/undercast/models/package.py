"""Model packages: a folder with a STAC MLM item, member weights, a card and an evaluation record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from undercast.errors import ModelError, UnknownModelError
from undercast.model_spec import ModelSpec
from undercast.models.applicability import Applicability, read_applicability
from undercast.models.dialects.reader import is_dialect, read_dialect
from undercast.models.dialects.weight_list import item_of_weights, list_weights
from undercast.models.documents import load_json
from undercast.models.item import read_spec
from undercast.models.members import read_foreign_members, read_members, with_specs
from undercast.models.table import Table
from undercast.models.trust.weights import MemberWeights
from undercast.prediction import ModelIdentity

DEFAULT_MODEL = "embedded"
"""Name of the package that comes with undercast."""
ENSEMBLE_MODEL = "embedded-ensemble"
"""Name of the package with several members that `--ensemble` asks for; a recipe with folds makes it."""

ITEM = "item.json"
"""The STAC item of a package."""

MLSTAC_ITEM = "mlm.json"
"""The STAC item of a package that mlstac downloaded."""

CLASSIFIER = "undercast:classifier"
"""Property that the items of scene classifiers have, and no other."""

PACKAGE_VERSION = 1
"""Version of the ``undercast:`` fields that is written; higher ones are refused."""


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
    """List the cloud models that come with undercast, sorted."""
    return tuple(name for name in _names() if not is_classifier(_models_folder() / name / ITEM))


def is_classifier(item: Path) -> bool:
    """Tell whether an item is a scene classifier's, which ``read_package`` refuses.

    Raises:
        ModelError: If the item cannot be read.
    """
    properties = load_json(item).get("properties")
    return isinstance(properties, dict) and CLASSIFIER in properties


def _names() -> tuple[str, ...]:
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
    if isinstance(name, str) and name in _names():
        return _models_folder() / name / ITEM
    path = Path(name)
    if path.is_dir():
        item = item_path(path)
        if item.is_file() or list_weights(path):
            return item if item.is_file() else path
    elif path.is_file():
        return path
    known = ", ".join(_names()) or "none"
    if name == ENSEMBLE_MODEL:
        msg = (
            f"model {name!r} does not come with undercast, and no such folder is here. Train it:"
            f" undercast train RECIPE --data DATA -o {DEFAULT_MODEL} --ensemble {ENSEMBLE_MODEL}. Known: {known}."
        )
        raise UnknownModelError(msg)
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
    _refuse_classifier(properties)
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


def _refuse_classifier(properties: Table) -> None:
    if CLASSIFIER in properties.values:
        msg = (
            f"{properties.origin}: expected a model of clouds, got a scene classifier, which labels whole windows. Use"
            " it with undercast classify --model; see its card with undercast models card."
        )
        raise ModelError(msg)


def _models_folder() -> Path:
    return Path(str(resources.files("undercast") / "data" / "models"))
