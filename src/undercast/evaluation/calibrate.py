"""Calibrate: a temperature and thresholds for named operating points, kept in a new version of a package."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast.classes import CLASS_NAMES
from undercast.errors import EvaluationError, UsageError
from undercast.evaluation import metrics
from undercast.evaluation.evaluate import Progress, task_probabilities
from undercast.evaluation.packages import (
    CALIBRATION_KEY,
    Additions,
    Met,
    PackagePredictor,
    evaluation_record,
    met_data,
    write_again,
)
from undercast.evaluation.references import References, ReferenceScene, check_unique, data_hash
from undercast.inference.ensemble import SMALLEST_PROBABILITY, tempered
from undercast.masking import MOST_PROBABLE
from undercast.model_spec import ModelSpec
from undercast.models.package import ModelPackage
from undercast.types import Bool, Float32, UInt8

log = logging.getLogger(__name__)

KIND = "undercast-calibration"
"""Kind of the record that is kept in the package."""
PRESETS = ("balanced", "f2", "recall=0.95")
"""Operating points that are tuned unless told otherwise."""
LARGEST_SAMPLE = 100_000
"""Pixels of one scene that are looked at; drawn at random where it has more."""

_RECALL = re.compile(r"recall=(0?\.\d+)")
_F_BETA = re.compile(r"f(\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """Labelled pixels of scenes with their probabilities."""

    probabilities: Float32
    """``(class, pixel)`` in the order of ``CLASS_NAMES``; NaN for classes that the model does not tell."""
    possible: UInt8
    """Possible sets, ``(pixel,)``."""
    scores_shadow: Bool
    """Whether the pixel's scene can be scored on cloud shadow, ``(pixel,)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """Thresholds of one preset and what they reach on the data that they are tuned on."""

    thresholds: Mapping[str, float]
    """Class -> threshold."""
    figures: Mapping[str, float]
    """Precision, recall, F1 and F2 of cloud and shadow, as far as defined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What was fitted."""

    temperature: float
    """Number that the logarithms of the package's probabilities are divided by to fit the labels best."""
    loss_before: float
    """Mean negative log-likelihood of the labels, in nats."""
    loss_after: float
    """The same at the temperature."""
    points: Mapping[str, OperatingPoint]
    """Preset -> operating point, on the probabilities at the temperature."""
    data: str
    """Name of the data."""
    hashes: tuple[str, ...]
    """Content hashes of the scenes."""
    warnings: tuple[str, ...] = ()
    """What a person should know, one line each."""

    def to_dict(self) -> dict[str, Any]:
        """Give the calibration as JSON values."""
        return {
            "kind": KIND,
            "temperature": round(self.temperature, 4),
            "loss_before": round(self.loss_before, 6),
            "loss_after": round(self.loss_after, 6),
            "presets": {
                name: {"thresholds": dict(point.thresholds), "figures": dict(point.figures)}
                for name, point in self.points.items()
            },
            "data": {"name": self.data, "hash": data_hash(self.hashes), "scenes": len(self.hashes)},
            "hashes": list(self.hashes),
            "warnings": list(self.warnings),
        }


def calibrate(
    predictor: PackagePredictor,
    references: References,
    presets: Sequence[str] = PRESETS,
    *,
    progress: Progress | None = None,
) -> Calibration:
    """Fit a temperature and the thresholds of presets.

    Thresholds hold for the probabilities at the temperature.

    Args:
        predictor: The package.
        references: Data that the package was not evaluated on.
        presets: ``balanced`` (highest F1), ``f2`` or another ``f<beta>``, ``recall=<share>`` (highest precision at that
            recall).
        progress: Is told how many scenes are done, and how many there are.

    Raises:
        EvaluationError: If the package was evaluated on one of the scenes, or the labels tell nothing about cloud.
        UsageError: If a preset is not known.
    """
    for name in presets:
        objective(name)
    met = met_data(predictor.model.package)
    # Probabilities do not depend on thresholds; argmax spares the ones of the package.
    neutral = replace(predictor, options=replace(predictor.options, preset=MOST_PROBABLE, thresholds=None))
    samples: list[Sample] = []
    hashes: dict[str, str] = {}
    warnings: list[str] = []
    for done, reference in enumerate(references):
        check_unique(reference.name, reference.hash, hashes)
        warnings += _check_met(reference, met)
        samples.append(_sample(neutral, reference, seed=done))
        if progress is not None:
            progress(done + 1, len(references))
    sample = _joined(samples)
    temperature = fit_temperature(sample)
    fitted = replace(sample, probabilities=tempered(sample.probabilities, temperature))
    points = {name: _operating_point(fitted, name, warnings) for name in presets}
    for line in warnings:
        log.warning("%s", line)
    return Calibration(
        temperature=temperature,
        loss_before=set_loss(sample, 1.0),
        loss_after=set_loss(sample, temperature),
        points=points,
        data=references.name,
        hashes=tuple(hashes),
        warnings=tuple(warnings),
    )


