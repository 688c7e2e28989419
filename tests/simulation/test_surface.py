"""Surfaces are mixed from plausible spectra, lit by the sun."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undercast.scene import SunAngles
from undercast.simulation.surface import (
    BIOMES,
    GENTLE,
    HILLS_M,
    STEEP,
    STEEP_UP_TO_M,
    WATER_CHANCE,
    Surface,
    cast_shadow,
    draw_relief,
    draw_surface,
    hillshade,
    spectra,
)

WAVELENGTHS = (0.49, 0.56, 0.66, 0.84, 1.61, 2.2)


@pytest.mark.parametrize("name", spectra())
def test_a_spectrum_is_sound(name: str) -> None:
    spectrum = spectra()[name]
    assert len(spectrum.wavelengths) == len(spectrum.reflectance)
    assert list(spectrum.wavelengths) == sorted(set(spectrum.wavelengths))
    assert all(0.0 <= value <= 1.0 for value in spectrum.reflectance)
    assert 0.0 < spectrum.spread < 1.0
    np.testing.assert_allclose(spectrum.at(spectrum.wavelengths), spectrum.reflectance, rtol=1e-6)


def test_every_family_of_a_biome_has_a_spectrum() -> None:
    kinds = {spectrum.kind for spectrum in spectra().values()}
    assert {family for families in BIOMES.values() for family in families} <= kinds
    assert {"snow", "water", "urban", "soil"} <= kinds
    assert set(WATER_CHANCE) <= set(BIOMES)


def of_kind(kind: str, wavelength: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    rows = [spectrum.at([wavelength])[0] for spectrum in spectra().values() if spectrum.kind == kind]
    return np.array(rows, np.float64)


def test_snow_is_dark_in_the_short_wave_infrared_and_bright_in_the_visible() -> None:
    assert (of_kind("snow", 1.61) < 0.35 * of_kind("snow", 0.56)).all()
    assert (of_kind("snow", 0.56) > 0.4).all()


def test_vegetation_rises_at_the_red_edge_and_water_falls_into_the_infrared() -> None:
    assert (of_kind("vegetation", 0.842) > 1.4 * of_kind("vegetation", 0.665)).all()
    assert (of_kind("water", 1.61) < of_kind("water", 0.56)).all()
    assert float(np.median(of_kind("water", 1.61))) < 0.01


def test_flat_ground_gets_the_light_of_flat_ground() -> None:
    shade = hillshade(np.full((8, 8), 120, np.float32), 10.0, SunAngles(zenith=40, azimuth=135))
    np.testing.assert_allclose(shade, 1.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("azimuth", "towards"), [(0, (-1, 0)), (90, (0, 1)), (135, (1, 1)), (180, (1, 0)), (270, (0, -1))]
)
def test_the_side_of_a_hill_that_faces_the_sun_is_bright(azimuth: float, towards: tuple[int, int]) -> None:
    axis = np.arange(32, dtype=np.float32) - 16
    hill = 60 * np.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / 40)
    shade = hillshade(hill.astype(np.float32), 10.0, SunAngles(zenith=40, azimuth=azimuth))
    down, right = towards
    sunny, dark = (16 + 4 * down, 16 + 4 * right), (16 - 4 * down, 16 - 4 * right)
    assert shade[sunny] > 1.1
    assert shade[dark] < 0.9


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.floats(0, 75), st.floats(0, 360), st.sampled_from([2.0, 10.0, 333.0, 1000.0]))
def test_every_surface_is_positive_finite_and_reproducible(
    seed: int, zenith: float, azimuth: float, gsd: float
) -> None:
    sun = SunAngles(zenith=zenith, azimuth=azimuth)
    first, second = (draw_surface(np.random.default_rng(seed), 24, WAVELENGTHS, gsd=gsd, sun=sun) for _ in range(2))
    assert first.reflectance.shape == (len(WAVELENGTHS), 24, 24)
    assert first.reflectance.dtype == np.float32
    assert np.isfinite(first.reflectance).all()
    assert first.reflectance.min() >= 0.0009
    assert np.median(first.reflectance) < 1.2
    assert first.biome in BIOMES
    np.testing.assert_array_equal(first.reflectance, second.reflectance)


def test_a_ridge_hides_the_sun_from_what_lies_behind_it() -> None:
    elevation = np.zeros((32, 32), np.float32)
    elevation[:, 16] = 100.0
    hidden = cast_shadow(elevation, 20.0, SunAngles(zenith=45.0, azimuth=90.0))
    # The sun stands in the east at 45 degrees: 100 m of height hide the next 100 m, five pixels, to the west.
    assert hidden[5, 15] == 1
    assert hidden[5, 13] == 1
    assert hidden[5, 17] == 0
    assert hidden[5, 8] == 0


def test_flat_ground_casts_no_shadow() -> None:
    assert not cast_shadow(np.zeros((16, 16), np.float32), 10.0, SunAngles(zenith=70.0, azimuth=10.0)).any()


@pytest.mark.parametrize("gsd", [10.0, 60.0, 1000.0])
def test_slopes_are_as_steep_as_told_whatever_the_pixels_and_smooth_at_their_scale(gsd: float) -> None:
    for seed in range(8):
        for rugged in (False, True):
            relief = draw_relief(np.random.default_rng(seed), 96, gsd, rugged=rugged)
            slope = np.hypot(*np.gradient(relief, gsd))
            low, high = STEEP if rugged else GENTLE
            flatter = min(1.0, (STEEP_UP_TO_M / gsd) ** 0.5)
            assert low * flatter * 0.9 <= np.sqrt((slope**2).mean()) <= high * flatter * 1.1
            steps = np.diff(relief, axis=1)
            assert np.diff(steps, axis=1).std() < steps.std()


@pytest.fixture(scope="module")
def many() -> list[Surface]:
    sun = SunAngles(zenith=40, azimuth=135)
    return [draw_surface(np.random.default_rng(seed), 64, WAVELENGTHS, gsd=60.0, sun=sun) for seed in range(300)]


def test_the_sea_is_level(many: list[Surface]) -> None:
    seas = [surface for surface in many if surface.biome == "sea"]
    assert len(seas) > 10
    assert not any(surface.elevation.any() for surface in seas)


def test_lakes_among_hills_are_level(many: list[Surface]) -> None:
    lakes = 0
    for surface in many:
        level = surface.elevation == surface.elevation.min()
        if surface.elevation.std() >= HILLS_M and level.mean() > 0.03:
            lakes += 1
            water = surface.reflectance[1][level]
            assert np.median(np.abs(water - np.median(water))) < 0.1 * np.median(water)  # shores are mixed
    assert lakes > 10


def test_snow_lies_above_what_else_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("undercast.simulation.surface.BIOMES", {"winter": ("snow", "vegetation", "crop")})
    along = []
    for seed in range(60):
        drawn = draw_surface(
            np.random.default_rng(seed), 64, WAVELENGTHS, gsd=60.0, sun=SunAngles(zenith=40, azimuth=135)
        )
        if drawn.elevation.std() >= HILLS_M:
            green, swir = drawn.reflectance[[1, 4]]
            dry = drawn.elevation > drawn.elevation.min()
            along.append(np.corrcoef(((green - swir) / (green + swir))[dry], drawn.elevation[dry])[0, 1])
    assert len(along) > 20
    assert np.mean(along) > 0.3
