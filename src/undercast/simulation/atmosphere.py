"""Light on its way: path radiance, clouds above a ground and the shadows that they cast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from undercast.scene import SunAngles
from undercast.simulation.clouds import CloudLayer
from undercast.simulation.fields import blur, shift, standardise
from undercast.types import Bool, Float32, ProductLevel

RAYLEIGH_OPTICAL_DEPTH = 0.00877
"""Rayleigh optical depth at 1 um, times wavelength^-4.05 (Hansen and Travis 1974, first term)."""
SCALE_HEIGHT_M = 8000.0
"""Scale height of the atmosphere."""
VAPOUR_SCALE_HEIGHT_M = 2000.0
"""Scale height of water vapour."""
BACKSCATTER = 0.11
"""Share of optical thickness that acts on the reflected light: about (1 - g) * sqrt(3) / 2 for g = 0.87."""
FORWARD = 0.22
"""Share of optical thickness that takes light out of the direct and forward beam (delta-scaled, assumed)."""
FILL_LIGHT = (0.05, 0.45)
"""Share of light that clouds scatter into their own shadows, whatever the wavelength (assumption: what keeps real
shadows from the darkness that the sky alone would leave)."""
CLOUD_ON_CLOUD = 0.7
"""Share of a cloud's direct light that the shadow of a higher one can take (assumption: the rest is diffuse)."""
ADJACENCY = (0.0, 0.04)
"""Reflectance that bright clouds add to what lies around them at 0.55 um (assumption)."""
ADJACENCY_M = 1000.0
"""Distance over which they do (assumption: the order of the height of the scattering air)."""
FOCAL_PLANE_CHANCE = 0.25
"""Share of cloud layers that the bands see from slightly different places, as push-broom sensors do (assumption)."""
FOCAL_PLANE = 0.004
"""Largest such difference per height, a ratio (assumption: about 2 px of 20 m at 10 km)."""
PENUMBRA_PX = (0.0, 2.0)
"""Softness of a shadow's border, as the standard deviation of a Gaussian (assumption)."""
CIRRUS_BAND_UM = (1.35, 1.41)
"""Water vapour hides everything low in this range."""


MOIST = (3.0, 9.0)
"""Range of the opacity of water vapour in the cirrus band (assumption)."""
DRY = (0.4, 3.0)
"""Its range over high and polar land, where the ground shows through (assumption)."""
DRY_CHANCE = 0.2
"""Share of scenes under dry air."""
TOP_SHADING = (0.0, 0.35)
"""Range of the relative brightness of cloud slopes towards the sun, at a sun zenith of 45 degrees (assumption)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Air:
    """State of the cloudless atmosphere."""

    haze: float
    """Aerosol optical depth at 0.55 um."""
    angstrom: float
    """Exponent of its fall with wavelength."""
    vapour: float
    """How opaque water vapour is in the cirrus band: optical depth from top to ground."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lit:
    """A scene after light has passed, before the sensor."""

    reflectance: Float32
    """At the sensor's level, ``(band, y, x)``."""
    optical_thickness: Float32
    """Sum over the layers, ``(y, x)``."""
    shade: Float32
    """Share of the direct light that the clouds take away from the ground, in [0, 1], ``(y, x)``."""
    contrast: Float32
    """Relative loss of reflectance by shadow, mean over the bands, in [0, 1], ``(y, x)``."""


def draw_air(rng: np.random.Generator) -> Air:
    """Draw a state of the atmosphere; the ranges are assumptions (clean to hazy continental air)."""
    return Air(
        haze=float(np.exp(rng.uniform(np.log(0.02), np.log(0.5)))),
        angstrom=float(rng.uniform(0.5, 1.8)),
        vapour=float(rng.uniform(*(DRY if rng.random() < DRY_CHANCE else MOIST))),
    )


