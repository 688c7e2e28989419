"""Figures equal those of torchmetrics and of scikit-learn; what is undefined is None."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score, fbeta_score, precision_score, roc_auc_score
from torchmetrics.classification import (
    MultilabelAccuracy,
    MultilabelAUROC,
    MultilabelAveragePrecision,
    MultilabelF1Score,
    MultilabelFBetaScore,
    MultilabelPrecision,
    MultilabelRecall,
    MultilabelSpecificity,
)

from undercast.training.bigearthnet.metrics import average_precision_macro, scored_labels, scores, scores_by_label

OF_TORCHMETRICS: dict[str, Any] = {
    "AP": MultilabelAveragePrecision,
    "AUROC": MultilabelAUROC,
    "accuracy": MultilabelAccuracy,
    "F1": MultilabelF1Score,
    "F2": lambda **options: MultilabelFBetaScore(beta=2.0, **options),
    "precision": MultilabelPrecision,
    "recall": MultilabelRecall,
    "specificity": MultilabelSpecificity,
}


def drawn(patches: int = 40, labels: int = 19, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    truth = rng.random((patches, labels)) < 0.3
    truth[0], truth[1] = True, False
    return (rng.normal(-0.5, 2, (patches, labels)) + truth).astype(np.float32), truth


@pytest.mark.parametrize("name", OF_TORCHMETRICS)
@pytest.mark.parametrize("average", ["macro", "micro"])
def test_averages_are_those_of_torchmetrics(name: str, average: str) -> None:
    logits, truth = drawn()
    metric = OF_TORCHMETRICS[name](num_labels=19, average=average)
    wanted = metric(torch.sigmoid(torch.from_numpy(logits)), torch.from_numpy(truth).int())
    assert scores(logits, truth)[f"{name}_{average}"] == pytest.approx(float(wanted), abs=1e-6)


@pytest.mark.parametrize("name", [name for name in OF_TORCHMETRICS if name not in {"AP", "AUROC"}])
def test_averages_over_patches_are_those_of_torchmetrics(name: str) -> None:
    logits, truth = drawn()
    metric = OF_TORCHMETRICS[name](num_labels=19, average="micro", multidim_average="samplewise")
    given, wanted = torch.from_numpy(logits)[..., None], torch.from_numpy(truth).int()[..., None]
    assert scores(logits, truth)[f"{name}_sample"] == pytest.approx(
        float(metric(torch.sigmoid(given), wanted).mean()), abs=1e-6
    )


def test_averages_are_those_of_scikit_learn() -> None:
    logits, truth = drawn(seed=3)
    found, called = scores(logits, truth), logits > 0
    for average in ("macro", "micro"):
        wanted = {
            "AP": average_precision_score(truth, logits, average=average),
            "AUROC": roc_auc_score(truth, logits, average=average),
            "F1": f1_score(truth, called, average=average),
            "F2": fbeta_score(truth, called, beta=2, average=average),
            "precision": precision_score(truth, called, average=average, zero_division=0),
        }
        for name, value in wanted.items():
            assert found[f"{name}_{average}"] == pytest.approx(value, abs=1e-6)


def test_three_patches_by_hand() -> None:
    logits = np.array([[3.0, -1.0], [1.0, -2.0], [-1.0, 2.0]], np.float32)
    truth = np.array([[True, False], [False, True], [True, False]])
    found = scores(logits, truth)
    # Label 0 ranks hit, miss, hit; label 1 ranks its one patch last.
    assert found["AP_macro"] == pytest.approx(((1 + 2 / 3) / 2 + 1 / 3) / 2, abs=1e-6)
    assert found["precision_micro"] == pytest.approx(1 / 3)
    assert found["recall_micro"] == pytest.approx(1 / 3)


def test_logits_that_look_like_probabilities_are_not_taken_for_them() -> None:
    logits = np.array([[0.2, 0.9], [0.1, 0.6]], np.float32)
    assert scores(logits, np.array([[True, False], [False, True]]))["recall_micro"] == 1.0


def test_a_label_that_no_patch_has_is_left_out_of_averages() -> None:
    logits, truth = drawn(labels=4)
    truth[:, 2] = False
    kept = [0, 1, 3]
    assert scored_labels(truth).tolist() == kept
    for name in ("AP", "F1", "precision"):
        assert scores(logits, truth)[f"{name}_macro"] == pytest.approx(
            scores(logits[:, kept], truth[:, kept])[f"{name}_macro"]
        )
    rows = scores_by_label(logits, truth)
    assert [rows[2][name] for name in ("AP", "AUROC", "F1", "F2", "recall")] == [None] * 5
    assert rows[2]["specificity"] is not None
    assert rows[1]["AP"] == pytest.approx(average_precision_score(truth[:, 1], logits[:, 1]), abs=1e-5)


def test_nothing_is_defined_where_no_patch_has_a_label() -> None:
    logits, truth = drawn(labels=3)
    found = scores(logits, np.zeros_like(truth))
    assert found["AP_macro"] is None
    assert found["AP_micro"] is None
    assert average_precision_macro(torch.from_numpy(logits), torch.zeros(truth.shape)) == 0.0


def test_what_training_goes_by_is_the_macro_average_precision() -> None:
    logits, truth = drawn()
    found = average_precision_macro(torch.from_numpy(logits), torch.from_numpy(truth).float())
    assert found == pytest.approx(scores(logits, truth)["AP_macro"])
