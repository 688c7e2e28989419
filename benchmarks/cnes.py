"""The experiment of the CloudDL slides: processors' masks, elevation, and the way from Sentinel-2 to SPOT-4/5.

    python benchmarks/cnes.py --data DATA -o OUT            all of it; DATA holds the real chips in train/ and val/
    python benchmarks/cnes.py -o OUT                        the simulated part alone

Scenes are simulated, with the height of their ground, once for Sentinel-2 and once for SPOT. Networks learn from the
Sentinel-2 ones with masks as MAJA and Fmask would make them, are judged by the exact references, and are then adapted
to SPOT with a few scenes of it. A run that was stopped goes on. What it finds lies in ``OUT``: ``cnes.json``, and the
page ``experiment-cnes.md`` with its plot, as ``cnes_page.py`` writes it.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from cnes_page import write_page
from numpy.typing import NDArray

from undercast.bands import Band
from undercast.classes import CLASS_NAMES, CLEAR, CLOUD_SHADOW, THICK_CLOUD, THIN_CLOUD
from undercast.evaluation.intervals import IntervalOptions, interval, resamples
from undercast.sensors import load_sensor
from undercast.simulation.coarse import SHARP
from undercast.simulation.scenes import Simulated, simulate
from undercast.simulation.sensor import observe, wavelengths
from undercast.training.adaptation import Adapted, plan_adaptation
from undercast.training.bank import terrain_of
from undercast.training.chips import STORED_NODATA, Chip, arrange, read_chips, read_manifest, to_stored
from undercast.training.folds import split
from undercast.training.loop import Pools, train
from undercast.training.networks import build
from undercast.training.operating_point import chip_probabilities, f_beta
from undercast.training.processor_like import fmask_like, is_cloud, maja_like, weak_sets
from undercast.training.recipe import DataPlan, Recipe, fill_plan, read_table, recipe_of
from undercast.training.run import spec_of
from undercast.training.transfer import transfer

if TYPE_CHECKING:
    from torch import nn

log = logging.getLogger("cnes")

SOURCE, TARGETS = "sentinel-2a-msi", ("spot-4-hrvir", "spot-5-hrg")
LANDSAT, LANDSAT_7 = "l8biome_lkpeng", "ukis_csmask"
RELIEF, STEEP = 0.16, 0.3
"""Mean slopes from which a scene counts as relief, and as steep, rise over run: FAO's hilly and steep land."""
TRIED = np.arange(0.01, 0.71, 0.01)
"""Thresholds that are tried: what learnt from processors' masks puts the thinnest clouds low."""
TRIED_SHADOW = np.geomspace(0.0005, 0.5, 60)
"""The same for shadow, which processors miss often."""
FOLDS = 4
"""Parts of the real chips; each is held out once, for the threshold."""
PARTS = 4
"""Parts of the real scene along each side, over which its intervals are drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """How large it is: the table ``[experiment]`` of the recipe."""

    gsd: float
    """Ground sample distance of all scenes, in metres."""
    size: int
    """Their side, in pixels."""
    train: int
    """Sentinel-2 scenes with processors' masks; half of these and of the others are relief."""
    tune: int
    """Scenes that thresholds are chosen on."""
    test: int
    """Scenes that judge."""
    target: int
    """SPOT scenes with references, to adapt with."""
    dem_steps: int
    """Steps that follow those of the recipe, once without DEM and once with it, from the same weights."""
    adapted_steps: int
    """Steps of an adaptation."""
    references: float
    """Share of the adaptation's batches that the SPOT scenes with references make up; the rest is the archive."""
    scratch_steps: int
    """Steps from random weights on the target's scenes alone."""
    landsat_steps: int
    """Steps with Landsat-8 chips, and of a network from random weights on them alone."""
    landsat_adapted_steps: int
    """Steps with these chips as SPOT would see them."""
    landsat: float
    """Share of these chips in a batch; the rest is the archive."""
    workers: int = 2
    """Processes that simulate."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """One scene, seen by both sensors."""

    source: Chip
    """As Sentinel-2 sees it, with its reference."""
    target: Chip
    """As SPOT sees it."""
    weak: NDArray[np.uint8]
    """Possible sets of the processors."""
    processors: Mapping[str, NDArray[np.int64]]
    """Processor -> hits, false and missed cloud pixels of its mask."""
    slope: float
    """Mean slope of its ground, rise over run."""

    @property
    def relief(self) -> bool:
        """Whether it counts as relief."""
        return self.slope >= RELIEF


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """From which probabilities a pixel is cloud, and shadow where it is no cloud."""

    cloud: float
    """On both kinds of cloud together."""
    shadow: float
    """On shadow."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """What one way of masking reached."""

    name: str
    """Which way."""
    cloud: NDArray[np.int64]
    """Hits, false and missed pixels of each scene, ``(scene, 3)``."""
    thresholds: Thresholds | None = None
    """What it was judged at, where it gives probabilities."""
    shadow: NDArray[np.int64] | None = None
    """The same of shadow."""
    held_out: NDArray[np.int64] | None = None
    """The same of cloud on the chips that the threshold was chosen by."""
    at_best: NDArray[np.int64] | None = None
    """The same of cloud at the threshold that is best for the scenes that judge: how far a threshold could carry."""


def make_view(number: int, *, plan: Experiment, want: tuple[Band, ...], seed: int) -> View:
    """Simulate a scene once and show it to both sensors; SPOT-4 and SPOT-5 in turn."""
    rng = np.random.default_rng((seed, number))
    first, second = load_sensor(SOURCE), load_sensor(TARGETS[number % 2])
    bands = tuple(arranged for arranged in first.bands if arranged.common_name in {band.common_name for band in want})
    both = replace(first, bands=(*bands, *second.bands), optics=SHARP)
    made = simulate(both, size=plan.size, seed=rng, level="toa", gsd=plan.gsd)
    seen = replace(made, reflectance=made.reflectance[: len(bands)], sensor=replace(first, bands=bands))
    terrain = terrain_of(made, rng)
    processors = {
        "Fmask-like mask": fmask_like(seen, np.random.default_rng((seed, number, 1))) == 4,
        "MAJA-like mask": maja_like(seen, np.random.default_rng((seed, number, 2))) & 0b10 > 0,
    }
    chip = partial(Chip, name=f"{seed}:{number}", source="simulated", possible=made.possible, terrain=terrain)
    return View(
        source=chip(stored=arrange(_observed(seen, first.optics, rng), bands, want)),
        target=chip(
            stored=_observed(
                replace(made, reflectance=made.reflectance[len(bands) :], sensor=second), second.optics, rng
            )
        ),
        weak=weak_sets(seen, np.random.default_rng((seed, number, 3))),
        processors={name: confusion(mask, made.possible) for name, mask in processors.items()},
        slope=float(np.nanmean(terrain[1].astype(np.float32))),
    )


def _observed(made: Simulated, optics: Any, rng: np.random.Generator) -> NDArray[np.int16]:
    missing = np.isnan(made.reflectance).any(axis=0)
    noisy = observe(np.nan_to_num(made.reflectance), optics, rng, wavelengths=wavelengths(made.sensor))
    noisy[:, missing] = np.nan
    return to_stored(noisy)


def views(plan: Experiment, want: tuple[Band, ...], count: int, seed: int) -> list[View]:
    """Draw scenes until half of them are relief and the others are not."""
    make = partial(make_view, plan=plan, want=want, seed=seed)
    kept: dict[bool, list[View]] = {True: [], False: []}
    wanted = {True: count // 2, False: count - count // 2}
    with ProcessPoolExecutor(plan.workers) as pool:
        first = 0
        while any(len(kept[relief]) < wanted[relief] for relief in kept):
            for view in pool.map(make, range(first, first + 64), chunksize=8):
                if len(kept[view.relief]) < wanted[view.relief]:
                    kept[view.relief].append(view)
            first += 64
            log.info("seed %d: %d drawn, %d relief, %d others", seed, first, len(kept[True]), len(kept[False]))
    return [*kept[True], *kept[False]]


def confusion(found: NDArray[np.bool_], possible: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count hits, false and missed cloud pixels where the reference is certain."""
    cloud = is_cloud(possible)
    other = (possible > 0) & (possible & (1 << THICK_CLOUD | 1 << THIN_CLOUD) == 0)
    return np.array([(found & cloud).sum(), (found & other).sum(), (~found & cloud).sum()], np.int64)


