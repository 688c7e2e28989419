from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from undercast.errors import TransitionError
from undercast.lifecycle.ledger import Draft, append, read_ledger
from undercast.lifecycle.retraining import Training, retrain
from undercast.lifecycle.transitions import begin
from undercast.training import loop, run

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Workshop

CHIPS = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "chips" / "make.py")))


@pytest.fixture
def produced(workshop: Workshop) -> Workshop:
    """A life whose model is in PRODUCTION."""
    step = begin(workshop.ledger, workshop.package("1.0.0"), by="Ada")
    facts = {"model": dict(step.life.model)}
    drafts = [Draft(event="promoted", state=state, facts=facts) for state in ("COMMISSIONING", "PRODUCTION")]
    append(step.ledger, drafts, by="Ada")
    return workshop


def test_a_retraining_that_no_gate_asked_for_needs_a_reason(produced: Workshop) -> None:
    package = produced.package("2.0.0", cloud=0.4)
    with pytest.raises(TransitionError, match="--reason"):
        retrain(produced.ledger, package, by="Ada")
    life = retrain(produced.ledger, package, by="Ada", reason="a new network").life
    assert (life.state, life.last.facts["reason"], life.last.facts["predecessor"]) == (
        "DEVELOPMENT",
        "a new network",
        "1.0.0",
    )


def test_a_successor_has_a_new_version_new_weights_and_the_same_name(produced: Workshop) -> None:
    with pytest.raises(TransitionError, match=r"expected a new version, got 1\.0\.0"):
        retrain(produced.ledger, produced.folder / "model-1.0.0", by="Ada", reason="why")
    with pytest.raises(TransitionError, match="expected new weights"):
        retrain(produced.ledger, produced.package("2.0.0"), by="Ada", reason="why")
    assert len(read_ledger(produced.ledger).entries) == 3


def test_in_development_there_is_nothing_to_retrain(workshop: Workshop) -> None:
    begin(workshop.ledger, workshop.package(), by="Ada")
    with pytest.raises(TransitionError, match="expected a model in PRODUCTION or MONITORING"):
        retrain(workshop.ledger, workshop.package("2.0.0", cloud=0.4), by="Ada", reason="why")


@pytest.mark.parametrize(("key", "value"), [("version", '"1.0.0"'), ("id", '"other"')])
def test_a_recipe_that_makes_no_successor_is_refused_before_it_is_trained(
    produced: Workshop, key: str, value: str
) -> None:
    recipe = CHIPS.write_recipe(produced.folder / "recipe.toml", **{key: value})
    training = Training(recipe=recipe, data=produced.folder / "missing")
    with pytest.raises(TransitionError, match="expected a"):
        retrain(produced.ledger, produced.folder / "new", by="Ada", reason="why", training=training)


def test_a_recipe_is_trained_and_its_package_written_down(produced: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "VALIDATION_CHIPS", 2)
    # The export takes longer than all the rest, and is tested where it belongs.
    monkeypatch.setattr(run, "to_onnx", lambda *_, **__: b"weights")
    monkeypatch.setattr(run, "working_bytes", lambda _: 100)
    chips = produced.folder / "chips"
    CHIPS.write_folder(chips)
    training = Training(
        recipe=CHIPS.write_recipe(produced.folder / "recipe.toml", steps="2", warmup="0"),
        data=chips,
    )
    step = retrain(produced.ledger, produced.folder / "new", by="Ada", reason="why", training=training)
    assert (step.life.state, step.life.model["version"]) == ("DEVELOPMENT", "0.0.1")
    assert step.life.model["training"]["files"] > 0