def path_reflectance(wavelengths: Sequence[float], air: Air, sun: SunAngles) -> Float32:
    """Reflectance of the air alone (single scattering, nadir view), one per wavelength."""
    wavelength = np.asarray(wavelengths, np.float64)
    cosine = max(np.cos(np.radians(sun.zenith)), 0.15)
    rayleigh = RAYLEIGH_OPTICAL_DEPTH * wavelength**-4.05
    aerosol = air.haze * (wavelength / 0.55) ** -air.angstrom
    scattering_cosine = -cosine
    phase = 0.75 * (1 + scattering_cosine**2)
    path: NDArray[np.float64] = (rayleigh * phase + 0.18 * aerosol) / (4 * cosine)
    path[_cirrus_bands(wavelength)] *= np.exp(-0.5 * air.vapour)
    return path.astype(np.float32)


def _cirrus_bands(wavelength: NDArray[np.float64]) -> Bool:
    low, high = CIRRUS_BAND_UM
    return (wavelength > low) & (wavelength < high)


def transmission(wavelengths: Sequence[float], air: Air, sun: SunAngles) -> Float32:
    """Two-way transmission of the air, one per wavelength."""
    wavelength = np.asarray(wavelengths, np.float64)
    cosine = max(np.cos(np.radians(sun.zenith)), 0.15)
    depth = 0.5 * RAYLEIGH_OPTICAL_DEPTH * wavelength**-4.05 + 0.25 * air.haze * (wavelength / 0.55) ** -air.angstrom
    through: NDArray[np.float64] = np.exp(-depth * (1 + 1 / cosine))
    through[_cirrus_bands(wavelength)] = np.exp(-air.vapour)
    return through.astype(np.float32)


