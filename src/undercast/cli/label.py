"""`undercast label`: a page on this machine on which a person labels a scene."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from undercast.classes import load_scheme
from undercast.cli.app import WORDS
from undercast.cli.mask_options import record_of
from undercast.cli.opening import open_options, opening_options, split_source
from undercast.cli.printing import is_quiet, percentages, print_json, print_pairs
from undercast.errors import UsageError

if TYPE_CHECKING:
    from undercast.viewer.desk import Desk
    from undercast.viewer.saving import Saved
    from undercast.viewer.server import LabelServer


@click.command(name="label")
@click.argument("scene")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for the reference mask.")
@opening_options
@click.option("--dem", metavar="FILE", help="Height of the ground in metres, in any CRS: one more feature.")
@click.option(
    "--megapixels",
    type=click.FloatRange(min=0.01, max=100.0),
    default=4.0,
    show_default=True,
    metavar="N",
    help="A larger scene is labelled on a coarser grid of at most N megapixels.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    metavar="N",
    help="Port on 127.0.0.1; 0 takes a free one.",
)
@click.option("--browser/--no-browser", default=True, help="Open the page in the browser.")
@click.option("--overwrite", is_flag=True, help="Replace a mask that no session made.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one line with the address, one with what was saved.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    scene: str,
    output: Path,
    dem: str | None,
    megapixels: float,
    port: int,
    browser: bool,
    overwrite: bool,
    as_json: bool,
    **opening: Any,
) -> None:
    """Label a scene by points on a page of this machine.

    SCENE is what `undercast mask` takes. A person clicks pixels, a random forest labels the rest (ALCD), the page shows
    where it is unsure, and so on until the person is content. Points are kept after every training; the same command
    goes on with them. The address that is printed is a key: who has it can label.
    """
    if math.isnan(megapixels):
        raise UsageError("--megapixels: expected a number from 0.01 to 100, got nan. Try --megapixels 4")
    options = open_options(**opening)
    source = split_source(scene)
    from undercast.readers import open_scene
    from undercast.viewer.desk import Desk, DeskOptions
    from undercast.viewer.saving import Destination
    from undercast.viewer.server import LabelServer
    from undercast.writers import OutputOptions

    outputs = OutputOptions(
        folder=output,
        scheme=load_scheme(),
        uncertainty=True,
        overwrite=overwrite,
        command=record_of(ctx.meta[WORDS]),
    )
    # A list of references cannot say with which options a scene is opened; URLs may hold secrets.
    plain = isinstance(source, str) and Path(source).exists() and all(value is None for value in opening.values())
    listed = str(Path(scene).absolute()) if plain else None
    destination = Destination(output=outputs, source=listed)
    desk = Desk(
        open_scene(source, options), DeskOptions(destination=destination, dem=dem, largest=round(megapixels * 1e6))
    )
    with LabelServer(desk, port) as server:
        tell_address(desk, server, as_json=as_json, browser=browser)
        server.serve_forever()
    # The page ends the run with a save.
    if desk.saved is not None:
        tell_saved(desk.scene.name, desk.saved, as_json=as_json)


def tell_address(desk: Desk, server: LabelServer, *, as_json: bool, browser: bool) -> None:
    """Say where the page is, and open it."""
    if as_json:
        print_json({"url": server.url, "notice": desk.notice, "points": len(desk.session.points)})
    else:
        click.echo(server.url)
        if desk.notice is not None and not is_quiet():
            click.echo(desk.notice, err=True)
    if browser:
        click.launch(server.url)


def tell_saved(name: str, saved: Saved, *, as_json: bool) -> None:
    """Say what was saved."""
    told = saved.to_dict()
    if as_json:
        print_json(told)
        return
    click.echo(f"{name}: {percentages(told.pop('percent'))}")
    print_pairs([(f"  {key.replace('_', ' ')}", path) for key, path in told.items() if path is not None])
