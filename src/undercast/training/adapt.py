"""Adapt: a model learns the bands of another sensor, and says what that costs and what it gains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from undercast.classes import THICK_CLOUD, THIN_CLOUD
from undercast.destinations import check_new_package
from undercast.errors import BandError, TrainingError, UsageError
from undercast.evaluation.intervals import IntervalOptions, interval, resamples
from undercast.evaluation.packages import TRAINING_KEY, evaluation_record
from undercast.model_spec import ModelBand, ModelSpec
from undercast.models.package import ModelPackage, find_package, read_package
from undercast.models.publish.write import PackageDetails, write_package
from undercast.sensors import Sensor, load_sensor
from undercast.simulation.coarse import SHARP, seen_by
from undercast.simulation.scenes import Simulated, simulate
from undercast.simulation.sensor import observe, wavelengths
from undercast.training import calibration
from undercast.training.adaptation import AdaptationPlan, Adapted, plan_adaptation
from undercast.training.adaptation_card import SEEN_FIRST, card_of, described
from undercast.training.augment import augment
from undercast.training.bank import BankPlan, ground_of, make_bank, terrain_of
from undercast.training.calibration import Calibrated
from undercast.training.chips import STORED_NODATA, Chip, arrange, to_stored
from undercast.training.export import to_onnx
from undercast.training.folds import only, split, without
from undercast.training.loop import MADE_FROM, Pools, make_pools, train
from undercast.training.operating_point import TRUSTED, Judge, chip_probabilities, choose_presets, f_beta
from undercast.training.recipe import DataPlan, ModelPlan, OptimisePlan, Recipe
from undercast.training.restore import normalised, restore
from undercast.types import TERRAIN_LAYERS

if TYPE_CHECKING:
    from torch import Tensor, nn

JUDGED_PX = 192
"""Side of the scenes that judge, in pixels."""
JUDGES_SEED = 7_000_003
"""Seed of these scenes."""
WITH_DEM = "adapted_with_dem"
"""Name of the figures of an adapted network that is told the terrain."""
FINEST, COARSEST = 10.0, 60.0
"""Range of the ground sample distance of these scenes, in metres."""

SEEN = 12
"""Batches over which the mean and spread of features are taken before training."""
HELD = 4
"""One of so many real scenes with clouds is not trained on but calibrated on."""

_CLOUD = np.uint8((1 << THICK_CLOUD) | (1 << THIN_CLOUD))

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptOptions:
    """How a model is adapted."""

    steps: int = 1500
    """Steps of training; 0: only the bands are matched."""
    frozen_steps: int = 300
    """First steps in which the encoder is left as it is."""
    simulated: int = 800
    """Simulated chips, most of them of the sensor."""
    on_real: int = 400
    """Chips with simulated clouds on the real images of the data."""
    scenes: int = 60
    """Simulated scenes that judge: half for the thresholds, half for the figures."""
    seed: int = 0
    """Seed."""
    batch: int = 8
    """Chips in a batch."""
    workers: int = 2
    """Processes that simulate."""
    size: int = 256
    """Side of the chips that are made, in pixels."""
    learning_rate: float = 3e-4
    """Highest learning rate; a tenth of it for the encoder."""
    terrain: bool = False
    """Whether a model that takes no terrain is taught to; one that does goes on to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptation:
    """An adapted model, and what is known of it."""

    package: Path
    """Folder of the new package."""
    plan: AdaptationPlan
    """How the bands are matched."""
    figures: Mapping[str, Any]
    """Cloud F2 with intervals on the judging scenes: ``original``, ``matched``, ``adapted``, with terrain also
    ``adapted_with_dem``, and their differences."""