def diffuse_share(wavelengths: Sequence[float], air: Air, sun: SunAngles) -> Float32:
    """Share of the light on the ground that comes from the sky: what a full shadow leaves."""
    wavelength = np.asarray(wavelengths, np.float64)
    cosine = max(np.cos(np.radians(sun.zenith)), 0.15)
    depth = 0.6 * RAYLEIGH_OPTICAL_DEPTH * wavelength**-4.05 + 0.55 * air.haze * (wavelength / 0.55) ** -air.angstrom
    share: Float32 = (1 - np.exp(-depth / cosine)).astype(np.float32)
    return share


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Under which light and with which pixels a scene is seen."""

    wavelengths: tuple[float, ...]
    """Centres of the bands, in micrometres."""
    gsd: float
    """Ground sample distance, in metres."""
    sun: SunAngles
    """Sun angles."""
    air: Air
    """State of the atmosphere."""
    level: ProductLevel
    """What is observed: reflectance at the top of the atmosphere or, as if corrected, at the surface."""
    parallax: tuple[float, float] = (0.0, 0.0)
    """How far a cloud seems to stand north and east of its place, per height: the tangent of the view angle."""

    @property
    def reach(self) -> tuple[float, float]:
        """Rows and columns from a cloud to its shadow, per metre of height."""
        length = np.tan(np.radians(min(self.sun.zenith, 80.0)))
        azimuth = np.radians(self.sun.azimuth)
        north, east = -length * np.cos(azimuth) - self.parallax[0], -length * np.sin(azimuth) - self.parallax[1]
        return float(-north / self.gsd), float(east / self.gsd)


def light(
    ground: Float32,
    path: Float32,
    layers: Sequence[CloudLayer],
    view: View,
    rng: np.random.Generator,
    *,
    elevation: Float32 | None = None,
) -> Lit:
    """Put clouds and their shadows over a ground.

    Args:
        ground: Reflectance of the ground as seen through the clear air, without path reflectance,
            ``(band, y, x)``.
        path: Path reflectance per band, 0 for surface reflectance.
        layers: Clouds, in any order.
        view: Light and pixels.
        rng: Source of randomness for what is left open (phase effects, brightness of the sky in shadow).
        elevation: Metres, ``(y, x)``: shadows reach less far on high ground; flat unless given.
    """
    size = ground.shape[-1]
    shade = np.zeros((size, size), np.float32)
    for layer in layers:
        shade = 1 - (1 - shade) * (1 - shadow_of(layer, view, elevation))
    sky = diffuse_share(view.wavelengths, view.air, view.sun) * np.float32(rng.uniform(0.7, 1.3))
    fill = np.float32(rng.uniform(*FILL_LIGHT))
    sky = np.clip(fill + (1 - fill) * sky, 0.03, 0.75)[:, None, None]
    shade = np.clip(blur(shade, rng.uniform(*PENUMBRA_PX)), 0, 1)
    brightness = (1 - shade) * (1 - sky) + sky
    above = path[:, None, None]
    lit = ground * brightness + above
    unshaded = np.maximum(ground + above, 1e-4)
    contrast = ((unshaded - lit) / unshaded).mean(axis=0)
    total = np.zeros((size, size), np.float32)
    lit = lit + _adjacency(layers, view, rng)
    upward = sorted(layers, key=lambda item: item.base_m)
    for position, layer in enumerate(upward):
        shaded = np.zeros((size, size), np.float32)
        for higher in upward[position + 1 :]:
            shaded = np.maximum(shaded, _moved(_loss(higher, view), higher.base_m - layer.base_m - layer.depth_m, view))
        lit = _cover(lit, path, layer, view, rng, sunlit=1 - np.float32(CLOUD_ON_CLOUD) * shaded)
        total += layer.optical_thickness
    return Lit(
        reflectance=lit.astype(np.float32),
        optical_thickness=total,
        shade=shade,
        contrast=np.clip(contrast, 0, 1).astype(np.float32),
    )


def shadow_of(layer: CloudLayer, view: View, elevation: Float32 | None = None) -> Float32:
    """Share of direct light that one layer takes from each pixel of the ground, in [0, 1]; flat unless given."""
    loss = _loss(layer, view)
    out = np.zeros_like(loss)
    for part in (0.0, 0.35, 0.7):
        height = layer.base_m + part * layer.depth_m
        moved = _moved(loss, height, view) if elevation is None else _moved_on(loss, height - elevation, view)
        out = np.maximum(out, moved * (1 - 0.5 * part))
    return out


def _loss(layer: CloudLayer, view: View) -> Float32:
    """Share of direct light that a layer takes, where it stands."""
    slant = max(np.cos(np.radians(view.sun.zenith)), 0.3)
    return np.asarray(1 - np.exp(-FORWARD * layer.optical_thickness / slant), np.float32)


def _moved(loss: Float32, height: float, view: View) -> Float32:
    """Move a field from its place to where its shadow falls, ``height`` metres below."""
    rows, cols = view.reach
    return shift(loss, max(height, 0.0) * rows, max(height, 0.0) * cols)


def _moved_on(loss: Float32, height: Float32, view: View) -> Float32:
    """Move a field to where its shadow falls on relief, ``height`` metres below, ``(y, x)``; nearest pixel."""
    rows, cols = view.reach
    size = loss.shape[0]
    above = np.maximum(height, 0.0)
    axis = np.arange(size)
    y = np.round(axis[:, None] - above * np.float32(rows)).astype(np.intp) % size
    x = np.round(axis[None, :] - above * np.float32(cols)).astype(np.intp) % size
    return np.asarray(loss[y, x], np.float32)


def _adjacency(layers: Sequence[CloudLayer], view: View, rng: np.random.Generator) -> Float32:
    """Light that clouds send into the air beside them, ``(band, y, x)``; nothing without clouds."""
    strength = rng.uniform(*ADJACENCY) * (1.0 if view.level == "toa" else 0.5)
    if not layers:
        return np.zeros((len(view.wavelengths), 1, 1), np.float32)
    thickness = np.sum([layer.optical_thickness for layer in layers], axis=0) * BACKSCATTER
    around = blur((thickness / (1 + thickness)).astype(np.float32), min(ADJACENCY_M / view.gsd, 60.0))
    colour = (np.asarray(view.wavelengths) / 0.55) ** -1.5
    colour[_cirrus_bands(np.asarray(view.wavelengths))] = 0.0
    return np.asarray(strength * colour[:, None, None] * np.maximum(around, 0), np.float32)


def _cover(
    below: Float32, path: Float32, layer: CloudLayer, view: View, rng: np.random.Generator, *, sunlit: Float32
) -> Float32:
    """Look at what is below through one layer, of which a share is sunlit."""
    thickness = _by_band(layer, view, rng)
    scattered = BACKSCATTER * thickness
    reflected = rng.uniform(0.86, 1.0) * scattered / (1 + scattered)
    reflected = reflected * _relief_shading(layer, view, rng) * sunlit
    colour = _colour(layer, view, rng)
    deep = 1 - np.exp(-thickness / 5)
    spectral = (1 - (1 - colour[:, None, None]) * deep) * _above_vapour(layer, view)[:, None, None]
    through = (1 - np.clip(reflected, 0, 0.98)) ** 2
    over = (path * np.exp(-layer.base_m / SCALE_HEIGHT_M))[:, None, None]
    seen = over * (1 - through) + reflected * spectral + through * below
    if view.level == "surface":
        seen = np.where(thickness > 0, seen * (1 + 0.12 * deep * rng.random()), seen)
    return np.asarray(seen, np.float32)


def _by_band(layer: CloudLayer, view: View, rng: np.random.Generator) -> Float32:
    """Give a layer's optical thickness as each band sees it: ``(y, x)``, or ``(band, y, x)`` where they differ."""
    if rng.random() >= FOCAL_PLANE_CHANCE:
        return layer.optical_thickness
    apart = layer.base_m * rng.uniform(0, FOCAL_PLANE) / view.gsd
    angle, places = rng.uniform(0, 2 * np.pi), rng.permutation(np.linspace(-0.5, 0.5, len(view.wavelengths)))
    moved = [
        shift(layer.optical_thickness, apart * place * np.sin(angle), apart * place * np.cos(angle)) for place in places
    ]
    return np.asarray(np.maximum(np.stack(moved), 0), np.float32)


