"""Sliding windows: networks over a scene of any size, in memory bounded by one row of windows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from undercast.bands import BandMatch
from undercast.errors import ModelError, SceneError, WindowError
from undercast.inference.augmentation import ONE_VIEW, Augmentation, look_more
from undercast.inference.backends import Network
from undercast.inference.pipeline import closing_pool, in_order
from undercast.model_spec import ModelSpec, network_input
from undercast.types import Bool, Float32
from undercast.windows import Window, WindowPlan, blend_ramp

RowReader: TypeAlias = Callable[[Window], Float32]
"""Full-width rows of a scene -> reflectance of the matched bands ``(band, y, x)``, NaN without data."""

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many windows are done, and how many there are."""

PROBABILITY_SLACK = 1e-3
"""How far outside [0, 1] a probability may lie through rounding, half-precision networks included."""

WINDOWS_AHEAD = 3
"""Batches that wait for a network, at most: it works on while the finished rows are handed out."""

ROWS_AT_ONCE = 32
"""Rows that are read together, and finished rows that are handed out together, at most."""

PARTS_AHEAD = 2
"""Parts of ``ROWS_AT_ONCE`` rows that are read, and wait, while networks work."""

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
    """Reads the matched bands and, after them, the spec's terrain; every row is asked for exactly once."""
    batch_size: int = 1
    """Windows that a network gets at once, at most."""
    augmentation: Augmentation = ONE_VIEW
    """How often windows are looked at."""
    calls: int = 1
    """Batches that the networks work on side by side."""


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

    While networks work on windows, the rows below are read, and the windows that are done are blended.

    Memory: two rows of windows of input and one of what each member says, beside what is worked on; see
    ``memory.Load``. With a budget of further views, once more one row of windows of both.

    Args:
        job: Networks, windows and pixels.
        progress: Is told after each batch how many windows are done.

    Raises:
        ModelError: If a network returns another shape than its spec says, or no probabilities.
        BackendError: If a network fails.
    """
    shape = (len(job.networks), len(job.spec.classes), job.plan.window[0], job.plan.grown[1])
    sums = np.zeros(shape, np.float32)
    done = 0
    with closing_pool(job.calls) as pool:
        for batch, members in in_order(pool, _batches(job), partial(_seen, job), waiting=job.calls + WINDOWS_AHEAD):
            for place, share, said in zip(batch.places, batch.shares, members, strict=True):
                _blend_in(sums[..., place], said, batch.line.share, share)
            done += batch.windows
            if progress is not None:
                progress(done, len(job.plan))
            if batch.last:
                yield from _finished_rows(job.plan, batch.line, sums)
                kept = _move_up(sums, batch.line.end - batch.line.start)
                sums[..., kept:, :] = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Line:
    """A row of windows."""

    start: int
    """First row."""
    end: int
    """First row of the next; rows above it are finished with this one."""
    share: Float32
    """Its share in each of its rows of pixels."""
    valid: Bool
    """True where every band has data, ``(rows, width)``."""
    covered: Bool
    """True where any band has data, ``(rows, width)``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Batch:
    """Windows of one row that a network gets at once; maybe none, at its end."""

    line: _Line
    """Their row."""
    places: Sequence[slice]
    """Columns of each."""
    shares: Sequence[Float32]
    """Share of each in its columns of pixels."""
    pixels: Float32
    """What a network takes, ``(window, band, y, x)``."""
    allowed: int
    """Further views of all of them together, where there is a budget."""
    windows: int
    """Windows that are done with it: these, and those before them without data."""
    last: bool
    """Whether the row ends with it."""


def _batches(job: SlidingJob) -> Iterator[_Batch]:
    """Cut a scene into batches of windows, row by row; what is cut holds its own pixels."""
    plan = job.plan
    columns, width = len(plan.col_starts), plan.window[1]
    row_shares = blend_shares(plan.row_starts, plan.window[0], plan.overlap)
    col_shares = blend_shares(plan.col_starts, width, plan.overlap)
    ends = (*plan.row_starts[1:], plan.grown[0])
    for index, (start, end, strip) in enumerate(zip(plan.row_starts, ends, _input_strips(job), strict=True)):
        valid, covered = _coverage(strip[: len(strip) - len(job.spec.terrain)])
        line = _Line(start=start, end=end, share=row_shares[index], valid=valid, covered=covered)
        wanted = [
            (slice(first, first + width), share)
            for first, share in zip(plan.col_starts, col_shares, strict=True)
            if valid[:, first : first + width].any()
        ]
        # A budget is shared out among all windows of a row.
        together = job.batch_size if job.augmentation.budget is None else max(len(wanted), 1)
        groups = [wanted[first : first + together] for first in range(0, len(wanted), together)] or [[]]
        for number, group in enumerate(groups):
            pixels = np.empty((len(group), job.spec.channels, plan.window[0], width), np.float32)
            for window, (place, _) in enumerate(group):
                complete = bool(valid[:, place].all())
                network_input(job.spec, job.matches, strip[:, :, place], out=pixels[window], complete=complete)
            yield _Batch(
                line=line,
                places=[place for place, _ in group],
                shares=[share for _, share in group],
                pixels=pixels,
                allowed=job.augmentation.allowed(index * columns, columns),
                windows=len(group) + (columns - len(wanted) if number == 0 else 0),
                last=number == len(groups) - 1,
            )


