"""Retraining: a life goes on in DEVELOPMENT with the next version of its model."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from undercast._optional import require
from undercast.errors import TransitionError
from undercast.lifecycle.evidence import Candidate, take_package
from undercast.lifecycle.ledger import Draft, append, read_ledger
from undercast.lifecycle.states import RETRAINABLE, Life, life_of
from undercast.lifecycle.transitions import Step, written

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How the next version is trained."""

    recipe: Path
    """Recipe (TOML)."""
    data: Path
    """Folder with chips and their ``manifest.json``."""


def retrain(path: Path, package: Path, *, by: str, reason: str | None = None, training: Training | None = None) -> Step:
    """Write down the next version of a model, which is then in DEVELOPMENT.

    Args:
        path: The ledger.
        package: The new package; where ``training`` is given, where to write it.
        by: Who retrains.
        reason: Why, where no retraining is open.
        training: Recipe and data, where the package is still to be trained.

    Raises:
        LedgerError: If the ledger's chain does not hold.
        TransitionError: If the model may not be retrained now, or the package is no successor.
        UndercastError: As training and ``take_package`` do.
    """
    ledger = read_ledger(path)
    life = life_of(ledger)
    _check_state(life, reason)
    if training is not None:
        _train(training, package, life)
    candidate = take_package(package)
    _check_successor(life, str(candidate.facts["id"]), str(candidate.facts["version"]))
    if dict(candidate.facts["weights"]) == dict(life.model["weights"]):
        msg = f"expected new weights, got those of version {life.model['version']}. Train them first."
        raise TransitionError(msg)
    facts = {
        "model": dict(candidate.facts),
        "predecessor": life.model["version"],
        "reason": reason or "the gate of the monitoring was not passed",
        "samples": _count_samples(life, candidate),
    }
    return written(append(ledger, [Draft(event="retrained", state="DEVELOPMENT", facts=facts)], by=by), passed=True)


def _check_state(life: Life, reason: str | None) -> None:
    if life.state not in RETRAINABLE:
        msg = (
            f"expected a model in {' or '.join(RETRAINABLE)}, got one in {life.state}: there, a new version needs no"
            " retraining. Try: undercast life promote NEW_PACKAGE"
        )
        raise TransitionError(msg)
    if not life.opened and not reason:
        msg = f"no retraining of {life.model['id']} is open: no gate has failed. Say why you retrain: --reason TEXT"
        raise TransitionError(msg)


def _check_successor(life: Life, name: str, version: str) -> None:
    if name != life.model["id"]:
        msg = f"expected a successor of {life.model['id']}, got {name}. Give it a ledger of its own."
        raise TransitionError(msg)
    if version in life.versions:
        msg = f"expected a new version, got {version}; the ledger has {', '.join(life.versions)}. Name it anew."
        raise TransitionError(msg)


def _count_samples(life: Life, candidate: Candidate) -> dict[str, int]:
    """Count the samples that were to be added, and those of them whose hash is in the training record."""
    trained = candidate.met.trained
    added = sum(1 for one in life.samples if {str(one.get("sha256")), str(one.get("file_sha256"))} & trained)
    if added < len(life.samples):
        log.warning(
            "%d of the %d samples that were to be added are in the training record of %s, by hash",
            added,
            len(life.samples),
            candidate.package.root,
        )
    return {"listed": len(life.samples), "trained_on": added}


def _train(training: Training, package: Path, life: Life) -> None:
    """Train the recipe's model, after a look at whether it can be a successor."""
    require("torch", extra="train", purpose="train a model")
    from undercast.training.ensemble import is_ensemble, read_ensemble
    from undercast.training.ensemble_run import run_ensemble
    from undercast.training.recipe import read_recipe
    from undercast.training.run import Places, run
    from undercast.training.two_stage import is_two_stage, read_two_stage, run_two_stages

    path, data = training.recipe, training.data
    if is_ensemble(path):
        members = read_ensemble(path)
        _check_successor(life, members.ensemble.id, members.ensemble.version)
        run_ensemble(members, data, package)
    elif is_two_stage(path):
        stages = read_two_stage(path)
        _check_successor(life, stages.first.model.id, stages.first.model.version)
        run_two_stages(stages, data, package)
    else:
        recipe = read_recipe(path)
        _check_successor(life, recipe.model.id, recipe.model.version)
        run(recipe, data, Places(package=package))
