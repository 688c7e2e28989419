from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from undercast.errors import EvaluationError, OutputExistsError, UsageError
from undercast.evaluation import metrics
from undercast.evaluation.calibrate import (
    Sample,
    calibrate,
    fit_temperature,
    next_version,
    objective,
    set_loss,
    threshold_tallies,
    write_calibrated,
)
from undercast.evaluation.evaluate import EvaluateOptions, evaluate
from undercast.evaluation.packages import PackagePredictor, met_data, open_package
from undercast.evaluation.sources import read_references
from undercast.inference.ensemble import tempered
from undercast.models.package import read_package


@pytest.fixture
def predictor(tmp_path: Path, models: SimpleNamespace) -> PackagePredictor:
    return open_package(models.tiny_package(tmp_path / "tiny"))


def sample_of(logits: np.ndarray, classes: np.ndarray) -> Sample:
    raised = np.exp(logits - logits.max(axis=0))
    return Sample(
        probabilities=(raised / raised.sum(axis=0)).astype(np.float32),
        possible=(1 << classes).astype(np.uint8),
        scores_shadow=np.ones(classes.size, bool),
    )


def test_the_temperature_of_logits_that_were_multiplied_is_found() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (4, 20_000))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=0)
    classes = (rng.random(20_000) > probabilities.cumsum(axis=0)).sum(axis=0).clip(0, 3)
    sample = sample_of(2.0 * logits, classes)
    temperature = fit_temperature(sample)
    assert temperature == pytest.approx(2.0, rel=0.05)
    assert set_loss(sample, temperature) < set_loss(sample, 1.0)


@given(arrays(np.float32, (4, 6), elements=st.floats(-4, 4, width=32)), st.floats(0.5, 3.0))
def test_tempering_probabilities_is_dividing_logits(logits: np.ndarray, temperature: float) -> None:
    sample = sample_of(logits.astype(np.float64), np.zeros(6, int))
    expected = sample_of(logits.astype(np.float64) / temperature, np.zeros(6, int))
    np.testing.assert_allclose(tempered(sample.probabilities, temperature), expected.probabilities, atol=1e-4)


def test_classes_that_are_not_told_stay_so_when_tempered() -> None:
    layers = tempered(np.array([[0.2], [0.8], [np.nan], [np.nan]], np.float32), 2.0)
    assert layers[:2].sum() == pytest.approx(1.0)
    assert np.isnan(layers[2:]).all()


@given(arrays(np.bool_, 40), arrays(np.float64, 40, elements=st.floats(0, 1)))
def test_tallies_are_those_of_each_threshold(truth: np.ndarray, probability: np.ndarray) -> None:
    tallies = threshold_tallies(metrics.histogram(truth, probability))
    for index in (0, 100, 254):
        called = probability >= (index + 1) / 256
        expected = [(truth & called).sum(), (~truth & called).sum(), (truth & ~called).sum(), (~truth & ~called).sum()]
        np.testing.assert_array_equal(tallies[index], expected)


def test_presets_choose_by_their_figure() -> None:
    tallies = np.array([[10, 9, 0, 0], [9, 2, 1, 7], [6, 0, 4, 9]], float)
    assert objective("balanced")(tallies) == 1
    assert objective("recall=0.95")(tallies) == 0
    assert objective("recall=0.6")(tallies) == 2
    assert objective("f10")(tallies) == 0
    for name in ("nonsense", "recall=0", "recall=1.5", "f0"):
        with pytest.raises(UsageError, match="Known: balanced, f2"):
            objective(name)


@pytest.mark.parametrize(
    ("version", "following"), [("1.0.0", "1.0.1"), ("1.9", "1.10"), ("v2-rc3", "v2-rc4"), ("new", "new.1")]
)
def test_the_next_version_counts_the_last_number_up(version: str, following: str) -> None:
    assert next_version(version) == following


def test_a_calibrated_package_has_the_same_weights_new_presets_and_says_on_what(
    folder: Path, tmp_path: Path, predictor: PackagePredictor
) -> None:
    before = predictor.model.package
    calibration = calibrate(predictor, read_references(folder))
    written = read_package(write_calibrated(before, calibration, tmp_path / "new", preset="f2"))
    assert written.identity.checksums == before.identity.checksums
    assert (before.spec.version, written.spec.version) == ("1.0.0", "1.0.1")
    assert set(written.spec.presets) == {"balanced", "f2", "recall=0.95"}
    assert set(written.spec.thresholds) == {"cloud", "cloud_shadow"}
    assert written.spec.temperature == pytest.approx(calibration.temperature, rel=1e-4)
    assert "Calibration of version 1.0.1" in (tmp_path / "new" / "card.md").read_text()
    assert met_data(written).calibrated == set(calibration.hashes)