def _seen(job: SlidingJob, batch: _Batch) -> Float32:
    """Run every member over a batch.

    Returns:
        ``(window, member, layer, y, x)``.
    """
    if not batch.places:
        return np.empty(0, np.float32)
    members = look_more(
        [partial(_run, job.spec, network) for network in job.networks],
        batch.pixels,
        job.augmentation,
        valid=np.stack([batch.line.valid[:, place] for place in batch.places]),
        allowed=batch.allowed,
        batch_size=job.batch_size,
    )
    return members.swapaxes(0, 1)


def _blend_in(sums: Float32, said: Float32, row_share: Float32, col_share: Float32) -> None:
    """Add a window ``(member, layer, y, x)`` to the sums; only the pixels that others see, too, need weights."""
    columns = list(_segments(col_share))
    for rows, row_weights in _segments(row_share):
        part = said[..., rows, :] if row_weights is None else said[..., rows, :] * row_weights[:, np.newaxis]
        for cols, col_weights in columns:
            piece = part[..., cols]
            if row_weights is None and col_weights is None:
                sums[..., rows, cols] = piece  # no other window adds anything here
            else:
                sums[..., rows, cols] += piece if col_weights is None else piece * col_weights


def _segments(share: Float32) -> Iterator[tuple[slice, Float32 | None]]:
    """Cut a window's side into stretches that it has alone, without weights, and those that it shares."""
    shared = share != 1.0
    bounds = [0, *(np.flatnonzero(np.diff(shared)) + 1).tolist(), len(share)]
    for first, last in itertools.pairwise(bounds):
        yield slice(first, last), share[first:last] if shared[first] else None


def _finished_rows(plan: SlidingPlan, line: _Line, sums: Float32) -> Iterator[MemberStrip]:
    """Hand out copies of the rows to which no further window adds, some at a time to spare memory."""
    rows, width = min(line.end, plan.shape[0]) - line.start, plan.shape[1]
    for first in range(0, rows, ROWS_AT_ONCE):
        part = slice(first, min(first + ROWS_AT_ONCE, rows))
        yield MemberStrip(
            row=line.start + first,
            members=np.clip(sums[..., part, :width], 0.0, 1.0),
            valid=line.valid[part, :width].copy(),
            covered=line.covered[part, :width].copy(),
        )


def _move_up(stack: Float32, rows: int) -> int:
    """Let a stack ``(..., y, x)`` begin at its row ``rows``, in place.

    Returns:
        How many rows it has kept; below them is what was there.
    """
    kept: int = stack.shape[-2] - rows
    # Neither a step that is no longer than the move nor a single layer makes NumPy copy what it moves.
    for place in np.ndindex(stack.shape[:-2]):
        layer = stack[place]
        for first in range(0, kept, rows):
            last = min(first + rows, kept)
            layer[first:last] = layer[first + rows : last + rows]
    return kept


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
    present = sum(match.index is not None for match in job.matches) + len(job.spec.terrain)
    height, width = plan.window[0], plan.grown[1]
    buffer = np.empty((present, height, width), np.float32)
    with closing_pool(1) as reader:
        reads = in_order(reader, _parts(plan), lambda part: job.read_rows(part.rows), waiting=PARTS_AHEAD)
        for part, rows in reads:
            if rows.shape != (present, *part.rows.shape):
                msg = f"expected pixels of shape {(present, *part.rows.shape)}, got {rows.shape}."
                raise SceneError(msg)
            if part.kept:
                _move_up(buffer, height - part.kept)
            filled = part.place + part.rows.height
            buffer[:, part.place : filled] = _grow(rows, (part.rows.height, width))
            del rows  # it is large, and this frame outlives the networks' work on it
            if part.last:
                if filled < height:
                    buffer[:, filled:] = _grow(buffer[:, :filled], (height, width))[:, filled:]
                yield buffer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Rows of the scene that a row of windows adds to those before it, or some of them."""

    rows: Window
    """Which."""
    place: int
    """Their first row in the buffer."""
    kept: int
    """Rows at the buffer's end that become its first before these come; 0 where that is done."""
    last: bool
    """Whether the row of windows is complete with them."""


def _parts(plan: SlidingPlan) -> Iterator[_Part]:
    """Give the rows of the scene in the order of the windows, each once, some at a time to spare memory."""
    end = 0
    for start in plan.row_starts:
        first, kept = end, max(end - start, 0)
        end = min(start + plan.window[0], plan.shape[0])
        for row in range(first, end, ROWS_AT_ONCE):
            rows = Window(row=row, col=0, height=min(ROWS_AT_ONCE, end - row), width=plan.shape[1])
            last = row + rows.height == end
            yield _Part(rows=rows, place=row - start, kept=kept if row == first else 0, last=last)


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
