"""Sliding windows: networks over a scene of any size, in memory bounded by one row of windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from undercast.bands import BandMatch
from undercast.errors import ModelError, SceneError, WindowError
from undercast.inference.augmentation import ONE_VIEW, Augmentation, look_more
from undercast.inference.backends import Network
from undercast.model_spec import ModelSpec, network_input
from undercast.types import Bool, Float32
from undercast.windows import Window, WindowPlan, blend_ramp

RowReader: TypeAlias = Callable[[Window], Float32]
"""Full-width rows of a scene -> reflectance of the matched bands ``(band, y, x)``, NaN without data."""

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many windows are done, and how many there are."""

PROBABILITY_SLACK = 1e-3
"""How far outside [0, 1] a probability may lie through rounding, half-precision networks included."""

DEFAULT_OVERLAP_SHARE = 8
"""Where the model's overlap does not fit a window that a person chose: its side divided by this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlidingPlan:
    """Rows of windows over a scene: every pixel lies in at least one window."""

    shape: tuple[int, int]
    """Height and width of the scene, in pixels."""
    window: tuple[int, int]
    """Height and width of each window, in pixels."""
    overlap: int
    """Pixels that neighbouring windows share at least; the length of the blending ramp."""
    row_starts: tuple[int, ...]
    """First row of each row of windows."""
    col_starts: tuple[int, ...]
    """First column of each window in a row."""

    @property
    def grown(self) -> tuple[int, int]:
        """Height and width after growth by reflection: at least one window."""
        return max(self.shape[0], self.window[0]), max(self.shape[1], self.window[1])

    def __len__(self) -> int:
        """Count the windows."""
        return len(self.row_starts) * len(self.col_starts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SlidingJob:
    """Everything that a pass over a scene needs."""

    spec: ModelSpec
    """What the networks expect and return."""
    matches: tuple[BandMatch, ...]
    """One match per model band."""
    networks: tuple[Network, ...]
    """Members of the ensemble; at least one."""
    plan: SlidingPlan
    """Where the windows lie."""
    read_rows: RowReader
    """Reads the matched bands; every row is asked for exactly once."""
    batch_size: int = 1
    """Windows that a network gets at once, at most."""
    augmentation: Augmentation = ONE_VIEW
    """How often windows are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MemberStrip:
    """Finished full-width rows of every member."""

    row: int
    """First row."""
    members: Float32
    """Blended probabilities in [0, 1], ``(member, layer, rows, width)``; meaningless where not valid."""
    valid: Bool
    """True where every matched band has data, ``(rows, width)``."""
    covered: Bool
    """True where any matched band has data, ``(rows, width)``."""

    @property
    def partly_valid(self) -> int:
        """Pixels that some but not all of the bands cover."""
        return int(np.count_nonzero(self.covered & ~self.valid))


