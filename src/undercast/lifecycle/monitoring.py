"""Monitoring: new scenes are held against those of before and against references; a failed gate opens a retraining."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from undercast.errors import OutputExistsError, TransitionError
from undercast.evaluation.evaluate import EvaluateOptions, evaluate
from undercast.evaluation.gate import RuleVerdict, gate
from undercast.evaluation.packages import PackagePredictor
from undercast.evaluation.protocols import EvaluationProtocol
from undercast.evaluation.references import References
from undercast.evaluation.report import Report, write_report
from undercast.lifecycle.drift import FIGURES, Drift, Progress, Seen, drift, hold, see, seen_from_dict
from undercast.lifecycle.evidence import (
    Candidate,
    GateFile,
    read_bounded,
    report_facts,
    take_gate,
    take_package,
    verdict_facts,
)
from undercast.lifecycle.ledger import Draft, append, read_ledger
from undercast.lifecycle.new_scenes import NewScene, scenes_of_references
from undercast.lifecycle.states import Life, life_of
from undercast.lifecycle.transitions import Step, check_same_life, written
from undercast.loading import Model, load_model
from undercast.models.documents import dump_json
from undercast.reports.evaluation_page import write_page
from undercast.reports.files import write_text
from undercast.reports.pictures import error_share

MONITORING = "monitoring.json"
"""What a monitoring found, beside the ledger's entry."""
REPORT = "report.json"
"""Evaluation report of the references; there is one where there are references."""
PAGE = "report.html"
"""The same as a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What a monitoring looks at, and where its files go."""

    gate: Path
    """Rules (TOML) on drift (``drift.FIGURES``) and on accuracy."""
    output: Path
    """Folder for the files."""
    scenes: tuple[NewScene, ...] = ()
    """New scenes; those of the references where there are none."""
    references: References | None = None
    """References, where there are any."""
    protocol: EvaluationProtocol | None = None
    """How references are scored; ``pixel`` unless given."""


def monitor(path: Path, model: str | Path, watch: Watch, *, by: str, progress: Progress | None = None) -> Step:
    """Measure drift and accuracy on new scenes, and write both to the ledger; a failed gate opens a retraining.

    Args:
        path: The ledger.
        model: The package, which must be the one that is monitored.
        watch: Scenes, references, gate and where the files go.
        by: Who monitors.
        progress: Is told how many scenes are done, and how many there are.

    Raises:
        LedgerError: If the ledger's chain does not hold.
        TransitionError: If the model is not in MONITORING, or the gate asks for what cannot be measured.
        EvaluationError: If the model was trained on a reference, or a rule is wrong.
        OutputExistsError: If one of the files exists.
        UndercastError: As opening, masking and evaluating do.
    """
    ledger = read_ledger(path)
    life = life_of(ledger)
    rules = take_gate(watch.gate)
    _check(life, rules, watch)
    candidate = take_package(model)
    check_same_life(life, candidate)
    loaded = load_model(model)
    report = None if watch.references is None else _accuracy(loaded, candidate, watch.references, watch.protocol)
    scenes = watch.scenes or scenes_of_references(watch.references or References(name="", entries=()))
    now = see(scenes, loaded, progress=progress)
    found = drift(seen_from_dict(life.drift_reference or {}, origin=str(path)), now)
    verdicts = _verdicts(found, report, rules)
    held = verdict_facts(rules, verdicts)
    facts = {
        "model": dict(candidate.facts),
        "gate": held,
        "drift": found.to_dict(),
        "scenes": [scene.to_dict() for scene in now.scenes],
        "report": _write(watch.output, report, {"drift": found.to_dict(), "seen": now.to_dict()}, verdicts),
    }
    drafts = [Draft(event="monitored", state="MONITORING", facts=facts)]
    if not held["passed"]:
        drafts.append(_opening(candidate, now, report, verdicts))
    return written(append(ledger, drafts, by=by), passed=bool(held["passed"]))


def _check(life: Life, rules: GateFile, watch: Watch) -> None:
    """Refuse what cannot be monitored, before anything is computed."""
    if life.state != "MONITORING" or life.drift_reference is None:
        msg = (
            f"expected a model in MONITORING, got {life.model['id']} in {life.state}."
            " Promote it first: undercast life promote MODEL --report REPORT --gate GATE.toml"
        )
        raise TransitionError(msg)
    if not watch.scenes and watch.references is None:
        raise TransitionError("expected new scenes or references, got none. Give SCENES, --data DATA or both.")
    on_accuracy = [rule.figure for rule in rules.rules if rule.figure not in FIGURES]
    if on_accuracy and watch.references is None:
        msg = (
            f"the gate asks for {', '.join(on_accuracy)}, which need references, got none."
            f" Give --data DATA, or a gate on drift alone: {', '.join(FIGURES)}"
        )
        raise TransitionError(msg)
    for name in (MONITORING, REPORT, PAGE):
        if (watch.output / name).exists():
            msg = f"{watch.output / name} exists already. Take another folder."
            raise OutputExistsError(msg)


def _accuracy(
    model: Model, candidate: Candidate, references: References, protocol: EvaluationProtocol | None
) -> Report:
    predictor = PackagePredictor(model=model)
    return evaluate(predictor, references, protocol, EvaluateOptions(met=candidate.met, examples=0)).report


def _verdicts(found: Drift, report: Report | None, rules: GateFile) -> tuple[RuleVerdict, ...]:
    """Hold drift and report against the rules; those on drift come first."""
    on_drift = [rule for rule in rules.rules if rule.figure in FIGURES]
    on_accuracy = [rule for rule in rules.rules if rule.figure not in FIGURES]
    verdicts = hold(found, on_drift)
    return verdicts if report is None else (*verdicts, *gate(report, on_accuracy, folder=rules.folder))


def _write(
    folder: Path, report: Report | None, found: Mapping[str, Any], verdicts: Sequence[RuleVerdict]
) -> dict[str, Any] | None:
    """Write the files of a monitoring; give which report it is, as a ledger has it."""
    told = {**found, "rules": [verdict.to_dict() for verdict in verdicts]}
    write_text(dump_json(told).decode("utf-8"), folder / MONITORING)
    if report is None:
        return None
    write_report(report, folder / REPORT)
    write_page(report, (), folder / PAGE)
    return report_facts(report, folder / REPORT, read_bounded(folder / REPORT, "report"))


def _opening(candidate: Candidate, now: Seen, report: Report | None, verdicts: Sequence[RuleVerdict]) -> Draft:
    """Open a retraining with the scenes of this monitoring as samples, labelled ones first, the worst at the top."""
    judged = sorted(report.scenes if report else (), key=lambda scene: -error_share(scene.counts.counts.tolist()))
    samples: list[dict[str, Any]] = [
        {
            "name": scene.name,
            "sha256": scene.hash,
            "file_sha256": scene.file_hash,
            "labelled": True,
            "errors": round(error_share(scene.counts.counts.tolist()), 6),
        }
        for scene in judged
    ]
    known = {scene.hash for scene in judged}
    samples += [
        {"name": scene.name, "sha256": scene.sha256, "file_sha256": scene.file_sha256, "labelled": False}
        for scene in now.scenes
        if scene.sha256 not in known
    ]
    facts = {
        "model": dict(candidate.facts),
        "broken": [verdict.rule for verdict in verdicts if not verdict.passed],
        "samples": samples,
    }
    return Draft(event="opened", state="MONITORING", facts=facts)
