"""Scale-out: many scenes on a Dask cluster of one worker, of two, and of two of which one is killed in the middle.

    python benchmarks/cluster.py                 100 scenes of 2048 x 2048 px, one core per worker
    python benchmarks/cluster.py --scenes 6      few scenes, to see that it works

Every worker is a process on a core of its own and works on one scene at a time. Timed is what lies between the first
scene that is begun and the last that is done; the workers have loaded the model before. Exit status 1: two workers do
less than 1.8 times as much as one, or a scene was lost or done twice when a worker was killed.

The times mean something on an idle machine with two cores or more only; the load before the run stands in the record.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import HERE, MPX, machine, scene_path

from undercast.classes import load_scheme
from undercast.inference.processor import processors
from undercast.loading import ModelChoice
from undercast.readers import OpenOptions
from undercast.scaling.cluster import Campaign, connected, mask_on_cluster
from undercast.scaling.jobs import Batch, Outcome
from undercast.scaling.looks import Wanted
from undercast.writers import OutputOptions

SCENES = 100
SIDE = 2048
"""Side of a scene, in pixels."""
LEAST_SPEEDUP = 1.8
"""Times as much that two workers must do as one."""
POLL_S = 0.1
"""Seconds between two looks at the output folder; no scene of this size is masked in less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run over all scenes."""

    workers: int
    """Workers at the start."""
    killed: bool
    """Whether one was killed in the middle."""
    seconds: float
    """From the first scene begun to the last done."""
    done: int
    """Scenes that were told as done."""
    lost: int
    """Scenes without a whole item at the end."""
    twice: int
    """Scenes whose item was ever replaced by another, or that were told twice."""

    def mpx_per_s(self, side: int) -> float:
        """Million pixels per second."""
        return self.done * side**2 / MPX / self.seconds


def make_scenes(count: int, side: int, cache: Path, folder: Path) -> list[Wanted]:
    """Link one generated scene under many names: a worker opens and decodes each of them anew."""
    scene = scene_path(side, cache)
    wanted = []
    for number in range(count):
        path = folder / f"scene{number:04}.tif"
        path.hardlink_to(scene)
        wanted.append(Wanted(name=path.name, source=str(path)))
    return wanted


@contextmanager
def watched(folder: Path) -> Iterator[dict[str, set[tuple[int, int]]]]:
    """Remember every item that ever stood in a folder: name -> its files and their times."""
    seen: dict[str, set[tuple[int, int]]] = {}
    end = threading.Event()

    def watch() -> None:
        while not end.wait(POLL_S):
            for path in folder.glob("*_mask.json"):
                stat = path.stat()
                seen.setdefault(path.name, set()).add((stat.st_ino, stat.st_mtime_ns))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        end.set()
        watcher.join()


def warm_up(client: Any, campaign: Campaign, one: Wanted) -> None:
    """Let every worker load the model, and one settle its precision."""
    from undercast.scaling.batch import model_here

    client.run(lambda: model_here(campaign.model) is not None)
    with tempfile.TemporaryDirectory() as name:
        output = replace(campaign.batch.output, folder=Path(name))
        for outcome in mask_on_cluster([one], replace(campaign, batch=Batch(output=output)), client):
            if outcome.error is not None:
                raise outcome.error


def run(wanted: list[Wanted], folder: Path, model: ModelChoice, *, workers: int, kill: bool) -> Run:
    """Mask all scenes once."""
    output = OutputOptions(folder=folder, scheme=load_scheme(), quicklook=False)
    campaign = Campaign(batch=Batch(output=output), model=model, opening=OpenOptions())
    outcomes: list[Outcome] = []
    # A worker gets one core, however many there are: one and two workers are then of one kind.
    with cores(workers), connected("local", workers) as client:
        warm_up(client, campaign, wanted[0])
        with watched(folder) as seen:
            began = time.perf_counter()
            with closing(mask_on_cluster(wanted, campaign, client)) as coming:
                for outcome in coming:
                    outcomes.append(outcome)
                    if kill and len(outcomes) == len(wanted) // 2:
                        end_one(client.run)
            seconds = time.perf_counter() - began
    told = Counter(outcome.name for outcome in outcomes)
    whole = {path.name for path in folder.glob("*_mask.json") if json.loads(path.read_text("utf-8"))["assets"]}
    return Run(
        workers=workers,
        killed=kill,
        seconds=seconds,
        done=sum(outcome.status == "done" for outcome in outcomes),
        lost=len(wanted) - len(whole),
        twice=sum(len(files) > 1 for files in seen.values()) + sum(count > 1 for count in told.values()),
    )


@contextmanager
def cores(count: int) -> Iterator[None]:
    """Let this process, and what it starts, use so many cores."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def end_one(ask: Callable[..., dict[str, int]]) -> None:
    """Kill a worker's process; Dask starts another in its place."""
    os.kill(next(iter(ask(os.getpid).values())), signal.SIGKILL)


def table(runs: list[Run], side: int) -> str:
    """Lay the runs out for a terminal."""
    lines = [f"{'workers':>8}{'killed':>8}{'seconds':>9}{'Mpx/s':>8}{'done':>6}{'lost':>6}{'twice':>7}"]
    lines += [
        f"{one.workers:>8}{'one' if one.killed else 'none':>8}{one.seconds:>9.1f}{one.mpx_per_s(side):>8.2f}"
        f"{one.done:>6}{one.lost:>6}{one.twice:>7}"
        for one in runs
    ]
    return "\n".join(lines)


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description="Measure throughput on a Dask cluster, and what a lost worker costs.")
    parser.add_argument("--scenes", type=int, default=SCENES, help="how many scenes")
    parser.add_argument("--side", type=int, default=SIDE, help="side of a scene, in pixels")
    parser.add_argument("--model", default=ModelChoice().name, help="model package")
    parser.add_argument("--precision", default="auto", help="what to compute with")
    parser.add_argument("--out", type=Path, default=HERE / "out", help="folder for the scene and cluster.json")
    options = parser.parse_args()
    if processors() < 2:
        print("expected two processors or more, got one: nothing to compare", file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    model = ModelChoice(name=options.model, precision=options.precision)
    before = machine()
    with tempfile.TemporaryDirectory(dir=options.out) as name:
        folder = Path(name)
        wanted = make_scenes(options.scenes, options.side, options.out, folder)
        runs = []
        for number, (workers, kill) in enumerate([(1, False), (2, False), (2, True)]):
            print(f"{workers} worker(s){', one killed' if kill else ''} ...", flush=True)
            runs.append(run(wanted, folder / f"out{number}", model, workers=workers, kill=kill))
    speedup = runs[1].mpx_per_s(options.side) / runs[0].mpx_per_s(options.side)
    safe = all(one.done == options.scenes and not one.lost and not one.twice for one in runs)
    passed = safe and speedup >= LEAST_SPEEDUP
    print(f"\n{table(runs, options.side)}\n\ntwo workers / one: {speedup:.2f} (at least {LEAST_SPEEDUP})")
    print("PASS" if passed else "FAIL")
    record = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": before,
        "scenes": options.scenes,
        "side": options.side,
        "model": str(options.model),
        "runs": [{**asdict(one), "mpx_per_s": one.mpx_per_s(options.side)} for one in runs],
        "speedup": speedup,
        "passed": passed,
    }
    path = options.out / "cluster.json"
    path.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    print(path)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
