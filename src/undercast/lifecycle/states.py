"""States: what a ledger says of its model now, and what the model's next step needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from undercast.lifecycle.ledger import STATES, Entry, Event, Ledger, State, broken

RETRAINABLE: tuple[State, ...] = ("PRODUCTION", "MONITORING")
"""States from which a retraining leads back to DEVELOPMENT."""
FIXED: tuple[State, ...] = ("PRODUCTION", "MONITORING")
"""States in which the weights may not change but by a retraining."""
WITH_MODEL: tuple[Event, ...] = ("begun", "promoted", "retrained")
"""Events after which the model of the entry is the model of the life."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """Where a model is in its life."""

    state: State
    """Its state."""
    model: Mapping[str, Any]
    """Its id, version, weights and so on, as the ledger has them."""
    versions: Mapping[str, Mapping[str, str]]
    """Every version so far -> member -> multihash of its weights."""
    drift_reference: Mapping[str, Any] | None = None
    """What drift is measured against; None before MONITORING."""
    samples: tuple[Mapping[str, Any], ...] = ()
    """Samples that the open retraining is to add; empty where none is open."""
    opened: bool = False
    """Whether a retraining is open."""
    last: Entry
    """Entry that was written last."""

    @property
    def next_state(self) -> State | None:
        """State that a promotion leads to; None in the last one."""
        place = STATES.index(self.state) + 1
        return STATES[place] if place < len(STATES) else None


def life_of(ledger: Ledger) -> Life:
    """Follow a ledger from its first entry to its last.

    Raises:
        LedgerError: If a step is none that a model may take; the message names its entry.
    """
    life: Life | None = None
    for entry in ledger.entries:
        why = _impossible(life, entry)
        if why is not None:
            raise broken(ledger.path, entry.number, why)
        life = _after(life, entry)
    if life is None:
        raise broken(ledger.path, 1, "is missing")
    return life


def missing(life: Life, ledger: str) -> tuple[str, ...]:
    """Say what the next step needs, one line each.

    Args:
        life: Where the model is.
        ledger: The ledger's path, for the commands.
    """
    name = life.model["id"]
    if life.opened:
        return (
            f"a successor of {life.model['version']} (a retraining is open), with {len(life.samples)} more samples",
            f"then: undercast life retrain NEW_PACKAGE --ledger {ledger}",
        )
    if life.next_state is None:
        return (
            "new scenes, and references where there are any",
            f"then: undercast life monitor MODEL SCENES --data DATA --gate GATE.toml --ledger {ledger} -o OUT",
        )
    scenes = life.next_state == "MONITORING"
    way = f"--report REPORT --gate GATE.toml{' --scenes SCENES' if scenes else ''} --ledger {ledger}"
    return (
        f"a report of {name} on data that it was not trained on: undercast evaluate MODEL --data DATA -o REPORT",
        f"a gate for {life.next_state}: a TOML table of rules",
        *(("scenes that drift is measured against: --scenes",) if scenes else ()),
        f"then: undercast life promote MODEL {way}",
    )


def _impossible(life: Life | None, entry: Entry) -> str | None:
    """Say why an entry cannot follow; None where it can."""
    if (life is None) != (entry.event == "begun"):
        return "begins a life that has begun" if life is not None else "is no beginning"
    if entry.event in WITH_MODEL and not _is_model(entry.facts.get("model")):
        return "names no model with id, version and weights"
    if entry.event == "opened" and not _are_samples(entry.facts.get("samples")):
        return "lists no samples"
    if entry.state not in _reachable(life, entry.event):
        before = "nothing" if life is None else life.state
        return f"goes from {before} to {entry.state} by {entry.event!r}, which no model may"
    return None


def _reachable(life: Life | None, event: Event) -> tuple[State, ...]:
    if life is None:
        return ("DEVELOPMENT",)
    if event == "promoted":
        return () if life.next_state is None else (life.next_state,)
    if event == "refused":
        return () if life.next_state is None else (life.state,)
    if event == "retrained":
        return ("DEVELOPMENT",) if life.state in RETRAINABLE else ()
    return ("MONITORING",) if life.state == "MONITORING" else ()


def _is_model(model: object) -> bool:
    return (
        isinstance(model, Mapping)
        and all(isinstance(model.get(key), str) for key in ("id", "version"))
        and isinstance(model.get("weights"), Mapping)
    )


def _are_samples(samples: object) -> bool:
    return isinstance(samples, list) and all(isinstance(sample, Mapping) for sample in samples)


def _after(life: Life | None, entry: Entry) -> Life:
    if life is None:
        model = entry.facts["model"]
        return Life(state=entry.state, model=model, versions={model["version"]: model["weights"]}, last=entry)
    life = replace(life, state=entry.state, last=entry)
    if entry.event in WITH_MODEL:
        model = entry.facts["model"]
        life = replace(life, model=model, versions={**life.versions, model["version"]: model["weights"]})
    if entry.event == "promoted":
        return replace(life, drift_reference=entry.facts.get("drift_reference"))
    if entry.event == "opened":
        return replace(life, opened=True, samples=(*life.samples, *entry.facts["samples"]))
    if entry.event == "retrained":
        return replace(life, opened=False, samples=(), drift_reference=None)
    return life
