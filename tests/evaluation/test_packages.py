from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from undercast.errors import ModelError
from undercast.evaluation.packages import (
    Met,
    evaluation_record,
    four_layers,
    met_data,
    open_package,
    operating_point,
)
from undercast.evaluation.sources import read_references
from undercast.masking import MaskOptions
from undercast.models.package import read_package
from undercast.terrain import terrain_of
from undercast.types import Float32


def test_a_package_predicts_in_four_layers_and_says_which_it_is(
    folder: Path, tmp_path: Path, models: SimpleNamespace
) -> None:
    predictor = open_package(models.tiny_package(tmp_path / "tiny"))
    reference = next(iter(read_references(folder)))
    predicted = predictor.predict(reference)
    assert predicted.probabilities is not None
    assert predicted.probabilities.shape == (4, 32, 32)
    assert np.median(predicted.class_map[reference.possible == 2]) == 1
    identity = predictor.identity
    assert (identity["id"], identity["kind"]) == ("tiny", "package")
    assert identity["checksums"][0].startswith("1220")
    json.dumps(identity)


def test_layers_that_a_model_does_not_tell_are_nan() -> None:
    layers = four_layers(np.array([[[0.3]], [[0.7]]], np.float32), ("clear", "cloud"))
    np.testing.assert_array_equal(layers[:, 0, 0], np.array([0.3, 0.7, np.nan, np.nan], np.float32))


def test_the_operating_point_is_that_of_the_options_or_the_models_own(models: SimpleNamespace) -> None:
    spec = models.tiny_spec(presets={"f2": {"cloud": 0.3}}, preset="f2")
    assert operating_point(spec, MaskOptions()) == {"cloud": 0.3}
    assert operating_point(spec, MaskOptions(preset="argmax")) == {}
    assert operating_point(spec, MaskOptions(thresholds={"cloud": 0.6})) == {"cloud": 0.6}


def test_a_package_tells_which_data_it_has_met(tmp_path: Path, models: SimpleNamespace) -> None:
    folder = models.tiny_package(tmp_path / "tiny")
    assert met_data(read_package(folder)) == Met()
    record = {
        "data_sha256": {"a.npz": "aaa"},
        "history": [{"report": {"kind": "undercast-evaluation", "scenes": [{"hash": "eee"}]}}],
        "calibration": {"kind": "undercast-calibration", "hashes": ["ccc"]},
    }
    (folder / "evaluation.json").write_text(json.dumps(record))
    met = met_data(read_package(folder))
    assert met == Met(trained=frozenset({"aaa"}), calibrated=frozenset({"ccc"}), evaluated=frozenset({"eee"}))


@pytest.mark.parametrize(("text", "told"), [("{", "cannot be read"), ("[]", "a JSON object, got list")])
def test_a_damaged_record_is_refused(tmp_path: Path, models: SimpleNamespace, text: str, told: str) -> None:
    folder = models.tiny_package(tmp_path / "tiny")
    (folder / "evaluation.json").write_text(text)
    with pytest.raises(ModelError, match=told):
        evaluation_record(read_package(folder))


def test_a_package_that_takes_terrain_is_told_the_ground_of_the_reference(
    folder: Path, tmp_path: Path, models: SimpleNamespace
) -> None:
    opened = open_package(models.tiny_package(tmp_path / "tiny"))
    given: list[Float32] = []

    def network(batch: Float32) -> Float32:
        given.append(batch.copy())
        return np.full((len(batch), 4, *batch.shape[2:]), 0.25, np.float32)

    spec = replace(opened.model.spec, terrain=("slope",))
    model = replace(opened.model, package=replace(opened.model.package, spec=spec), networks=(network,))
    reference = next(iter(read_references(folder)))
    rising = np.repeat(np.arange(32, dtype=np.float32)[None], 32, axis=0)
    predictor = replace(opened, model=model)
    predictor.predict(replace(reference, terrain=terrain_of(rising, 10.0, None)))
    predictor.predict(reference)
    with_ground, without = given
    np.testing.assert_allclose(with_ground[:, -1], 0.1, atol=1e-5)
    assert (without[:, -1] == -1).all()
