"""`undercast mask`: scenes in, class maps and what goes with them out."""

from __future__ import annotations

import re
import shlex
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import click

from undercast.classes import load_scheme, scheme_ids
from undercast.cli.app import WORDS, describe, describe_defect
from undercast.cli.opening import open_options, opening_options, split_source
from undercast.cli.printing import percentages, print_json, print_pairs, progress_bar
from undercast.errors import UndercastError, UsageError
from undercast.model_spec import check_thresholds
from undercast.scene import Scene
from undercast.types import AGGREGATIONS, UNCERTAINTY_KINDS, Aggregation, UncertaintyKind

if TYPE_CHECKING:
    from undercast.masking import MaskOptions, MaskResult, Model
    from undercast.writers import OutputOptions
    from undercast.writers.outputs import OutputPaths

Status = Literal["done", "skipped", "failed"]
"""What became of a scene."""
STATUSES: tuple[Status, ...] = get_args(Status)

PATHS = ("class_map", "probabilities", "uncertainty", "quicklook", "style", "item")
"""Outputs in the order in which they are told."""

_URL = re.compile(r"://|^/vsi", re.IGNORECASE)
_SECRET = re.compile(r"\?.*?(?=,[a-z0-9+.-]+://|,/vsi|$)|(?<=://)[^/@?]*@", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """One SCENE argument after a first look."""

    argument: str
    """As it stands on the command line."""
    scene: Scene | UndercastError
    """The scene, or why it cannot be opened."""

    @property
    def name(self) -> str:
        """Name of the scene; the argument where it cannot be opened."""
        return self.scene.name if isinstance(self.scene, Scene) else self.argument


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """What all scenes of one run share."""

    output: OutputOptions
    """Where to, and which files."""
    options: MaskOptions
    """How."""
    load: Callable[[], Model]
    """Gives the model; loads it the first time."""
    skip_existing: bool
    """Whether scenes whose outputs all exist are left alone."""


@click.command(name="mask")
@click.argument("scenes", nargs=-1, required=True, metavar="SCENE...")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for the outputs.")
@opening_options
@click.option("--model", metavar="M", help="Name of `undercast models list`, or a package's folder.")
@click.option(
    "--scheme",
    default="undercast",
    show_default=True,
    metavar="ID",
    help=f"Class scheme: {', '.join(scheme_ids())}.",
)
@click.option(
    "--threshold",
    "thresholds",
    multiple=True,
    metavar="CLASS=P",
    help="Probability from which a class is chosen, e.g. cloud=0.4; may be repeated.",
)
@click.option("--preset", metavar="NAME", help="Operating point of the model, or argmax: the most probable class.")
@click.option("--aggregate", type=click.Choice(AGGREGATIONS), help="How the members become one.")
@click.option("--probabilities", is_flag=True, help="Write the class probabilities, too.")
@click.option("--uncertainty", type=click.Choice(UNCERTAINTY_KINDS), help="Write this uncertainty, too.")
@click.option("--device", default="auto", show_default=True, metavar="D", help="Device, such as cpu or cuda.")
@click.option("--backend", default="auto", show_default=True, metavar="B", help="Runtime, such as onnxruntime.")
@click.option("--window", type=click.IntRange(min=1), metavar="PX", help="Side of a window; the model's unless given.")
@click.option("--overlap", type=click.IntRange(min=0), metavar="PX", help="Pixels that neighbouring windows share.")
@click.option(
    "--radiometry",
    type=click.Choice(("refuse", "warn")),
    default="refuse",
    show_default=True,
    help="What happens to a scene whose values cannot be reflectance.",
)
@click.option("--overwrite", is_flag=True, help="Replace outputs that exist.")
@click.option("--skip-existing", is_flag=True, help="Leave scenes alone whose outputs all exist.")
@click.option("--quicklook/--no-quicklook", default=True, help="Write a picture of the scene beside its class map.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per scene, one line each.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    scenes: tuple[str, ...],
    output: Path,
    model: str | None,
    scheme: str,
    thresholds: tuple[str, ...],
    preset: str | None,
    aggregate: Aggregation | None,
    probabilities: bool,
    uncertainty: UncertaintyKind | None,
    device: str,
    backend: str,
    window: int | None,
    overlap: int | None,
    radiometry: Literal["refuse", "warn"],
    overwrite: bool,
    skip_existing: bool,
    quicklook: bool,
    as_json: bool,
    **opening: Any,
) -> None:
    """Mask clouds and cloud shadows in scenes.

    SCENE is a raster file, a URL, or a folder with a product or one file per band. Files of one scene can
    also be given as one argument with commas: red.tif,green.tif,nir.tif. Several SCENEs are several scenes.

    A scene's outputs appear in the output folder together, or not at all.
    """
    points = parse_thresholds(thresholds)
    class_scheme = load_scheme(scheme)
    if overwrite and skip_existing:
        msg = "give --overwrite or --skip-existing, not both."
        raise UsageError(msg)
    if points and preset is not None:
        msg = f"give --threshold or --preset, not both; got --preset {preset}."
        raise UsageError(msg)
    from undercast.masking import MaskOptions, load_model
    from undercast.models.package import DEFAULT_MODEL
    from undercast.writers import OutputOptions

    found = open_all(scenes, opening)
    refuse_same_names(found)
    run = Run(
        output=OutputOptions(
            folder=output,
            scheme=class_scheme,
            probabilities=probabilities,
            uncertainty=uncertainty is not None,
            quicklook=quicklook,
            overwrite=overwrite,
            command=record_of(ctx.meta[WORDS]),
        ),
        options=MaskOptions(
            thresholds=points or None,
            preset=preset,
            aggregation=aggregate,
            uncertainty=uncertainty,
            window=window,
            overlap=overlap,
            radiometry=radiometry,
        ),
        load=cache(lambda: load_model(model or DEFAULT_MODEL, device=device, backend=backend)),
        skip_existing=skip_existing,
    )
    mask_all(found, run, as_json=as_json, debug=ctx.find_root().params["debug"])


def parse_thresholds(texts: Sequence[str]) -> dict[str, float]:
    """Read CLASS=P.

    Raises:
        UsageError: If one is not of this form, or class or probability are impossible.
    """
    points: dict[str, float] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        try:
            points[name.strip()] = float(value)
        except ValueError:
            separator = ""
        if not separator:
            msg = f"--threshold: expected CLASS=P, got {text!r}. Try --threshold cloud=0.4"
            raise UsageError(msg)
    check_thresholds(points)
    return points


def open_all(arguments: Sequence[str], opening: Mapping[str, Any]) -> list[Found]:
    """Take a first look at every scene; one that cannot be opened is told when its turn comes."""
    options = open_options(**opening)
    from undercast.readers import open_scene

    found = []
    for argument in arguments:
        try:
            found.append(Found(argument=argument, scene=open_scene(split_source(argument), options)))
        except UndercastError as error:
            found.append(Found(argument=argument, scene=error))
    return found


def refuse_same_names(found: Sequence[Found]) -> None:
    """Refuse scenes whose outputs would have the same names.

    Raises:
        UsageError: If two scenes have the same name.
    """
    first: dict[str, str] = {}
    for one in found:
        other = first.setdefault(one.name.casefold(), one.argument)
        if other is not one.argument:
            msg = (
                f"expected scenes of different names, got {one.name!r} twice: {other} and {one.argument}."
                " Mask them in two runs with different output folders."
            )
            raise UsageError(msg)


def record_of(words: Sequence[str]) -> str:
    """Give the command line for the records, without users, passwords and queries of URLs."""
    return shlex.join(("undercast", *(_SECRET.sub("", word) if _URL.search(word) else word for word in words)))


def mask_all(found: Sequence[Found], run: Run, *, as_json: bool, debug: bool) -> None:
    """Mask scene after scene; one that fails does not stop the others.

    Raises:
        UndercastError: If the only scene fails, or the model cannot be loaded.
        click.exceptions.Exit: With status 1, if one of several fails.
    """
    statuses: Counter[Status] = Counter()
    for number, one in enumerate(found, start=1):
        told, error = attempt(one, run, title=f"{one.name} ({number} of {len(found)})")
        statuses[told["status"]] += 1
        if as_json:
            print_json(told)
        elif error is None:
            print_result(told)
        if error is not None and len(found) == 1:
            raise error
        if error is not None:
            complain(one, error, debug=debug)
    if len(found) > 1:
        counts = ", ".join(f"{statuses[status]} {status}" for status in STATUSES)
        click.echo(f"{len(found)} scenes: {counts}.", err=True)
    if statuses["failed"]:
        raise click.exceptions.Exit(1)


def attempt(one: Found, run: Run, *, title: str) -> tuple[dict[str, Any], Exception | None]:
    """Mask one scene.

    Returns:
        What is told about it, and what went wrong; None where nothing did.

    Raises:
        UndercastError: If the model cannot be loaded, which no other scene would change.
    """
    scene = one.scene
    if isinstance(scene, UndercastError):
        return failure(one, scene), scene
    from undercast.masking import mask
    from undercast.writers import planned

    if run.skip_existing:
        paths = planned(run.output, scene.name)
        if all(path.exists() for _, path in paths.named()):
            return skipped(one, paths), None
    model = run.load()
    try:
        with progress_bar(title) as progress:
            result = mask(scene, run.output, model, options=run.options, progress=progress)
    except Exception as error:  # noqa: BLE001 (a defect met in one scene must not stop the others)
        return failure(one, error), error
    return done(one, result, model), None


def complain(one: Found, error: Exception, *, debug: bool) -> None:
    """Say in one line what is wrong with one of several scenes."""
    click.echo(f"{one.argument}: {line_of(error)}", err=True)
    if debug:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)


