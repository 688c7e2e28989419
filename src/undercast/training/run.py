"""From a recipe to a model package: pools, training, calibration, export, card."""

from __future__ import annotations

import json
import logging
import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from undercast.destinations import check_folder, check_new_package
from undercast.errors import UsageError
from undercast.model_spec import ModelBand, ModelSpec
from undercast.models.publish.write import PackageDetails, write_package
from undercast.training import calibration
from undercast.training.calibration import Calibrated
from undercast.training.card import told_on_card
from undercast.training.export import to_onnx, working_bytes
from undercast.training.folds import only, split, without
from undercast.training.held_out import score
from undercast.training.loop import Pools, Trained, make_pools, train, validate
from undercast.training.mining import mine
from undercast.training.networks import check_architecture
from undercast.training.operating_point import Judge, choose_presets
from undercast.training.recipe import Recipe
from undercast.training.side_by_side import side_by_side
from undercast.types import TERRAIN_LAYERS

if TYPE_CHECKING:
    from torch import nn

logger = logging.getLogger(__name__)

OVERLAP = 32
"""Pixels that neighbouring windows share; more gave no better classes (docs/experiments.md, Q)."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done and how much there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the files of a run go."""

    package: Path
    """Model package to write; it must not exist."""
    work: Path | None = None
    """Folder for logs and checkpoints; beside the package unless given. A run that was stopped goes on."""
    ensemble: Path | None = None
    """Model package of the networks of the folds and of all, to write beside; it must not exist."""


def run(
    recipe: Recipe,
    data: Path,
    places: Places,
    *,
    device: str = "cpu",
    jobs: int = 1,
    progress: Progress | None = None,
) -> Path:
    """Train the model of a recipe and write its package.

    First on simulated chips alone where the recipe says so; from there once without each fold of the real scenes, which
    the calibration and the operating points are found on, and once with all of them, which gives the weights. Where the
    recipe has a last stage, each of these goes on at its rate on chips of its seed.

    Args:
        recipe: What to train.
        data: Folder with ``manifest.json`` and chips.
        places: Where the files go.
        device: Device of PyTorch.
        jobs: Networks that are trained at the same time once the first stage is over, each on one core.
        progress: Called now and then.

    Returns:
        The package's folder.

    Raises:
        TrainingError: If the data or the recipe are wrong.
        UsageError: If the architecture is not known, or an ensemble is asked for without folds.
        OutputExistsError: If a package exists.
    """
    for path in (places.package, places.ensemble):
        if path is not None:
            check_new_package(path)
    if places.ensemble is not None and not recipe.data.folds:
        msg = "an ensemble is made of the networks of the folds: expected folds of at least 2 in [data], got 0."
        raise UsageError(msg)
    check_architecture(recipe.model.architecture)
    work = places.work or places.package.with_name(f"{places.package.name}.work")
    check_folder(work)
    tell = progress or (lambda _what, _done, _total: None)
    pools = make_pools(recipe, data, lambda done, total: tell("simulating", done, total))
    trained, judges = _train_all(recipe, pools, data, work, _How(device=device, jobs=jobs, tell=tell))
    tell("exporting", 0, 1)
    judges, record = _judge(recipe, pools, trained, judges)
    package = _write(places.package, recipe, data, {recipe.model.id: judges[-1][0]}, record)
    if places.ensemble is not None:
        members = {f"member-{number}": network for number, (network, _) in enumerate(judges, start=1)}
        named = replace(
            recipe,
            model=replace(
                recipe.model,
                id=f"{recipe.model.id}-ensemble",
                title=f"{recipe.model.title}, ensemble of {len(members)}",
            ),
        )
        _write(places.ensemble, named, data, members, record)
    tell("exporting", 1, 1)
    return package


@dataclass(frozen=True, slots=True, kw_only=True)
class _How:
    """How networks are trained."""

    device: str
    jobs: int
    tell: Progress


def _train_all(recipe: Recipe, pools: Pools, data: Path, work: Path, how: _How) -> tuple[Trained, list[Judge]]:
    """Train the network, and one without each fold.

    Returns:
        The network, and who is judged by what: each fold's network by the fold, the network itself by simulated chips
        (without folds by the real ones, too).
    """
    plan = recipe.optimise
    initial = None
    if plan.pretrain_steps:
        alone = replace(
            recipe,
            data=replace(recipe.data, real=0.0, on_real=0.0),
            optimise=replace(plan, steps=plan.pretrain_steps, learning_rate=plan.pretrain_rate),
        )
        initial = train(
            alone,
            pools,
            work / "pretrain",
            device=how.device,
            progress=lambda done, total: how.tell("training on simulated chips", done, total),
        ).network
    if initial is not None:
        pools = mine(pools, initial)
    folds = split(pools.real, recipe.data.folds) if recipe.data.folds else ()
    runs = _runs(recipe, pools, folds, work, recipe.data.fold_steps or plan.steps)
    networks = _train_each(runs, [initial] * len(runs), how)
    if recipe.last.steps:
        going_on = _last_of(recipe)
        fresh = make_pools(going_on, data, lambda done, total: how.tell("simulating", done, total))
        pools = replace(fresh, real=pools.real, validation=pools.validation)
        runs = _runs(going_on, pools, folds, work / "last", recipe.last.fold_steps or recipe.last.steps)
        further = _train_each(runs, [one.network for one in networks], how)
        networks = [replace(b, seconds=a.seconds + b.seconds) for a, b in zip(networks, further, strict=True)]
    trained, *others = networks
    judges: list[Judge] = [(fold.network, only(pools, names)) for fold, names in zip(others, folds, strict=True)]
    judges.append((trained.network, pools.validation if folds else [*pools.real, *pools.validation]))
    return trained, judges


