"""Adaptation: how a sensor's bands stand for those that a model was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from undercast.bands import Band, response_weights
from undercast.errors import BandError
from undercast.model_spec import ModelSpec
from undercast.sensors import Sensor
from undercast.training.augment import ABSENT

Choice = Literal["subset", "re-weighted", "absent"]
"""One band stands for the model's, several do by their spectral responses, or none does and it is absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BandPlan:
    """How one band of a model comes from a sensor."""

    wanted: Band
    """The model's band."""
    weights: tuple[float, ...]
    """Weight of each of the sensor's bands."""
    choice: Choice
    """What was chosen."""
    distance_um: float
    """Distance between the model's centre wavelength and that of the weighted bands, in micrometres; 0 where absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptationPlan:
    """How all bands of a model come from a sensor."""

    sensor: Sensor
    """Sensor that the model is adapted to."""
    bands: tuple[BandPlan, ...]
    """One per band of the model."""

    @property
    def used(self) -> tuple[Band, ...]:
        """Bands of the sensor that the model will take, in the sensor's order."""
        return tuple(
            band for place, band in enumerate(self.sensor.bands) if any(row.weights[place] for row in self.bands)
        )

    @property
    def matrix(self) -> NDArray[np.float32]:
        """Weights ``(model's band, used band)``."""
        places = [self.sensor.bands.index(band) for band in self.used]
        return np.array([[band.weights[place] for place in places] for band in self.bands], np.float32)


def plan_adaptation(spec: ModelSpec, sensor: Sensor) -> AdaptationPlan:
    """Plan how a model takes a sensor's bands.

    Raises:
        BandError: If nothing stands for a band that the model needs.
    """
    rows = tuple(_plan_band(model_band.band, sensor.bands) for model_band in spec.bands)
    missing = [
        row.wanted.common_name
        for row, model_band in zip(rows, spec.bands, strict=True)
        if model_band.required and row.choice == "absent"
    ]
    if missing or all(row.choice == "absent" for row in rows):
        has = ", ".join(f"{band.common_name} ({band.center_wavelength:g} um)" for band in sensor.bands)
        needs = ", ".join(f"{row.wanted.common_name} ({row.wanted.center_wavelength:g} um)" for row in rows)
        msg = (
            f"model {spec.id!r} cannot be adapted to {sensor.id}: nothing is near {', '.join(missing) or 'any band'}."
            f" It takes {needs}; the sensor has {has}. Train from a recipe with the sensor's bands instead."
        )
        raise BandError(msg)
    return AdaptationPlan(sensor=sensor, bands=rows)


def _plan_band(wanted: Band, offered: Sequence[Band]) -> BandPlan:
    weights = response_weights(wanted, offered)
    count = int(np.count_nonzero(weights))
    choice: Choice = "absent" if count == 0 else "subset" if count == 1 else "re-weighted"
    center = float(weights @ [band.center_wavelength for band in offered])
    return BandPlan(
        wanted=wanted,
        weights=tuple(float(weight) for weight in weights),
        choice=choice,
        distance_um=abs(center - wanted.center_wavelength) if count else 0.0,
    )


class Adapted(nn.Module):
    """A network that takes the bands of another sensor."""

    def __init__(self, network: nn.Module, plan: AdaptationPlan) -> None:
        super().__init__()
        self.network = network
        self.encoder_parts = tuple(f"network.{part}" for part in getattr(network, "encoder_parts", ("encoder",)))
        self.register_buffer("weights", torch.from_numpy(plan.matrix)[:, :, None, None])

    @property
    def last(self) -> nn.Module | None:
        """The convolution that gives the logits, where the network tells it."""
        return getattr(self.network, "last", None)

    def forward(self, reflectance: Tensor) -> Tensor:
        """Give logits ``(batch, class, y, x)``.

        Takes the sensor's used bands ``(batch, band, y, x)``, -1 where absent; terrain may follow them.
        """
        weights: Tensor = self.weights  # type: ignore[assignment]
        used = weights.shape[1]
        reflectance, terrain = reflectance[:, :used], reflectance[:, used:]
        there = (reflectance > ABSENT / 2).to(reflectance.dtype)
        known = nn.functional.conv2d(there, weights)
        mixed = nn.functional.conv2d(reflectance * there, weights) / known.clamp(min=1e-3)
        # Convolutions may give half the precision, in which the network's roots in a row would end in noise.
        as_trained = torch.where(known > 0, mixed, torch.full_like(mixed, ABSENT)).to(reflectance.dtype)
        logits: Tensor = self.network(torch.cat([as_trained, terrain], dim=1) if terrain.shape[1] else as_trained)
        return logits
