"""Coarse chips: training chips of SPOT-VGT and PROBA-V, simulated or of real images degraded to what they see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from undercast.bands import match_bands
from undercast.errors import TrainingError
from undercast.evaluation.coarse import degrade_to
from undercast.evaluation.manifest import RULES, file_hash, kind_of_labels, read_manifest, read_reference
from undercast.evaluation.references import ReferenceScene
from undercast.sensors import Sensor, load_sensor
from undercast.simulation.coarse import seen_by, shares, simulate_coarse
from undercast.simulation.scenes import BIT_THICK, BIT_THIN, Background, simulate
from undercast.training.chips import Chip, ClearImage, read_clear_images, to_stored
from undercast.training.operating_point import TRUSTED

SENSORS: dict[str, tuple[float, ...]] = {
    "proba-v": (333.0, 1000.0),
    "spot-vgt-1": (1000.0,),
    "spot-vgt-2": (1000.0,),
}
"""Sensor -> ground sample distances of its products, in metres."""
FACTORS = (2, 4, 7, 11, 20, 33)
"""Fine pixels along a coarse one that labelled images are degraded by; 11 and 33 of 30 m are 333 m and 1 km."""
GROUND_FACTORS = (1, 2, 3, 5)
"""The same for backgrounds, which have to keep some detail."""
CLOUD_BITS = BIT_THICK | BIT_THIN
"""Possible sets of cloud."""
CLEAR_SHARE = 0.9
"""Share of a coarse pixel that must be known to be clear for simulated clouds to be put on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoarsePlan:
    """How many chips are made, and how."""

    simulated: int
    """Chips simulated from the ground up."""
    on_real: int
    """Chips with simulated clouds on real backgrounds."""
    size: int = 128
    """Side, in pixels."""
    seed: int = 0
    """Seed; chip ``i`` depends on the seed and ``i`` alone."""
    validation: int = 48
    """Chips simulated with another seed, for thresholds."""
    real: float = 0.4
    """Share of each batch that is real, degraded and labelled."""
    ground: float = 0.25
    """Share of each batch with simulated clouds on real backgrounds; the rest is simulated."""
    held_out: int = 5
    """Every so many-th real scene with labelled clouds is not trained on, but kept for thresholds."""
    leave_out: tuple[str, ...] = ()
    """Sources or files that are not used."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoarsePools:
    """Chips to draw batches from, and chips to choose thresholds on."""

    real: list[Chip]
    """Real labelled images, degraded."""
    on_real: list[Chip]
    """Simulated clouds on real backgrounds."""
    simulated: list[Chip]
    """Simulated from the ground up."""
    validation: list[Chip]
    """Simulated ones and real scenes that are in none of the others."""
    hashes: dict[str, str]
    """SHA-256 of each real file used."""


def make_coarse_pools(
    plan: CoarsePlan, folder: Path, progress: Callable[[int, int], None] | None = None
) -> CoarsePools:
    """Degrade the real chips of a folder and simulate the others.

    Raises:
        TrainingError: If the folder has no labelled or no cloud-free image with the sensors' bands.
    """
    tell = progress or (lambda _done, _total: None)
    references = list(_references(folder, plan.leave_out))
    real = [chip for reference in references for chip in degraded(reference, plan.size)]
    grounds = [image for image in read_clear_images(folder, size=256, leave_out=plan.leave_out) if _has_bands(image)]
    if not real or not grounds:
        bands = ", ".join(band.common_name for band in load_sensor("proba-v").bands)
        msg = (
            f"{folder} holds {len(references)} labelled and {len(grounds)} cloud-free images with the bands {bands}:"
            " both are needed. Add some, or leave fewer out."
        )
        raise TrainingError(msg)
    held = _held_out(real, plan.held_out)
    grounds = [image for image in grounds if image.name not in held]
    used = {file_of(chip) for chip in real} | {image.name for image in grounds}
    total = plan.simulated + plan.on_real + plan.validation
    made: list[Chip] = []
    for index in range(total):
        made.append(_make(plan, index, grounds))
        tell(index + 1, total)
    last = plan.simulated + plan.on_real
    return CoarsePools(
        real=[chip for chip in real if file_of(chip) not in held],
        simulated=made[: plan.simulated],
        on_real=made[plan.simulated : last],
        validation=[*made[last:], *(chip for chip in real if file_of(chip) in held)],
        hashes={row["file"]: file_hash(folder / row["file"]) for row in read_manifest(folder) if row["file"] in used},
    )


def degraded(reference: ReferenceScene, size: int) -> Iterator[Chip]:
    """Degrade a labelled scene by each factor; what is smaller than a chip is mirrored until it fills one."""
    sensor = load_sensor("proba-v")
    seen: set[tuple[int, ...]] = set()
    for factor in FACTORS if (reference.gsd or 0.0) < min(SENSORS["proba-v"]) else (1,):
        coarse = degrade_to(reference, sensor, factor * (reference.gsd or 1.0))
        if coarse is None or coarse.possible.shape in seen:
            continue
        seen.add(coarse.possible.shape)
        yield Chip(
            name=f"{reference.name}.npz:{factor}",
            source=reference.source,
            stored=to_stored(_filled(coarse.scene.read(), size)),
            possible=_filled(coarse.possible, size),
            weight=RULES[reference.strata["labels"]].weight,
        )


def file_of(chip: Chip) -> str:
    """Name the real file that a degraded chip comes from."""
    return chip.name.split(":", maxsplit=1)[0]


def _held_out(chips: Sequence[Chip], every: int) -> frozenset[str]:
    """Name every so many-th file whose labelled clouds can be trusted."""
    files = {file_of(chip) for chip in chips if chip.weight >= TRUSTED and (chip.possible & CLOUD_BITS).any()}
    return frozenset(sorted(files)[::every])


def coarse_view(rng: np.random.Generator) -> tuple[Sensor, float]:
    """Draw a sensor and one of its ground sample distances."""
    name = str(rng.choice(list(SENSORS)))
    return load_sensor(name), float(rng.choice(SENSORS[name]))


def _references(folder: Path, leave_out: Sequence[str]) -> Iterator[ReferenceScene]:
    for row in read_manifest(folder):
        kind = kind_of_labels(row)
        if kind is not None and row.get("source") not in leave_out and row["file"] not in leave_out:
            yield read_reference(folder, row)


def _has_bands(image: ClearImage) -> bool:
    matches = match_bands(load_sensor("proba-v").bands, image.sensor.bands)
    return all(match.index is not None for match in matches)


def _make(plan: CoarsePlan, index: int, grounds: Sequence[ClearImage]) -> Chip:
    rng = np.random.default_rng((plan.seed, index))
    sensor, gsd = coarse_view(rng)
    if plan.simulated <= index < plan.simulated + plan.on_real:
        ground = grounds[int(rng.integers(len(grounds)))]
        background = _background(ground, sensor, int(rng.choice(GROUND_FACTORS)), plan.size)
        made, source = simulate(sensor, seed=rng, gsd=gsd, background=background), "simulated on real"
    else:
        made, source = simulate_coarse(sensor, size=plan.size, gsd=gsd, seed=rng), "simulated"
    return Chip(name=f"{plan.seed}:{index}", source=source, stored=to_stored(made.reflectance), possible=made.possible)


def _background(image: ClearImage, sensor: Sensor, factor: int, size: int) -> Background:
    fine = image.background
    seen = seen_by(sensor, fine.reflectance, image.sensor.bands, factor)
    clear = np.ones(fine.reflectance.shape[1:], np.bool_) if fine.clear is None else fine.clear
    return replace(
        fine,
        reflectance=_filled(seen, size),
        clear=_filled(shares(clear, factor) >= CLEAR_SHARE, size),
    )


def _filled(stack: np.ndarray[Any, Any], size: int) -> Any:
    """Cut the middle of the last two axes, or mirror them, to ``size``."""
    for axis in (-2, -1):
        side = stack.shape[axis]
        first = max((side - size) // 2, 0)
        stack = np.take(stack, range(first, min(first + size, side)), axis=axis)
        room = [(0, 0)] * stack.ndim
        room[axis] = (0, max(size - side, 0))
        stack = np.pad(stack, room, mode="symmetric")
    return stack
