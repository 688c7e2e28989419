"""A six-member package in FDR4VGT's layout: `undercast mask` beside mlstac's `compiled_model` and `predict_large`.

The networks have the architectures of FDR4VGT-CLOUD at their full size and random weights, on which speed does not
depend. What mlstac runs is the `load.py` of the package: FDR4VGT's own is not public, so that it is the one that
undercast's training writes, with the same functions and the same windows (512 px, 64 px overlap).

Both read the same GeoTIFF, blend the same windows, and write probability and uncertainty. undercast runs the package
after one `undercast models optimize`, whose time is told apart. The two take turns, so that what else the machine does
meets both; times are medians over the rounds.

    python benchmarks/mlstac.py            1500 x 1700 px, the six networks as published
    python benchmarks/mlstac.py --quick    a small scene and narrow networks, to see that it works

Exit status 1: the answers differ by more than 1e-4 away from the scene's edges, or a job failed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench import Measured

HERE = Path(__file__).resolve().parent
ARCHITECTURES = ("1dpwdeeplabv3", "1dpwunetpp", "1dpwseg", "1dpwunet", "unet", "unetpp")
"""Members, in the order of FDR4VGT-CLOUD's item."""
BANDS = ("blue", "red", "nir", "swir16")
SHAPE, QUICK_SHAPE = (1500, 1700), (600, 700)
MODE = "max"
"""Aggregation that mlstac takes unless told otherwise; both are told."""
EDGE_PX = 64
"""Pixels along the scene's edges that are not compared: loaders fill what lies outside differently."""
LARGEST_DIFFERENCE = 1e-4
"""Largest difference in probability and in uncertainty when both compute with f32."""
SPREAD = 2.0
"""Standard deviation that the members' logits get, around 0, so that random weights say more than 0.5 everywhere."""
TARGET = 4.0
"""How many times as fast undercast is to be."""
ROUNDS, QUICK_ROUNDS = 3, 1
"""How often both take their turn."""


def make_package(folder: Path, size: str) -> None:
    """Write the package, with random weights; ``small`` are narrow networks, ``full`` those of the published size."""
    from datetime import UTC, datetime

    import numpy as np
    import torch

    from undercast.bands import band_from_name
    from undercast.model_spec import ModelBand, ModelSpec
    from undercast.models.publish.write import PackageDetails
    from undercast.sensors import load_sensor
    from undercast.simulation.scenes import simulate
    from undercast.training.networks import build
    from undercast.training.vgt_networks import CloudProbability
    from undercast.training.vgt_package import export_member, write_vgt_package

    spec = ModelSpec(
        id="bench-ensemble",
        version="0",
        bands=tuple(ModelBand(band=band_from_name(name)) for name in BANDS),
        classes=("cloud",),
        scale=10_000.0,
        fill=0.0,
        window=512,
        multiple=32,
        overlap=64,
        uncertainty="std",
        presets={"recommended": {"cloud": 0.4}, "standard": {"cloud": 0.5}},
        preset="recommended",
    )
    piece = simulate(load_sensor("proba-v"), size=256, seed=2, level="toa", gsd=1000.0).reflectance
    example = np.asarray(1e4 * piece, np.float32)
    members = {}
    for seed, name in enumerate(ARCHITECTURES):
        torch.manual_seed(seed)
        network = build(f"{name}-small" if size == "small" else name, bands=len(BANDS), classes=1).eval()
        with torch.no_grad():
            logits = network(torch.from_numpy(example[None] * np.float32(1e-4)))
            heads = [part for part in network.modules() if getattr(part, "out_channels", None) == 1]
            factor = SPREAD / logits.std()
            level = logits.mean() - sum(head.bias for head in heads)
            for head in heads:
                head.weight *= factor
                head.bias *= 0.0
            heads[-1].bias -= factor * level
        members[name] = export_member(CloudProbability(network), len(BANDS))
    details = PackageDetails(
        architecture="FDR4VGT-CLOUD's six",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        description="Random weights, to measure speed.",
        card="# bench-ensemble\n\nRandom weights.\n",
    )
    write_vgt_package(folder, spec, members, details, example)


