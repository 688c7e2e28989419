"""Morphology: discs in metres, and what is dilated or opened by them."""

from __future__ import annotations

import math

import numpy as np

from undercast.types import Bool

EXACT_PX = 256
"""Radius up to which opening is exact for arrays of any size, in pixels; larger ones would take memory without end."""


def disc(radius_m: float, pixel_m: tuple[float, float]) -> tuple[int, ...]:
    """Describe a disc by its half-widths.

    Args:
        radius_m: Radius, in metres.
        pixel_m: Height and width of a pixel, in metres.

    Returns:
        For each row of the disc, from its uppermost to its lowest, how many pixels it reaches to either side. A pixel
        belongs to the disc where its centre is at most ``radius_m`` from that of the pixel in the middle.
    """
    height, width = pixel_m
    # A little more than nothing, so that 60 m at 10 m are 6 pixels whatever the rounding.
    radius = radius_m * (1 + 1e-9)
    rows = int(radius / height)
    return tuple(int(math.sqrt(radius**2 - (row * height) ** 2) / width) for row in range(-rows, rows + 1))


def dilated(mask: Bool, half_widths: tuple[int, ...]) -> Bool:
    """Mark every pixel that has a marked one within the disc around it; nothing is marked outside the array."""
    height, width = mask.shape
    half_widths = _within(half_widths, height, width)
    reach = len(half_widths) // 2
    # Marked pixels left of each column: a span holds one where the sums at its two ends differ.
    sums = np.zeros((height, width + 1), np.int32)
    np.cumsum(mask, axis=1, out=sums[:, 1:])
    columns = np.arange(width)
    out = np.zeros(mask.shape, np.bool_)
    if not mask.any():
        return out
    for half_width in sorted(set(half_widths)):
        first, last = np.maximum(columns - half_width, 0), np.minimum(columns + half_width + 1, width)
        spread = sums[:, last] > sums[:, first]
        for step in (row - reach for row, other in enumerate(half_widths) if other == half_width):
            if abs(step) >= height:
                continue
            to = slice(max(step, 0), height + min(step, 0))
            out[to] |= spread[max(-step, 0) : height - max(step, 0)]
    return out


def _within(half_widths: tuple[int, ...], rows: int, cols: int) -> tuple[int, ...]:
    """Cut a disc to so many rows and columns on each side of its middle: what is farther lies outside any array."""
    reach = len(half_widths) // 2
    kept = min(reach, rows)
    return tuple(min(half_width, cols) for half_width in half_widths[reach - kept : reach + kept + 1])


def opened(mask: Bool, half_widths: tuple[int, ...], unknown: Bool) -> Bool:
    """Keep of a mask what a disc that fits into it covers.

    Args:
        mask: The mask.
        half_widths: The disc.
        unknown: Pixels without data: a disc may lie on them, and outside the array, so that nothing is lost at the edge
            of the data.
    """
    # The edge of a disc whose middle lies far outside may still lie inside: it is cut only where it is huge.
    half_widths = _within(half_widths, *(max(2 * side, EXACT_PX) for side in mask.shape))
    reach = (len(half_widths) // 2, max(half_widths))
    room = np.pad(mask | unknown, [(px, px) for px in reach], constant_values=True)
    eroded = ~dilated(~room, half_widths)
    inside = tuple(slice(px, px + side) for px, side in zip(reach, mask.shape, strict=True))
    return np.asarray(dilated(eroded, half_widths)[inside] & mask, np.bool_)
