"""Clouds: layers of optical thickness, of several kinds, in water or ice phase, at a height."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from undercast.simulation.fields import band_limited, blur, cells, cover, draw_length, fractal, line
from undercast.simulation.surface import HILLS_M
from undercast.types import Float32

CloudKind = Literal["cumulus", "popcorn", "stratocumulus", "overcast", "fog", "cirrus", "contrail", "broken"]
"""Kinds of cloud that the simulator knows."""
CLOUD_KINDS: tuple[CloudKind, ...] = get_args(CloudKind)

BASE_M: dict[CloudKind, tuple[float, float]] = {
    "cumulus": (400.0, 2500.0),
    "popcorn": (400.0, 2000.0),
    "stratocumulus": (400.0, 2000.0),
    "overcast": (500.0, 5000.0),
    "fog": (0.0, 150.0),
    "cirrus": (6000.0, 12000.0),
    "contrail": (8000.0, 12000.0),
    "broken": (800.0, 6000.0),
}
"""Kind -> range of base height in metres (assumption, after the levels of the WMO cloud atlas)."""

DEPTH_M: dict[CloudKind, tuple[float, float]] = {
    "cumulus": (100.0, 1200.0),
    "popcorn": (100.0, 600.0),
    "stratocumulus": (150.0, 600.0),
    "overcast": (300.0, 3000.0),
    "fog": (50.0, 300.0),
    "cirrus": (100.0, 800.0),
    "contrail": (100.0, 300.0),
    "broken": (100.0, 800.0),
}
"""Kind -> range of geometrical depth in metres (assumption)."""

OUTLINE_SLOPE = (2.9, 3.9)
"""Range of the exponent of the power spectra that clouds are cut from: level sets of dimension 1.05 to 1.55, about the
1.35 of real clouds (Lovejoy 1982)."""
WISP_PX = (0.4, 2.0)
"""Range of the softness of a cloud's edge, as the standard deviation of a Gaussian in pixels (assumption)."""

OVER_CRESTS: tuple[CloudKind, ...] = ("cumulus", "popcorn", "broken")
"""Kinds that rise from crests and slopes."""
OVER_CRESTS_CHANCE = 0.5
"""Share of such layers that lie where the ground is high (assumption)."""
VALLEY_FOG_CHANCE = 0.15
"""Share of scenes among hills with fog in their valleys, beside what else there is (assumption)."""
FILLED_CHANCE = 0.7
"""Share of the fogs among hills that fill all low ground; the others do in places (assumption)."""
FOG_GROWS = 1.5
"""How many times its optical thickness fog can reach over the lowest ground (assumption)."""
UNEVEN_TOP = 0.15
"""Standard deviation of a layer's top over its depth, where it meets the ground (assumption)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CloudLayer:
    """One layer of cloud."""

    kind: CloudKind
    """Kind of cloud."""
    optical_thickness: Float32
    """At visible wavelengths, 0 where there is no cloud, ``(y, x)``, periodic."""
    base_m: float
    """Height of the base above the height that the ground's elevation is counted from."""
    depth_m: float
    """Height of the top above the base, where the cloud is thickest."""
    ice: bool
    """Whether it is of ice: dark in the short-wave infrared."""


def draw_clouds(rng: np.random.Generator, size: int) -> tuple[CloudLayer, ...]:
    """Draw the clouds of a scene: none (one in seven), one layer, or cirrus above another."""
    if rng.random() < 0.15:
        return ()
    kinds = list(CLOUD_KINDS)
    chances = np.array([0.27, 0.12, 0.12, 0.07, 0.04, 0.14, 0.04, 0.20])
    layers = [draw_layer(rng, size, kinds[int(rng.choice(len(kinds), p=chances / chances.sum()))])]
    if rng.random() < 0.25:
        layers.append(draw_layer(rng, size, "cirrus" if rng.random() < 0.7 else "broken"))
    return tuple(layers)


