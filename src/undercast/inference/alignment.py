"""Alignment: members that need passes of their own over a scene, put together in strips of common rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from undercast.inference.sliding import MemberStrip, Progress, SlidingJob, slide


def slide_together(jobs: Sequence[SlidingJob], progress: Progress | None = None) -> Iterator[MemberStrip]:
    """Run several jobs over one scene, and give the members of all of them strip by strip.

    A pixel is valid where every job says so; the jobs may have windows of different sizes. Members follow in the
    order of the jobs.

    Memory: the jobs' own, and per job at most one finished strip that waits for the others.

    Args:
        jobs: At least one; each gives as many layers and covers the same scene.
        progress: Is told how many of all windows are done.

    Raises:
        ModelError: If a network returns another shape than its spec says, or no probabilities.
        BackendError: If a network fails.
    """
    if len(jobs) == 1:
        return slide(jobs[0], progress)
    total = sum(len(job.plan) for job in jobs)
    done = [0] * len(jobs)

    def tell(place: int) -> Progress | None:
        if progress is None:
            return None

        def told(finished: int, _: int) -> None:
            done[place] = finished
            progress(sum(done), total)

        return told

    return _together([slide(job, tell(place)) for place, job in enumerate(jobs)])


def _together(passes: Sequence[Iterator[MemberStrip]]) -> Iterator[MemberStrip]:
    heads = [next(strips) for strips in passes]
    while True:
        rows = min(head.valid.shape[0] for head in heads)
        yield _stacked([_part(head, slice(rows)) for head in heads])
        following = []
        for head, strips in zip(heads, passes, strict=True):
            left = _part(head, slice(rows, None))
            coming = left if left.valid.shape[0] else next(strips, None)
            if coming is None:
                # All jobs cover the same rows, so that the others end here, too.
                return
            following.append(coming)
        heads = following


def _part(strip: MemberStrip, rows: slice) -> MemberStrip:
    return MemberStrip(
        row=strip.row + (rows.start or 0),
        members=strip.members[:, :, rows],
        valid=strip.valid[rows],
        covered=strip.covered[rows],
    )


def _stacked(strips: Sequence[MemberStrip]) -> MemberStrip:
    return MemberStrip(
        row=strips[0].row,
        members=np.concatenate([strip.members for strip in strips]),
        valid=np.logical_and.reduce([strip.valid for strip in strips]),
        covered=np.logical_or.reduce([strip.covered for strip in strips]),
    )
