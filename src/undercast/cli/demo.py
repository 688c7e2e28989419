"""`undercast demo`: the whole line once, on a simulated scene."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from undercast.classes import CLASS_NAMES, THICK_CLOUD, THIN_CLOUD, load_scheme
from undercast.cli.app import version
from undercast.cli.printing import percentages, print_json, print_pairs, progress_bar
from undercast.sensors import load_sensor
from undercast.types import NODATA, ProductLevel, UInt8

SENSOR = "sentinel-2a-msi"
"""Sensor of the demo's scene."""
LEVEL: ProductLevel = "toa"
"""Kind of reflectance of the demo's scene."""
SIZE = 1024
"""Side of the demo's scene, in pixels."""
SEED = 29
"""Seed of the demo's scene: clouds over fields, thick and thin, and their shadows."""


@click.command(name="demo")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("undercast-demo"),
    show_default=True,
    help="Folder for the files; those of an earlier demo are replaced.",
)
@click.option("--model", default="embedded", show_default=True, metavar="M", help="Model, or a package's folder.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(output: Path, model: str, as_json: bool) -> None:
    """Simulate a scene, mask it and say where the files are.

    The scene is a Sentinel-2 one that undercast makes up, so nothing is downloaded; how well a model does on
    it says little about real scenes.
    """
    told = run(output, model)
    if as_json:
        print_json(told)
    else:
        print_demo(told)


def run(output: Path, model: str) -> dict[str, Any]:
    """Simulate, write, mask and compare.

    Returns:
        Paths, percentages, agreement and times, as plain values.
    """
    from undercast.loading import load_model
    from undercast.masking import mask
    from undercast.readers import open_scene
    from undercast.simulation.files import write_simulated
    from undercast.simulation.scenes import simulate
    from undercast.writers import OutputOptions

    loaded = load_model(model)
    sensor = load_sensor(SENSOR)
    began = time.perf_counter()
    with progress_bar("simulating a scene"):
        simulated = simulate(sensor, size=SIZE, seed=SEED, level=LEVEL)
    files = write_simulated(simulated, output, name="demo", seed=SEED, software=f"undercast {version()}")
    simulating = time.perf_counter() - began
    scene = open_scene(output / files.scene, sensor=sensor, level=LEVEL)
    with progress_bar(scene.name) as progress:
        result = mask(
            scene,
            OutputOptions(folder=output, scheme=load_scheme(), overwrite=True),
            loaded,
            progress=progress,
        )
    outputs = result.outputs
    return {
        "scene": str((output / files.scene).absolute()),
        "reference": str((output / files.reference).absolute()),
        "class_map": str(outputs.class_map.absolute()),
        "quicklook": str(outputs.quicklook.absolute()) if outputs.quicklook is not None else None,
        "item": str(outputs.item.absolute()) if outputs.item is not None else None,
        "percent": dict(result.percent),
        "agreement": agreement(read_class_map(outputs.class_map), simulated.reference),
        "model": {"id": result.model.id, "version": result.model.version},
        "simulation_seconds": round(simulating, 3),
        "seconds": round(result.seconds, 3),
    }


def read_class_map(path: Path) -> UInt8:
    """Read a class map back from its file, as any other program would."""
    import rasterio

    with rasterio.open(path) as raster:
        class_map: UInt8 = raster.read(1)
    return class_map


def agreement(class_map: UInt8, reference: UInt8) -> dict[str, float | None]:
    """Compare a class map with a reference where both say something.

    Args:
        class_map: Values 0-3, and 255 for nodata, ``(y, x)``.
        reference: Values 0-3, and 255 where the class is left open, ``(y, x)``.

    Returns:
        ``classes``: percent of pixels of the same class; ``cloud``: percent of pixels on which both agree
        whether they are cloud of either kind; ``compared``: percent of all pixels that are compared. None
        where no pixel is.
    """
    both = (class_map != NODATA) & (reference != NODATA)
    if not both.any():
        return {"classes": None, "cloud": None, "compared": 0.0}
    said, true = class_map[both], reference[both]
    clouds = (THICK_CLOUD, THIN_CLOUD)
    return {
        "classes": round(100.0 * float((said == true).mean()), 2),
        "cloud": round(100.0 * float((np.isin(said, clouds) == np.isin(true, clouds)).mean()), 2),
        "compared": round(100.0 * float(both.mean()), 2),
    }


def print_demo(told: dict[str, Any]) -> None:
    """Put the demo's result in words."""
    model, agreed = told["model"], told["agreement"]
    click.echo(f"A simulated {SENSOR} scene of {SIZE} x {SIZE} px, masked by {model['id']} {model['version']}:")
    click.echo()
    print_pairs(
        [
            ("mask", told["class_map"]),
            ("picture", told["quicklook"]),
            ("STAC item", told["item"]),
            ("scene", told["scene"]),
            ("reference", told["reference"]),
            ("classes", percentages({name: told["percent"][name] for name in CLASS_NAMES})),
            (
                "agreement",
                "nothing to compare"
                if agreed["classes"] is None
                else f"{agreed['classes']:.1f} % of pixels in class, {agreed['cloud']:.1f} % in cloud or not"
                f" ({agreed['compared']:.0f} % of the scene is certain in the simulation)",
            ),
            ("time", f"{told['seconds']:.1f} s to mask, {told['simulation_seconds']:.1f} s to simulate"),
        ]
    )
    click.echo()
    click.echo("Now your own scene: undercast mask SCENE -o OUT")
