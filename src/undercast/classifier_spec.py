"""ClassifierSpec: what a scene classifier expects of a window, and which labels it scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

import numpy as np

from undercast.bands import Band
from undercast.errors import BandError, ModelError
from undercast.types import Float32, ProductLevel

ChannelOrder = Literal["v0.1.1", "v0.2.0"]
"""Version of the reBEN training scripts whose order of channels a model takes; the two do not go together."""
CHANNEL_ORDER_NAMES: tuple[ChannelOrder, ...] = get_args(ChannelOrder)

Unit = Literal["dn", "dB"]
"""Unit of a layer before it is normalised: digital numbers (reflectance * 10 000) or decibels."""
UNITS: tuple[Unit, ...] = get_args(Unit)

RADAR = ("VV", "VH")
"""Layers of Sentinel-1; all others are bands of Sentinel-2."""

DN = 10_000.0
"""Digital numbers of reflectance 1 in BigEarthNet (Sentinel-2 level 2A before processing baseline 04.00: no offset)."""

Orders: TypeAlias = Mapping[str, tuple[str, ...]]
"""Name of a band configuration -> layers, in the order of the network's input."""

_10M = ("B02", "B03", "B04", "B08")
_20M = ("B05", "B06", "B07", "B11", "B12", "B8A")
_60M = ("B01", "B09")
_S2 = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
_S2_FULL = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")

CHANNEL_ORDERS: Mapping[ChannelOrder, Orders] = MappingProxyType(
    {
        # ConfigILM's BENv2_DataSet: bands by resolution, then VH before VV. Its all_full without S1 is s2_full here.
        "v0.1.1": {
            "s1": ("VH", "VV"),
            "s2": (*_10M, *_20M),
            "all": (*_10M, *_20M, "VH", "VV"),
            "s2_full": (*_10M, *_20M, *_60M),
            "all_full": (*_10M, *_20M, *_60M, "VH", "VV"),
            "rgb": ("B04", "B03", "B02"),
            "10m": _10M,
            "10m_s1": (*_10M, "VH", "VV"),
        },
        # reben-training-scripts 0.2.0: VV before VH, then the bands by number.
        "v0.2.0": {
            "s1": RADAR,
            "s2": _S2,
            "all": (*RADAR, *_S2),
            "s2_full": _S2_FULL,
            "all_full": (*_S2_FULL, *RADAR),
            "rgb": ("B04", "B03", "B02"),
            "10m": _10M,
            "10m_s1": (*RADAR, *_10M),
        },
    }
)
"""Layers of each band configuration, for both orders of channels; ``10m_s1`` is undercast's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierBand:
    """One layer that a classifier takes."""

    name: str
    """Name of the layer: ``B02`` ... ``B12`` of Sentinel-2, ``VV`` or ``VH`` of Sentinel-1."""
    band: Band | None
    """Band by which a scene's bands are matched; None for Sentinel-1."""
    mean: float
    """Mean of the training data, in the layer's unit."""
    std: float
    """Standard deviation of the training data, in the layer's unit; above 0."""

    @property
    def unit(self) -> Unit:
        """Unit before normalisation."""
        return "dB" if self.band is None else "dn"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierSpec:
    """What a scene classifier takes (layers, their order, a window's side) and which labels it scores."""

    id: str
    """Name of the model."""
    version: str
    """Version of the weights."""
    title: str = ""
    """Name for people."""
    bands: tuple[ClassifierBand, ...]
    """Layers, in the order of the network's input."""
    configuration: str
    """Name of the band configuration; see ``CHANNEL_ORDERS``."""
    channel_order: ChannelOrder
    """Which order of channels the network was trained with; never guessed."""
    labels: tuple[str, ...]
    """Labels, in the order of the network's output."""
    side_px: int = 120
    """Side of a window, in pixels."""
    gsd: float = 10.0
    """Ground sample distance of a window, in metres."""
    threshold: float = 0.5
    """Score from which a label is given."""
    levels: tuple[ProductLevel, ...] = ("surface",)
    """Product levels it was trained on."""
    architecture: str = ""
    """Architecture of the network."""

    def __post_init__(self) -> None:
        """Refuse a spec that contradicts itself.

        Raises:
            ModelError: If the layers are not those of the configuration in the declared order, or a number is wrong.
        """
        known = CHANNEL_ORDERS.get(self.channel_order)
        if known is None:
            raise self._wrong("channel_order", f"one of {', '.join(CHANNEL_ORDER_NAMES)}", self.channel_order)
        if self.configuration not in known:
            raise self._wrong("configuration", f"one of {', '.join(known)}", self.configuration)
        layers = self.layers
        if layers != known[self.configuration]:
            expected = f"{', '.join(known[self.configuration])} ({self.configuration}, order of {self.channel_order})"
            raise self._wrong("bands", f"{expected}; declare the order that the network was trained with", layers)
        wrong = [layer.name for layer in self.bands if (layer.band is None) != (layer.name in RADAR)]
        if wrong or not all(layer.std > 0.0 and np.isfinite((layer.mean, layer.std)).all() for layer in self.bands):
            raise self._wrong("bands", "a wavelength for all but VV and VH, and a finite mean and deviation", layers)
        if not self.labels or len(set(self.labels)) != len(self.labels):
            raise self._wrong("labels", "at least one label, each once", self.labels)
        if not (self.side_px > 0 and self.gsd > 0.0 and 0.0 < self.threshold < 1.0):
            got = f"{self.side_px} px of {self.gsd:g} m, threshold {self.threshold:g}"
            raise self._wrong("window and threshold", "a side and a gsd above 0, a threshold inside (0, 1)", got)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, in the order of the network's input."""
        return tuple(layer.name for layer in self.bands)

    @property
    def optical(self) -> tuple[ClassifierBand, ...]:
        """Layers that come of an optical scene."""
        return tuple(layer for layer in self.bands if layer.band is not None)

    @property
    def needs_radar(self) -> bool:
        """Whether it takes Sentinel-1."""
        return any(layer.band is None for layer in self.bands)

    @property
    def window_m(self) -> float:
        """Side of a window, in metres."""
        return self.side_px * self.gsd

    def _wrong(self, key: str, expected: str, got: str | Sequence[str]) -> ModelError:
        told = got if isinstance(got, str) else ", ".join(got) or "none"
        return ModelError(f"classifier {self.id!r}: {key}: expected {expected}, got {told[:200]}.")


def normalised(spec: ClassifierSpec, values: Float32) -> Float32:
    """Normalise windows as the network takes them: ``(value - mean) / std`` of each layer.

    Args:
        spec: The classifier's spec.
        values: ``(..., layer, y, x)``, the spec's layers in its order, in their units; NaN where there is no data.

    Returns:
        The same shape; 0, which is the training data's mean, where there is no data.

    Raises:
        BandError: If the number of layers or a window's side is not the spec's.
    """
    wanted = (len(spec.bands), spec.side_px, spec.side_px)
    if values.shape[-3:] != wanted:
        msg = (
            f"classifier {spec.id!r}: expected windows of {wanted[0]} layers ({', '.join(spec.layers)}) and"
            f" {spec.side_px} x {spec.side_px} px, got an array of shape {values.shape}."
        )
        raise BandError(msg)
    mean = np.array([layer.mean for layer in spec.bands], np.float32)[:, np.newaxis, np.newaxis]
    std = np.array([layer.std for layer in spec.bands], np.float32)[:, np.newaxis, np.newaxis]
    return np.asarray(np.nan_to_num((values - mean) / std, nan=0.0, posinf=0.0, neginf=0.0), np.float32)
