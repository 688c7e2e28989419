"""Members that need passes of their own, put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from undercast.bands import band_from_name
from undercast.inference.alignment import slide_together
from undercast.inference.sliding import MemberStrip, SlidingJob, plan_windows, slide
from undercast.model_spec import ModelBand, ModelSpec
from undercast.types import Bool, Float32
from undercast.windows import Window


def first_band(batch: Float32) -> Float32:
    return np.clip(batch[:, :1], 0.0, 1.0)


def job_of(reflectance: Float32, bands: Sequence[int], *, window: int, overlap: int, scale: float = 1.0) -> SlidingJob:
    """A job whose one network gives its first band; the bands are those of the array at these positions."""
    offered = [band_from_name(name) for name in ("blue", "green", "red")]
    spec = ModelSpec(
        id="tiny",
        version="1",
        bands=tuple(ModelBand(band=offered[place]) for place in bands),
        classes=("cloud",),
        scale=scale,
        window=window,
        multiple=1,
        overlap=overlap,
    )

    def read(place: Window) -> Float32:
        return reflectance[list(bands)][:, place.rows, place.cols]

    return SlidingJob(
        spec=spec,
        matches=spec.match([offered[place] for place in bands]),
        networks=(first_band,),
        plan=plan_windows(spec, (reflectance.shape[1], reflectance.shape[2])),
        read_rows=read,
    )


def gathered(strips: Sequence[MemberStrip]) -> tuple[Float32, Bool, int]:
    assert [strip.row for strip in strips] == list(
        np.cumsum([0, *(strip.valid.shape[0] for strip in strips)])[: len(strips)]
    )
    members = np.concatenate([strip.members for strip in strips], axis=2)
    return members, np.concatenate([strip.valid for strip in strips]), sum(strip.partly_valid for strip in strips)


@given(
    st.integers(8, 40),
    st.integers(8, 40),
    st.lists(st.tuples(st.integers(8, 24), st.integers(0, 7)), min_size=2, max_size=3),
    st.integers(0, 1000),
)
def test_passes_with_windows_of_any_sizes_give_what_each_gives_alone(
    height: int, width: int, windows: list[tuple[int, int]], seed: int
) -> None:
    reflectance = np.random.default_rng(seed).random((3, height, width), np.float32)
    jobs = [
        job_of(reflectance, [place], window=window, overlap=overlap) for place, (window, overlap) in enumerate(windows)
    ]
    members, valid, _ = gathered(list(slide_together(jobs)))
    for place, job in enumerate(jobs):
        np.testing.assert_array_equal(members[place], gathered(list(slide(job)))[0][0])
    assert valid.all()


def test_members_of_other_bands_scaling_and_windows_see_what_they_expect() -> None:
    reflectance = np.stack([np.full((20, 12), value, np.float32) for value in (0.1, 0.2, 0.3)])
    jobs = [
        job_of(reflectance, [0, 1], window=8, overlap=2, scale=2.0),
        job_of(reflectance, [2], window=20, overlap=0, scale=3.0),
    ]
    members, _, _ = gathered(list(slide_together(jobs)))
    np.testing.assert_allclose(members[0], 0.2, rtol=1e-6)
    np.testing.assert_allclose(members[1], 0.9, rtol=1e-6)


def test_a_pixel_is_valid_where_every_pass_says_so_and_partly_where_only_some_do() -> None:
    reflectance = np.full((3, 10, 10), 0.5, np.float32)
    reflectance[0, 0, :4] = np.nan
    reflectance[1, 0, :2] = np.nan
    reflectance[1, 9, 9] = np.nan
    jobs = [job_of(reflectance, [0], window=8, overlap=0), job_of(reflectance, [1], window=10, overlap=0)]
    _, valid, partly = gathered(list(slide_together(jobs)))
    assert (valid == 0).sum() == 5
    assert partly == 3


def test_progress_counts_the_windows_of_all_passes() -> None:
    reflectance = np.full((3, 20, 20), 0.5, np.float32)
    jobs = [job_of(reflectance, [0], window=10, overlap=0), job_of(reflectance, [1], window=20, overlap=0)]
    told: list[tuple[int, int]] = []
    list(slide_together(jobs, lambda done, total: told.append((done, total))))
    assert told[-1] == (5, 5)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_one_pass_is_left_as_it_is() -> None:
    reflectance = np.random.default_rng(0).random((3, 12, 12), np.float32)
    job = replace(job_of(reflectance, [0], window=8, overlap=4), networks=(first_band, first_band))
    members, _, _ = gathered(list(slide_together([job])))
    np.testing.assert_allclose(members[1, 0], reflectance[0], atol=1e-6)
