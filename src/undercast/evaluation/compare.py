"""Compare: is one predictor better than another on the same scenes, or is the difference noise?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from undercast.errors import EvaluationError
from undercast.evaluation.intervals import FEW_SCENES, IntervalOptions, interval
from undercast.evaluation.protocols import protocol_from_dict
from undercast.evaluation.report import Report, SceneResult
from undercast.evaluation.statistics import (
    FigureOptions,
    Statistics,
    figure_options,
    figures,
    lower_is_better,
    replicated,
    statistics_of,
    subject_of,
)

Verdict = Literal["better", "worse", "noise", "one scene", "undefined"]
"""What a difference says: an interval that holds 0 is noise; one scene has no interval and says nothing of others."""

UNEQUAL_SCORED = 0.01
"""Difference in the share of predicted pixels from which a comparison warns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One figure of two predictors on the same scenes."""

    name: str
    """Name of the figure."""
    first: float | None
    """The first predictor's; None where it is undefined."""
    second: float | None
    """The second's."""
    difference: float | None
    """Second less first."""
    low: float | None
    """Lower end of the difference's interval; None where there is none."""
    high: float | None
    """Upper end."""
    scenes: int
    """Scenes that bear on the figure for both."""
    verdict: Verdict
    """What it says about the second."""

    def to_dict(self) -> dict[str, Any]:
        """Give the difference as JSON values."""
        return {
            "figure": self.name,
            "first": self.first,
            "second": self.second,
            "difference": self.difference,
            "low": self.low,
            "high": self.high,
            "scenes": self.scenes,
            "verdict": self.verdict,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two predictors on the same scenes."""

    first: Mapping[str, Any]
    """Identity of the first, against which the second is held."""
    second: Mapping[str, Any]
    """Identity of the second."""
    protocol: str
    """Protocol of both."""
    overall: tuple[Difference, ...]
    """Differences over all scenes."""
    strata: Mapping[str, Mapping[str, tuple[Difference, ...]]]
    """Key -> stratum -> differences."""
    scenes: tuple[Mapping[str, Any], ...]
    """Name of each scene with both predictors' figures."""
    interval: Mapping[str, Any]
    """level, replicates, seed, unit."""
    warnings: tuple[str, ...]
    """What a person should know, one line each."""

    def to_dict(self) -> dict[str, Any]:
        """Give the comparison as JSON values."""
        return {
            "version": 1,
            "kind": "undercast-comparison",
            "first": dict(self.first),
            "second": dict(self.second),
            "protocol": self.protocol,
            "interval": dict(self.interval),
            "overall": [one.to_dict() for one in self.overall],
            "strata": {
                key: {name: [one.to_dict() for one in rows] for name, rows in strata.items()}
                for key, strata in self.strata.items()
            },
            "scenes": [dict(scene) for scene in self.scenes],
            "warnings": list(self.warnings),
        }


def compare(
    first: Report, second: Report, *, intervals: IntervalOptions | None = None, by: Sequence[str] = ("source",)
) -> Comparison:
    """Compare two reports scene by scene: each replicate draws the same scenes for both.

    Args:
        first: The report against which the second is held.
        second: The other report.
        intervals: How intervals are made.
        by: Keys of the strata that are compared, too.

    Raises:
        EvaluationError: If the reports are of different protocols, or have no scene in common.
    """
    chosen = intervals or IntervalOptions()
    check_same_protocol(first, second)
    pairs = paired(first, second)
    rules = protocol_from_dict(first.protocol, origin="of the report")
    options = figure_options(rules, first.predictor, second.predictor)
    names = [name for name in first.overall.values if name in second.overall.values]
    strata = {key: _members(key, pairs) for key in by}
    return Comparison(
        first=first.predictor,
        second=second.predictor,
        protocol=rules.id,
        overall=differences(pairs, names, options, chosen),
        strata={
            key: {name: differences(members, names, options, chosen) for name, members in groups.items()}
            for key, groups in strata.items()
        },
        scenes=tuple(
            {"name": one.name, "source": one.source, "first": dict(one.figures), "second": dict(other.figures)}
            for one, other in pairs
        ),
        interval=chosen.to_dict(),
        warnings=tuple(_warnings(first, second, pairs)),
    )


def check_same_protocol(first: Report, second: Report) -> None:
    """Refuse reports of different protocols.

    Raises:
        EvaluationError: If the protocols differ in name or content.
    """
    if dict(first.protocol) == dict(second.protocol):
        return
    one, other = str(first.protocol.get("id")), str(second.protocol.get("id"))
    told = f"{one} and {other}" if one != other else f"two versions of {one}"
    msg = (
        f"expected reports of one protocol, got {told}: their figures cannot be compared."
        f" Evaluate both with --protocol {one}."
    )
    raise EvaluationError(msg)


def paired(first: Report, second: Report) -> list[tuple[SceneResult, SceneResult]]:
    """Pair the scenes of two reports by their content.

    Raises:
        EvaluationError: If they have no scene in common.
    """
    others = {scene.hash: scene for scene in second.scenes}
    pairs = [(scene, others[scene.hash]) for scene in first.scenes if scene.hash in others]
    if not pairs:
        msg = (
            f"expected reports on the same scenes, got none in common (data {first.data.get('name')!r} and"
            f" {second.data.get('name')!r}). Evaluate both on one folder."
        )
        raise EvaluationError(msg)
    return pairs


def differences(
    pairs: Sequence[tuple[SceneResult, SceneResult]],
    names: Sequence[str],
    options: FigureOptions,
    intervals: IntervalOptions,
) -> tuple[Difference, ...]:
    """Give the difference of each figure, pooled over the scenes, with its paired bootstrap interval."""
    one, other = (statistics_of([pair[side].counts for pair in pairs]) for side in (0, 1))
    values = [figures(statistics, options).values for statistics in (one, other)]
    drawn = [replicated(statistics, options, intervals) for statistics in (one, other)]
    rows = []
    for name in names:
        before, after = (found[name].value if name in found else None for found in values)
        scenes = _bearing(one, other, name)
        if before is None or after is None:
            rows.append(_difference(name, before, after, None, scenes))
            continue
        ends = interval(drawn[1][name] - drawn[0][name], scenes, intervals)
        rows.append(_difference(name, before, after, ends, scenes))
    return tuple(rows)


def judge(name: str, ends: tuple[float, float]) -> Verdict:
    """Say what an interval of a difference means: noise where it holds 0."""
    low, high = ends
    if low <= 0.0 <= high:
        return "noise"
    return "better" if (low > 0.0) != lower_is_better(name) else "worse"


def _difference(
    name: str, before: float | None, after: float | None, ends: tuple[float, float] | None, scenes: int
) -> Difference:
    defined = before is not None and after is not None
    low, high = ends or (None, None)
    verdict: Verdict = "undefined" if not defined else "one scene" if ends is None else judge(name, ends)
    return Difference(
        name=name,
        first=before,
        second=after,
        difference=after - before if before is not None and after is not None else None,
        low=low,
        high=high,
        scenes=scenes,
        verdict=verdict,
    )


def _bearing(one: Statistics, other: Statistics, name: str) -> int:
    subject = subject_of(name)
    return min(one.bearing(subject), other.bearing(subject))


def _members(
    key: str, pairs: Sequence[tuple[SceneResult, SceneResult]]
) -> dict[str, list[tuple[SceneResult, SceneResult]]]:
    members: dict[str, list[tuple[SceneResult, SceneResult]]] = {}
    for pair in pairs:
        if key not in pair[0].strata:
            msg = f"strata by {key!r} are not in the report. It has: {', '.join(pair[0].strata)}"
            raise EvaluationError(msg)
        members.setdefault(pair[0].strata[key], []).append(pair)
    return dict(sorted(members.items()))


def _warnings(first: Report, second: Report, pairs: Sequence[tuple[SceneResult, SceneResult]]) -> list[str]:
    lines = []
    only = len(first.scenes) + len(second.scenes) - 2 * len(pairs)
    if only:
        lines.append(f"{only} scenes are in one of the reports only and are left out")
    if len(pairs) < FEW_SCENES:
        lines.append(f"{len(pairs)} scenes, fewer than {FEW_SCENES}: the intervals say little")
    shares = [sum(p[side].scored for p in pairs) / max(sum(p[side].pixels for p in pairs), 1) for side in (0, 1)]
    if abs(shares[0] - shares[1]) > UNEQUAL_SCORED:
        lines.append(
            f"the predictors say something about {100 * shares[0]:.1f} % and {100 * shares[1]:.1f} % of the labelled"
            " pixels: they are not judged on the same ones"
        )
    return lines
