"""Report: what an evaluation found, as a value and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from undercast.errors import EvaluationError
from undercast.evaluation.metrics import BINS, NO_PREDICTION, SETS, Counts
from undercast.evaluation.statistics import Figure, Figures, SceneCounts
from undercast.writers.staging import output_errors, publish, staging

VERSION = 1
"""Version of the JSON that is written and read."""
KIND = "undercast-evaluation"
"""Kind of the JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """Figures of the scenes of one stratum."""

    scenes: int
    """Number of scenes."""
    pixels: int
    """Labelled pixels that have a prediction."""
    figures: Figures
    """Their figures."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SceneResult:
    """What was found of one scene."""

    name: str
    """Name of the scene."""
    source: str
    """Data set."""
    hash: str
    """SHA-256 of its pixels and labels."""
    strata: Mapping[str, str]
    """Key -> stratum."""
    pixels: int
    """Labelled pixels that the protocol scores."""
    scored: int
    """Those of them that have a prediction; the rest is not predicted."""
    counts: SceneCounts
    """What was counted."""
    figures: Mapping[str, float | None]
    """Name -> figure; None where it is undefined."""
    seconds: float
    """Time that the prediction took."""
    file_hash: str | None = None
    """SHA-256 of the one file that it comes from, as training records it; None where there is no such file."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Report:
    """An evaluation report."""

    created: str
    """When, ISO 8601 with time zone."""
    undercast: str
    """Version of undercast."""
    predictor: Mapping[str, Any]
    """id, version, kind, checksums and options of what was judged."""
    protocol: Mapping[str, Any]
    """The protocol's table."""
    data: Mapping[str, Any]
    """name, hash, scenes, label_kinds."""
    interval: Mapping[str, Any]
    """level, replicates, seed, unit."""
    overall: Figures
    """Figures over all scenes."""
    strata: Mapping[str, Mapping[str, Stratum]]
    """Key -> stratum -> its figures."""
    confusion: Counts
    """Sum of all scenes' ``(16, 5)``."""
    reliability: Mapping[str, list[dict[str, float | int]]]
    """``cloud`` and ``shadow`` -> bins of the reliability curve; empty without probabilities."""
    abstention: list[dict[str, float]]
    """Error against the fraction kept; empty without uncertainty."""
    scenes: tuple[SceneResult, ...]
    """The scenes, in the order of the data."""
    stress: list[dict[str, Any]] | None = None
    """Figures under degradations; None where they were not asked for."""
    warnings: tuple[str, ...] = field(default=())
    """What a person should know, one line each."""

    def to_dict(self) -> dict[str, Any]:
        """Give the report as JSON values."""
        return {
            "version": VERSION,
            "kind": KIND,
            "created": self.created,
            "undercast": self.undercast,
            "predictor": dict(self.predictor),
            "protocol": dict(self.protocol),
            "data": dict(self.data),
            "interval": dict(self.interval),
            "overall": _figures(self.overall),
            "undefined": dict(self.overall.undefined),
            "strata": {
                key: {name: _stratum(stratum) for name, stratum in strata.items()}
                for key, strata in self.strata.items()
            },
            "confusion": self.confusion.tolist(),
            "reliability": {name: list(bins) for name, bins in self.reliability.items()},
            "abstention": list(self.abstention),
            "scenes": [_scene(scene) for scene in self.scenes],
            "stress": self.stress,
            "warnings": list(self.warnings),
        }


def write_report(report: Report, path: Path) -> None:
    """Write a report as JSON: whole or not at all; an older file is replaced.

    Raises:
        OutputError: If it cannot be written.
    """
    text = json.dumps(report.to_dict(), ensure_ascii=False, allow_nan=False) + "\n"
    with staging(path.parent, path.stem) as stage:
        with output_errors(path):
            (stage / path.name).write_text(text, "utf-8")
        publish(stage, [path])


def read_report(path: Path) -> Report:
    """Read a report.

    Raises:
        EvaluationError: If the file is missing, no report, of another version, or wrong.
    """
    try:
        table = json.loads(path.read_text("utf-8"))
    except OSError as error:
        msg = f"report {path} cannot be read: {error.strerror or error}."
        raise EvaluationError(msg) from error
    except ValueError as error:
        msg = f"report {path} is not JSON: {error}."
        raise EvaluationError(msg) from error
    return report_from_dict(table, origin=str(path))


def report_from_dict(table: Any, *, origin: str = "report") -> Report:
    """Make a report of JSON values.

    Raises:
        EvaluationError: If it is no report, of another version, or a part is missing or wrong.
    """
    if not isinstance(table, Mapping) or table.get("kind") != KIND:
        kind = table.get("kind") if isinstance(table, Mapping) else type(table).__name__
        msg = f"{origin}: expected a report of kind {KIND!r}, got {kind!r}. Try: undercast evaluate MODEL -o REPORT"
        raise EvaluationError(msg)
    if table.get("version") != VERSION:
        msg = f"{origin}: expected a report of version {VERSION}, got {table.get('version')!r}. Evaluate again."
        raise EvaluationError(msg)
    try:
        return _report(table)
    except KeyError as error:
        msg = f"{origin}: key {error.args[0]!r} is missing. Evaluate again."
        raise EvaluationError(msg) from error
    except (TypeError, ValueError, AttributeError) as error:
        msg = f"{origin}: expected the values that undercast evaluate writes: {error}. Evaluate again."
        raise EvaluationError(msg) from error


