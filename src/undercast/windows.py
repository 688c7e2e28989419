"""Windows: rectangles of pixels, plans that cover a scene with them, and blending weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from undercast.errors import WindowError
from undercast.types import FEW_PIXELS, Float32


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A rectangle of pixels; rows grow downwards."""

    row: int
    """First row."""
    col: int
    """First column."""
    height: int
    """Number of rows."""
    width: int
    """Number of columns."""

    @property
    def rows(self) -> slice:
        """Rows as a slice."""
        return slice(self.row, self.row + self.height)

    @property
    def cols(self) -> slice:
        """Columns as a slice."""
        return slice(self.col, self.col + self.width)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPlan:
    """A cover of a scene by square windows: every pixel lies in at least one window."""

    shape: tuple[int, int]
    """Height and width of the scene, in pixels."""
    window: int
    """Side of a window, in pixels; a scene smaller than it is grown by reflection before it is cut."""
    overlap: int
    """Pixels that neighbouring windows share at least."""

    def __post_init__(self) -> None:
        """Refuse impossible plans."""
        if min(self.shape) < FEW_PIXELS:
            msg = f"a scene needs at least {FEW_PIXELS} px on each side, got {self.shape[0]} x {self.shape[1]}."
            raise WindowError(msg)
        if self.window < FEW_PIXELS:
            msg = f"window must be at least {FEW_PIXELS} px, got {self.window}."
            raise WindowError(msg)
        if not 0 <= self.overlap < self.window:
            msg = (
                f"overlap must be in [0, {self.window}) for window={self.window}, got {self.overlap}."
                f" Try overlap={self.window // 8}."
            )
            raise WindowError(msg)

    @property
    def row_starts(self) -> tuple[int, ...]:
        """First row of each row of windows."""
        return _starts(self.shape[0], self.window, self.overlap)

    @property
    def col_starts(self) -> tuple[int, ...]:
        """First column of each window in a row."""
        return _starts(self.shape[1], self.window, self.overlap)

    def __len__(self) -> int:
        """Count the windows."""
        return len(self.row_starts) * len(self.col_starts)

    def __iter__(self) -> Iterator[Window]:
        """Go through the windows row by row."""
        for row in self.row_starts:
            for col in self.col_starts:
                yield Window(row=row, col=col, height=self.window, width=self.window)


def _starts(length: int, window: int, overlap: int) -> tuple[int, ...]:
    """Place windows along one side; the last is moved back to end at the edge."""
    if length <= window:
        return (0,)
    starts = list(range(0, length - window, window - overlap))
    return (*starts, length - window)


def blend_ramp(window: int, overlap: int) -> Float32:
    """Weight each pixel along a window's side by its distance to the nearer end.

    The weights are never zero, so a pixel seen by one window alone keeps its value.

    Args:
        window: Side of the window, in pixels.
        overlap: Length of the ramp, in pixels.

    Returns:
        Weights of shape ``(window,)``, in (0, 1], without unit.
    """
    distance = np.minimum(np.arange(window), np.arange(window)[::-1]) + 1
    return np.minimum(distance / (overlap + 1), 1).astype(np.float32)
