"""Members: which assets of an item are the weights of its members, of which kind, and where their files lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from undercast.errors import ModelError, TrustError
from undercast.model_spec import ModelSpec
from undercast.models.table import Table
from undercast.models.trust.checksums import check_multihash
from undercast.models.trust.paths import confined_path
from undercast.models.trust.weights import MemberWeights

MODEL_ROLE = "mlm:model"
"""Role of the assets that are member weights."""

REMOTE_SCHEMES = ("http", "https", "s3", "hf")
"""Schemes of references that a package may be fetched from."""

ENDINGS = {".onnx": "onnx", ".pt2": "pt2", ".safetensors": "safetensors", ".safetensor": "safetensors"}
"""Ending of a file name -> kind of weights."""

KINDS = tuple(dict.fromkeys(ENDINGS.values()))
"""Kinds of weights that are read, the preferred one first."""

WITHOUT_GRAPH = "safetensors"
"""Kind of weights that hold no graph: the item names an architecture that undercast knows."""

TORCHSCRIPT = ("torch.jit", "torchscript", "torch-script")
"""Beginnings of artifact types that are TorchScript."""

PICKLES = ("torch.save", "pickle", "joblib", "cloudpickle", ".pt", ".pth", ".ckpt", ".bin", ".pkl", ".joblib")
"""Beginnings of artifact types, and endings of files, that are pickles, or were until shown otherwise."""

MOST_MEMBERS = 64
"""Members that an item has at most."""


def read_members(item: Table, root: Path) -> tuple[MemberWeights, ...]:
    """Find the members of an item that undercast wrote: files of its folder, with size and checksum.

    Raises:
        ModelError: If there is no member, its file is missing, or a field is missing or wrong.
        TrustError: If a reference leads out of the folder, or a checksum is none.
    """
    members = []
    for name, asset in _model_assets(item).items():
        origin = f"{asset.origin}: href"
        kind = kind_of(asset.text("mlm:artifact_type"), asset.text("href"), origin=asset.origin)
        members.append(
            MemberWeights(
                name=name,
                kind=kind,
                path=_present(confined_path(asset.text("href"), root, origin=origin), origin),
                checksum=check_multihash(asset.text("file:checksum"), origin=f"{asset.origin}: file:checksum"),
                size=asset.integer("file:size"),
                href=asset.text("href"),
                architecture=_architecture(asset, item) if kind == WITHOUT_GRAPH else None,
            )
        )
    return tuple(members)


def read_foreign_members(item: Table, root: Path, notes: list[str]) -> tuple[MemberWeights, ...]:
    """Find the members of an item that undercast did not write.

    Several assets of one kind are the members of an ensemble; one asset per kind are alternates of one model, of
    which the first of ``KINDS`` is taken.

    Args:
        item: The item.
        root: Folder of the item: where files lie, or will once they are fetched.
        notes: Is given what was assumed.

    Raises:
        ModelError: If there is no member, one is missing, or its kind cannot be read safely.
        TrustError: If a reference leads out of the folder and is no URL, or a checksum is none.
    """
    members = [_member(name, row, root, item) for name, row in _model_assets(item).items()]
    members = _without_alternates(members, item, notes)
    _check_count(members, item)
    _check_file_names(members, item)
    unknown = [member.name for member in members if member.checksum is None]
    if unknown:
        notes.append(f"{len(unknown)} of {len(members)} members have no checksum: their weights cannot be verified")
    return tuple(members)


def kind_of(artifact: str | None, name: str, *, origin: str) -> str:
    """Tell the kind of weights by the artifact type, or else by the file's name.

    Raises:
        ModelError: If it is one that can run code when it is loaded, or that nothing here reads.
    """
    told, ending = (artifact or "").lower(), PurePosixPath(name.lower()).suffix
    by_type = (
        "pt2" if told.startswith(("torch.export", "pt2")) else next((k for k in KINDS if told.startswith(k)), None)
    )
    kind = by_type or (None if told else ENDINGS.get(ending))
    if kind is not None:
        return kind
    if told.startswith(TORCHSCRIPT):
        why = "TorchScript, which can run any code. Export the network with torch.export.save, or to ONNX"
    elif told.startswith(PICKLES) or (not told and ending in PICKLES):
        why = "a pickle, which runs code when it is opened. Save the weights as ONNX, .pt2 or safetensors"
    else:
        why = f"of a kind that undercast does not read. It reads {', '.join(KINDS)}"
    raise ModelError(f"{origin}: weights {name} ({artifact or 'no artifact type'}) are {why}.")


def local_name(href: str, *, origin: str) -> str:
    """Give the file name under which a remote reference lies beside its item.

    Raises:
        TrustError: If its scheme is not one to fetch from, or it names no file.
    """
    try:
        parts = urlsplit(href)
    except ValueError:  # brackets that hold no address
        parts = urlsplit("")
    name = PurePosixPath(parts.path).name
    if parts.scheme not in REMOTE_SCHEMES or not parts.netloc or not name:
        expected = f"a file inside the package folder, or a URL ({', '.join(REMOTE_SCHEMES)}) of a file"
        raise TrustError(f"{origin}: expected {expected}, got {href[:120]!r}.")
    return name


def with_specs(
    members: Sequence[MemberWeights], item: Table, spec: ModelSpec, read: Callable[[Table], ModelSpec]
) -> tuple[MemberWeights, ...]:
    """Give members the spec of their own that their assets' ``undercast:member`` says: properties that differ.

    Args:
        members: Members of the item.
        item: The item.
        spec: The package's spec.
        read: Reads the spec of an item.

    Raises:
        ModelError: If a member's classes, name or version are not the package's.
    """
    return tuple(replace(member, spec=_own_spec(member, item, spec, read)) for member in members)


def _own_spec(
    member: MemberWeights, item: Table, spec: ModelSpec, read: Callable[[Table], ModelSpec]
) -> ModelSpec | None:
    asset = item.table("assets").table(member.name)
    differences = asset.table("undercast:member", default={})
    if not differences.values:
        return None
    properties = {**item.table("properties").values, **differences.values}
    own = read(Table(values={**item.values, "properties": properties}, origin=differences.origin))
    if (own.id, own.version, own.classes) != (spec.id, spec.version, spec.classes):
        expected = f"the package's own name, version and classes ({', '.join(spec.classes)})"
        got = f"{own.id} {own.version} ({', '.join(own.classes)})"
        raise asset.wrong(key="undercast:member", expected=expected, got=got)
    return own


def _model_assets(item: Table) -> dict[str, Table]:
    """Give the assets with the role of weights, by name."""
    assets = item.table("assets")
    rows = {name: assets.table(name) for name in assets.values}
    chosen = {name: row for name, row in rows.items() if MODEL_ROLE in row.texts("roles", default=())}
    if not 0 < len(chosen) <= MOST_MEMBERS:
        expected = f"at least one asset with role {MODEL_ROLE}, at most {MOST_MEMBERS}"
        raise item.wrong(key="assets", expected=expected, got=f"{len(chosen) or 'none'} of {len(rows)}")
    return chosen


def _architecture(asset: Table, item: Table) -> str:
    """Name the architecture that weights without a graph belong to: the asset's, or else the item's."""
    return asset.optional_text("mlm:architecture") or item.table("properties").text("mlm:architecture")


def _present(path: Path, origin: str) -> Path:
    if not path.is_file():
        raise ModelError(f"{origin}: weights {path} are missing. Install the model package again.")
    return path


def _member(name: str, row: Table, root: Path, item: Table) -> MemberWeights:
    href, origin = row.text("href"), f"{row.origin}: href"
    remote = "://" in href
    path = confined_path(local_name(href, origin=origin) if remote else href, root, origin=origin)
    if not remote:
        _present(path, origin)
    kind = kind_of(row.optional_text("mlm:artifact_type"), path.name, origin=row.origin)
    checksum = row.optional_text("file:checksum")
    return MemberWeights(
        name=name,
        kind=kind,
        path=path,
        checksum=None if checksum is None else check_multihash(checksum, origin=f"{row.origin}: file:checksum"),
        size=None if row.values.get("file:size") is None else row.integer("file:size"),
        href=href,
        architecture=_architecture(row, item) if kind == WITHOUT_GRAPH else None,
    )


def _without_alternates(members: Sequence[MemberWeights], item: Table, notes: list[str]) -> list[MemberWeights]:
    kinds = [member.kind for member in members]
    if len(kinds) == 1 or len(set(kinds)) != len(kinds) or _states_ensemble(item.table("properties")):
        return list(members)
    best = min(members, key=lambda member: KINDS.index(member.kind))
    others = ", ".join(member.name for member in members if member is not best)
    notes.append(f"assets of different kinds are taken for one model in several formats: {best.name}, not {others}")
    return [best]


def _states_ensemble(properties: Table) -> bool:
    return properties.values.get("custom:ensemble_size") is not None or "custom:ensemble_members" in properties.values


def _check_count(members: Sequence[MemberWeights], item: Table) -> None:
    """Refuse an ensemble that lacks a member it names."""
    properties = item.table("properties")
    if properties.values.get("custom:ensemble_fused") is True:
        return
    names = properties.texts("custom:ensemble_members", default=())
    size = properties.integer("custom:ensemble_size", default=len(names) or len(members))
    if size != len(members):
        expected = f"{size} members, as custom:ensemble_size or custom:ensemble_members says"
        raise item.wrong(key="assets", expected=expected, got=f"{len(members)}")


def _check_file_names(members: Sequence[MemberWeights], item: Table) -> None:
    paths = [member.path for member in members]
    if len(set(paths)) != len(paths):
        got = ", ".join(sorted({path.name for path in paths if paths.count(path) > 1}))
        raise item.wrong(key="assets", expected="a file of its own for each member", got=f"{got} twice")
