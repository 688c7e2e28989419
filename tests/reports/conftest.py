"""An evaluation of six small scenes by a simple rule, for every kind of report."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from undercast.evaluation.evaluate import EvaluateOptions, Evaluation, evaluate
from undercast.evaluation.intervals import IntervalOptions
from undercast.evaluation.predictors import Predicted
from undercast.evaluation.references import ReferenceEntry, References, ReferenceScene, reference_scene
from undercast.evaluation.stress import StressOptions, stress
from undercast.scene import scene_from_array

HOSTILE = '<script>alert(1)</script> & "quoted" | `code` \x00 \u202e \ud800 http://evil.example/x'
SIDE = 40


class Rule:
    """Bright is cloud, dark is shadow."""

    @property
    def identity(self) -> dict[str, Any]:
        return {"id": "<b>rule</b>", "version": "1", "kind": "peer", "checksums": ["1220abcd"], "options": {"at": 0.4}}

    def predict(self, reference: ReferenceScene) -> Predicted:
        mean = np.nan_to_num(reference.scene.read().mean(axis=0))
        cloud = np.clip(mean * 1.6, 0, 1)
        shadow = np.clip(0.3 - 3 * mean, 0, 1) * (1 - cloud)
        probabilities = np.stack([1 - cloud - shadow, 0.8 * cloud, 0.2 * cloud, shadow]).astype(np.float32)
        return Predicted(
            class_map=probabilities.argmax(axis=0).astype(np.uint8),
            probabilities=probabilities,
            uncertainty=(1 - probabilities.max(axis=0)).astype(np.float32),
        )


def scene_of(seed: int) -> ReferenceScene:
    """A square cloud with its shadow; the last scene is clear, and its name is hostile."""
    rng = np.random.default_rng(seed)
    possible = np.ones((SIDE, SIDE), np.uint8)
    image = rng.normal(0.12, 0.03, (3, SIDE, SIDE)).astype(np.float32)
    if seed < 5:
        possible[5:20, 5:20], possible[22:30, 22:30], possible[32:, :8] = 2, 8, 6
        image += 0.5 * ((possible & 6) > 0) - 0.08 * (possible == 8)
        possible[:, -4:] = 0
    name = f"scene {seed}" if seed < 5 else HOSTILE
    scene = scene_from_array(image.clip(0.001), ["green", "red", "nir"], name=name)
    source = "first | source" if seed % 2 else "<i>second</i>"
    return reference_scene(scene, possible, {"source": source, "labels": "human"}, gsd=10.0)


def references_of(count: int = 6) -> References:
    return References(
        name="six & more", entries=tuple(ReferenceEntry(name=str(i), read=partial(scene_of, i)) for i in range(count))
    )


@pytest.fixture(scope="session")
def evaluation() -> Evaluation:
    options = EvaluateOptions(intervals=IntervalOptions(replicates=40), examples=6)
    return evaluate(Rule(), references_of(), options=options)


@pytest.fixture(scope="session")
def report(evaluation: Evaluation) -> dict[str, Any]:
    rows = stress(
        Rule(), references_of(), options=StressOptions(severities={"noise": (0.05, 0.3), "missing_bands": (1,)})
    )
    return {**evaluation.report.to_dict(), "stress": rows, "warnings": ["<u>a warning</u> | of one line"]}