def write_calibrated(
    package: ModelPackage,
    calibration: Calibration,
    folder: Path,
    *,
    version: str | None = None,
    preset: str | None = None,
) -> Path:
    """Write a new version of a package: the same weights, new temperature and presets, the calibration in its record.

    Args:
        package: The package that was calibrated.
        calibration: What was fitted.
        folder: Folder to make; it must not exist.
        version: Version of the new package; the next patch version unless given.
        preset: Recommended operating point; as before unless given.

    Returns:
        The folder.

    Raises:
        OutputExistsError: If the folder exists.
        OutputError: If its place cannot be written.
        UsageError: If the recommended preset is not known.
    """
    presets = {**package.spec.presets, **{name: dict(one.thresholds) for name, one in calibration.points.items()}}
    recommended = preset or package.spec.preset
    if recommended is not None and recommended not in presets:
        msg = f"preset {recommended!r} is not known. Known: {', '.join(presets)}"
        raise UsageError(msg)
    spec = replace(
        package.spec,
        version=version or next_version(package.spec.version),
        temperature=round(package.spec.temperature * calibration.temperature, 6),
        presets=presets,
        preset=recommended,
    )
    return write_again(
        package,
        folder,
        spec=spec,
        additions=Additions(
            record={CALIBRATION_KEY: calibration.to_dict() | _earlier(package)},
            section=_section(spec, calibration),
        ),
    )


def _earlier(package: ModelPackage) -> dict[str, Any]:
    """Keep the calibration that a package had: its figures stand in the card, its scenes must not judge the new one."""
    found = evaluation_record(package).get(CALIBRATION_KEY)
    return {"before": found} if found else {}


def next_version(version: str) -> str:
    """Count the last number of a version up by one; add one where there is none."""
    found = re.search(r"(\d+)(?!.*\d)", version)
    if found is None:
        return f"{version}.1"
    return f"{version[: found.start()]}{int(found[1]) + 1}{version[found.end() :]}"


def objective(name: str) -> Callable[[NDArray[np.float64]], int]:
    """Give what chooses among the tallies ``(threshold, 4)`` of rising thresholds.

    Raises:
        UsageError: If the preset is not known.
    """
    recall, f_beta = _RECALL.fullmatch(name), _F_BETA.fullmatch(name)
    if recall is not None and float(recall[1]) > 0.0:
        wanted = float(recall[1])
        return lambda tallies: _highest(metrics.recall(tallies) >= wanted)
    if name == "balanced" or f_beta is not None:
        beta = 1.0 if f_beta is None else float(f_beta[1])
        if beta > 0.0:
            return lambda tallies: int(np.nanargmax(np.nan_to_num(metrics.f_beta(tallies, beta), nan=-1.0)))
    msg = f"preset {name!r} is not known. Known: balanced, f2 (or another f<beta>), recall=0.95 (or another share)"
    raise UsageError(msg)


def _highest(reached: Bool) -> int:
    """Give the highest threshold that reaches the recall; the lowest where none does."""
    found = np.flatnonzero(reached)
    return int(found[-1]) if found.size else 0


def set_loss(sample: Sample, temperature: float) -> float:
    """Give the mean negative log-likelihood of the possible sets at a temperature, in nats."""
    probabilities = np.nan_to_num(tempered(sample.probabilities, temperature))
    inside = np.zeros(sample.possible.shape, np.float64)
    for value in range(len(CLASS_NAMES)):
        inside += probabilities[value] * (sample.possible >> value & 1)
    return float(-np.log(np.maximum(inside, SMALLEST_PROBABILITY)).mean())


def fit_temperature(sample: Sample) -> float:
    """Find the temperature between 0.2 and 5 at which the labels are most likely (golden section on its logarithm)."""
    low, high = math.log(0.2), math.log(5.0)
    ratio = (math.sqrt(5.0) - 1.0) / 2.0
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    losses = [set_loss(sample, math.exp(left)), set_loss(sample, math.exp(right))]
    for _ in range(24):
        if losses[0] <= losses[1]:
            high, right, left = right, left, right - ratio * (right - low)
            losses = [set_loss(sample, math.exp(left)), losses[0]]
        else:
            low, left, right = left, right, left + ratio * (high - left)
            losses = [losses[1], set_loss(sample, math.exp(right))]
    return math.exp((low + high) / 2.0)


def _check_met(reference: ReferenceScene, met: Met) -> list[str]:
    hashes = {reference.hash, reference.file_hash}
    if hashes & met.evaluated:
        msg = (
            f"{reference.name}: the package was evaluated on this very scene (same content hash); thresholds tuned on"
            " test data would make its figures worthless. Give other data."
        )
        raise EvaluationError(msg)
    if hashes & met.trained:
        return [f"{reference.name}: the model was trained on this scene; thresholds tuned on it are too hopeful"]
    return []


