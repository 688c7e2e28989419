"""Classify: a scene and a classifier give scores for every window; windows under cloud or shadow are found first."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

import numpy as np

from undercast import masking
from undercast.bands import BandMatch, match_bands, tolerance_um
from undercast.classification.classifier import Classifier
from undercast.classification.clouds import CloudShares, cloud_shares
from undercast.classification.sentinel1 import Radar
from undercast.classification.windows import Lattice, lay_windows, resampled
from undercast.classifier_spec import DN, ClassifierSpec
from undercast.errors import BandError, UsageError
from undercast.grids import Grid
from undercast.loading import Model
from undercast.masking import FAR_SHARE, MaskOptions
from undercast.prediction import ModelIdentity
from undercast.scene import Scene
from undercast.types import Float32
from undercast.windows import Window

log = logging.getLogger(__name__)

CloudHandling = Literal["leave-out", "weight", "keep"]
"""What happens to windows under cloud or shadow: no scores; scores, and a weight that falls with cloud; scores."""
CLOUD_HANDLINGS: tuple[CloudHandling, ...] = get_args(CloudHandling)

Status = Literal["scored", "cloudy", "nodata"]
"""What became of a window; ``cloudy`` and ``nodata`` have no scores."""

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many windows are done, and how many there are."""

AT_ONCE = 16
"""Windows that the network gets at once."""

SMALLEST_VALID = 0.95
"""Share of pixels with data from which a window is scored: the classifier was trained on whole ones."""

COARSE = 2.0
"""Ground sample distance, over the classifier's, from which a person is told that windows are enlarged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyOptions:
    """How windows are chosen."""

    clouds: CloudHandling = "leave-out"
    """What happens to windows under cloud or shadow."""
    max_cloud: float = 0.1
    """Share of cloud and shadow above which a window counts as under cloud, in [0, 1)."""
    masking: MaskOptions = field(default_factory=MaskOptions)
    """How the scene is masked; an area is all that is labelled."""

    def __post_init__(self) -> None:
        """Refuse a share that no window could exceed.

        Raises:
            UsageError: If it is outside [0, 1).
        """
        if not 0.0 <= self.max_cloud < 1.0:
            msg = f"expected a largest share of cloud in [0, 1), got {self.max_cloud:g}. Try 0.1"
            raise UsageError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowLabels:
    """One window of a scene: its clouds and its labels."""

    window: Window
    """Where it lies in the grid."""
    status: Status
    """Whether it has scores, and why not."""
    valid: float
    """Share of pixels with data, in [0, 1]."""
    cloud: float
    """Share of cloud among the pixels with data, in [0, 1]."""
    shadow: float
    """Share of cloud shadow among the pixels with data, in [0, 1]."""
    contains_cloud_or_shadow: bool
    """Whether cloud and shadow together exceed the allowed share, as BigEarthNet's metadata name it."""
    weight: float
    """1 minus the share of cloud and shadow where that is asked for; else 1; 0 without scores."""
    scores: tuple[float, ...] | None
    """Score of each label, in [0, 1]; None where there is none."""
    labels: tuple[str, ...]
    """Labels whose scores reach the classifier's threshold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneLabels:
    """The windows of one scene."""

    scene: str
    """Name of the scene."""
    grid: Grid
    """Grid of the scene, or of the area of it that was labelled."""
    spec: ClassifierSpec
    """The classifier's spec."""
    classifier: ModelIdentity
    """Which classifier it was."""
    cloud_model: ModelIdentity
    """Which model made the mask."""
    windows: tuple[WindowLabels, ...]
    """Windows, row by row."""
    warnings: tuple[str, ...] = ()
    """What a person should know, one line each."""

    def mean_scores(self) -> dict[str, float] | None:
        """Average the scores of the scene, by the windows' weights; None where no window has both."""
        scored = [window for window in self.windows if window.scores is not None and window.weight > 0.0]
        if not scored:
            return None
        weights = [window.weight for window in scored]
        means = np.average(np.array([window.scores for window in scored]), axis=0, weights=weights)
        return {label: float(score) for label, score in zip(self.spec.labels, means, strict=True)}


def classify(
    scene: Scene,
    classifier: Classifier,
    cloud_model: Model,
    options: ClassifyOptions | None = None,
    *,
    radar: Radar | None = None,
    progress: Progress | None = None,
) -> SceneLabels:
    """Label every window of a scene, clouds first.

    Args:
        scene: A georeferenced scene with the bands that the classifier takes.
        classifier: Scores windows.
        cloud_model: Masks the scene.
        options: How windows are chosen.
        radar: Sentinel-1 over the same ground, for classifiers that take it.
        progress: Is told how many windows are done, and how many there are.

    Raises:
        BandError: If a band that the classifier or the cloud model needs is missing, or Sentinel-1 is.
        GridError: If the scene is not georeferenced.
        SceneError: If it is smaller than a window.
        UndercastError: As ``masking.stream`` does.
    """
    chosen = options or ClassifyOptions()
    spec = classifier.spec
    matches = matched(scene, spec)
    if spec.needs_radar and radar is None:
        msg = (
            f"classifier {spec.id!r} needs Sentinel-1 ({', '.join(spec.layers)}). Give it with --sentinel1, or take a"
            " classifier of optical bands alone."
        )
        raise BandError(msg)
    part = masking.part_of_scene(scene, chosen.masking.area)
    lattice = lay_windows(part.grid, spec, name=scene.name)
    warnings = _warnings(scene, spec, matches)
    for warning in warnings:
        log.warning("%s", warning)
    shares = cloud_shares(masking.stream(scene, cloud_model, chosen.masking), lattice)
    source = _Source(scene=part, spec=spec, bands=[match.index or 0 for match in matches], radar=radar)
    plans = _planned(lattice, shares, chosen)
    scores = _scored([plan.window for plan in plans if plan.status == "scored"], source, classifier, progress)
    return SceneLabels(
        scene=scene.name,
        grid=part.grid,
        spec=spec,
        classifier=classifier.identity,
        cloud_model=shares.model,
        windows=tuple(_finished(plan, scores, spec) for plan in plans),
        warnings=warnings,
    )


