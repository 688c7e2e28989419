"""Speed and memory of undercast beside its peers, part by part: `make bench` runs all of it, in one go or in several.

    python benchmarks/peers.py                        what is not measured yet
    python benchmarks/peers.py --list                 the parts
    python benchmarks/peers.py --only undercast-20m   one part, again
    python benchmarks/peers.py --page                 docs/benchmarks: the table and the plot of what is measured

Each part is kept in out/peers.json as soon as it is done, with the load of the machine before the run; figures of
different parts belong together only where the machine was idle for all of them. Every job is a process of its own,
measured from outside, see bench.py. Each peer gets a virtual environment of its own, out/env-PEER; --python PEER=PATH
names another one's interpreter. What runs in them, and what of it has random weights, is in peer_jobs.py.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import HERE, JobError, machine, measure, scene_path

SIDES = {"10m": 10980, "20m": 5490}
"""Sides of a Sentinel-2 tile, in pixels."""
LIGHT = ("--model", "embedded-light")
"""The faster of the models that undercast comes with."""
OURS: dict[str, tuple[str, ...]] = {"undercast-20m": (), "undercast-light-20m": LIGHT}
"""Parts that peers are held against, and what `undercast mask` is told for them."""
SMALL_PX = 1372
"""Side of the scene that a peer of minutes per scene gets: a quarter of the 20 m scene's."""
GROWTH_PX = (1372, 2745, 5490, 10980)
"""Sides of the scenes by which growth with size is seen."""
SCENES = (1, 2, 4, 8)
"""Numbers of scenes by which growth with their number is seen."""

SHORT_S = 60.0
"""Commands that take less, in seconds, are run ``RUNS`` times: half a second of the system's weighs in them."""
RUNS = 3
"""How often."""

ENVIRONMENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ukis-csmask": (("ukis-csmask[cpu]==1.0.0", "rasterio"), ()),
    # torchvision: the newest that imports beside torch's processor build, whose version it does not know.
    "omnicloudmask": (
        ("torch==2.13.0", "omnicloudmask==1.8.1", "segmentation-models-pytorch==0.6.0", "rasterio"),
        ("torchvision==0.16.2",),
    ),
    "s2cloudless": (("s2cloudless==1.7.3", "rasterio"), ()),
    "clouds2mask": (("torch==2.13.0", "fastai==2.8.12", "timm<1.0.4", "rasterio"), ("torchvision==0.16.2",)),
}
"""Peer -> what pip installs, and what it installs afterwards without dependencies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the benchmark."""

    text: str
    """What is measured, for the table."""
    mpx: float
    """Million pixels of the scene."""
    run: Callable[[Path, Path], dict[str, Any]]
    """Runs it: folder of scenes and results, empty folder for outputs."""


