"""Accuracy of further views (test-time augmentation) and of ensembling, on simulated scenes that no model has seen.

    python benchmarks/views.py                             the embedded model, without and with further views
    python benchmarks/views.py --model embedded-ensemble   an ensemble, beside each of its members

Further views are held against one view, an ensemble against the mean F1 of its members, on the same scenes: the
difference of F1 and its 95 % interval over scenes. The table is Markdown; its title says model, scenes and seed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from undercast.evaluation.intervals import IntervalOptions, interval, resamples
from undercast.evaluation.metrics import confusion, f_beta, task_tally
from undercast.inference.augmentation import Augmentation
from undercast.loading import Model, load_model
from undercast.masking import MaskOptions, predict
from undercast.sensors import load_sensor
from undercast.simulation.scenes import Simulated, simulate
from undercast.types import Float32

SENSORS = (
    "sentinel-2a-msi",
    "landsat-8-oli",
    "landsat-5-tm",
    "proba-v",
    "planetscope-superdove",
    "spot-5-hrg",
    "pleiades-hiri",
    "spot-vgt-2",
)
"""Sensors of the scenes, in turn."""
SEED = 20_261_121
"""Seed of the first scene; training draws from small seeds."""
TTA = (
    Augmentation(depth=1),
    Augmentation(depth=2),
    Augmentation(depth=1, budget=1.0),
    Augmentation(depth=2, budget=2.0),
)
"""Ways to look again; with a budget of all the depth, every window gets all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one way of masking reached."""

    name: str
    """Which way."""
    counts: NDArray[np.int64]
    """Confusion of each scene."""
    views: float
    """Views per window and member."""


def scenes(count: int, size: int, seed: int = SEED) -> Iterator[Simulated]:
    """Simulate scenes of the sensors in turn."""
    for number in range(count):
        yield simulate(load_sensor(SENSORS[number % len(SENSORS)]), size=size, seed=seed + number)


def measured(name: str, model: Model, options: MaskOptions, simulated: list[Simulated]) -> Row:
    """Mask every scene in one way."""
    seen = 0

    def counted(network: Callable[[Float32], Float32]) -> Callable[[Float32], Float32]:
        def run(batch: Float32) -> Float32:
            nonlocal seen
            seen += len(batch)
            return network(batch)

        return run

    watched = replace(model, networks=tuple(counted(network) for network in model.networks))
    windows: list[int] = []
    counts = []
    for number, one in enumerate(simulated):
        told: list[int] = []
        prediction = predict(
            one.scene(f"{name} {number}"), watched, options, progress=lambda _, total, told=told: told.append(total)
        )
        windows.append(told[-1])
        counts.append(confusion(one.possible, prediction.class_map))
    return Row(name=name, counts=np.stack(counts), views=seen / (sum(windows) * len(model.networks)))


def rows_of(model: Model, options: MaskOptions, simulated: list[Simulated]) -> Iterator[Row]:
    """Measure the ways of masking: first those that the others are held against."""
    members = model.package.members
    if len(members) == 1:
        yield measured("one view", model, options, simulated)
        for tta in TTA:
            yield measured(f"further views: {tta}", model, replace(options, tta=tta), simulated)
        return
    for member, network in zip(members, model.networks, strict=True):
        package = replace(model.package, members=(member,))
        yield measured(
            f"member {member.name} alone", replace(model, package=package, networks=(network,)), options, simulated
        )
    yield measured("ensemble", model, options, simulated)


def difference(row: Row, base: list[Row], task: str, beta: float) -> tuple[float, float, float]:
    """Give the difference of F to the mean of the base's, and its interval over scenes."""
    options = IntervalOptions()
    weights = resamples(len(row.counts), options)
    tally, others = task_tally(row.counts, task), [task_tally(one.counts, task) for one in base]
    whole = float(f_beta(tally.sum(axis=0), beta) - np.mean([f_beta(other.sum(axis=0), beta) for other in others]))
    drawn = f_beta(weights @ tally, beta) - np.mean([f_beta(weights @ other, beta) for other in others], axis=0)
    low, high = interval(drawn, len(row.counts), options) or (np.nan, np.nan)
    return whole, low, high


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--scenes", type=int, default=128)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seed", type=int, default=SEED, help="of the first scene")
    parser.add_argument("--preset", default="balanced", help="operating point; that of the highest F1 unless given")
    parser.add_argument("--beta", type=float, default=1.0, help="of F; 2 weighs recall more, as the preset f2 does")
    given = parser.parse_args()
    simulated = list(scenes(given.scenes, given.size, given.seed))
    model = load_model(given.model, device="cpu", precision="f32")
    identity = model.identity
    about = f"{given.scenes} simulated scenes of {given.size} px, seed {given.seed}, preset {given.preset}"
    print(f"{identity.id} {identity.version}; {about}\n")
    f = f"F{given.beta:g}"
    print(f"| | views per window | cloud {f} | difference | shadow {f} | difference |")
    print("|---|---:|---:|---:|---:|---:|")
    members = len(model.networks)
    base: list[Row] = []
    for row in rows_of(model, MaskOptions(preset=given.preset, radiometry="warn", uncertainty="entropy"), simulated):
        cells = []
        for task in ("cloud", "shadow"):
            cells.append(f"{float(f_beta(task_tally(row.counts.sum(axis=0), task), given.beta)):.4f}")
            if len(base) < members:
                cells.append("")
            else:
                change, low, high = difference(row, base, task, given.beta)
                cells.append(f"{change:+.4f} [{low:+.4f}, {high:+.4f}]")
        base += [row] if len(base) < members else []
        print(f"| {row.name} | {row.views:.2f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
