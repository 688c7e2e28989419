"""Random fields: fractals, cells and lines that surfaces and clouds are drawn with; all are periodic."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from undercast.types import Float32


def fractal(rng: np.random.Generator, size: int, slope: float, *, stretch: float = 1.0, angle: float = 0.0) -> Float32:
    """Draw a Gaussian field whose power falls with frequency.

    Args:
        rng: Source of randomness.
        size: Side, in pixels.
        slope: Exponent of the power spectrum; 2 is rough, 4 is smooth.
        stretch: How much longer structures are along ``angle`` than across it.
        angle: Direction of the stretch, in radians from the x axis.

    Returns:
        ``(size, size)``, periodic, of mean 0 and standard deviation 1.
    """
    frequency = _frequency(size, stretch, angle)
    frequency[0, 0] = 1.0
    return _coloured(rng, frequency ** np.float32(-slope / 2))


def band_limited(
    rng: np.random.Generator, size: int, slope: float, *, longest_px: float, stretch: float = 1.0
) -> Float32:
    """Draw a Gaussian field like ``fractal``'s whose power stops rising beyond a length: a pattern of that size.

    Args:
        rng: Source of randomness.
        size: Side, in pixels.
        slope: Exponent of the power spectrum of shorter structures.
        longest_px: Length of the longest structures, in pixels.
        stretch: How much longer structures are in a random direction than across it.

    Returns:
        ``(size, size)``, periodic, of mean 0 and standard deviation 1.
    """
    frequency = _frequency(size, stretch, float(rng.uniform(0, np.pi)))
    return _coloured(rng, (frequency**2 + np.float32(1 / longest_px) ** 2) ** np.float32(-slope / 4))


def draw_length(rng: np.random.Generator, size: int, *, shortest_px: float) -> float:
    """Draw how long structures are: from ``shortest_px`` (or the side) to twice the side, evenly by the logarithm."""
    return float(np.exp(rng.uniform(np.log(min(shortest_px, size)), np.log(2 * size))))


def _frequency(size: int, stretch: float, angle: float) -> Float32:
    """Frequencies of a real Fourier transform, in cycles per pixel, as ``fractal`` sees them."""
    fy = np.fft.fftfreq(size)[:, None].astype(np.float32)
    fx = np.fft.rfftfreq(size)[None, :].astype(np.float32)
    along = fx * np.cos(angle) + fy * np.sin(angle)
    across = fy * np.cos(angle) - fx * np.sin(angle)
    return np.asarray(np.hypot(along * stretch, across), np.float32)


def _coloured(rng: np.random.Generator, amplitude: Float32) -> Float32:
    """Draw white noise and give it a spectrum; without its mean."""
    size = len(amplitude)
    noise = np.fft.rfft2(rng.standard_normal((size, size), dtype=np.float32))
    noise[0, 0] = 0.0
    return standardise(np.fft.irfft2(noise * amplitude, s=(size, size)).astype(np.float32))


def standardise(field: Float32) -> Float32:
    """Shift and scale a field to mean 0 and standard deviation 1 (0 everywhere if it is constant)."""
    centred: Float32 = field - field.mean()
    spread = float(centred.std())
    return centred / np.float32(spread) if spread > 0 else centred


def cover(field: Float32, fraction: float) -> Float32:
    """Shift a field so that ``fraction`` of it lies above 0."""
    above: Float32 = field - np.float32(np.quantile(field, 1.0 - fraction))
    return above


def shift(field: Float32, dy: float, dx: float) -> Float32:
    """Move a periodic field by a number of pixels, bilinearly.

    Returns:
        ``out[y, x] = field[y - dy, x - dx]``.
    """
    iy, ix = int(np.floor(dy)), int(np.floor(dx))
    wy, wx = np.float32(dy - iy), np.float32(dx - ix)
    base = np.roll(field, (iy, ix), axis=(-2, -1))
    down = np.roll(base, 1, axis=-2)
    top = base * (1 - wy) + down * wy
    return np.asarray(top * (1 - wx) + np.roll(top, 1, axis=-1) * wx, field.dtype)


def blur(stack: Float32, sigma_px: float) -> Float32:
    """Blur the last two axes with a periodic Gaussian of ``sigma_px`` pixels."""
    if sigma_px <= 0:
        return stack
    height, width = stack.shape[-2:]
    fy = np.fft.fftfreq(height)[:, None].astype(np.float32)
    fx = np.fft.rfftfreq(width)[None, :].astype(np.float32)
    response = np.exp(-2 * (np.pi * sigma_px) ** 2 * (fx**2 + fy**2)).astype(np.float32)
    return np.fft.irfft2(np.fft.rfft2(stack) * response, s=(height, width)).astype(np.float32)


def cells(rng: np.random.Generator, size: int, count: int, *, power: float = 2.0) -> tuple[NDArray[np.int32], Float32]:
    """Part the square into cells around random points (Voronoi; ``power`` 1: blocky cells, 2: round ones).

    Returns:
        Index of the nearest point ``(size, size)``, and its distance over the mean cell size.
    """
    points = rng.uniform(0, size, (count, 2)).astype(np.float32)
    axis = np.arange(size, dtype=np.float32)
    nearest = np.zeros((size, size), np.int32)
    best = np.full((size, size), np.inf, np.float32)
    for index, (y, x) in enumerate(points):
        gap_y = np.abs(axis - y)
        gap_x = np.abs(axis - x)
        gap_y = np.minimum(gap_y, size - gap_y)[:, None]
        gap_x = np.minimum(gap_x, size - gap_x)[None, :]
        distance = gap_y + gap_x if power == 1.0 else gap_y**2 + gap_x**2
        closer = distance < best
        nearest[closer] = index
        np.minimum(best, distance, out=best)
    scale = size / np.sqrt(count)
    distances = best if power == 1.0 else np.sqrt(best)
    return nearest, np.asarray(distances / np.float32(scale), np.float32)


def line(rng: np.random.Generator, size: int, width_px: float, *, wiggle: float) -> Float32:
    """Draw a soft line across the square (a road, a river, a contrail).

    Returns:
        ``(size, size)`` in [0, 1], 1 on the line.
    """
    angle = rng.uniform(0, np.pi)
    axis = np.arange(size, dtype=np.float32)
    x, y = axis[None, :], axis[:, None]
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    middle = rng.uniform(across.min() * 0.6, across.max() * 0.6 + 1.0)
    waves = sum(
        amplitude * np.sin(along * frequency + rng.uniform(0, 6.3))
        for amplitude, frequency in ((1.0, 6.3 / size), (0.4, 18.0 / size), (0.15, 50.0 / size))
    )
    distance = across - middle - wiggle * size * waves
    drawn: Float32 = np.exp(-((distance / max(width_px, 0.5)) ** 2)).astype(np.float32)
    return drawn