def bare(chips: Sequence[Chip]) -> list[Chip]:
    """Leave the terrain out."""
    return [replace(chip, terrain=None) for chip in chips]


def weak_chips(seen: Sequence[View], *, target: bool = False) -> list[Chip]:
    """Give scenes with the processors' labels."""
    return [replace(view.target if target else view.source, possible=view.weak) for view in seen]


def taught_chips(
    network: nn.Module, threshold: float, seen: Sequence[View], shape: Callable[[Sequence[Chip]], list[Chip]]
) -> list[Chip]:
    """Give scenes as SPOT sees them with the labels that a network gives to what Sentinel-2 sees.

    Cloud is what is surely above the threshold; what is near it stays open.
    """
    made = []
    for view, source, target in zip(
        seen, shape([view.source for view in seen]), shape([view.target for view in seen]), strict=True
    ):
        probabilities = chip_probabilities(network, source, [True] * len(source.stored))
        cloud = probabilities[[THICK_CLOUD, THIN_CLOUD]].sum(axis=0)
        shadow = probabilities[CLOUD_SHADOW] > probabilities[CLEAR]
        found = np.where(shadow, 1 << CLOUD_SHADOW, 1 << CLEAR)
        found[cloud >= threshold / 2] = 0
        found[cloud >= threshold * 1.5] = 1 << THICK_CLOUD | 1 << THIN_CLOUD
        found[(view.target.stored == STORED_NODATA).all(axis=0)] = 0
        made.append(replace(target, possible=found.astype(np.uint8)))
    return made


