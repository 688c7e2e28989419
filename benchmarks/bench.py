"""Speed and memory of `undercast mask` on whole scenes, beside a peer in the same run.

Every job is a process of its own, measured from outside: wall time, processor time and peak memory (resident set).
This process imports the standard library only, because a child's peak memory starts at its parent's.

    python benchmarks/bench.py            the scenes of a Sentinel-2 tile, at 10 m and at 20 m
    python benchmarks/bench.py --quick    small scenes, to see that it works

Exit status 1: masking the largest scene took more memory than the limit, or a job failed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

GB = 1e9
MPX = 1e6
MEMORY_LIMIT_GB = 1.5
"""Peak memory that masking the largest scene must stay below."""
SIDES = (10980, 5490)
"""Sides of the scenes, in pixels: a Sentinel-2 tile at 10 m and at 20 m. The peer gets the last one."""
QUICK_SIDES = (1200, 600)
BANDS = ("blue", "green", "red", "nir")
TILE_PX = 1024
"""Side of the simulated piece that the scenes are made of, in pixels."""
SCENE_VERSION = 1
"""Changes with the content of the scenes, so that cached ones are made again."""
BUSY_LOAD = 0.5
"""Load per core before the run from which its times are not to be trusted."""
PEER = "ukis-csmask"
PEER_MODULE = "ukis_csmask"
PACKAGES = ("undercast", "numpy", "rasterio", "onnxruntime", PEER)
HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run of one job."""

    job: str
    """What ran."""
    side: int
    """Side of the scene, in pixels."""
    wall_s: float
    """From start to end, in seconds."""
    cpu_s: float
    """Processor time of the process and its children, in seconds."""
    peak_gb: float
    """Largest resident set, in 10^9 bytes."""

    @property
    def mpx_per_s(self) -> float:
        """Million pixels per second of wall time."""
        return self.side**2 / MPX / self.wall_s


class JobError(Exception):
    """A job ended with an error."""


