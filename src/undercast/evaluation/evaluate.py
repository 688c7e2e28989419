"""Evaluate: a predictor and references give a report, by one protocol."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, TypeAlias

import numpy as np

from undercast.errors import BandError, EvaluationError, GridError, RadiometryError
from undercast.evaluation import metrics
from undercast.evaluation.intervals import FEW_SCENES, IntervalOptions
from undercast.evaluation.packages import Met, refuse_met
from undercast.evaluation.predictors import Predicted, Predictor
from undercast.evaluation.protocols import EvaluationProtocol, load_protocol, scored_sets
from undercast.evaluation.references import STRATA, References, ReferenceScene, check_unique, data_hash
from undercast.evaluation.report import Report, SceneResult, Stratum
from undercast.evaluation.statistics import (
    FigureOptions,
    SceneCounts,
    Statistics,
    figure_options,
    figures,
    labelled,
    statistics_of,
)
from undercast.types import Bool, Float32, UInt8

log = logging.getLogger(__name__)

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many scenes are done, and how many there are."""

CLOUD_LAYERS = slice(1, 3)
"""Layers of ``Predicted.probabilities`` that sum to the probability of cloud."""
SHADOW_LAYER = 3
"""Layer of cloud shadow."""

MUCH_NOT_PREDICTED = 0.01
"""Share of labelled pixels without prediction from which a report warns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions:
    """How a predictor is evaluated."""

    intervals: IntervalOptions = field(default_factory=IntervalOptions)
    """How intervals are made."""
    examples: int = 6
    """Worst scenes whose predictions are kept."""
    unfit: Literal["refuse", "skip"] = "refuse"
    """What happens where the predictor cannot work with a scene's bands or radiometry."""
    met: Met = field(default_factory=Met)
    """Data that the predictor has met; it is not judged by what made it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgedScene:
    """A scene with what the predictor said of it."""

    reference: ReferenceScene
    """The scene and its reference; ``possible`` is what the protocol scores."""
    class_map: UInt8
    """Prediction, 0-3 and 255, ``(y, x)``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """What an evaluation gives."""

    report: Report
    """The report."""
    examples: tuple[JudgedScene, ...]
    """The worst scenes, worst first."""