def test_the_figures_of_a_preset_are_those_that_masking_reaches(
    folder: Path, tmp_path: Path, predictor: PackagePredictor
) -> None:
    calibration = calibrate(predictor, read_references(folder))
    written = write_calibrated(predictor.model.package, calibration, tmp_path / "new")
    for name, point in calibration.points.items():
        options = EvaluateOptions()
        tuned = open_package(written, type(predictor.options)(preset=name))
        report = evaluate(tuned, read_references(folder), options=options).report
        for figure, value in point.figures.items():
            assert report.overall.values[figure].value == pytest.approx(value, abs=1e-5), (name, figure)


def test_data_that_the_package_was_evaluated_on_are_refused(folder: Path, predictor: PackagePredictor) -> None:
    report = evaluate(predictor, read_references(folder)).report
    root = predictor.model.package.root
    (root / "evaluation.json").write_text(json.dumps({"report": report.to_dict()}))
    with pytest.raises(EvaluationError, match="was evaluated on this very scene"):
        calibrate(predictor, read_references(folder))


def test_a_calibrated_package_is_not_judged_by_what_tuned_it(
    folder: Path, tmp_path: Path, predictor: PackagePredictor
) -> None:
    calibration = calibrate(predictor, read_references(folder), ("f2",))
    written = write_calibrated(predictor.model.package, calibration, tmp_path / "new")
    tuned = open_package(written)
    with pytest.raises(EvaluationError, match="calibrated on this very scene"):
        evaluate(tuned, read_references(folder), options=EvaluateOptions(met=met_data(tuned.model.package)))


def test_an_earlier_calibration_is_not_forgotten(
    folder: Path, tmp_path: Path, drawn: SimpleNamespace, predictor: PackagePredictor
) -> None:
    other = drawn.write_folder(tmp_path / "other", {"b": drawn.stripes(codes=(0, 1, 1, 3))})
    first = calibrate(predictor, read_references(folder), ("f2",))
    once = open_package(write_calibrated(predictor.model.package, first, tmp_path / "once"))
    second = calibrate(once, read_references(other), ("f2",))
    twice = read_package(write_calibrated(once.model.package, second, tmp_path / "twice"))
    assert met_data(twice).calibrated == {*first.hashes, *second.hashes}


def test_data_that_trained_the_package_are_warned_of(folder: Path, predictor: PackagePredictor) -> None:
    reference = next(iter(read_references(folder)))
    (predictor.model.package.root / "evaluation.json").write_text(
        json.dumps({"data_sha256": {"scene_0.npz": reference.file_hash}})
    )
    assert any("trained on this scene" in line for line in calibrate(predictor, read_references(folder)).warnings)


def test_data_of_one_kind_of_pixel_are_refused(
    tmp_path: Path, drawn: SimpleNamespace, predictor: PackagePredictor
) -> None:
    folder = drawn.write_folder(tmp_path / "clear", {"a": drawn.stripes(codes=(0,))})
    with pytest.raises(EvaluationError, match="one kind only"):
        calibrate(predictor, read_references(folder))


def test_data_without_shadow_leave_its_threshold_alone(
    tmp_path: Path, drawn: SimpleNamespace, predictor: PackagePredictor
) -> None:
    folder = drawn.write_folder(tmp_path / "cloud", {"a": drawn.stripes(codes=(0, 1))})
    calibration = calibrate(predictor, read_references(folder), ("f2",))
    assert set(calibration.points["f2"].thresholds) == {"cloud"}
    assert any("tell no cloud shadow" in line for line in calibration.warnings)


def test_existing_folders_and_unknown_presets_are_refused(
    folder: Path, tmp_path: Path, predictor: PackagePredictor
) -> None:
    calibration = calibrate(predictor, read_references(folder), ("f2",))
    with pytest.raises(UsageError, match=r"preset 'fast' is not known\. Known: f2"):
        write_calibrated(predictor.model.package, calibration, tmp_path / "new", preset="fast")
    with pytest.raises(OutputExistsError):
        write_calibrated(predictor.model.package, calibration, predictor.model.package.root)