def measure(job: str, side: int, command: list[str]) -> Measured:
    """Run a command and measure it.

    Byte code may be kept, as pip does it when it installs: where an environment forbids that, a package of a source
    tree would be compiled in every run, and the compiler be measured.

    Raises:
        JobError: If it fails; its standard error is in the message.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env=environment)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        # Popen must not wait for it a second time.
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()
            msg = f"{job} at {side} px ended with status {process.returncode}:\n{said[-2000:]}"
            raise JobError(msg)
    unit = 1 if sys.platform == "darwin" else 1024
    peak = used.ru_maxrss * unit / GB
    return Measured(job=job, side=side, wall_s=wall, cpu_s=used.ru_utime + used.ru_stime, peak_gb=peak)


def scene_path(side: int, cache: Path) -> Path:
    """Give the scene of a side; made the first time, by a process of its own.

    Raises:
        JobError: If it cannot be made.
    """
    path = cache / f"scene_{side}_v{SCENE_VERSION}.tif"
    if not path.exists():
        print(f"making {path.name} ...", flush=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            made = Path(folder) / path.name
            measure("make-scene", side, [sys.executable, __file__, "--make-scene", str(side), str(made)])
            made.replace(path)
    return path


def make_scene(side: int, path: Path) -> None:
    """Write a four-band GeoTIFF: a simulated piece, turned, mirrored and brightened from place to place."""
    from dataclasses import replace

    import numpy as np
    import rasterio
    from rasterio.transform import from_origin
    from rasterio.windows import Window

    from undercast.sensors import load_sensor
    from undercast.simulation.scenes import simulate

    sensor = load_sensor("sentinel-2")
    four = tuple(next(band for band in sensor.bands if band.common_name == name) for name in BANDS)
    piece = simulate(replace(sensor, bands=four), size=TILE_PX, seed=1, level="toa", gsd=10.0).reflectance
    stored = np.clip(np.round(piece * 1e4), 1, 40000)
    profile = {
        "driver": "GTiff",
        "width": side,
        "height": side,
        "count": len(BANDS),
        "dtype": "uint16",
        "nodata": 0,
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "deflate",
        "predictor": 2,
        "zlevel": 1,
        "crs": "EPSG:32631",
        "transform": from_origin(500_000, 5_000_000, 10, 10),
        "BIGTIFF": "IF_SAFER",
    }
    with rasterio.open(path, "w", **profile) as raster:
        raster.scales = (1e-4,) * len(BANDS)
        for index, name in enumerate(BANDS, 1):
            raster.set_band_description(index, name)
        for number, row in enumerate(range(0, side, TILE_PX)):
            for place, col in enumerate(range(0, side, TILE_PX)):
                turned = np.rot90(stored, number + 3 * place, axes=(1, 2))[:, :: 1 - 2 * (place % 2)]
                height, width = min(TILE_PX, side - row), min(TILE_PX, side - col)
                brightness = 0.9 + 0.05 * ((number * 7 + place * 3) % 5)
                part = (turned[:, :height, :width] * brightness).astype(np.uint16)
                raster.write(part, window=Window(col, row, width, height))


def run_peer(scene: Path, output: Path) -> None:
    """Do with the peer what `undercast mask` does: read a GeoTIFF, mask it, write the class map."""
    import numpy as np
    import rasterio

    peer = import_module(f"{PEER_MODULE}.mask")
    with rasterio.open(scene) as raster:
        profile = raster.profile
        image = np.moveaxis(raster.read(out_dtype="float32"), 0, -1) * np.float32(raster.scales[0])
    mask = peer.CSmask(np.ascontiguousarray(image), list(BANDS), product_level="l1c", nodata_value=0).csm[..., 0]
    profile.update(count=1, dtype="uint8", nodata=None, predictor=1)
    with rasterio.open(output, "w", **profile) as raster:
        raster.write(mask, 1)


def jobs_of(scene: Path, folder: Path, model: str | None) -> dict[str, list[str]]:
    """List the commands that mask a scene: ours as a person would type it, and the peer's."""
    ours = [sys.executable, "-m", "undercast", "mask", str(scene), "-o", str(folder), "--overwrite", "--json"]
    return {
        "undercast": [*ours, *(["--model", model] if model else [])],
        PEER: [sys.executable, __file__, "--run-peer", str(scene), str(folder / "peer.tif")],
    }


def best_of(job: str, side: int, command: list[str], repeat: int) -> Measured:
    """Measure a job some times and keep the fastest run, with the largest memory of all of them."""
    runs = [measure(job, side, command) for _ in range(repeat)]
    fastest = min(runs, key=lambda run: run.wall_s)
    peak = max(run.peak_gb for run in runs)
    return Measured(job=job, side=side, wall_s=fastest.wall_s, cpu_s=fastest.cpu_s, peak_gb=peak)


