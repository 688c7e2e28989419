"""A change sees the rows around each strip, and no more are held than it needs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from undercast.grids import Grid
from undercast.postprocessing.rows import Margin, Rows, changed
from undercast.prediction import ModelIdentity, PredictionHeader, PredictionStream, Strip
from undercast.types import UInt8


def stream_of(class_map: UInt8, heights: list[int]) -> PredictionStream:
    header = PredictionHeader(
        scene="scene", grid=Grid(shape=(len(class_map), class_map.shape[1])), model=ModelIdentity(id="m", version="1")
    )

    def strips() -> Iterator[Strip]:
        row = 0
        for height in heights:
            part = class_map[row : row + height]
            yield Strip(
                row=row,
                class_map=part,
                probabilities=np.full((4, *part.shape), row, np.float32),
                uncertainty=np.zeros(part.shape, np.float32),
            )
            row += height

    return PredictionStream(header=header, strips=strips())


@pytest.mark.parametrize("margin", [(0, 0), (1, 0), (0, 2), (3, 3), (20, 20)])
@pytest.mark.parametrize("heights", [[10], [1] * 10, [3, 4, 3], [9, 1]])
def test_a_change_sees_its_margin_around_every_row(margin: tuple[int, int], heights: list[int]) -> None:
    class_map = np.repeat(np.arange(10, dtype=np.uint8)[:, None], 3, axis=1)
    above, below = margin
    seen: list[tuple[int, ...]] = []

    def change(rows: Rows) -> UInt8:
        numbers = rows.class_map[:, 0].tolist()
        assert numbers == list(range(rows.row, rows.row + len(numbers)))
        seen.append((numbers[0], numbers[-1]))
        return rows.class_map + np.uint8(100)

    strips = list(changed(stream_of(class_map, heights), change, Margin(above=above, below=below)))
    assert [strip.row for strip in strips] == np.cumsum([0, *heights[:-1]]).tolist()
    np.testing.assert_array_equal(np.concatenate([strip.class_map for strip in strips]), class_map + 100)
    for strip, (first, last) in zip(strips, seen, strict=True):
        end = strip.row + len(strip.class_map)
        assert first == max(strip.row - above, 0)
        assert last >= min(end + below, 10) - 1
        assert (strip.probabilities == strip.row).all()


def test_strips_wait_only_for_the_rows_below() -> None:
    taken = []
    base = stream_of(np.zeros((10, 2), np.uint8), [2] * 5)

    def counted() -> Iterator[Strip]:
        for strip in base.strips:
            taken.append(strip.row)
            yield strip

    stream = PredictionStream(header=base.header, strips=counted())
    strips = changed(stream, lambda rows: rows.class_map, Margin(above=4, below=3))
    next(strips)
    assert taken == [0, 2, 4]
