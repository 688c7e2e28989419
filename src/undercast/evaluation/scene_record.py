"""Scene record: the evaluation record of a scene classifier as what a gate holds against rules."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from undercast.errors import EvaluationError
from undercast.evaluation.report import Report, Stratum, read_report
from undercast.evaluation.statistics import Figure, Figures

KIND = "scene-classification"
"""Kind of the record."""
OVER_BASELINE = "_over_baseline"
"""Ending of the figures that say how far a classifier is above the labels' frequencies."""
LARGEST = 64 * 1024**2
"""Size of a record, at most, in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SceneRecord:
    """What a gate looks at in a classifier's record."""

    overall: Figures
    """``AP_macro``, ``F1_micro`` and so on, and ``AP_macro_over_baseline``."""
    strata: Mapping[str, Mapping[str, Stratum]]
    """``label`` -> label -> its figures under the names that averages over labels have, such as ``AP_macro``."""


def read_judged(path: Path) -> Report | SceneRecord:
    """Read what a gate holds against rules: a report of masks, or the record of a classifier.

    Args:
        path: A report's file or folder, or a classifier's package or its ``evaluation.json``.

    Raises:
        EvaluationError: If it is neither.
    """
    if path.is_dir():
        path = path / ("report.json" if (path / "report.json").exists() else "evaluation.json")
    table = _values(path)
    if isinstance(table, Mapping) and table.get("kind") == KIND:
        return scene_record(table, origin=str(path))
    return read_report(path)


def _values(path: Path) -> Any:
    """Read JSON values; None of a file that is none, of which the reader of reports says what is wrong."""
    try:
        return json.loads(path.read_bytes()) if path.stat().st_size <= LARGEST else None
    except (OSError, ValueError):
        return None


def scene_record(table: Mapping[str, Any], *, origin: str) -> SceneRecord:
    """Make what a gate looks at of the JSON values of a record.

    Raises:
        EvaluationError: If a part is missing or wrong.
    """
    try:
        margins = {f"{name}{OVER_BASELINE}": row for name, row in table["baseline"]["margins"].items()}
        overall = {name: _figure(row) for name, row in {**table["scores"], **margins}.items()}
        labels = {label: _stratum(row) for label, row in table["per_label"].items()}
        undefined = {str(name): str(why) for name, why in table["undefined"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        msg = (
            f"{origin}: expected the evaluation record of a scene classifier, as undercast train writes it: {error!r}."
        )
        raise EvaluationError(msg) from error
    return SceneRecord(overall=Figures(values=overall, undefined=undefined), strata={"label": labels})


def _figure(row: Mapping[str, Any]) -> Figure:
    return Figure(value=_number(row["value"]), low=_number(row["low"]), high=_number(row["high"]))


def _stratum(row: Mapping[str, Any]) -> Stratum:
    """Give the figures of one label; its patches are the scenes that have it."""
    numbers = {f"{name}_macro": _number(value) for name, value in row.items() if not name.endswith("support")}
    values = {name: Figure(value=value, low=None, high=None) for name, value in numbers.items()}
    undefined = {name: "no patch that is judged has the label" for name, value in numbers.items() if value is None}
    return Stratum(scenes=int(row["support"]), pixels=0, figures=Figures(values=values, undefined=undefined))


def _number(value: Any) -> float | None:
    if value is None:
        return None
    number = float(value)
    if not math.isfinite(number):
        msg = f"expected a finite number or null, got {value!r}"
        raise ValueError(msg)
    return number
