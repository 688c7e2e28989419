"""Test-time augmentation against a slow and plain implementation that goes through windows and pixels one by one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undercast.errors import UsageError
from undercast.inference.augmentation import (
    ISOLATED_SHARE,
    MOST_DEPTH,
    VIEWS,
    Augmentation,
    augmented,
    doubled,
    halved,
    is_scattered,
    isolated_pixels,
    look_more,
    share_out,
    upright,
)
from undercast.inference.backends import Network
from undercast.types import Float32

RULE = [(0, 0), (1, 0), (2, 0), (3, 0), (0, 1), (1, 1), (2, 1), (3, 1)]
"""CloudS2Mask's order: quarter turns, mirrored or not."""


def network_of(layers: int, seed: int) -> Network:
    """Give probabilities that depend on the place in the window, so that every view says something else."""

    def network(batch: Float32) -> Float32:
        height, width = batch.shape[2:]
        place = np.arange(height)[:, None] * 1.7 + np.arange(width) * 0.9 + seed
        waves = np.stack([np.sin((2 + layer) * (place + 5 * batch.sum(axis=1))) for layer in range(layers)], axis=1)
        if layers == 1:
            return np.asarray(0.5 + 0.5 * waves, np.float32)
        powers = np.exp(waves.astype(np.float32))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)

    return network


def slow_isolated(classes: list[list[int]]) -> int:
    """Count pixels without an equal neighbour, asking each of the eight by itself."""
    height, width, count = len(classes), len(classes[0]), 0
    for row in range(height):
        for col in range(width):
            equal = 0
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    if down == 0 and right == 0:
                        continue
                    inside = 0 <= row + down < height and 0 <= col + right < width
                    neighbour = classes[row + down][col + right] if inside else 0
                    equal += neighbour == classes[row][col]
            count += equal == 0
    return count


def slow_view(network: Network, window: Float32, view: tuple[int, int]) -> Float32:
    """One view of one window, with pixels moved one by one."""
    turns, mirrored = view
    pixels = np.flip(window, axis=2) if mirrored else window
    for _ in range(turns):
        pixels = np.stack([np.array([list(row) for row in zip(*band.tolist(), strict=True)][::-1]) for band in pixels])
    said = network(np.asarray(pixels, np.float32)[None])[0]
    for _ in range((4 - turns) % 4):
        said = np.stack([np.array([list(row) for row in zip(*band.tolist(), strict=True)][::-1]) for band in said])
    return np.asarray(np.flip(said, axis=2) if mirrored else said, np.float32)


def slow(networks: list[Network], window: Float32, depth: int) -> tuple[Float32, int]:
    """The rule as CloudS2Mask states it, one window at a time: the members' means, and the views that were needed."""
    means = [slow_view(network, window, RULE[0]) for network in networks]
    for count in range(1, depth + 1):
        together = np.stack(means).mean(axis=0)
        if together.shape[0] == 1:
            classes = [[int(value > 0.5) for value in row] for row in together[0].tolist()]
        else:
            classes = [[int(np.argmax(pixel)) for pixel in row] for row in together.transpose(1, 2, 0)]
        if not slow_isolated(classes) > 10 / (512 * 512) * window.shape[1] * window.shape[2]:
            return np.stack(means), count
        for member, network in enumerate(networks):
            new = slow_view(network, window, RULE[count])
            means[member] = (means[member] * np.float32(count) + new) / np.float32(count + 1)
    return np.stack(means), depth + 1


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Network], Float32]:
    layers = draw(st.sampled_from([1, 2, 4]))
    networks = [network_of(layers, seed) for seed in range(draw(st.integers(1, 2)))]
    shape = draw(st.integers(1, 3)), 2, draw(st.integers(1, 7)), draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    smooth = rng.random((shape[0], 2, 1, 1), np.float32) * np.ones(shape, np.float32)
    batch = np.where(rng.random((shape[0], 1, 1, 1)) < 0.3, smooth, rng.random(shape, np.float32))
    return networks, np.asarray(batch, np.float32)


