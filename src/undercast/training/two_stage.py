"""Two stages: clear, cloud and shadow on several harmonised data sets, then a new head of four classes, fine-tuned.

Data sets that do not tell thick from thin cloud teach the first stage as well as those that do; the second stage sees
only the ones that a recipe trusts for all four classes (Wright et al. 2024, CloudS2Mask,
https://doi.org/10.1016/j.rse.2024.114122).
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from undercast.bands import Band
from undercast.classes import CLASS_NAMES, THICK_CLOUD, THIN_CLOUD
from undercast.destinations import check_new_package
from undercast.errors import BandError, TrainingError
from undercast.evaluation.datasets import data_set_references
from undercast.evaluation.manifest import MANIFEST
from undercast.evaluation.references import ReferenceScene
from undercast.models.publish.write import PackageDetails, write_package
from undercast.sensors import load_sensor
from undercast.simulation.scenes import simulate
from undercast.training import loop
from undercast.training.bank import BankPlan
from undercast.training.chips import STORED_NODATA, Chip, arrange, file_hash, read_chips, to_stored
from undercast.training.export import to_onnx
from undercast.training.loop import VALIDATION_SEED, Pools, Trained, train
from undercast.training.networks import ARCHITECTURES, build
from undercast.training.recipe import Recipe, fill_plan, read_table, recipe_of
from undercast.training.run import Progress, spec_of
from undercast.training.sentinel2_networks import ONE_CLOUD, with_body_of
from undercast.types import UInt8
from undercast.windows import Window

logger = logging.getLogger(__name__)

SENSOR = "sentinel-2a-msi"
"""Sensor whose chips are simulated."""
GSDS_M = (10.0, 60.0)
"""Smallest and largest ground sample distance of simulated chips, in metres."""
FEWEST_LABELLED = 0.05
"""Share of a chip's pixels that must be labelled for it to be used."""

_CLOUD = np.uint8((1 << THICK_CLOUD) | (1 << THIN_CLOUD))