def matched(scene: Scene, spec: ClassifierSpec) -> tuple[BandMatch, ...]:
    """Match a scene's bands to the classifier's optical layers, by wavelength.

    Raises:
        BandError: If one is missing: no layer is filled with zeros.
    """
    wanted = [layer.band for layer in spec.optical if layer.band is not None]
    matches = match_bands(wanted, scene.bands)
    missing = [match.wanted.name for match in matches if match.index is None]
    if missing:
        has = ", ".join(f"{band.name} ({band.common_name})" for band in scene.bands) or "none"
        msg = (
            f"{scene.name}: classifier {spec.id!r} needs {', '.join(layer.name for layer in spec.optical)}; nothing in"
            f" the scene stands for {', '.join(missing)}. It has {has}."
        )
        raise BandError(msg)
    return matches


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Source:
    """Where the values of windows come from."""

    scene: Scene
    spec: ClassifierSpec
    bands: Sequence[int]
    radar: Radar | None

    def read(self, window: Window) -> Float32:
        """Read a window's layers in the order of the spec, in their units, ``(layer, y, x)``."""
        side, spec = self.spec.side_px, self.spec
        read: dict[str, Float32] = {}
        if self.bands:
            values = resampled(self.scene.read(window, self.bands) * np.float32(DN), side)
            read |= {layer.name: values[place] for place, layer in enumerate(spec.optical)}
        names = [layer.name for layer in spec.bands if layer.band is None]
        if names and self.radar is not None:
            values = self.radar.read(names, self.scene.grid.part(window), side)
            read |= dict(zip(names, values, strict=True))
        return np.stack([read[name] for name in spec.layers])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A window before it is scored."""

    window: Window
    status: Status
    valid: float
    cloud: float
    shadow: float
    contains: bool
    weight: float


def _planned(lattice: Lattice, shares: CloudShares, options: ClassifyOptions) -> list[_Plan]:
    plans = []
    for place, window in enumerate(lattice):
        valid, cloud, shadow = (float(layer.flat[place]) for layer in (shares.valid, shares.cloud, shares.shadow))
        contains = cloud + shadow > options.max_cloud
        left_out = contains and options.clouds == "leave-out"
        status: Status = "nodata" if valid < SMALLEST_VALID else "cloudy" if left_out else "scored"
        weight = 1.0 - cloud - shadow if options.clouds == "weight" else 1.0
        plans.append(
            _Plan(
                window=window,
                status=status,
                valid=valid,
                cloud=cloud,
                shadow=shadow,
                contains=contains,
                weight=weight,
            )
        )
    return plans


def _scored(
    windows: Sequence[Window], source: _Source, classifier: Classifier, progress: Progress | None
) -> dict[Window, Float32]:
    """Score windows, some at once; those in which a layer lacks data are left out."""
    scores: dict[Window, Float32] = {}
    for first in range(0, len(windows), AT_ONCE):
        some = windows[first : first + AT_ONCE]
        read = {window: values for window in some if _is_whole(values := source.read(window))}
        if read:
            scores |= dict(zip(read, classifier.scores(np.stack(list(read.values()))), strict=True))
        if progress is not None:
            progress(first + len(some), len(windows))
    return scores


def _is_whole(values: Float32) -> bool:
    """Tell whether every layer of a window has data nearly everywhere."""
    return bool((np.isfinite(values).mean(axis=(1, 2)) >= SMALLEST_VALID).all())


def _finished(plan: _Plan, scores: dict[Window, Float32], spec: ClassifierSpec) -> WindowLabels:
    own = scores.get(plan.window)
    values = () if own is None else tuple(float(score) for score in own)
    given = [label for label, score in zip(spec.labels, values, strict=False) if score >= spec.threshold]
    return WindowLabels(
        window=plan.window,
        status="nodata" if plan.status == "scored" and own is None else plan.status,
        valid=plan.valid,
        cloud=plan.cloud,
        shadow=plan.shadow,
        contains_cloud_or_shadow=plan.contains,
        weight=0.0 if own is None else plan.weight,
        scores=None if own is None else values,
        labels=tuple(given),
    )


def _warnings(scene: Scene, spec: ClassifierSpec, matches: Sequence[BandMatch]) -> tuple[str, ...]:
    """Say where a scene is not what the classifier was trained on."""
    name = scene.name
    told = [
        f"{name}: {match.wanted.name} is taken from {scene.bands[match.index].name}, {match.distance_um:.3f} um away"
        for match in matches
        if match.index is not None and match.distance_um > FAR_SHARE * tolerance_um(match.wanted)
    ]
    if scene.level is not None and scene.level not in spec.levels:
        trained = ", ".join(spec.levels)
        told.append(f"{name}: {scene.level} reflectance, the classifier was trained on {trained} reflectance")
    gsd = scene.grid.gsd or spec.gsd
    if gsd > COARSE * spec.gsd:
        told.append(f"{name}: pixels of {gsd:g} m are enlarged to {spec.gsd:g} m, which the classifier never saw")
    return tuple(told)
