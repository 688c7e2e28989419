"""Repair: a valid item out of one with defects; every change and everything that is assumed is told."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from undercast.errors import ModelError, OutputError, OutputExistsError, TrustError
from undercast.models.dialects.publishers import link_license, published
from undercast.models.documents import dump_json, load_json, one_line
from undercast.models.lint.defects import Defect, lint, mlm_version, read_card
from undercast.models.lint.mlm_rules import FRAMEWORKS, SCHEMA, is_model
from undercast.models.lint.practice_rules import ARTIFACTS, is_clockwise
from undercast.models.lint.stac_rules import EXTENSION, STAC_VERSION
from undercast.models.members import local_name
from undercast.models.repair.inputs import repair_inputs
from undercast.models.repair.log import RepairLog
from undercast.models.repair.outputs import repair_outputs, repair_tasks
from undercast.models.table import Table
from undercast.models.trust.checksums import file_multihash
from undercast.models.trust.paths import confined_path

ASSUMPTIONS = "undercast:assumptions"
"""Property that keeps what was assumed, so that it reaches the outputs of the repaired model, too."""

MLM_ADDRESSES = ("https://stac-extensions.github.io/mlm/", "https://crim-ca.github.io/mlm-extension/")
"""Begin of the identifiers of MLM's schemas, now and before 2024."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """A repaired item."""

    item: Mapping[str, Any]
    """The item."""
    log: RepairLog
    """What was changed, and what was assumed."""
    left: tuple[Defect, ...]
    """Warnings that no repair can settle."""


def repair(item: Mapping[str, Any], folder: Path | None = None, *, version: str | None = None) -> Repaired:
    """Make a valid item of one with defects, changing as little as that takes.

    Args:
        item: The item.
        folder: Its folder: sizes and checksums are taken of the files that lie there.
        version: Version of MLM to declare; None: the declared one where it is 1.5, else 1.5.0.

    Raises:
        ModelError: If defects are left that break a schema; the message names the first.
    """
    fixed = copy.deepcopy(dict(item))
    log = RepairLog()
    if isinstance(fixed.get("properties"), dict) and isinstance(fixed.get("assets"), dict):
        for step in STEPS:
            step(fixed, log)
        if folder is not None:
            _files(fixed, folder, log)
        _assume_license(fixed, "" if folder is None else read_card(folder), log)
        _extensions(fixed, version or mlm_version(item), log)
        if log.assumptions:
            known = fixed["properties"].get(ASSUMPTIONS)
            told = [one_line(line) for line in log.assumptions]
            fixed["properties"][ASSUMPTIONS] = [*(known if isinstance(known, list) else []), *told]
    left = lint(fixed, "" if folder is None else read_card(folder))
    errors = [defect for defect in left if defect.severity == "error"]
    if errors:
        first = errors[0]
        msg = f"{len(errors)} defects cannot be repaired; the first, {first.where}: {first.message} ({first.rule})."
        raise ModelError(msg)
    return Repaired(item=fixed, log=log, left=left)


def repair_file(path: Path, target: Path, *, version: str | None = None) -> Repaired:
    """Repair an item's file and write another: whole, or nothing.

    Raises:
        ModelError: If the file cannot be read, or defects are left that break a schema.
        OutputExistsError: If the other file exists.
        OutputError: If it cannot be written.
    """
    if target.exists():
        msg = f"{target} exists already. Remove it first, or write to another file."
        raise OutputExistsError(msg)
    repaired = repair(load_json(path), path.parent, version=version)
    if target.resolve().parent != path.resolve().parent and _has_relative(repaired.item):
        repaired.log.changes.append(f"assets: their files lie in {path.parent}, and belong beside the new item")
    temporary = target.with_name(f".{target.name}.{uuid4().hex}")
    try:
        temporary.write_bytes(dump_json(repaired.item))
        temporary.replace(target)
    except OSError as error:
        msg = f"{target} cannot be written: {error.strerror or error}."
        raise OutputError(msg) from error
    finally:
        temporary.unlink(missing_ok=True)
    return repaired


def _has_relative(item: Mapping[str, Any]) -> bool:
    return any("://" not in str(asset.get("href", "")) for asset in item["assets"].values())


def _stac(item: dict[str, Any], log: RepairLog) -> None:
    if str(item.get("stac_version", "")).startswith("1.") and item["stac_version"] != STAC_VERSION:
        log.changes.append(f"stac_version: {STAC_VERSION} for {item['stac_version']}")
        item["stac_version"] = STAC_VERSION
    item.setdefault("links", [])
    properties = item["properties"]
    date = properties.get("created") or properties.get("updated")
    if "datetime" not in properties and date:
        properties["datetime"] = date
        log.assumptions.append(f"properties/datetime: the date of creation is taken ({date})")


