"""A shadow is flagged where no cloud lies towards the sun, whatever the sun's direction."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from undercast.errors import UsageError
from undercast.grids import Grid
from undercast.postprocessing import shadows
from undercast.postprocessing.shadows import sun_ray, unsupported_shadows
from undercast.scene import SunAngles
from undercast.types import Bool, UInt8

PIXEL = (60.0, 60.0)


def grid(size: int, *, step: float = 60.0) -> Grid:
    return Grid(shape=(size, size), transform=(step, 0, 5e5, 0, -step, 5e6), crs="EPSG:32632")


def place(azimuth: float, *, pixels: float, size: int = 101) -> UInt8:
    """Draw a shadow in the middle and a cloud so many pixels from it in the direction of an azimuth."""
    class_map = np.zeros((size, size), np.uint8)
    middle = size // 2
    row = middle - round(pixels * math.cos(math.radians(azimuth)))
    col = middle + round(pixels * math.sin(math.radians(azimuth)))
    class_map[row - 2 : row + 3, col - 2 : col + 3] = 1
    class_map[middle, middle] = 3
    return class_map


@pytest.mark.parametrize("azimuth", range(0, 360, 15))
def test_a_cloud_towards_the_sun_supports_a_shadow_and_one_on_the_other_side_does_not(azimuth: int) -> None:
    class_map = place(azimuth, pixels=30)
    sun = SunAngles(zenith=12.0, azimuth=azimuth)
    opposite = SunAngles(zenith=12.0, azimuth=azimuth + 180)
    assert not unsupported_shadows(class_map, sun_ray(sun, grid(101), PIXEL)).any()
    assert unsupported_shadows(class_map, sun_ray(opposite, grid(101), PIXEL)).sum() == 1


def test_a_cloud_higher_than_any_does_not_count() -> None:
    sun = SunAngles(zenith=5.0, azimuth=90.0)
    reach = shadows.HIGHEST_CLOUD_M * math.tan(math.radians(5.0)) / 60.0
    assert not unsupported_shadows(place(90, pixels=reach), sun_ray(sun, grid(101), PIXEL)).any()
    assert unsupported_shadows(place(90, pixels=reach + 8), sun_ray(sun, grid(101), PIXEL)).any()


def test_behind_nodata_and_the_edge_there_may_be_a_cloud() -> None:
    sun = SunAngles(zenith=20.0, azimuth=90.0)
    class_map = np.zeros((101, 101), np.uint8)
    class_map[50, [2, 98]] = 3
    assert np.argwhere(unsupported_shadows(class_map, sun_ray(sun, grid(101), PIXEL))).tolist() == [[50, 2]]
    class_map[50, 40] = 255
    assert not unsupported_shadows(class_map, sun_ray(sun, grid(101), PIXEL)).any()


def test_high_ground_lies_nearer_to_the_clouds() -> None:
    sun = SunAngles(zenith=5.0, azimuth=0.0)
    class_map = place(0, pixels=16)
    ray = sun_ray(sun, grid(101), PIXEL)
    ground = np.zeros(class_map.shape, np.float32)
    assert not unsupported_shadows(class_map, ray, ground_m=ground).any()
    ground[50, 50] = 6000.0
    assert unsupported_shadows(class_map, ray, ground_m=ground).any()
    ground[50, 50] = np.nan
    assert not unsupported_shadows(class_map, ray, ground_m=ground).any()


def test_on_a_geographic_grid_a_degree_of_longitude_is_shorter() -> None:
    step = 60.0 / 111_320.0
    degrees = Grid(shape=(101, 101), transform=(step, 0, 10, 0, -step, 60.0), crs="EPSG:4326", geographic=True)
    size = degrees.pixel_size_m
    assert size is not None
    assert size == pytest.approx((60.0, 30.0), rel=2e-3)
    ray = sun_ray(SunAngles(zenith=45.0, azimuth=90.0), degrees, size)
    assert ray.cols_per_m == pytest.approx(1 / 30.0, rel=2e-3)
    assert ray.rows_per_m == pytest.approx(0.0, abs=1e-9)


def test_the_sun_in_the_zenith_needs_the_cloud_above() -> None:
    ray = sun_ray(SunAngles(zenith=0.0, azimuth=0.0), grid(101), PIXEL)
    assert unsupported_shadows(place(0, pixels=20), ray).any()
    assert not unsupported_shadows(place(0, pixels=4), ray).any()


@pytest.mark.parametrize(("zenith", "azimuth"), [(90.0, 0.0), (-1.0, 0.0), (math.nan, 0.0), (30.0, math.inf)])
def test_a_sun_that_does_not_shine_is_refused(zenith: float, azimuth: float) -> None:
    with pytest.raises(UsageError, match="sun: expected a zenith angle from 0 to below 90 degrees"):
        sun_ray(SunAngles(zenith=zenith, azimuth=azimuth), grid(8), PIXEL)


def walked(class_map: UInt8, sun: SunAngles, *, beside_px: float, further_px: float, beyond_px: float) -> Bool:
    """Flag shadows in the plain way: walk from each towards the sun in steps of a tenth of a pixel.

    The array counts as larger by ``beyond_px`` on each side.
    """
    out = np.zeros(class_map.shape, np.bool_)
    reach = shadows.HIGHEST_CLOUD_M * math.tan(math.radians(sun.zenith)) / PIXEL[0] + further_px
    direction = np.array([-math.cos(math.radians(sun.azimuth)), math.sin(math.radians(sun.azimuth))])
    clouds = np.argwhere(np.isin(class_map, (1, 2)))
    for place_ in np.argwhere(class_map == 3):
        way = place_ + np.arange(0, reach, 0.1)[:, None] * direction
        last = np.array(class_map.shape) - 0.5 + beyond_px
        outside = ((way < -0.5 - beyond_px) | (way > last)).any()
        near = len(clouds) and (np.linalg.norm(way[:, None] - clouds, axis=2) <= beside_px).any()
        out[tuple(place_)] = not (outside or near)
    return out


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), azimuth=st.floats(0, 360), zenith=st.floats(1, 8))
@example(seed=228, azimuth=5.5, zenith=5.0)  # leaves the array within half a pixel of its side
def test_flags_agree_with_a_walk_towards_the_sun(seed: int, azimuth: float, zenith: float) -> None:
    rng = np.random.default_rng(seed)
    class_map = np.zeros((48, 48), np.uint8)
    class_map[tuple(rng.integers(0, 48, (2, 3)))] = 1
    class_map[tuple(rng.integers(0, 48, (2, 6)))] = 3
    sun = SunAngles(zenith=zenith, azimuth=azimuth)
    got = unsupported_shadows(class_map, sun_ray(sun, grid(48), PIXEL))
    tolerance = shadows.TOLERANCE_M / PIXEL[0]
    # Rays go through whole pixels: one more or less to the side, as to the front.
    least = walked(class_map, sun, beside_px=tolerance - 1.5, further_px=-1.5, beyond_px=1.0)
    assert not (got & ~least).any()
    inside = np.zeros_like(got)
    inside[2:-2, 2:-2] = True
    most = walked(class_map, sun, beside_px=tolerance + 1.5, further_px=2.0, beyond_px=-1.0)
    assert not (~got & inside & most).any()
