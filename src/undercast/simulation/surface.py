"""Surfaces: what lies under the clouds, mixed of spectra by fractal fields, parcels, rivers and relief."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from undercast.scene import SunAngles
from undercast.simulation.fields import band_limited, blur, cells, cover, draw_length, fractal, line
from undercast.types import Float32


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """Reflectance of one surface against wavelength."""

    id: str
    """Snake-case name."""
    kind: str
    """Family: vegetation, crop, soil, sand, rock, urban, water, snow, ice, burnt."""
    wavelengths: tuple[float, ...]
    """Micrometres, ascending."""
    reflectance: tuple[float, ...]
    """Unitless, one per wavelength."""
    spread: float
    """Relative standard deviation of brightness between places."""

    def at(self, wavelengths: Sequence[float]) -> Float32:
        """Interpolate the reflectance at some wavelengths, in micrometres."""
        return np.interp(wavelengths, self.wavelengths, self.reflectance).astype(np.float32)


@cache
def spectra() -> dict[str, Spectrum]:
    """Load the table of spectra (hand-set approximations: see the head of ``data/spectra.toml``)."""
    table = tomllib.loads((resources.files("undercast") / "data" / "spectra.toml").read_text("utf-8"))
    wavelengths = tuple(table["wavelengths"])
    return {
        row["id"]: Spectrum(
            id=row["id"],
            kind=row["kind"],
            wavelengths=wavelengths,
            reflectance=tuple(row["reflectance"]),
            spread=row["spread"],
        )
        for row in table["surfaces"]
    }


SKYLESS = 0.7
"""Share of the light that a shadow of the relief takes away; the sky gives the rest (assumption)."""
TEXTURE = (0.01, 0.15)
"""Range of the relative roughness of the ground (held against the cloud-free images of the training data)."""
RELIEF_SLOPE = (4.0, 5.2)
"""Range of the exponent of the relief's power spectrum: smooth at the scale of pixels, as weathered ground is."""
GENTLE, STEEP = (0.005, 0.1), (0.06, 0.5)
"""Ranges of the root mean square of the slope, a ratio: plains and hills; mountains (assumption)."""
STEEP_UP_TO_M = 60.0
"""Ground sample distance up to which slopes are seen as they are; coarser pixels flatten them (assumption)."""
SIGHT_PX = 48
"""How far a shadow of the relief can reach, in pixels (assumption, for speed)."""

BIOMES: dict[str, tuple[str, ...]] = {
    "farmland": ("crop", "vegetation", "soil", "crop", "soil"),
    "forest": ("vegetation", "vegetation", "vegetation", "soil"),
    "savanna": ("vegetation", "soil", "soil", "burnt"),
    "drylands": ("soil", "soil", "sand", "crop", "rock"),
    "desert": ("sand", "sand", "rock", "soil"),
    "salt": ("sand", "soil", "rock"),
    "mountain": ("rock", "vegetation", "soil", "rock"),
    "city": ("urban", "urban", "urban", "vegetation", "soil"),
    "coast": ("vegetation", "sand", "soil", "urban"),
    "sea": ("water",),
    "winter": ("snow", "snow", "vegetation", "soil"),
    "ice": ("snow", "ice", "snow", "ice"),
}
"""Biome -> families of surfaces that its patches are drawn from (assumed: what often lies side by side)."""

WATER_CHANCE = {
    "coast": 1.0,
    "farmland": 0.45,
    "forest": 0.5,
    "savanna": 0.3,
    "city": 0.5,
    "winter": 0.4,
    "ice": 0.35,
}
"""Chance that a biome holds water bodies; the others: 0.2."""

HIGHER = {"ice": 1.0, "snow": 1.0, "rock": 0.7, "vegetation": -0.3, "crop": -0.8, "urban": -1.0}
"""Family of surfaces -> how far it lies above the others among hills (assumption, after the belts of mountains: fields
and towns below, forest, bare rock above the tree line, snow on top); the others: anywhere."""
ZONED = (0.0, 2.0)
"""Range of how strictly it does, in standard deviations of what else spreads the patches (assumption)."""

HILLS_M = 30.0
"""Standard deviation of the ground's height from which clouds and what covers the ground follow it (assumption)."""

