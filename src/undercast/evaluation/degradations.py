"""Degradations: what can be wrong with an image, as pure functions of reflectance, severity and a seed.

Each takes reflectance ``(band, y, x)`` with NaN where there is no data and gives a new array of the same shape. NaN
stays where it was, and nowhere else, except in bands that ``missing_bands`` takes away; so the same pixels are judged
at every severity. Severity 0 changes nothing. One generator state gives one pattern that grows with the severity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from undercast.errors import UsageError
from undercast.types import Float32

Degrade: TypeAlias = Callable[[Float32, float, np.random.Generator], Float32]
"""Reflectance ``(band, y, x)``, severity, source of randomness -> degraded reflectance of the same shape."""

KERNEL_REACH = 3.0
"""Standard deviations of a Gaussian that are kept on each side."""


def noise(reflectance: Float32, severity: float, rng: np.random.Generator) -> Float32:
    """Add white Gaussian noise, independent between pixels and bands.

    Args:
        reflectance: ``(band, y, x)``, NaN where there is no data.
        severity: Standard deviation, in reflectance, >= 0.
        rng: Draws the noise.
    """
    return reflectance + rng.standard_normal(reflectance.shape, dtype=np.float32) * np.float32(severity)


def blur(reflectance: Float32, severity: float, rng: np.random.Generator) -> Float32:
    """Blur with a Gaussian, over the pixels that have data.

    Args:
        reflectance: ``(band, y, x)``, NaN where there is no data.
        severity: Standard deviation of the Gaussian, in pixels, >= 0.
        rng: Not used.
    """
    del rng
    if severity == 0:
        return reflectance.copy()
    reach = math.ceil(KERNEL_REACH * severity)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / severity) ** 2).astype(np.float32)
    known = np.isfinite(reflectance)
    values = np.where(known, reflectance, np.float32(0))
    weights = known.astype(np.float32)
    for axis in (-2, -1):
        values, weights = (_convolve(layer, taps, axis) for layer in (values, weights))
    return np.where(known, values / np.where(known, weights, np.float32(1)), np.float32(np.nan))


def gain(reflectance: Float32, severity: float, rng: np.random.Generator) -> Float32:
    """Multiply every band by ``1 + severity``: an error of absolute calibration.

    Args:
        reflectance: ``(band, y, x)``, NaN where there is no data.
        severity: Relative error of the gain, without unit, of either sign.
        rng: Not used.
    """
    del rng
    return reflectance * np.float32(1 + severity)


def offset(reflectance: Float32, severity: float, rng: np.random.Generator) -> Float32:
    """Add ``severity`` to every band: a dark signal, stray light, or an offset that was not applied.

    Sentinel-2 from baseline 04.00 on, read without its offset, has the severity 0.1.

    Args:
        reflectance: ``(band, y, x)``, NaN where there is no data.
        severity: Error of the offset, in reflectance, of either sign.
        rng: Not used.
    """
    del rng
    return reflectance + np.float32(severity)


def misregistration(reflectance: Float32, severity: float, rng: np.random.Generator) -> Float32:
    """Shift every band but the first by the same distance, each in a direction of its own (bilinear).

    Beyond the edge the image goes on with its last pixel; a pixel whose new neighbours have no data keeps its value.

    Args:
        reflectance: ``(band, y, x)``, NaN where there is no data.
        severity: Distance from the first band, in pixels, >= 0.
        rng: Draws the directions.
    """
    angles = rng.uniform(0, 2 * math.pi, len(reflectance))
    out = reflectance.copy()
    for layer, angle in zip(out[1:], angles[1:], strict=True):
        layer[...] = _shift(layer, severity * math.sin(angle), severity * math.cos(angle))
    return out


def quantisation(reflectance: Float32, severity: float, rng: np.random.Generator) -> Float32:
    """Round to multiples of a step.

    Args:
        reflectance: ``(band, y, x)``, NaN where there is no data.
        severity: Distance between neighbouring values, in reflectance, >= 0. 8 bits over [0, 1] are 0.004, 5 bits 0.03.
        rng: Not used.
    """
    del rng
    if severity == 0:
        return reflectance.copy()
    step = np.float32(severity)
    return np.round(reflectance / step) * step


def striping(reflectance: Float32, severity: float, rng: np.random.Generator) -> Float32:
    """Give each column of each band a gain of its own, as detectors of a pushbroom sensor have.

    Args:
        reflectance: ``(band, y, x)``, NaN where there is no data.
        severity: Standard deviation of the columns' relative gains, without unit, >= 0.
        rng: Draws the gains.
    """
    bands, _, width = reflectance.shape
    errors = rng.standard_normal((bands, 1, width), dtype=np.float32)
    return reflectance * (1 + np.float32(severity) * errors)


def lower_resolution(reflectance: Float32, severity: float, rng: np.random.Generator) -> Float32:
    """Average squares of pixels, over those that have data, and repeat the mean on the old grid.

    Args:
        reflectance: ``(band, y, x)``, NaN where there is no data.
        severity: Side of the squares, in pixels, rounded to a whole number; 0 and 1 change nothing.
        rng: Not used.
    """
    del rng
    side = round(severity)
    if side <= 1:
        return reflectance.copy()
    known = np.isfinite(reflectance)
    sums = _block_sums(np.where(known, reflectance, np.float32(0)), side)
    counts = _block_sums(known.astype(np.float32), side)
    means = sums / np.maximum(counts, 1)
    height, width = reflectance.shape[-2:]
    spread = means.repeat(side, axis=-2)[..., :height, :].repeat(side, axis=-1)[..., :width]
    return np.where(known, spread, np.float32(np.nan)).astype(np.float32)


def missing_bands(reflectance: Float32, severity: float, rng: np.random.Generator) -> Float32:
    """Lose the last bands: all their pixels become NaN.

    ``stress`` gives the bands in order of wavelength, so that the longest ones are lost first, as when the
    shortwave-infrared detectors of an instrument fail or a sensor has none.

    Args:
        reflectance: ``(band, y, x)``, NaN where there is no data.
        severity: Number of bands, rounded to a whole number; all of them where it is larger than that.
        rng: Not used.
    """
    del rng
    out = reflectance.copy()
    out[max(len(out) - round(severity), 0) :] = np.nan
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Degradation:
    """One kind of degradation."""

    title: str
    """Name for people."""
    unit: str
    """Unit of the severity."""
    severity: str
    """What the severity is."""
    apply: Degrade
    """The function."""
    defaults: tuple[float, ...]
    """Severities that are tried unless told otherwise."""
    signed: bool = False
    """Whether a severity may be negative."""


DEGRADATIONS: Mapping[str, Degradation] = MappingProxyType(
    {
        "noise": Degradation(
            title="Noise",
            unit="reflectance",
            severity="standard deviation",
            apply=noise,
            defaults=(0.005, 0.01, 0.02, 0.05),
        ),
        "blur": Degradation(
            title="Blur", unit="px", severity="standard deviation", apply=blur, defaults=(0.5, 1.0, 2.0, 4.0)
        ),
        "gain": Degradation(
            title="Gain error",
            unit="relative",
            severity="error of the gain",
            apply=gain,
            defaults=(-0.1, -0.05, 0.05, 0.1),
            signed=True,
        ),
        "offset": Degradation(
            title="Offset error",
            unit="reflectance",
            severity="error of the offset",
            apply=offset,
            defaults=(-0.02, 0.02, 0.05, 0.1),
            signed=True,
        ),
        "misregistration": Degradation(
            title="Misregistration between bands",
            unit="px",
            severity="distance from the first band",
            apply=misregistration,
            defaults=(0.5, 1.0, 2.0, 4.0),
        ),
        "quantisation": Degradation(
            title="Quantisation",
            unit="reflectance",
            severity="step",
            apply=quantisation,
            defaults=(0.004, 0.01, 0.03, 0.1),
        ),
        "striping": Degradation(
            title="Striping",
            unit="relative",
            severity="standard deviation of the columns' gains",
            apply=striping,
            defaults=(0.01, 0.03, 0.1),
        ),
        "lower_resolution": Degradation(
            title="Lower resolution",
            unit="px",
            severity="side of the averaged squares",
            apply=lower_resolution,
            defaults=(2, 4, 8),
        ),
        "missing_bands": Degradation(
            title="Missing bands",
            unit="bands",
            severity="number of lost bands, longest wavelength first",
            apply=missing_bands,
            defaults=(1, 2, 3),
        ),
    }
)
"""Degradation id -> what it does and the severities that are tried."""


def find_degradation(name: str) -> Degradation:
    """Find a degradation by its id.

    Raises:
        UsageError: If there is none.
    """
    if name not in DEGRADATIONS:
        msg = f"degradation {name!r} is not known. Known: {', '.join(DEGRADATIONS)}"
        raise UsageError(msg)
    return DEGRADATIONS[name]


def check_severity(name: str, severity: float) -> None:
    """Refuse a severity that a degradation cannot have.

    Raises:
        UsageError: If the degradation is unknown, or the severity is not finite or of the wrong sign.
    """
    signed = find_degradation(name).signed
    if not math.isfinite(severity) or (severity < 0 and not signed):
        wanted = "a finite number" if signed else "a finite number >= 0"
        tried = ", ".join(f"{value:g}" for value in DEGRADATIONS[name].defaults)
        msg = f"severity of {name!r}: expected {wanted}, got {severity}. The usual ones are {tried}."
        raise UsageError(msg)


def _convolve(layer: Float32, taps: Float32, axis: int) -> Float32:
    """Correlate along one axis with zeros beyond the edges."""
    reach = len(taps) // 2
    length = layer.shape[axis]
    room = [(0, 0)] * layer.ndim
    room[axis] = (reach, reach)
    padded = np.pad(layer, room)
    out = np.zeros_like(layer)
    for start, tap in enumerate(taps):
        window = [slice(None)] * layer.ndim
        window[axis] = slice(start, start + length)
        out += tap * padded[tuple(window)]
    return out


def _shift(layer: Float32, dy: float, dx: float) -> Float32:
    """Move one band, bilinearly over the pixels that have data: ``out[y, x] = layer[y - dy, x - dx]``."""
    known = np.isfinite(layer)
    values = np.where(known, layer, np.float32(0))
    total = np.zeros_like(layer)
    weight = np.zeros_like(layer)
    for rows, row_share in _corners(layer.shape[0], dy):
        for cols, col_share in _corners(layer.shape[1], dx):
            share = np.float32(row_share * col_share)
            total += share * values[rows][:, cols]
            weight += share * known[rows][:, cols]
    moved = np.where(weight > 0, total / np.where(weight > 0, weight, np.float32(1)), layer)
    return np.where(known, moved, np.float32(np.nan))


def _corners(length: int, step: float) -> tuple[tuple[NDArray[np.intp], float], ...]:
    """Give the two neighbours that a shifted position lies between, kept inside, and their shares."""
    whole = math.floor(step)
    part = step - whole
    places = np.arange(length) - whole
    return tuple(
        (np.clip(places - back, 0, length - 1), share) for back, share in ((0, 1.0 - part), (1, part)) if share
    )


def _block_sums(layers: Float32, side: int) -> NDArray[np.float64]:
    """Sum squares of the last two axes; those at the far edges may be smaller."""
    height, width = layers.shape[-2:]
    down = np.add.reduceat(layers, np.arange(0, height, side), axis=-2, dtype=np.float64)
    return np.add.reduceat(down, np.arange(0, width, side), axis=-1)