@dataclass(frozen=True, slots=True, kw_only=True)
class StagesPlan:
    """What the second stage does; the first is the rest of the recipe."""

    sources: tuple[str, ...]
    """Data sets whose labels tell all four classes; simulated chips do."""
    steps: int
    """Steps of the optimiser."""
    learning_rate: float = 2e-4
    """Highest learning rate."""
    warmup: int = 50
    """Steps of linear warm-up before the cosine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoStageRecipe:
    """A training run in two stages."""

    first: Recipe
    """The first stage, and what both share."""
    stages: StagesPlan
    """The second stage."""


def is_two_stage(path: Path) -> bool:
    """Tell whether a recipe has a table [stages].

    Raises:
        TrainingError: If the file is missing or no TOML.
    """
    return "stages" in read_table(path)


def read_two_stage(path: Path) -> TwoStageRecipe:
    """Read a recipe of two stages.

    Raises:
        TrainingError: If the file is missing, no TOML, or a key or value is wrong.
    """
    table = read_table(path)
    try:
        stages = fill_plan(StagesPlan, table.pop("stages", {}), "stages")
        recipe = TwoStageRecipe(first=recipe_of(table), stages=stages)
        _check(recipe)
    except (TrainingError, BandError) as error:
        msg = f"recipe {path}: {error}"
        raise TrainingError(msg) from error
    return recipe


def _check(recipe: TwoStageRecipe) -> None:
    name, stages = recipe.first.model.architecture, recipe.stages
    if f"{name}{ONE_CLOUD}" not in ARCHITECTURES:
        known = ", ".join(other.removesuffix(ONE_CLOUD) for other in ARCHITECTURES if other.endswith(ONE_CLOUD))
        msg = f"[model]: architecture {name!r} cannot change its head. Known: {known}."
        raise TrainingError(msg)
    if stages.steps < 1 or stages.learning_rate <= 0 or stages.warmup < 0:
        msg = "[stages]: steps must be at least 1, learning_rate > 0 and warmup at least 0."
        raise TrainingError(msg)
    if recipe.first.data.folds or recipe.first.data.on_real or recipe.first.optimise.pretrain_steps:
        msg = "a recipe with [stages] has no folds, on_real or pretrain_steps: set them to 0."
        raise TrainingError(msg)


def run_two_stages(
    recipe: TwoStageRecipe,
    data: Path,
    out: Path,
    *,
    work: Path | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Path:
    """Train in two stages and write the package.

    Args:
        recipe: What to train.
        data: Folder with ``manifest.json`` and chips, or with a folder for each data set as it is published.
        out: Model package to write; it must not exist.
        work: Folder for logs and checkpoints; beside the package unless given. A run that was stopped goes on.
        device: Device of PyTorch.
        progress: Called now and then.

    Raises:
        TrainingError: If the data or the recipe are wrong.
        OutputExistsError: If the package exists.
    """
    check_new_package(out)
    tell = progress or (lambda _what, _done, _total: None)
    pools = make_pools(recipe, data, lambda done, total: tell("simulating", done, total))
    place = work or out.with_name(f"{out.name}.work")
    first = _first(recipe, pools, place, device, tell)
    second = _second(recipe, pools, place, device, tell, first=first)
    tell("exporting", 0, 1)
    package = _write(out, recipe, pools, first, second)
    tell("exporting", 1, 1)
    return package


def _first(recipe: TwoStageRecipe, pools: Pools, work: Path, device: str, tell: Progress) -> Trained:
    model = recipe.first.model
    three = replace(recipe.first, model=replace(model, architecture=f"{model.architecture}{ONE_CLOUD}"))
    what = "training clear, cloud and shadow"
    # Validation chips keep their labels: only certain ones are scored, and thick and thin cloud together.
    harmonised = replace(
        pools,
        real=[harmonise(chip) for chip in pools.real],
        simulated=[harmonise(chip) for chip in pools.simulated],
    )
    return train(
        three,
        harmonised,
        work / "three-classes",
        device=device,
        progress=lambda done, total: tell(what, done, total),
    )


def _second(
    recipe: TwoStageRecipe, pools: Pools, work: Path, device: str, tell: Progress, *, first: Trained
) -> Trained:
    plan, stages = recipe.first.optimise, recipe.stages
    four = replace(
        recipe.first,
        optimise=replace(
            plan,
            steps=stages.steps,
            learning_rate=stages.learning_rate,
            warmup=stages.warmup,
            seed=plan.seed + 1,
            validate_every=min(plan.validate_every, stages.steps),
        ),
    )
    torch.manual_seed(plan.seed + 1)
    network = build(recipe.first.model.architecture, bands=len(recipe.first.bands), classes=len(CLASS_NAMES))
    real = [chip for chip in pools.real if chip.source in stages.sources]
    return train(
        four,
        replace(pools, real=real),
        work / "four-classes",
        device=device,
        progress=lambda done, total: tell("training four classes", done, total),
        initial=with_body_of(network, first.network),
    )


def harmonise(chip: Chip) -> Chip:
    """Make a chip's labels say cloud alone where they tell thick from thin."""
    cloudy = chip.possible & _CLOUD > 0
    possible: UInt8 = np.where(cloudy, chip.possible | _CLOUD, chip.possible)
    return replace(chip, possible=possible)


def make_pools(recipe: TwoStageRecipe, folder: Path, progress: Callable[[int, int], None] | None = None) -> Pools:
    """Read the labelled chips and simulate the others.

    Raises:
        TrainingError: If there are no labelled chips, or none of a source that the second stage is to see.
    """
    plan, bands = recipe.first.bank, recipe.first.bands
    real, hashes = _labelled(folder, bands, plan.size, recipe.first.data.leave_out)
    sources = {chip.source for chip in real}
    if missing := sorted(set(recipe.stages.sources) - sources):
        found = ", ".join(sorted(sources)) or "none"
        msg = f"{folder}: expected chips of {', '.join(missing)}, which [stages] names; got chips of {found}."
        raise TrainingError(msg)
    held = replace(plan, seed=plan.seed + VALIDATION_SEED, simulated=loop.VALIDATION_CHIPS)
    return Pools(
        real=real,
        on_real=[],
        simulated=list(_simulated(plan, bands, progress)),
        validation=list(_simulated(held, bands, None)),
        hashes=hashes,
    )


def _labelled(
    folder: Path, bands: Sequence[Band], size: int, leave_out: Sequence[str]
) -> tuple[list[Chip], dict[str, str]]:
    """Read chips from a manifest, or cut them out of the data sets of a folder; give their hashes by name."""
    if (folder / MANIFEST).is_file():
        chips = [chip for chip in read_chips(folder, bands, leave_out=leave_out) if _complete(chip)]
        return chips, {chip.name: file_hash(folder / chip.name) for chip in chips}
    chips, hashes = [], {}
    for part in sorted(path for path in folder.glob("*") if path.is_dir()):
        for reference in data_set_references(part) or ():
            if reference.source not in leave_out and reference.name not in leave_out:
                chips.extend(chip for chip in cut(reference, bands, size) if _complete(chip))
                hashes[reference.name] = reference.hash
    return chips, hashes