def draw_layer(rng: np.random.Generator, size: int, kind: CloudKind) -> CloudLayer:
    """Draw one layer of a kind."""
    thickness = _DRAW[kind](rng, size)
    high = kind in {"cirrus", "contrail"}
    base = rng.uniform(*BASE_M[kind])
    return CloudLayer(
        kind=kind,
        optical_thickness=np.maximum(thickness, 0).astype(np.float32),
        base_m=base,
        depth_m=rng.uniform(*DEPTH_M[kind]),
        ice=high or (base > 3500.0 and rng.random() < 0.5) or rng.random() < 0.06,
    )


def over_relief(layers: Sequence[CloudLayer], elevation: Float32, rng: np.random.Generator) -> tuple[CloudLayer, ...]:
    """Let clouds meet the ground: ridges stand out of low clouds, fog fills valleys, heaps of cloud rise from crests.

    Bases are heights above low ground, where they are observed from.

    Args:
        layers: Clouds as drawn over flat ground.
        elevation: Height of the ground in metres, ``(y, x)``, periodic.
        rng: Source of randomness.
    """
    low = float(np.quantile(elevation, 0.05))
    hills = float(elevation.std()) >= HILLS_M
    if hills and rng.random() < VALLEY_FOG_CHANCE:
        layers = (draw_layer(rng, len(elevation), "fog"), *layers)
    return tuple(
        _over_relief(replace(layer, base_m=low + layer.base_m), elevation, rng, hills=hills) for layer in layers
    )


def _over_relief(layer: CloudLayer, elevation: Float32, rng: np.random.Generator, *, hills: bool) -> CloudLayer:
    thickness = layer.optical_thickness
    top = layer.base_m + layer.depth_m * (1 + np.float32(UNEVEN_TOP) * fractal(rng, len(elevation), 3.0))
    if layer.kind == "fog":
        if hills:
            thickness = _aligned(thickness, -elevation)
            if rng.random() < FILLED_CHANCE:
                thickness = np.full_like(thickness, thickness.max())
        column = np.clip((top - elevation) / layer.depth_m, 0, FOG_GROWS)
    else:
        if hills and layer.kind in OVER_CRESTS and rng.random() < OVER_CRESTS_CHANCE:
            thickness = _aligned(thickness, elevation)
        column = np.clip((top - np.maximum(elevation, layer.base_m)) / layer.depth_m, 0, 1)
        column = np.where(elevation > layer.base_m, column, np.float32(1))
    return replace(layer, optical_thickness=np.asarray(thickness * column, np.float32))


def _aligned(field: Float32, to: Float32) -> Float32:
    """Move a periodic field to where it goes along best with another."""
    together = np.fft.irfft2(np.fft.rfft2(to) * np.conj(np.fft.rfft2(field)), s=field.shape)
    rows, cols = np.unravel_index(int(together.argmax()), together.shape)
    return np.roll(field, (int(rows), int(cols)), axis=(0, 1))


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _grow(rng: np.random.Generator, field: Float32, peak: float) -> Float32:
    """Turn heights above a threshold into optical thickness, with soft or hard edges and lumps inside."""
    softness = _log_uniform(rng, 0.1, 1.0)
    rise = 1 - np.exp(-np.maximum(field, 0) / softness)
    lumps = fractal(rng, field.shape[0], rng.uniform(2.8, 4.0))
    sigma = rng.uniform(0.05, 0.5)
    steepness = np.float32(rng.uniform(0.8, 2.0))
    grown = np.float32(peak) * rise**steepness * np.exp(np.float32(sigma) * lumps)
    return np.maximum(blur(grown.astype(np.float32), _log_uniform(rng, *WISP_PX)), 0)


def _outline(rng: np.random.Generator) -> float:
    """Draw the exponent of the power spectrum whose level sets are as ragged as the outlines of clouds."""
    return float(rng.uniform(*OUTLINE_SLOPE))


def _cumulus(rng: np.random.Generator, size: int) -> Float32:
    field = band_limited(rng, size, _outline(rng), longest_px=draw_length(rng, size, shortest_px=24))
    return _grow(rng, cover(field, rng.uniform(0.03, 0.5)), _log_uniform(rng, 4, 60))


