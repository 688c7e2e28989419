"""Transitions: a model's life begins, and goes from one state to the next where its gate lets it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from undercast.errors import TransitionError
from undercast.evaluation.gate import gate
from undercast.lifecycle.drift import Progress, see
from undercast.lifecycle.evidence import Candidate, take_gate, take_package, take_report, verdict_facts
from undercast.lifecycle.ledger import Draft, Ledger, append, begin_ledger, read_ledger
from undercast.lifecycle.new_scenes import NewScene
from undercast.lifecycle.states import FIXED, Life, life_of
from undercast.loading import load_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step of a model's life that has been written."""

    ledger: Ledger
    """The ledger with its new entries."""
    life: Life
    """Where the model is now."""
    passed: bool
    """Whether the gate let it pass; a step without a gate passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a promotion rests on."""

    report: Path | None
    """Evaluation report, or its folder."""
    gate: Path | None
    """Rules (TOML)."""
    scenes: Sequence[NewScene] = ()
    """Scenes that drift will be measured against; for MONITORING."""


def begin(path: Path, model: str | Path, *, by: str) -> Step:
    """Begin the life of a model, in DEVELOPMENT.

    Raises:
        OutputExistsError: If the ledger exists.
        UndercastError: As ``take_package`` does.
    """
    candidate = take_package(model)
    draft = Draft(event="begun", state="DEVELOPMENT", facts={"model": dict(candidate.facts)})
    return written(begin_ledger(path, draft, by=by), passed=True)


def promote(path: Path, model: str | Path, evidence: Evidence, *, by: str, progress: Progress | None = None) -> Step:
    """Take a model to its next state where its report keeps the rules of the gate; else write down that it does not.

    Before PRODUCTION a newer version of the model may take the place of the one before; from then on only a retraining
    changes the weights.

    Args:
        path: The ledger.
        model: The package.
        evidence: Report and gate.
        by: Who promotes.
        progress: Is told how many of the evidence's scenes are done, and how many there are.

    Raises:
        LedgerError: If the ledger's chain does not hold.
        TransitionError: If something that the step asks for is missing or does not hold; see ``take_report``.
        UndercastError: As ``take_package``, ``take_gate`` and ``see`` do.
    """
    ledger = read_ledger(path)
    life = life_of(ledger)
    state = life.next_state
    if state is None:
        msg = f"{life.model['id']} is in {life.state}, the last state. Try: undercast life monitor, or life retrain"
        raise TransitionError(msg)
    if evidence.report is None:
        msg = (
            f"expected a report for {state}, got none: no model is promoted without one."
            " Try: undercast evaluate MODEL --data DATA -o REPORT, then --report REPORT"
        )
        raise TransitionError(msg)
    if evidence.gate is None:
        msg = f"expected a gate for {state}, got none: no model is promoted without one. Give --gate GATE.toml"
        raise TransitionError(msg)
    if (state == "MONITORING") != bool(evidence.scenes):
        got = f"{len(evidence.scenes)} for {state}"
        msg = f"expected scenes that drift is measured against for MONITORING, and for no other state; got {got}."
        raise TransitionError(f"{msg} Give or leave out --scenes.")
    candidate = take_package(model)
    check_same_life(life, candidate)
    rules = take_gate(evidence.gate)
    judgement = take_report(evidence.report, candidate)
    verdicts = gate(judgement.report, rules.rules, folder=rules.folder)
    facts = {
        "model": dict(candidate.facts),
        "report": dict(judgement.facts),
        "gate": (held := verdict_facts(rules, verdicts)),
    }
    if not held["passed"]:
        return written(append(ledger, [Draft(event="refused", state=life.state, facts=facts)], by=by), passed=False)
    if state == "MONITORING":
        facts["drift_reference"] = see(evidence.scenes, load_model(model), progress=progress).to_dict()
    return written(append(ledger, [Draft(event="promoted", state=state, facts=facts)], by=by), passed=True)


def check_same_life(life: Life, candidate: Candidate) -> None:
    """Refuse a package that is not the model of a life, or not the version that must not change.

    Raises:
        TransitionError: If it is not.
    """
    found, known = candidate.facts, life.model
    name = f"{found['id']} {found['version']}"
    if found["id"] != known["id"]:
        msg = f"expected model {known['id']}, whose life this is, got {found['id']}. Give it a ledger of its own."
        raise TransitionError(msg)
    recorded = life.versions.get(found["version"])
    if recorded is not None and dict(recorded) != dict(found["weights"]):
        msg = (
            f"expected {name} with the weights that the ledger has, got others."
            " Give changed weights a version of their own."
        )
        raise TransitionError(msg)
    if recorded is not None and found["version"] == known["version"] and found["training"] != known["training"]:
        msg = (
            f"expected {name} with the record of its training data that the ledger has, got another."
            " Install the model package again."
        )
        raise TransitionError(msg)
    if recorded is not None and found["version"] != known["version"]:
        msg = f"expected {known['id']} {known['version']} or a new version, got {found['version']}, which it replaced."
        raise TransitionError(msg)
    if life.state in FIXED and found["version"] != known["version"]:
        msg = (
            f"expected {known['id']} {known['version']}, which is in {life.state}, got version {found['version']}."
            " A new version begins with: undercast life retrain"
        )
        raise TransitionError(msg)


def written(ledger: Ledger, *, passed: bool) -> Step:
    """Give what a ledger says after a step."""
    return Step(ledger=ledger, life=life_of(ledger), passed=passed)