def machine() -> dict[str, Any]:
    """Describe the machine, for everybody who reads the figures elsewhere."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GB, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "environment": {name: value for name, value in os.environ.items() if name.endswith("_NUM_THREADS")},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def ratios(ours: Measured, peer: Measured) -> dict[str, float]:
    """Say how many times as much the peer needs, and how many times as fast undercast is."""
    return {
        "wall": peer.wall_s / ours.wall_s,
        "cpu": peer.cpu_s / ours.cpu_s,
        "memory": peer.peak_gb / ours.peak_gb,
        "mpx_per_s": ours.mpx_per_s / peer.mpx_per_s,
    }


def table(rows: list[Measured]) -> str:
    """Lay the runs out for a terminal."""
    lines = [f"{'job':<14}{'scene px':>14}{'wall s':>9}{'cpu s':>9}{'peak GB':>9}{'Mpx/s':>8}"]
    lines += [
        f"{row.job:<14}{f'{row.side} x {row.side}':>14}{row.wall_s:>9.1f}{row.cpu_s:>9.1f}{row.peak_gb:>9.2f}"
        f"{row.mpx_per_s:>8.2f}"
        for row in rows
    ]
    return "\n".join(lines)


def bench(sides: tuple[int, ...], out: Path, *, model: str | None, repeat: int) -> dict[str, Any]:
    """Run everything and give the record.

    Raises:
        JobError: If a job fails.
    """
    record: dict[str, Any] = {"created": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine()}
    scenes = {side: scene_path(side, out) for side in sides}
    rows = []
    with tempfile.TemporaryDirectory(dir=out) as folder:
        for side, scene in scenes.items():
            commands = jobs_of(scene, Path(folder), model)
            if side != sides[-1] or find_spec(PEER_MODULE) is None:
                del commands[PEER]
            for job, command in commands.items():
                print(f"{job} at {side} px ...", flush=True)
                rows.append(best_of(job, side, command, repeat))
    peak = rows[0].peak_gb
    record["model"] = model or "embedded"
    record["repeat"] = repeat
    record["runs"] = [{**asdict(row), "mpx_per_s": row.mpx_per_s} for row in rows]
    record["memory"] = {"peak_gb": peak, "limit_gb": MEMORY_LIMIT_GB, "passed": peak < MEMORY_LIMIT_GB}
    both = {row.job: row for row in rows if row.side == sides[-1]}
    record["ratios"] = ratios(both["undercast"], both[PEER]) if PEER in both else None
    print(f"\n{table(rows)}\n")
    return record


def report(record: dict[str, Any]) -> None:
    """Print what the record comes to."""
    memory, side = record["memory"], record["runs"][0]["side"]
    verdict = "PASS" if memory["passed"] else "FAIL"
    print(f"{verdict}: peak {memory['peak_gb']:.2f} GB < {memory['limit_gb']} GB at {side} x {side} px")
    if record["ratios"] is None:
        print(f"{PEER} is not installed: nothing to compare with. Try: pip install '{PEER}[cpu]'")
    else:
        times = record["ratios"]
        print(
            f"{PEER} / undercast at {record['runs'][-1]['side']} px:"
            f" wall {times['wall']:.2f}, cpu {times['cpu']:.2f}, memory {times['memory']:.2f};"
            f" undercast does {times['mpx_per_s']:.2f} times its Mpx/s"
        )
    where = record["machine"]
    print(f"on {where['processor']}, {where['cores']} cores, load before {where['load_before']}")
    if where["load_before"] > BUSY_LOAD * where["cores"]:
        print("The machine was busy: the times, and the ratios of wall time, say little.")


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description="Measure speed and memory of `undercast mask`, beside a peer.")
    parser.add_argument("--quick", action="store_true", help="small scenes")
    parser.add_argument("--model", help="model package; the embedded one unless given")
    parser.add_argument("--repeat", type=int, default=1, help="runs per job; the fastest counts")
    parser.add_argument("--out", type=Path, default=HERE / "out", help="folder for scenes and bench.json")
    # What this script starts in processes of their own.
    parser.add_argument("--make-scene", nargs=2, metavar=("SIDE", "PATH"), help=argparse.SUPPRESS)
    parser.add_argument("--run-peer", nargs=2, metavar=("SCENE", "PATH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make_scene:
        make_scene(int(options.make_scene[0]), Path(options.make_scene[1]))
        return 0
    if options.run_peer:
        run_peer(Path(options.run_peer[0]), Path(options.run_peer[1]))
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    sides = QUICK_SIDES if options.quick else SIDES
    try:
        record = bench(sides, options.out, model=options.model, repeat=max(options.repeat, 1))
    except JobError as error:
        print(error, file=sys.stderr)
        return 1
    report(record)
    path = options.out / ("bench-quick.json" if options.quick else "bench.json")
    path.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    print(path)
    return 0 if record["memory"]["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