def _report(table: Mapping[str, Any]) -> Report:
    confusion = _counts(table["confusion"], (SETS, NO_PREDICTION + 1))
    scenes = tuple(_read_scene(row) for row in table["scenes"])
    total = sum((scene.counts.counts for scene in scenes), np.zeros_like(confusion))
    if not np.array_equal(total, confusion):
        msg = "the confusion is not the sum of its scenes'"
        raise ValueError(msg)
    return Report(
        created=str(table["created"]),
        undercast=str(table["undercast"]),
        predictor=dict(table["predictor"]),
        protocol=dict(table["protocol"]),
        data=dict(table["data"]),
        interval=dict(table["interval"]),
        overall=_read_figures(table["overall"], table["undefined"]),
        strata={
            key: {name: _read_stratum(row) for name, row in strata.items()} for key, strata in table["strata"].items()
        },
        confusion=confusion,
        reliability={name: list(bins) for name, bins in table["reliability"].items()},
        abstention=list(table["abstention"]),
        scenes=scenes,
        stress=None if table["stress"] is None else list(table["stress"]),
        warnings=tuple(str(line) for line in table["warnings"]),
    )


def _figures(figures: Figures) -> dict[str, dict[str, float | None]]:
    return {name: {"value": one.value, "low": one.low, "high": one.high} for name, one in figures.values.items()}


def _stratum(stratum: Stratum) -> dict[str, Any]:
    return {
        "scenes": stratum.scenes,
        "pixels": stratum.pixels,
        "figures": _figures(stratum.figures),
        "undefined": dict(stratum.figures.undefined),
    }


def _scene(scene: SceneResult) -> dict[str, Any]:
    return {
        "name": scene.name,
        "source": scene.source,
        "hash": scene.hash,
        "strata": dict(scene.strata),
        "pixels": scene.pixels,
        "scored": scene.scored,
        "counts": scene.counts.counts.tolist(),
        "cloud_histogram": _list(scene.counts.cloud_histogram),
        "shadow_histogram": _list(scene.counts.shadow_histogram),
        "abstention": _list(scene.counts.abstention),
        "figures": dict(scene.figures),
        "seconds": scene.seconds,
        "file_hash": scene.file_hash,
    }


def _list(counts: Counts | None) -> list[Any] | None:
    return None if counts is None else list(counts.tolist())


def _read_scene(row: Mapping[str, Any]) -> SceneResult:
    return SceneResult(
        name=str(row["name"]),
        source=str(row["source"]),
        hash=str(row["hash"]),
        strata={key: str(value) for key, value in row["strata"].items()},
        pixels=int(row["pixels"]),
        scored=int(row["scored"]),
        counts=SceneCounts(
            counts=_counts(row["counts"], (SETS, NO_PREDICTION + 1)),
            cloud_histogram=_histogram(row["cloud_histogram"]),
            shadow_histogram=_histogram(row["shadow_histogram"]),
            abstention=_histogram(row["abstention"]),
        ),
        figures={name: _number(value) for name, value in row["figures"].items()},
        seconds=float(row["seconds"]),
        # Older reports do not tell it.
        file_hash=None if row.get("file_hash") is None else str(row["file_hash"]),
    )


def _read_figures(figures: Mapping[str, Any], undefined: Mapping[str, str]) -> Figures:
    return Figures(
        values={
            name: Figure(value=_number(row["value"]), low=_number(row["low"]), high=_number(row["high"]))
            for name, row in figures.items()
        },
        undefined=dict(undefined),
    )


def _read_stratum(row: Mapping[str, Any]) -> Stratum:
    figures = _read_figures(row["figures"], row["undefined"])
    return Stratum(scenes=int(row["scenes"]), pixels=int(row["pixels"]), figures=figures)


def _number(value: Any) -> float | None:
    if value is None:
        return None
    number = float(value)
    if not math.isfinite(number):
        msg = f"expected a finite number or null, got {value!r}"
        raise ValueError(msg)
    return number


def _histogram(values: Any) -> Counts | None:
    return None if values is None else _counts(values, (2, BINS))


def _counts(values: Any, shape: tuple[int, int]) -> Counts:
    counts = np.asarray(values)
    if counts.shape != shape or counts.dtype.kind != "i" or (counts < 0).any():
        msg = f"expected counts of shape {shape}, got {counts.dtype} of shape {counts.shape}"
        raise ValueError(msg)
    return counts.astype(np.int64)
