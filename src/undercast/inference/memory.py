"""Memory: how much a pass over a scene takes, and windows that keep it within a budget and waste little on overlap."""

from __future__ import annotations

import ctypes
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache

from undercast.errors import UsageError
from undercast.inference.sliding import SlidingPlan, plan_windows
from undercast.model_spec import ModelSpec
from undercast.types import FEW_PIXELS

ORDINARY_BYTES = 790_000_000
"""Budget where nobody names one: what masking a Sentinel-2 tile on a laptop may take."""

FIXED_BYTES = 395_000_000
"""What is there beside windows and rows, in bytes: Python, GDAL with decoded blocks, the runtime, a small network,
strips that wait, and what the allocator keeps."""

LARGEST_GROWTH = 4 / 3
"""Side of a fitted window over that of the model's own, at most."""

LARGEST_KEPT = 2**25
"""Bytes of an array up to which its memory is used again; glibc allows no more."""

ARENAS = 2
"""Places from which glibc takes memory for threads."""

BYTES_PER_VALUE = 4
"""Of single precision."""

UNITS = {"MB": 10**6, "GB": 10**9, "MiB": 2**20, "GiB": 2**30}
"""Units of memory, in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a pass keeps in memory, beside its windows' shape."""

    bands: int
    """Layers that are read."""
    layers: int
    """Layers that all members together give."""
    windows: int = 1
    """Windows that are worked on side by side."""
    working: int = 400
    """Memory that a network works in, per pixel of a window, in bytes."""

    def bytes_of(self, plan: SlidingPlan) -> int:
        """Estimate the memory of a pass: two rows of windows of input, three of what members say, and the windows.

        For the embedded model's 400 bytes it is within 30 MB of the peaks in f32 with OpenVINO (2026.4, two streams,
        scenes of 5490 and 10980 px, windows of 256 x 512 to 384 x 672 px); larger networks take more.
        """
        height, width = plan.window
        rows = height * plan.grown[1] * BYTES_PER_VALUE * (2 * self.bands + 3 * self.layers)
        return FIXED_BYTES + rows + self.windows * height * width * self.working


@cache
def share_arenas() -> None:
    """Tell glibc to let threads share two arenas; what each would keep of one of its own adds up to many megabytes.

    What is freed is kept for the next window: otherwise some runs take hundreds of thousands of page faults.
    """
    m_trim_threshold, m_mmap_threshold, m_arena_max = -1, -3, -8
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(m_arena_max, ARENAS)
        libc.mallopt(m_mmap_threshold, LARGEST_KEPT)
        libc.mallopt(m_trim_threshold, 16 * LARGEST_KEPT)


def hand_back() -> None:
    """Give memory that was freed, and kept for further windows, back to the system: what comes next takes its own."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def fitted_plan(
    spec: ModelSpec, shape: tuple[int, int], load: Load, *, overlap: int | None = None, budget: int
) -> SlidingPlan:
    """Place windows so that a network sees the fewest pixels more than once, within a budget of memory.

    Windows are at most ``LARGEST_GROWTH`` times as long as the model's own; where a scene is wide and the budget small,
    they are lower, down to half of it. Where that is still too much, the plan is the one that takes least.

    Args:
        spec: The model's spec.
        shape: Height and width of the scene, in pixels.
        load: What takes memory beside the windows.
        overlap: Overlap instead of the model's, in pixels.
        budget: For the whole process, in bytes.

    Raises:
        WindowError: If the scene is too small, or the overlap does not fit the model.
    """
    own = plan_windows(spec, shape, overlap=overlap)
    sides = range(spec.multiple, int(spec.window * LARGEST_GROWTH) + 1, spec.multiple)
    squares = [
        plan_windows(spec, shape, window=side, overlap=own.overlap)
        for side in sides
        if side > own.overlap and side >= max(spec.window / 2, FEW_PIXELS)
    ]
    plans = [
        replace(high, window=(high.window[0], wide.window[1]), col_starts=wide.col_starts)
        for high in squares
        for wide in squares
        if wide.window[1] >= own.window[1]
    ]
    fitting = [plan for plan in plans if load.bytes_of(plan) <= budget]
    return min(fitting, key=_pixels_seen) if fitting else min(plans, key=load.bytes_of)


def _pixels_seen(plan: SlidingPlan) -> int:
    return len(plan) * plan.window[0] * plan.window[1]


def parse_bytes(text: str) -> int:
    """Read an amount of memory, such as ``800MB`` or ``1.5GB``.

    Raises:
        UsageError: If it is none.
    """
    found = re.fullmatch(rf"(\d{{1,6}}(?:\.\d{{1,3}})?)\s*({'|'.join(UNITS)})", text.strip())
    if found is None or not float(found[1]):
        msg = f"--memory: expected a number and one of {', '.join(UNITS)}, got {text!r}. Try --memory 1GB"
        raise UsageError(msg)
    return int(float(found[1]) * UNITS[found[2]])