def plan_windows(
    spec: ModelSpec, shape: tuple[int, int], *, window: int | None = None, overlap: int | None = None
) -> SlidingPlan:
    """Place windows over a scene.

    A side shorter than the window gets one window, shrunk to the next multiple of ``spec.multiple``.

    Args:
        spec: The model's spec.
        shape: Height and width of the scene, in pixels.
        window: Side of a window instead of the model's, in pixels.
        overlap: Overlap instead of the model's, in pixels.

    Raises:
        WindowError: If the scene is too small, or window and overlap do not fit the model.
    """
    side = spec.window if window is None else window
    if side % spec.multiple or side < spec.multiple:
        nearest = max(1, round(side / spec.multiple)) * spec.multiple
        msg = f"window must be a multiple of {spec.multiple} (model {spec.id!r}), got {side}. Try {nearest}."
        raise WindowError(msg)
    if overlap is None:
        overlap = spec.overlap if spec.overlap < side else side // DEFAULT_OVERLAP_SHARE
    WindowPlan(shape=shape, window=side, overlap=overlap)
    height, width = (min(side, -(-length // spec.multiple) * spec.multiple) for length in shape)
    grown = max(shape[0], height), max(shape[1], width)
    return SlidingPlan(
        shape=shape,
        window=(height, width),
        overlap=overlap,
        row_starts=WindowPlan(shape=grown, window=height, overlap=min(overlap, height - 1)).row_starts,
        col_starts=WindowPlan(shape=grown, window=width, overlap=min(overlap, width - 1)).col_starts,
    )


def slide(job: SlidingJob, progress: Progress | None = None) -> Iterator[MemberStrip]:
    """Run every member over a scene, from top to bottom, and blend its windows.

    Strips follow each other without gap from row 0. Windows without any valid pixel never reach a network.
    Each member's windows are blended on their own; what the members say together is decided afterwards.

    Memory: one strip of input and, per member, one strip of probabilities, each one window high; with a budget of
    further views, once more one row of windows of both.

    Args:
        job: Networks, windows and pixels.
        progress: Is told after each batch how many windows are done.

    Raises:
        ModelError: If a network returns another shape than its spec says, or no probabilities.
        BackendError: If a network fails.
    """
    plan = job.plan
    layers = len(job.spec.classes)
    row_shares = blend_shares(plan.row_starts, plan.window[0], plan.overlap)
    sums = np.zeros((len(job.networks), layers, plan.window[0], plan.grown[1]), np.float32)
    ends = (*plan.row_starts[1:], plan.grown[0])
    for index, (start, end, strip) in enumerate(zip(plan.row_starts, ends, _input_strips(job), strict=True)):
        valid, covered = _coverage(strip)
        done = index * len(plan.col_starts)
        for finished in _add_windows(job, index, strip, valid, row_shares[index], sums):
            if progress is not None:
                progress(done + finished, len(plan))
        rows, width = min(end, plan.shape[0]) - start, plan.shape[1]
        inside = (slice(rows), slice(width))
        yield MemberStrip(
            row=start,
            members=np.clip(sums[..., :rows, :width], 0.0, 1.0, out=sums[..., :rows, :width]),
            valid=valid[inside].copy(),
            covered=covered[inside].copy(),
        )
        sums = _moved_up(sums, end - start)


def blend_shares(starts: Sequence[int], window: int, overlap: int) -> Float32:
    """Give each window's share in the pixels along one side; the shares of a pixel sum to 1.

    The windows' weights are outer products and the windows form a lattice, so that the share of a window in a
    pixel is its share along rows times its share along columns; a window that is left out holds no valid
    pixel, so no valid pixel misses it.

    Args:
        starts: First pixel of each window.
        window: Side of a window, in pixels.
        overlap: Length of the ramp, in pixels.

    Returns:
        ``(window, pixel)``, in (0, 1].
    """
    ramp = blend_ramp(window, overlap)
    total = np.zeros(max(starts) + window, np.float32)
    for start in starts:
        total[start : start + window] += ramp
    return np.stack([ramp / total[start : start + window] for start in starts])


def _input_strips(job: SlidingJob) -> Iterator[Float32]:
    """Give the input of each row of windows ``(band, y, x)``, in one buffer that is used again."""
    plan = job.plan
    present = sum(match.index is not None for match in job.matches)
    height, width = plan.window[0], plan.grown[1]
    buffer = np.empty((present, height, width), np.float32)
    end = 0
    for start in plan.row_starts:
        kept = max(end - start, 0)
        if kept:
            buffer[:, :kept] = buffer[:, height - kept :]
        wanted = Window(
            row=start + kept,
            col=0,
            height=min(start + height, plan.shape[0]) - start - kept,
            width=plan.shape[1],
        )
        rows = job.read_rows(wanted)
        if rows.shape != (present, *wanted.shape):
            msg = f"expected pixels of shape {(present, *wanted.shape)}, got {rows.shape}."
            raise SceneError(msg)
        buffer[:, kept:] = _grow(rows, (height - kept, width))
        del rows  # a strip is large, and this frame outlives the networks' work on it
        end = start + height
        yield buffer


def _grow(rows: Float32, shape: tuple[int, int]) -> Float32:
    """Grow ``(..., y, x)`` downwards and to the right by reflection, as often as it takes."""
    below, right = shape[0] - rows.shape[-2], shape[1] - rows.shape[-1]
    if not below and not right:
        return rows
    return np.pad(rows, (*((0, 0),) * (rows.ndim - 2), (0, below), (0, right)), mode="reflect")


def _coverage(strip: Float32) -> tuple[Bool, Bool]:
    """Tell where all bands, and where any band, have data."""
    every = np.isfinite(strip[0])
    some = every.copy()
    for band in strip[1:]:
        finite = np.isfinite(band)
        every &= finite
        some |= finite
    return every, some


def _add_windows(
    job: SlidingJob, index: int, strip: Float32, valid: Bool, row_share: Float32, sums: Float32
) -> Iterator[int]:
    """Add one row of windows to the members' sums; yields how many of its windows are done."""
    plan = job.plan
    columns = len(plan.col_starts)
    allowed = job.augmentation.allowed(index * columns, columns)
    width = plan.window[1]
    col_shares = blend_shares(plan.col_starts, width, plan.overlap)
    wanted = [
        (start, share)
        for start, share in zip(plan.col_starts, col_shares, strict=True)
        if valid[:, start : start + width].any()
    ]
    skipped = columns - len(wanted)
    if not wanted:
        yield skipped
    networks = [partial(_run, job.spec, network) for network in job.networks]
    # A budget is shared out among all windows of a row.
    together = job.batch_size if job.augmentation.budget is None else max(len(wanted), 1)
    for first in range(0, len(wanted), together):
        some = wanted[first : first + together]
        places = [slice(start, start + width) for start, _ in some]
        members = look_more(
            networks,
            np.stack([network_input(job.spec, job.matches, strip[:, :, place]) for place in places]),
            job.augmentation,
            valid=np.stack([valid[:, place] for place in places]),
            allowed=allowed,
            batch_size=job.batch_size,
        )
        for window, (place, (_, share)) in enumerate(zip(places, some, strict=True)):
            weights = np.outer(row_share, share)
            for member in range(len(networks)):
                sums[member, :, :, place] += members[member, window] * weights
        yield skipped + first + len(some)


def _run(spec: ModelSpec, network: Network, batch: Float32) -> Float32:
    """Run a network on windows of any size and hold what it returns against its spec."""
    height, width = batch.shape[2:]
    grown = _grow(batch, (-(-height // spec.multiple) * spec.multiple, -(-width // spec.multiple) * spec.multiple))
    outputs = network(grown)
    expected = (batch.shape[0], len(spec.classes), *grown.shape[2:])
    if outputs.shape != expected:
        msg = f"model {spec.id!r}: expected an output of shape {expected}, got {outputs.shape}."
        raise ModelError(msg)
    outputs = outputs[..., :height, :width]
    low, high = float(outputs.min()), float(outputs.max())
    if not (low >= -PROBABILITY_SLACK and high <= 1.0 + PROBABILITY_SLACK):
        msg = (
            f"model {spec.id!r}: expected probabilities in [0, 1], got {low:.4g} to {high:.4g}."
            " The network must end in softmax or sigmoid."
        )
        raise ModelError(msg)
    return outputs


def _moved_up(sums: Float32, rows: int) -> Float32:
    """Give new sums that begin at the old ones' row ``rows``; what was handed out is never touched again."""
    moved = np.zeros_like(sums)
    kept = sums.shape[2] - rows
    if kept:
        moved[:, :, :kept] = sums[:, :, rows:]
    return moved