def _sample(predictor: PackagePredictor, reference: ReferenceScene, *, seed: int) -> Sample:
    predicted = predictor.predict(reference)
    probabilities = predicted.probabilities
    if probabilities is None:
        msg = f"{reference.name}: expected probabilities, got none."
        raise EvaluationError(msg)
    where = np.flatnonzero((reference.possible > 0) & np.isfinite(probabilities).any(axis=0))
    if where.size > LARGEST_SAMPLE:
        where = np.random.default_rng(seed).choice(where, LARGEST_SAMPLE, replace=False)
    counts = metrics.confusion(reference.possible, predicted.class_map)
    shadow = metrics.scores_task(counts, "shadow") and task_probabilities(predicted)[1] is not None
    return Sample(
        probabilities=probabilities.reshape(len(CLASS_NAMES), -1)[:, where],
        possible=reference.possible.ravel()[where],
        scores_shadow=np.full(where.size, shadow),
    )


def _joined(samples: Sequence[Sample]) -> Sample:
    joined = Sample(
        probabilities=np.concatenate([sample.probabilities for sample in samples], axis=1),
        possible=np.concatenate([sample.possible for sample in samples]),
        scores_shadow=np.concatenate([sample.scores_shadow for sample in samples]),
    )
    positive, negative = metrics.settled(joined.possible, "cloud")
    if not positive.any() or not negative.any():
        msg = "expected pixels that are surely cloud and pixels that surely are not, got one kind only."
        raise EvaluationError(msg)
    return joined


def _operating_point(sample: Sample, name: str, warnings: list[str]) -> OperatingPoint:
    """Tune the threshold on cloud, then that on shadow among what is not called cloud."""
    choose = objective(name)
    cloud = np.nansum(sample.probabilities[1:3], axis=0)
    thresholds: dict[str, float] = {}
    reached: dict[str, float] = {}
    called = _tune("cloud", cloud, sample.possible, choose, thresholds, reached)
    where = sample.scores_shadow
    if metrics.settled(sample.possible[where], "shadow")[0].any():
        shadow = np.where(called[where], np.float32(0.0), sample.probabilities[3][where])
        _tune("cloud_shadow", shadow, sample.possible[where], choose, thresholds, reached)
    else:
        warnings.append(f"{name}: the data tell no cloud shadow; it keeps the most probable class")
    wanted = _RECALL.fullmatch(name)
    if wanted is not None:
        warnings += [
            f"{name}: {key.removesuffix('_recall')} reaches a recall of {value:.3f} only"
            for key, value in reached.items()
            if key.endswith("_recall") and value < float(wanted[1])
        ]
    return OperatingPoint(thresholds=thresholds, figures=reached)


def _tune(
    key: str,
    probability: Float32,
    possible: UInt8,
    choose: Callable[[NDArray[np.float64]], int],
    thresholds: dict[str, float],
    reached: dict[str, float],
) -> Bool:
    """Choose a threshold among the edges of 256 bins, and tell which pixels reach it."""
    task = "cloud" if key == "cloud" else "shadow"
    positive, negative = metrics.settled(possible, task)
    where = positive | negative
    tallies = threshold_tallies(metrics.histogram(positive[where], probability[where]))
    index = choose(tallies)
    threshold = (index + 1) / metrics.BINS
    thresholds[key] = threshold
    tally = tallies[index]
    for name, value in (
        ("precision", metrics.precision(tally)),
        ("recall", metrics.recall(tally)),
        ("f1", metrics.f_beta(tally, 1.0)),
        ("f2", metrics.f_beta(tally, 2.0)),
    ):
        if np.isfinite(value):
            reached[f"{task}_{name}"] = round(float(value), 6)
    return np.asarray(probability >= threshold)


def threshold_tallies(histogram: metrics.Counts) -> NDArray[np.float64]:
    """Give the tallies ``(255, 4)`` at the thresholds 1/256 to 255/256 of a histogram ``(2, 256)``."""
    above = np.cumsum(histogram[:, ::-1], axis=1)[:, ::-1].astype(np.float64)
    total = above[:, :1]
    hits, false = above[1, 1:], above[0, 1:]
    return np.stack([hits, false, total[1] - hits, total[0] - false], axis=-1)


def _section(spec: ModelSpec, calibration: Calibration) -> str:
    rows = "\n".join(
        f"| {name} | {', '.join(f'{key} {value:.3f}' for key, value in point.thresholds.items())} |"
        for name, point in calibration.points.items()
    )
    return f"""
## Calibration of version {spec.version}

Thresholds tuned on {calibration.data} ({len(calibration.hashes)} scenes); the weights are those of the version before.
The logarithms of the probabilities are divided by {calibration.temperature:.2f} more than before, which fits the
labels best.

| preset | thresholds |
|---|---|
{rows}
"""
