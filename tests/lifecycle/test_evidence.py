from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from undercast.errors import EvaluationError, TransitionError, TrustError, UnknownModelError
from undercast.evaluation.gate import gate
from undercast.evaluation.manifest import file_hash
from undercast.evaluation.sources import read_references
from undercast.lifecycle.evidence import take_gate, take_package, take_report, verdict_facts

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Workshop


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    table = json.loads(path.read_text("utf-8"))
    change(table)
    path.write_text(json.dumps(table), "utf-8")
    return path


def test_a_package_is_known_by_its_weights_its_item_and_what_it_was_trained_on(workshop: Workshop) -> None:
    package = workshop.package(trained={"a.npz": "ab" * 32})
    candidate = take_package(package)
    facts = candidate.facts
    assert (facts["id"], facts["version"], facts["training"]["files"]) == ("tiny", "1.0.0", 1)
    assert facts["weights"] == {"one": candidate.package.members[0].checksum}
    assert facts["item_sha256"] == file_hash(package / "item.json")


def test_a_package_whose_training_record_was_edited_is_refused(workshop: Workshop) -> None:
    package = workshop.package(trained={"a.npz": "ab" * 32})
    edit(package / "evaluation.json", lambda record: record.update(data_sha256={}))
    with pytest.raises(TrustError, match="the record was changed"):
        take_package(package)


def test_a_package_whose_weights_were_changed_is_refused(workshop: Workshop) -> None:
    package = workshop.package()
    weights = package / "one.onnx"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(TrustError, match="are not the ones"):
        take_package(package)


def test_a_package_that_does_not_say_what_it_was_trained_on_is_refused(workshop: Workshop) -> None:
    package = workshop.package()
    (package / "evaluation.json").unlink()
    with pytest.raises(TransitionError, match="data_sha256"):
        take_package(package)
    with pytest.raises(UnknownModelError):
        take_package("nothing")


def test_a_report_speaks_for_the_package_that_it_judged(workshop: Workshop) -> None:
    package = workshop.package()
    path = workshop.report(package, workshop.chips("a"))
    judgement = take_report(path.parent, take_package(package))
    assert judgement.facts["sha256"] == file_hash(path)
    assert judgement.facts["data"]["scenes"] == 4
    assert judgement.report.overall.values["cloud_f2"].value == pytest.approx(0.99, abs=0.02)


def test_a_report_of_another_model_version_or_weights_is_refused(workshop: Workshop) -> None:
    chips = workshop.chips("a")
    path = workshop.report(workshop.package("1.0.0"), chips)
    with pytest.raises(TransitionError, match=r"expected one of tiny 2\.0\.0, got one of tiny 1\.0\.0"):
        take_report(path, take_package(workshop.package("2.0.0", cloud=0.4)))
    edit(path, lambda report: report["predictor"].update(version="2.0.0"))
    with pytest.raises(TransitionError, match="got one of other weights"):
        take_report(path, take_package(workshop.folder / "model-2.0.0"))
    edit(path, lambda report: report["predictor"].update(kind="peer"))
    with pytest.raises(TransitionError, match="expected one of tiny"):
        take_report(path, take_package(workshop.folder / "model-2.0.0"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda report: report["data"].update(hash="0" * 64), "data hash"),
        (lambda report: report["data"].update(scenes=3), "data hash"),
        (lambda report: report["scenes"][0].update(hash="0" * 64), "data hash"),
        (lambda report: report["overall"]["cloud_f2"].update(value=0.5), r"figure cloud_f2 \(overall\)"),
        (lambda report: report["overall"]["cloud_f2"].update(value=None), "figure cloud_f2"),
        (lambda report: report["strata"]["source"]["drawn"]["figures"]["cloud_f1"].update(value=0.1), "source drawn"),
        (lambda report: report["interval"].update(replicates=10**9), "at most"),
        (lambda report: report["interval"].update(seed=None), "at most"),
    ],
)
def test_a_report_that_was_edited_is_refused(
    workshop: Workshop, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    package = workshop.package()
    path = edit(workshop.report(package, workshop.chips("a")), change)
    with pytest.raises(TransitionError, match=told) as error:
        take_report(path, take_package(package))
    assert "\n" not in str(error.value)


def test_a_report_on_a_scene_that_the_model_was_trained_on_is_refused_by_name(workshop: Workshop) -> None:
    chips = workshop.chips("a")
    package = workshop.package(trained={"a_2.npz": file_hash(chips / "a_2.npz")})
    with pytest.raises(TransitionError, match="was trained on its scene a_2"):
        take_report(workshop.report(package, chips), take_package(package))


def test_a_scene_that_training_knows_by_its_content_is_refused_too(workshop: Workshop) -> None:
    chips = workshop.chips("a")
    known = next(iter(read_references(chips))).hash
    package = workshop.package(trained={"a_0": known})
    with pytest.raises(TransitionError, match="was trained on its scene a_0"):
        take_report(workshop.report(package, chips), take_package(package))


def test_what_is_no_report_or_no_gate_is_one_line(workshop: Workshop, tmp_path: Path) -> None:
    candidate = take_package(workshop.package())
    with pytest.raises(EvaluationError, match="cannot be read"):
        take_report(tmp_path / "missing", candidate)
    (tmp_path / "text").write_text("[" * 100_000)
    with pytest.raises(EvaluationError, match="not JSON"):
        take_report(tmp_path / "text", candidate)
    with pytest.raises(EvaluationError, match="cannot be read"):
        take_gate(tmp_path / "missing.toml")
    (tmp_path / "latin.toml").write_bytes(b"\xff")
    with pytest.raises(EvaluationError, match="not UTF-8"):
        take_gate(tmp_path / "latin.toml")


def test_a_gate_is_known_by_its_hash_and_those_of_its_baselines(workshop: Workshop) -> None:
    package = workshop.package()
    report = workshop.report(package, workshop.chips("a"))
    path = workshop.gate("gate", [f'figure = "cloud_f2"\nbaseline = "{report.parent.name}/report.json"'])
    found = take_gate(path)
    assert found.facts["sha256"] == file_hash(path)
    assert found.facts["baselines"] == {f"{report.parent.name}/report.json": file_hash(report)}
    verdicts = gate(take_report(report, take_package(package)).report, found.rules, folder=found.folder)
    assert verdict_facts(found, verdicts)["passed"]
