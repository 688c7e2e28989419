"""A bank of simulated chips, made once per training by several processes and kept in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from undercast.bands import Band
from undercast.sensors import Sensor, load_sensor
from undercast.simulation.scenes import Simulated, simulate
from undercast.terrain import north_up, terrain_layers
from undercast.training.chips import Chip, ClearImage, arrange, to_stored

SENSOR_CHANCES: dict[str, float] = {
    "sentinel-2a-msi": 0.28,
    "landsat-8-oli": 0.28,
    "landsat-7-etm": 0.14,
    "landsat-5-tm": 0.04,
    "spot-5-hrg": 0.05,
    "proba-v": 0.08,
    "spot-vgt-2": 0.05,
    "pleiades-hiri": 0.04,
    "planetscope-superdove": 0.04,
}
"""Sensor -> share of the simulated chips."""


SHARE_OF_ONE = 0.7
"""Share of the simulated chips that are of the one sensor that a plan names; the others keep what holds for all sensors
from being forgotten."""


LOWEST_GROUND_M = (0.0, 1500.0)
"""Range of the height of a simulated ground's lowest place, in metres (assumption)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BankPlan:
    """How many chips are simulated, and how."""

    simulated: int
    """Chips simulated from the ground up."""
    on_real: int
    """Chips with simulated clouds on real backgrounds."""
    size: int = 256
    """Side, in pixels."""
    seed: int = 0
    """Seed; chip ``i`` depends on the seed and ``i`` alone."""
    workers: int = 2
    """Processes."""
    sensor: str = ""
    """Sensor of most of the simulated chips, as an id or the path of a table; empty: those of ``SENSOR_CHANCES``."""


def make_bank(
    plan: BankPlan,
    want: Sequence[Band],
    images: Sequence[ClearImage],
    progress: Callable[[int, int], None] | None = None,
    *,
    terrain: bool = False,
) -> list[Chip]:
    """Make the bank; the outcome does not depend on the number of workers.

    Args:
        plan: How many, and how.
        want: Bands of the model.
        images: Real backgrounds.
        progress: Is told how many chips are done, and how many there are.
        terrain: Whether the shape of the ground is wanted; chips on real backgrounds have none.
    """
    total = plan.simulated + plan.on_real
    make = partial(_make, plan=plan, want=tuple(want), images=tuple(images) if images else (), terrain=terrain)
    chips: list[Chip] = []
    if plan.workers <= 1:
        results = map(make, range(total))
        for chip in results:
            chips.append(chip)
            _tell(progress, len(chips), total)
        return chips
    with ProcessPoolExecutor(plan.workers, initializer=_keep, initargs=(make,)) as pool:
        for chip in pool.map(_call, range(total), chunksize=16):
            chips.append(chip)
            _tell(progress, len(chips), total)
    return chips


_KEPT: dict[str, Callable[[int], Chip]] = {}


def _keep(make: Callable[[int], Chip]) -> None:
    """Hold the maker in a worker, so that the backgrounds travel once."""
    _KEPT["make"] = make


def _call(index: int) -> Chip:
    return _KEPT["make"](index)


def _tell(progress: Callable[[int, int], None] | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)


def _make(index: int, *, plan: BankPlan, want: tuple[Band, ...], images: tuple[ClearImage, ...], terrain: bool) -> Chip:
    rng = np.random.default_rng((plan.seed, index))
    if index >= plan.simulated and images:
        image = _draw_image(images, rng)
        background = image.background
        made = simulate(image.sensor, seed=rng, background=background, gsd=image.gsd)
        source, ground = "simulated on real", image.name
    else:
        sensor = _draw_sensor(plan, rng)
        gsd = float(np.exp(rng.uniform(np.log(10.0), np.log(60.0)))) if sensor.gsd < 100 else None
        gsd = float(rng.choice([333.0, 1000.0])) if gsd is None else gsd
        made = simulate(sensor, seed=rng, size=plan.size, gsd=gsd)
        source, ground = "simulated", ""
    chip = _chip(made, want, name=f"{plan.seed}:{index}:{ground}", source=source)
    return replace(chip, terrain=terrain_of(made, rng)) if terrain and not ground else chip


def terrain_of(made: Simulated, rng: np.random.Generator) -> NDArray[np.float16]:
    """Give the shape of a simulated ground, whose lowest place lies at a random height above the sea."""
    raised = made.elevation - made.elevation.min() + np.float32(rng.uniform(*LOWEST_GROUND_M))
    return terrain_layers(np.pad(raised, 1, mode="wrap"), north_up(made.gsd), made.sun).astype(np.float16)


def _draw_sensor(plan: BankPlan, rng: np.random.Generator) -> Sensor:
    if plan.sensor and rng.random() < SHARE_OF_ONE:
        return load_sensor(plan.sensor)
    return load_sensor(str(rng.choice(list(SENSOR_CHANCES), p=list(SENSOR_CHANCES.values()))))


def ground_of(chip: Chip) -> str:
    """Name the real image under a chip's simulated clouds; empty where there is none."""
    return chip.name.split(":", 2)[2] if chip.source == "simulated on real" else ""


def _draw_image(images: Sequence[ClearImage], rng: np.random.Generator) -> ClearImage:
    """Draw a background.

    A source's share grows with the square root of its size, so that none crowds out the rest.
    """
    counts = Counter(image.source for image in images)
    chances = np.array([counts[image.source] ** -0.5 for image in images])
    return images[int(rng.choice(len(images), p=chances / chances.sum()))]


def _chip(made: Simulated, want: Sequence[Band], *, name: str, source: str) -> Chip:
    stored = arrange(to_stored(made.reflectance), made.sensor.bands, want)
    return Chip(name=name, source=source, stored=stored, possible=made.possible)
