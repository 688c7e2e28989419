from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sk

from undercast.evaluation import metrics
from undercast.weak_labels.agreement import cohen_kappa

CLEAR, THICK, THIN, SHADOW = 1, 2, 4, 8
SETS = st.integers(0, 15)
single = arrays(np.uint8, 60, elements=st.sampled_from([0, 1, 2, 3]))
binary = arrays(np.bool_, 50)


def tally_of(truth: np.ndarray, called: np.ndarray) -> np.ndarray:
    return np.array(
        [(truth & called).sum(), (~truth & called).sum(), (truth & ~called).sum(), (~truth & ~called).sum()]
    )


def test_a_drawn_scene_is_counted_by_set_and_prediction() -> None:
    possible = np.array([[CLEAR, THICK, THIN, SHADOW], [0, CLEAR | SHADOW, THICK | THIN, THICK]], np.uint8)
    class_map = np.array([[0, 1, 1, 0], [1, 3, 2, 255]], np.uint8)
    counts = metrics.confusion(possible, class_map)
    assert counts.sum() == 7
    assert counts[CLEAR, 0] == counts[THICK, 1] == counts[THIN, 1] == counts[SHADOW, 0] == 1
    assert counts[CLEAR | SHADOW, 3] == counts[THICK | THIN, 2] == 1
    assert counts[THICK, metrics.NO_PREDICTION] == 1
    np.testing.assert_array_equal(metrics.task_tally(counts, "cloud"), [3, 0, 0, 3])
    np.testing.assert_array_equal(metrics.task_tally(counts, "shadow"), [0, 0, 1, 4])
    np.testing.assert_array_equal(metrics.task_tally(counts, "thin"), [0, 0, 1, 4])
    np.testing.assert_array_equal(metrics.merged_confusion(counts), [[1, 0, 0], [0, 3, 0], [1, 0, 0]])


@given(arrays(np.uint8, 40, elements=SETS), arrays(np.uint8, 40, elements=st.sampled_from([0, 1, 2, 3, 255])))
def test_a_tally_counts_just_the_pixels_whose_set_tells(possible: np.ndarray, class_map: np.ndarray) -> None:
    counts = metrics.confusion(possible, class_map)
    for task, classes in metrics.TASK_CLASSES.items():
        positive, negative = metrics.settled(possible, task)
        known, called = class_map < 4, np.isin(class_map, classes)
        expected = [
            (positive & called & known).sum(),
            (negative & called & known).sum(),
            (positive & ~called & known).sum(),
            (negative & ~called & known).sum(),
        ]
        np.testing.assert_array_equal(metrics.task_tally(counts, task), expected)


@given(binary, binary, st.floats(0.1, 5.0))
def test_figures_of_a_tally_equal_scikit_learn(truth: np.ndarray, called: np.ndarray, beta: float) -> None:
    tally = tally_of(truth, called)
    pairs = [
        (metrics.precision(tally), sk.precision_score(truth, called, zero_division=np.nan)),
        (metrics.recall(tally), sk.recall_score(truth, called, zero_division=np.nan)),
        (metrics.f_beta(tally, beta), sk.fbeta_score(truth, called, beta=beta, zero_division=np.nan)),
        (metrics.iou(tally), sk.jaccard_score(truth, called, zero_division=0) if (truth | called).any() else np.nan),
    ]
    if truth.any() and not truth.all():
        pairs.append((metrics.balanced_accuracy(tally), sk.balanced_accuracy_score(truth, called)))
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@given(binary, binary)
def test_f2_is_five_precision_recall_over_four_precision_plus_recall(truth: np.ndarray, called: np.ndarray) -> None:
    tally = tally_of(truth, called)
    precision, recall = metrics.precision(tally), metrics.recall(tally)
    if np.isfinite(precision) and np.isfinite(recall) and precision + recall > 0:
        assert metrics.f_beta(tally, 2.0) == pytest.approx(5 * precision * recall / (4 * precision + recall), abs=1e-12)


@given(single, single)
def test_figures_of_a_matrix_equal_scikit_learn(truth: np.ndarray, called: np.ndarray) -> None:
    truth, called = np.minimum(truth, 2), np.minimum(called, 2)
    matrix = sk.confusion_matrix(truth, called, labels=[0, 1, 2])
    assert metrics.overall_accuracy(matrix) == pytest.approx(sk.accuracy_score(truth, called), abs=1e-6)
    assert metrics.micro_iou(matrix) == pytest.approx(sk.jaccard_score(truth, called, average="micro"), abs=1e-6)
    if len(set(truth)) > 1:
        recalls = sk.recall_score(truth, called, labels=sorted(set(truth)), average="macro", zero_division=0)
        assert metrics.mean_recall(matrix) == pytest.approx(recalls, abs=1e-6)
        assert cohen_kappa(matrix) == pytest.approx(sk.cohen_kappa_score(truth, called), abs=1e-6)