DUSTED = ("farmland", "forest", "city", "winter")
"""Biomes that thin or melting snow can lie on."""
DUSTING_CHANCE = 0.15
"""Chance of that (assumption)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surface:
    """Reflectance of the ground and its elevation."""

    reflectance: Float32
    """``(band, y, x)``, unitless, hillshade included."""
    elevation: Float32
    """Metres, ``(y, x)``."""
    biome: str
    """Which of ``BIOMES`` it is."""


def draw_surface(
    rng: np.random.Generator, size: int, wavelengths: Sequence[float], *, gsd: float, sun: SunAngles
) -> Surface:
    """Draw a random surface.

    Args:
        rng: Source of randomness.
        size: Side, in pixels.
        wavelengths: Centres of the bands, in micrometres.
        gsd: Ground sample distance, in metres; sets how rough the relief looks.
        sun: Sun angles, for the hillshade.
    """
    biome = str(rng.choice(list(BIOMES)))
    if biome == "sea":
        elevation = np.zeros((size, size), np.float32)
    else:
        elevation = draw_relief(rng, size, gsd, rugged=biome in {"mountain", "winter", "ice", "desert"})
    reflectance = _patches(rng, size, wavelengths, BIOMES[biome], elevation)
    if biome in {"farmland", "city", "drylands"} or rng.random() < 0.15:
        reflectance = _parcels(rng, reflectance, wavelengths, BIOMES[biome])
    if biome in {"city", "farmland", "coast"} and rng.random() < 0.7:
        reflectance = _roads(rng, reflectance, wavelengths)
    if biome in {"city", "farmland"} and rng.random() < 0.6:
        reflectance = _roofs(rng, reflectance, wavelengths)
    if biome in DUSTED and rng.random() < DUSTING_CHANCE:
        reflectance = _dusting(rng, reflectance, wavelengths)
    reflectance *= _texture(rng, size, len(wavelengths))
    reflectance *= hillshade(elevation, gsd, sun) * (1 - SKYLESS * cast_shadow(elevation, gsd, sun))
    if biome == "sea" and rng.random() < 0.4:
        reflectance = reflectance + _glint(rng, size)
    if biome in {"mountain", "winter"} and rng.random() < 0.6:
        reflectance = _snow_cap(rng, reflectance, elevation, wavelengths)
    if biome != "sea" and rng.random() < WATER_CHANCE.get(biome, 0.2):
        reflectance, elevation = _water(rng, reflectance, elevation, wavelengths)
    return Surface(reflectance=np.maximum(reflectance, 0.001), elevation=elevation, biome=biome)


def draw_relief(rng: np.random.Generator, size: int, gsd: float, *, rugged: bool) -> Float32:
    """Draw heights whose slopes are as steep as a biome's: rounded hills, or sharper ridges and valleys.

    Args:
        rng: Source of randomness.
        size: Side, in pixels.
        gsd: Ground sample distance, in metres.
        rugged: Whether it is a mountain range.

    Returns:
        Metres, ``(size, size)``, periodic.
    """
    field = band_limited(rng, size, rng.uniform(*RELIEF_SLOPE), longest_px=draw_length(rng, size, shortest_px=32))
    if rugged and rng.random() < 0.5:
        field = blur(np.abs(field) * rng.choice([-1.0, 1.0]), rng.uniform(0.7, 2.0))
    dy, dx = np.gradient(field, gsd)
    steepness = np.exp(rng.uniform(*np.log(STEEP if rugged else GENTLE))) * min(1.0, (STEEP_UP_TO_M / gsd) ** 0.5)
    return np.asarray(field * np.float32(steepness / np.sqrt((dy**2 + dx**2).mean())), np.float32)


def hillshade(elevation: Float32, gsd: float, sun: SunAngles) -> Float32:
    """Give the direct light on a slope over that on flat ground, in about [0.25, 1.8], ``(y, x)``."""
    dy = (np.roll(elevation, -1, 0) - np.roll(elevation, 1, 0)) / (2 * gsd)
    dx = (np.roll(elevation, -1, 1) - np.roll(elevation, 1, 1)) / (2 * gsd)
    zenith, azimuth = np.radians(sun.zenith), np.radians(sun.azimuth)
    east, north = np.sin(azimuth), np.cos(azimuth)
    slope_to_sun = -dx * east + dy * north
    cosine = (np.cos(zenith) + np.sin(zenith) * slope_to_sun) / np.sqrt(1 + dx**2 + dy**2)
    light = 0.15 + 0.85 * cosine / max(np.cos(zenith), 0.15)
    return np.asarray(np.clip(light, 0.25, 1.8), np.float32)


def cast_shadow(elevation: Float32, gsd: float, sun: SunAngles) -> Float32:
    """Tell where the relief itself hides the sun, as 0 or 1, ``(y, x)``; looks ``SIGHT_PX`` pixels towards the sun."""
    azimuth, rise = np.radians(sun.azimuth), gsd / np.tan(np.radians(max(sun.zenith, 5.0)))
    hidden = np.zeros(elevation.shape, np.float32)
    highest = float(np.ptp(elevation))
    for step in range(1, SIGHT_PX, 2):
        if step * rise > highest:
            break
        towards = np.roll(elevation, (round(step * np.cos(azimuth)), -round(step * np.sin(azimuth))), axis=(0, 1))
        hidden = np.maximum(hidden, towards - step * rise > elevation)
    return hidden.astype(np.float32)


def _glint(rng: np.random.Generator, size: int) -> Float32:
    """Reflectance of the sun on waves: without colour, stronger to one side, rough."""
    angle, axis = rng.uniform(0, 2 * np.pi), np.linspace(-1, 1, size, dtype=np.float32)
    side = np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None]
    rough = 1 + rng.uniform(0.05, 0.3) * fractal(rng, size, rng.uniform(0.6, 1.8))
    return np.asarray(rng.uniform(0.02, 0.22) / (1 + np.exp(-3 * side)) * rough, np.float32)


def _roofs(rng: np.random.Generator, reflectance: Float32, wavelengths: Sequence[float]) -> Float32:
    """Set bright and dark rectangles: halls, roofs, greenhouses."""
    size = reflectance.shape[-1]
    reflectance = reflectance.copy()
    for _ in range(int(np.exp(rng.uniform(np.log(5), np.log(150))))):
        height, width = np.maximum(np.exp(rng.normal(0.9, 0.7, 2)).astype(int), 1)
        top, left = int(rng.integers(size)), int(rng.integers(size))
        tint = _tint(rng, _pick(rng, ("urban",)), wavelengths)[:, None, None]
        reflectance[:, top : top + height, left : left + width] = tint * rng.uniform(0.8, 1.3)
    return reflectance


def _pick(rng: np.random.Generator, families: Sequence[str]) -> Spectrum:
    family = rng.choice(families)
    members = [row for row in spectra().values() if row.kind == family]
    chosen: Spectrum = rng.choice(members)  # type: ignore[arg-type]
    return chosen


def _tint(rng: np.random.Generator, spectrum: Spectrum, wavelengths: Sequence[float]) -> Float32:
    """Vary a spectrum in brightness and, a little, in slope."""
    values = spectrum.at(wavelengths)
    level = np.exp(rng.normal(0, spectrum.spread))
    tilt = np.exp(rng.normal(0, 0.08) * (np.asarray(wavelengths) - 0.8))
    return np.asarray(values * level * tilt, np.float32)


def _patches(
    rng: np.random.Generator,
    size: int,
    wavelengths: Sequence[float],
    families: Sequence[str],
    elevation: Float32,
) -> Float32:
    count = int(rng.integers(1, 6))
    sharpness = np.exp(rng.uniform(np.log(0.5), np.log(8.0)))
    slope, longest = rng.uniform(2.4, 4.0), draw_length(rng, size, shortest_px=16)
    fields = np.stack([band_limited(rng, size, slope, longest_px=longest) + rng.normal(0, 0.8) for _ in range(count)])
    chosen = [_pick(rng, families) for _ in range(count)]
    if elevation.std() >= HILLS_M:
        above = np.array([HIGHER.get(spectrum.kind, 0.0) for spectrum in chosen]) * rng.uniform(*ZONED)
        fields = fields + above[:, None, None] * ((elevation - elevation.mean()) / elevation.std())
    weights = np.exp(sharpness * (fields - fields.max(axis=0)))
    weights /= weights.sum(axis=0)
    tints = np.stack([_tint(rng, spectrum, wavelengths) for spectrum in chosen])
    return np.asarray(np.einsum("kb,kyx->byx", tints, weights), np.float32)


def _parcels(
    rng: np.random.Generator, reflectance: Float32, wavelengths: Sequence[float], families: Sequence[str]
) -> Float32:
    size = reflectance.shape[-1]
    count = int(np.exp(rng.uniform(np.log(20), np.log(160))))
    index, _ = cells(rng, size, count, power=float(rng.choice([1.0, 2.0])))
    palette = np.stack([_tint(rng, _pick(rng, families), wavelengths) for _ in range(12)])
    chosen = palette[rng.integers(0, len(palette), count)]
    tints = chosen * rng.lognormal(0, 0.12, (count, 1)).astype(np.float32)
    parcels = tints.T[:, index]
    share = np.float32(rng.uniform(0.5, 1.0))
    where = (fractal(rng, size, 3.0) > rng.normal(-0.8, 0.7)) * share
    return (reflectance * (1 - where) + parcels * where).astype(np.float32)


def _dusting(rng: np.random.Generator, reflectance: Float32, wavelengths: Sequence[float]) -> Float32:
    """Lay thin or melting snow over the ground: more of it on some parcels than on others, and in drifts."""
    size = reflectance.shape[-1]
    count = int(np.exp(rng.uniform(np.log(10), np.log(160))))
    index, _ = cells(rng, size, count, power=float(rng.choice([1.0, 2.0])))
    drifts = band_limited(rng, size, rng.uniform(2.4, 3.6), longest_px=draw_length(rng, size, shortest_px=8))
    share = rng.uniform(0, 1, count).astype(np.float32) ** 2
    share = np.clip(share[index] + np.float32(rng.uniform(0, 0.3)) * drifts, 0, 0.95)
    tint = _tint(rng, _pick(rng, ("snow",)), wavelengths)[:, None, None]
    return np.asarray(reflectance * (1 - share) + tint * share, np.float32)


def _roads(rng: np.random.Generator, reflectance: Float32, wavelengths: Sequence[float]) -> Float32:
    size = reflectance.shape[-1]
    for _ in range(int(rng.integers(1, 6))):
        tint = _tint(rng, _pick(rng, ("urban", "soil")), wavelengths)[:, None, None]
        mask = line(rng, size, rng.uniform(0.5, 2.0), wiggle=rng.uniform(0, 0.03))
        reflectance = reflectance * (1 - mask) + tint * mask
    return reflectance


def _texture(rng: np.random.Generator, size: int, bands: int) -> Float32:
    shared = fractal(rng, size, rng.uniform(1.0, 3.2))
    own = fractal(rng, size, rng.uniform(1.0, 3.2))
    lean = np.linspace(-1, 1, bands, dtype=np.float32)[:, None, None] * np.float32(rng.normal(0, 0.6))
    strength = np.float32(np.exp(rng.uniform(*np.log(TEXTURE))))
    return np.exp(strength * (shared + lean * own)).astype(np.float32)


def _snow_cap(
    rng: np.random.Generator, reflectance: Float32, elevation: Float32, wavelengths: Sequence[float]
) -> Float32:
    tint = _tint(rng, _pick(rng, ("snow",)), wavelengths)[:, None, None]
    line_field = cover(elevation + elevation.std() * 0.4 * fractal(rng, elevation.shape[0], 2.2), rng.uniform(0.1, 0.7))
    share = 1 / (1 + np.exp(-np.clip(line_field / (elevation.std() * 0.08 + 1e-6), -30, 30)))
    shade = reflectance.mean(axis=0) / reflectance.mean()
    return np.asarray(reflectance * (1 - share) + tint * np.clip(shade, 0.4, 1.3) * share, np.float32)


def _water(
    rng: np.random.Generator, reflectance: Float32, elevation: Float32, wavelengths: Sequence[float]
) -> tuple[Float32, Float32]:
    """Lay a river, or lakes over the lowest ground, whose surface is level; gives the ground and its height."""
    size = elevation.shape[0]
    if rng.random() < 0.35:
        mask = line(rng, size, np.exp(rng.uniform(0, 3)), wiggle=rng.uniform(0.02, 0.1))
        mask = np.clip(mask * 3 - 1, 0, 1)
    else:
        hilly = elevation.std() >= HILLS_M
        rough = 0.0 if hilly else 0.5
        low = cover(-elevation - elevation.std() * rough * fractal(rng, size, 3.2), rng.uniform(0.03, 0.6))
        mask = np.clip(low / (elevation.std() * 0.03 + 1e-6), 0, 1)
        if hilly:
            elevation = np.maximum(elevation, elevation[mask > 0].max(initial=elevation.min()))
    tint = _tint(rng, _pick(rng, ("water",)), wavelengths)[:, None, None]
    ripple = 1 + np.float32(0.05) * fractal(rng, size, 1.0)
    return (reflectance * (1 - mask) + tint * ripple * mask).astype(np.float32), elevation
