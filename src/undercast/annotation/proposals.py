"""Proposals: where a person's next click says most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from undercast.annotation.points import Point
from undercast.types import Bool, Float32

PROPOSED = 12
"""Places that are proposed at once."""
APART = 24
"""Places keep a distance of the scene's longer side over this, where there is room for that."""


def propose(
    confidence: Float32, points: Sequence[Point], *, number: int = PROPOSED, apart_px: int | None = None
) -> tuple[tuple[int, int], ...]:
    """Propose the pixels of lowest confidence that lie apart from each other and from the points.

    The confidence is averaged over 3 x 3 pixels first, so that a place is unsure and not a single pixel.

    Args:
        confidence: In (0, 1] ``(y, x)``; NaN where there is no data, which is never proposed.
        points: What was clicked already.
        number: How many places at most; fewer where the scene has no room for more.
        apart_px: Distance along rows or columns that is kept, in pixels; see ``APART`` where it is None.

    Returns:
        Rows and columns, the least confident first.
    """
    apart = max(2, max(confidence.shape) // APART) if apart_px is None else apart_px
    free = np.isfinite(confidence)
    for point in points:
        _take(free, point.row, point.col, apart)
    averaged = _averaged(confidence)
    found = []
    for _ in range(number):
        if not free.any():
            break
        row, col = divmod(int(np.where(free, averaged, np.inf).argmin()), confidence.shape[1])
        found.append((row, col))
        _take(free, row, col, apart)
    return tuple(found)


def _take(free: Bool, row: int, col: int, apart: int) -> None:
    """Mark the square around a place as taken."""
    free[max(row - apart + 1, 0) : row + apart, max(col - apart + 1, 0) : col + apart] = False


def _averaged(confidence: Float32) -> Float32:
    """Average over 3 x 3 pixels that have data."""
    height, width = confidence.shape
    values = np.pad(np.nan_to_num(confidence, nan=0.0), 1)
    known = np.pad(np.isfinite(confidence), 1)
    total, number = np.zeros_like(confidence), np.zeros(confidence.shape, np.uint8)
    for row in range(3):
        for col in range(3):
            part = slice(row, row + height), slice(col, col + width)
            total += values[part]
            number += known[part]
    return np.asarray(total / np.maximum(number, 1), np.float32)
