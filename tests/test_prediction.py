"""A prediction is one value or a stream of strips, and both say the same."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.grids import Grid
from undercast.prediction import (
    ModelIdentity,
    Prediction,
    PredictionHeader,
    PredictionStream,
    Strip,
    cloud_layers,
    collect,
    cropped,
)
from undercast.types import Bool
from undercast.windows import Window


def prediction(height: int = 3, width: int = 4) -> Prediction:
    """Give a prediction whose first pixel is not valid."""
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(4), (height, width)).transpose(2, 0, 1).astype(np.float32)
    class_map = probabilities.argmax(axis=0).astype(np.uint8)
    uncertainty = rng.random((height, width), dtype=np.float32)
    probabilities[:, 0, 0], uncertainty[0, 0], class_map[0, 0] = np.nan, np.nan, 255
    return Prediction(
        header=PredictionHeader(
            scene="scene", grid=Grid(shape=(height, width)), model=ModelIdentity(id="tiny", version="1")
        ),
        class_map=class_map,
        probabilities=probabilities,
        uncertainty=uncertainty,
        partly_valid=1,
    )


def same(left: Prediction, right: Prediction) -> None:
    assert left.header == right.header
    assert left.partly_valid == right.partly_valid
    np.testing.assert_array_equal(left.class_map, right.class_map)
    np.testing.assert_array_equal(left.probabilities, right.probabilities)
    np.testing.assert_array_equal(left.uncertainty, right.uncertainty)


def test_valid_and_percentages_leave_nodata_out() -> None:
    made = prediction()
    assert not made.valid[0, 0]
    assert int(made.valid.sum()) == 11
    assert sum(made.percent.values()) == pytest.approx(100.0)
    assert made.percent["clear"] == pytest.approx(100 * (made.class_map == 0).sum() / 11)


def test_a_prediction_streamed_and_collected_is_itself() -> None:
    same(collect(prediction().stream()), prediction())


@given(st.integers(1, 12), st.data())
def test_strips_are_put_together_in_their_order(height: int, data: st.DataObject) -> None:
    whole = prediction(height=height)
    cuts = sorted(data.draw(st.sets(st.integers(1, height - 1)))) if height > 1 else []
    edges = [0, *cuts, height]
    strips = [
        Strip(
            row=top,
            class_map=whole.class_map[top:end],
            probabilities=whole.probabilities[:, top:end],
            uncertainty=whole.uncertainty[top:end],
            partly_valid=int(top == 0),
        )
        for top, end in itertools.pairwise(edges)
    ]
    same(collect(PredictionStream(header=whole.header, strips=iter(strips))), whole)


@given(st.integers(0, 6), st.integers(0, 2), st.integers(1, 5), st.integers(1, 3))
def test_a_window_cut_out_of_strips_is_the_window_of_the_whole(row: int, col: int, height: int, step: int) -> None:
    whole = prediction(height=11)
    asked = []

    def strips() -> Iterator[Strip]:
        for top in range(0, 11, step):
            asked.append(top)
            rows = slice(top, top + step)
            yield Strip(
                row=top,
                class_map=whole.class_map[rows],
                probabilities=whole.probabilities[:, rows],
                uncertainty=whole.uncertainty[rows],
            )

    def outside(part: Window) -> Bool:
        return np.asarray(np.indices((11, 4)).sum(axis=0)[part.rows, part.cols] % 5 == 0)

    window = Window(row=row, col=col, height=height, width=2)
    part = collect(cropped(PredictionStream(header=whole.header, strips=strips()), window, outside))
    away = outside(window)
    assert part.header.grid == whole.header.grid.part(window)
    np.testing.assert_array_equal(part.class_map, np.where(away, 255, whole.class_map[window.rows, window.cols]))
    np.testing.assert_array_equal(part.valid, whole.valid[window.rows, window.cols] & ~away)
    assert max(asked) < row + height


def test_the_pair_is_the_probability_of_cloud_and_the_uncertainty() -> None:
    made = prediction()
    cloud, uncertainty = made.pair
    assert cloud.shape == uncertainty.shape == (1, 3, 4)
    np.testing.assert_allclose(cloud[0], made.probabilities[1] + made.probabilities[2])
    np.testing.assert_array_equal(uncertainty[0], made.uncertainty)


@pytest.mark.parametrize(
    ("names", "layers"),
    [
        (("clear", "thick_cloud", "thin_cloud", "cloud_shadow"), [1, 2]),
        (("clear", "cloud"), [1]),
        (("cloud",), [0]),
        (("clear", "cloud_shadow"), [1]),
    ],
)
def test_cloud_is_thick_and_thin_or_else_what_is_not_clear(names: tuple[str, ...], layers: list[int]) -> None:
    assert cloud_layers(names) == layers
