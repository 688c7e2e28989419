"""A grid is shape, transform and coordinate reference system."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio import CRS
from rasterio.warp import transform

from undercast.grids import Grid
from undercast.terrain import steps_of
from undercast.windows import Window


def test_the_ground_sample_distance_is_in_metres_whatever_the_unit_of_the_grid() -> None:
    metres = Grid(shape=(8, 8), transform=(10.0, 0.0, 0.0, 0.0, -10.0, 0.0), crs="EPSG:32631")
    degrees = Grid(shape=(8, 8), transform=(1 / 112, 0, 0, 0, -1 / 112, 0), crs="EPSG:4326", geographic=True)
    turned = Grid(shape=(8, 8), transform=(6.0, 8.0, 0.0, 8.0, -6.0, 0.0), crs="EPSG:32631")
    assert metres.gsd == turned.gsd == 10.0
    assert degrees.gsd == pytest.approx(994, abs=1)
    assert Grid(shape=(8, 8)).gsd is None


def test_degrees_of_longitude_say_nothing_of_the_ground_sample_distance() -> None:
    # Copernicus GLO-30 north of 60 degrees: two seconds of longitude by one of latitude.
    grid = Grid(shape=(8, 8), transform=(2 / 3600, 0, 20, 0, -1 / 3600, 61), crs="EPSG:4326", geographic=True)
    assert grid.gsd == pytest.approx(30.9, abs=0.1)


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:3395", "EPSG:32633", "WKT1_GDAL", "WKT2_2019", "WKT1_ESRI"])
@pytest.mark.parametrize("latitude", [-60.0, 0.0, 45.0])
def test_pixels_of_web_maps_are_smaller_away_from_the_equator(crs: str, latitude: float) -> None:
    told = CRS.from_epsg(3857).to_wkt(version=crs) if crs.startswith("WKT") else crs
    (x,), (y,) = transform("EPSG:4326", told, [15.0], [latitude])
    grid = Grid(shape=(10, 10), transform=(10.0, 0.0, x - 50, 0.0, -10.0, y + 50), crs=told)
    size = 10 if crs == "EPSG:32633" else 10 * math.cos(math.radians(latitude))
    assert grid.pixel_size_m == pytest.approx((size, size), rel=1e-2)
    assert grid.gsd == 10.0


def test_feet_are_no_metres() -> None:
    grid = Grid(shape=(10, 10), transform=(10, 0, 0, 0, -10, 0), crs="EPSG:2263", unit_m=0.3048006096)
    assert grid.gsd == pytest.approx(3.048006)
    assert grid.pixel_size_m == pytest.approx((3.048006, 3.048006))
    assert steps_of(grid)[0][0] == pytest.approx(3.048006)


def test_the_whole_grid_is_a_window() -> None:
    full = Grid(shape=(5, 7)).full
    assert (full.row, full.col, full.shape) == (0, 0, (5, 7))


@given(st.floats(0.1, 5000), st.floats(0, 2 * math.pi))
def test_a_turned_grid_keeps_its_ground_sample_distance(step: float, angle: float) -> None:
    cosine, sine = step * math.cos(angle), step * math.sin(angle)
    grid = Grid(shape=(8, 8), transform=(cosine, sine, 0.0, sine, -cosine, 0.0), crs="EPSG:32631")
    assert grid.gsd == pytest.approx(step)


def test_pixels_have_a_height_and_a_width_in_metres() -> None:
    metres = Grid(shape=(8, 8), transform=(10.0, 0.0, 0.0, 0.0, -20.0, 0.0), crs="EPSG:32631")
    assert metres.pixel_size_m == (20.0, 10.0)
    north = Grid(shape=(2, 2), transform=(0.01, 0.0, 0.0, 0.0, -0.01, 60.01), crs="EPSG:4326", geographic=True)
    assert north.pixel_size_m == pytest.approx((1113.2, 556.6))
    assert Grid(shape=(8, 8)).pixel_size_m is None


def test_the_part_of_a_turned_grid_begins_at_the_windows_corner() -> None:
    turned = Grid(shape=(8, 8), transform=(6.0, 8.0, 100.0, 8.0, -6.0, 200.0), crs="EPSG:32631")
    part = turned.part(Window(row=2, col=1, height=3, width=4))
    assert part.shape == (3, 4)
    assert part.transform == (6.0, 8.0, 122.0, 8.0, -6.0, 196.0)
    assert part.crs == turned.crs
