"""Light passes air and clouds: shadows lie away from the sun, thick clouds are bright and hide the ground."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undercast.scene import SunAngles
from undercast.simulation.atmosphere import (
    Air,
    Lit,
    View,
    diffuse_share,
    draw_air,
    light,
    path_reflectance,
    shadow_of,
    transmission,
)
from undercast.simulation.clouds import CloudLayer
from undercast.types import Float32

WAVELENGTHS = (0.48, 0.66, 0.84, 1.375, 1.61)
BLUE, RED, NIR, CIRRUS, SWIR16 = range(5)
AIR = Air(haze=0.1, angstrom=1.3, vapour=6.0)
VIEW = View(wavelengths=WAVELENGTHS, gsd=30.0, sun=SunAngles(zenith=45.0, azimuth=135.0), air=AIR, level="toa")


def layer(thickness: Float32, *, base_m: float = 600.0, ice: bool = False) -> CloudLayer:
    return CloudLayer(kind="cumulus", optical_thickness=thickness, base_m=base_m, depth_m=100.0, ice=ice)


def sheet(thickness: float, *, base_m: float = 600.0, ice: bool = False) -> CloudLayer:
    return layer(np.full((16, 16), thickness, np.float32), base_m=base_m, ice=ice)


def lit(layers: list[CloudLayer], *, view: View = VIEW, seed: int = 0) -> Lit:
    """Look at a checkerboard of dark and bright ground through clear air and clouds."""
    board = 0.05 + 0.3 * (np.indices((16, 16)).sum(axis=0) % 2)
    ground = np.broadcast_to(board, (len(WAVELENGTHS), 16, 16)).astype(np.float32)
    ground = ground * transmission(WAVELENGTHS, view.air, view.sun)[:, None, None]
    path = path_reflectance(WAVELENGTHS, view.air, view.sun)
    return light(ground, path, layers, view, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("azimuth", "row", "col"),
    [(135, -1, -1), (180, -1, 0), (90, 0, -1), (0, 1, 0), (270, 0, 1), (225, -1, 1)],
)
def test_a_shadow_lies_away_from_the_sun(azimuth: float, row: int, col: int) -> None:
    """Rows grow to the south, columns to the east: with the sun in the south-east the shadow is to the north-west."""
    thickness = np.zeros((65, 65), np.float32)
    thickness[31:34, 31:34] = 30.0
    view = replace(VIEW, sun=SunAngles(zenith=45.0, azimuth=azimuth))
    shade = shadow_of(layer(thickness), view)
    y, x = (float(part) for part in np.argwhere(shade > 0.5).mean(axis=0) - 32)
    assert np.sign(np.round(y)) == row
    assert np.sign(np.round(x)) == col
    assert np.hypot(y, x) == pytest.approx((600 + 35) / 30, abs=1.5)


def test_a_lower_sun_throws_a_longer_shadow_and_a_zenith_sun_none() -> None:
    thickness = np.zeros((65, 65), np.float32)
    thickness[32, 32] = 30.0
    rows = []
    for zenith in (0.0, 30.0, 60.0):
        view = replace(VIEW, gsd=60.0, sun=SunAngles(zenith=zenith, azimuth=180.0))
        rows.append(int(np.argmax(shadow_of(layer(thickness), view).max(axis=1))))
    assert rows[0] == 32
    assert rows[0] > rows[1] > rows[2]


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.floats(0, 80), st.floats(0, 360), st.floats(0, 12_000))
def test_a_shadow_takes_a_share_of_the_light(seed: int, zenith: float, azimuth: float, base_m: float) -> None:
    thickness = np.random.default_rng(seed).exponential(5, (12, 12)).astype(np.float32)
    view = replace(VIEW, sun=SunAngles(zenith=zenith, azimuth=azimuth))
    shade = shadow_of(layer(thickness, base_m=base_m), view)
    assert shade.min() >= 0.0
    assert shade.max() <= 1.0


def test_without_clouds_the_ground_and_the_air_are_seen() -> None:
    seen = lit([])
    board = 0.05 + 0.3 * (np.indices((16, 16)).sum(axis=0) % 2)
    air = path_reflectance(WAVELENGTHS, AIR, VIEW.sun)
    wanted = board * transmission(WAVELENGTHS, AIR, VIEW.sun)[:, None, None] + air[:, None, None]
    np.testing.assert_allclose(seen.reflectance, wanted, rtol=1e-5)
    assert not seen.optical_thickness.any()
    assert not seen.shade.any()
    assert not seen.contrast.any()


def test_more_optical_thickness_is_brighter_and_hides_more() -> None:
    seen = [lit([sheet(thickness)]).reflectance[RED] for thickness in (0.3, 1.0, 4.0, 15.0, 60.0)]
    brightness = [float(picture.mean()) for picture in seen]
    contrast = [float(picture.std() / picture.mean()) for picture in seen]
    assert brightness == sorted(brightness)
    assert contrast == sorted(contrast, reverse=True)
    assert brightness[-1] > 0.6
    assert contrast[-1] < 0.05


def test_thickness_adds_up_over_the_layers_in_any_order() -> None:
    low, high = sheet(3.0), sheet(0.5, base_m=9000.0, ice=True)
    first, second = lit([low, high]), lit([high, low])
    np.testing.assert_allclose(first.optical_thickness, 3.5)
    np.testing.assert_array_equal(first.reflectance, second.reflectance)


def test_the_cirrus_band_sees_high_cloud_and_neither_ground_nor_low_cloud() -> None:
    assert lit([]).reflectance[CIRRUS].max() < 0.02
    for thickness in (0.3, 1.0, 3.0, 6.0, 15.0, 40.0):
        assert lit([sheet(thickness, base_m=500.0)]).reflectance[CIRRUS].max() < 0.03
    assert lit([sheet(1.0, base_m=10_000.0, ice=True)]).reflectance[CIRRUS].min() > 0.05
    assert lit([sheet(40.0, base_m=10_000.0, ice=True)]).reflectance[CIRRUS].min() > 0.4


def test_ice_is_darker_than_water_in_the_short_wave_infrared() -> None:
    water = [lit([sheet(40.0)], seed=seed).reflectance for seed in range(10)]
    ice = [lit([sheet(40.0, ice=True)], seed=seed).reflectance for seed in range(10)]
    # The ranges overlap, as they do in nature.
    assert np.mean([seen[SWIR16].mean() for seen in ice]) < 0.7 * np.mean([seen[SWIR16].mean() for seen in water])
    assert min(float(seen[RED].mean()) for seen in ice) > 0.5


def test_a_shadow_darkens_the_infrared_more_than_the_blue() -> None:
    thickness = np.zeros((16, 16), np.float32)
    thickness[:, :4] = 40.0
    view = replace(VIEW, sun=SunAngles(zenith=45.0, azimuth=270.0), gsd=100.0)
    seen, clear = lit([layer(thickness)], view=view), lit([], view=view)
    shadow = (seen.shade > 0.9) & (seen.optical_thickness == 0)
    assert shadow.any()
    left = (seen.reflectance / clear.reflectance)[:, shadow].mean(axis=1)
    assert left[SWIR16] < left[NIR] < left[BLUE] < 1
    assert seen.contrast[shadow].min() > 0.2


def test_air_scatters_blue_most_and_water_vapour_closes_the_cirrus_band() -> None:
    path, through = path_reflectance(WAVELENGTHS, AIR, VIEW.sun), transmission(WAVELENGTHS, AIR, VIEW.sun)
    assert path[BLUE] > path[RED] > path[NIR] > path[SWIR16] > 0
    assert through[BLUE] < through[RED] < through[NIR] <= 1
    assert through[CIRRUS] < 0.05


@given(st.integers(0, 2**32), st.floats(0, 85))
def test_shares_of_light_are_shares(seed: int, zenith: float) -> None:
    air, sun = draw_air(np.random.default_rng(seed)), SunAngles(zenith=zenith, azimuth=0.0)
    for share in (transmission(WAVELENGTHS, air, sun), diffuse_share(WAVELENGTHS, air, sun)):
        assert share.dtype == np.float32
        assert (share > 0).all()
        assert (share <= 1).all()
    assert (path_reflectance(WAVELENGTHS, air, sun) >= 0).all()


def test_a_shadow_falls_nearer_on_high_ground() -> None:
    thickness = np.zeros((64, 64), np.float32)
    thickness[30:34, 30:34] = 50.0
    layer = CloudLayer(kind="cumulus", optical_thickness=thickness, base_m=400.0, depth_m=0.0, ice=False)
    view = View(wavelengths=(0.6,), gsd=20.0, sun=SunAngles(zenith=45.0, azimuth=180.0), air=AIR, level="toa")
    flat = shadow_of(layer, view)
    raised = shadow_of(layer, view, np.full((64, 64), 200.0, np.float32))
    rows = [float((field * np.arange(64)[:, None]).sum() / field.sum()) for field in (flat, raised)]
    # The sun stands in the south: the shadow lies north, 400 m and 200 m away.
    assert rows[0] == pytest.approx(31.5 - 20, abs=0.2)
    assert rows[1] == pytest.approx(31.5 - 10, abs=0.2)


def test_parallax_moves_a_shadow_against_its_cloud() -> None:
    thickness = np.zeros((64, 64), np.float32)
    thickness[30:34, 30:34] = 50.0
    layer = CloudLayer(kind="cumulus", optical_thickness=thickness, base_m=400.0, depth_m=0.0, ice=False)
    sun = SunAngles(zenith=0.0, azimuth=0.0)
    view = View(wavelengths=(0.6,), gsd=20.0, sun=sun, air=AIR, level="toa", parallax=(0.0, 0.5))
    field = shadow_of(layer, view)
    # A cloud that seems to stand 200 m too far east shades what lies 10 px to its west.
    assert float((field * np.arange(64)[None, :]).sum() / field.sum()) == pytest.approx(31.5 - 10, abs=0.2)