def _relief_shading(layer: CloudLayer, view: View, rng: np.random.Generator) -> Float32:
    """Bright sunward and dark far sides of cloud tops, about 1."""
    height = blur(np.sqrt(layer.optical_thickness), rng.uniform(1.0, 5.0))
    azimuth = np.radians(view.sun.azimuth)
    dy = np.roll(height, -1, 0) - np.roll(height, 1, 0)
    dx = np.roll(height, -1, 1) - np.roll(height, 1, 1)
    towards = -(dx * np.sin(azimuth) - dy * np.cos(azimuth))
    low, high = TOP_SHADING
    strength = (low + (high - low) * rng.random() ** 2) * np.tan(np.radians(min(view.sun.zenith, 75.0)))
    shading: Float32 = np.clip(1 + strength * standardise(towards), 0.45, 1.35).astype(np.float32)
    return shading


def _colour(layer: CloudLayer, view: View, rng: np.random.Generator) -> Float32:
    """Reflectance of a thick cloud relative to the visible, per band: water and ice absorb beyond 1.3 um."""
    points = (0.4, 1.0, 1.24, 1.61, 1.75, 2.2, 2.4)
    if layer.ice:
        swir16 = rng.uniform(0.13, 0.62)
        swir22 = swir16 * rng.uniform(0.6, 1.15)
        values = (1.0, 0.98, 0.85, swir16, swir16 * 1.1, swir22, swir22 * 0.9)
    else:
        swir16, swir22 = rng.uniform(0.5, 0.95), rng.uniform(0.33, 0.85)
        values = (1.0, 0.99, 0.96, swir16, swir16, min(swir22, swir16), swir22 * 0.9)
    colour = np.interp(view.wavelengths, points, values)
    return colour.astype(np.float32)


def _above_vapour(layer: CloudLayer, view: View) -> Float32:
    """Share of the light from a layer's top that water vapour lets through, per band: 1 but in the cirrus band."""
    wavelength = np.asarray(view.wavelengths, np.float64)
    top = layer.base_m + layer.depth_m
    through = np.exp(-view.air.vapour * np.exp(-top / VAPOUR_SCALE_HEIGHT_M))
    return np.where(_cirrus_bands(wavelength), through, 1.0).astype(np.float32)