def adapt(
    model: str | Path,
    to: str,
    out: Path,
    *,
    data: Path | None = None,
    options: AdaptOptions | None = None,
    progress: Progress | None = None,
) -> Adaptation:
    """Adapt a model to a sensor and write it as a package of its own.

    The bands are matched by wavelength. Then the network learns from simulated chips, most of them of the sensor, and
    from those real chips of the data that have its bands: first with its encoder frozen, then with a tenth of the
    learning rate for it. Probabilities and operating points are calibrated on simulated scenes and on some of the real
    ones with clouds, which it does not learn from.

    Args:
        model: Name or path of a package.
        to: Sensor that it is adapted to: id, alias, platform or the path of a table.
        out: Package to write; it must not exist.
        data: Folder of chips with ``manifest.json``; None: simulated chips alone.
        options: How.
        progress: Called now and then.

    Raises:
        SensorError: If the sensor is not known.
        OutputExistsError: If the package exists.
        BandError: If the sensor lacks a band that the model needs.
        TrainingError: If the model cannot be trained further, or the data are wrong.
    """
    check_new_package(out)
    how, tell = options or AdaptOptions(), progress or (lambda _what, _done, _total: None)
    if how.terrain and not how.steps:
        msg = "a model learns what terrain means only in training: expected 1 step or more with terrain, got 0."
        raise UsageError(msg)
    package = read_package(find_package(model))
    if (before := evaluation_record(package).get("adapted_from")) is not None:
        first = before.get("id") if isinstance(before, Mapping) else before
        msg = f"model {package.spec.id!r} was adapted from {first} already. Adapt {first} to {to} instead."
        raise TrainingError(msg)
    sensor = load_sensor(to)
    plan = plan_adaptation(package.spec, sensor)
    tuning, judging = _views(package.spec, plan, how)
    original = restore(package, terrain=how.terrain)
    matched = Adapted(original, plan).eval()
    recipe = recipe_of(package, plan, how, to)
    pools = _pools(recipe, data, plan, how, tell)
    pools, held = _hold_out(pools)
    work = out.with_name(f"{out.name}.work")
    network: nn.Module = matched
    if how.steps:
        normalised(matched, _drawn(recipe, [*pools.real, *pools.on_real, *pools.simulated]))
        network = train(
            recipe, pools, work, progress=lambda done, total: tell("training", done, total), initial=matched
        ).network
    tell("judging", 0, 1)
    networks = {"original": original, "matched": matched, "adapted": network}
    if recipe.model.terrain:
        networks[WITH_DEM] = network
    figures = _figures(networks, tuning, judging)
    channels = len(plan.used) + len(recipe.model.terrain)
    judges: list[Judge] = [(network, [*(view.target for view in tuning), *held])]
    everything = (frozenset(recipe.model.bands),)
    found = calibration.fit(judges, recipe.model.bands, everything)
    calibrated = Calibrated(network, found).eval()
    presets = choose_presets([(calibrated, judges[0][1])], recipe.model.bands, everything)
    record = {
        "adapted_from": {"id": package.spec.id, "version": package.spec.version},
        "sensor": sensor.id,
        "bands": [described(row) for row in plan.bands],
        "options": asdict(how),
        # What the weights have met before, they have still met.
        TRAINING_KEY: _both(evaluation_record(package).get(TRAINING_KEY, {}), pools.hashes),
        "calibration": asdict(found),
        "presets": presets,
        "calibrated_on": {"simulated": len(tuning), "real": sorted(chip.name for chip in held)},
        "held_out_simulated": figures,
    }
    weights = to_onnx(calibrated, channels)
    details = PackageDetails(
        architecture=recipe.model.architecture,
        created=datetime.now(tz=UTC),
        description=f"{package.spec.title or package.spec.id}, adapted to {sensor.title}.",
        card=card_of(recipe, plan, record),
        evaluation=record,
        total_parameters=sum(value.numel() for value in network.parameters()),
        extra={"sensor": sensor.id},
    )
    return Adaptation(
        package=write_package(out, _spec(package.spec, plan, recipe, presets), {recipe.model.id: weights}, details),
        plan=plan,
        figures=figures,
    )