def _popcorn(rng: np.random.Generator, size: int) -> Float32:
    where = fractal(rng, size, rng.uniform(2.4, 3.4))
    count = int(_log_uniform(rng, 8, 120))
    _, distance = cells(rng, size, count)
    dot = rng.uniform(0.12, 0.35) - distance + 0.06 * band_limited(rng, size, _outline(rng), longest_px=30)
    field = np.where(cover(where, rng.uniform(0.2, 0.9)) > 0, dot, -1) * 4
    return _grow(rng, field.astype(np.float32), _log_uniform(rng, 3, 30))


def _stratocumulus(rng: np.random.Generator, size: int) -> Float32:
    _, distance = cells(rng, size, int(_log_uniform(rng, 10, 160)))
    closed = rng.random() < 0.6
    cell = (0.6 - distance if closed else distance - 0.4) * 2.5
    field = blur(cell.astype(np.float32), 1.5) + rng.uniform(0.3, 0.9) * fractal(rng, size, _outline(rng))
    return _grow(rng, cover(field.astype(np.float32), rng.uniform(0.4, 0.97)), _log_uniform(rng, 5, 40))


def _overcast(rng: np.random.Generator, size: int) -> Float32:
    depth = _log_uniform(rng, 5, 80)
    waves = band_limited(
        rng, size, rng.uniform(3.0, 4.4), longest_px=draw_length(rng, size, shortest_px=16), stretch=rng.uniform(1, 4)
    )
    sheet: Float32 = np.exp(np.float32(rng.uniform(0.02, 0.45)) * waves)
    if rng.random() < 0.4:
        edge = cover(fractal(rng, size, 3.8), rng.uniform(0.5, 0.97))
        sheet = sheet * (1 - np.exp(-np.maximum(edge, 0) / _log_uniform(rng, 0.1, 1.0)))
    return np.float32(depth) * sheet


def _fog(rng: np.random.Generator, size: int) -> Float32:
    field = cover(fractal(rng, size, rng.uniform(3.2, 4.2)), rng.uniform(0.1, 0.7))
    smooth = 1 - np.exp(-np.maximum(field, 0) / np.float32(rng.uniform(0.2, 0.8)))
    return np.float32(_log_uniform(rng, 1.5, 15)) * smooth


def _cirrus(rng: np.random.Generator, size: int) -> Float32:
    angle = rng.uniform(0, np.pi)
    streaks = fractal(rng, size, rng.uniform(2.6, 3.8), stretch=rng.uniform(2, 10), angle=angle)
    veil = fractal(rng, size, 3.8)
    field = cover(streaks * rng.uniform(0.3, 1.0) + veil, rng.uniform(0.15, 0.95))
    soft = np.maximum(field, 0) ** np.float32(rng.uniform(0.8, 1.6))
    return np.float32(_log_uniform(rng, 0.3, 4)) * soft


def _contrail(rng: np.random.Generator, size: int) -> Float32:
    total = np.zeros((size, size), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        trail = line(rng, size, _log_uniform(rng, 0.8, 8), wiggle=rng.uniform(0, 0.01))
        patchy = np.clip(fractal(rng, size, 3.0) * 0.5 + 0.8, 0, 2)
        total += np.float32(_log_uniform(rng, 0.3, 3)) * trail * patchy
    return total


def _broken(rng: np.random.Generator, size: int) -> Float32:
    field = band_limited(
        rng, size, _outline(rng), longest_px=draw_length(rng, size, shortest_px=24), stretch=rng.uniform(1, 3)
    )
    thickness = _grow(rng, cover(field, rng.uniform(0.2, 0.9)), _log_uniform(rng, 1.5, 25))
    return np.maximum(blur(thickness, rng.uniform(0, 3)), 0)


_DRAW = {
    "cumulus": _cumulus,
    "popcorn": _popcorn,
    "stratocumulus": _stratocumulus,
    "overcast": _overcast,
    "fog": _fog,
    "cirrus": _cirrus,
    "contrail": _contrail,
    "broken": _broken,
}
