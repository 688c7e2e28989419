"""Prediction: class map, probabilities, uncertainty and valid, as one value or as a stream of strips."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast.classes import CLASS_NAMES, class_percent
from undercast.grids import Grid
from undercast.types import Aggregation, Bool, Float32, UInt8, UncertaintyKind


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
    bands: Mapping[str, str] = field(default_factory=dict)
    """Model band -> scene band that stood for it."""
    absent: tuple[str, ...] = ()
    """Model bands that the scene has not."""
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
