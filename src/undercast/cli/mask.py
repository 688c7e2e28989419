"""`undercast mask`: scenes in, class maps and what goes with them out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from undercast.cli.app import WORDS
from undercast.cli.mask_options import masking_options, take_model, take_options, take_output
from undercast.cli.opening import OPENING, open_options, opening_options, split_source
from undercast.cli.outcomes import Telling, tell_all
from undercast.cli.printing import progress_bars
from undercast.destinations import check_folder
from undercast.errors import UndercastError, UsageError

if TYPE_CHECKING:
    from undercast.loading import Model, ModelChoice
    from undercast.readers.base import OpenOptions
    from undercast.scaling.jobs import Batch
    from undercast.scaling.looks import Found, Wanted

RASTERS = (".tif", ".tiff", ".jp2", ".vrt")
"""Suffixes of files that GDAL opens and nothing else has to be imported for."""


@click.command(name="mask")
@click.argument("scenes", nargs=-1, required=True, metavar="SCENE...")
@click.option(
    "-o", "--output", required=True, metavar="DIR", help="Folder for the outputs, or one of a store: s3://bucket/masks."
)
@opening_options
@masking_options
@click.option("--skip-existing", is_flag=True, help="Leave scenes alone whose outputs all exist.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Scenes at work at once; 3 unless given. With --dask local: processes, one per processor unless given.",
)
@click.option(
    "--dask",
    metavar="ADDRESS",
    help="Work on a Dask cluster: its scheduler, e.g. tcp://host:8786; or local, for processes on this machine.",
)
@click.option(
    "--retries",
    type=click.IntRange(min=0),
    metavar="N",
    help="Further attempts at a scene that fails on reading or writing, with --dask; 2 unless given.",
)
@click.option(
    "--logs", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Folder for one log per scene."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per scene, one line each.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    scenes: tuple[str, ...],
    output: str,
    skip_existing: bool,
    workers: int | None,
    dask: str | None,
    retries: int | None,
    logs: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Mask clouds and cloud shadows in scenes.

    SCENE is a raster file, a URL, or a folder with a product or one file per band. Files of one scene can
    also be given as one argument with commas: red.tif,green.tif,nir.tif. Several SCENEs are several scenes.

    Several scenes are worked on at once, the slow ones first; one that fails does not stop the others, and the
    exit status is then 1. A scene's outputs appear in the output folder together, or not at all.

    With --dask the scenes are opened, masked and written by the workers of a cluster; a worker that is lost loses none.
    """
    if given["overwrite"] and skip_existing:
        msg = "give --overwrite or --skip-existing, not both."
        raise UsageError(msg)
    if dask is None and retries is not None:
        msg = f"--retries needs --dask, got --retries {retries} alone. Try --dask local"
        raise UsageError(msg)
    if dask not in {None, "local"} and workers is not None:
        msg = f"give --workers or the address of a cluster, which has its own; got --workers {workers} --dask {dask}."
        raise UsageError(msg)
    if logs is not None:
        check_folder(logs)
    # Filters belong to the process: of two threads that change and restore them in turns, one undoes the other's.
    warnings.filterwarnings("ignore", message="Dataset has no geotransform")
    choice = take_model(given)
    opening = open_options(**{name: given.pop(name) for name in OPENING})
    # A scene that is done already needs no model, nor does a cluster need one here.
    at_once = dask is None and not skip_existing
    whole = given["bounds"] is None and given["geometry"] is None
    early = looking_already(scenes, opening, choice) if at_once and whole else None
    load = loading_already(choice) if at_once else choice.load
    from undercast.scaling.jobs import WORKERS, Batch

    batch = Batch(
        output=take_output(given, output, ctx.meta[WORDS]),
        options=take_options(given),
        skip_existing=skip_existing,
        workers=workers or WORKERS,
        logs=logs is not None,
    )
    telling = partial(Telling, as_json=as_json, debug=ctx.find_root().params["debug"], logs=logs)
    if dask is None:
        found = list_and_look(scenes, opening) if early is None else [early()]
        mask_here(found, batch, load, telling(scenes=len(found)))
        return
    from undercast.scaling.cluster import RETRIES, Campaign, connected, mask_on_cluster

    wanted = list_all(scenes)
    again = RETRIES if retries is None else retries
    campaign = Campaign(batch=batch, model=choice, opening=opening, retries=again)
    with connected(dask, workers) as client, closing(mask_on_cluster(wanted, campaign, client)) as outcomes:
        tell_all(outcomes, telling(scenes=len(wanted)))


def loading_already(choice: ModelChoice) -> Callable[[], Model]:
    """Begin to load a model, where it comes with undercast, while all else is made ready; others may be far away.

    Returns:
        What waits for the model, or raises what its loading did.
    """
    from undercast.models.package import list_packages

    if str(choice.name) not in list_packages():
        return choice.load
    return ThreadPoolExecutor(1).submit(choice.load).result


def looking_already(arguments: Sequence[str], opening: OpenOptions, choice: ModelChoice) -> Callable[[], Found] | None:
    """Begin to look at a scene, where it is one raster file here, and to read what an own model asks for first.

    Returns:
        What waits for the scene; None where there is no such scene or model.
    """
    from undercast.models.package import find_package, list_packages, read_package

    if len(arguments) != 1 or Path(arguments[0]).suffix.lower() not in RASTERS or not Path(arguments[0]).is_file():
        return None
    if str(choice.name) not in list_packages():
        return None
    from undercast.scaling.looks import look_early

    # All readers are imported by now, and GDAL: a package whose modules import each other must not be in two threads.
    wanted = list_all(arguments)
    spec = read_package(find_package(choice.name)).spec
    return ThreadPoolExecutor(1).submit(look_early, wanted[0], opening, spec).result


def mask_here(found: Sequence[Found], batch: Batch, load: Callable[[], Model], telling: Telling) -> None:
    """Mask scenes on this machine.

    Raises:
        UsageError: If two scenes have the same name.
    """
    from undercast.scaling.batch import mask_batch

    refuse_same_names(found)
    with progress_bars() as bar, closing(mask_batch(found, batch, load, bar)) as outcomes:
        tell_all(outcomes, telling)


def list_and_look(arguments: Sequence[str], opening: OpenOptions) -> list[Found]:
    """Take a first look at the scenes of every argument."""
    from undercast.scaling.looks import look

    return [look(one, opening) for one in list_all(arguments)]


def list_all(arguments: Sequence[str]) -> list[Wanted]:
    """List the scenes of every argument; one that cannot be listed is told when its turn comes."""
    from undercast.readers import list_scenes
    from undercast.scaling.looks import Wanted

    wanted = []
    for argument in arguments:
        try:
            sources = list_scenes(split_source(argument))
        except UndercastError as error:
            wanted.append(Wanted(name=argument, source=error))
            continue
        # What names lead to are names.
        names = cast("list[str | tuple[str, ...]]", sources)
        wanted += [Wanted(name=argument if len(names) == 1 else str(one), source=one) for one in names]
    return wanted


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
