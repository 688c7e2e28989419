"""`undercast train`: train the model of a recipe and write its package."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from undercast._optional import require


@click.command("train")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder with chips and their manifest.json.",
)
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Model package to write.")
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    help="Folder for the log and the checkpoint [OUT.work]; a run that was stopped goes on from there.",
)
@click.option(
    "--ensemble",
    type=click.Path(path_type=Path),
    help="Write the networks of the recipe's folds here, too, as the members of one package.",
)
@click.option("--device", default="cpu", show_default=True, help="PyTorch device, such as cuda.")
def command(recipe: Path, data: Path, out: Path, work: Path | None, ensemble: Path | None, device: str) -> None:
    """Train the model of a recipe and write its package.

    RECIPE is a TOML file. Each folder of OUT.work has a log.jsonl with a JSON object per line: step, loss, rate,
    seconds, and figures on simulated validation chips now and then.
    """
    require("torch", extra="train", purpose="train a model")
    from undercast.training.recipe import read_recipe
    from undercast.training.run import Places, run

    plan = read_recipe(recipe)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        places = Places(package=out, work=work, ensemble=ensemble)
        package = run(plan, data, places, device=device, progress=tell)
    click.echo(package)