@settings(max_examples=60)
@given(cases(), st.integers(0, MOST_DEPTH), st.integers(1, 3))
def test_the_adaptive_rule_is_that_of_a_plain_implementation(
    case: tuple[list[Network], Float32], depth: int, batch_size: int
) -> None:
    networks, batch = case
    valid = np.ones((len(batch), *batch.shape[2:]), np.bool_)
    fast = look_more(networks, batch, Augmentation(depth=depth), valid=valid, batch_size=batch_size)
    plain = np.stack([slow(networks, window, depth)[0] for window in batch], axis=1)

    np.testing.assert_array_equal(fast, plain)


@settings(max_examples=200)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(0, 10_000))
def test_isolated_pixels_are_those_of_a_plain_count(height: int, width: int, classes: int, seed: int) -> None:
    class_map = np.random.default_rng(seed).integers(0, classes, (height, width))
    assert isolated_pixels(class_map) == slow_isolated(class_map.tolist())


def test_a_hand_made_map_has_one_isolated_pixel_and_the_edge_counts_as_class_0() -> None:
    assert isolated_pixels(np.array([[1, 1, 0], [2, 1, 0], [1, 1, 0]])) == 1
    assert isolated_pixels(np.array([[0]])) == 0
    assert isolated_pixels(np.array([[1]])) == 1


def test_the_limit_is_ten_isolated_pixels_in_512_x_512() -> None:
    assert ISOLATED_SHARE * 512 * 512 == 10.0


@pytest.mark.parametrize(
    ("side", "isolated", "scattered"), [(512, 10, False), (512, 11, True), (256, 2, False), (256, 3, True)]
)
def test_a_window_is_scattered_above_the_limit_for_its_area(side: int, isolated: int, scattered: bool) -> None:
    members = np.zeros((1, 2, side, side), np.float32)
    members[:, 0] = 0.6
    members[:, 1, 1 : 4 * isolated : 4, 5] = 0.9
    assert is_scattered(members) is scattered


@pytest.mark.parametrize("view", range(len(VIEWS)))
def test_a_view_undone_gives_the_window_back(view: int) -> None:
    window = np.random.default_rng(0).random((2, 3, 5), np.float32)
    np.testing.assert_array_equal(upright(view, augmented(view, window)), window)


def test_the_views_are_eight_different_ones_in_the_published_order() -> None:
    window = np.arange(9, dtype=np.float32).reshape(3, 3)
    assert [(turns, int(mirrored)) for turns, mirrored in VIEWS] == RULE
    assert len({augmented(view, window).tobytes() for view in range(8)}) == 8


def calls_of(network: Network) -> tuple[Network, list[int]]:
    sizes: list[int] = []

    def counted(batch: Float32) -> Float32:
        sizes.append(len(batch))
        return network(batch)

    return counted, sizes


def half_and_half(batch: Float32) -> Float32:
    """Give two layers that are as uncertain as the first band says, and equal over the window."""
    share = batch[:, :1].mean(axis=(2, 3), keepdims=True) * np.ones_like(batch[:, :1])
    return np.concatenate([1 - share, share], axis=1)


def test_windows_of_one_class_are_seen_once() -> None:
    network, sizes = calls_of(half_and_half)
    batch = np.full((3, 2, 8, 8), 0.1, np.float32)
    look_more([network], batch, Augmentation(depth=7), valid=np.ones((3, 8, 8), np.bool_), batch_size=3)
    assert sizes == [3]


def test_a_budget_goes_to_the_most_uncertain_windows() -> None:
    network, sizes = calls_of(half_and_half)
    batch = np.stack([np.full((2, 8, 8), share, np.float32) for share in (0.0, 0.5, 0.01)])
    plan = Augmentation(depth=7, budget=1)
    look_more([network], batch, plan, valid=np.ones((3, 8, 8), np.bool_), allowed=3, batch_size=4)
    assert sizes == [3, 1, 1, 1]


def test_doubt_about_pixels_without_data_costs_nothing() -> None:
    network, sizes = calls_of(half_and_half)
    batch = np.full((1, 2, 8, 8), 0.5, np.float32)
    plan = Augmentation(depth=7, budget=1)
    look_more([network], batch, plan, valid=np.zeros((1, 8, 8), np.bool_), allowed=1)
    assert sizes == [1]


def slow_share_out(doubt: list[float], allowed: int, depth: int) -> list[int]:
    """Give away one view after the other, looking at every window each time."""
    views = [0] * len(doubt)
    for _ in range(allowed):
        gains = [
            value / ((seen + 1) * (seen + 2)) if seen < depth else 0.0 for value, seen in zip(doubt, views, strict=True)
        ]
        if not any(gains):
            break
        views[gains.index(max(gains))] += 1
    return views