def judged(name: str, network: nn.Module, tune: Sequence[Chip], test: Sequence[Chip]) -> Row:
    """Score a network at the thresholds that are best for F2 on other scenes."""
    thresholds, _ = best_thresholds((network, chip) for chip in tune)
    return scored(name, network, thresholds, test)


def scored(name: str, network: nn.Module, thresholds: Thresholds, test: Sequence[Chip]) -> Row:
    """Score a network at its thresholds."""
    counts = np.array([list(_counts(network, chip, thresholds)) for chip in test])
    row = Row(name=name, cloud=counts[:, 0], shadow=counts[:, 1], thresholds=thresholds)
    log.info(
        "%s: %s, F2 %s", name, thresholds, [round(float(f_beta(counts[:, k].sum(axis=0), 2.0)), 4) for k in (0, 1)]
    )
    return row


def best_thresholds(judges: Iterable[tuple[nn.Module, Chip]]) -> tuple[Thresholds, NDArray[np.int64]]:
    """Give the thresholds with the best F2 over chips, each judged by its network: on cloud, then on shadow beside it.

    Returns:
        The thresholds, and hits, false and missed pixels of cloud of each chip at them, ``(chip, 3)``.
    """
    seen = [(*cloud_and_shadow(network, chip), chip.possible) for network, chip in judges]
    best, held_out = _best([[confusion(found >= at, sets) for at in TRIED] for found, _, sets in seen])
    cloud = float(TRIED[best])
    best, _ = _best(
        [
            [shadow_confusion((shade >= at) & (found < cloud), sets) for at in TRIED_SHADOW]
            for found, shade, sets in seen
        ]
    )
    return Thresholds(cloud=cloud, shadow=float(TRIED_SHADOW[best])), held_out


def _best(found: list[list[NDArray[np.int64]]]) -> tuple[int, NDArray[np.int64]]:
    best = int(np.argmax(f_beta(np.sum(found, axis=0).T, 2.0)))
    return best, np.array(found)[:, best]


