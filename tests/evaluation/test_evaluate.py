from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from undercast.errors import BandError, EvaluationError, GridError
from undercast.evaluation.evaluate import EvaluateOptions, Evaluation, count_scene, evaluate
from undercast.evaluation.intervals import IntervalOptions
from undercast.evaluation.packages import Met
from undercast.evaluation.predictors import Predicted, Predictor
from undercast.evaluation.protocols import load_protocol
from undercast.evaluation.references import ReferenceScene
from undercast.evaluation.sources import read_references

CLEAR, THICK, THIN, SHADOW = 1, 2, 4, 8
QUICK = IntervalOptions(replicates=50)


def run(predictor: Predictor, folder: Path, protocol: str = "pixel", **changes: Any) -> Evaluation:
    options = EvaluateOptions(intervals=QUICK, **changes)
    return evaluate(predictor, read_references(folder), load_protocol(protocol), options)


def test_a_predictor_that_knows_the_reference_is_perfect(folder: Path, oracle: Callable[..., Predictor]) -> None:
    report = run(oracle(), folder).report
    for name in ("cloud_f1", "cloud_f2", "cloud_iou", "shadow_f1", "kappa", "overall_accuracy"):
        figure = report.overall.values[name]
        assert (figure.value, figure.low, figure.high) == (1.0, 1.0, 1.0)
    assert report.predictor["id"] == "oracle"
    assert report.protocol["id"] == "pixel"
    assert report.data["scenes"] == 6
    assert report.interval["replicates"] == 50


def test_figures_by_stratum_are_those_of_its_scenes(folder: Path, oracle: Callable[..., Predictor]) -> None:
    report = run(oracle(0.3), folder).report
    assert set(report.strata) == {"source", "sensor", "surface", "gsd", "labels"}
    stratum = report.strata["source"]["drawn"]
    assert stratum.scenes == 6
    assert stratum.figures.values["cloud_f1"] == report.overall.values["cloud_f1"]
    assert sum(scene.scored for scene in report.scenes) == stratum.pixels == int(report.confusion[:, :4].sum())


def test_strata_of_few_scenes_are_warned_of(
    tmp_path: Path, drawn: SimpleNamespace, oracle: Callable[..., Predictor], caplog: pytest.LogCaptureFixture
) -> None:
    folder = drawn.write_folder(tmp_path, {"a": drawn.stripes(), "b": drawn.stripes()})
    with caplog.at_level(logging.WARNING, "undercast"):
        report = run(oracle(), folder).report
    assert "fewer than 5 scenes by source, their intervals say little: drawn (2)" in report.warnings
    assert report.warnings[0] in caplog.messages


def test_pixels_without_prediction_are_counted_and_left_out(
    tmp_path: Path, drawn: SimpleNamespace, oracle: Callable[..., Any]
) -> None:
    class Half:
        identity = oracle().identity

        def predict(self, reference: ReferenceScene) -> Predicted:
            predicted: Predicted = oracle().predict(reference)
            predicted.class_map[:16] = 255
            return predicted

    report = run(Half(), drawn.write_folder(tmp_path, {"a": drawn.stripes()})).report
    assert (report.scenes[0].pixels, report.scenes[0].scored) == (32 * 32, 16 * 32)
    assert report.overall.values["overall_accuracy"].value == 1.0
    assert any("50.0 % of the labelled pixels have no prediction" in line for line in report.warnings)


def test_the_worst_scenes_are_kept_with_their_predictions(
    tmp_path: Path, drawn: SimpleNamespace, oracle: Callable[..., Any]
) -> None:
    class Uneven:
        identity = oracle().identity

        def predict(self, reference: ReferenceScene) -> Predicted:
            wrong = {"bad": 0.9, "poor": 0.5}.get(reference.name, 0.0)
            predicted: Predicted = oracle(wrong).predict(reference)
            return predicted

    folder = drawn.write_folder(tmp_path, {name: drawn.stripes() for name in ("good", "bad", "poor")})
    examples = run(Uneven(), folder, examples=2).examples
    assert [example.reference.name for example in examples] == ["bad", "poor"]
    assert examples[0].class_map.shape == (32, 32)


def test_the_same_scene_under_two_names_is_refused(
    tmp_path: Path, drawn: SimpleNamespace, oracle: Callable[..., Predictor]
) -> None:
    folder = drawn.write_folder(tmp_path, {"a": drawn.stripes(), "b": drawn.stripes()})
    (folder / "b.npz").write_bytes((folder / "a.npz").read_bytes())
    with pytest.raises(EvaluationError, match="b and a have the same pixels"):
        run(oracle(), folder)