def _complete(chip: Chip) -> bool:
    """Tell whether a chip has every band: the networks take no fewer."""
    return bool((chip.stored != STORED_NODATA).any(axis=(1, 2)).all())


def cut(reference: ReferenceScene, bands: Sequence[Band], size: int) -> Iterator[Chip]:
    """Cut a reference into chips of at most ``size`` pixels a side; those with hardly a label are left out."""
    height, width = reference.scene.grid.shape
    for row in range(0, height, size):
        for col in range(0, width, size):
            window = Window(row=row, col=col, height=min(size, height - row), width=min(size, width - col))
            possible = reference.possible[window.rows, window.cols]
            if (possible > 0).mean() < FEWEST_LABELLED:
                continue
            yield Chip(
                name=f"{reference.name}@{row},{col}",
                source=reference.source,
                stored=arrange(to_stored(reference.scene.read(window)), reference.scene.bands, bands),
                possible=possible,
            )


def _simulated(plan: BankPlan, bands: Sequence[Band], progress: Callable[[int, int], None] | None) -> Iterator[Chip]:
    """Simulate Sentinel-2 chips; chip ``i`` depends on the seed and ``i`` alone."""
    sensor = load_sensor(SENSOR)
    for index in range(plan.simulated):
        rng = np.random.default_rng((plan.seed, index))
        gsd = float(np.exp(rng.uniform(*np.log(GSDS_M))))
        made = simulate(sensor, seed=rng, size=plan.size, gsd=gsd)
        yield Chip(
            name=f"{plan.seed}:{index}",
            source="simulated",
            stored=arrange(to_stored(made.reflectance), sensor.bands, bands),
            possible=made.possible,
        )
        if progress is not None:
            progress(index + 1, plan.simulated)


def _write(out: Path, recipe: TwoStageRecipe, pools: Pools, first: Trained, second: Trained) -> Path:
    model = recipe.first.model
    record: dict[str, Any] = {
        "recipe": json.loads(json.dumps(asdict(recipe))),
        "data_sha256": pools.hashes,
        "chips": dict(Counter(chip.source for chip in (*pools.real, *pools.simulated))),
        "validation_on_simulated": {"three classes": first.validation, "four classes": second.validation},
        "seconds": round(first.seconds + second.seconds, 1),
    }
    details = PackageDetails(
        architecture=model.architecture,
        created=datetime.now(tz=UTC),
        description=f"Clear, thick cloud, thin cloud and cloud shadow from {len(model.bands)} bands of Sentinel-2.",
        card=_card(recipe, record),
        evaluation=record,
        total_parameters=sum(value.numel() for value in second.network.parameters()),
        hyperparameters=json.loads(json.dumps({**asdict(recipe.first.optimise), "stages": asdict(recipe.stages)})),
    )
    return write_package(out, spec_of(recipe.first), {model.id: to_onnx(second.network, len(model.bands))}, details)


def _card(recipe: TwoStageRecipe, record: dict[str, Any]) -> str:
    model, plan = recipe.first.model, recipe.first.optimise
    chips = "\n".join(
        f"| {name} | {count} | {'both' if name in (*recipe.stages.sources, 'simulated') else 'first'} |"
        for name, count in sorted(record["chips"].items())
    )
    figures = "\n".join(
        f"| {stage} | {found['simulated_cloud_f1']:.3f} | {found['simulated_shadow_f1']:.3f} |"
        for stage, found in record["validation_on_simulated"].items()
    )
    return f"""# {model.title}, {model.version}

Clear, thick cloud, thin cloud and cloud shadow, by pixel, from top-of-atmosphere reflectance of Sentinel-2.

| | |
|---|---|
| needs | {", ".join(model.required)} |
| architecture | {model.architecture} |
| trained with | {plan.steps} steps of clear, cloud and shadow, then {recipe.stages.steps} of four classes |

## Trained on

| source | chips | stages |
|---|---|---|
{chips}

The SHA-256 of each real file or scene is in `evaluation.json`.

## Figures

On **simulated** chips of another seed: they say that the training worked, not how good the masks of real scenes are.

| after | F1 of cloud | F1 of cloud shadow |
|---|---|---|
{figures}
"""