def cloud_and_shadow(network: nn.Module, chip: Chip) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give the probabilities of cloud of either kind and of shadow, ``(y, x)`` each."""
    probabilities = chip_probabilities(network, chip, [True] * len(chip.stored))
    return probabilities[[THICK_CLOUD, THIN_CLOUD]].sum(axis=0), probabilities[CLOUD_SHADOW]


def _counts(network: nn.Module, chip: Chip, thresholds: Thresholds) -> Iterator[NDArray[np.int64]]:
    found, shade = cloud_and_shadow(network, chip)
    cloud = found >= thresholds.cloud
    yield confusion(cloud, chip.possible)
    yield shadow_confusion((shade >= thresholds.shadow) & ~cloud, chip.possible)


def shadow_confusion(found: NDArray[np.bool_], possible: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count hits, false and missed shadow pixels where the reference is certain."""
    wanted = possible == 1 << CLOUD_SHADOW
    other = (possible > 0) & (possible & (1 << CLOUD_SHADOW) == 0)
    return np.array([(found & wanted).sum(), (found & other).sum(), (~found & wanted).sum()], np.int64)


def learnt(recipe: Recipe, work: Path, real: Sequence[Chip], archive: Sequence[Chip], **given: Any) -> nn.Module:
    """Train a network, or go on with it."""
    pools = Pools(real=list(real), on_real=[], simulated=list(archive), validation=list(archive or real)[:4], hashes={})

    def tell(done: int, total: int) -> None:
        if done % 100 == 0:
            log.info("%s: step %d of %d", work.name, done, total)

    return train(recipe, pools, work, progress=tell, **given).network


def with_branch(network: nn.Module, recipe: Recipe) -> nn.Module:
    """Give a network a terrain branch, where the recipe has one, that says nothing until it is trained."""
    torch.manual_seed(recipe.optimise.seed)
    made = build(
        recipe.model.architecture,
        bands=len(recipe.bands),
        classes=len(CLASS_NAMES),
        terrain=len(recipe.model.terrain),
    )
    made.load_state_dict(network.state_dict(), strict=False)
    return made


def for_sensor(recipe: Recipe, names: tuple[str, ...], *, steps: int, real: float) -> Recipe:
    """Give the recipe of a sensor that has all these bands and no others."""
    return replace(
        recipe,
        model=replace(recipe.model, bands=names, required=names),
        optimise=replace(recipe.optimise, steps=steps),
        data=DataPlan(real=real, on_real=0.0),
    )


def gently(recipe: Recipe) -> Recipe:
    """Let the learning rate be low, and lower for the encoder, which is frozen at first."""
    plan = recipe.optimise
    return replace(
        recipe,
        optimise=replace(
            plan, learning_rate=plan.learning_rate / 4, encoder_rate=0.1, frozen_steps=plan.steps // 5, warmup=20
        ),
    )


def halfway(before: nn.Module, after: nn.Module) -> nn.Module:
    """Average the weights of a network before and after its adaptation (Wortsman et al. 2022)."""
    made = deepcopy(after)
    first, second = before.state_dict(), after.state_dict()
    averaged = {
        name: torch.lerp(first[name].to(of), of, 0.5) if of.is_floating_point() else of for name, of in second.items()
    }
    made.load_state_dict(averaged)
    return made.eval()


def scenes_of(recipe: Recipe, plan: Experiment) -> dict[str, list[View]]:
    """Simulate all scenes: those to train, to choose thresholds, to judge and to adapt with."""
    seeds = {"train": 101, "tune": 102, "test": 103, "target": 104}
    return {what: views(plan, recipe.bands, getattr(plan, what), seed) for what, seed in seeds.items()}