def recipe_of(package: ModelPackage, plan: AdaptationPlan, how: AdaptOptions, to: str) -> Recipe:
    """Give the recipe of an adaptation."""
    names = tuple(band.common_name for band in plan.used)
    return Recipe(
        model=ModelPlan(
            id=f"{package.spec.id}-{plan.sensor.id}",
            version=package.spec.version,
            title=f"{package.spec.title or package.spec.id} for {plan.sensor.title}",
            architecture=str(package.properties["mlm:architecture"]),
            bands=names,
            required=names,
            terrain=TERRAIN_LAYERS if how.terrain or package.spec.terrain else (),
        ),
        optimise=OptimisePlan(
            steps=max(how.steps, 1),
            seed=how.seed,
            batch=how.batch,
            learning_rate=how.learning_rate,
            encoder_rate=0.1,
            frozen_steps=how.frozen_steps,
            warmup=min(100, how.steps // 10),
            ema=0.99,
            class_weights=(1.0, 1.0, 1.2, 2.0),
        ),
        bank=BankPlan(
            simulated=how.simulated,
            on_real=how.on_real,
            size=how.size,
            seed=how.seed,
            workers=how.workers,
            sensor=to,
        ),
        data=DataPlan(real=0.3, on_real=0.3, paste=0.4),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _View:
    """One simulated scene, as the model knows it and as the sensor sees it."""

    source: Chip
    target: Chip
    terrain: NDArray[np.float16]


def _pools(recipe: Recipe, data: Path | None, plan: AdaptationPlan, how: AdaptOptions, tell: Progress) -> Pools:
    def simulating(done: int, total: int) -> None:
        tell("simulating", done, total)

    if data is None:
        alone = replace(recipe.bank, on_real=0)
        terrain = bool(recipe.model.terrain)
        bank = make_bank(alone, plan.used, (), simulating, terrain=terrain) if how.steps else []
        return Pools(real=[], on_real=[], simulated=bank, validation=bank[:8], hashes={})
    pools = make_pools(recipe, data, simulating)
    real = [chip for chip in pools.real if _has_all(chip)]
    if not real:
        msg = f"{data}: expected a labelled chip with {', '.join(recipe.model.bands)}, got none. Leave out --data."
        raise TrainingError(msg)
    on_real = [chip for chip in pools.on_real if _has_all(chip)]
    named = {chip.name for chip in real} | {ground_of(chip) for chip in on_real}
    met = {name: value for name, value in pools.hashes.items() if name.removesuffix(MADE_FROM) in named}
    return replace(pools, real=real, on_real=on_real, hashes=met)


def _drawn(recipe: Recipe, chips: Sequence[Chip]) -> list[Tensor]:
    """Draw batches of what the network sees in training."""
    rng = np.random.default_rng(recipe.optimise.seed)
    names, terrain = recipe.model.bands, recipe.model.terrain

    def image() -> Tensor:
        chip = chips[int(rng.integers(len(chips)))]
        return torch.from_numpy(augment(chip, names, recipe.augment, rng, all_bands=True, terrain=terrain)[0])

    return [torch.stack([image() for _ in range(recipe.optimise.batch)]) for _ in range(SEEN)]


def _hold_out(pools: Pools) -> tuple[Pools, list[Chip]]:
    """Leave every ``HELD``-th real scene with trusted clouds out of training, for calibration and operating points.

    Returns:
        The rest, and what was left out; nothing where there are fewer scenes.
    """
    cloudy = [chip for chip in pools.real if chip.weight >= TRUSTED and (chip.possible & _CLOUD).any()]
    if len(cloudy) < HELD:
        return pools, []
    names = split(cloudy, HELD)[0]
    return without(pools, names), only(pools, names)


def _both(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Join names and hashes of files; two files of one name stay two."""
    both = dict(before)
    for name, value in now.items():
        both[name if both.get(name, value) == value else f"{name}#{value[:8]}"] = value
    return both


def _has_all(chip: Chip) -> bool:
    return bool((chip.stored != STORED_NODATA).any(axis=(1, 2)).all())


def _views(spec: ModelSpec, plan: AdaptationPlan, how: AdaptOptions) -> tuple[list[_View], list[_View]]:
    """Simulate scenes that both the first sensor and the other one see; half to tune on, half to judge by."""
    first = load_sensor(SEEN_FIRST)
    # What it does not use of the sensor need not be seen.
    places = [plan.sensor.bands.index(band) for band in plan.used]
    blurs = plan.sensor.optics.psf_scale
    optics = replace(plan.sensor.optics, psf_scale=tuple(blurs[place] for place in places) if blurs else ())
    seen_as = replace(plan.sensor, bands=plan.used, optics=optics)
    gsd = float(np.clip(plan.sensor.gsd, FINEST, COARSEST))
    side = min(JUDGED_PX, how.size)
    views = []
    for number in range(how.scenes):
        rng = np.random.default_rng((JUDGES_SEED, number))
        scene = simulate(replace(first, optics=SHARP), size=side, seed=rng, gsd=gsd)
        views.append(
            _View(
                source=_chip(scene, first, [row.band for row in spec.bands], number, rng),
                target=_chip(scene, seen_as, plan.used, number, rng),
                terrain=terrain_of(scene, rng),
            )
        )
    return views[::2], views[1::2]


def _chip(scene: Simulated, sensor: Sensor, want: Sequence[Any], number: int, rng: np.random.Generator) -> Chip:
    """Show a sharp scene as a sensor sees it, in the bands that are wanted."""
    try:
        seen = seen_by(sensor, scene.reflectance, scene.sensor.bands, 1)
    except BandError as error:
        msg = f"{sensor.id} cannot be judged on scenes of {scene.sensor.id}: {error}"
        raise BandError(msg) from error
    missing = np.isnan(seen)
    noisy = observe(np.nan_to_num(seen, nan=0.0), sensor.optics, rng, wavelengths=wavelengths(sensor))
    noisy[missing] = np.nan
    return Chip(
        name=f"judge:{number}",
        source="simulated",
        stored=arrange(to_stored(noisy), sensor.bands, want),
        possible=np.where(missing.any(axis=0), np.uint8(0), scene.possible),
    )


def _figures(networks: Mapping[str, nn.Module], tuning: Sequence[_View], judging: Sequence[_View]) -> dict[str, Any]:
    """Give each network's cloud F2, at its own best threshold on the scenes to tune on, and the differences."""
    counts: dict[str, Any] = {}
    for name, network in networks.items():
        tuned, judged = ([_seen(name, view) for view in views] for views in (tuning, judging))
        layers = [str(place) for place in range(len(tuned[0].stored))]
        threshold = choose_presets([(network, tuned)], layers, (frozenset(layers),))["f2"]["cloud"]
        counts[name] = np.stack([_counts(network, chip, threshold) for chip in judged])
    options = IntervalOptions()
    times = resamples(len(judging), options)

    def with_interval(values: Any, replicates: Any) -> dict[str, Any]:
        ends = interval(replicates, len(judging), options)
        return {"value": float(values), "interval": None if ends is None else list(ends)}

    once = {name: f_beta(found.sum(axis=0), 2.0) for name, found in counts.items()}
    drawn = {name: f_beta((times @ found).T, 2.0) for name, found in counts.items()}
    return {
        "scenes": len(judging),
        "cloud_f2": {name: with_interval(once[name], drawn[name]) for name in networks},
        "loss": with_interval(once["original"] - once["matched"], drawn["original"] - drawn["matched"]),
        "gain": with_interval(once["adapted"] - once["matched"], drawn["adapted"] - drawn["matched"]),
    }


def _seen(name: str, view: _View) -> Chip:
    """Give a scene as one of the networks is judged by it."""
    if name == "original":
        return view.source
    return replace(view.target, terrain=view.terrain) if name == WITH_DEM else view.target


def _counts(network: nn.Module, chip: Chip, threshold: float) -> Any:
    probability = chip_probabilities(network, chip, [True] * len(chip.stored))[[THICK_CLOUD, THIN_CLOUD]].sum(axis=0)
    cloud = (chip.possible & _CLOUD > 0) & (chip.possible & ~_CLOUD == 0)
    other = (chip.possible > 0) & (chip.possible & _CLOUD == 0)
    found = probability >= threshold
    return np.array([(found & cloud).sum(), (found & other).sum(), (~found & cloud).sum()], np.int64)


def _spec(
    spec: ModelSpec, plan: AdaptationPlan, recipe: Recipe, presets: Mapping[str, Mapping[str, float]]
) -> ModelSpec:
    return replace(
        spec,
        id=recipe.model.id,
        version=recipe.model.version,
        title=recipe.model.title,
        bands=tuple(ModelBand(band=band) for band in plan.used),
        terrain=tuple(layer for layer in TERRAIN_LAYERS if layer in recipe.model.terrain),
        temperature=1.0,
        presets=presets,
        preset="f2",
    )