@pytest.mark.parametrize("what", ["trained", "calibrated"])
def test_data_that_made_the_predictor_are_refused(folder: Path, oracle: Callable[..., Predictor], what: str) -> None:
    reference = next(iter(read_references(folder)))
    known = frozenset({str(reference.file_hash) if what == "trained" else reference.hash})
    met = Met(trained=known) if what == "trained" else Met(calibrated=known)
    with pytest.raises(EvaluationError, match=f"scene_0: the model was {what} on this very scene"):
        run(oracle(), folder, met=met)


def test_a_protocol_that_leaves_no_pixel_is_refused(
    tmp_path: Path, drawn: SimpleNamespace, oracle: Callable[..., Predictor]
) -> None:
    folder = drawn.write_folder(tmp_path, {"thin": drawn.stripes(codes=(2,))})
    with pytest.raises(EvaluationError, match="expected pixels to score"):
        run(oracle(), folder, "cnes-without-thin")


def test_a_scene_that_a_protocol_leaves_empty_is_left_out_with_a_warning(
    tmp_path: Path, drawn: SimpleNamespace, oracle: Callable[..., Predictor]
) -> None:
    folder = drawn.write_folder(tmp_path, {"thin": drawn.stripes(codes=(2,)), "thick": drawn.stripes()})
    report = run(oracle(), folder, "cnes-without-thin").report
    assert [scene.name for scene in report.scenes] == ["thick"]
    assert any(line.startswith("thin: protocol cnes-without-thin leaves none") for line in report.warnings)


def test_a_scene_that_does_not_fit_is_refused_or_left_out(folder: Path, oracle: Callable[..., Any]) -> None:
    class Picky:
        identity = oracle().identity

        def predict(self, reference: ReferenceScene) -> Predicted:
            if reference.name == "scene_2":
                raise BandError("needs swir16")
            predicted: Predicted = oracle().predict(reference)
            return predicted

    with pytest.raises(BandError):
        run(Picky(), folder)
    report = run(Picky(), folder, unfit="skip").report
    assert len(report.scenes) == 5
    assert "scene_2 is left out: needs swir16" in report.warnings


def test_a_prediction_of_another_shape_is_refused(folder: Path, oracle: Callable[..., Any]) -> None:
    class Small:
        identity = oracle().identity

        def predict(self, reference: ReferenceScene) -> Predicted:  # noqa: ARG002 (the protocol's name)
            return Predicted(class_map=np.zeros((3, 3), np.uint8))

    with pytest.raises(GridError, match=r"\(32, 32\) px, got \(3, 3\)"):
        run(Small(), folder)


def test_a_predictor_without_any_prediction_is_refused(folder: Path, oracle: Callable[..., Any]) -> None:
    class Silent:
        identity = oracle().identity

        def predict(self, reference: ReferenceScene) -> Predicted:  # noqa: ARG002 (the protocol's name)
            return Predicted(class_map=np.full((32, 32), 255, np.uint8))

    with pytest.raises(EvaluationError, match="expected predictions, got none"):
        run(Silent(), folder)


def test_probabilities_are_counted_where_the_reference_tells() -> None:
    possible = np.array([[CLEAR, THICK, CLEAR | THICK, 0]], np.uint8)
    probabilities = np.full((4, 1, 4), np.nan, np.float32)
    probabilities[1], probabilities[2] = 0.25, 0.25
    uncertainty = np.array([[0.1, 0.9, 0.5, 0.5]], np.float32)
    predicted = Predicted(class_map=np.zeros((1, 4), np.uint8), probabilities=probabilities, uncertainty=uncertainty)
    counts = count_scene(possible, predicted)
    assert counts.cloud_histogram is not None
    np.testing.assert_array_equal(counts.cloud_histogram[:, 128], [1, 1])
    assert counts.cloud_histogram.sum() == 2
    assert counts.shadow_histogram is None
    assert counts.abstention is not None
    assert counts.abstention[0].sum() == 2
    assert counts.abstention[1, int(np.float32(0.9) * 256)] == 1


@pytest.mark.real_data
def test_a_package_is_evaluated_on_real_scenes(real_data: Path, models: SimpleNamespace, tmp_path: Path) -> None:
    from undercast.evaluation.packages import open_package

    package = models.tiny_package(tmp_path / "tiny", spec=models.tiny_spec(window=256, overlap=32))
    report = run(open_package(package), real_data / "val").report
    assert set(report.strata["source"]) == {"l8biome_lkpeng", "oncloudn", "rio_tiler", "ukis_csmask"}
    for name in ("cloud_precision", "cloud_recall", "cloud_f1", "cloud_f2", "cloud_iou", "shadow_f1", "cloud_ece"):
        figure = report.overall.values[name]
        assert figure.value is not None
        assert figure.low is not None
        assert figure.high is not None
        assert figure.low <= figure.value <= figure.high
    assert "shadow_f1" in report.strata["source"]["oncloudn"].figures.undefined