def _collection(item: dict[str, Any], log: RepairLog) -> None:
    links = item["links"] if isinstance(item["links"], list) else []
    if "collection" in item and not any(isinstance(row, dict) and row.get("rel") == "collection" for row in links):
        item["properties"]["custom:collection"] = item.pop("collection")
        log.changes.append("collection: no link leads to it; its name is kept as custom:collection")


def _ring(item: dict[str, Any], log: RepairLog) -> None:
    if is_clockwise(item):
        item["geometry"]["coordinates"][0].reverse()
        log.changes.append("geometry: the outer ring is turned to run counter-clockwise")


def _framework(item: dict[str, Any], log: RepairLog) -> None:
    properties = item["properties"]
    name = properties.get("mlm:framework")
    usual = next((one for one in FRAMEWORKS if isinstance(name, str) and one.lower() == name.lower()), name)
    if usual != name:
        properties["mlm:framework"] = usual
        log.changes.append(f"mlm:framework: {usual} for {name}")
    if properties.get("mlm:accelerator") == "cpu":
        properties["mlm:accelerator"] = None
        log.changes.append("mlm:accelerator: null for cpu, which the schema has not")


def _artifacts(item: dict[str, Any], log: RepairLog) -> None:
    changed = []
    for name, asset in item["assets"].items():
        told = asset.get("mlm:artifact_type") if is_model(asset) else None
        if isinstance(told, str) and told in ARTIFACTS:
            asset["mlm:artifact_type"] = ARTIFACTS[told]
            changed.append(name)
    if changed:
        log.changes.append(f"mlm:artifact_type: MLM's own name is written for {', '.join(changed)}")


def _assume_license(item: dict[str, Any], card: str, log: RepairLog) -> None:
    properties, linked, said = item["properties"], link_license(item), published(item, card)
    if "license" not in properties and linked:
        properties["license"] = linked
        elsewhere = f"; {said.source} says {said.license}" if said and said.license not in {None, linked} else ""
        log.assumptions.append(f"license: {linked} is assumed, from the link{elsewhere}")


def _files(item: dict[str, Any], folder: Path, log: RepairLog) -> None:
    """Take sizes and checksums of the files that lie in the item's folder."""
    found, missing = [], []
    for name, asset in item["assets"].items():
        if not isinstance(asset, dict) or asset.get("file:checksum"):
            continue
        path = _local(asset, folder)
        if path is None:
            missing.append(name)
            continue
        try:
            asset["file:checksum"], asset["file:size"] = file_multihash(path), path.stat().st_size
        except OSError as error:
            msg = f"{path} cannot be read: {error.strerror or error}."
            raise ModelError(msg) from error
        found.append(name)
    if found:
        log.assumptions.append(f"file:checksum: taken of the files as they lie here, of {', '.join(found)}")
    if missing:
        log.changes.append(f"file:checksum: left out for {', '.join(missing)}, whose files are not here")


def _local(asset: Mapping[str, Any], folder: Path) -> Path | None:
    """Find an asset's file in the item's folder, where a fetched one lies under its last name."""
    href = str(asset.get("href", ""))
    try:
        name = local_name(href, origin="href") if "://" in href else href
        path = confined_path(name, folder, origin="href")
    except TrustError:
        return None
    return path if path.is_file() else None


def _extensions(item: dict[str, Any], version: str, log: RepairLog) -> None:
    """Declare the extensions that the item uses, MLM in the version wanted."""
    declared = item.get("stac_extensions")
    urls = [url for url in declared if isinstance(url, str)] if isinstance(declared, list) else []
    kept = [url for url in urls if not url.startswith(MLM_ADDRESSES)]
    if urls and SCHEMA.format(version) not in urls:
        log.changes.append(f"stac_extensions: MLM {version} is declared")
    wanted = [SCHEMA.format(version), *kept]
    fields = {key for asset in item["assets"].values() if isinstance(asset, dict) for key in asset}
    for name, prefix in (("file/v2.1.0", "file:"), ("eo/v1.1.0", "eo:"), ("raster/v1.1.0", "raster:")):
        same = EXTENSION.format(name).split("/v")[0]
        if any(key.startswith(prefix) for key in fields) and not any(url.startswith(same) for url in wanted):
            wanted.append(EXTENSION.format(name))
    item["stac_extensions"] = list(dict.fromkeys(wanted))


def _inputs(item: dict[str, Any], log: RepairLog) -> None:
    repair_inputs(item, Table(values=copy.deepcopy(item), origin="item"), log)


STEPS: tuple[Callable[[dict[str, Any], RepairLog], None], ...] = (
    _stac,
    _collection,
    _ring,
    _framework,
    repair_tasks,
    _inputs,
    repair_outputs,
    _artifacts,
)
"""Repairs, in their order; each changes the item in place and tells what it did."""
