"""Scene: one acquisition on one grid, named bands in reflectance, read window by window."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from undercast.bands import Band, band_from_name, match_bands
from undercast.errors import BandError, SceneError, UsageError
from undercast.grids import Grid
from undercast.types import PRODUCT_LEVELS, Bool, Float32, ProductLevel
from undercast.windows import Window


class PixelSource(Protocol):
    """Where a scene's pixels come from."""

    def read(self, window: Window, bands: Sequence[int]) -> Float32:
        """Read a window of some bands.

        Args:
            window: Inside the scene.
            bands: Positions of the bands, from 0.

        Returns:
            Reflectance ``(band, y, x)``, unitless; NaN where a band has no data.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArrayPixels:
    """Pixels held in memory."""

    reflectance: Float32
    """Reflectance ``(band, y, x)``; NaN where a band has no data."""

    def read(self, window: Window, bands: Sequence[int]) -> Float32:
        """Read a window of some bands."""
        return self.reflectance[np.asarray(bands, np.intp)][:, window.rows, window.cols]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CroppedPixels:
    """A window of other pixels, read when it is asked for."""

    pixels: PixelSource
    """Where the pixels come from."""
    origin: Window
    """Window of them that is kept."""

    def read(self, window: Window, bands: Sequence[int]) -> Float32:
        """Read a window of some bands."""
        moved = replace(window, row=window.row + self.origin.row, col=window.col + self.origin.col)
        return self.pixels.read(moved, bands)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChosenPixels:
    """Some bands of other pixels."""

    pixels: PixelSource
    """Where the pixels come from."""
    indexes: tuple[int, ...]
    """Position there of each band that is kept."""

    def read(self, window: Window, bands: Sequence[int]) -> Float32:
        """Read a window of some bands."""
        return self.pixels.read(window, [self.indexes[band] for band in bands])


@dataclass(frozen=True, slots=True, kw_only=True)
class SunAngles:
    """Where the sun stands at the scene's centre."""

    zenith: float
    """Degrees from the vertical."""
    azimuth: float
    """Degrees clockwise from north."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """One acquisition on one grid."""

    name: str
    """Short name, used for output files."""
    bands: tuple[Band, ...]
    """Bands, in the order of the pixels."""
    grid: Grid
    """Grid that all bands share."""
    pixels: PixelSource
    """Where the pixels come from."""
    level: ProductLevel | None = None
    """Kind of reflectance, where it is known."""
    sensor: str | None = None
    """Sensor id, where it is known."""
    acquired: datetime | None = None
    """Time of acquisition, where it is known."""
    sun: SunAngles | None = None
    """Sun angles, where they are known."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """Where the scene and its band names come from, for the records (``source``, ``bands_from``, ...)."""

    def read(self, window: Window | None = None, bands: Sequence[int] | None = None) -> Float32:
        """Read reflectance ``(band, y, x)``, NaN where there is no data; everything unless told otherwise."""
        chosen = range(len(self.bands)) if bands is None else bands
        return self.pixels.read(window or self.grid.full, chosen)

    def valid(self, window: Window | None = None, bands: Sequence[int] | None = None) -> Bool:
        """Tell where every one of the bands has data, as booleans ``(y, x)``."""
        return np.asarray(np.isfinite(self.read(window, bands)).all(axis=0), np.bool_)

    def sample(self, bands: Sequence[int] | None = None, *, size: int = 128, places: int = 9) -> Float32:
        """Read a few small windows spread over the scene, for a look at the values.

        Returns:
            Reflectance ``(band, n)``.
        """
        chosen = range(len(self.bands)) if bands is None else bands
        windows = sampled_windows(self.grid.shape, size=size, places=places)
        parts = [self.pixels.read(window, chosen).reshape(len(chosen), -1) for window in windows]
        return np.concatenate(parts, axis=1)


def sampled_windows(shape: tuple[int, int], *, size: int = 128, places: int = 9) -> list[Window]:
    """Spread a few small windows over a scene, as ``Scene.sample`` reads them."""
    height, width = shape
    rows, columns = (np.linspace(0, max(length - size, 0), math.isqrt(places), dtype=int) for length in shape)
    return [
        Window(row=int(row), col=int(col), height=min(size, height), width=min(size, width))
        for row in rows
        for col in columns
    ]


def crop(scene: Scene, window: Window) -> Scene:
    """Give a window of a scene as a scene of its own; its pixels are read when they are asked for.

    Raises:
        SceneError: If the window does not lie in the scene.
    """
    height, width = scene.grid.shape
    inside = (
        0 <= window.row < window.row + window.height <= height and 0 <= window.col < window.col + window.width <= width
    )
    if not inside:
        msg = (
            f"{scene.name}: expected a window inside {height} x {width} px, got {window.height} x {window.width} px"
            f" from row {window.row} and column {window.col} on."
        )
        raise SceneError(msg)
    return replace(scene, grid=scene.grid.part(window), pixels=CroppedPixels(pixels=scene.pixels, origin=window))


def keep_bands(scene: Scene, wanted: Sequence[Band]) -> Scene:
    """Give a scene with those of its bands that stand for the wanted ones, in their order; it may lack some.

    Raises:
        BandError: If it has none of them.
    """
    indexes = tuple(match.index for match in match_bands(wanted, scene.bands) if match.index is not None)
    if not indexes:
        has = ", ".join(band.common_name for band in scene.bands) or "none"
        msg = f"{scene.name}: expected one of {', '.join(band.common_name for band in wanted)}, got {has}."
        raise BandError(msg)
    pixels = ChosenPixels(pixels=scene.pixels, indexes=indexes)
    return replace(scene, bands=tuple(scene.bands[index] for index in indexes), pixels=pixels)


def scene_from_array(
    reflectance: ArrayLike,
    bands: Sequence[Band | str],
    *,
    name: str = "array",
    valid: Bool | None = None,
    level: ProductLevel | None = None,
    grid: Grid | None = None,
) -> Scene:
    """Make a scene of an array.

    Args:
        reflectance: ``(band, y, x)``, unitless reflectance; NaN or masked where there is no data.
        bands: One band or common name per layer.
        name: Short name of the scene.
        valid: True = usable, ``(y, x)``; combined with NaN.
        level: Kind of reflectance, where it is known.
        grid: Grid, where the array is georeferenced.

    Raises:
        SceneError: If the array has not three dimensions, or ``valid`` not its shape.
        BandError: If the number of bands is not the number of layers, or a name is unknown.
        UsageError: If the level is none of those that there are.
    """
    if level is not None and level not in PRODUCT_LEVELS:
        msg = f"level: expected one of {', '.join(PRODUCT_LEVELS)}, or None where it is not known; got {level!r}."
        raise UsageError(msg)
    if isinstance(reflectance, np.ma.MaskedArray):
        values: Float32 = np.ma.filled(reflectance.astype(np.float32), np.nan)
    else:
        values = np.asarray(reflectance, np.float32)
    if values.ndim != 3:
        msg = f"expected an array (band, y, x), got shape {values.shape}. Add the band axis with array[None]."
        raise SceneError(msg)
    if len(bands) != values.shape[0]:
        msg = f"expected one band name per layer, got {len(bands)} names for {values.shape[0]} layers."
        raise BandError(msg)
    if valid is not None:
        if valid.shape != values.shape[1:]:
            msg = f"expected valid of shape {values.shape[1:]}, got {valid.shape}."
            raise SceneError(msg)
        values = np.where(valid, values, np.float32(np.nan))
    height, width = values.shape[1:]
    return Scene(
        name=name,
        bands=tuple(band_from_name(band) if isinstance(band, str) else band for band in bands),
        grid=grid or Grid(shape=(height, width)),
        pixels=ArrayPixels(reflectance=values),
        level=level,
        provenance={"source": "array", "bands_from": "caller"},
    )
