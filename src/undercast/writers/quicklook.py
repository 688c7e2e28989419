"""Quicklook: a small picture of the scene beside its class map."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from undercast.bands import Band
from undercast.classes import ClassScheme
from undercast.prediction import Strip
from undercast.scene import PixelSource, Scene
from undercast.types import NODATA, Float32, UInt8
from undercast.windows import Window
from undercast.writers.style import color_table

SIDE = 1024
"""Largest side of the scene and of the class map in the picture, in pixels."""

SMALL_SIDE = 256
"""Scenes with sides below this are enlarged by a whole factor, up to it."""

GAP = 8
"""White columns between scene and class map."""

BACKGROUND = 64
"""Grey of a pixel without data, in [0, 255]; neither cloud nor sea has it."""

STRETCH_PERCENT = (2.0, 98.0)
"""Percentiles that become black and white."""

PNG_LEVEL = 2
"""Effort of the PNG's compression, 1 to 9; more takes several times as long and saves little."""

LOOKS_PER_PIXEL = 2
"""Pixels of the scene along each side that are averaged to one of the picture, at least; others are left out."""

VALUES_AT_ONCE = 8_000_000
"""Reflectances that are read at once."""

PICTURES = (("red", "green", "blue"), ("nir", "red", "green"), ("swir16", "nir", "red"))
"""Bands for red, green and blue, best first; nir08 stands in for nir."""


def picture_bands(bands: Sequence[Band]) -> tuple[int, ...]:
    """Choose three bands for a picture: natural colour, else false colour, else the first one in grey.

    Returns:
        Positions of the bands for red, green and blue, from 0.
    """
    places: dict[str, int] = {}
    for place, band in enumerate(bands):
        places.setdefault("nir" if band.common_name == "nir08" else band.common_name, place)
    for names in PICTURES:
        if all(name in places for name in names):
            return tuple(places[name] for name in names)
    return (0, 0, 0)


