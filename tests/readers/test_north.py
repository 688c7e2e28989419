"""North lies where the CRS says, in polar projections, too."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.warp import transform

from undercast.grids import Grid
from undercast.readers.north import north_of, sun_on_grid
from undercast.scene import SunAngles


def grid_at(longitude: float, latitude: float, crs: str) -> Grid:
    (x,), (y,) = transform("EPSG:4326", crs, [longitude], [latitude])
    return Grid(shape=(100, 200), transform=(10.0, 0.0, x - 1000.0, 0.0, -10.0, y + 500.0), crs=crs)


@given(longitude=st.floats(-179, 179), south=st.booleans())
def test_around_a_pole_north_turns_with_the_longitude(longitude: float, south: bool) -> None:
    # EPSG 3413 has 45 degrees west at the bottom, 3031 the meridian of Greenwich at the top.
    crs, latitude, up = ("EPSG:3031", -80.0, longitude) if south else ("EPSG:3413", 80.0, -45.0 - longitude)
    turned = north_of(grid_at(longitude, latitude, crs)) - up
    assert math.cos(math.radians(turned)) == pytest.approx(1.0, abs=1e-6)


def test_in_utm_it_lies_near_the_y_axis() -> None:
    assert north_of(grid_at(9.0, 50.0, "EPSG:32632")) == pytest.approx(0.0, abs=1e-6)
    # Convergence of the meridian: tan(3 degrees of longitude) * sin(50 degrees of latitude).
    assert north_of(grid_at(12.0, 50.0, "EPSG:32632")) == pytest.approx(-2.3, abs=0.02)
    assert north_of(grid_at(12.0, -50.0, "EPSG:32732")) == pytest.approx(2.3, abs=0.02)


@pytest.mark.parametrize(
    "grid",
    [
        Grid(shape=(9, 9)),
        Grid(shape=(9, 9), crs="EPSG:4326", geographic=True),
        Grid(shape=(9, 9), crs='LOCAL_CS["somewhere",UNIT["metre",1]]'),
        Grid(shape=(9, 9), transform=(1e6, 0, 9e7, 0, -1e6, 9e7), crs="+proj=geos +h=35785831 +lon_0=0 +sweep=y"),
    ],
)
def test_where_nothing_tells_it_north_is_up(grid: Grid) -> None:
    assert north_of(grid) == 0.0


def test_the_sun_is_turned_with_the_grid() -> None:
    sun = SunAngles(zenith=60.0, azimuth=170.0)
    turned = sun_on_grid(sun, grid_at(135.0, 75.0, "EPSG:3413"))
    assert turned.zenith == 60.0
    assert turned.azimuth == pytest.approx(350.0, abs=1e-3)
