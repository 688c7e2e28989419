"""Members become probabilities, uncertainty and classes."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.classes import CLASS_NAMES
from undercast.errors import ModelError, UsageError
from undercast.inference.ensemble import (
    aggregate,
    check_applies,
    decide,
    largest_std,
    layer_names,
    tempered,
    uncertainty,
)
from undercast.types import AGGREGATIONS, UNCERTAINTY_KINDS, Aggregation, Float32, UncertaintyKind

BINARY = ("cloud",)
ONE = np.ones((1, 1), np.bool_)


@st.composite
def ensembles(draw: st.DrawFn, *, least: int = 1) -> tuple[Float32, tuple[str, ...]]:
    """Draw members (member, layer, 3, 3) and the names of their layers; some values are exactly 0 or 1."""
    classes = draw(st.sampled_from([BINARY, ("clear", "cloud"), ("cloud", "clear"), CLASS_NAMES]))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    count = draw(st.integers(least, 5))
    logits = rng.normal(0, draw(st.sampled_from([0.1, 3.0, 200.0])), (count, len(classes), 3, 3))
    if len(classes) == 1:
        members = 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
    else:
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        members = powers / powers.sum(axis=1, keepdims=True)
    return members.astype(np.float32), classes


def pixel(*values: float) -> Float32:
    """One pixel (layer, 1, 1)."""
    return np.array(values, np.float32)[:, None, None]


@given(ensembles(), st.sampled_from(AGGREGATIONS))
def test_probabilities_lie_between_0_and_1_and_sum_to_1(
    case: tuple[Float32, tuple[str, ...]], aggregation: Aggregation
) -> None:
    members, classes = case
    before = members.copy()
    probabilities = aggregate(members, aggregation, classes)
    assert probabilities.dtype == np.float32
    assert probabilities.shape[0] == len(layer_names(classes))
    assert probabilities.min() >= 0
    assert probabilities.max() <= 1 + 1e-6
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)
    np.testing.assert_array_equal(members, before)
    assert not np.shares_memory(members, probabilities)


@given(ensembles(), st.sampled_from(AGGREGATIONS[:4]))
def test_members_that_agree_are_their_own_aggregate(
    case: tuple[Float32, tuple[str, ...]], aggregation: Aggregation
) -> None:
    members, classes = case
    same = np.repeat(members[:1], 3, axis=0)
    np.testing.assert_allclose(
        aggregate(same, aggregation, classes), aggregate(members[:1], "mean", classes), atol=1e-6
    )


@given(ensembles())
def test_for_two_classes_min_lies_below_mean_and_median_and_these_below_max(
    case: tuple[Float32, tuple[str, ...]],
) -> None:
    members, classes = case
    if len(layer_names(classes)) > 2:
        members, classes = members[:, 1:2], BINARY
    cloud = layer_names(classes).index("cloud")
    low, mean, median, high = (aggregate(members, how, classes)[cloud] for how in ("min", "mean", "median", "max"))
    slack = 1e-6
    assert (low <= mean + slack).all()
    assert (mean <= high + slack).all()
    assert (low <= median + slack).all()
    assert (median <= high + slack).all()


def test_the_maximum_of_a_binary_model_is_the_largest_probability_of_cloud() -> None:
    members = np.stack([pixel(0.2), pixel(0.7), pixel(0.4)])
    np.testing.assert_allclose(aggregate(members, "max", BINARY).ravel(), [0.3, 0.7], atol=1e-6)
    np.testing.assert_allclose(aggregate(members, "min", BINARY).ravel(), [0.8, 0.2], atol=1e-6)
    np.testing.assert_allclose(aggregate(members, "vote", BINARY).ravel(), [2 / 3, 1 / 3], atol=1e-6)


def test_the_layer_that_is_not_clear_rules_wherever_it_stands() -> None:
    members = np.stack([pixel(0.7, 0.3), pixel(0.2, 0.8)])
    np.testing.assert_allclose(aggregate(members, "max", ("cloud", "clear")).ravel(), [0.7, 0.3], atol=1e-6)
    np.testing.assert_allclose(aggregate(members, "max", ("clear", "cloud")).ravel(), [0.2, 0.8], atol=1e-6)


def test_the_maxima_of_several_classes_are_divided_by_their_sum() -> None:
    members = np.stack([pixel(0.6, 0.4, 0.0, 0.0), pixel(0.2, 0.4, 0.4, 0.0)])
    np.testing.assert_allclose(
        aggregate(members, "max", CLASS_NAMES).ravel(), np.array([0.6, 0.4, 0.4, 0]) / 1.4, atol=1e-6
    )


def test_where_every_minimum_is_0_the_mean_is_taken() -> None:
    members = np.stack([pixel(1, 0, 0, 0), pixel(0, 0, 0, 1)])
    np.testing.assert_allclose(aggregate(members, "min", CLASS_NAMES).ravel(), [0.5, 0, 0, 0.5])


@pytest.mark.parametrize("aggregation", [kind for kind in AGGREGATIONS if kind != "vote"])
def test_where_no_member_says_anything_nothing_is_certain(aggregation: Aggregation) -> None:
    members = np.zeros((2, 4, 1, 1), np.float32)
    probabilities = aggregate(members, aggregation, CLASS_NAMES)
    assert probabilities[:, 0, 0].tolist() == [0.25] * 4
    assert uncertainty(members, probabilities, "entropy", CLASS_NAMES)[0, 0] == pytest.approx(1.0)


def test_votes_are_shares_of_members() -> None:
    members = np.stack([pixel(0.6, 0.4, 0, 0), pixel(0.4, 0.6, 0, 0), pixel(0.1, 0.2, 0.7, 0)])
    np.testing.assert_allclose(aggregate(members, "vote", CLASS_NAMES).ravel(), [1 / 3, 1 / 3, 1 / 3, 0])


def test_an_unknown_aggregation_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'mode' is not known. Known: mean, median, max, min, vote"):
        aggregate(pixel(0.5)[None], "mode", BINARY)  # type: ignore[arg-type]


@given(ensembles(least=2), st.sampled_from(UNCERTAINTY_KINDS), st.sampled_from(AGGREGATIONS))
def test_every_uncertainty_lies_between_0_and_1(
    case: tuple[Float32, tuple[str, ...]], kind: UncertaintyKind, aggregation: Aggregation
) -> None:
    members, classes = case
    value = uncertainty(members, aggregate(members, aggregation, classes), kind, classes)
    assert value.dtype == np.float32
    assert value.shape == members.shape[2:]
    assert value.min() >= 0
    assert value.max() <= 1


@given(ensembles(), st.sampled_from(["std", "mutual_information", "disagreement"]))
def test_members_that_agree_are_certain_of_each_other(
    case: tuple[Float32, tuple[str, ...]], kind: UncertaintyKind
) -> None:
    members, classes = case
    same = np.repeat(members[:1], 4, axis=0)
    np.testing.assert_allclose(uncertainty(same, aggregate(same, "mean", classes), kind, classes), 0, atol=2e-6)


@given(ensembles(), st.integers(2, 7))
def test_std_of_equal_members_is_nothing_but_0(case: tuple[Float32, tuple[str, ...]], count: int) -> None:
    members, classes = case
    same = np.repeat(members[:1], count, axis=0)
    assert not uncertainty(same, aggregate(same, "mean", classes), "std", classes).any()


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6])
def test_half_of_the_members_at_0_and_half_at_1_is_the_largest_std(count: int) -> None:
    members = np.stack([pixel(float(i < count // 2)) for i in range(count)])
    value = uncertainty(members, aggregate(members, "mean", BINARY), "std", BINARY)
    np.testing.assert_allclose(value, 1, atol=1e-6)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_no_corner_has_a_larger_std_than_the_one_that_is_divided_by(count: int) -> None:
    corners = [np.std(corner) for corner in itertools.product((0.0, 1.0), repeat=count)]
    assert max(corners) == pytest.approx(largest_std(count))


def test_std_is_that_of_thick_and_thin_cloud_together() -> None:
    members = np.stack([pixel(0.2, 0.8, 0, 0), pixel(0.2, 0, 0.8, 0)])
    value = uncertainty(members, aggregate(members, "mean", CLASS_NAMES), "std", CLASS_NAMES)
    np.testing.assert_allclose(value, 0, atol=1e-6)


def test_std_of_a_model_without_cloud_is_that_of_what_is_not_clear() -> None:
    members = np.stack([pixel(1, 0), pixel(0, 1)])
    classes = ("clear", "cloud_shadow")
    np.testing.assert_allclose(uncertainty(members, aggregate(members, "mean", classes), "std", classes), 1)


def test_entropy_is_1_where_all_classes_are_equal_and_0_where_one_is_certain() -> None:
    for probabilities, expected in ((pixel(0.25, 0.25, 0.25, 0.25), 1.0), (pixel(0, 1, 0, 0), 0.0)):
        value = uncertainty(probabilities[None], probabilities, "entropy", CLASS_NAMES)
        np.testing.assert_allclose(value, expected, atol=1e-6)


@pytest.mark.parametrize("threshold", [0.15, 0.5, 0.8])
def test_the_decision_is_most_uncertain_at_its_threshold(threshold: float) -> None:
    cloud = np.array([0.0, threshold / 2, threshold, (1 + threshold) / 2, 1.0], np.float32)
    probabilities = np.stack([1 - cloud, cloud])[:, None]
    value = uncertainty(probabilities[None, 1:], probabilities, "decision", BINARY, {"cloud": threshold})[0]
    np.testing.assert_allclose(value[[0, 2, 4]], [0, 1, 0], atol=1e-5)
    assert value[0] < value[1] < value[2] > value[3] > value[4]


def test_kinds_of_cloud_are_one_decision_and_clear_and_shadow_two() -> None:
    for probabilities, expected in (
        (pixel(0, 0.5, 0.5, 0), 0.0),
        (pixel(0.25, 0.5, 0, 0.25), 0.5 / 0.75),
        (pixel(0.5, 0, 0, 0.5), 0.5 / 0.75),
        (pixel(0.26, 0.25, 0.23, 0.26), (1 - 0.52 * 0.5) / 0.75),
    ):
        value = uncertainty(probabilities[None], probabilities, "decision", CLASS_NAMES)
        np.testing.assert_allclose(value, expected, atol=1e-5)


def test_mutual_information_is_1_where_certain_members_contradict_each_other() -> None:
    members = np.stack([pixel(1, 0, 0, 0), pixel(0, 1, 0, 0)])
    value = uncertainty(members, aggregate(members, "mean", CLASS_NAMES), "mutual_information", CLASS_NAMES)
    np.testing.assert_allclose(value, 1, atol=1e-6)
    unsure = np.stack([pixel(0.25, 0.25, 0.25, 0.25)] * 2)
    value = uncertainty(unsure, unsure[0], "mutual_information", CLASS_NAMES)
    np.testing.assert_allclose(value, 0, atol=1e-6)


def test_mutual_information_agrees_with_its_formula() -> None:
    members = np.stack([pixel(0.9), pixel(0.3)])

    def entropy(p: float) -> float:
        return -p * math.log(p) - (1 - p) * math.log(1 - p)

    expected = (entropy(0.6) - (entropy(0.9) + entropy(0.3)) / 2) / math.log(2)
    value = uncertainty(members, aggregate(members, "mean", BINARY), "mutual_information", BINARY)
    np.testing.assert_allclose(value, expected, atol=1e-6)


def test_disagreement_is_the_share_of_members_that_say_otherwise() -> None:
    members = np.stack([pixel(0.9), pixel(0.8), pixel(0.9), pixel(0.1)])
    value = uncertainty(members, aggregate(members, "mean", BINARY), "disagreement", BINARY)
    np.testing.assert_allclose(value, 0.25)


@pytest.mark.parametrize("kind", ["std", "mutual_information", "disagreement"])
def test_a_spread_between_members_needs_two_of_them(kind: UncertaintyKind) -> None:
    with pytest.raises(UsageError, match=rf"{kind} needs two or more members, this model has 1. Try entropy"):
        uncertainty(pixel(0.5)[None], pixel(0.5, 0.5), kind, BINARY)


def test_an_unknown_uncertainty_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'variance' is not known. Known: std, entropy"):
        uncertainty(pixel(0.5)[None], pixel(0.5, 0.5), "variance", BINARY)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("probabilities", "thresholds", "expected"),
    [
        ((0.4, 0.3, 0.3, 0.0), {}, 0),
        ((0.4, 0.3, 0.3, 0.0), {"cloud": 0.5}, 1),
        ((0.4, 0.25, 0.35, 0.0), {"cloud": 0.5}, 2),
        ((0.1, 0.3, 0.15, 0.45), {"cloud": 0.5}, 3),
        ((0.1, 0.45, 0.0, 0.45), {"cloud": 0.5}, 3),
        ((0.2, 0.3, 0.15, 0.35), {"cloud": 0.5, "cloud_shadow": 0.4}, 0),
        ((0.5, 0.3, 0.0, 0.2), {"cloud_shadow": 0.2}, 3),
        ((0.3, 0.4, 0.0, 0.3), {"cloud": 0.4, "cloud_shadow": 0.2}, 1),
        ((0.3, 0.1, 0.6, 0.0), {"thin_cloud": 0.7}, 0),
        ((0.5, 0.2, 0.3, 0.0), {"thin_cloud": 0.3}, 2),
        ((0.1, 0.5, 0.4, 0.0), {"thin_cloud": 0.3}, 1),
        ((0.3, 0.3, 0.4, 0.0), {"cloud": 0.5, "thin_cloud": 0.5}, 1),
        ((0.2, 0.3, 0.5, 0.0), {"thick_cloud": 0.25, "thin_cloud": 0.6}, 1),
    ],
)
def test_one_pixel_is_decided(probabilities: tuple[float, ...], thresholds: dict[str, float], expected: int) -> None:
    assert decide(pixel(*probabilities), CLASS_NAMES, thresholds, ONE)[0, 0] == expected


def test_cloud_of_unknown_kind_is_written_as_thick_cloud() -> None:
    names = layer_names(BINARY)
    assert decide(pixel(0.4, 0.6), names, {}, ONE)[0, 0] == 1
    assert decide(pixel(0.4, 0.6), names, {"cloud": 0.7}, ONE)[0, 0] == 0
    assert decide(pixel(0.7, 0.3), names, {"cloud": 0.3}, ONE)[0, 0] == 1


def test_pixels_without_data_are_nodata() -> None:
    probabilities = np.repeat(pixel(0, 1, 0, 0), 2, axis=2)
    for thresholds in ({}, {"cloud": 0.5}):
        class_map = decide(probabilities, CLASS_NAMES, thresholds, np.array([[True, False]]))
        assert class_map.dtype == np.uint8
        assert class_map.tolist() == [[1, 255]]


@given(ensembles(), st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_a_lower_threshold_never_takes_cloud_away(
    case: tuple[Float32, tuple[str, ...]], one: float, other: float
) -> None:
    members, classes = case
    names = layer_names(classes)
    probabilities = aggregate(members, "mean", classes)
    valid = np.ones(probabilities.shape[1:], np.bool_)
    low, high = (
        np.isin(decide(probabilities, names, {"cloud": threshold}, valid), (1, 2)) for threshold in sorted((one, other))
    )
    assert (low >= high).all()
    total = probabilities[[i for i, name in enumerate(names) if "cloud" in name and name != "cloud_shadow"]]
    certain = np.abs(total.sum(axis=0) - max(one, other)) > 1e-5
    np.testing.assert_array_equal(high[certain], (total.sum(axis=0) >= max(one, other))[certain])


@pytest.mark.parametrize(
    ("thresholds", "words"),
    [
        ({"thin_cloud": 0.5}, "this model does not tell it. It tells: cloud"),
        ({"fog": 0.5}, "expected one of cloud"),
        ({"cloud": 1.5}, r"must lie in \(0, 1\)"),
    ],
)
def test_thresholds_that_do_not_apply_are_refused(thresholds: dict[str, float], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_applies(thresholds, layer_names(BINARY))
    with pytest.raises(UsageError, match=words):
        decide(pixel(0.5, 0.5), layer_names(BINARY), thresholds, ONE)


def test_thresholds_need_a_clear_layer() -> None:
    with pytest.raises(ModelError, match=r"need a layer 'clear'"):
        decide(pixel(0.5, 0.5), ("thick_cloud", "cloud_shadow"), {"cloud": 0.5}, ONE)


@given(ensembles())
def test_without_thresholds_the_most_probable_class_wins(case: tuple[Float32, tuple[str, ...]]) -> None:
    members, classes = case
    names = layer_names(classes)
    probabilities = aggregate(members, "mean", classes)
    values = np.array([{"cloud": 1}.get(name, (*CLASS_NAMES, name).index(name)) for name in names])
    valid = np.ones(probabilities.shape[1:], np.bool_)
    np.testing.assert_array_equal(decide(probabilities, names, {}, valid), values[probabilities.argmax(axis=0)])


def test_a_temperature_of_one_changes_nothing_and_a_high_one_evens_out() -> None:
    probabilities = np.array([[0.9, 1.0], [0.1, 0.0]], np.float32)
    np.testing.assert_array_equal(tempered(probabilities, 1.0), probabilities)
    softened = tempered(probabilities, 2.0)
    np.testing.assert_allclose(softened[:, 0], [0.75, 0.25], atol=1e-6)
    np.testing.assert_allclose(softened.sum(axis=0), 1.0, atol=1e-6)
    assert 0.99 < softened[0, 1] < 1.0
