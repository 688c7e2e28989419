"""Trials: the example data of a model package go through every member and through all of them together."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from undercast.inference import ensemble
from undercast.loading import Model
from undercast.masking import MaskOptions, predict
from undercast.model_spec import ModelSpec
from undercast.models.example import PROBABILITIES, UNCERTAINTY, Example, read_example
from undercast.models.trust.weights import MemberWeights
from undercast.prediction import Prediction, cloud_layers
from undercast.scene import Scene, scene_from_array
from undercast.types import AGGREGATIONS, Float32

TOLERANCE: Mapping[str, float] = {"f32": 1e-3, "bf16": 5e-2, "f16": 1e-2}
"""Precision -> largest difference from what was recorded, in probability; other runtimes and processors round
differently."""

NAME = "example data"
"""Name of the scene that example data become."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one member, or of all of them together."""

    name: str
    """Member, as in the item; else what is told of all of them: an aggregation, or an uncertainty."""
    lowest: float
    """Smallest value."""
    mean: float
    """Mean value."""
    highest: float
    """Largest value."""
    seconds: float | None = None
    """Wall time, where it was a run of its own."""
    difference: float | None = None
    """Largest difference from what was recorded; None where nothing was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of a package's example data."""

    shape: tuple[int, int]
    """Height and width of the example image, in pixels."""
    members: tuple[Outcome, ...]
    """One per member: its probability of cloud, or of anything but clear."""
    together: tuple[Outcome, ...]
    """The same for each aggregation of the members, and their uncertainty."""
    problems: tuple[str, ...]
    """What is wrong, one line each; empty where nothing is."""

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Give the trial as JSON values."""

        def row(outcome: Outcome) -> dict[str, Any]:
            difference = outcome.difference
            finite = difference is None or math.isfinite(difference)
            # JSON has no infinite number: shapes that differ are among the problems.
            return {**asdict(outcome), "difference": difference if finite else None}

        return {
            "shape": list(self.shape),
            "members": [row(outcome) for outcome in self.members],
            "together": [row(outcome) for outcome in self.together],
            "problems": list(self.problems),
            "passed": self.passed,
        }


def run_trial(model: Model) -> Trial:
    """Run a package's example data through each of its members and through all of them together.

    Problems are values outside [0, 1], an aggregate that is not that of its members, and answers that differ from what
    was recorded by more than ``TOLERANCE``.

    Raises:
        ModelError: If the package has no example data, or they do not fit.
        TrustError: If they are damaged.
        MissingDependencyError: If what reads them is not installed.
    """
    package = model.package
    example = read_example(package)
    scene = example_scene(example, package.spec)
    layers, outcomes = [], []
    for member, network in zip(package.members, model.networks, strict=True):
        alone = replace(model, package=replace(package, members=(member,)), networks=(network,), proof=None)
        prediction, seconds = _timed(scene, alone)
        layers.append(np.where(prediction.valid, prediction.probabilities, np.float32(0.0)))
        difference = _difference(_recorded(member, example), _output(prediction, package.spec))
        outcomes.append(
            replace(_outcome(member.name, prediction.pair[0]), seconds=round(seconds, 3), difference=difference)
        )
    all_at_once, seconds = _timed(scene, replace(model, proof=None))
    together = _together(model, np.stack(layers), all_at_once, example, seconds)
    tolerance = TOLERANCE[model.precision]
    problems = [
        f"{outcome.name}: differs from what was recorded by {outcome.difference:.2g}, more than {tolerance:g}"
        for outcome in (*outcomes, *together)
        if outcome.difference is not None and not outcome.difference <= tolerance
    ]
    problems += [
        f"{outcome.name}: expected values in [0, 1], got {outcome.lowest:.4g} to {outcome.highest:.4g}"
        for outcome in (*outcomes, *together)
        if not (outcome.lowest >= 0.0 and outcome.highest <= 1.0)
    ]
    return Trial(shape=scene.grid.shape, members=tuple(outcomes), together=tuple(together), problems=tuple(problems))


def example_scene(example: Example, spec: ModelSpec) -> Scene:
    """Turn an image as networks take it back into a scene of reflectance; the spec's fill is no data."""
    gains = np.asarray([wanted.gain * spec.scale for wanted in spec.bands], np.float32)[:, None, None]
    offsets = np.asarray([wanted.offset for wanted in spec.bands], np.float32)[:, None, None]
    empty = (example.image == np.float32(spec.fill)).all(axis=0)
    reflectance = np.where(empty, np.float32(np.nan), (example.image - offsets) / gains)
    return scene_from_array(reflectance, [wanted.band for wanted in spec.bands], name=NAME, level=spec.levels[0])


def _timed(scene: Scene, model: Model) -> tuple[Prediction, float]:
    # A member alone has no spread, and example data may be anything.
    options = MaskOptions(
        uncertainty=model.spec.uncertainty if len(model.networks) > 1 else "entropy", radiometry="warn"
    )
    began = time.perf_counter()
    return predict(scene, model, options), time.perf_counter() - began


def _together(
    model: Model, members: Float32, prediction: Prediction, example: Example, seconds: float
) -> list[Outcome]:
    """Tell each aggregation of the members, and the uncertainty of the run with all of them."""
    classes, own = prediction.header.classes, prediction.header.aggregation
    outcomes = []
    for aggregation in AGGREGATIONS if len(model.networks) > 1 else (own,):
        layers = ensemble.aggregate(members, aggregation, classes)[cloud_layers(classes)].sum(axis=0)
        outcome = _outcome(aggregation, np.where(prediction.valid, layers, np.float32(np.nan)))
        if aggregation == own:
            difference = _difference(example.recorded.get(PROBABILITIES), _output(prediction, model.spec))
            outcome = replace(_outcome(own, prediction.pair[0]), seconds=round(seconds, 3), difference=difference)
        outcomes.append(outcome)
    spread = _outcome(prediction.header.uncertainty_kind, prediction.uncertainty)
    difference = _difference(example.recorded.get(UNCERTAINTY), prediction.pair[1])
    return [*outcomes, replace(spread, difference=difference)]


def _output(prediction: Prediction, spec: ModelSpec) -> Float32:
    """Give the layers that the networks themselves have, ``(layer, y, x)``."""
    return prediction.probabilities[1:] if len(spec.classes) == 1 else prediction.probabilities


def _recorded(member: MemberWeights, example: Example) -> Float32 | None:
    return example.recorded.get(member.name, example.recorded.get(member.path.stem))


def _difference(recorded: Float32 | None, layers: Float32) -> float | None:
    """Give the largest difference where there is data; infinite where the shapes differ."""
    if recorded is None:
        return None
    if recorded.shape != layers.shape:
        return math.inf
    return float(np.abs(recorded - layers)[np.isfinite(layers)].max(initial=0.0))


def _outcome(name: str, values: Float32) -> Outcome:
    told = values[np.isfinite(values)]
    if not told.size:
        return Outcome(name=name, lowest=0.0, mean=0.0, highest=0.0)
    return Outcome(name=name, lowest=float(told.min()), mean=float(told.mean()), highest=float(told.max()))
