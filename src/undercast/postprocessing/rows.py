"""Rows: changing the class map of a stream with rows above and below in view, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from undercast.prediction import PredictionStream, Strip
from undercast.types import UInt8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Some full-width rows of a class map."""

    row: int
    """First row."""
    class_map: UInt8
    """Values 0-3 and 255 (nodata), ``(rows, width)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """Rows that a change looks at beside the one that it changes."""

    above: int
    """Rows above."""
    below: int
    """Rows below."""

    def __add__(self, other: Margin) -> Margin:
        """Give the margin of two changes one after the other."""
        return Margin(above=self.above + other.above, below=self.below + other.below)


Change: TypeAlias = Callable[[Rows], UInt8]
"""Gives a class map of the same shape; right where the margin is in view."""


def changed(stream: PredictionStream, change: Change, margin: Margin) -> Iterator[Strip]:
    """Change the class map of each strip.

    Held in memory are the class map of ``margin.above`` rows, and whole strips of ``margin.below`` rows and one strip.
    """
    above = np.zeros((0, stream.header.grid.shape[1]), np.uint8)
    waiting: deque[Strip] = deque()
    rows_waiting = 0
    for strip in stream.strips:
        waiting.append(strip)
        rows_waiting += len(strip.class_map)
        while waiting and rows_waiting - len(waiting[0].class_map) >= margin.below:
            rows_waiting -= len(waiting[0].class_map)
            done, above = _first(waiting, above, change, margin)
            yield done
    while waiting:
        done, above = _first(waiting, above, change, margin)
        yield done


def _first(waiting: deque[Strip], above: UInt8, change: Change, margin: Margin) -> tuple[Strip, UInt8]:
    """Finish the first strip; give it and the rows above the next one."""
    strip = waiting.popleft()
    following = [later.class_map for later in waiting]
    below = np.concatenate(following)[: margin.below] if following else above[:0]
    view = np.concatenate([above, strip.class_map, below])
    made = change(Rows(row=strip.row - len(above), class_map=view))
    seen = view[: len(above) + len(strip.class_map)]
    done = replace(strip, class_map=made[len(above) : len(seen)].copy())
    return done, seen[max(len(seen) - margin.above, 0) :]
