"""Objects: connected pixels of a mask, their sizes, and what is too small to be one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from undercast.classes import CLEAR, CLOUD_SHADOW, THICK_CLOUD, THIN_CLOUD
from undercast.types import NODATA, Bool, UInt8

OBJECTS = ((THICK_CLOUD, THIN_CLOUD), (CLOUD_SHADOW,))
"""Classes whose pixels make one object together: the thin edge of a cloud belongs to it."""

_AROUND = (THICK_CLOUD, THIN_CLOUD, CLOUD_SHADOW, NODATA)


def labelled(mask: Bool, *, diagonal: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the connected objects of a mask.

    Runs of pixels in a row are joined to those of the row below; roots of the runs are then hooked to smaller ones
    until all runs of an object have the same (Shiloach and Vishkin 1982, doi 10.1016/0196-6774(82)90008-6).

    Args:
        mask: The mask ``(y, x)``.
        diagonal: Whether pixels that touch at a corner are connected.

    Returns:
        The number of each pixel's object, from 1, and 0 outside; and the size of each object in pixels, by number,
        where that of 0 is 0.
    """
    height, width = mask.shape
    padded = np.zeros((height, width + 1), np.int8)
    padded[:, :-1] = mask
    edges = np.flatnonzero(np.diff(padded.ravel(), prepend=0))
    starts, ends = edges[::2], edges[1::2]
    roots = _joined(len(starts), *_touching(starts, ends, width + 1, reach=int(diagonal)))
    numbers, objects = np.unique(roots, return_inverse=True)
    lengths = ends - starts
    out = np.zeros(mask.shape, np.int64)
    out[mask] = np.repeat(objects + 1, lengths)
    sizes = np.zeros(len(numbers) + 1, np.int64)
    np.add.at(sizes, objects + 1, lengths)
    return out, sizes


def _touching(
    starts: NDArray[np.int64], ends: NDArray[np.int64], step: int, *, reach: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair the runs that touch a run of the row below; positions count through all rows of ``step`` pixels."""
    first = np.searchsorted(ends, starts + step - reach, side="right")
    count = np.maximum(np.searchsorted(starts, ends + step + reach, side="left") - first, 0)
    above = np.repeat(np.arange(len(starts)), count)
    below = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    return above, below


def _joined(count: int, one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give each of some nodes the smallest node that pairs connect it with."""
    roots = np.arange(count)
    while True:
        low, high = np.minimum(roots[one], roots[other]), np.maximum(roots[one], roots[other])
        apart = low != high
        if not apart.any():
            return roots
        np.minimum.at(roots, high[apart], low[apart])
        while not np.array_equal(further := roots[roots], roots):
            roots = further


def without_small(class_map: UInt8, smallest: int) -> UInt8:
    """Make objects of fewer than ``smallest`` pixels clear."""
    out = class_map.copy()
    for values in OBJECTS:
        numbers, sizes = labelled(np.isin(class_map, values), diagonal=True)
        out[((sizes > 0) & (sizes < smallest))[numbers]] = CLEAR
    return out


def without_holes(class_map: UInt8, largest: int) -> UInt8:
    """Fill clear holes of up to ``largest`` pixels that cloud and shadow enclose.

    A hole takes the class that most of the pixels around it have. What touches nodata or the array's edge is no hole.
    """
    clear = class_map == CLEAR
    numbers, sizes = labelled(clear, diagonal=False)
    kinds = np.zeros(NODATA + 1, np.int64)
    kinds[list(_AROUND)] = np.arange(len(_AROUND))
    around = np.zeros(len(sizes) * len(_AROUND), np.int64)
    padded = np.pad(class_map, 1, constant_values=NODATA)
    for neighbours in (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]):
        edge = clear & (neighbours != CLEAR)
        around += np.bincount(numbers[edge] * len(_AROUND) + kinds[neighbours[edge]], minlength=len(around))
    counts = around.reshape(-1, len(_AROUND))
    hole = (sizes > 0) & (sizes <= largest) & (counts[:, -1] == 0)
    filling = np.array(_AROUND, np.uint8)[counts.argmax(axis=1)]
    return np.where(hole[numbers], filling[numbers], class_map)