def make_scene(path: Path, shape: tuple[int, int]) -> None:
    """Write a four-band GeoTIFF of PROBA-V: a simulated piece, mirrored until it fills the scene."""
    import numpy as np
    import rasterio
    from rasterio.transform import from_origin

    from undercast.sensors import load_sensor
    from undercast.simulation.scenes import simulate

    piece = simulate(load_sensor("proba-v"), size=512, seed=1, level="toa", gsd=1000.0).reflectance
    room = [max(side - 512, 0) for side in shape]
    stored = np.pad(piece, ((0, 0), (0, room[0]), (0, room[1])), mode="symmetric")[:, : shape[0], : shape[1]]
    profile = {
        "driver": "GTiff",
        "width": shape[1],
        "height": shape[0],
        "count": len(BANDS),
        "dtype": "uint16",
        "nodata": 0,
        "crs": "EPSG:4326",
        "transform": from_origin(0.0, 60.0, 1 / 112, 1 / 112),
    }
    with rasterio.open(path, "w", **profile) as raster:
        raster.scales = (1e-4,) * len(BANDS)
        raster.write(np.clip(np.round(stored * 1e4), 1, 40_000).astype(np.uint16))
        for index, name in enumerate(BANDS, 1):
            raster.set_band_description(index, name)


def run_mlstac(scene: Path, package: Path, output: Path) -> None:
    """Mask a scene as mlstac's users do."""
    import mlstac
    import numpy as np
    import rasterio

    with rasterio.open(scene) as raster:
        profile = raster.profile
        image = raster.read(out_dtype="float32")
    loader = mlstac.load(str(package / "mlm.json"))
    model = loader.compiled_model(mode=MODE)
    probability, uncertainty = loader.predict_large(image=image, model=model)
    profile.update(count=2, dtype="float32", nodata=None)
    with rasterio.open(output, "w", **profile) as raster:
        raster.write(np.concatenate([probability, uncertainty]).astype(np.float32))


def ours(scene: Path, package: Path, folder: Path, precision: str) -> list[str]:
    """Give the command that masks a scene, as a person would type it."""
    start = [sys.executable, "-m", "undercast", "mask", str(scene), "-o", str(folder), "--overwrite", "--no-quicklook"]
    what = ["--model", str(package / "mlm.json"), "--aggregate", MODE, "--probabilities", "--uncertainty", "std"]
    return [*start, *what, "--precision", precision]


def differences(folder: Path, peer: Path) -> tuple[float, float]:
    """Give the largest difference in probability and in uncertainty away from the scene's edges."""
    import numpy as np
    import rasterio

    def read(path: Path, layer: int) -> Any:
        with rasterio.open(path) as raster:
            return raster.read(layer)[EDGE_PX:-EDGE_PX, EDGE_PX:-EDGE_PX]

    found = [
        np.abs(read(folder / f"scene_{name}.tif", layer) - read(peer, place))
        for place, (name, layer) in enumerate((("probabilities", 2), ("uncertainty", 1)), start=1)
    ]
    return float(found[0].max()), float(found[1].max())


def bench(out: Path, shape: tuple[int, int], size: str, rounds: int) -> dict[str, Any]:
    """Run everything and give the record.

    Raises:
        JobError: If a job fails.
    """
    from bench import machine, measure

    os.environ["UNDERCAST_CACHE"] = str(out / "cache")
    side = max(shape)
    # Not the folder of this file first: it holds a module of mlstac's name.
    this = [sys.executable, "-P", __file__]
    package = out / f"fdr4vgt-{size}"
    if not package.exists():
        print(f"making {package.name} ...", flush=True)
        measure("make-package", side, [*this, "--make-package", str(package), size])
    record: dict[str, Any] = {"machine": machine(), "shape": list(shape), "networks": f"{size}, random weights"}
    runs: dict[str, list[Measured]] = {}
    with tempfile.TemporaryDirectory(dir=out) as temporary:
        folder = Path(temporary)
        scene, peer = folder / "scene.tif", folder / "peer.tif"
        measure("make-scene", side, [*this, "--make-scene", str(scene), *map(str, shape)])
        turns = {
            "undercast auto": ours(scene, package, folder, "auto"),
            "mlstac": [*this, "--run-mlstac", str(scene), str(package), str(peer)],
        }
        once = {
            "optimize": [sys.executable, "-m", "undercast", "models", "optimize", str(package / "mlm.json")],
            # The first scene of a precision below f32 is masked with f32, too; so this one comes before the turns.
            "first scene": turns["undercast auto"],
        }
        f32 = {"undercast f32": ours(scene, package, folder, "f32")}
        for job, command in [*once.items(), *(rounds * list(turns.items())), *f32.items()]:
            print(f"{job} ...", flush=True)
            runs.setdefault(job, []).append(measure(job, side, command))
            if job == "undercast auto":
                item = json.loads((folder / "scene_mask.json").read_text("utf-8"))
                record["precision"] = item["properties"]["undercast:precision"]
        record["difference"] = dict(zip(("probability", "uncertainty"), differences(folder, peer), strict=True))
    record["runs"] = {
        job: {key: [round(getattr(run, key), 3) for run in some] for key in ("wall_s", "cpu_s", "peak_gb")}
        for job, some in runs.items()
    }
    record["medians"] = {
        job: {key: median(values) for key, values in run.items()} for job, run in record["runs"].items()
    }
    theirs = record["medians"]["mlstac"]
    record["ratios"] = {
        job: {what: theirs[f"{what}_s"] / record["medians"][job][f"{what}_s"] for what in ("wall", "cpu")}
        for job in ("undercast auto", "undercast f32")
    }
    record["passed"] = max(record["difference"].values()) <= LARGEST_DIFFERENCE
    return record


