"""Prediction: class map, probabilities, uncertainty and valid, as one value or as a stream of strips."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast.classes import CLASS_NAMES, CLOUD_LAYERS, class_percent
from undercast.grids import Grid
from undercast.types import NODATA, Aggregation, Bool, Float32, Precision, UInt8, UncertaintyKind
from undercast.windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIdentity:
    """Which model said so."""

    id: str
    """Name of the model."""
    version: str
    """Version of the weights."""
    checksums: tuple[str, ...] = ()
    """Multihash of each member's weights, in the members' order."""
    href: str | None = None
    """Where the model's STAC item is."""
    verified: bool = True
    """Whether every checksum was known and matched."""
    assumptions: tuple[str, ...] = ()
    """What had to be assumed to run it, because its item does not say it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionHeader:
    """What is known about a prediction before its first pixel."""

    scene: str
    """Name of the scene."""
    grid: Grid
    """Grid of the scene and so of the prediction."""
    model: ModelIdentity
    """Which model it is."""
    classes: tuple[str, ...] = CLASS_NAMES
    """Names of the probability layers."""
    aggregation: Aggregation = "mean"
    """How members were aggregated."""
    uncertainty_kind: UncertaintyKind = "entropy"
    """Which uncertainty it is."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Operating point: class -> threshold; empty: the most probable class."""
    tta: str = ""
    """Test-time augmentation; empty: none."""
    bands: Mapping[str, str] = field(default_factory=dict)
    """Model band -> scene band that stood for it."""
    absent: tuple[str, ...] = ()
    """Model bands that the scene has not."""
    postprocessing: Mapping[str, str] = field(default_factory=dict)
    """What was done to the class map after the model, such as ``buffer_m``."""
    precision: Precision = "f32"
    """What the networks compute with."""
    warnings: tuple[str, ...] = ()
    """What a person should know, one line each."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Strip:
    """Some finished full-width rows of a prediction."""

    row: int
    """First row."""
    class_map: UInt8
    """Values 0-3 and 255 (nodata), ``(rows, width)``."""
    probabilities: Float32
    """In [0, 1], NaN where not valid, ``(class, rows, width)``."""
    uncertainty: Float32
    """In [0, 1], NaN where not valid, ``(rows, width)``."""
    partly_valid: int = 0
    """Pixels that some but not all of the bands cover; they count as not valid."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PredictionStream:
    """A prediction that is still being made, from top to bottom."""

    header: PredictionHeader
    """What is known in advance."""
    strips: Iterator[Strip]
    """Strips that follow each other without gap from row 0; to be used once."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prediction:
    """A finished prediction in memory."""

    header: PredictionHeader
    """Scene, grid, model and options."""
    class_map: UInt8
    """0 clear, 1 thick cloud, 2 thin cloud, 3 cloud shadow, 255 nodata, ``(height, width)``."""
    probabilities: Float32
    """In [0, 1], NaN where not valid, ``(class, height, width)``; classes as in the header."""
    uncertainty: Float32
    """In [0, 1], NaN where not valid, ``(height, width)``; its kind is in the header."""
    partly_valid: int = 0
    """Pixels that some but not all of the bands cover; they count as not valid."""

    @property
    def valid(self) -> Bool:
        """True where the prediction says something."""
        return np.isfinite(self.uncertainty)

    @property
    def percent(self) -> dict[str, float]:
        """Percentage of each class among the valid pixels."""
        return class_percent(self.class_map)

    @property
    def pair(self) -> tuple[Float32, Float32]:
        """The probability of cloud and the uncertainty, each ``(1, height, width)``, as FDR4VGT's loaders return them.

        Of a model that does not tell cloud it is the probability of anything but clear; NaN where not valid.
        """
        cloud = self.probabilities[cloud_layers(self.header.classes)].sum(axis=0)
        return cloud[np.newaxis], self.uncertainty[np.newaxis]

    def stream(self) -> PredictionStream:
        """Give the prediction as a stream of one strip, for the writers."""
        strip = Strip(
            row=0,
            class_map=self.class_map,
            probabilities=self.probabilities,
            uncertainty=self.uncertainty,
            partly_valid=self.partly_valid,
        )
        return PredictionStream(header=self.header, strips=iter((strip,)))


def cropped(stream: PredictionStream, window: Window, outside: Callable[[Window], Bool]) -> PredictionStream:
    """Cut a window out of a prediction; strips below it are not asked for.

    ``partly_valid`` still counts every pixel of the strips that the window lies in.

    Args:
        stream: The prediction; its strips are used up.
        window: Inside its grid.
        outside: Tells which pixels of a part of the window, in the prediction's rows and columns, become nodata.
    """
    grid = stream.header.grid.part(window)
    return PredictionStream(header=replace(stream.header, grid=grid), strips=_cut(stream.strips, window, outside))


def _cut(strips: Iterator[Strip], window: Window, outside: Callable[[Window], Bool]) -> Iterator[Strip]:
    end = window.row + window.height
    for strip in strips:
        first, last = max(strip.row, window.row), min(strip.row + len(strip.class_map), end)
        if first < last:
            rows = slice(first - strip.row, last - strip.row)
            away = outside(replace(window, row=first, height=last - first))
            yield Strip(
                row=first - window.row,
                class_map=np.where(away, np.uint8(NODATA), strip.class_map[rows, window.cols]),
                probabilities=np.where(away, np.float32(np.nan), strip.probabilities[:, rows, window.cols]),
                uncertainty=np.where(away, np.float32(np.nan), strip.uncertainty[rows, window.cols]),
                partly_valid=strip.partly_valid,
            )
        if last == end:
            return


def cloud_layers(names: Sequence[str]) -> list[int]:
    """Give the positions of the layers that tell cloud; of all but clear where none does."""
    cloud = [place for place, name in enumerate(names) if name in CLOUD_LAYERS]
    return cloud or [place for place, name in enumerate(names) if name != "clear"]


def collect(stream: PredictionStream) -> Prediction:
    """Gather a stream in memory."""
    strips = list(stream.strips)
    return Prediction(
        header=stream.header,
        class_map=_stack(strip.class_map for strip in strips),
        probabilities=np.concatenate([strip.probabilities for strip in strips], axis=1),
        uncertainty=_stack(strip.uncertainty for strip in strips),
        partly_valid=sum(strip.partly_valid for strip in strips),
    )


def _stack(parts: Iterable[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(list(parts), axis=0)
