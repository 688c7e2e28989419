"""Looks: scenes are opened, and what is read of them first is read while all else is made ready."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace

from undercast import readers
from undercast.errors import BandError, UndercastError
from undercast.inference.sliding import ROWS_AT_ONCE
from undercast.model_spec import ModelSpec
from undercast.readers.base import OpenOptions
from undercast.scene import PixelSource, Scene, sampled_windows
from undercast.types import Float32
from undercast.windows import Window

MOST_EARLY_BYTES = 64_000_000
"""What is read early of a scene's first rows, at most, in bytes."""

FLOAT_BYTES = 4
"""Of one value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One scene of many, before anybody has looked at it."""

    name: str
    """As it was asked for."""
    source: str | tuple[str, ...] | UndercastError
    """What is opened, or why that cannot be told."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """One scene of many after a first look."""

    source: str
    """As it was asked for."""
    scene: Scene | UndercastError
    """The scene, or why it cannot be opened."""

    @property
    def name(self) -> str:
        """Name of the scene; the source where it cannot be opened."""
        return self.scene.name if isinstance(self.scene, Scene) else self.source


class EarlyPixels:
    """Pixels of which some windows are read early, in a thread, each to be given once."""

    def __init__(self, pixels: PixelSource, bands: Sequence[int], windows: Iterable[Window]) -> None:
        """Begin to read windows, in their order."""
        self._pixels = pixels
        self._bands = list(bands)
        pool = ThreadPoolExecutor(1, thread_name_prefix="undercast-early")
        self._early: dict[Window, Future[Float32]] = {
            window: pool.submit(pixels.read, window, self._bands) for window in dict.fromkeys(windows)
        }
        pool.shutdown(wait=False)

    def read(self, window: Window, bands: Sequence[int]) -> Float32:
        """Read a window of some bands, or give what was read early of it."""
        early = self._early.pop(window, None)
        if early is None or not set(bands) <= set(self._bands):
            return self._pixels.read(window, bands)
        values = early.result()
        return values if list(bands) == self._bands else values[[self._bands.index(band) for band in bands]]


def look(wanted: Wanted, options: OpenOptions) -> Found:
    """Take a first look at a scene; why it cannot be opened is kept."""
    if isinstance(wanted.source, UndercastError):
        return Found(source=wanted.name, scene=wanted.source)
    try:
        return Found(source=wanted.name, scene=readers.open_scene(wanted.source, options))
    except UndercastError as error:
        return Found(source=wanted.name, scene=error)


def look_early(wanted: Wanted, options: OpenOptions, spec: ModelSpec) -> Found:
    """Take a first look at a scene, and begin to read what a model asks for first: some samples and the first rows."""
    found = look(wanted, options)
    scene = found.scene
    if isinstance(scene, UndercastError):
        return found
    matches = []
    with suppress(BandError):  # it is told at its place
        matches = [match.index for match in spec.match(scene.bands) if match.index is not None]
    height, width = scene.grid.shape
    rows = min(height, spec.window, MOST_EARLY_BYTES // (FLOAT_BYTES * width * max(len(matches), 1)))
    whole = range(0, rows - ROWS_AT_ONCE + 1, ROWS_AT_ONCE)
    windows = [
        *sampled_windows(scene.grid.shape),
        *(Window(row=row, col=0, height=ROWS_AT_ONCE, width=width) for row in whole),
    ]
    pixels = EarlyPixels(scene.pixels, sorted(set(matches)), windows) if matches else scene.pixels
    return replace(found, scene=replace(scene, pixels=pixels))