def simulated_part(
    recipe: Recipe, plan: Experiment, seen: Mapping[str, Sequence[View]], out: Path
) -> tuple[dict[str, Row], nn.Module]:
    """Train, adapt and judge on simulated scenes.

    Returns:
        The rows, and the network without terrain.
    """
    rows: dict[str, Row] = {}
    for name in seen["test"][0].processors:
        rows[name] = Row(name=name, cloud=np.array([view.processors[name] for view in seen["test"]]))
    start = learnt(without_terrain(recipe), out / "start", [], bare(weak_chips(seen["train"])))
    found, network = branch_of(recipe, plan, seen, out, start, dem=False)
    with_dem, _ = branch_of(recipe, plan, seen, out, start, dem=True)
    return rows | found | with_dem, network


def without_terrain(recipe: Recipe) -> Recipe:
    """Let the model see bands alone."""
    return replace(recipe, model=replace(recipe.model, terrain=()))


def branch_of(
    recipe: Recipe, plan: Experiment, seen: Mapping[str, Sequence[View]], out: Path, start: nn.Module, *, dem: bool
) -> tuple[dict[str, Row], nn.Module]:
    """Go on from one network, with DEM or without, adapt it to SPOT and judge both.

    Returns:
        The rows, and the network for Sentinel-2.
    """
    rows: dict[str, Row] = {}
    which = "with DEM" if dem else "without DEM"
    shape = list if dem else bare
    model = recipe if dem else without_terrain(recipe)
    folder = out / ("dem" if dem else "bands")
    steps = replace(model.optimise, steps=plan.dem_steps, learning_rate=model.optimise.learning_rate / 2)
    archive = shape(weak_chips(seen["train"]))
    further = replace(model, optimise=steps)
    source = learnt(further, folder / "source", [], archive, initial=with_branch(start, model))
    tune, test = ([view.source for view in seen[what]] for what in ("tune", "test"))
    thresholds, _ = best_thresholds((source, chip) for chip in shape(tune))
    rows[f"Sentinel-2, {which}"] = scored(f"Sentinel-2, {which}", source, thresholds, shape(test))
    if dem:
        name = "Sentinel-2, the network with DEM, not given it"
        rows[name] = judged(name, source, bare(tune), bare(test))
    matching = plan_adaptation(spec_of(model), load_sensor(TARGETS[1]))
    names = tuple(band.common_name for band in matching.used)
    matched = Adapted(source, matching).eval()
    few = shape([view.target for view in seen["target"]])
    target = for_sensor(model, names, steps=plan.adapted_steps, real=plan.references)
    archive = taught_chips(source, thresholds.cloud, seen["train"], shape)
    adapted = halfway(matched, learnt(gently(target), folder / "adapted", few, archive, initial=matched))
    alone = for_sensor(model, names, steps=plan.scratch_steps, real=1.0)
    scratch = learnt(alone, folder / "scratch", few, [])
    tune, test = ([view.target for view in seen[what]] for what in ("tune", "test"))
    for how, network in (("unadapted", matched), ("adapted", adapted), ("from scratch", scratch)):
        name = f"SPOT, {how}, {which}"
        rows[name] = judged(name, network, shape(tune), shape(test))
    if dem:
        name = "SPOT, adapted, the network with DEM, not given it"
        rows[name] = judged(name, adapted, bare(tune), bare(test))
    return rows, source