def _last_of(recipe: Recipe) -> Recipe:
    """Give the recipe of the last stage: its own chips, batches, steps and rate."""
    last = recipe.last
    return replace(
        recipe,
        bank=replace(recipe.bank, seed=last.seed, simulated=last.simulated, on_real=last.on_real),
        optimise=replace(
            recipe.optimise, seed=last.seed, steps=last.steps, learning_rate=last.learning_rate, warmup=last.warmup
        ),
    )


def _runs(
    recipe: Recipe, pools: Pools, folds: Sequence[frozenset[str]], work: Path, fold_steps: int
) -> tuple[_Run, ...]:
    """List what is trained in one stage: the network of all scenes, then one without each fold."""
    plan = recipe.optimise
    every = _Run(what="training", recipe=recipe, pools=pools, work=work / "all")
    return (
        every,
        *(
            _Run(
                what=f"training without fold {number} of {len(folds)}",
                recipe=replace(recipe, optimise=replace(plan, seed=plan.seed + number, steps=fold_steps)),
                pools=without(pools, names),
                work=work / f"fold-{number}",
            )
            for number, names in enumerate(folds, start=1)
        ),
    )


def _train_each(runs: Sequence[_Run], initials: Sequence[nn.Module | None], how: _How) -> list[Trained]:
    """Train the networks of one stage, several at the same time where that is asked for."""
    pairs = list(zip(runs, initials, strict=True))
    if how.jobs > 1:
        side_by_side([partial(_train_one, run, initial, how.device) for run, initial in pairs], how.jobs)
    return [_train_one(run, initial, how.device, how.tell) for run, initial in pairs]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One network's training."""

    what: str
    recipe: Recipe
    pools: Pools
    work: Path


def _train_one(run: _Run, initial: nn.Module | None, device: str, tell: Progress | None = None) -> Trained:
    """Train one network, or go on with it."""
    progress = None if tell is None else lambda done, total: tell(run.what, done, total)
    return train(run.recipe, run.pools, run.work, device=device, progress=progress, initial=initial)


def _judge(
    recipe: Recipe, pools: Pools, trained: Trained, judges: Sequence[Judge]
) -> tuple[list[Judge], dict[str, Any]]:
    """Find calibration and operating points, and put them on record with the figures that they give.

    Returns:
        The judges with calibrated logits, and the record.
    """
    names = recipe.model.bands
    real = judges[:-1] if recipe.data.folds else judges
    found = calibration.fit(real, names)
    calibrated: list[Judge] = [(Calibrated(network, found).eval(), chips) for network, chips in judges]
    presets = choose_presets(calibrated[: len(real)], names)
    held_out = {
        name: score(calibrated[:-1], names, thresholds=thresholds)
        for name, thresholds in presets.items()
        if recipe.data.folds
    }
    record = {"calibration": asdict(found), "presets": presets, "held_out": held_out}
    return calibrated, record | _record(recipe, pools, trained, validate(trained.network, pools.validation, recipe))


def _write(folder: Path, recipe: Recipe, data: Path, networks: Mapping[str, nn.Module], record: dict[str, Any]) -> Path:
    """Export networks and write them as one package."""
    channels = spec_of(recipe).channels
    details = PackageDetails(
        architecture=recipe.model.architecture,
        created=datetime.now(tz=UTC),
        description=(
            "Clear, thick cloud, thin cloud and cloud shadow from optical imagery of any sensor with at least"
            f" {' and '.join(recipe.model.required)}, in top-of-atmosphere or surface reflectance."
        ),
        evaluation=record | told_on_card(recipe, data, record),
        total_parameters=sum(value.numel() for value in next(iter(networks.values())).parameters()),
        hyperparameters=_plain(asdict(recipe.optimise)),
    )
    weights = {name: to_onnx(network, channels) for name, network in networks.items()}
    working = max(map(working_bytes, weights.values()))
    return write_package(folder, replace(spec_of(recipe, record["presets"]), working_bytes=working), weights, details)


def spec_of(recipe: Recipe, presets: Mapping[str, Mapping[str, float]] | None = None) -> ModelSpec:
    """Give the spec of a recipe's model; of several presets ``f2`` is recommended: a missed cloud costs more."""
    return ModelSpec(
        id=recipe.model.id,
        version=recipe.model.version,
        title=recipe.model.title,
        bands=tuple(ModelBand(band=band, required=band.common_name in recipe.model.required) for band in recipe.bands),
        terrain=tuple(layer for layer in TERRAIN_LAYERS if layer in recipe.model.terrain),
        presets=presets or {},
        preset="f2" if presets else None,
        uncertainty="decision",
        window=recipe.model.window,
        overlap=OVERLAP,
    )


def _record(recipe: Recipe, pools: Pools, trained: Trained, validation: dict[str, float]) -> dict[str, Any]:
    """Say all that the weights depend on, and the figures on simulated validation chips."""
    return {
        "recipe": _plain(asdict(recipe)),
        "data_sha256": pools.hashes,
        "chips": dict(Counter(chip.source for chip in (*pools.real, *pools.on_real, *pools.simulated))),
        "validation_on_simulated": validation,
        "seconds": round(trained.seconds, 1),
        "made_with": {name: _version(name) for name in ("undercast", "torch", "numpy")}
        | {"python": platform.python_version(), "machine": platform.machine()},
    }


def _version(name: str) -> str:
    """Give the version of a distribution; ``0+unknown`` in a source tree that was never installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "0+unknown"


def _plain(value: Any) -> Any:
    """Turn a value into what JSON can hold."""
    return json.loads(json.dumps(value))