def job(name: str, side: int, command: list[str]) -> dict[str, Any]:
    """Measure one command; what is over soon several times, of which the one of median time counts."""
    runs = [measure(name, side, command)]
    if runs[0].wall_s < SHORT_S:
        runs += [measure(name, side, command) for _ in range(RUNS - 1)]
    median = sorted(runs, key=lambda run: run.wall_s)[len(runs) // 2]
    return {**asdict(median), "runs_s": [round(run.wall_s, 2) for run in runs]}


def ours(scene: Path, folder: Path, *options: str) -> list[str]:
    """Give the command that masks a scene, as a person would type it."""
    return [sys.executable, "-m", "undercast", "mask", str(scene), "-o", str(folder), "--overwrite", *options]


def masked(side: int, *options: str) -> Part:
    """Mask a GeoTIFF; once before, unmeasured, where a precision is compared with f32 on the first scene."""

    def run(out: Path, folder: Path) -> dict[str, Any]:
        scene = scene_path(side, out)
        if "--backend" not in options:
            measure("first scene", side, ours(scene_path(SMALL_PX, out), folder, *options))
        return job("undercast", side, ours(scene, folder, *options))

    return Part(text=" ".join(("undercast mask", *options)), mpx=side**2 / 1e6, run=run)


def masked_safe() -> Part:
    """Mask a SAFE product of full size."""
    return Part(
        text="undercast mask, SAFE (JPEG 2000)",
        mpx=SIDES["10m"] ** 2 / 1e6,
        run=lambda out, folder: job("undercast", SIDES["10m"], ours(safe_path(out), folder)),
    )


def peer(name: str, side: int, text: str = "") -> Part:
    """Let a peer mask a GeoTIFF, between runs of ours: in the minutes that it takes, the machine's speed drifts."""

    def run(out: Path, folder: Path) -> dict[str, Any]:
        scene = scene_path(side, out)
        command = [python_of(name, out), str(HERE / "peer_jobs.py"), name, str(scene), str(folder / "peer.tif")]
        beside: dict[str, list[float]] = {part: [] for part in OURS}

        def run_ours() -> None:
            for part, options in OURS.items() if side == SIDES["20m"] else ():
                for _ in range(RUNS):
                    beside[part].append(round(measure("undercast", side, ours(scene, folder, *options)).wall_s, 2))

        run_ours()
        theirs = job(name, side, command)
        run_ours()
        return {**theirs, "beside": beside}

    return Part(text=text or name, mpx=side**2 / 1e6, run=run)


def inner(what: str, side: int, *, safe: bool = False, model: str = "embedded") -> Part:
    """Run pure.py, which writes its own record: only the pure work counts, not the start."""

    def run(out: Path, folder: Path) -> dict[str, Any]:
        source = safe_path(out) if safe else scene_path(side, out) if side else ""
        record = folder / "record.json"
        measured = measure(what, side, [sys.executable, str(HERE / "pure.py"), what, str(source), str(record), model])
        return {**json.loads(record.read_text("utf-8")), "peak_gb": measured.peak_gb}

    return Part(text=f"pure {what}{', safe' * safe}", mpx=side**2 / 1e6, run=run)


def many(count: int) -> Part:
    """Mask several scenes in one command."""

    def run(out: Path, folder: Path) -> dict[str, Any]:
        scenes = [folder / f"scene{number}.tif" for number in range(count)]
        for scene in scenes:
            scene.symlink_to(scene_path(2745, out).resolve())
        return job("undercast", 2745, [*ours(scenes[0], folder / "masks"), *map(str, scenes[1:])])

    return Part(text=f"undercast mask, {count} scenes of 2745 px", mpx=count * 2745**2 / 1e6, run=run)


PARTS: dict[str, Part] = {
    "peak": inner("peak", 0),
    "network-20m": inner("network", SIDES["20m"]),
    "network-light-20m": inner("network", SIDES["20m"], model=LIGHT[1]),
    "decode-20m": inner("decode", SIDES["20m"]),
    "decode-10m": inner("decode", SIDES["10m"]),
    "decode-safe": inner("decode", SIDES["10m"], safe=True),
    "undercast-20m": masked(SIDES["20m"]),
    "undercast-20m-f32": masked(SIDES["20m"], "--backend", "openvino", "--precision", "f32"),
    "undercast-20m-onnxruntime": masked(SIDES["20m"], "--backend", "onnxruntime"),
    "undercast-10m": masked(SIDES["10m"]),
    "undercast-light-20m": masked(SIDES["20m"], *LIGHT),
    "undercast-light-20m-f32": masked(SIDES["20m"], *LIGHT, "--backend", "openvino", "--precision", "f32"),
    "undercast-light-10m": masked(SIDES["10m"], *LIGHT),
    "undercast-safe": masked_safe(),
    "ukis-csmask-20m": peer("ukis-csmask", SIDES["20m"]),
    "omnicloudmask-20m": peer("omnicloudmask", SIDES["20m"], "OmniCloudMask, two networks, random weights"),
    "s2cloudless-20m": peer("s2cloudless", SIDES["20m"]),
    "clouds2mask-small": peer("clouds2mask", SMALL_PX, "CloudS2Mask's network, random weights, rebuilt loop"),
    **{f"size-{side}": masked(side) for side in GROWTH_PX},
    **{f"scenes-{count}": many(count) for count in SCENES},
}
"""Name -> part, in the order in which they run."""


def safe_path(out: Path) -> Path:
    """Give a SAFE product of full size with the generated scene's pixels; made the first time.

    The ten-metre bands are the scene's; the coarser ones are made of every second or sixth pixel of its nir.
    """
    folder = out / "safe"
    found = sorted(folder.glob("*.SAFE"))
    if not found:
        import numpy as np
        import rasterio

        made = HERE.parent / "tests" / "data" / "safe" / "make.py"
        loading = importlib.util.spec_from_file_location("safe_make", made)
        if loading is None or loading.loader is None:
            raise JobError(f"{made} is missing")
        product = importlib.util.module_from_spec(loading)
        loading.loader.exec_module(product)
        scene, layers = scene_path(SIDES["10m"], out), {"B02": 1, "B03": 2, "B04": 3}

        def numbers(band: str, side: int = 0, seed: int = 1) -> Any:  # noqa: ARG001 (what make.py calls)
            with rasterio.open(scene) as raster:
                step = product.metres_of(band) // 10
                return raster.read(layers.get(band, 4))[::step, ::step].astype(np.uint16) + np.uint16(1000)

        product.numbers = numbers
        with tempfile.TemporaryDirectory(dir=out) as temporary:
            print("making a SAFE product ...", flush=True)
            product.write(Path(temporary), side=SIDES["10m"])
            Path(temporary).rename(folder)
            Path(temporary).mkdir()
        found = sorted(folder.glob("*.SAFE"))
    return found[0]


INTERPRETERS: dict[str, str] = {}
"""Peer -> interpreter that a person named."""


def python_of(name: str, out: Path) -> str:
    """Give the interpreter of a peer; its environment is made the first time.

    Raises:
        JobError: If pip fails.
    """
    if name in INTERPRETERS:
        return INTERPRETERS[name]
    folder = out / f"env-{name}"
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        print(f"installing {name} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        for packages, options in zip(ENVIRONMENTS[name], ((), ("--no-deps",)), strict=True):
            if packages:
                done = subprocess.run([python, "-m", "pip", "install", "--quiet", *options, *packages], check=False)
                if done.returncode:
                    raise JobError(f"{name} cannot be installed in {folder}")
        (folder / "installed").touch()
    return str(python)


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description="Measure undercast beside its peers.")
    parser.add_argument(
        "--only", action="append", choices=PARTS, metavar="PART", help="run this, again; may be repeated"
    )
    parser.add_argument("--list", action="store_true", help="list the parts and leave")
    parser.add_argument("--page", action="store_true", help="write docs/benchmarks of what is measured and leave")
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PATH", help="interpreter of a peer")
    parser.add_argument("--out", type=Path, default=HERE / "out", help="folder for scenes, environments and peers.json")
    # `make bench` hands its arguments to every benchmark.
    options, _ = parser.parse_known_args()
    record_path = options.out / "peers.json"
    record: dict[str, Any] = json.loads(record_path.read_text("utf-8")) if record_path.exists() else {}
    if options.list:
        for name, part in PARTS.items():
            print(f"{name:<28}{part.text}{'  (measured)' if name in record else ''}")
        return 0
    INTERPRETERS.update(pair.split("=", 1) for pair in options.python)
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("UNDERCAST_CACHE", str(options.out.resolve() / "cache"))
    failed = 0
    wanted = [] if options.page else options.only or [name for name in PARTS if name not in record]
    # Once: before a later part the load is that of the part before it.
    where = machine()
    for name in wanted:
        print(f"{name} ...", flush=True)
        try:
            with tempfile.TemporaryDirectory(dir=options.out) as folder:
                measured = PARTS[name].run(options.out.resolve(), Path(folder))
        except JobError as error:
            print(error, file=sys.stderr)
            failed = 1
            continue
        told = {"text": PARTS[name].text, "mpx": PARTS[name].mpx, **measured}
        record[name] = {"created": datetime.now(UTC).isoformat(timespec="seconds"), "machine": where, **told}
        record_path.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
        print(json.dumps(measured), flush=True)
    from peers_page import write_page

    print(write_page(record, HERE.parent / "docs" / "benchmarks" if options.page else options.out))
    return failed


if __name__ == "__main__":
    sys.exit(main())
