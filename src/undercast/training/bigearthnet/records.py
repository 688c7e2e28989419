"""Records: what BigEarthNet's metadata.parquet says of each patch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from undercast._optional import require
from undercast.errors import TrainingError
from undercast.scene_labels import Nomenclature, load_nomenclature

Split = Literal["train", "validation", "test"]
"""What a patch is for; models are judged by ``test``."""
SPLITS: tuple[Split, ...] = get_args(Split)

COLUMNS = ("patch_id", "labels", "split", "country", "s1_name", "contains_seasonal_snow", "contains_cloud_or_shadow")
"""Columns that are read."""

LICENCES = {"BigEarthNet v2": "CDLA-Permissive-1.0"}
"""Licence of the data (https://bigearth.net)."""

_NAME = re.compile(r"[A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchRecord:
    """One patch of 1.2 km."""

    patch_id: str
    """Name of its Sentinel-2 part."""
    labels: tuple[str, ...]
    """Its labels."""
    split: Split
    """What it is for."""
    s1_name: str = ""
    """Name of its Sentinel-1 part; empty where it has the same name or there is none."""
    country: str = ""
    """Country; empty where it is not told."""
    snow: bool = False
    """Whether it has seasonal snow."""
    cloud: bool = False
    """Whether it has clouds or their shadows."""


def read_records(*paths: Path, nomenclature: Nomenclature | None = None) -> tuple[PatchRecord, ...]:
    """Read the metadata of BigEarthNet: the recommended patches, and in a second file those with snow or clouds.

    Args:
        paths: Parquet files.
        nomenclature: What their labels are of; BigEarthNet's 19 classes unless given.

    Raises:
        TrainingError: If a file cannot be read, lacks a column, or a row's split or names are none.
        LabelError: If a label is not known.
        MissingDependencyError: If pyarrow is not installed.
    """
    known = nomenclature or load_nomenclature()
    return tuple(_record(row, path, known) for path in paths for row in _rows(path))


def clear_of_snow_and_clouds(records: Sequence[PatchRecord]) -> tuple[PatchRecord, ...]:
    """Keep the patches without snow, clouds and their shadows, as published models are trained on."""
    return tuple(record for record in records if not (record.snow or record.cloud))


def _rows(path: Path) -> list[dict[str, Any]]:
    parquet = require("pyarrow.parquet", extra="scenes", purpose="read metadata.parquet")
    arrow = require("pyarrow", extra="scenes", purpose="read metadata.parquet")
    try:
        there = parquet.read_schema(path).names
        if missing := [name for name in COLUMNS if name not in there]:
            msg = f"{path}: expected the columns {', '.join(COLUMNS)}, got no {', '.join(missing)}."
            raise TrainingError(msg)
        rows: list[dict[str, Any]] = parquet.read_table(path, columns=list(COLUMNS)).to_pylist()
    except (OSError, arrow.ArrowException) as error:
        msg = f"metadata {path} cannot be read as Parquet: {error}."
        raise TrainingError(msg) from error
    return rows


def _record(row: dict[str, Any], path: Path, known: Nomenclature) -> PatchRecord:
    patch, s1_name, split = (str(row[name] or "") for name in ("patch_id", "s1_name", "split"))
    if split not in SPLITS:
        msg = f"{path}: patch {patch!r}: expected a split of {', '.join(SPLITS)}, got {row['split']!r}."
        raise TrainingError(msg)
    for name in (patch, *([s1_name] if s1_name else [])):
        if not _NAME.fullmatch(name):
            msg = f"{path}: expected names of letters, digits and '_', got {name!r}."
            raise TrainingError(msg)
    return PatchRecord(
        patch_id=patch,
        labels=known.named(known.vector(row["labels"] or ())),
        split=split,
        s1_name=s1_name,
        country=str(row["country"] or ""),
        snow=bool(row["contains_seasonal_snow"]),
        cloud=bool(row["contains_cloud_or_shadow"]),
    )
