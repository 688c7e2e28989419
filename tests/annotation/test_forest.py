from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from undercast.annotation.forest import (
    SETTINGS,
    classify,
    cross_validated,
    reach_px,
    regularized,
    training_samples,
)
from undercast.annotation.points import Point
from undercast.errors import LabelError
from undercast.types import Float32, UInt8


def point(row: int, col: int, label: int) -> Point:
    return Point(row=row, col=col, label=label, round=1)


def halves() -> Float32:
    """Dark on the left, bright on the right."""
    values = np.full((12, 16, 2), 0.1, np.float32)
    values[:, 8:] = 0.6
    return values + np.random.default_rng(1).normal(0, 0.01, values.shape).astype(np.float32)


POINTS = [point(row, col, label) for row in (2, 6, 10) for col, label in ((3, 5), (12, 2))]


def test_the_settings_are_those_of_alcd() -> None:
    assert SETTINGS == {"n_estimators": 100, "max_depth": 25, "min_samples_split": 25, "random_state": 42}


def test_a_scene_of_two_halves_is_labelled_with_its_probabilities() -> None:
    labelled = classify(halves(), POINTS, reach=1)
    assert (labelled.labels[:, :8] == 5).all()
    assert (labelled.labels[:, 8:] == 2).all()
    assert labelled.confidence.min() > 0.9
    np.testing.assert_allclose(labelled.probabilities.sum(axis=0), 1, atol=1e-5)
    assert (labelled.probabilities[1, :, 8:] > 0.9).all()


@pytest.mark.parametrize("codes", [(5, 2), (5, 2, 6)])
def test_three_pixels_of_each_class_are_enough_to_tell_them_apart(codes: tuple[int, ...]) -> None:
    values = np.full((12, 15, 2), 0.1, np.float32)
    values[:, 5:10], values[:, 10:] = 0.6, 0.3
    found = classify(
        values, [point(row, 5 * n + 2, code) for n, code in enumerate(codes) for row in (2, 6, 10)], reach=0
    )
    assert [found.labels[0, 5 * n] for n in range(len(codes))] == list(codes)


def test_the_same_points_give_the_same_labels() -> None:
    one, other = (classify(halves(), POINTS, reach=1) for _ in range(2))
    np.testing.assert_array_equal(one.confidence, other.confidence)


def test_pixels_without_data_get_no_label_and_points_on_them_do_not_count() -> None:
    values = halves()
    values[:, 12:] = np.nan
    extra = [point(row, 10, 2) for row in (1, 5, 9)]
    labelled = classify(values, [*POINTS, *extra], reach=1)
    assert (labelled.labels[:, 12:] == 0).all()
    assert np.isnan(labelled.confidence[:, 12:]).all()
    assert np.isnan(labelled.probabilities[:, :, 12:]).all()
    with pytest.raises(LabelError, match="two classes"):
        classify(values, POINTS, reach=1)


def test_a_clicked_pixel_keeps_its_label() -> None:
    odd = [point(row, 3, 6) for row in (0, 4, 8)]
    labelled = classify(halves(), [*POINTS, *odd], reach=0)
    assert [labelled.labels[entry.row, entry.col] for entry in odd] == [6, 6, 6]


def test_every_class_gives_as_many_samples_as_the_smallest() -> None:
    few = [point(5, 12, 2)]
    many = [point(row, col, 5) for row in (1, 5, 9) for col in (1, 5)]
    samples, labels = training_samples(halves(), [*few, *many], reach=1)
    assert np.bincount(labels).tolist() == [0, 0, 9, 0, 0, 9]
    assert (samples[labels == 2] > 0.5).all()


def test_a_square_does_not_paint_over_a_clicked_pixel() -> None:
    samples, labels = training_samples(halves(), [point(5, 5, 5), point(5, 6, 2)], reach=1)
    assert sorted(np.unique(labels).tolist()) == [2, 5]
    # The later square covers all but the first column of the earlier one, and the click itself.
    assert (labels == 5).sum() == 4
    assert len(samples) == 8


def test_100_m_are_one_pixel_of_60_m_and_coarser_ones_reach_as_far() -> None:
    sizes = [(60.0, 60.0), (10.0, 10.0), (30.0, 30.0), (300.0, 300.0)]
    assert [reach_px(size) for size in sizes] == [1, 10, 3, 1]
    assert reach_px(None) == 1


def test_a_lone_pixel_takes_the_label_around_it() -> None:
    labels = np.full((5, 5), 5, np.uint8)
    labels[2, 2] = 2
    labels[0, 0] = 0
    found = regularized(labels)
    assert found[2, 2] == 5
    assert found[0, 0] == 0


def test_a_tie_leaves_a_pixel_as_it_is() -> None:
    labels = np.array([[2, 5]], np.uint8)
    np.testing.assert_array_equal(regularized(labels), labels)


@given(arrays(np.uint8, (5, 6), elements=st.integers(0, 7)))
def test_the_majority_filter_invents_no_label_and_keeps_the_empty_ones(labels: UInt8) -> None:
    found = regularized(labels)
    assert set(np.unique(found)) <= set(np.unique(labels))
    np.testing.assert_array_equal(found == 0, labels == 0)


def test_points_of_two_halves_are_all_found_by_forests_that_have_not_seen_them() -> None:
    assert cross_validated(halves(), POINTS, reach=1) == 1.0


def test_a_class_that_one_fold_holds_alone_cannot_be_cross_validated() -> None:
    assert cross_validated(halves(), [*POINTS, point(0, 0, 6)], reach=1) is None