def real_part(
    recipe: Recipe, plan: Experiment, archive: Sequence[View], data: Path, out: Path, start: nn.Module
) -> dict[str, Row]:
    """Go on with Landsat-8 chips beside the archive, with all bands and as SPOT, and judge by the Landsat-7 scene."""
    model = without_terrain(recipe)
    spot = load_sensor(TARGETS[1])
    others = {str(row.get("source")) for row in read_manifest(data / "train")} - {LANDSAT}
    landsat = read_chips(data / "train", model.bands, leave_out=tuple(others))
    (scene,) = (chip for chip in read_chips(data / "val", model.bands) if chip.source == LANDSAT_7)
    matching = plan_adaptation(spec_of(model), spot)
    names = tuple(band.common_name for band in matching.used)
    folder = out / "landsat"
    if not (folder / "as-spot").exists():
        transfer(data / "train", spot, folder / "as-spot")
    as_spot = read_chips(folder / "as-spot", matching.used, leave_out=tuple(others))
    scene_as_spot = replace(scene, stored=arrange(scene.stored, model.bands, matching.used))
    share = DataPlan(real=plan.landsat, on_real=0.0)
    first = replace(model, data=share, optimise=replace(model.optimise, steps=plan.landsat_steps))
    target = for_sensor(model, names, steps=plan.landsat_adapted_steps, real=plan.landsat)
    alone = for_sensor(model, names, steps=plan.landsat_steps, real=1.0)
    old, new = bare(weak_chips(archive)), bare(weak_chips(archive, target=True))
    # From simulated scenes to real ones is further than from one sensor to the next: nothing is spared at first.
    source = crossed(first, folder / "source", landsat, old, start)
    matched = [(Adapted(network, matching).eval(), held) for network, held in source]
    tuned = crossed(gently(target), folder / "adapted", as_spot, new, [network for network, _ in matched])
    adapted = [(halfway(before, after), held) for (before, _), (after, held) in zip(matched, tuned, strict=True)]
    ways = {
        "all five bands": (source, landsat, scene),
        "SPOT's bands, unadapted": (matched, as_spot, scene_as_spot),
        "SPOT's bands, adapted": (adapted, as_spot, scene_as_spot),
        "SPOT's bands, from scratch": (crossed(alone, folder / "scratch", as_spot, []), as_spot, scene_as_spot),
    }
    rows = {}
    for name, (found, chips, judge) in ways.items():
        judges = ((network, chip) for network, held in found for chip in chips if chip.name in held)
        thresholds, held_out = best_thresholds(judges)
        parts = parts_of(judge)
        _, at_best = best_thresholds((found[-1][0], part) for part in parts)
        rows[name] = replace(scored(name, found[-1][0], thresholds, parts), held_out=held_out, at_best=at_best)
    return rows


def crossed(
    recipe: Recipe,
    folder: Path,
    chips: Sequence[Chip],
    archive: Sequence[Chip],
    initial: nn.Module | list[nn.Module] | None = None,
) -> list[tuple[nn.Module, frozenset[str]]]:
    """Train a network for each fold of the chips, which it does not see, and one with all of them.

    Args:
        recipe: How.
        folder: Where its logs and checkpoints go.
        chips: Real chips.
        archive: Simulated ones, which all see.
        initial: First weights, of all or of each.

    Returns:
        Networks and the chips that they have not seen; the last has seen them all.
    """
    held = [*split(chips, FOLDS), frozenset[str]()]
    begun = initial if isinstance(initial, list) else [initial] * len(held)
    return [
        (
            learnt(
                recipe, folder / str(number), [chip for chip in chips if chip.name not in names], archive, initial=first
            ),
            names,
        )
        for number, (names, first) in enumerate(zip(held, begun, strict=True))
    ]


