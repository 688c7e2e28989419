"""ModelSpec: what a model expects of a scene and what it returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from undercast.bands import Band, BandMatch, match_bands
from undercast.classes import CLASS_NAMES
from undercast.errors import BandError, ModelError, UsageError
from undercast.types import Aggregation, Bool, Float32, ProductLevel, TerrainLayer, UncertaintyKind

THRESHOLD_NAMES = ("cloud", "thick_cloud", "thin_cloud", "cloud_shadow")
"""What a threshold can be set on; ``cloud`` is the sum of thick and thin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelBand:
    """One band that a model takes."""

    band: Band
    """Name and wavelength."""
    required: bool = True
    """Whether the model refuses to work without it; optional bands were absent in part of its training."""
    gain: float = 1.0
    """Network input = reflectance * the spec's scale * gain + offset; other than 0."""
    offset: float = 0.0
    """See gain; in the network's unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """What a model expects (bands, values, windows) and returns (classes, thresholds)."""

    id: str
    """Name of the model."""
    version: str
    """Version of the weights."""
    title: str = ""
    """Name for people."""
    bands: tuple[ModelBand, ...]
    """Bands, in the order of the network's input."""
    terrain: tuple[TerrainLayer, ...] = ()
    """What it can be told of the ground's shape, after the bands; it works without, too, since it was trained so."""
    classes: tuple[str, ...] = CLASS_NAMES
    """Names of the output layers, in their order."""
    levels: tuple[ProductLevel, ...] = ("toa", "surface")
    """Product levels it was trained on."""
    scale: float = 1.0
    """Network input = reflectance * scale, then each band's gain and offset."""
    fill: float = -1.0
    """Network input of an absent band and of a pixel without data."""
    window: int = 512
    """Side of a window, in pixels."""
    multiple: int = 32
    """Sides of windows are multiples of this, in pixels."""
    overlap: int = 64
    """Pixels that neighbouring windows share."""
    working_bytes: int = 400
    """Memory that a network works in, per pixel of its input, in bytes."""
    aggregation: Aggregation = "mean"
    """How members are aggregated unless told otherwise."""
    uncertainty: UncertaintyKind = "entropy"
    """Uncertainty that is given unless told otherwise."""
    temperature: float = 1.0
    """Number that the logarithms of the aggregated probabilities are divided by; found by calibration."""
    presets: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Operating points by name: class -> threshold."""
    preset: str | None = None
    """Recommended operating point; None: the most probable class."""

    @property
    def channels(self) -> int:
        """Layers of the network's input: bands and terrain."""
        return len(self.bands) + len(self.terrain)

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Thresholds of the recommended operating point; empty: the most probable class."""
        return self.presets[self.preset] if self.preset is not None else {}

    def match(self, bands: Sequence[Band]) -> tuple[BandMatch, ...]:
        """Match a scene's bands to the model's by wavelength.

        Raises:
            BandError: If a required band is missing, or no band matches at all.
        """
        matches = match_bands([wanted.band for wanted in self.bands], bands)
        missing = [
            wanted.band.common_name
            for wanted, match in zip(self.bands, matches, strict=True)
            if wanted.required and match.index is None
        ]
        if missing or all(match.index is None for match in matches):
            needs = ", ".join(wanted.band.common_name for wanted in self.bands if wanted.required)
            has = ", ".join(band.common_name for band in bands) or "none"
            msg = (
                f"model {self.id!r} needs {needs}; this scene has {has}."
                f" Name the bands with --bands, e.g. --bands {needs.replace(' ', '')},"
                " or pick another model: undercast models list"
            )
            raise BandError(msg)
        return matches


def check_thresholds(thresholds: Mapping[str, float]) -> None:
    """Refuse thresholds on unknown classes or outside (0, 1).

    Raises:
        UsageError: If one is wrong.
    """
    for name, value in thresholds.items():
        if name not in THRESHOLD_NAMES:
            msg = f"threshold on {name!r}: expected one of {', '.join(THRESHOLD_NAMES)}."
            raise UsageError(msg)
        if not 0.0 < value < 1.0:
            msg = f"threshold {name}={value:g} must lie in (0, 1). Try {name}=0.5."
            raise UsageError(msg)


def network_input(
    spec: ModelSpec,
    matches: Sequence[BandMatch],
    reflectance: Float32,
    *,
    out: Float32 | None = None,
    complete: bool = False,
) -> Float32:
    """Arrange a scene's reflectance as the network takes it.

    Args:
        spec: The model's spec.
        matches: One match per model band.
        reflectance: ``(band, y, x)``, the matched bands in the order of ``matches``; NaN where there is no
            data. After them may come the spec's terrain, as the network takes it.
        out: Where to write it, instead of a new array.
        complete: Whether every pixel is known to have data in every matched band.

    Returns:
        ``(model band and terrain, y, x)``; absent bands, absent terrain and pixels without data hold ``spec.fill``,
        never a silent zero.
    """
    present = [i for i, match in enumerate(matches) if match.index is not None]
    if reflectance.shape[0] not in {len(present), len(present) + len(spec.terrain)}:
        msg = f"expected {len(present)} matched bands, got {reflectance.shape[0]}."
        raise ModelError(msg)
    out = np.empty((spec.channels, *reflectance.shape[1:]), np.float32) if out is None else out
    absent = [position for position in range(spec.channels) if position not in present]
    out[absent] = spec.fill
    terrain = reflectance[len(present) :]
    out[len(matches) : len(matches) + len(terrain)] = np.where(np.isfinite(terrain), terrain, np.float32(spec.fill))
    for layer, position in enumerate(present):
        values, wanted = reflectance[layer], spec.bands[position]
        there = None if complete else np.isfinite(values)
        some: Bool | bool = True if there is None or there.all() else there  # without a mask it is many times faster
        if some is not True:
            out[position] = spec.fill
        np.multiply(values, np.float32(spec.scale * wanted.gain), out=out[position], where=some)
        if wanted.offset != 0.0:
            np.add(out[position], np.float32(wanted.offset), out=out[position], where=some)
    return out
