"""`undercast mask`: scenes in, class maps and what goes with them out."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from undercast.cli.app import WORDS, describe, describe_defect
from undercast.cli.mask_options import masking_options, take_model, take_options, take_output
from undercast.cli.opening import open_options, opening_options, split_source
from undercast.cli.printing import is_quiet, percentages, print_json, print_pairs, progress_bars
from undercast.errors import UndercastError, UsageError

if TYPE_CHECKING:
    from undercast.loading import Model
    from undercast.scaling.batch import Batch, Found, Outcome
    from undercast.writers.outputs import OutputPaths

PATHS = ("class_map", "probabilities", "uncertainty", "quicklook", "style", "item")
"""Outputs in the order in which they are told."""


@click.command(name="mask")
@click.argument("scenes", nargs=-1, required=True, metavar="SCENE...")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for the outputs.")
@opening_options
@masking_options
@click.option("--skip-existing", is_flag=True, help="Leave scenes alone whose outputs all exist.")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Scenes at work at once; 3 unless given.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per scene, one line each.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    scenes: tuple[str, ...],
    output: Path,
    skip_existing: bool,
    workers: int | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Mask clouds and cloud shadows in scenes.

    SCENE is a raster file, a URL, or a folder with a product or one file per band. Files of one scene can
    also be given as one argument with commas: red.tif,green.tif,nir.tif. Several SCENEs are several scenes.

    Several scenes are worked on at once, the slow ones first; one that fails does not stop the others, and the
    exit status is then 1. A scene's outputs appear in the output folder together, or not at all.
    """
    if given["overwrite"] and skip_existing:
        msg = "give --overwrite or --skip-existing, not both."
        raise UsageError(msg)
    from undercast.scaling.batch import WORKERS, Batch

    batch = Batch(
        output=take_output(given, output, ctx.meta[WORDS]),
        options=take_options(given),
        skip_existing=skip_existing,
        workers=workers or WORKERS,
    )
    load = take_model(given)
    found = open_all(scenes, given)
    refuse_same_names(found)
    mask_all(found, batch, load, as_json=as_json, debug=ctx.find_root().params["debug"])


def open_all(arguments: Sequence[str], opening: Mapping[str, Any]) -> list[Found]:
    """Take a first look at every scene; one that cannot be opened is told when its turn comes."""
    options = open_options(**opening)
    from undercast.readers import list_scenes, open_scene
    from undercast.scaling.batch import Found

    found = []
    for argument in arguments:
        try:
            sources = list_scenes(split_source(argument))
        except UndercastError as error:
            found.append(Found(source=argument, scene=error))
            continue
        for source in sources:
            name = argument if len(sources) == 1 else str(source)
            try:
                found.append(Found(source=name, scene=open_scene(source, options)))
            except UndercastError as error:
                found.append(Found(source=name, scene=error))
    return found


def refuse_same_names(found: Sequence[Found]) -> None:
    """Refuse scenes whose outputs would have the same names.

    Raises:
        UsageError: If two scenes have the same name.
    """
    first: dict[str, str] = {}
    for one in found:
        other = first.setdefault(one.name.casefold(), one.source)
        if other is not one.source:
            msg = (
                f"expected scenes of different names, got {one.name!r} twice: {other} and {one.source}."
                " Mask them in two runs with different output folders."
            )
            raise UsageError(msg)


def mask_all(found: Sequence[Found], batch: Batch, load: Callable[[], Model], *, as_json: bool, debug: bool) -> None:
    """Mask scenes and tell what became of each; one that fails does not stop the others.

    Raises:
        UndercastError: If the only scene fails, or the model cannot be loaded.
        click.exceptions.Exit: With status 1, if one of several fails.
    """
    from undercast.scaling.batch import STATUSES, mask_batch

    statuses: Counter[str] = Counter()
    with progress_bars() as bar, closing(mask_batch(found, batch, load, bar)) as outcomes:
        for outcome in outcomes:
            statuses[outcome.status] += 1
            told = told_of(outcome, load)
            if as_json:
                print_json(told)
            elif outcome.error is None:
                print_result(told)
            if outcome.error is not None and len(found) == 1:
                raise outcome.error
            if outcome.error is not None:
                complain(outcome.found, outcome.error, debug=debug)
    if len(found) > 1 and (statuses["failed"] or not is_quiet()):
        counts = ", ".join(f"{statuses[status]} {status}" for status in STATUSES)
        click.echo(f"{len(found)} scenes: {counts}.", err=True)
    if statuses["failed"]:
        raise click.exceptions.Exit(1)


def complain(one: Found, error: Exception, *, debug: bool) -> None:
    """Say in one line what is wrong with one of several scenes."""
    click.echo(f"{one.source}: {line_of(error)}", err=True)
    if debug:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)


def told_of(outcome: Outcome, load: Callable[[], Model]) -> dict[str, Any]:
    """Give what became of a scene as plain values."""
    one, result = outcome.found, outcome.result
    told = {"scene": one.name, "source": one.source, "status": outcome.status}
    if outcome.error is not None:
        return {**told, "error": line_of(outcome.error)}
    if result is None:
        return {**told, **(paths_of(outcome.existing) if outcome.existing is not None else {})}
    model = load()
    return {
        **told,
        **paths_of(result.outputs),
        "percent": dict(result.percent),
        "valid_percent": result.outputs.valid_percent,
        "partly_valid": result.outputs.partly_valid,
        "model": {"id": result.model.id, "version": result.model.version, "verified": result.model.verified},
        "backend": model.backend,
        "device": model.device,
        "precision": result.precision,
        "seconds": round(result.seconds, 3),
        "warnings": list(result.warnings),
    }


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
    runtime = f"{told['backend']}, {told['device']}, {told['precision']}"
    click.echo(f"{told['scene']}: {percentages(told['percent'])}")
    print_pairs(
        [
            ("  valid", f"{told['valid_percent']:.1f} %"),
            *((f"  {name.replace('_', ' ')}", told[name]) for name in PATHS if told[name] is not None),
            ("  model", f"{model['id']} {model['version']}{verified} ({runtime})"),
            ("  seconds", f"{told['seconds']:.1f}"),
        ]
    )
