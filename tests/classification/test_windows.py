"""Windows cover a scene, lie inside it, and come to the classifier's side."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.classification.windows import corners, lay_windows, resampled
from undercast.errors import GridError, SceneError, WindowError
from undercast.grids import Grid
from undercast.windows import Window


def grid(height: int, width: int, gsd: float = 10.0, **changes: object) -> Grid:
    values: dict[str, object] = {
        "shape": (height, width),
        "transform": (gsd, 0.0, 1000.0, 0.0, -gsd, 9000.0),
        "crs": "EPSG:32633",
    }
    return Grid(**{**values, **changes})  # type: ignore[arg-type]


def test_a_patch_of_1200_m_is_one_window(make: SimpleNamespace) -> None:
    lattice = lay_windows(grid(120, 120), make.tiny_spec(), name="patch")
    assert list(lattice) == [Window(row=0, col=0, height=120, width=120)]


def test_the_last_windows_are_moved_back_to_the_edge(make: SimpleNamespace) -> None:
    lattice = lay_windows(grid(100, 90, 30.0), make.tiny_spec(), name="scene")
    assert (lattice.height, lattice.width) == (40, 40)
    assert lattice.row_starts == (0, 40, 60)
    assert lattice.col_starts == (0, 40, 50)


@given(st.integers(40, 300), st.integers(40, 300))
def test_every_pixel_lies_in_a_window(height: int, width: int) -> None:
    seen = np.zeros((height, width), int)
    for window in lay_windows(grid(height, width, 30.0), SPEC, name="scene"):
        assert window.shape == (40, 40)
        seen[window.rows, window.cols] += 1
    assert seen.shape == (height, width)
    assert seen.min() >= 1


def test_degrees_are_metres_at_the_scenes_latitude(make: SimpleNamespace) -> None:
    step = 10.0 / 111_320.0
    place = grid(200, 400, transform=(step, 0.0, 10.0, 0.0, -step, 60.0), crs="EPSG:4326", geographic=True)
    lattice = lay_windows(place, make.tiny_spec(), name="scene")
    assert lattice.height == 120
    assert 235 < lattice.width < 245


@pytest.mark.parametrize(
    ("place", "error", "said"),
    [
        (grid(240, 240, crs=None), GridError, "does not say how large its pixels are"),
        (grid(119, 240), SceneError, r"at least one window of 1200 m \(120 x 120 px\), got 119 x 240 px"),
        (grid(99, 99, 300.0), WindowError, "pixels of at most 150 m"),
    ],
)
def test_scenes_without_a_whole_window_are_refused(
    make: SimpleNamespace, place: Grid, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        lay_windows(place, make.tiny_spec(), name="scene")


def test_a_window_grows_by_repeated_pixels() -> None:
    assert resampled(np.array([[[1.0, 2.0], [3.0, np.nan]]], np.float32), 4)[0, :2].tolist() == [[1, 1, 2, 2]] * 2


def test_a_window_shrinks_by_means_of_the_pixels_with_data() -> None:
    window = np.array([[[1.0, 3.0, np.nan, np.nan], [5.0, np.nan, np.nan, np.nan]]], np.float32)
    found = resampled(window, 1)
    assert found.tolist() == [[[3.0]]]
    halves = resampled(window.repeat(2, axis=1), 2)
    assert np.isnan(halves[0, :, 1]).all()
    assert halves[0, :, 0].tolist() == [2.0, 5.0]


@given(st.integers(1, 50), st.integers(1, 50), st.floats(-5, 5, width=32))
def test_resampling_keeps_a_constant(length: int, side: int, value: float) -> None:
    assert np.allclose(resampled(np.full((2, length, length), value, np.float32), side), value, atol=1e-5)


def test_corners_are_a_closed_ring_of_the_windows_ground() -> None:
    ring = corners(grid(120, 120), Window(row=10, col=0, height=120, width=120))
    assert ring == [(1000, 8900), (1000, 7700), (2200, 7700), (2200, 8900), (1000, 8900)]


SPEC: Any = SimpleNamespace(window_m=1200.0)
