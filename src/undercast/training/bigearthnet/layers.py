"""Layers: the arrays of one patch by name, at their own resolutions, and how they become one array of 120 x 120."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from undercast.errors import TrainingError, UsageError
from undercast.training.bigearthnet.records import PatchRecord
from undercast.types import Float32

Layers = Mapping[str, NDArray[Any]]
"""Name of a layer -> ``(y, x)``: ``B02`` ... in digital numbers, ``VV`` and ``VH`` in decibels."""
Interpolation = Literal["nearest", "bilinear", "bicubic"]
"""How bands of 20 and 60 m are brought to 10 m; published models: nearest."""
SIDE = 120
"""Side of a patch at 10 m, in pixels."""
LARGEST_SIDE = 4 * SIDE
"""Side of a layer, at most, in pixels: strangers' files hold no more."""


class Patches(Protocol):
    """Where patches lie."""

    def layers(self, record: PatchRecord, wanted: Sequence[str]) -> Layers:
        """Read layers of a patch.

        Raises:
            TrainingError: If the patch or one of the layers is not there.
        """

    def hashes(self) -> dict[str, str]:
        """Give file name -> SHA-256 of the files that say which data these are."""

    def licences(self) -> dict[str, str]:
        """Give source -> licence of its data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """Mean and standard deviation of one layer, in its own unit."""

    mean: float
    """Mean."""
    std: float
    """Standard deviation."""


@cache
def load_statistics(interpolation: Interpolation = "nearest", side: int = SIDE) -> Mapping[str, Statistic]:
    """Load the statistics of BigEarthNet's training split.

    Raises:
        UsageError: If there are none for this interpolation and side.
    """
    text = (resources.files("undercast") / "data" / "normalisation" / "bigearthnet.toml").read_text("utf-8")
    tables = tomllib.loads(text)
    name = f"{side}_{interpolation}"
    if name not in tables:
        msg = f"statistics of BigEarthNet for {name!r} are not known. Known: {', '.join(tables)}"
        raise UsageError(msg)
    return {layer: Statistic(**row) for layer, row in tables[name].items()}


def check_layers(layers: Layers, wanted: Sequence[str], origin: str | Path) -> Layers:
    """Keep the layers that are wanted.

    Raises:
        TrainingError: If one is not there, is no square plane of numbers, or is too large.
    """
    if missing := [name for name in wanted if name not in layers]:
        has = ", ".join(sorted(layers)) or "none"
        msg = f"{origin}: expected the layers {', '.join(wanted)}, got no {', '.join(missing)}. It has {has}."
        raise TrainingError(msg)
    for name in wanted:
        layer = layers[name]
        shape = layer.shape
        if layer.dtype.kind not in "uif" or len(set(shape)) != 1 or len(shape) != 2 or not 0 < shape[0] <= LARGEST_SIDE:
            msg = f"{origin}: layer {name}: expected a square of numbers, got {layer.dtype} of shape {shape}."
            raise TrainingError(msg)
    return {name: layers[name] for name in wanted}


def stack(
    layers: Layers, order: Sequence[str], *, side: int = SIDE, interpolation: Interpolation = "nearest"
) -> Float32:
    """Bring the layers of a patch to one side and stack them.

    Args:
        layers: All that ``order`` names.
        order: Names of layers, in the order of the network's input.
        side: Side of the result, in pixels.
        interpolation: How; bilinear and bicubic align the corners, as for the published models.

    Returns:
        ``(layer, side, side)``, in the layers' units.

    Raises:
        UsageError: If the interpolation is not known.
    """
    if interpolation not in get_args(Interpolation):
        msg = f"expected an interpolation of {', '.join(get_args(Interpolation))}, got {interpolation!r}."
        raise UsageError(msg)
    return np.stack([_resampled(np.asarray(layers[name], np.float32), side, interpolation) for name in order])


def _resampled(plane: Float32, side: int, interpolation: Interpolation) -> Float32:
    if plane.shape == (side, side):
        return plane
    import torch
    from torch.nn.functional import interpolate

    corners = None if interpolation == "nearest" else True
    made = interpolate(torch.from_numpy(plane)[None, None], (side, side), mode=interpolation, align_corners=corners)
    return np.asarray(made[0, 0].numpy(), np.float32)
