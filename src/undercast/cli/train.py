"""`undercast train`: train the model of a recipe and write its package."""

from __future__ import annotations

from pathlib import Path

import click

from undercast._optional import require
from undercast.cli.printing import stage_bars
from undercast.errors import UsageError


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
@click.option(
    "--judge-by",
    type=click.Path(path_type=Path),
    help="Folder of labelled scenes for the figures in the card of a recipe with [ensemble]; they are not trained on.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Networks of a recipe with folds that are trained at the same time, each on one core.",
)
@click.option("--device", default="cpu", show_default=True, help="PyTorch device, such as cuda.")
def command(
    recipe: Path,
    data: Path,
    out: Path,
    work: Path | None,
    ensemble: Path | None,
    judge_by: Path | None,
    jobs: int,
    device: str,
) -> None:
    """Train the model of a recipe and write its package.

    RECIPE is a TOML file; one with a table [ensemble] trains a member of each architecture and packs them together,
    one with [stages] trains clear, cloud and shadow first and four classes from there, one with [classifier] trains a
    classifier of whole scenes.
    Each folder of OUT.work has a log.jsonl with a JSON object per line: step, loss, rate,
    seconds, and figures on simulated validation chips now and then.
    """
    require("torch", extra="train", purpose="train a model")
    from undercast.training.bigearthnet.recipe import is_classifier
    from undercast.training.devices import check_device
    from undercast.training.ensemble import is_ensemble, read_ensemble
    from undercast.training.ensemble_run import run_ensemble
    from undercast.training.recipe import read_recipe
    from undercast.training.run import Places, run
    from undercast.training.two_stage import is_two_stage, read_two_stage, run_two_stages

    check_device(device)
    members = read_ensemble(recipe) if is_ensemble(recipe) else None
    stages = read_two_stage(recipe) if is_two_stage(recipe) else None
    if stages is not None and ensemble is not None:
        msg = "--ensemble needs a recipe with folds; one with [stages] has none."
        raise UsageError(msg)
    if is_classifier(recipe):
        if ensemble is not None or judge_by is not None:
            msg = "--ensemble and --judge-by are for recipes of masks; one with [classifier] has its own test patches."
            raise UsageError(msg)
        _train_classifier(recipe, data, out, work, device)
        return
    with stage_bars() as tell:
        if members is not None:
            package = run_ensemble(members, data, out, work=work, judged_by=judge_by, progress=tell)
        elif stages is not None:
            package = run_two_stages(stages, data, out, work=work, device=device, progress=tell)
        else:
            places = Places(package=out, work=work, ensemble=ensemble)
            package = run(read_recipe(recipe), data, places, device=device, jobs=jobs, progress=tell)
    click.echo(package)


def _train_classifier(recipe: Path, data: Path, out: Path, work: Path | None, device: str) -> None:
    """Train a classifier of whole scenes."""
    for module in ("lightning", "torchmetrics", "huggingface_hub"):
        require(module, extra="scenes", purpose="train a scene classifier")
    from undercast.training.bigearthnet.recipe import read_classifier_recipe
    from undercast.training.bigearthnet.run import run_classifier

    with stage_bars() as tell:
        package = run_classifier(read_classifier_recipe(recipe), data, out, work=work, device=device, progress=tell)
    click.echo(package)