def parts_of(chip: Chip) -> list[Chip]:
    """Cut a scene into equal parts; each sees nothing of the others."""
    height, width = (side // PARTS for side in chip.possible.shape)
    return [
        replace(chip, stored=chip.stored[:, rows, cols], possible=chip.possible[rows, cols])
        for rows in (slice(row * height, (row + 1) * height) for row in range(PARTS))
        for cols in (slice(col * width, (col + 1) * width) for col in range(PARTS))
    ]


def figure(counts: NDArray[np.int64], minus: NDArray[np.int64] | None = None) -> dict[str, Any]:
    """Give F2, or a difference of two on the same scenes, with its interval over scenes."""
    options = IntervalOptions()
    times = resamples(len(counts), options)
    value, drawn = f_beta(counts.sum(axis=0), 2.0), f_beta((times @ counts).T, 2.0)
    if minus is not None:
        value, drawn = value - f_beta(minus.sum(axis=0), 2.0), drawn - f_beta((times @ minus).T, 2.0)
    ends = interval(drawn, len(counts), options)
    return {"value": float(value), "interval": None if ends is None else list(ends)}


def differences() -> dict[str, tuple[str, str]]:
    """Name the differences that the experiment asks for, as minuend and subtrahend."""
    return {
        "DEM, Sentinel-2": ("Sentinel-2, with DEM", "Sentinel-2, without DEM"),
        "DEM, Sentinel-2, same network": ("Sentinel-2, with DEM", "Sentinel-2, the network with DEM, not given it"),
        "DEM, SPOT adapted": ("SPOT, adapted, with DEM", "SPOT, adapted, without DEM"),
        "DEM, SPOT adapted, same network": (
            "SPOT, adapted, with DEM",
            "SPOT, adapted, the network with DEM, not given it",
        ),
        **{
            f"{what}, {told}": (f"{first}, {told}", f"{second}, {told}")
            for told in ("without DEM", "with DEM")
            for what, first, second in (
                ("SPOT adapted - Sentinel-2", "SPOT, adapted", "Sentinel-2"),
                ("adapted - unadapted", "SPOT, adapted", "SPOT, unadapted"),
                ("adapted - from scratch", "SPOT, adapted", "SPOT, from scratch"),
            )
        },
    }


def figures_of(rows: Mapping[str, Row], slope: NDArray[np.float64]) -> dict[str, Any]:
    """Give all figures of the simulated part, by the mean slope of the scenes."""
    strata = {"all": slope >= 0, "relief": slope >= RELIEF, "steep": slope >= STEEP, "flat": slope < RELIEF}
    return {
        "scenes": {name: int(inside.sum()) for name, inside in strata.items()},
        "cloud_f2": {
            name: {stratum: figure(row.cloud[inside]) for stratum, inside in strata.items()}
            for name, row in rows.items()
        },
        "shadow_f2": {
            name: {stratum: figure(row.shadow[inside]) for stratum, inside in strata.items()}
            for name, row in rows.items()
            if row.shadow is not None
        },
        "cloud_differences": {
            what: {
                stratum: figure(rows[first].cloud[inside], rows[second].cloud[inside])
                for stratum, inside in strata.items()
            }
            for what, (first, second) in differences().items()
        },
        "shadow_differences": {
            what: {
                stratum: figure(rows[first].shadow[inside], rows[second].shadow[inside])  # type: ignore[index]
                for stratum, inside in strata.items()
            }
            for what, (first, second) in differences().items()
        },
    }


def write(figures: Mapping[str, Any], out: Path) -> None:
    """Write the figures and the page that they make."""
    (out / "cnes.json").write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    write_page(figures, out)
    log.info("written: %s", out)


def main() -> None:
    """Run it and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=Path(__file__).parents[1] / "recipes" / "cnes.toml")
    parser.add_argument("--data", type=Path, help="folder of real chips, with train/ and val/")
    parser.add_argument("-o", "--out", type=Path, default=Path("build") / "cnes")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    tables = read_table(given.recipe)
    plan = fill_plan(Experiment, tables.pop("experiment", {}), "experiment")
    recipe = recipe_of(tables)
    given.out.mkdir(parents=True, exist_ok=True)
    seen = scenes_of(recipe, plan)
    rows, network = simulated_part(recipe, plan, seen, given.out)
    slope = np.array([view.slope for view in seen["test"]])
    figures: dict[str, Any] = {"experiment": asdict(plan), "seed": recipe.optimise.seed, **figures_of(rows, slope)}
    write(figures, given.out)
    if given.data is not None:
        real = real_part(recipe, plan, seen["train"], given.data, given.out, network)
        figures["real"] = {
            name: {
                what: figure(counts)
                for what, counts in (
                    ("chips, out of fold", row.held_out),
                    ("cloud F2", row.cloud),
                    ("at its own best threshold", row.at_best),
                    ("shadow F2", row.shadow),
                )
                if counts is not None
            }
            for name, row in real.items()
        }
        write(figures, given.out)


if __name__ == "__main__":
    main()