def report(record: dict[str, Any]) -> None:
    """Print what the record comes to."""
    print(f"\n{'job':<16}{'runs':>5}{'wall s':>9}{'cpu s':>9}{'peak GB':>9}{'x wall':>8}{'x cpu':>8}")
    for job, run in record["medians"].items():
        ratios = record["ratios"].get(job, {})
        told = "".join(f"{ratios[what]:>8.2f}" for what in ("wall", "cpu") if what in ratios)
        count = len(record["runs"][job]["wall_s"])
        print(f"{job:<16}{count:>5}{run['wall_s']:>9.1f}{run['cpu_s']:>9.1f}{run['peak_gb']:>9.2f}{told}")
    for what, difference in record["difference"].items():
        verdict = "PASS" if difference <= LARGEST_DIFFERENCE else "FAIL"
        print(f"{verdict}: {what} with f32 differs by {difference:.1e} at most, {EDGE_PX} px away from the edges")
    best = record["ratios"]["undercast auto"]["wall"]
    print(f"undercast is {best:.2f} times as fast as mlstac ({record['precision']}); the target is {TARGET:g}")
    where = record["machine"]
    print(f"on {where['processor']}, {where['cores']} cores, load before {where['load_before']}")


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description="Measure a package in FDR4VGT's layout beside mlstac.")
    parser.add_argument("--quick", action="store_true", help="a small scene and narrow networks")
    parser.add_argument("--shape", nargs=2, type=int, metavar=("H", "W"), help="another scene, in pixels")
    parser.add_argument("--rounds", type=int, help=f"turns of both; {ROUNDS} unless given")
    parser.add_argument("--out", type=Path, default=HERE / "out", help="folder for the package and mlstac.json")
    # What this script starts in processes of their own.
    parser.add_argument("--make-package", nargs=2, metavar=("FOLDER", "SIZE"), help=argparse.SUPPRESS)
    parser.add_argument("--make-scene", nargs=3, metavar=("PATH", "H", "W"), help=argparse.SUPPRESS)
    parser.add_argument("--run-mlstac", nargs=3, metavar=("SCENE", "PACKAGE", "PATH"), help=argparse.SUPPRESS)
    # `make bench` hands its arguments to every benchmark.
    options, _ = parser.parse_known_args()
    if options.make_package:
        make_package(Path(options.make_package[0]), options.make_package[1])
        return 0
    if options.make_scene:
        make_scene(Path(options.make_scene[0]), (int(options.make_scene[1]), int(options.make_scene[2])))
        return 0
    if options.run_mlstac:
        run_mlstac(*map(Path, options.run_mlstac))
        return 0
    from bench import JobError

    options.out.mkdir(parents=True, exist_ok=True)
    shape = tuple(options.shape) if options.shape else QUICK_SHAPE if options.quick else SHAPE
    try:
        rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
        record = bench(options.out.resolve(), shape, "small" if options.quick else "full", rounds)
    except JobError as error:
        print(error, file=sys.stderr)
        return 1
    report(record)
    path = options.out / ("mlstac-quick.json" if options.quick else "mlstac.json")
    path.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    print(path)
    return 0 if record["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
