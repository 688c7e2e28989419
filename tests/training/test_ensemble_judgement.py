"""An ensemble is judged beside its members, on simulated scenes and on real ones that are coarse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from onnx import TensorProto, helper

from undercast.errors import EvaluationError
from undercast.evaluation.packages import Met
from undercast.evaluation.references import References
from undercast.model_spec import ModelSpec
from undercast.models.publish.write import PackageDetails, write_package
from undercast.training import ensemble_judgement
from undercast.training.chips import file_hash
from undercast.training.coarse_chips import CoarsePlan
from undercast.training.ensemble import EnsemblePlan, EnsembleRecipe
from undercast.training.ensemble_judgement import judge, judged_by
from undercast.training.ensemble_run import spec_of


def brightness(threshold: float) -> bytes:
    """Make a network that calls bright red cloud: sigmoid((red - threshold) / 100)."""
    nodes = [
        helper.make_node("Slice", ["reflectance", "first", "last", "axis"], ["red"]),
        helper.make_node("Sub", ["red", "threshold"], ["above"]),
        helper.make_node("Mul", ["above", "sharpness"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["probabilities"]),
    ]
    shape: list[str | int | None] = ["batch", 4, "height", "width"]
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("reflectance", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 1, "height", "width"])],
        [
            helper.make_tensor("first", TensorProto.INT64, [1], [1]),
            helper.make_tensor("last", TensorProto.INT64, [1], [2]),
            helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
            helper.make_tensor("threshold", TensorProto.FLOAT, [], [threshold]),
            helper.make_tensor("sharpness", TensorProto.FLOAT, [], [0.01]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    data: bytes = model.SerializeToString()
    return data


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Give an ensemble of three that err in different ways, and its members alone."""
    plan = EnsemblePlan(id="e", version="0", title="E", members=("low", "middle", "high"), steps=1)
    recipe = EnsembleRecipe(ensemble=plan, coarse=CoarsePlan(simulated=1, on_real=0))
    folder = tmp_path_factory.mktemp("packages")
    weights = {"low": brightness(500.0), "middle": brightness(3000.0), "high": brightness(7900.0)}
    spec = spec_of(recipe, {"f2": {"cloud": 0.5}})
    details = PackageDetails(
        architecture="brightness", created=datetime(2026, 1, 1, tzinfo=UTC), description="test", card="# test\n"
    )

    def write(name: str, some: dict[str, bytes]) -> Path:
        own = spec if len(some) > 1 else _alone(spec, name)
        return write_package(folder / name, own, some, details)

    return SimpleNamespace(
        ensemble=write("ensemble", weights), members={name: write(name, {name: data}) for name, data in weights.items()}
    )


def _alone(spec: ModelSpec, name: str) -> ModelSpec:
    return replace(spec, id=name, uncertainty="entropy")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate one small scene of each kind."""

    def small(data: Path | None) -> Iterator[References]:
        return judged_by(data, count=1, size=32)

    monkeypatch.setattr(ensemble_judgement, "judged_by", small)


def test_ensemble_and_members_are_scored_on_every_set(
    packages: SimpleNamespace, coarse_folder: Path, few: None
) -> None:
    found = judge(packages.ensemble, packages.members, Met(), coarse_folder)
    assert [one.scenes for one in found] == [4, 3]
    assert found[0].title.startswith("simulated scenes")
    assert found[1].title == "real scenes, human labels, as PROBA-V at 333 m"
    real = found[1]
    assert real.best_member == "middle"
    assert (real.ensemble["cloud_f2"] or 0.0) > 0.9
    assert (real.members["low"]["cloud_precision"] or 0.0) < 0.9
    assert 0.0 <= (real.ensemble["uncertainty_auroc"] or 0.0) <= 1.0
    low = real.gains["low"]
    assert low.verdict == "better"
    assert low.difference == pytest.approx(
        (real.ensemble["cloud_f2"] or 0.0) - (real.members["low"]["cloud_f2"] or 0.0)
    )
    ends = real.ensemble["cloud_f2_low"], real.ensemble["cloud_f2_high"]
    assert (ends[0] or 0.0) <= (real.ensemble["cloud_f2"] or 0.0) <= (ends[1] or 0.0)
    record = real.to_dict()
    assert set(record) == {"title", "scenes", "ensemble", "members", "best_member", "gains", "report"}
    assert record["report"]["predictor"]["options"]["thresholds"] == {"cloud": 0.5}


def test_scenes_of_the_training_are_refused(packages: SimpleNamespace, coarse_folder: Path, few: None) -> None:
    met = Met(trained=frozenset({file_hash(coarse_folder / "cloudy-0.npz")}))
    with pytest.raises(EvaluationError, match="the model was trained on this very scene"):
        judge(packages.ensemble, packages.members, met, coarse_folder)


def test_a_folder_without_the_bands_is_refused(chips: Path) -> None:
    with pytest.raises(EvaluationError, match="expected labelled scenes with the bands blue, red, nir, swir16"):
        list(judged_by(chips, count=1, size=16))


def test_without_real_scenes_it_is_judged_on_simulated_ones_alone() -> None:
    sets = list(judged_by(None, count=1, size=16))
    assert len(sets) == 1
    assert {one.strata["sensor"] for one in sets[0]} == {"proba-v", "spot-vgt-1", "spot-vgt-2"}
    assert np.all([one.possible.shape == (16, 16) for one in sets[0]])
