"""Sliding windows against a slow and plain reference that holds the whole scene."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undercast.bands import band_from_name
from undercast.errors import ModelError, SceneError, WindowError
from undercast.inference import sliding
from undercast.inference.augmentation import Augmentation
from undercast.inference.backends import Network
from undercast.inference.sliding import (
    MemberStrip,
    SlidingJob,
    SlidingPlan,
    blend_shares,
    plan_windows,
    slide,
)
from undercast.model_spec import ModelBand, ModelSpec, network_input
from undercast.types import Bool, Float32
from undercast.windows import Window, blend_ramp


def spec_of(*, window: int = 16, multiple: int = 4, overlap: int = 4, layers: int = 4) -> ModelSpec:
    names = ("clear", "thick_cloud", "thin_cloud", "cloud_shadow")[:layers]
    return ModelSpec(
        id="tiny",
        version="1",
        bands=tuple(ModelBand(band=band_from_name(name)) for name in ("green", "red")),
        classes=names if layers > 1 else ("cloud",),
        window=window,
        multiple=multiple,
        overlap=overlap,
    )


def pointwise(batch: Float32) -> Float32:
    """Four layers that depend on one pixel only and sum to 1."""
    logits = np.stack([batch[:, 0], 2 * batch[:, 1], batch[:, 0] - batch[:, 1], 0 * batch[:, 0]], axis=1)
    powers = np.exp(logits)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def positional(batch: Float32) -> Float32:
    """Four layers that depend on the place in the window and on the window's content: blending shows."""
    height, width = batch.shape[2:]
    place = np.arange(height)[:, None] * 0.37 + np.arange(width) * 0.11
    mean = batch.mean(axis=(1, 2, 3))[:, None, None]
    phases = np.arange(4)[None, :, None, None] + place[None, None] + 9 * mean[:, None]
    return np.asarray(0.5 + 0.5 * np.sin(phases), np.float32)


def job_of(
    reflectance: Float32,
    spec: ModelSpec,
    *,
    networks: tuple[Network, ...] = (pointwise,),
    plan: SlidingPlan | None = None,
    batch_size: int = 1,
) -> SlidingJob:
    matches = spec.match([wanted.band for wanted in spec.bands])
    return SlidingJob(
        spec=spec,
        matches=matches,
        networks=networks,
        plan=plan or plan_windows(spec, (reflectance.shape[1], reflectance.shape[2])),
        read_rows=lambda window: reflectance[:, window.rows, window.cols],
        batch_size=batch_size,
    )


def gathered(job: SlidingJob) -> tuple[Float32, Bool, int]:
    strips = list(slide(job))
    assert [strip.row for strip in strips] == list(np.cumsum([0, *[strip.valid.shape[0] for strip in strips]])[:-1])
    members = np.concatenate([strip.members for strip in strips], axis=2)
    valid = np.concatenate([strip.valid for strip in strips], axis=0)
    return members, valid, sum(strip.partly_valid for strip in strips)


def reference(job: SlidingJob, reflectance: Float32) -> Float32:
    """Sum windows and weights over the whole grown scene, in float64; NaN where no window with data lies."""
    plan = job.plan
    (height, width), (grown_height, grown_width) = plan.shape, plan.grown
    grown = np.pad(reflectance, ((0, 0), (0, grown_height - height), (0, grown_width - width)), mode="reflect")
    sums = np.zeros((len(job.networks), len(job.spec.classes), *plan.grown))
    weights = np.zeros(plan.grown)
    ramp = [blend_ramp(side, plan.overlap) for side in plan.window]
    for row in plan.row_starts:
        for col in plan.col_starts:
            window = Window(row=row, col=col, height=plan.window[0], width=plan.window[1])
            pixels = grown[:, window.rows, window.cols]
            if not np.isfinite(pixels).all(axis=0).any():
                continue
            weight = np.outer(*ramp)
            weights[window.rows, window.cols] += weight
            for member, network in enumerate(job.networks):
                batch = network_input(job.spec, job.matches, pixels)[None]
                sums[member][:, window.rows, window.cols] += network(batch)[0] * weight
    with np.errstate(invalid="ignore"):
        return (sums / weights)[:, :, :height, :width].astype(np.float32)


