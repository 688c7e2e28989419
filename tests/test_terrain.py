"""The ground's shape, as models are told it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.errors import GridError
from undercast.grids import Grid
from undercast.scene import SunAngles
from undercast.simulation.surface import hillshade
from undercast.terrain import LOWEST_KM, STEEPEST, Terrain, north_up, steps_of, terrain_layers, widened
from undercast.types import TERRAIN_LAYERS, Float32
from undercast.windows import Window


def plane(east: float, north: float, *, side: int = 5, pixel_m: float = 10.0) -> Float32:
    """Draw a plane that rises by so much per metre to the east and to the north."""
    axis = np.arange(side, dtype=np.float32) * pixel_m
    return np.asarray(500 + east * axis[None, :] - north * axis[:, None], np.float32)


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 80), st.floats(0, 360))
def test_of_a_plane_slope_and_light_are_those_of_its_normal(
    east: float, north: float, zenith: float, azimuth: float
) -> None:
    sun = SunAngles(zenith=zenith, azimuth=azimuth)
    elevation, slope, cosine = terrain_layers(plane(east, north), north_up(10.0), sun)
    assert slope == pytest.approx(math.hypot(east, north), abs=1e-3)
    normal = np.array([-east, -north, 1]) / math.sqrt(1 + east**2 + north**2)
    z, a = math.radians(zenith), math.radians(azimuth)
    light = float(normal @ [math.sin(z) * math.sin(a), math.sin(z) * math.cos(a), math.cos(z)])
    assert cosine == pytest.approx(max(light, 0.0), abs=1e-3)
    assert elevation == pytest.approx(plane(east, north)[1:-1, 1:-1] / 1000)


def test_the_simulated_ground_is_shaded_by_the_same_sun_as_networks_are_told() -> None:
    axis = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    elevation = np.asarray(60 * np.add.outer(np.sin(axis), np.cos(2 * axis)), np.float32)
    sun = SunAngles(zenith=50.0, azimuth=200.0)
    cosine = terrain_layers(np.pad(elevation, 1, mode="wrap"), north_up(30.0), sun, ("sun_cosine",))[0]
    shade = hillshade(elevation, 30.0, sun)
    assert np.corrcoef(cosine.ravel(), shade.ravel())[0, 1] > 0.999


def test_a_hole_leaves_what_it_touches_unknown_and_no_more() -> None:
    ground = plane(0.1, 0.0, side=7)
    ground[3, 3] = np.nan
    elevation, slope, _ = terrain_layers(ground, north_up(10.0), None)
    assert np.isnan(elevation).sum() == 1
    assert np.isnan(slope).sum() == 4
    assert not np.isnan(slope[2, 2])


def test_without_sun_there_is_no_light_and_without_crs_no_terrain() -> None:
    assert np.isnan(terrain_layers(plane(0, 0), north_up(10.0), None, ("sun_cosine",))).all()
    with pytest.raises(GridError, match="without CRS"):
        steps_of(Grid(shape=(4, 4)))


def test_sea_floors_and_walls_stay_in_the_range_that_networks_know() -> None:
    elevation, slope = terrain_layers(plane(50, 0) - 5000, north_up(10.0), None, ("elevation", "slope"))
    assert elevation.min() == pytest.approx(LOWEST_KM)
    assert slope.max() == STEEPEST


def test_a_turned_grid_and_one_in_degrees_say_the_same_of_a_plane() -> None:
    turned = Grid(shape=(3, 3), transform=(0.0, 10.0, 0.0, 10.0, 0.0, 0.0), crs="EPSG:32631")
    rises_east = np.repeat(np.arange(5, dtype=np.float32)[:, None], 5, axis=1)  # along rows, which go east here
    sun = SunAngles(zenith=45.0, azimuth=90.0)
    expected = terrain_layers(plane(0.1, 0.0), north_up(10.0), sun, ("slope", "sun_cosine"))
    got = terrain_layers(rises_east, steps_of(turned), sun, ("slope", "sun_cosine"))
    np.testing.assert_allclose(got, expected, atol=1e-6)
    degrees = Grid(shape=(2, 2), transform=(1e-4, 0, 9.0, 0, -1e-4, 60.0001), crs="EPSG:4326", geographic=True)
    (east, _), (_, north) = steps_of(degrees)
    assert east == pytest.approx(5.566, abs=1e-3)
    assert north == pytest.approx(-11.132, abs=1e-3)


def test_a_windows_layers_are_those_of_the_whole() -> None:
    ground = widened(np.random.default_rng(1).normal(0, 50, (12, 9)).astype(np.float32))

    def read(window: Window) -> Float32:
        return ground[window.row + 1 : window.row + 1 + window.height, window.col + 1 : window.col + 1 + window.width]

    terrain = Terrain(elevation=read, steps=north_up(30.0), sun=SunAngles(zenith=30.0, azimuth=10.0))
    whole = terrain.read(Window(row=0, col=0, height=12, width=9), TERRAIN_LAYERS)
    part = terrain.read(Window(row=3, col=2, height=4, width=5), TERRAIN_LAYERS)
    np.testing.assert_array_equal(whole[:, 3:7, 2:7], part)
