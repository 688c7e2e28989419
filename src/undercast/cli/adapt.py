"""`undercast adapt`: a model learns the bands of another sensor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from undercast._optional import require
from undercast.cli.printing import print_json, print_table, stage_bars
from undercast.sensors import load_sensor

if TYPE_CHECKING:
    from undercast.training.adaptation import BandPlan


@click.command(name="adapt")
@click.argument("model")
@click.option("--to", "sensor", required=True, metavar="SENSOR", help="Sensor id, alias, platform, or your own .toml.")
@click.option("--data", type=click.Path(path_type=Path), help="Folder of labelled chips, of any sensor with its bands.")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Model package to write.")
@click.option("--steps", type=click.IntRange(min=0), default=1500, show_default=True, help="0: match the bands only.")
@click.option("--dem", is_flag=True, help="Teach the model to take the height of the ground, too (mask --dem).")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    model: str, sensor: str, data: Path | None, out: Path, steps: int, dem: bool, seed: int, as_json: bool
) -> None:
    """Adapt a model to the bands of another sensor, with data of it or without.

    Bands are matched by wavelength: one stands for another, several do with weights, or the model works without.
    Then the model learns from simulated scenes of the sensor and, with --data, from real chips that have its bands.
    """
    load_sensor(sensor)
    require("torch", extra="train", purpose="adapt a model")
    from undercast.training.adapt import AdaptOptions, adapt

    with stage_bars() as tell:
        options = AdaptOptions(steps=steps, frozen_steps=steps // 5, seed=seed, terrain=dem)
        made = adapt(model, sensor, out, data=data, options=options, progress=tell)
    if as_json:
        bands = [
            {"band": row.wanted.common_name, "choice": row.choice, "distance_um": round(row.distance_um, 4)}
            for row in made.plan.bands
        ]
        print_json(
            {"package": str(made.package), "sensor": made.plan.sensor.id, "bands": bands, "figures": dict(made.figures)}
        )
        return
    print_table(
        ("band", "choice", "distance"),
        [(row.wanted.common_name, row.choice, _distance(row)) for row in made.plan.bands],
    )
    figures = made.figures["cloud_f2"]
    print_table(
        ("cloud F2, simulated scenes", "value"),
        [(name.replace("_", " "), f"{figure['value']:.3f}") for name, figure in figures.items()],
    )
    click.echo(made.package)


def _distance(row: BandPlan) -> str:
    return "-" if row.choice == "absent" else f"{1000 * row.distance_um:.0f} nm"