class Preview:
    """A picture that grows with the strips of a prediction.

    Some of the scene's pixels are averaged at once, as they are read for the prediction, or with the strips; the class
    map is sampled at the middle of each pixel of the picture.
    """

    def __init__(self, scene: Scene, scheme: ClassScheme, *, side: int = SIDE) -> None:
        """Start an empty picture."""
        self._scene = scene
        self._scheme = scheme
        self._step = max(1, math.ceil(max(scene.grid.shape) / side))
        height, width = (math.ceil(length / self._step) for length in scene.grid.shape)
        layers, self._layer_of = np.unique(picture_bands(scene.bands), return_inverse=True)
        self._layers: list[int] = layers.tolist()
        self._sums = np.zeros((len(layers), height, width), np.float32)
        self._counts = np.zeros((height, width), np.float32)
        self._classes = np.full((height, width), NODATA, np.uint8)
        self._averaged = 0
        self._averaging = threading.Lock()

    def watching(self, scene: Scene) -> Scene:
        """Give the scene such that its rows, where they are read from top to bottom, need not be read once more."""
        return replace(scene, pixels=_Watched(pixels=scene.pixels, preview=self))

    def see(self, window: Window, bands: Sequence[int], values: Float32) -> None:
        """Take what was read of the scene, unless it lacks bands, columns or the rows that come next."""
        whole = window.col == 0 and window.width == self._scene.grid.shape[1]
        if not whole or not set(self._layers) <= set(bands):
            return
        with self._averaging:
            known = self._averaged - window.row
            if 0 <= known < window.height:
                self._average(self._averaged, values[[list(bands).index(layer) for layer in self._layers], known:])

    def add(self, strip: Strip) -> None:
        """Add the rows of a strip.

        Raises:
            SceneError: If the scene cannot be read there.
        """
        self._sample(strip)
        for window in self._windows(strip):
            self.see(window, self._layers, self._scene.read(window, self._layers))

    def _windows(self, strip: Strip) -> Iterator[Window]:
        """Give the rows of a strip that nobody has read yet."""
        height, width = strip.class_map.shape
        rows = max(1, VALUES_AT_ONCE // (len(self._layers) * width))
        end = strip.row + height
        for first in range(max(self._averaged, strip.row), end, rows):
            yield Window(row=first, col=0, height=min(rows, end - first), width=width)

    def _average(self, row: int, values: Float32) -> None:
        """Add some of the pixels of rows from ``row`` on, as many from each pixel of the picture, to the sums."""
        places = sorted({look * self._step // LOOKS_PER_PIXEL for look in range(LOOKS_PER_PIXEL)})
        for place in places:
            first = (place - row) % self._step
            seen = values[:, first :: self._step]
            cell = (row + first) // self._step
            for col in places:
                pixels = seen[..., col :: self._step]
                valid = np.logical_and.reduce(np.isfinite(pixels))
                here = (slice(cell, cell + pixels.shape[1]), slice(pixels.shape[2]))
                self._sums[:, *here] += np.where(valid, pixels, np.float32(0))
                self._counts[here] += valid
        self._averaged = row + values.shape[1]

    def _sample(self, strip: Strip) -> None:
        """Take the class at the middle of each pixel of the picture."""
        row_centers, col_centers = (
            np.minimum(np.arange(cells) * self._step + self._step // 2, length - 1)
            for cells, length in zip(self._classes.shape, self._scene.grid.shape, strict=True)
        )
        here = (row_centers >= strip.row) & (row_centers < strip.row + strip.class_map.shape[0])
        self._classes[here] = strip.class_map[row_centers[here] - strip.row][:, col_centers]

    def picture(self) -> UInt8:
        """Give the scene beside the class map as red, green and blue, ``(y, x, 3)``."""
        valid = self._counts > 0
        mean = self._sums / np.maximum(self._counts, 1)
        scene = np.stack([stretch(layer, valid) for layer in mean])[self._layer_of.ravel()]
        classes = color_table(self._scheme)[self._scheme.encode(self._classes), :3]
        classes[self._classes == NODATA] = BACKGROUND
        panels = [_enlarge(np.moveaxis(scene, 0, -1)), _enlarge(classes)]
        gap = np.full((panels[0].shape[0], GAP, 3), 255, np.uint8)
        return np.concatenate([panels[0], gap, panels[1]], axis=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Watched:
    """Pixels that a picture sees as they are read."""

    pixels: PixelSource
    """Where the pixels come from."""
    preview: Preview
    """What sees them."""

    def read(self, window: Window, bands: Sequence[int]) -> Float32:
        """Read a window of some bands."""
        values = self.pixels.read(window, bands)
        self.preview.see(window, bands, values)
        return values


def stretch(values: NDArray[np.floating], valid: NDArray[np.bool_]) -> UInt8:
    """Stretch a layer between two of its percentiles.

    Returns:
        The same shape, in [0, 255]; the background's grey where not valid.
    """
    out = np.full(values.shape, BACKGROUND, np.uint8)
    if valid.any():
        low, high = np.percentile(values[valid], STRETCH_PERCENT)
        scaled = (values - low) / max(high - low, np.finfo(np.float32).tiny)
        out[valid] = np.round(255 * np.clip(scaled, 0, 1))[valid]
    return out


def _enlarge(pixels: UInt8) -> UInt8:
    """Repeat the pixels of a small picture."""
    times = max(1, SMALL_SIDE // max(pixels.shape[:2]))
    return pixels.repeat(times, axis=0).repeat(times, axis=1)


def png(picture: UInt8) -> bytes:
    """Encode a picture ``(y, x, 3)`` as PNG, with nothing beside it."""
    height, width, layers = picture.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with MemoryFile(ext=".png") as memory:
            shape = {"height": height, "width": width, "count": layers}
            with memory.open(driver="PNG", dtype="uint8", ZLEVEL=PNG_LEVEL, **shape) as target:
                target.write(np.moveaxis(picture, -1, 0))
            return bytes(memory.read())
