"""Judgement: an ensemble beside its own members, on simulated scenes and on real ones made coarse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from undercast.errors import EvaluationError
from undercast.evaluation import metrics
from undercast.evaluation.coarse import degraded_references, in_memory, simulated_references
from undercast.evaluation.compare import Difference, compare
from undercast.evaluation.evaluate import EvaluateOptions, evaluate
from undercast.evaluation.manifest import manifest_references
from undercast.evaluation.packages import Met, open_package
from undercast.evaluation.references import References
from undercast.evaluation.report import Report
from undercast.sensors import load_sensor
from undercast.training.coarse_chips import SENSORS

MAIN = "cloud_f2"
"""Figure that an ensemble has to be better in than its members; it comes with its interval."""
FIGURES = ("cloud_f2", "cloud_f1", "cloud_precision", "cloud_recall")
"""Figures that members and ensemble are compared by."""
HELD_OUT_SEED = 7_000_003
"""Seed of the simulated scenes that are only ever judged on."""
SIZE = 160
"""Their side, in pixels."""
COUNT = 8
"""How many there are of each sensor and ground sample distance."""
REAL_GSDS = (333.0, 1000.0)
"""Ground sample distances that real scenes are degraded to, in metres."""
WEAK = "weak"
"""Kind of labels that a processor made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What was found on one set of scenes."""

    title: str
    """What the scenes are."""
    scenes: int
    """How many."""
    ensemble: Mapping[str, float | None]
    """Figures of the ensemble, ``uncertainty_auroc`` among them."""
    members: Mapping[str, Mapping[str, float | None]]
    """Member -> figures."""
    gains: Mapping[str, Difference]
    """Member -> the ensemble's F2 less its own, with the interval of the pairs of scenes."""
    report: Report
    """Report of the ensemble."""

    @property
    def best_member(self) -> str:
        """The member with the highest F2 on these very scenes: a choice that nobody can make beforehand."""
        return max(self.members, key=lambda name: self.members[name][MAIN] or 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            "title": self.title,
            "scenes": self.scenes,
            "ensemble": dict(self.ensemble),
            "members": {name: dict(figures) for name, figures in self.members.items()},
            "best_member": self.best_member,
            "gains": {name: gain.to_dict() for name, gain in self.gains.items()},
            "report": self.report.to_dict(),
        }


def judge(ensemble: Path, members: Mapping[str, Path], met: Met, data: Path | None) -> list[Judged]:
    """Judge an ensemble and each of its members, all at their own thresholds.

    Args:
        ensemble: Package of the ensemble.
        members: Member -> package of it alone.
        met: Data that they were made with; they are not judged by it.
        data: Folder of labelled real scenes; None: simulated scenes alone.

    Raises:
        EvaluationError: If a scene was met in training, or the folder has none with the bands.
    """
    predictors = {name: open_package(path) for name, path in {"": ensemble, **members}.items()}
    options = EvaluateOptions(met=met)
    found = []
    for references in judged_by(data):
        reports = {name: evaluate(one, references, options=options).report for name, one in predictors.items()}
        whole = reports.pop("")
        found.append(
            Judged(
                title=references.name,
                scenes=len(references),
                ensemble={**_figures(whole), "uncertainty_auroc": uncertainty_auroc(whole)},
                members={name: _figures(report) for name, report in reports.items()},
                gains={name: _gain(report, whole) for name, report in reports.items()},
                report=whole,
            )
        )
    return found


def judged_by(data: Path | None, *, count: int = COUNT, size: int = SIZE) -> Iterator[References]:
    """Give the sets of scenes that an ensemble for SPOT-VGT and PROBA-V is judged by, one after the other.

    Args:
        data: Folder of labelled real scenes; None: simulated scenes alone.
        count: Simulated scenes of each sensor and ground sample distance.
        size: Their side, in pixels.

    Raises:
        EvaluationError: If the folder has no scene with the bands.
    """
    views = [(load_sensor(name), gsd) for name, gsds in SENSORS.items() for gsd in gsds]
    simulated = simulated_references(views, count=count, size=size, seed=HELD_OUT_SEED)
    yield in_memory(replace(simulated, name="simulated scenes of SPOT-VGT and PROBA-V"), simulated)
    if data is None:
        return
    found = 0
    for gsd in REAL_GSDS:
        sensor = load_sensor("proba-v" if gsd == REAL_GSDS[0] else "spot-vgt-2")
        real = list(degraded_references(manifest_references(data), sensor, gsd))
        for labels, kept in (
            ("human labels", [one for one in real if one.strata["labels"] != WEAK]),
            ("labels of a processor", [one for one in real if one.strata["labels"] == WEAK]),
        ):
            if kept:
                title = f"real scenes, {labels}, as {sensor.title} at {gsd:g} m"
                yield in_memory(References(name=title, entries=()), kept)
                found += 1
    if not found:
        bands = ", ".join(band.common_name for band in load_sensor("proba-v").bands)
        msg = f"{data}: expected labelled scenes with the bands {bands} that can be made coarse, got none."
        raise EvaluationError(msg)


def uncertainty_auroc(report: Report) -> float | None:
    """Give the chance that a wrong pixel is more uncertain than a right one; None where none is wrong or right."""
    counts: Sequence[metrics.Counts] = [
        scene.counts.abstention for scene in report.scenes if scene.counts.abstention is not None
    ]
    if not counts:
        msg = "expected a report with uncertainty, got one without. Evaluate a predictor that gives it."
        raise EvaluationError(msg)
    value = float(metrics.auroc_of_histogram(np.sum(counts, axis=0)))
    return value if np.isfinite(value) else None


def _figures(report: Report) -> dict[str, float | None]:
    main = report.overall.values[MAIN]
    values = {name: report.overall.values[name].value for name in FIGURES}
    return {**values, f"{MAIN}_low": main.low, f"{MAIN}_high": main.high}


def _gain(member: Report, ensemble: Report) -> Difference:
    """Give what the ensemble adds to a member's F2."""
    (found,) = (one for one in compare(member, ensemble, by=()).overall if one.name == MAIN)
    return found
