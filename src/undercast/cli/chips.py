"""`undercast chips`: chips for training and evaluation, cut from scenes with labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from undercast.classes import scheme_ids
from undercast.cli.app import version
from undercast.cli.opening import numbers_of, open_options, opening_options, split_source, sun_of
from undercast.cli.printing import print_json, print_pairs, progress_bar
from undercast.errors import UsageError

if TYPE_CHECKING:
    from undercast.readers.base import OpenOptions
    from undercast.scene import SunAngles
    from undercast.weak_labels.chips import ChipScene

_T = TypeVar("_T")
NIGHT = 90
"""Degrees from the vertical at which the sun stands on the horizon."""


@click.group(name="chips")
def command() -> None:
    """Cut chips for training and evaluation from scenes with labels."""


@command.command(name="make")
@click.argument("scenes", nargs=-1, required=True, metavar="SCENE...")
@click.option(
    "--labels",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Labels of each scene, in the scenes' order: possible sets of `undercast labels`, or class maps.",
)
@click.option(
    "--scheme",
    metavar="ID",
    help=f"Class scheme of labels that are class maps: {', '.join(scheme_ids())}.",
)
@click.option(
    "--kind",
    type=click.Choice(["weak", "human"]),
    default="weak",
    show_default=True,
    help="Who made the labels: a processor, or a person.",
)
@click.option("--licence", required=True, metavar="TEXT", help="Licence of the data; model cards name it.")
@click.option("--source", metavar="NAME", help="Data set that the scenes belong to; the output's name unless given.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder to make.")
@click.option(
    "--dem",
    multiple=True,
    metavar="FILE",
    help="Height of the ground in metres, in any CRS, stored with the chips: one for all scenes, or one for each.",
)
@click.option(
    "--sun",
    multiple=True,
    metavar="ZENITH,AZIMUTH",
    help="Sun angles in degrees, stored with the chips, where a scene does not say them: one for all, or one for each.",
)
@click.option("--size", type=int, default=256, show_default=True, metavar="PX", help="Side of a chip.")
@click.option(
    "--most-nodata", type=float, default=0.2, show_default=True, metavar="F", help="Largest share without data."
)
@click.option(
    "--split",
    "by",
    type=click.Choice(["place", "scene"]),
    default="place",
    show_default=True,
    help="Keep together blocks on the ground, or scenes with all that share ground with them.",
)
@click.option(
    "--block", type=float, default=20_000.0, show_default=True, metavar="M", help="Side of a block on the ground."
)
@click.option(
    "--gap",
    type=float,
    default=1_000.0,
    show_default=True,
    metavar="M",
    help="Least distance between places of training, validation and test.",
)
@click.option(
    "--shares",
    default="0.8,0.1,0.1",
    show_default=True,
    metavar="TRAIN,VAL,TEST",
    help="Shares of the places.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another number gives another split.")
@opening_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def make_command(
    scenes: tuple[str, ...],
    labels: tuple[Path, ...],
    output: Path,
    by: Any,
    shares: str,
    as_json: bool,
    **given: Any,
) -> None:
    """Cut chips from each SCENE with its labels, split by place.

    The output holds the folders train, val and test, each with a manifest.json that `undercast train` and
    `undercast evaluate` read. No place on the ground is on two sides of the split, whatever the scene and its time.
    """
    from undercast.weak_labels.chips import ChipOptions, make_chips
    from undercast.weak_labels.places import Split

    if len(labels) != len(scenes):
        msg = f"expected --labels for each of {len(scenes)} scenes, got {len(labels)}. Repeat --labels FILE."
        raise UsageError(msg)
    train, val, test = numbers_of(shares, "--shares TRAIN,VAL,TEST", example="--shares 0.8,0.1,0.1")
    options = ChipOptions(
        size=given.pop("size"),
        most_nodata=given.pop("most_nodata"),
        split=Split(
            by=by,
            block_m=given.pop("block"),
            gap_m=given.pop("gap"),
            shares=(train, val, test),
            seed=given.pop("seed"),
        ),
    )
    ground = _one_each("--dem", given.pop("dem"), len(scenes))
    suns = _one_each("--sun", [_sun_of(sun) for sun in given.pop("sun")], len(scenes))
    records = {key: given.pop(key) for key in ("scheme", "kind", "licence", "source")}
    records["source"] = records["source"] or output.name
    chosen = open_options(**given)
    opened = [
        _open(scene, path, chosen, dem=dem, sun=sun, **records)
        for scene, path, dem, sun in zip(scenes, labels, ground, suns, strict=True)
    ]
    with progress_bar("chips") as progress:
        made = make_chips(opened, output, options, software=f"undercast {version()}", progress=progress)
    if as_json:
        print_json({"folder": str(made.folder), "chips": made.chips, "dropped": made.dropped})
        return
    print_pairs((str(made.folder / side), f"{count} chips") for side, count in made.chips.items() if count)
    _tell_missing([side for side, count in made.chips.items() if not count], options.split.shares)
    print_pairs((f"left out, {reason}", str(count)) for reason, count in made.dropped.items())


def _one_each(option: str, given: Sequence[_T], count: int) -> Sequence[_T | None]:
    """Give each scene its own value of an option, or all the one that there is."""
    if len(given) not in {0, 1, count}:
        msg = f"expected one {option}, or one for each of {count} scenes, got {len(given)}."
        raise UsageError(msg)
    return given if len(given) == count else [given[0] if given else None] * count


def _sun_of(text: str) -> SunAngles:
    """Read the sun's angles, and refuse a sun that lights nothing."""
    sun = sun_of(text)
    if not 0 <= sun.zenith < NIGHT:
        msg = f"--sun: expected a zenith angle from 0 to below {NIGHT} degrees and an azimuth, got {text}."
        raise UsageError(msg)
    return sun


def _tell_missing(empty: Sequence[str], shares: Sequence[float]) -> None:
    wanted = [side for side, share in zip(("train", "val", "test"), shares, strict=True) if share]
    for side in empty:
        if side in wanted:
            click.echo(f"no chips for {side}: more places, or a smaller --block, give every side some.", err=True)


def _open(
    name: str,
    labels: Path,
    options: OpenOptions,
    *,
    scheme: str | None,
    kind: Any,
    licence: str,
    source: str,
    dem: str | None,
    sun: SunAngles | None,
) -> ChipScene:
    """Open a scene and its labels."""
    from undercast.readers import open_scene
    from undercast.readers.elevation import Elevation
    from undercast.weak_labels.chips import ChipScene
    from undercast.weak_labels.label_files import open_labels

    scene = open_scene(split_source(name), options)
    if scene.sun is None:
        scene = replace(scene, sun=sun)
    opened = open_labels(labels, scheme=scheme)
    return ChipScene(
        scene=scene,
        labels=lambda window: opened.read(window, scene.grid),
        label_provenance=opened.made_by,
        source=source,
        licence=licence,
        kind=kind,
        elevation=None if dem is None else Elevation(source=dem, grid=scene.grid),
        place=_simulated_place(name),
    )


def _simulated_place(name: str) -> str | None:
    """Name the place of a scene that `undercast simulate` made: all of them pretend to lie at one."""
    from undercast.readers.layers import read_tags

    if not name.lower().endswith((".tif", ".tiff")) or not Path(name).is_file():
        return None
    tags = read_tags(name)
    return f"simulated {tags.get('UNDERCAST_SEED')}" if tags.get("UNDERCAST_SIMULATED") == "yes" else None
