"""Stress: what degraded images cost a predictor, figure by figure."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from undercast.errors import BandError, EvaluationError, RadiometryError
from undercast.evaluation.degradations import DEGRADATIONS, check_severity
from undercast.evaluation.evaluate import Progress, count_scene
from undercast.evaluation.predictors import Predictor
from undercast.evaluation.protocols import EvaluationProtocol, load_protocol, scored_sets
from undercast.evaluation.references import References, ReferenceScene
from undercast.evaluation.statistics import FigureOptions, SceneCounts, figure_options, figures, statistics_of
from undercast.scene import ArrayPixels, Scene
from undercast.types import UInt8

DEFAULT_SEVERITIES: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {name: degradation.defaults for name, degradation in DEGRADATIONS.items()}
)
"""Degradation -> severities that are tried unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StressOptions:
    """What images are put through."""

    severities: Mapping[str, Sequence[float]] = field(default_factory=lambda: DEFAULT_SEVERITIES)
    """Degradation -> severities, see ``degradations``."""
    seed: int = 0
    """Seed of noise, stripes and shifts; the same seed degrades a scene in the same way."""

    def __post_init__(self) -> None:
        """Refuse unknown degradations and impossible severities."""
        for name, severities in self.severities.items():
            for severity in severities:
                check_severity(name, severity)

    @property
    def steps(self) -> tuple[tuple[str, float], ...]:
        """Degradation and severity of each step, in order."""
        return tuple((name, float(one)) for name, several in self.severities.items() for one in several)


def stress(
    predictor: Predictor,
    references: References,
    protocol: EvaluationProtocol | None = None,
    options: StressOptions | None = None,
    *,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Evaluate a predictor on degraded images.

    A scene that the predictor refuses untouched (``BandError``, ``RadiometryError``) is left out throughout. One that
    it refuses degraded is counted in ``refused``; figures and losses are then those of the other scenes.

    Args:
        predictor: What is judged.
        references: Scenes with labels.
        protocol: Which pixels are scored on which tasks; ``pixel`` unless given.
        options: Degradations, severities and seed.
        progress: Is told how many scenes are done, and how many there are.

    Returns:
        One row per degradation and severity: ``degradation``, ``severity``, ``unit``, ``figures`` (name -> value or
        None), ``loss`` (name -> the value without degradation minus the value with it, over the same scenes, or None)
        and ``refused`` (number of scenes).

    Raises:
        EvaluationError: If no scene is left.
        UndercastError: As the predictor and the references do.
    """
    chosen, rules = options or StressOptions(), protocol or load_protocol()
    untouched: list[SceneCounts] = []
    degraded: dict[tuple[str, float], list[SceneCounts | None]] = {step: [] for step in chosen.steps}
    for done, reference in enumerate(references):
        possible = scored_sets(reference, rules)
        whole = _counts(predictor, reference, possible) if possible.any() else None
        if whole is not None:
            untouched.append(whole)
            for step, image in _degraded(reference, chosen):
                degraded[step].append(_counts(predictor, image, possible))
        if progress is not None:
            progress(done + 1, len(references))
    if not untouched:
        msg = (
            f"{references.name}: expected scenes to put under stress, got none that protocol {rules.id} and the"
            " predictor take. Evaluate without stress to see why."
        )
        raise EvaluationError(msg)
    told = figure_options(rules, predictor.identity)
    return [_row(step, untouched, counts, told) for step, counts in degraded.items()]


def degrade(reference: ReferenceScene, name: str, severity: float, *, seed: int = 0) -> ReferenceScene:
    """Degrade a reference's image; bands without any pixel left are taken out of the scene.

    Args:
        reference: What is degraded; its labels stay.
        name: One of ``DEGRADATIONS``.
        severity: In the degradation's unit.
        seed: Seed; the pattern differs between scenes by their names.

    Raises:
        UsageError: If the degradation is unknown or cannot have this severity.
    """
    check_severity(name, severity)
    scene = reference.scene
    rng = np.random.default_rng(
        [seed, zlib.crc32(name.encode()), zlib.crc32(reference.name.encode("utf-8", "replace"))]
    )
    order = np.argsort([band.center_wavelength for band in scene.bands], kind="stable")
    before = scene.read()
    image = np.empty_like(before)
    image[order] = DEGRADATIONS[name].apply(before[order], severity, rng)
    lost = np.isfinite(before).any(axis=(1, 2)) & ~np.isfinite(image).any(axis=(1, 2))
    return replace(reference, scene=_with_pixels(scene, image, kept=np.flatnonzero(~lost).tolist()))


def _degraded(reference: ReferenceScene, options: StressOptions) -> Iterator[tuple[tuple[str, float], ReferenceScene]]:
    for name, severity in options.steps:
        yield (name, severity), degrade(reference, name, severity, seed=options.seed)


def _with_pixels(scene: Scene, image: np.ndarray[Any, np.dtype[np.float32]], *, kept: Sequence[int]) -> Scene:
    return replace(
        scene,
        bands=tuple(scene.bands[place] for place in kept),
        pixels=ArrayPixels(reflectance=image[np.asarray(kept, np.intp)]),
    )


def _counts(predictor: Predictor, reference: ReferenceScene, possible: UInt8) -> SceneCounts | None:
    """Count what a predictor makes of a scene; None where it refuses the scene's bands or values."""
    try:
        return count_scene(possible, predictor.predict(reference))
    except (BandError, RadiometryError):
        return None


def _row(
    step: tuple[str, float],
    untouched: Sequence[SceneCounts],
    degraded: Sequence[SceneCounts | None],
    told: FigureOptions,
) -> dict[str, Any]:
    """Compare the scenes that were predicted both ways."""
    name, severity = step
    pairs = [(before, after) for before, after in zip(untouched, degraded, strict=True) if after is not None]
    before = _values([pair[0] for pair in pairs] or untouched, told)
    after = _values([pair[1] for pair in pairs], told) if pairs else dict.fromkeys(before)
    return {
        "degradation": name,
        "severity": severity,
        "unit": DEGRADATIONS[name].unit,
        "figures": after,
        "loss": {key: _difference(before[key], after[key]) for key in before},
        "refused": len(untouched) - len(pairs),
    }


def _values(counts: Sequence[SceneCounts], told: FigureOptions) -> dict[str, float | None]:
    return {name: figure.value for name, figure in figures(statistics_of(counts), told).values.items()}


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else before - after
