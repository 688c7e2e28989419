"""Capacity plan: how long an archive takes, what a million km2 cost, and where more workers bring no more.

    python benchmarks/capacity.py                                    figures of benchmarks/out/cluster.json
    python benchmarks/capacity.py --mpx-per-s 1.9 --price 0.03       your own

What one core does per second is measured (`benchmarks/cluster.py`, its run with one worker). Everything else is an
assumption of the reader, and an option: sizes and numbers of products, bandwidths, prices, how often workers are lost.
The defaults are round numbers to begin with, not facts. A simulation lets workers, which take one scene at a time, wait
for the scheduler, the object store and their own link, and loses them at random; see docs/how-to/scale-out.md.
"""

from __future__ import annotations

import argparse
import heapq
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
HOUR_S = 3600.0
DAY_S = 86_400.0
TILE_KM2 = 109.8**2
"""Ground of a Sentinel-2 product: 10980 pixels of 10 m along a side."""
SCENES_PER_WORKER = 20
"""Scenes that each simulated worker gets on average; its first and last are not what is looked at."""
MOST_SCENES = 200_000
"""Scenes of a simulation at most."""
WORKERS = (1, 10, 100, 300, 1000, 3000, 10_000)
"""Workers that are compared."""
SATURATED = 0.8
"""Share of what a worker does alone below which further workers count as wasted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the simulation takes; only the first is measured here."""

    mpx_per_s: float
    """Million pixels that one core masks per second, reading and writing included. Measured."""
    mpx: float = 120.6
    """Million pixels of a product: a Sentinel-2 tile at 10 m."""
    products: float = 15e6
    """Products of the archive: 20 000 tiles, every 5 days, 10 years."""
    read_gb: float = 0.6
    """Gigabytes that are read of a product."""
    written_gb: float = 0.01
    """Gigabytes that are written."""
    link_gbps: float = 0.5
    """Gigabits per second of one worker's network."""
    store_gbps: float = 400.0
    """Gigabits per second that the object store gives to all workers together."""
    tasks_per_s: float = 200.0
    """Scenes that the scheduler hands out per second."""
    spread: float = 0.3
    """Standard deviation of the logarithm of the time that scenes of one size take."""
    losses_per_day: float = 1.0
    """How often a worker is lost, as on a spot market."""
    restart_s: float = 120.0
    """Seconds until another stands in its place and has loaded the model."""
    price: float = 0.04
    """Price of a core for an hour, in your currency; storage and traffic are not in it."""
    seed: int = 0
    """Seed of what is drawn at random."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What some workers reach."""

    workers: int
    """How many there are."""
    per_s: float
    """Products per second."""
    efficiency: float
    """Share of what as many workers would do that never wait and are never lost."""
    limit: str
    """What they wait for most."""


def alone_s(plan: Plan) -> float:
    """Give the seconds that a worker needs for a product if nobody else is there and nothing is lost."""
    return plan.mpx / plan.mpx_per_s + 8 * (plan.read_gb + plan.written_gb) / plan.link_gbps


def simulate(plan: Plan, workers: int) -> Reached:
    """Let workers take scene after scene and see when each is done."""
    rng = np.random.default_rng(plan.seed)
    count = min(MOST_SCENES, SCENES_PER_WORKER * workers)
    # The mean of the factors is 1.
    factors = rng.lognormal(-(plan.spread**2) / 2, plan.spread, count)
    lives = iter(rng.exponential(DAY_S / max(plan.losses_per_day, 1e-9), 4 * count + 1000 * workers).tolist())
    size, link, store = plan.read_gb + plan.written_gb, plan.link_gbps / 8, plan.store_gbps / 8
    free = [(0.0, next(lives)) for _ in range(workers)]
    heapq.heapify(free)
    waited = {"scheduler": 0.0, "object store": 0.0, "losses": 0.0}
    scheduler = traffic = 0.0
    ends = []
    for factor in factors:
        done = False
        while not done:
            ready, death = heapq.heappop(free)
            begin = scheduler = max(ready, scheduler) + 1 / plan.tasks_per_s
            waited["scheduler"] += begin - ready
            traffic = max(traffic, begin) + size / store
            arrived = max(begin + size / link, traffic)
            waited["object store"] += arrived - begin - size / link
            end = arrived + factor * plan.mpx / plan.mpx_per_s
            done = end <= death
            if not done:
                # Lost on the way: another worker does the scene, and one in its place comes later.
                waited["losses"] += max(death - begin, 0.0) + plan.restart_s
                end = max(death, begin) + plan.restart_s
                death = end + next(lives)
            heapq.heappush(free, (end, death))
        ends.append(end)
    ends.sort()
    first, last = len(ends) // 4, 3 * len(ends) // 4
    per_s = (last - first) / (ends[last] - ends[first])
    efficiency = min(per_s * alone_s(plan) / workers, 1.0)
    limit = max(waited, key=lambda what: waited[what]) if efficiency < SATURATED else "the network (computing)"
    return Reached(workers=workers, per_s=per_s, efficiency=efficiency, limit=limit)


def saturation(plan: Plan) -> tuple[float, str]:
    """Give the number of workers from which on store or scheduler are busy all the time, and which of them."""
    size = 8 * (plan.read_gb + plan.written_gb)
    limits = {"object store": plan.store_gbps / size, "scheduler": plan.tasks_per_s}
    what = min(limits, key=lambda name: limits[name])
    return limits[what] * alone_s(plan), what


def cost(plan: Plan, reached: Reached) -> float:
    """Give the price of masking a million km2 once."""
    return 1e6 / TILE_KM2 * reached.workers / reached.per_s / HOUR_S * plan.price


def table(plan: Plan, rows: Sequence[Reached]) -> str:
    """Lay the plan out as Markdown."""
    lines = [
        "| workers of one core | products per hour | days for the archive | of the ideal | per million km2 | limit |",
        "|---:|---:|---:|---:|---:|---|",
    ]
    lines += [
        f"| {row.workers} | {row.per_s * HOUR_S:.0f} | {plan.products / row.per_s / DAY_S:.1f} |"
        f" {100 * row.efficiency:.0f} % | {cost(plan, row):.2f} | {row.limit} |"
        for row in rows
    ]
    return "\n".join(lines)


def measured(path: Path) -> float:
    """Read what one worker did in a run of the cluster benchmark.

    Raises:
        SystemExit: If there is no such record.
    """
    try:
        runs = json.loads(path.read_text("utf-8"))["runs"]
        return float(next(run["mpx_per_s"] for run in runs if run["workers"] == 1))
    except (OSError, ValueError, KeyError, StopIteration):
        sys.exit(f"{path}: expected the record of benchmarks/cluster.py. Run it, or give --mpx-per-s.")


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description="Plan the masking of an archive.")
    parser.add_argument("--measured", type=Path, default=HERE / "out" / "cluster.json", help="record of cluster.py")
    for one in fields(Plan):
        option = f"--{one.name.replace('_', '-')}"
        parser.add_argument(option, type=int if one.name == "seed" else float, dest=one.name)
    given = {key: value for key, value in vars(parser.parse_args()).items() if value is not None}
    path = given.pop("measured")
    plan = replace(Plan(mpx_per_s=given.pop("mpx_per_s", None) or measured(path)), **given)
    print(f"measured: {plan.mpx_per_s:.2f} Mpx/s per core; assumed: all else ({plan})\n")
    print(table(plan, [simulate(plan, workers) for workers in WORKERS]))
    workers, what = saturation(plan)
    print(f"\nMore than about {workers:.0f} workers wait for the {what}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
