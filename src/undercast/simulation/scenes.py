"""Labelled scenes of any sensor: a surface (or a real clear one), clouds, light, a sensor, in that order."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from undercast.classes import CLEAR, CLOUD_SHADOW, THICK_CLOUD, THIN_CLOUD
from undercast.errors import UsageError
from undercast.grids import Grid
from undercast.scene import Scene, SunAngles, scene_from_array
from undercast.sensors import Sensor
from undercast.simulation.atmosphere import Lit, View, draw_air, light, path_reflectance, transmission
from undercast.simulation.clouds import CloudLayer, draw_clouds, over_relief
from undercast.simulation.fields import blur, cover, fractal
from undercast.simulation.sensor import gaps, observe, wavelengths
from undercast.simulation.surface import draw_surface
from undercast.types import FEW_PIXELS, NODATA, Bool, Float32, ProductLevel, UInt8

FAINTEST = 0.15
"""Optical thickness below which a cloud is called clear; from here to ``THIN`` it is left open."""
THIN = 0.40
"""Optical thickness from which a pixel is cloud."""
THICK = 3.0
"""Optical thickness from which a cloud is thick: less than 5 % of the direct light passes."""
FAINT_SHADE = 0.10
"""Relative loss of reflectance below which a shadow is called clear; up to ``SHADE`` it is left open."""
SHADE = 0.22
"""Relative loss of reflectance from which a pixel is cloud shadow."""

OUTLINE_PX = (0.6, 2.5)
"""Range of the standard deviation of the Gaussian that widens cloud outlines, in pixels (assumption: people differ)."""
OUTLINE, NEAR = 0.2, 0.08
"""Share of cloud around a clear pixel, seen through that Gaussian, from which it lies inside the outline that a person
draws (0.8 standard deviations outside a straight edge), and from which it is left open (1.4)."""
LARGEST_VIEW = 0.2
"""Largest tangent of the view angle: 11 degrees (the swath of Sentinel-2; assumption for all)."""
SMOKE_CHANCE = 0.08
"""Share of scenes with smoke or uneven haze, which is no cloud."""
DENSE_SMOKE = 0.7
"""Optical thickness of smoke from which it is left open what a person would call it."""
GAPS_CHANCE = 0.03
"""Share of scenes with stripes without data, as of Landsat-7 since 2003."""

BIT_CLEAR, BIT_THICK, BIT_THIN, BIT_SHADOW = (1 << value for value in (CLEAR, THICK_CLOUD, THIN_CLOUD, CLOUD_SHADOW))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Background:
    """A real cloud-free image that stands in for a simulated surface."""

    reflectance: Float32
    """``(band, y, x)``, square, in the sensor's bands; NaN where there is no data."""
    level: ProductLevel
    """Kind of reflectance."""
    clear: Bool | None = None
    """Where it is known to be clear, ``(y, x)``; None: everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Simulated:
    """A labelled scene."""

    reflectance: Float32
    """``(band, y, x)``, unitless."""
    possible: UInt8
    """Possible sets ``(y, x)``: bit k is set where the pixel can be class k; 0: ignore."""
    optical_thickness: Float32
    """Of all clouds at visible wavelengths, ``(y, x)``."""
    level: ProductLevel
    """Kind of reflectance."""
    gsd: float
    """Ground sample distance, in metres."""
    sun: SunAngles
    """Sun angles."""
    sensor: Sensor
    """Which sensor it is seen by."""
    elevation: Float32
    """Height of the ground in metres, ``(y, x)``; 0 under a real background."""

    @property
    def reference(self) -> UInt8:
        """Class map where the class is certain, 255 elsewhere."""
        out = np.full(self.possible.shape, NODATA, np.uint8)
        for value in (CLEAR, THICK_CLOUD, THIN_CLOUD, CLOUD_SHADOW):
            out[self.possible == 1 << value] = value
        return out

    def scene(self, name: str) -> Scene:
        """Give it as a scene without place."""
        height, width = self.possible.shape
        return scene_from_array(
            self.reflectance,
            self.sensor.bands,
            name=name,
            level=self.level,
            grid=Grid(shape=(height, width)),
        )


def simulate(
    sensor: Sensor,
    *,
    size: int = 256,
    seed: int | np.random.Generator = 0,
    level: ProductLevel | None = None,
    gsd: float | None = None,
    background: Background | None = None,
) -> Simulated:
    """Make a labelled scene of a sensor.

    Args:
        sensor: Bands and optics.
        size: Side, in pixels; the background's side where there is one.
        seed: Seed or generator; the same seed gives the same scene.
        level: Kind of reflectance; drawn (two in three ``"toa"``) unless given; the background's where there
            is one.
        gsd: Ground sample distance in metres; the sensor's unless given.
        background: Real image to put clouds on.

    Raises:
        UsageError: If ``size`` is too small, ``gsd`` is no size, or the background does not fit.
    """
    rng = seed if isinstance(seed, np.random.Generator) else np.random.default_rng(seed)
    if background is not None:
        size = background.reflectance.shape[-1]
        if background.reflectance.shape != (len(sensor.bands), size, size):
            msg = (
                f"expected a square background of {len(sensor.bands)} bands ({sensor.id}),"
                f" got shape {background.reflectance.shape}."
            )
            raise UsageError(msg)
    if size < FEW_PIXELS:
        msg = f"size must be at least {FEW_PIXELS} px, got {size}."
        raise UsageError(msg)
    if gsd is not None and not 0 < gsd < math.inf:
        msg = f"gsd: expected metres above 0, got {gsd:g}."
        raise UsageError(msg)
    drawn: ProductLevel = "toa" if rng.random() < 2 / 3 else "surface"
    view = View(
        wavelengths=wavelengths(sensor),
        gsd=sensor.gsd if gsd is None else gsd,
        sun=SunAngles(zenith=float(rng.uniform(12, 72)), azimuth=float(rng.uniform(0, 360))),
        air=draw_air(rng),
        level=background.level if background is not None else level or drawn,
        parallax=_draw_parallax(rng),
    )
    if background is None:
        ground, path, elevation = _ground(rng, size, view)
    else:
        ground, path = _real_ground(background, view)
        elevation = np.zeros((size, size), np.float32)
    smoke = _smoke(rng, size) if rng.random() < SMOKE_CHANCE else np.zeros((size, size), np.float32)
    ground = _through_smoke(ground, smoke, view, rng)
    layers = draw_clouds(rng, size)
    hilly = bool(elevation.any())
    if hilly:
        layers = over_relief(layers, elevation, rng.spawn(1)[0])
    lit = light(ground, path, layers, view, rng, elevation=elevation if hilly else None)
    possible = label(lit)
    possible = np.where((smoke > DENSE_SMOKE) & (possible & BIT_CLEAR > 0), np.uint8(0), possible)
    possible = as_annotated(possible, outline_px=rng.uniform(*OUTLINE_PX))
    if background is not None and background.clear is not None:
        unknown = ~background.clear & (lit.optical_thickness < THICK)
        possible = np.where(unknown, np.uint8(0), possible)
    reflectance = observe(lit.reflectance, sensor.optics, rng, wavelengths=view.wavelengths)
    if rng.random() < GAPS_CHANCE:
        missing = gaps(size, rng)
        reflectance[:, missing] = np.nan
        possible = np.where(missing, np.uint8(0), possible)
    return Simulated(
        reflectance=reflectance,
        possible=possible,
        optical_thickness=lit.optical_thickness,
        level=view.level,
        gsd=view.gsd,
        sun=view.sun,
        sensor=sensor,
        elevation=elevation,
    )


def label(lit: Lit) -> UInt8:
    """Tell what each pixel can be, from what the clouds do to it; borders between classes are left open."""
    thickness, contrast = lit.optical_thickness, lit.contrast
    possible = np.full(thickness.shape, BIT_CLEAR, np.uint8)
    possible[contrast >= FAINT_SHADE] = BIT_CLEAR | BIT_SHADOW
    possible[contrast >= SHADE] = BIT_SHADOW
    possible[thickness >= FAINTEST] = 0
    possible[thickness >= THIN] = BIT_THIN
    possible[thickness >= 0.6 * THICK] = BIT_THIN | BIT_THICK
    possible[thickness >= 1.4 * THICK] = BIT_THICK
    return possible


def as_annotated(possible: UInt8, *, outline_px: float = 1.0) -> UInt8:
    """Draw clouds wider and without pinholes, as a person outlines them; what is added counts as thin.

    Just outside, a clear pixel can be either.
    """
    cloud = BIT_THICK | BIT_THIN
    is_cloud = ((possible & cloud) > 0) & ((possible & ~np.uint8(cloud)) == 0)
    around = blur(is_cloud.astype(np.float32), outline_px)
    drawn = np.where((around >= OUTLINE) & ~is_cloud, np.uint8(BIT_THIN), possible)
    open_ = (around >= NEAR) & (around < OUTLINE) & (possible == BIT_CLEAR)
    return np.where(open_, np.uint8(BIT_CLEAR | BIT_THIN), drawn)


def _draw_parallax(rng: np.random.Generator) -> tuple[float, float]:
    tangent, azimuth = rng.uniform(0, LARGEST_VIEW), rng.uniform(0, 2 * np.pi)
    return float(tangent * np.cos(azimuth)), float(tangent * np.sin(azimuth))


def _smoke(rng: np.random.Generator, size: int) -> Float32:
    """Draw the optical thickness of a plume, or of haze that is not the same everywhere, at 0.55 um."""
    field = fractal(rng, size, rng.uniform(3.0, 4.2), stretch=rng.uniform(1, 6), angle=rng.uniform(0, np.pi))
    plume = np.maximum(cover(field, rng.uniform(0.2, 0.9)), 0)
    return np.asarray(rng.uniform(0.1, 0.8) * plume, np.float32)


def _through_smoke(ground: Float32, smoke: Float32, view: View, rng: np.random.Generator) -> Float32:
    """Look at the ground through smoke: fine particles, which act on short waves."""
    if not smoke.any():
        return ground
    colour = (np.asarray(view.wavelengths, np.float64) / 0.55) ** -rng.uniform(1.0, 2.0)
    depth = colour[:, None, None] * smoke
    added = rng.uniform(0.1, 0.25) * (1 - np.exp(-depth))
    added[np.asarray(transmission(view.wavelengths, view.air, view.sun)) < 0.1] = 0.0
    return np.asarray(ground * np.exp(-0.6 * depth) + added, np.float32)


def _ground(rng: np.random.Generator, size: int, view: View) -> tuple[Float32, Float32, Float32]:
    """Simulate a surface, seen through the clear air: reflectance, path reflectance and elevation."""
    surface = draw_surface(rng, size, view.wavelengths, gsd=view.gsd, sun=view.sun)
    if view.level == "surface":
        residue = rng.normal(0, 0.006) * path_reflectance(view.wavelengths, view.air, view.sun) / 0.1
        return surface.reflectance, residue.astype(np.float32), surface.elevation
    through = transmission(view.wavelengths, view.air, view.sun)[:, None, None]
    return surface.reflectance * through, path_reflectance(view.wavelengths, view.air, view.sun), surface.elevation


def _real_ground(background: Background, view: View) -> tuple[Float32, Float32]:
    """Part a real image in ground and path: the path is at most its darkest pixels."""
    reflectance = np.nan_to_num(background.reflectance, nan=0.0)
    if view.level == "surface":
        return np.maximum(reflectance, 0.0), np.zeros(len(reflectance), np.float32)
    seen = reflectance[:, np.isfinite(background.reflectance).all(axis=0)]
    darkest = np.percentile(seen, 1, axis=1) if seen.size else np.zeros(len(reflectance))
    path = np.minimum(path_reflectance(view.wavelengths, view.air, view.sun), 0.9 * darkest).astype(np.float32)
    path = np.maximum(path, 0.0)
    return np.maximum(reflectance - path[:, None, None], 0.0), path


__all__ = ["Background", "CloudLayer", "Simulated", "label", "simulate"]
