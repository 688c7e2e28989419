from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.annotation.working import LARGEST_PIXELS, VALUES_AT_ONCE, averaged, step_of, working_scene
from undercast.bands import band_from_name
from undercast.grids import Grid
from undercast.scene import Scene, scene_from_array
from undercast.types import Float32
from undercast.windows import Window


def test_squares_are_averaged_over_pixels_that_have_data() -> None:
    values = np.array([[[1, 3, 5], [np.nan, 2, 7]]], np.float32)
    np.testing.assert_allclose(averaged(values, 2), [[[2, 6]]])


def test_a_square_without_data_stays_so_and_a_band_without_data_hides_the_pixel() -> None:
    values = np.ones((2, 2, 4), np.float32)
    values[1, :, :2] = np.nan
    made = averaged(values, 2)
    assert np.isnan(made[:, 0, 0]).all()
    assert (made[:, 0, 1] == 1).all()


def test_a_tile_of_sentinel_2_is_labelled_at_60_m() -> None:
    assert step_of((10980, 10980)) == 6


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(100, 10**6))
def test_the_working_grid_is_never_larger_than_its_limit(height: int, width: int, largest: int) -> None:
    step = step_of((height, width), largest=largest)
    assert math.ceil(height / step) * math.ceil(width / step) <= max(largest, 1)


def test_a_small_scene_is_taken_as_it_is() -> None:
    values = np.random.default_rng(0).random((2, 9, 11), np.float32)
    working = working_scene(scene_from_array(values, ["red", "nir"]))
    assert working.grid.shape == (9, 11)
    np.testing.assert_array_equal(working.read(), values)


class Endless:
    """Pixels of a scene that no memory holds; remembers the largest window."""

    largest = 0

    def read(self, window: Window, bands: Sequence[int]) -> Float32:
        self.largest = max(self.largest, window.height * window.width * len(bands))
        return np.full((len(bands), *window.shape), 0.25, np.float32)


def test_a_huge_scene_is_read_in_parts_and_keeps_its_place() -> None:
    pixels = Endless()
    bands = (band_from_name("red"), band_from_name("nir"))
    grid = Grid(shape=(5_000, 5_000), transform=(10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0), crs="EPSG:32631")
    working = working_scene(Scene(name="huge", bands=bands, grid=grid, pixels=pixels), largest=62_500)
    assert pixels.largest <= VALUES_AT_ONCE
    assert working.grid.shape == (250, 250)
    assert working.grid.transform == (200.0, 0.0, 500_000.0, 0.0, -200.0, 5_000_000.0)
    assert working.read().mean() == pytest.approx(0.25)
    assert LARGEST_PIXELS == 4_000_000