@given(st.lists(st.floats(0, 100, allow_subnormal=False), max_size=8), st.integers(0, 30), st.integers(1, MOST_DEPTH))
def test_views_are_shared_out_as_a_plain_implementation_does(doubt: list[float], allowed: int, depth: int) -> None:
    views = share_out(doubt, allowed, depth)
    assert views == slow_share_out(doubt, allowed, depth)
    assert sum(views) <= allowed


def slow_shared(network: Network, window: Float32, number: int) -> Float32:
    """The views of a budget: the window, then at half its resolution, then the turned ones."""
    if number != 1:
        return slow_view(network, window, RULE[max(number - 1, 0)])
    height, width = window.shape[1:]
    rows = [[min(2 * row + part, height - 1) for part in (0, 1)] for row in range((height + 1) // 2)]
    cols = [[min(2 * col + part, width - 1) for part in (0, 1)] for col in range((width + 1) // 2)]
    half = np.array([[[band[np.ix_(row, col)].mean() for col in cols] for row in rows] for band in window], np.float32)
    said = network(half[None])[0]
    return np.array([[[band[row // 2, col // 2] for col in range(width)] for row in range(height)] for band in said])


def test_at_half_resolution_pixels_without_data_count_for_nothing_beside_others() -> None:
    pixels = np.array([[[[1.0, 3.0, -9.0], [5.0, -9.0, -9.0], [2.0, 4.0, 7.0]]]], np.float32)
    half = halved(pixels, pixels[:, 0] >= 0)
    np.testing.assert_array_equal(half, [[[[3.0, -9.0], [3.0, 7.0]]]])
    np.testing.assert_array_equal(doubled(half, (3, 3))[0, 0], [[3, 3, -9], [3, 3, -9], [3, 3, 7]])


@settings(max_examples=30)
@given(cases(), st.integers(1, MOST_DEPTH), st.integers(0, 12), st.integers(1, 3))
def test_with_a_budget_a_window_gets_the_mean_of_its_first_views(
    case: tuple[list[Network], Float32], depth: int, allowed: int, batch_size: int
) -> None:
    networks, batch = case
    plan = Augmentation(depth=depth, budget=depth)
    valid = np.ones((len(batch), *batch.shape[2:]), np.bool_)
    fast = look_more(networks, batch, plan, valid=valid, allowed=allowed, batch_size=batch_size)
    possible = [
        [
            np.mean([slow_shared(network, window, view) for view in range(views)], axis=0)
            for views in range(1, depth + 2)
        ]
        for network in networks
        for window in batch
    ]
    taken = [
        {number for number, mean in enumerate(means) if np.allclose(mean, said, atol=1e-5)}
        for means, said in zip(possible, fast.reshape(-1, *fast.shape[2:]), strict=True)
    ]

    assert all(taken)
    assert sum(min(numbers) for numbers in taken[: len(batch)]) <= allowed


@given(st.floats(0.01, 7), st.lists(st.integers(1, 40), max_size=20))
def test_what_rows_are_allowed_sums_to_the_budget_of_all_windows(budget: float, rows: list[int]) -> None:
    plan = Augmentation(depth=7, budget=budget)
    before, total = 0, 0
    for windows in rows:
        total += plan.allowed(before, windows)
        before += windows
    assert total == int(budget * before)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Augmentation(depth=8), r"depth must lie in \[0, 7\], got 8"),
        (lambda: Augmentation(depth=-1), "got -1"),
        (lambda: Augmentation(budget=1), "budget must lie in .* with depth 0"),
        (lambda: Augmentation(depth=2, budget=3), "got 3 with depth 2"),
        (lambda: Augmentation(depth=2, budget=float("nan")), "got nan"),
    ],
)
def test_impossible_augmentation_is_refused(make: Callable[[], Augmentation], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make()


def test_the_record_names_depth_and_budget() -> None:
    assert [str(Augmentation()), str(Augmentation(depth=2)), str(Augmentation(depth=4, budget=0.5))] == [
        "",
        "depth 2",
        "depth 4, budget 0.5",
    ]
