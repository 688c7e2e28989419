"""The card of an adapted model: its bands, what they cost and what training gained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from undercast.sensors import Sensor
from undercast.training.adaptation import AdaptationPlan, BandPlan
from undercast.training.recipe import Recipe

SEEN_FIRST = "sentinel-2a-msi"
"""Sensor whose simulated scenes show what the model loses: it has the bands of most others."""


def described(row: BandPlan) -> dict[str, Any]:
    """Describe how a band is matched, as JSON values."""
    return {
        "band": row.wanted.common_name,
        "center_wavelength": row.wanted.center_wavelength,
        "choice": row.choice,
        "weights": [round(weight, 4) for weight in row.weights],
        "distance_um": round(row.distance_um, 4),
    }


def card_of(recipe: Recipe, plan: AdaptationPlan, record: Mapping[str, Any]) -> str:
    """Write the card of an adapted model."""
    origin = record["adapted_from"]
    bands = "\n".join(
        f"| {row.wanted.common_name} | {_sources(row.weights, plan.sensor)} | {row.choice} | {row.distance_um:.3f} |"
        for row in plan.bands
    )
    found = record["held_out_simulated"]
    rows = "\n".join(
        f"| {told} | {_told(found['cloud_f2'][name])} |"
        for name, told in (
            ("original", f"the original, with all bands of {SEEN_FIRST}"),
            ("matched", f"the original, with the bands of {plan.sensor.id}"),
            ("adapted", "this model"),
            ("adapted_with_dem", "this model, told the terrain (simulated, as the scenes are)"),
        )
        if name in found["cloud_f2"]
    )
    return f"""# {recipe.model.title}, {recipe.model.version}

{origin["id"]} {origin["version"]}, adapted to the bands of {plan.sensor.title} ({plan.sensor.id}); Apache-2.0.

## Bands

| band of {origin["id"]} | bands of {plan.sensor.id} | choice | distance, um |
|---|---|---|---|
{bands}

## What it costs and gains

Cloud F2 on {found["scenes"]} simulated scenes that no weights were trained on, each seen by both sensors; every
network at its own best threshold on other scenes. 95 % intervals over scenes.

| network | cloud F2 |
|---|---|
{rows}

Lost by the bands: {_told(found["loss"])}. Gained by training: {_told(found["gain"])}. They are simulated: real scenes
of the sensor, with references, are what tells how good it is (`undercast evaluate`).
"""


def _sources(weights: Sequence[float], sensor: Sensor) -> str:
    parts = [f"{weight:.2f} {band.name}" for weight, band in zip(weights, sensor.bands, strict=True) if weight]
    return " + ".join(parts) or "none"


def _told(figure: Mapping[str, Any]) -> str:
    ends = figure["interval"]
    return f"{figure['value']:.3f}" + ("" if ends is None else f" [{ends[0]:.3f}, {ends[1]:.3f}]")