@given(binary, arrays(np.float64, 50, elements=st.sampled_from(np.linspace(0, 1, 17).tolist())))
def test_average_precision_equals_scikit_learn_with_ties(truth: np.ndarray, score: np.ndarray) -> None:
    ours = metrics.average_precision(truth, score)
    if truth.any():
        assert ours == pytest.approx(sk.average_precision_score(truth, score), abs=1e-6)
        binned = metrics.average_precision_of_histogram(metrics.histogram(truth, score))
        assert binned == pytest.approx(ours, abs=1e-6)
    else:
        assert np.isnan(ours)


@given(binary, arrays(np.float64, 50, elements=st.sampled_from(np.linspace(0, 1, 17).tolist())))
def test_the_area_under_the_operating_curve_equals_scikit_learn_with_ties(truth: np.ndarray, score: np.ndarray) -> None:
    ours = float(metrics.auroc_of_histogram(metrics.histogram(truth, score)))
    if truth.any() and not truth.all():
        assert ours == pytest.approx(sk.roc_auc_score(truth, score), abs=1e-6)
    else:
        assert np.isnan(ours)


@given(binary, arrays(np.float64, 50, elements=st.floats(0.001, 0.999)))
def test_the_calibration_error_equals_torchmetrics(truth: np.ndarray, probability: np.ndarray) -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.classification")
    # Away from the edges of bins, where one counts the upper and the other the lower bin.
    probability = (np.floor(probability * 15) + 0.5 + 0.3 * np.sin(np.arange(50))) / 15
    theirs = functional.binary_calibration_error(
        torch.from_numpy(probability), torch.from_numpy(truth.astype(int)), n_bins=15, norm="l1"
    )
    assert metrics.expected_calibration_error(truth, probability, 15) == pytest.approx(float(theirs), abs=1e-6)


@given(binary, arrays(np.float64, 50, elements=st.integers(0, 255).map(lambda k: (k + 0.5) / 256)))
def test_the_binned_calibration_error_is_exact_at_the_centres_of_bins(
    truth: np.ndarray, probability: np.ndarray
) -> None:
    ours = metrics.calibration_error_of_histogram(metrics.histogram(truth, probability))
    assert ours == pytest.approx(metrics.expected_calibration_error(truth, probability, 16), abs=1e-6)


def test_undefined_figures_are_nan_and_not_zero_or_one() -> None:
    nothing = np.zeros(4, int)
    clear = np.array([0, 0, 0, 9])
    for figure in (metrics.precision, metrics.recall, metrics.f_beta, metrics.iou, metrics.balanced_accuracy):
        assert np.isnan(figure(nothing))
        assert np.isnan(figure(clear))
    matrix = np.diag([9, 0, 0])
    assert np.isnan(cohen_kappa(matrix))
    assert np.isnan(metrics.mean_recall(matrix))
    assert np.isnan(metrics.overall_accuracy(np.zeros((3, 3))))
    assert np.isnan(metrics.expected_calibration_error(np.zeros(0, bool), np.zeros(0)))
    assert metrics.abstention_curve(np.zeros((2, 256), int)) == []


def test_a_reference_without_shadows_is_not_scored_on_false_shadows() -> None:
    possible = np.array([CLEAR | SHADOW] * 3 + [THICK] * 97, np.uint8)
    counts = metrics.confusion(possible, np.full(100, 3, np.uint8))
    assert not metrics.scores_task(counts, "shadow")
    assert not metrics.scores_task(counts, "clear")
    assert metrics.scores_task(counts, "cloud")


def test_a_few_unsettled_pixels_do_not_keep_a_scene_from_being_scored() -> None:
    possible = np.array([CLEAR] * 97 + [CLEAR | THICK | THIN] * 3, np.uint8)
    assert metrics.scores_task(metrics.confusion(possible, np.zeros(100, np.uint8)), "cloud")


def test_the_reliability_curve_holds_frequency_against_probability() -> None:
    truth = np.array([True, True, False, False])
    bins = metrics.reliability(metrics.histogram(truth, np.full(4, 0.75)))
    assert len(bins) == 1
    assert bins[0]["frequency"] == 0.5
    assert bins[0]["mean_probability"] == pytest.approx(0.75, abs=1 / 256)
    assert bins[0]["pixels"] == 4


@given(arrays(np.int64, (2, 8), elements=st.integers(0, 5)))
def test_dropping_uncertain_pixels_counts_the_error_of_the_certain_ones(few: np.ndarray) -> None:
    counts = np.zeros((2, 256), np.int64)
    counts[:, ::32] = few
    for kept in (0.05, 0.5, 1.0):
        uncertainty = np.repeat(np.tile(np.arange(256), 2), counts.ravel())
        wrong = np.repeat(np.repeat([0.0, 1.0], 256), counts.ravel())
        if not wrong.size:
            continue
        # Inside one bin the order is not known: pixels of a bin share its error.
        order = np.argsort(uncertainty, kind="stable")
        mean = np.array([wrong[uncertainty == bin_].mean() for bin_ in uncertainty[order]])
        whole, part = divmod(kept * wrong.size, 1.0)
        total = mean[: int(whole)].sum() + (part * mean[int(whole)] if part > 1e-9 and whole < wrong.size else 0.0)
        assert metrics.error_when_kept(counts, kept) == pytest.approx(total / (kept * wrong.size), abs=1e-6)
