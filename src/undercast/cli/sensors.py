"""`undercast sensors`: list the sensors, or show one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from undercast.cli.printing import describe_scaling, print_json, print_pairs, print_table
from undercast.sensors import Sensor, load_sensor, load_sensors


@click.group(name="sensors")
def command() -> None:
    """List sensors, or show one."""


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def list_command(as_json: bool) -> None:
    """List the sensors that come with undercast."""
    sensors = load_sensors()
    if as_json:
        print_json([sensor_dict(sensor) for sensor in sensors])
        return
    print_table(
        ("sensor", "gsd (m)", "bands"),
        [(sensor.id, f"{sensor.gsd:g}", " ".join(band.common_name for band in sensor.bands)) for sensor in sensors],
    )


@command.command(name="show")
@click.argument("sensor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show_command(sensor: str, as_json: bool) -> None:
    """Show a sensor by id, alias or platform, or a sensor table of your own (a path ending in .toml)."""
    found = load_sensor(sensor)
    if as_json:
        print_json(sensor_dict(found))
        return
    scaling = found.scaling
    print_pairs(
        [
            ("sensor", f"{found.id} ({found.title})"),
            ("platforms", ", ".join(found.platforms) or "not said"),
            ("other names", ", ".join(found.aliases) or "none"),
            ("gsd", f"{found.gsd:g} m"),
            (
                "usual scaling",
                "depends on the product" if scaling is None else f"{describe_scaling(scaling)} ({found.level})",
            ),
        ]
    )
    click.echo()
    print_table(
        ("band", "common name", "centre (um)", "width (um)", "gsd (m)"),
        [
            (
                band.name,
                band.common_name,
                f"{band.center_wavelength:.4f}",
                f"{band.full_width_half_max:.4f}",
                "" if band.gsd is None else f"{band.gsd:g}",
            )
            for band in found.bands
        ],
    )


def sensor_dict(sensor: Sensor) -> dict[str, Any]:
    """Give a sensor as plain values."""
    return {
        "id": sensor.id,
        "title": sensor.title,
        "platforms": list(sensor.platforms),
        "aliases": list(sensor.aliases),
        "instrument": sensor.instrument,
        "gsd": sensor.gsd,
        "level": sensor.level,
        "scaling": None if sensor.scaling is None else asdict(sensor.scaling),
        "bands": [asdict(band) for band in sensor.bands],
    }