def done(one: Found, result: MaskResult, model: Model) -> dict[str, Any]:
    """Give a result as plain values."""
    outputs = result.outputs
    return {
        "scene": result.scene,
        "source": one.argument,
        "status": "done",
        **paths_of(outputs),
        "percent": dict(result.percent),
        "valid_percent": outputs.valid_percent,
        "partly_valid": outputs.partly_valid,
        "model": {"id": result.model.id, "version": result.model.version, "verified": result.model.verified},
        "backend": model.backend,
        "device": model.device,
        "seconds": round(result.seconds, 3),
        "warnings": list(result.warnings),
    }


def skipped(one: Found, paths: OutputPaths) -> dict[str, Any]:
    """Say that a scene is left alone, and where its outputs are."""
    return {"scene": one.name, "source": one.argument, "status": "skipped", **paths_of(paths)}


def failure(one: Found, error: Exception) -> dict[str, Any]:
    """Say that a scene failed, and why."""
    return {"scene": one.name, "source": one.argument, "status": "failed", "error": line_of(error)}


def line_of(error: Exception) -> str:
    """Give an error in one line."""
    return describe(error) if isinstance(error, UndercastError) else describe_defect(error)


def paths_of(paths: OutputPaths) -> dict[str, str | None]:
    """Give the outputs' absolute paths; None where an output was not asked for."""
    files = dict(paths.named())
    return {name: str(files[name].absolute()) if name in files else None for name in PATHS}


def print_result(told: Mapping[str, Any]) -> None:
    """Put what became of a scene in words."""
    if told["status"] == "skipped":
        click.echo(f"{told['scene']}: skipped, its outputs exist ({told['class_map']})")
        return
    model = told["model"]
    verified = "" if model["verified"] else ", NOT VERIFIED"
    click.echo(f"{told['scene']}: {percentages(told['percent'])}")
    print_pairs(
        [
            ("  valid", f"{told['valid_percent']:.1f} %"),
            *((f"  {name.replace('_', ' ')}", told[name]) for name in PATHS if told[name] is not None),
            ("  model", f"{model['id']} {model['version']}{verified} ({told['backend']}, {told['device']})"),
            ("  seconds", f"{told['seconds']:.1f}"),
        ]
    )
