from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from undercast.errors import OutputExistsError, TransitionError
from undercast.evaluation.manifest import file_hash
from undercast.lifecycle.ledger import read_ledger
from undercast.lifecycle.new_scenes import find_scenes
from undercast.lifecycle.retraining import retrain
from undercast.lifecycle.transitions import Evidence, begin, promote
from undercast.masking import MaskOptions

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Workshop

KEPT = 'figure = "cloud_f2"\nmin = 0.9'
BROKEN = 'figure = "cloud_f2"\nmin = 0.9999'


def test_every_transition_records_model_data_report_and_gate_with_its_verdict(workshop: Workshop) -> None:
    package, gate = workshop.package(), workshop.gate("gate", [KEPT])
    report = workshop.report(package, workshop.chips("a"))
    begin(workshop.ledger, package, by="Ada")
    entry = promote(workshop.ledger, package, Evidence(report=report, gate=gate), by="Ada").life.last
    assert (entry.by, entry.event, entry.state) == ("Ada", "promoted", "COMMISSIONING")
    assert entry.facts["model"]["weights"]["one"].startswith("1220")
    assert entry.facts["report"]["sha256"] == file_hash(report)
    assert len(entry.facts["report"]["data"]["hash"]) == 64
    assert entry.facts["gate"]["sha256"] == file_hash(gate)
    assert entry.facts["gate"]["rules"][0]["passed"]


def test_a_failed_gate_leaves_the_state_and_is_written_down(workshop: Workshop) -> None:
    package = workshop.package()
    begin(workshop.ledger, package, by="Ada")
    evidence = Evidence(report=workshop.report(package, workshop.chips("a")), gate=workshop.gate("gate", [BROKEN]))
    step = promote(workshop.ledger, package, evidence, by="Ada")
    assert (step.passed, step.life.state, step.life.last.event) == (False, "DEVELOPMENT", "refused")
    assert not step.life.last.facts["gate"]["passed"]


def test_nothing_is_promoted_without_a_report_or_a_gate(workshop: Workshop) -> None:
    package, gate = workshop.package(), workshop.gate("gate", [KEPT])
    begin(workshop.ledger, package, by="Ada")
    with pytest.raises(TransitionError, match="expected a report for COMMISSIONING"):
        promote(workshop.ledger, package, Evidence(report=None, gate=gate), by="Ada")
    with pytest.raises(TransitionError, match="expected a gate for COMMISSIONING"):
        promote(workshop.ledger, package, Evidence(report=workshop.folder, gate=None), by="Ada")
    assert len(read_ledger(workshop.ledger).entries) == 1


def test_a_life_begins_once(workshop: Workshop) -> None:
    begin(workshop.ledger, workshop.package(), by="Ada")
    with pytest.raises(OutputExistsError):
        begin(workshop.ledger, workshop.folder / "model-1.0.0", by="Ada")


def test_a_newer_version_may_go_to_production_but_not_take_its_place_there(workshop: Workshop) -> None:
    chips, gate = workshop.chips("a"), workshop.gate("gate", [KEPT])
    first, second = workshop.package("1.0.0"), workshop.package("1.1.0", cloud=0.45)
    begin(workshop.ledger, first, by="Ada")
    promote(workshop.ledger, first, Evidence(report=workshop.report(first, chips), gate=gate), by="Ada")
    report = workshop.report(second, chips)
    assert promote(workshop.ledger, second, Evidence(report=report, gate=gate), by="Ada").life.state == "PRODUCTION"
    scenes = find_scenes([str(chips)])
    third = workshop.package("1.2.0", cloud=0.4)
    evidence = Evidence(report=workshop.report(third, chips), gate=gate, scenes=scenes)
    with pytest.raises(TransitionError, match=r"expected tiny 1\.1\.0, which is in PRODUCTION"):
        promote(workshop.ledger, third, evidence, by="Ada")
    with pytest.raises(TransitionError, match="expected scenes that drift is measured against"):
        promote(workshop.ledger, second, Evidence(report=report, gate=gate), by="Ada")
    life = promote(workshop.ledger, second, Evidence(report=report, gate=gate, scenes=scenes), by="Ada").life
    assert life.drift_reference is not None
    assert set(life.drift_reference["bands"]) == {"blue", "green", "red"}
    with pytest.raises(TransitionError, match="the last state"):
        promote(workshop.ledger, second, Evidence(report=report, gate=gate), by="Ada")


def test_a_version_that_was_replaced_does_not_come_back(workshop: Workshop) -> None:
    chips, gate = workshop.chips("a"), workshop.gate("gate", [KEPT])
    first, second = workshop.package("1.0.0"), workshop.package("1.1.0", cloud=0.45)
    begin(workshop.ledger, first, by="Ada")
    before = Evidence(report=workshop.report(first, chips), gate=gate)
    promote(workshop.ledger, first, before, by="Ada")
    promote(workshop.ledger, first, before, by="Ada")
    assert retrain(workshop.ledger, second, by="Ada", reason="drift").life.state == "DEVELOPMENT"
    with pytest.raises(TransitionError, match=r"expected tiny 1\.1\.0 or a new version, got 1\.0\.0"):
        promote(workshop.ledger, first, before, by="Ada")


def test_a_version_keeps_the_record_of_its_training(workshop: Workshop) -> None:
    chips = workshop.chips("a")
    package = workshop.package(trained={"a.npz": file_hash(next(chips.glob("*.npz")))})
    begin(workshop.ledger, package, by="Ada")
    package.rename(workshop.folder / "old")
    cleaned = workshop.package()
    evidence = Evidence(report=workshop.report(cleaned, chips), gate=workshop.gate("gate", [KEPT]))
    with pytest.raises(TransitionError, match="record of its training data"):
        promote(workshop.ledger, cleaned, evidence, by="Ada")


def test_a_report_of_another_operating_point_passes_no_gate(workshop: Workshop) -> None:
    package, gate = workshop.package(), workshop.gate("gate", [KEPT])
    begin(workshop.ledger, package, by="Ada")
    report = workshop.report(package, workshop.chips("a"), options=MaskOptions(thresholds={"cloud": 1e-6}))
    with pytest.raises(TransitionError, match="at the operating point that masks are made at"):
        promote(workshop.ledger, package, Evidence(report=report, gate=gate), by="Ada")


def test_a_version_keeps_its_weights(workshop: Workshop) -> None:
    package = workshop.package("1.0.0")
    begin(workshop.ledger, package, by="Ada")
    package.rename(workshop.folder / "old")
    other = workshop.package("1.0.0", cloud=0.3)
    evidence = Evidence(report=workshop.report(other, workshop.chips("a")), gate=workshop.gate("gate", [KEPT]))
    with pytest.raises(TransitionError, match="with the weights that the ledger has"):
        promote(workshop.ledger, other, evidence, by="Ada")


def test_scenes_are_for_monitoring_alone(workshop: Workshop) -> None:
    package, chips = workshop.package(), workshop.chips("a")
    begin(workshop.ledger, package, by="Ada")
    evidence = Evidence(report=chips, gate=chips, scenes=find_scenes([str(chips)]))
    with pytest.raises(TransitionError, match="for no other state"):
        promote(workshop.ledger, package, evidence, by="Ada")