def evaluate(
    predictor: Predictor,
    references: References,
    protocol: EvaluationProtocol | None = None,
    options: EvaluateOptions | None = None,
    *,
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluate a predictor against references.

    Args:
        predictor: What is judged.
        references: Scenes with labels.
        protocol: Which pixels are scored on which tasks; ``pixel`` unless given.
        options: Intervals, examples, and data that the predictor has met.
        progress: Is told how many scenes are done, and how many there are.

    Raises:
        EvaluationError: If two scenes have the same content, the predictor was made with one of them, or the protocol
            leaves no pixel of any scene.
        UndercastError: As the predictor and the references do.
    """
    chosen, rules = options or EvaluateOptions(), protocol or load_protocol()
    told = figure_options(rules, predictor.identity)
    results: list[SceneResult] = []
    seen: dict[str, str] = {}
    worst = _Worst(chosen.examples)
    warnings: list[str] = []
    for done, reference in enumerate(references):
        check_unique(reference.name, reference.hash, seen)
        refuse_met(reference, chosen.met)
        judged = _judge(predictor, reference, rules, chosen, warnings)
        if judged is not None:
            scene, seconds, counts = judged
            results.append(_result(scene, counts, seconds, told))
            worst.offer(scene, counts)
        if progress is not None:
            progress(done + 1, len(references))
    _check_results(results, references, rules)
    report = make_report(predictor.identity, rules, results, told, intervals=chosen.intervals)
    report = _named(report, references.name, warnings)
    for line in report.warnings:
        log.warning("%s", line)
    return Evaluation(report=report, examples=worst.scenes)


def make_report(
    identity: Mapping[str, Any],
    protocol: EvaluationProtocol,
    results: Sequence[SceneResult],
    told: FigureOptions,
    *,
    intervals: IntervalOptions,
) -> Report:
    """Make a report of what was counted in each scene."""
    statistics = statistics_of([result.counts for result in results])
    confusion = np.sum([result.counts.counts for result in results], axis=0)
    total = statistics.resampled(np.ones((1, statistics.scenes)))
    bins = {name: total.parts[f"{name}_histogram"].reshape(2, metrics.BINS) for name in ("cloud", "shadow")}
    strata = {key: _strata(key, results, statistics, told, intervals) for key in STRATA}
    return Report(
        created=datetime.now(tz=UTC).isoformat(timespec="seconds"),
        undercast=_version(),
        predictor=dict(identity),
        protocol=protocol.to_dict(),
        data={
            "name": "",
            "hash": data_hash([result.hash for result in results]),
            "scenes": len(results),
            "label_kinds": sorted({result.strata["labels"] for result in results}),
        },
        interval=intervals.to_dict(),
        overall=figures(statistics, told, intervals),
        strata=strata,
        confusion=confusion,
        reliability={name: metrics.reliability(counts) for name, counts in bins.items()},
        abstention=metrics.abstention_curve(total.parts["abstention"].reshape(2, metrics.BINS)),
        scenes=tuple(results),
        warnings=tuple(_few(strata)) + tuple(_gaps(results)),
    )


def count_scene(possible: UInt8, predicted: Predicted) -> SceneCounts:
    """Count what a prediction made of a scene.

    Args:
        possible: Possible sets that are scored, ``(y, x)``.
        predicted: The prediction.
    """
    known = predicted.class_map < metrics.NO_PREDICTION
    abstention = None
    if predicted.uncertainty is not None:
        where = known & (possible > 0) & np.isfinite(predicted.uncertainty)
        wrong = ~metrics.is_right(possible[where], predicted.class_map[where])
        abstention = metrics.histogram(wrong, predicted.uncertainty[where])
    cloud, shadow = task_probabilities(predicted)
    return SceneCounts(
        counts=metrics.confusion(possible, predicted.class_map),
        cloud_histogram=_histogram(possible, cloud, known, "cloud"),
        shadow_histogram=_histogram(possible, shadow, known, "shadow"),
        abstention=abstention,
    )


def task_probabilities(predicted: Predicted) -> tuple[Float32 | None, Float32 | None]:
    """Give the probabilities of cloud and of cloud shadow ``(y, x)``; None where the predictor tells none."""
    if predicted.probabilities is None:
        return None, None
    kinds = predicted.probabilities[CLOUD_LAYERS]
    cloud: Float32 = np.where(np.isfinite(kinds).any(axis=0), np.nansum(kinds, axis=0), np.float32(np.nan))
    shadow = predicted.probabilities[SHADOW_LAYER]
    return (
        cloud if np.isfinite(cloud).any() else None,
        shadow if np.isfinite(shadow).any() else None,
    )


def _histogram(possible: UInt8, probability: Float32 | None, known: Bool, task: str) -> metrics.Counts | None:
    if probability is None:
        return None
    positive, negative = metrics.settled(possible, task)
    where = (positive | negative) & known & np.isfinite(probability)
    return metrics.histogram(positive[where], probability[where])


def _judge(
    predictor: Predictor,
    reference: ReferenceScene,
    protocol: EvaluationProtocol,
    options: EvaluateOptions,
    warnings: list[str],
) -> tuple[JudgedScene, float, SceneCounts] | None:
    """Predict and count one scene; None where it is left out, with a warning."""
    possible = scored_sets(reference, protocol)
    if not possible.any():
        warnings.append(f"{reference.name}: protocol {protocol.id} leaves none of its pixels; it is left out")
        return None
    began = time.perf_counter()
    try:
        predicted = predictor.predict(reference)
    except (BandError, RadiometryError) as error:
        if options.unfit == "refuse":
            raise
        warnings.append(f"{reference.name} is left out: {error}")
        return None
    seconds = time.perf_counter() - began
    if predicted.class_map.shape != possible.shape:
        msg = f"{reference.name}: expected a prediction of {possible.shape} px, got {predicted.class_map.shape}."
        raise GridError(msg)
    scene = JudgedScene(reference=_with_sets(reference, possible), class_map=predicted.class_map)
    return scene, seconds, count_scene(possible, predicted)


def _with_sets(reference: ReferenceScene, possible: UInt8) -> ReferenceScene:
    return replace(reference, possible=possible)


def _result(scene: JudgedScene, counts: SceneCounts, seconds: float, told: FigureOptions) -> SceneResult:
    pixels, scored = labelled(counts.counts)
    reference = scene.reference
    found = figures(statistics_of([counts]), told)
    return SceneResult(
        name=reference.name,
        source=reference.source,
        hash=reference.hash,
        strata=dict(reference.strata),
        pixels=pixels,
        scored=scored,
        counts=counts,
        figures={name: figure.value for name, figure in found.values.items()},
        seconds=round(seconds, 4),
        file_hash=reference.file_hash,
    )


def _check_results(results: Sequence[SceneResult], references: References, protocol: EvaluationProtocol) -> None:
    if not any(result.pixels for result in results):
        msg = f"{references.name}: expected pixels to score, got none: protocol {protocol.id} leaves none of any scene."
        raise EvaluationError(msg)
    if not any(result.scored for result in results):
        msg = f"{references.name}: expected predictions, got none on any labelled pixel."
        raise EvaluationError(msg)


class _Worst:
    """Keeps the scenes with the largest share of wrong pixels."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._kept: list[tuple[float, int, JudgedScene]] = []
        self._offered = 0

    def offer(self, scene: JudgedScene, counts: SceneCounts) -> None:
        """Take a scene where it is worse than one that is kept."""
        self._offered += 1
        predicted = counts.counts[:, : metrics.NO_PREDICTION]
        sets = np.arange(metrics.SETS, dtype=np.uint8)
        classes = np.arange(metrics.NO_PREDICTION, dtype=np.uint8)
        right = metrics.is_right(sets[:, None], np.broadcast_to(classes, predicted.shape))
        total = int(predicted.sum())
        share = int(predicted[~right].sum()) / total if total else 1.0
        self._kept.append((share, -self._offered, scene))
        self._kept.sort(key=lambda entry: entry[:2], reverse=True)
        del self._kept[self._count :]

    @property
    def scenes(self) -> tuple[JudgedScene, ...]:
        """The scenes that are kept, worst first."""
        return tuple(scene for _, _, scene in self._kept)


def _strata(
    key: str,
    results: Sequence[SceneResult],
    statistics: Statistics,
    told: FigureOptions,
    intervals: IntervalOptions,
) -> dict[str, Stratum]:
    members: dict[str, list[int]] = {}
    for index, result in enumerate(results):
        members.setdefault(result.strata[key], []).append(index)
    return {
        name: Stratum(
            scenes=len(chosen),
            pixels=sum(results[index].scored for index in chosen),
            figures=figures(statistics.of(chosen), told, intervals),
        )
        for name, chosen in sorted(members.items())
    }


def _few(strata: Mapping[str, Mapping[str, Stratum]]) -> list[str]:
    lines = []
    for key, members in strata.items():
        few = [f"{name} ({stratum.scenes})" for name, stratum in members.items() if stratum.scenes < FEW_SCENES]
        if few:
            lines.append(f"fewer than {FEW_SCENES} scenes by {key}, their intervals say little: {', '.join(few)}")
    return lines


def _gaps(results: Sequence[SceneResult]) -> list[str]:
    pixels = sum(result.pixels for result in results)
    missing = pixels - sum(result.scored for result in results)
    if pixels and missing > MUCH_NOT_PREDICTED * pixels:
        share = f"{100 * missing / pixels:.1f} %"
        return [f"{share} of the labelled pixels have no prediction and are left out of the figures"]
    return []


def _named(report: Report, name: str, warnings: Sequence[str]) -> Report:
    return replace(report, data={**report.data, "name": name}, warnings=(*report.warnings, *warnings))


def _version() -> str:
    try:
        return version("undercast")
    except PackageNotFoundError:
        return "0+unknown"
