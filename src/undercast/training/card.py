"""Card: what the card of a model that was trained here says beside its figures: licences of the data, and limits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from undercast.training.chips import read_manifest
from undercast.training.recipe import Recipe

LIMITS = (
    "Sentinel-2 labels in training know no shadow and no thin cloud: there, both come from simulation alone.",
    "Thin cloud under an optical thickness of about 0.3 counts as clear.",
)
"""What every model of these data cannot do."""


def told_on_card(recipe: Recipe, data: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """Give the entries of an evaluation record that only its card needs: ``licences`` and ``limits``.

    Args:
        recipe: What was trained.
        data: Folder of the chips, whose manifest names sources and licences.
        record: The evaluation record of the training.
    """
    judges = "real chips held out of the training, fold by fold" if recipe.data.folds else "labelled training chips"
    limits = [f"Thresholds and calibration were chosen on {judges}.", *LIMITS]
    return {"licences": _licences(data, record), "limits": limits}


def _licences(data: Path, record: Mapping[str, Any]) -> dict[str, list[str]]:
    """Give the licences of each source that chips were trained on."""
    sources: dict[str, set[str]] = {}
    for row in read_manifest(data):
        if row["file"] in record["data_sha256"]:
            licence = str(row.get("licence_data") or "not stated")
            sources.setdefault(row.get("source", data.name), set()).add(licence)
    return {name: sorted(licences) for name, licences in sorted(sources.items())}
