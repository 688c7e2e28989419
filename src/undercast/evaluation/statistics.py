"""Statistics: what is counted per scene, sums of it over any resample of scenes, and the figures that follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast.evaluation import metrics
from undercast.evaluation.intervals import IntervalOptions, interval, resamples
from undercast.evaluation.metrics import NO_PREDICTION, Counts, Floats
from undercast.evaluation.protocols import EvaluationProtocol
from undercast.weak_labels.agreement import cohen_kappa

Values = NDArray[np.float64]

KEPT = 0.9
"""Fraction of pixels that ``abstention_gain`` keeps."""

_CLOUD_BITS = sum(1 << value for value in metrics.TASK_CLASSES["cloud"])

MERGED = "merged"
"""Subject of the figures over clear, cloud and shadow."""

LOWER_IS_BETTER = ("_ece", "clear_false_cloud", "abstention_gain")
"""Ends of the names of figures that are better when they are lower."""

_RATIOS: dict[str, tuple[Callable[[Values], Floats], str]] = {
    "precision": (metrics.precision, "no pixel is called {title}"),
    "recall": (metrics.recall, "the reference has no {title}"),
    "iou": (metrics.iou, "there is no {title}, neither in the reference nor in the prediction"),
    "balanced_accuracy": (metrics.balanced_accuracy, "the reference has no {title}, or nothing else"),
}
_OF_MATRIX: dict[str, tuple[Callable[[Values], Floats], str]] = {
    "overall_accuracy": (metrics.overall_accuracy, "no pixel is scored on clear, cloud and shadow"),
    "balanced_accuracy": (metrics.mean_recall, "fewer than two of clear, cloud and shadow are in the reference"),
    "kappa": (cohen_kappa, "reference and prediction hold one class only"),
    "micro_iou": (metrics.micro_iou, "no pixel is scored on clear, cloud and shadow"),
}
_TITLES = {
    "cloud": "cloud",
    "thick": "thick cloud",
    "thin": "thin cloud",
    "shadow": "cloud shadow",
    "clear": "clear pixel",
}
_LAYER_TASKS = {
    "cloud": ("cloud",),
    "thick_cloud": ("cloud", "thick"),
    "thin_cloud": ("cloud", "thin"),
    "cloud_shadow": ("shadow",),
}
_NO_PROBABILITIES = "the predictor gives no probabilities of it"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SceneCounts:
    """What is counted of one scene."""

    counts: Counts
    """``(16, 5)``: possible set by prediction, see ``metrics.confusion``."""
    cloud_histogram: Counts | None = None
    """``(2, 256)``: negative and positive pixels by probability of cloud."""
    shadow_histogram: Counts | None = None
    """``(2, 256)``: the same of cloud shadow."""
    abstention: Counts | None = None
    """``(2, 256)``: right and wrong pixels by uncertainty."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Statistics:
    """Sums over scenes that every figure follows from; all with the same leading axes."""

    parts: Mapping[str, Values]
    """Subject -> ``(..., n)``: tallies of tasks, ``merged`` (9), ``clear_scenes`` (false cloud, pixels), histograms."""

    def resampled(self, weights: Values) -> Statistics:
        """Sum over scenes, each as often as it is drawn: ``(scene, n)`` and ``(replicate, scene)``."""
        return Statistics(parts={name: weights @ values for name, values in self.parts.items()})

    def of(self, chosen: Sequence[int]) -> Statistics:
        """Take some scenes."""
        index = np.asarray(chosen, np.intp)
        return Statistics(parts={name: values[index] for name, values in self.parts.items()})

    @property
    def scenes(self) -> int:
        """Number of scenes, before they are summed."""
        return int(next(iter(self.parts.values())).shape[0])

    def bearing(self, subject: str) -> int:
        """Count the scenes that bear on a subject."""
        return int((self.parts[subject].sum(axis=-1) > 0).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureOptions:
    """Which figures are given."""

    tasks: tuple[str, ...] = tuple(metrics.TASK_CLASSES)
    """Tasks that the protocol scores."""
    told: tuple[str, ...] = tuple(metrics.TASK_CLASSES)
    """Tasks on which the predictor says something."""
    betas: tuple[float, ...] = (1.0, 2.0)
    """Which F-beta."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure."""

    value: float | None
    """The figure; None where it is undefined."""
    low: float | None = None
    """Lower end of its interval; None where there is none."""
    high: float | None = None
    """Upper end of its interval; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Figures of some scenes."""

    values: Mapping[str, Figure]
    """Name -> figure."""
    undefined: Mapping[str, str]
    """Name -> why it is undefined."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Line:
    """A figure in the making."""

    name: str
    subject: str
    values: Floats
    reason: str


def figure_options(protocol: EvaluationProtocol, *identities: Mapping[str, Any]) -> FigureOptions:
    """Give the figures that a protocol scores and every one of some predictors tells.

    Args:
        protocol: The protocol.
        identities: Records of predictors; one that has no key ``classes`` tells all classes.
    """
    told = set(metrics.TASK_CLASSES)
    for identity in identities:
        if identity.get("classes") is not None:
            told &= {"clear"} | {task for name in identity["classes"] for task in _LAYER_TASKS.get(name, ())}
    return FigureOptions(
        tasks=protocol.tasks, told=tuple(task for task in metrics.TASK_CLASSES if task in told), betas=protocol.betas
    )


def lower_is_better(name: str) -> bool:
    """Tell whether a figure is better when it is lower."""
    return name.endswith(LOWER_IS_BETTER)


def statistics_of(scenes: Sequence[SceneCounts]) -> Statistics:
    """Arrange the counts of scenes, one row each; a scene bears only on tasks that its reference can be scored on."""
    rows = [_parts(scene) for scene in scenes]
    return Statistics(parts={name: np.stack([row[name] for row in rows]) for name in rows[0]})


def _parts(scene: SceneCounts) -> dict[str, Values]:
    counts = scene.counts
    scored = {task: metrics.scores_task(counts, task) for task in metrics.TASK_CLASSES}
    parts: dict[str, Values] = {
        task: np.asarray(metrics.task_tally(counts, task) * scored[task], np.float64) for task in metrics.TASK_CLASSES
    }
    whole = scored["clear"] and scored["cloud"] and scored["shadow"]
    parts[MERGED] = np.asarray(metrics.merged_confusion(counts).ravel() * whole, np.float64)
    tally = metrics.task_tally(counts, "cloud")
    is_clear = not any(counts[s].any() for s in range(metrics.SETS) if s & _CLOUD_BITS)
    false = tally[metrics.FP]
    parts["clear_scenes"] = np.array([false, false + tally[metrics.TN]], np.float64) * is_clear
    for name, histogram, counted in (
        ("cloud_histogram", scene.cloud_histogram, scored["cloud"]),
        ("shadow_histogram", scene.shadow_histogram, scored["shadow"]),
        ("abstention", scene.abstention, True),
    ):
        empty = np.zeros(2 * metrics.BINS)
        parts[name] = histogram.ravel().astype(np.float64) if histogram is not None and counted else empty
    return parts


def figures(statistics: Statistics, options: FigureOptions, intervals: IntervalOptions | None = None) -> Figures:
    """Give the figures of some scenes, pooled over their pixels, with intervals over the scenes.

    Args:
        statistics: One row per scene.
        options: Which figures.
        intervals: How intervals are made; None: none are.
    """
    pooled = statistics.resampled(np.ones((1, statistics.scenes)))
    replicates = None if intervals is None else replicated(statistics, options, intervals)
    values, undefined = {}, {}
    for line in _lines(pooled, options):
        value = float(line.values[0])
        if not np.isfinite(value):
            undefined[line.name] = line.reason
            values[line.name] = Figure(value=None)
            continue
        ends = None
        if intervals is not None and replicates is not None:
            ends = interval(replicates[line.name], statistics.bearing(line.subject), intervals)
        low, high = ends or (None, None)
        values[line.name] = Figure(value=value, low=low, high=high)
    return Figures(values=values, undefined=undefined)


def replicated(statistics: Statistics, options: FigureOptions, intervals: IntervalOptions) -> dict[str, Floats]:
    """Give every figure in each bootstrap replicate, ``(replicate,)``; the same seed draws the same scenes."""
    drawn = statistics.resampled(resamples(statistics.scenes, intervals))
    return {line.name: line.values for line in _lines(drawn, options)}


def subject_of(name: str) -> str:
    """Give the part of ``Statistics`` that a figure follows from."""
    if name in {"clear_false_cloud", "abstention_gain"}:
        return {"clear_false_cloud": "clear_scenes", "abstention_gain": "abstention"}[name]
    if name in _OF_MATRIX:
        return MERGED
    task = name.partition("_")[0]
    return f"{task}_histogram" if name.endswith(("_ap", "_ece")) else task


def _lines(sums: Statistics, options: FigureOptions) -> list[_Line]:
    """Compute every figure over the leading axis, with the reason why it would be undefined."""
    lines = [line for task in metrics.TASK_CLASSES for line in _of_task(sums, task, options)]
    matrix = sums.parts[MERGED].reshape(-1, 3, 3)
    lines += [
        _Line(name=name, subject=MERGED, values=figure(matrix), reason=reason)
        for name, (figure, reason) in _OF_MATRIX.items()
    ]
    for task in ("cloud", "shadow"):
        lines += _of_probabilities(sums, task, scored=task in options.tasks)
    false, pixels = sums.parts["clear_scenes"].T
    bins = sums.parts["abstention"].reshape(-1, 2, metrics.BINS)
    lines += [
        _Line(
            name="clear_false_cloud",
            subject="clear_scenes",
            values=_divided(false, pixels),
            reason="no scene is without cloud in its reference",
        ),
        _Line(
            name="abstention_gain",
            subject="abstention",
            values=_divided(metrics.error_when_kept(bins, KEPT), metrics.error_when_kept(bins, 1.0)),
            reason="there is no uncertainty, or no error",
        ),
    ]
    return lines


def _of_task(sums: Statistics, task: str, options: FigureOptions) -> list[_Line]:
    tally = sums.parts[task]
    computed = {name: (figure(tally), reason) for name, (figure, reason) in _RATIOS.items()}
    for beta in options.betas:
        computed[f"f{beta:g}"] = (metrics.f_beta(tally, beta), _RATIOS["iou"][1])
    refusal = _refusal(task, options)
    if refusal is None and not tally.any():
        refusal = f"no reference tells {_TITLES[task]} from the rest"
    return [
        _Line(
            name=f"{task}_{name}",
            subject=task,
            values=values if refusal is None else np.full_like(values, np.nan),
            reason=refusal or reason.format(title=_TITLES[task]),
        )
        for name, (values, reason) in computed.items()
    ]


def _refusal(task: str, options: FigureOptions) -> str | None:
    if task not in options.tasks:
        return "the protocol does not score it"
    return None if task in options.told else f"the predictor does not tell {_TITLES[task]}"


def _of_probabilities(sums: Statistics, task: str, *, scored: bool) -> list[_Line]:
    subject = f"{task}_histogram"
    bins = sums.parts[subject].reshape(-1, 2, metrics.BINS)
    computed = {
        "ap": (metrics.average_precision_of_histogram(bins), f"the reference has no {_TITLES[task]}"),
        "ece": (metrics.calibration_error_of_histogram(bins), "no pixel is scored"),
    }
    missing = not bins.any()
    return [
        _Line(
            name=f"{task}_{name}",
            subject=subject,
            values=values if scored else np.full_like(values, np.nan),
            reason=(_NO_PROBABILITIES if missing else reason) if scored else "the protocol does not score it",
        )
        for name, (values, reason) in computed.items()
    ]


def _divided(part: Values, whole: Values) -> Floats:
    out = np.full(part.shape, np.nan)
    np.divide(part, whole, out=out, where=np.isfinite(whole) & (whole > 0))
    return out


def labelled(counts: Counts) -> tuple[int, int]:
    """Count a scene's labelled pixels, and those of them that have a prediction."""
    return int(counts.sum()), int(counts[:, :NO_PREDICTION].sum())
