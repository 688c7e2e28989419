"""The life of a model, from its beginning to a failed gate, a retraining and PRODUCTION again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from undercast.evaluation.manifest import file_hash
from undercast.evaluation.sources import read_references
from undercast.lifecycle.ledger import read_ledger
from undercast.lifecycle.monitoring import Watch, monitor
from undercast.lifecycle.new_scenes import find_scenes
from undercast.lifecycle.retraining import retrain
from undercast.lifecycle.states import life_of, missing
from undercast.lifecycle.transitions import Evidence, begin, promote
from undercast.reports.life_page import life_page

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Workshop


def test_a_life_goes_from_development_to_a_failed_gate_a_retraining_and_production_again(workshop: Workshop) -> None:
    ledger, first = workshop.ledger, workshop.package("1.0.0", cloud=0.5)
    good = workshop.chips("good")
    strict = workshop.gate("strict", ['figure = "cloud_f2"\nmin = 0.9'])
    watched = workshop.gate("watch", ['figure = "cloud_f2"\nmin = 0.9', 'figure = "band_psi"\nmax = 0.25'])
    evidence = Evidence(report=workshop.report(first, good), gate=strict)

    assert begin(ledger, first, by="Ada").life.state == "DEVELOPMENT"
    assert promote(ledger, first, evidence, by="Ada").life.state == "COMMISSIONING"
    assert promote(ledger, first, evidence, by="Ada").life.state == "PRODUCTION"
    with_scenes = Evidence(report=evidence.report, gate=strict, scenes=find_scenes([str(good)]))
    assert promote(ledger, first, with_scenes, by="Ada").life.state == "MONITORING"

    stable = workshop.chips("stable", first=10)
    watch = Watch(gate=watched, output=workshop.folder / "1", references=read_references(stable))
    step = monitor(ledger, first, watch, by="Bob")
    assert step.passed
    assert not step.life.opened

    dim = workshop.chips("dim", first=20, gain=0.5)
    watch = Watch(gate=watched, output=workshop.folder / "2", references=read_references(dim))
    step = monitor(ledger, first, watch, by="Bob")
    assert not step.passed
    assert step.life.opened
    rules = step.ledger.entries[-2].facts["gate"]["rules"]
    assert [(rule["rule"], rule["passed"]) for rule in rules] == [
        ("band_psi <= 0.25", False),
        ("cloud_f2 >= 0.9", False),
    ]
    added = {sample["file_sha256"] for sample in step.life.samples}
    assert added == {file_hash(path) for path in dim.glob("*.npz")}

    trained = {path.name: file_hash(path) for path in sorted(dim.glob("*.npz"))[:2]}
    second = workshop.package("2.0.0", cloud=0.3, trained=trained)
    step = retrain(ledger, second, by="Ada")
    assert (step.life.state, step.life.model["version"], step.life.opened) == ("DEVELOPMENT", "2.0.0", False)
    assert step.life.last.facts["samples"] == {"listed": 4, "trained_on": 2}

    held_out = workshop.chips("held_out", first=30, gain=0.5)
    weak = workshop.package("1.9.0", cloud=0.9)
    refused = promote(ledger, weak, Evidence(report=workshop.report(weak, held_out), gate=strict), by="Ada")
    assert (refused.passed, refused.life.state, refused.life.model["version"]) == (False, "DEVELOPMENT", "2.0.0")
    evidence = Evidence(report=workshop.report(second, held_out), gate=strict)
    assert promote(ledger, second, evidence, by="Ada").life.state == "COMMISSIONING"
    last = promote(ledger, second, evidence, by="Ada")
    assert (last.life.state, last.life.model["version"]) == ("PRODUCTION", "2.0.0")

    events = [entry.event for entry in read_ledger(ledger).entries]
    assert events == [
        *("begun", "promoted", "promoted", "promoted", "monitored", "monitored", "opened", "retrained"),
        *("refused", "promoted", "promoted"),
    ]
    assert json.loads((workshop.folder / "2" / "monitoring.json").read_text("utf-8"))["drift"]["bands"]
    found = read_ledger(ledger)
    page = life_page([entry.to_dict() for entry in found.entries], needs=missing(life_of(found), "life.jsonl"))
    assert "Retraining opened" in page
    assert page.count('class="step failed"') == 2
