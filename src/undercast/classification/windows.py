"""Windows: a scene in squares of a classifier's ground size, each read and resampled to its side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast.classifier_spec import ClassifierSpec
from undercast.errors import GridError, SceneError, WindowError
from undercast.grids import Grid
from undercast.types import FEW_PIXELS, Float32
from undercast.windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """Windows in rows and columns; the last ones are moved back to end at the scene's edge, so that all lie inside."""

    row_starts: tuple[int, ...]
    """First pixel row of each row of windows."""
    col_starts: tuple[int, ...]
    """First pixel column of each window in a row."""
    height: int
    """Pixel rows of a window."""
    width: int
    """Pixel columns of a window."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of windows."""
        return len(self.row_starts), len(self.col_starts)

    def __iter__(self) -> Iterator[Window]:
        """Go through the windows row by row."""
        for row in self.row_starts:
            for col in self.col_starts:
                yield Window(row=row, col=col, height=self.height, width=self.width)


def lay_windows(grid: Grid, spec: ClassifierSpec, *, name: str) -> Lattice:
    """Cover a scene with windows of the classifier's ground size.

    Args:
        grid: Of the scene.
        spec: The classifier's spec.
        name: Of the scene, for messages.

    Raises:
        GridError: If the scene is not georeferenced, so that nothing tells the size of its pixels.
        WindowError: If its pixels are too large for the classifier.
        SceneError: If it is smaller than one window.
    """
    pixel = grid.pixel_size_m
    if pixel is None:
        msg = (
            f"{name}: expected a georeferenced scene, to cut windows of {spec.window_m:g} m; this one does not say how"
            " large its pixels are. Give it a coordinate reference system, e.g. with gdal_translate -a_srs and -a_ullr."
        )
        raise GridError(msg)
    height, width = (max(1, round(spec.window_m / side)) for side in pixel)
    if min(height, width) < FEW_PIXELS:
        msg = (
            f"{name}: expected pixels of at most {spec.window_m / FEW_PIXELS:g} m, for windows of {spec.window_m:g} m"
            f" with {FEW_PIXELS} px or more; they have {pixel[0]:g} x {pixel[1]:g} m. Take a finer sensor."
        )
        raise WindowError(msg)
    rows, cols = grid.shape
    if rows < height or cols < width:
        msg = (
            f"{name}: expected at least one window of {spec.window_m:g} m ({height} x {width} px), got {rows} x"
            f" {cols} px."
        )
        raise SceneError(msg)
    return Lattice(row_starts=_starts(rows, height), col_starts=_starts(cols, width), height=height, width=width)


def _starts(length: int, window: int) -> tuple[int, ...]:
    return (*range(0, length - window, window), length - window)


def resampled(values: Float32, side: int) -> Float32:
    """Bring a window to the classifier's side: pixels are repeated where it grows, averaged where it shrinks.

    BigEarthNet's own bands of 20 and 60 m are enlarged in the same way (nearest neighbour).

    Args:
        values: ``(layer, y, x)``; NaN where there is no data.
        side: Side of the result, in pixels.

    Returns:
        ``(layer, side, side)``; NaN where no pixel has data.
    """
    if values.shape[1:] == (side, side):
        return values
    there = np.isfinite(values)
    total, count = np.where(there, values, 0.0), there.astype(np.int64)
    for axis in (1, 2):
        total, count = _along(total, axis, side), _along(count, axis, side)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _along(values: NDArray[Any], axis: int, side: int) -> NDArray[Any]:
    """Repeat values along an axis, or sum them up."""
    length = values.shape[axis]
    if length < side:
        return np.asarray(values.take((2 * np.arange(side) + 1) * length // (2 * side), axis=axis))
    return np.asarray(np.add.reduceat(values, np.arange(side) * length // side, axis=axis))


def corners(grid: Grid, window: Window) -> Sequence[tuple[float, float]]:
    """Give the corners of a window in the grid's coordinates: a closed ring, from the first row's first column on."""
    a, b, c, d, e, f = grid.transform
    top, left = window.row, window.col
    bottom, right = top + window.height, left + window.width
    ring = [(left, top), (left, bottom), (right, bottom), (right, top), (left, top)]
    return [(a * col + b * row + c, d * col + e * row + f) for col, row in ring]