@st.composite
def jobs(draw: st.DrawFn) -> tuple[SlidingJob, Float32]:
    multiple = draw(st.sampled_from([1, 4, 8]))
    window = multiple * draw(st.integers(max(1, -(-8 // multiple)), 24 // multiple))
    overlap = draw(st.integers(0, window - 1))
    shape = draw(st.tuples(st.integers(8, 60), st.integers(8, 60)))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    reflectance = rng.random((2, *shape), np.float32)
    reflectance[:, : draw(st.integers(0, shape[0] - 1))] = np.nan
    reflectance[:, :, draw(st.integers(1, shape[1])) :] = np.nan
    reflectance[0, rng.random(shape) < 0.02] = np.nan
    spec = spec_of(window=window, multiple=multiple, overlap=overlap)
    networks = (positional, pointwise)[: draw(st.integers(1, 2))]
    return job_of(reflectance, spec, networks=networks, batch_size=draw(st.integers(1, 3))), reflectance


@settings(max_examples=60)
@given(jobs())
def test_streaming_gives_what_the_whole_scene_at_once_gives(case: tuple[SlidingJob, Float32]) -> None:
    job, reflectance = case
    members, valid, partly = gathered(job)
    every, some = np.isfinite(reflectance).all(axis=0), np.isfinite(reflectance).any(axis=0)
    np.testing.assert_array_equal(valid, every)
    assert partly == np.count_nonzero(some & ~every)
    assert members.shape == (len(job.networks), 4, *job.plan.shape)
    np.testing.assert_allclose(members[:, :, valid], reference(job, reflectance)[:, :, valid], atol=1e-5, rtol=0)


@settings(max_examples=30)
@given(jobs())
def test_a_network_that_looks_at_single_pixels_gives_the_same_in_windows_as_in_one_piece(
    case: tuple[SlidingJob, Float32],
) -> None:
    job, reflectance = case
    job = job_of(reflectance, job.spec, plan=job.plan)
    members, valid, _ = gathered(job)
    whole = pointwise(network_input(job.spec, job.matches, reflectance)[None])[0]
    np.testing.assert_allclose(members[0][:, valid], whole[:, valid], atol=1e-5, rtol=0)


@settings(max_examples=30)
@given(jobs(), st.floats(0, 1, width=32))
def test_stitching_a_constant_gives_the_constant_back(case: tuple[SlidingJob, Float32], value: float) -> None:
    job, reflectance = case

    def constant(batch: Float32) -> Float32:
        return np.full((batch.shape[0], 4, *batch.shape[2:]), value, np.float32)

    members, valid, _ = gathered(job_of(reflectance, job.spec, networks=(constant,), plan=job.plan))
    np.testing.assert_allclose(members[0][:, valid], value, atol=1e-6, rtol=0)


@given(st.integers(1, 40), st.integers(0, 39), st.lists(st.integers(0, 12), max_size=6))
def test_the_shares_of_a_pixel_sum_to_one(window: int, overlap: int, steps: list[int]) -> None:
    starts = [0, *np.cumsum([min(step + 1, window) for step in steps]).tolist()]
    shares = blend_shares(starts, window, min(overlap, window - 1))
    total = np.zeros(starts[-1] + window, np.float32)
    for start, share in zip(starts, shares, strict=True):
        total[start : start + window] += share
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_a_small_scene_is_grown_to_the_next_multiple_and_no_further() -> None:
    plan = plan_windows(spec_of(window=64, multiple=8), (10, 100))
    assert plan.window == (16, 64)
    assert plan.grown == (16, 100)
    assert plan.row_starts == (0,)
    assert plan.col_starts == (0, 36)
    assert len(plan) == 2


def test_a_small_scene_is_grown_by_reflection() -> None:
    reflectance = np.tile(np.arange(10, dtype=np.float32) / np.float32(10), (2, 8, 1))
    seen = []

    def network(batch: Float32) -> Float32:
        seen.append(batch)
        return pointwise(batch)

    members, _, _ = gathered(job_of(reflectance, spec_of(window=16, multiple=4), networks=(network,)))
    assert members.shape == (1, 4, 8, 10)
    assert [batch.shape for batch in seen] == [(1, 2, 8, 12)]
    np.testing.assert_allclose(seen[0][0, 0, 0, 8:] * 10, [8, 9, 8, 7])


def test_every_row_is_read_exactly_once() -> None:
    reflectance = np.random.default_rng(1).random((2, 50, 20), np.float32)
    asked: list[int] = []

    def read_rows(window: Window) -> Float32:
        assert (window.col, window.width) == (0, 20)
        asked.extend(range(window.row, window.row + window.height))
        return reflectance[:, window.rows, window.cols]

    job = job_of(reflectance, spec_of(window=16, overlap=12))
    list(
        slide(SlidingJob(spec=job.spec, matches=job.matches, networks=job.networks, plan=job.plan, read_rows=read_rows))
    )
    assert asked == list(range(50))


def test_windows_without_valid_pixels_never_reach_a_network() -> None:
    reflectance = np.full((2, 48, 48), np.nan, np.float32)
    reflectance[:, 40, 40] = 0.5
    calls = []

    def network(batch: Float32) -> Float32:
        calls.append(batch)
        return pointwise(batch)

    progress: list[tuple[int, int]] = []
    job = job_of(reflectance, spec_of(window=16, overlap=0), networks=(network,))
    strips = list(slide(job, lambda done, total: progress.append((done, total))))
    assert sum(batch.shape[0] for batch in calls) == 1
    assert sum(int(strip.valid.sum()) for strip in strips) == 1
    assert progress[-1] == (9, 9)
    assert [done for done, _ in progress] == sorted(done for done, _ in progress)


def test_pixels_without_data_are_filled_as_the_model_was_trained() -> None:
    reflectance = np.full((2, 8, 8), 0.25, np.float32)
    reflectance[1, 3, 3] = np.nan
    seen = []

    def network(batch: Float32) -> Float32:
        seen.append(batch)
        return pointwise(batch)

    gathered(job_of(reflectance, spec_of(window=8), networks=(network,)))
    assert seen[0][0, 1, 3, 3] == -1.0
    assert seen[0][0, 0, 3, 3] == 0.25


@settings(max_examples=20)
@given(jobs(), st.sampled_from([Augmentation(depth=2), Augmentation(depth=7)]))
def test_a_network_that_looks_at_single_pixels_gives_the_same_in_every_view(
    case: tuple[SlidingJob, Float32], augmentation: Augmentation
) -> None:
    job, reflectance = case
    once = job_of(reflectance, job.spec, plan=job.plan, batch_size=job.batch_size)
    expected, valid, _ = gathered(once)
    members, _, _ = gathered(replace(once, augmentation=augmentation))
    np.testing.assert_allclose(members[:, :, valid], expected[:, :, valid], atol=1e-5, rtol=0)


def test_a_window_at_half_the_resolution_grows_to_what_the_network_takes() -> None:
    reflectance = np.random.default_rng(1).random((2, 24, 24), np.float32)
    sides = []

    def network(batch: Float32) -> Float32:
        sides.append(batch.shape[2:])
        return pointwise(batch)

    job = job_of(reflectance, spec_of(window=24, multiple=8), networks=(network,))
    members, valid, _ = gathered(replace(job, augmentation=Augmentation(depth=1, budget=1)))
    assert sides == [(24, 24), (16, 16)]
    half = reflectance.reshape(2, 12, 2, 12, 2).mean((2, 4)).repeat(2, 1).repeat(2, 2)
    once, _, _ = gathered(job_of(reflectance, job.spec))
    afar, _, _ = gathered(job_of(half, job.spec))
    assert valid.all()
    np.testing.assert_allclose(members, (once + afar) / 2, atol=1e-6)


def test_a_budget_is_kept_over_the_whole_scene() -> None:
    reflectance = np.random.default_rng(1).random((2, 100, 90), np.float32)
    sizes = []

    def network(batch: Float32) -> Float32:
        sizes.append(batch.shape[0])
        return pointwise(batch)

    job = job_of(reflectance, spec_of(window=16, overlap=4), networks=(network,), batch_size=3)
    progress: list[tuple[int, int]] = []
    job = replace(job, augmentation=Augmentation(depth=4, budget=0.3))
    list(slide(job, lambda done, total: progress.append((done, total))))
    assert sum(sizes) == len(job.plan) + int(0.3 * len(job.plan))
    assert max(sizes) <= 3
    assert progress[-1] == (len(job.plan), len(job.plan))


def test_a_strip_that_was_handed_out_is_never_touched_again() -> None:
    reflectance = np.random.default_rng(1).random((2, 40, 20), np.float32)
    strips: list[MemberStrip] = []
    copies = []
    for strip in slide(job_of(reflectance, spec_of(window=16, overlap=8))):
        strips.append(strip)
        copies.append((strip.members.copy(), strip.valid.copy()))
    assert len(strips) > 2
    for strip, (members, valid) in zip(strips, copies, strict=True):
        np.testing.assert_array_equal(strip.members, members)
        np.testing.assert_array_equal(strip.valid, valid)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (lambda batch: pointwise(batch)[:, :3], "expected an output of shape"),
        (lambda batch: pointwise(batch) * 9, "must end in softmax or sigmoid"),
        (lambda batch: pointwise(batch) - np.float32(0.9), "must end in softmax or sigmoid"),
        (lambda batch: pointwise(batch) * np.float32(np.nan), "must end in softmax or sigmoid"),
    ],
)
def test_a_network_that_breaks_its_promise_is_refused(network: Callable[[Float32], Float32], words: str) -> None:
    reflectance = np.full((2, 8, 8), 0.5, np.float32)
    with pytest.raises(ModelError, match=words):
        list(slide(job_of(reflectance, spec_of(window=8), networks=(network,))))


def test_pixels_of_the_wrong_shape_are_refused() -> None:
    reflectance = np.full((3, 8, 8), 0.5, np.float32)
    with pytest.raises(SceneError, match=r"expected pixels of shape \(2, 8, 8\)"):
        list(slide(job_of(reflectance, spec_of(window=8))))


@pytest.mark.parametrize(
    ("shape", "window", "overlap", "words"),
    [
        ((7, 20), None, None, "at least 8 px"),
        ((20, 20), 18, None, "multiple of 4 .* Try 16"),
        ((20, 20), 0, None, "Try 4"),
        ((20, 20), 16, 16, r"overlap must be in \[0, 16\)"),
        ((20, 20), 4, None, "window must be at least 8 px"),
    ],
)
def test_impossible_windows_are_refused(
    shape: tuple[int, int], window: int | None, overlap: int | None, words: str
) -> None:
    with pytest.raises(WindowError, match=words):
        plan_windows(spec_of(), shape, window=window, overlap=overlap)


def test_a_smaller_window_takes_an_overlap_that_fits() -> None:
    assert plan_windows(spec_of(window=64, overlap=32), (99, 99), window=16).overlap == 2
    assert plan_windows(spec_of(window=64, overlap=8), (99, 99), window=16).overlap == 8


@pytest.mark.parametrize("rows", [1, 3, 5, 9])
def test_a_stack_moves_up_in_place_without_a_copy_of_what_is_kept(rows: int) -> None:
    stack = np.arange(2 * 10 * 50_000, dtype=np.float32).reshape(2, 10, 50_000)
    expected = stack[:, rows:].copy()
    tracemalloc.start()
    try:
        kept = sliding._move_up(stack, rows)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert kept == 10 - rows
    np.testing.assert_array_equal(stack[:, :kept], expected)
    assert most < stack[:, :2].nbytes
