"""`undercast simulate`: labelled scenes of a sensor, as files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from undercast.cli.app import version
from undercast.cli.printing import print_json, progress_bar
from undercast.errors import UsageError
from undercast.sensors import Sensor, load_sensor
from undercast.types import FEW_PIXELS, PRODUCT_LEVELS, ProductLevel

if TYPE_CHECKING:
    from undercast.simulation.files import SimulatedFiles

LARGEST = 4096
"""Largest side of a simulated scene, in pixels; beyond it the arrays do not fit in the memory of a laptop."""


@click.command(name="simulate")
@click.option("--sensor", "--to", required=True, metavar="S", help="Sensor id, alias, platform, or your own .toml.")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Show the real chips of this folder as the sensor sees them, with their labels, instead.",
)
@click.option("-n", "number", type=click.IntRange(min=1), default=1, show_default=True, help="Number of scenes.")
@click.option(
    "--size",
    type=click.IntRange(min=FEW_PIXELS, max=LARGEST),
    default=512,
    show_default=True,
    metavar="PX",
    help="Side of a scene, in pixels.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the first scene; the next ones take the next numbers. The same seed gives the same scene.",
)
@click.option("--level", type=click.Choice(PRODUCT_LEVELS), help="Kind of reflectance; drawn unless given.")
@click.option(
    "--gsd",
    type=click.FloatRange(min=0, min_open=True),
    metavar="M",
    help="Ground sample distance, in metres; the sensor's unless given.",
)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for the files.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per scene, one line each.")
def command(
    sensor: str,
    source: Path | None,
    number: int,
    size: int,
    seed: int,
    level: ProductLevel | None,
    gsd: float | None,
    output: Path,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Simulate scenes of a sensor, with reference class maps.

    Each scene is a GeoTIFF with the sensor's bands, a second one with its class map (0 clear, 1 thick cloud,
    2 thin cloud, 3 cloud shadow, 255 where the class is left open) and a third one with the elevation of its
    ground in metres. manifest.json lists them. The
    scenes pretend to lie in UTM zone 31 north, all at the same place. All files appear together at the end, or none.

    With --from the images are real: labelled chips of another sensor, seen with the spectral responses, blur,
    ground sample distance, noise and quantisation of this one. The chips that come out are for training and evaluation.
    """
    if gsd is not None and not math.isfinite(gsd):
        raise UsageError(f"--gsd: expected metres, got {gsd:g}.")
    chosen = load_sensor(sensor)
    if source is not None:
        _refuse_unused(click.get_current_context(), ("number", "size", "level", "gsd", "overwrite"))
        _transfer(source, chosen, output, seed=seed, as_json=as_json)
        return
    from undercast.simulation.files import MANIFEST, file_names, refuse_existing, write_manifest, write_simulated
    from undercast.simulation.scenes import simulate
    from undercast.writers.staging import publish, staging

    names = [f"{chosen.id}_{size}px_seed{seed + i}" for i in range(number)]
    wanted = [*(file for name in names for file in file_names(name)), MANIFEST]
    if not overwrite:
        refuse_existing(output, wanted)
    software = f"undercast {version()}"
    scenes = []
    with staging(output, "simulated") as stage, progress_bar("simulating") as progress:
        for i, name in enumerate(names):
            simulated = simulate(chosen, size=size, seed=seed + i, level=level, gsd=gsd)
            scenes.append(write_simulated(simulated, stage, name=name, seed=seed + i, software=software))
            if progress is not None:
                progress(i + 1, number)
        write_manifest(stage, scenes, software=software)
        publish(stage, [output / file for file in wanted])
    _tell(scenes, output, as_json=as_json)


def _tell(scenes: Sequence[SimulatedFiles], output: Path, *, as_json: bool) -> None:
    """Say what was written."""
    from undercast.simulation.files import MANIFEST

    for files in scenes:
        if as_json:
            folder = output.absolute()
            paths = {key: str(folder / getattr(files, key)) for key in ("scene", "reference", "elevation")}
            print_json({**files.to_dict(), **paths})
        else:
            click.echo(f"{output / files.scene}  ({files.level}, reference {files.reference})")
    if not as_json:
        click.echo(f"{output / MANIFEST}  (list of the scenes)")


def _refuse_unused(context: click.Context, names: Sequence[str]) -> None:
    """Refuse options that say something of scenes that are simulated from the ground up.

    Raises:
        UsageError: If one of them was given.
    """
    given = [name for name in names if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if given:
        options = {option.name: option.opts[-1] for option in context.command.params}
        told = ", ".join(str(options[name]) for name in given)
        raise UsageError(f"--from takes its images as they are: leave out {told}.")


def _transfer(source: Path, sensor: Sensor, output: Path, *, seed: int, as_json: bool) -> None:
    from undercast.training.transfer import transfer

    with progress_bar("simulating") as progress:
        made = transfer(source, sensor, output, seed=seed, progress=progress)
    if as_json:
        print_json({"folder": str(made.folder.absolute()), "made": made.made, "left_out": made.left_out})
        return
    for line in made.left_out:
        click.echo(f"left out: {line}", err=True)
    click.echo(f"{made.folder}  ({len(made.made)} chips of {sensor.id}, {len(made.left_out)} left out)")
