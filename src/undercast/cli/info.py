"""`undercast info`: what undercast sees in a scene before it masks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from undercast.cli.opening import open_options, opening_options, split_source
from undercast.cli.printing import describe_scaling, print_json, print_pairs, print_table
from undercast.errors import BandError, RadiometryError
from undercast.radiometry import Observed, Scaling, guard, observe
from undercast.scene import Scene
from undercast.types import Float32

if TYPE_CHECKING:
    from undercast.model_spec import ModelSpec

LONGEST_CRS = 60
"""Characters of a coordinate reference system that people are shown."""


@click.command(name="info")
@click.argument("scene")
@opening_options
@click.option("--model", metavar="M", help="Match the bands with this model only: a name, or a package's folder.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(scene: str, model: str | None, as_json: bool, **opening: Any) -> None:
    """Say what undercast sees in a scene: bands, grid, values, models that fit.

    SCENE is what `undercast mask` takes. Values are those of a few small windows spread over the scene.
    """
    options = open_options(**opening)
    from undercast.models.package import find_package, list_packages, read_package
    from undercast.readers import open_scene

    opened = open_scene(split_source(scene), options)
    names = list_packages() if model is None else (model,)
    specs = {name: read_package(find_package(name)).spec for name in names}
    told = {
        **describe_scene(opened),
        "models": [match_model(name, spec, opened) for name, spec in specs.items()],
    }
    if as_json:
        print_json(told)
    else:
        print_scene(told)


def describe_scene(scene: Scene) -> dict[str, Any]:
    """Give what is known about a scene, as plain values."""
    sample = scene.sample()
    scalings = band_scalings(scene)
    height, width = scene.grid.shape
    return {
        "scene": scene.name,
        "height": height,
        "width": width,
        "crs": shortened(scene.grid.crs),
        "transform": list(scene.grid.transform),
        "gsd": scene.grid.gsd,
        "sensor": scene.sensor,
        "level": scene.level,
        "acquired": None if scene.acquired is None else scene.acquired.isoformat(),
        "sun": None if scene.sun is None else asdict(scene.sun),
        "bands": [
            {
                **asdict(band),
                "scaling": None if scaling is None else asdict(scaling),
                "observed": observed_dict(observe(values)),
            }
            for band, scaling, values in zip(scene.bands, scalings, sample, strict=True)
        ],
        "observed": observed_dict(observe(sample)),
        "valid_percent_of_sample": valid_percent(sample),
        "radiometry": judge(scene, sample),
        "provenance": dict(scene.provenance),
    }


def band_scalings(scene: Scene) -> Sequence[Scaling | None]:
    """Give each band's scaling; None where the pixels are not those of raster files."""
    from undercast.readers.layers import LayerPixels

    if isinstance(scene.pixels, LayerPixels):
        return [layer.scaling for layer in scene.pixels.layers]
    return [None] * len(scene.bands)


def observed_dict(observed: Observed | None) -> dict[str, float] | None:
    """Give percentiles as plain values; None where no pixel has data."""
    return None if observed is None else {key: round(value, 6) for key, value in asdict(observed).items()}


def valid_percent(sample: Float32) -> float:
    """Give the percentage of pixels that have data in every band."""
    return round(100.0 * float(np.isfinite(sample).all(axis=0).mean()), 2)


def judge(scene: Scene, sample: Float32) -> dict[str, Any]:
    """Ask the radiometry guard.

    Returns:
        ``verdict``: ``plausible``, ``doubtful``, ``refused`` or ``no data``; ``messages``: why.
    """
    observed = observe(sample)
    if observed is None:
        return {"verdict": "no data", "messages": [f"{scene.name}: no pixel of the sample has data."]}
    try:
        warnings = guard(observed, name=scene.name, level=scene.level)
    except RadiometryError as error:
        return {"verdict": "refused", "messages": [str(error)]}
    return {"verdict": "doubtful" if warnings else "plausible", "messages": list(warnings)}


def match_model(name: str, spec: ModelSpec, scene: Scene) -> dict[str, Any]:
    """Say which of a scene's bands stand for a model's, and how far away they lie."""
    try:
        matches = spec.match(scene.bands)
    except BandError as error:
        return {"name": name, "fits": False, "error": str(error), "bands": []}
    rows = [
        {
            "wanted": match.wanted.common_name,
            "band": None if match.index is None else scene.bands[match.index].name,
            "distance_um": None if match.index is None else round(match.distance_um, 4),
        }
        for match in matches
    ]
    return {"name": name, "fits": True, "bands": rows}


def print_scene(told: dict[str, Any]) -> None:
    """Put a scene in words."""
    observed = told["observed"]
    judged = told["radiometry"]
    seen = "" if observed is None else f" (percentiles 1, 50, 99: {', '.join(f'{v:.4g}' for v in observed.values())})"
    pairs = {
        "scene": told["scene"],
        "size": f"{told['width']} x {told['height']} px (width x height)",
        "crs": (told["crs"] or "none")[:LONGEST_CRS],
        "gsd": "unknown" if told["gsd"] is None else f"{told['gsd']:.4g} m",
        "sensor": told["sensor"] or "unknown",
        "level": told["level"] or "unknown",
        "acquired": told["acquired"] or "",
        "valid": f"{told['valid_percent_of_sample']:g} % of the sample",
        "radiometry": f"{judged['verdict']}{seen}",
    }
    print_pairs([(name, text) for name, text in pairs.items() if text])
    for message in judged["messages"]:
        click.echo(f"  {message}")
    click.echo()
    print_table(
        ("band", "common name", "centre (um)", "scaling", "p1", "p50", "p99"),
        [band_row(band) for band in told["bands"]],
    )
    for model in told["models"]:
        click.echo()
        click.echo(f"model {model['name']}: {'fits' if model['fits'] else model['error']}")
        for row in model["bands"]:
            stands = "absent" if row["band"] is None else f"{row['band']}, {row['distance_um']:.3f} um away"
            click.echo(f"  {row['wanted']:<10}  {stands}")


def band_row(band: dict[str, Any]) -> tuple[str, ...]:
    """Put a band in words."""
    scaling, observed = band["scaling"], band["observed"]
    return (
        band["name"],
        band["common_name"],
        f"{band['center_wavelength']:.4f}",
        "" if scaling is None else describe_scaling(Scaling(**scaling)),
        *(("",) * 3 if observed is None else (f"{value:.4g}" for value in observed.values())),
    )


def shortened(crs: str | None) -> str | None:
    """Give a coordinate reference system's code, or else its WKT."""
    if crs is None:
        return None
    import rasterio

    known = rasterio.CRS.from_user_input(crs)
    code = known.to_epsg()
    return f"EPSG:{code}" if code is not None else crs
