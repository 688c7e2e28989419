from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from undercast.errors import EvaluationError, OutputExistsError, TransitionError
from undercast.evaluation.manifest import file_hash
from undercast.evaluation.report import read_report
from undercast.evaluation.sources import read_references
from undercast.lifecycle.ledger import Draft, append, read_ledger
from undercast.lifecycle.monitoring import Watch, monitor
from undercast.lifecycle.new_scenes import find_scenes
from undercast.lifecycle.transitions import Evidence, begin, promote

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Workshop

DRIFT = ['figure = "band_distance"\nmax = 0.01', 'figure = "cloud_fraction_change"\nmax = 0.1']


@pytest.fixture
def watched(workshop: Workshop) -> Workshop:
    """A life whose model is in MONITORING, after scenes of `good`."""
    package = workshop.package(trained={"taught_0.npz": file_hash(workshop.chips("taught", 1) / "taught_0.npz")})
    step = begin(workshop.ledger, package, by="Ada")
    facts = {"model": dict(step.life.model)}
    append(step.ledger, [Draft(event="promoted", state="COMMISSIONING", facts=facts)], by="Ada")
    append(read_ledger(workshop.ledger), [Draft(event="promoted", state="PRODUCTION", facts=facts)], by="Ada")
    chips = workshop.chips("good", 2, first=5)
    evidence = Evidence(
        report=workshop.report(package, chips),
        gate=workshop.gate("gate", ['figure = "cloud_f2"\nmin = 0.9']),
        scenes=find_scenes([str(chips)]),
    )
    assert promote(workshop.ledger, package, evidence, by="Ada").life.state == "MONITORING"
    return workshop


def test_scenes_without_references_are_watched_by_drift_alone(watched: Workshop) -> None:
    dim = watched.chips("dim", 2, gain=0.8, first=20)
    watch = Watch(gate=watched.gate("watch", DRIFT), output=watched.folder / "out", scenes=find_scenes([str(dim)]))
    step = monitor(watched.ledger, watched.folder / "model-1.0.0", watch, by="Bob")
    assert not step.passed
    monitored, opened = step.ledger.entries[-2:]
    assert monitored.facts["report"] is None
    assert [rule["passed"] for rule in monitored.facts["gate"]["rules"]] == [False, True]
    assert monitored.facts["drift"]["bands"]["red"]["distance"] == pytest.approx(0.2 * (0.2 + 0.8 + 0.03) / 3, abs=0.01)
    assert opened.facts["broken"] == ["band_distance <= 0.01"]
    assert [sample["labelled"] for sample in opened.facts["samples"]] == [False, False]
    assert [path.name for path in (watched.folder / "out").iterdir()] == ["monitoring.json"]


def test_references_are_evaluated_and_the_report_is_written_and_hashed(watched: Workshop) -> None:
    chips = watched.chips("fresh", 3, first=30)
    gate = watched.gate("watch", [*DRIFT, 'figure = "cloud_f2"\nmin = 0.9'])
    watch = Watch(gate=gate, output=watched.folder / "out", references=read_references(chips))
    step = monitor(watched.ledger, watched.folder / "model-1.0.0", watch, by="Bob")
    assert step.passed
    assert step.life.last.facts["report"]["sha256"] == file_hash(watched.folder / "out" / "report.json")
    assert read_report(watched.folder / "out" / "report.json").data["scenes"] == 3
    assert (watched.folder / "out" / "report.html").is_file()
    assert set(json.loads((watched.folder / "out" / "monitoring.json").read_text("utf-8"))) == {
        "drift",
        "seen",
        "rules",
    }
    assert [scene["file_sha256"] for scene in step.life.last.facts["scenes"]] == [
        file_hash(chips / f"fresh_{number}.npz") for number in (30, 31, 32)
    ]
    with pytest.raises(OutputExistsError):
        monitor(watched.ledger, watched.folder / "model-1.0.0", watch, by="Bob")


def test_references_that_the_model_was_trained_on_are_refused_by_name(watched: Workshop) -> None:
    references = read_references(watched.folder / "taught")
    watch = Watch(gate=watched.gate("watch", DRIFT), output=watched.folder / "out", references=references)
    with pytest.raises(EvaluationError, match="taught_0: the model was trained on this very scene"):
        monitor(watched.ledger, watched.folder / "model-1.0.0", watch, by="Bob")
    assert not (watched.folder / "out").exists()


def test_a_gate_on_accuracy_needs_references(watched: Workshop) -> None:
    gate = watched.gate("watch", ['figure = "cloud_f2"\nmin = 0.9'])
    scenes = find_scenes([str(watched.folder / "good")])
    for watch, told in (
        (Watch(gate=gate, output=watched.folder / "out", scenes=scenes), "cloud_f2, which need references"),
        (Watch(gate=gate, output=watched.folder / "out"), "expected new scenes or references"),
    ):
        with pytest.raises(TransitionError, match=told):
            monitor(watched.ledger, watched.folder / "model-1.0.0", watch, by="Bob")


def test_only_the_model_in_monitoring_is_monitored(watched: Workshop, tmp_path: Path) -> None:
    scenes = find_scenes([str(watched.folder / "good")])
    watch = Watch(gate=watched.gate("watch", DRIFT), output=watched.folder / "out", scenes=scenes)
    with pytest.raises(TransitionError, match=r"expected tiny 1\.0\.0, which is in MONITORING"):
        monitor(watched.ledger, watched.package("2.0.0", cloud=0.4), watch, by="Bob")
    young = tmp_path / "young.jsonl"
    begin(young, watched.folder / "model-1.0.0", by="Ada")
    with pytest.raises(TransitionError, match="expected a model in MONITORING"):
        monitor(young, watched.folder / "model-1.0.0", watch, by="Bob")
