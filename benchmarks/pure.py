"""The pure work that masking hides behind one another: the processor's peak, the network alone, decoding alone.

python pure.py peak|network|decode SOURCE RECORD [MODEL]     writes what it found as JSON
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

REPEATS = 5


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Give wall and processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def peak(_source: str, _model: str) -> dict[str, Any]:
    """Measure the largest rate of 3 x 3 convolutions and of matrix products, in 10^9 operations per second."""
    import torch

    found = {}
    for name, dtype in (("f32", torch.float32), ("bf16", torch.bfloat16)):
        square = torch.rand(4096, 4096).to(dtype)
        image = torch.rand(1, 256, 128, 128).to(dtype).contiguous(memory_format=torch.channels_last)
        kernel = torch.rand(256, 256, 3, 3).to(dtype)
        with torch.inference_mode():
            for kind, work, operations in (
                ("gemm", partial(torch.mm, square, square), 2 * 4096**3),
                ("conv", partial(torch.nn.functional.conv2d, image, kernel, padding=1), 2 * 9 * 256**2 * 128**2),
            ):
                work()
                found[f"{name}_{kind}_gflops"] = operations / min(timed(work)[0] for _ in range(REPEATS)) / 1e9
    return {"wall_s": 0.0, "cpu_s": 0.0, **found}


def network(source: str, name: str) -> dict[str, Any]:
    """Run a model's network alone on as many windows as masking the scene takes, as many at once."""
    from dataclasses import replace

    import numpy as np
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from undercast import readers
    from undercast.loading import load_model
    from undercast.masking import MaskOptions, stream
    from undercast.readers.base import OpenOptions
    from undercast.training.networks import build

    scene = readers.open_scene(source, OpenOptions())
    # In the precision in which the scene is masked, which a comparison with f32 decides.
    chosen = stream(scene, load_model(name), MaskOptions(radiometry="warn")).header.precision
    model = load_model(name, precision=chosen)
    seen: list[tuple[int, ...]] = []
    spec = model.spec

    def noted(batch: Any) -> Any:
        seen.append(batch.shape)
        return np.full((len(batch), len(spec.classes), *batch.shape[2:]), 0.25, np.float32)

    for _ in stream(scene, replace(model, networks=(noted,), proof=None), MaskOptions(radiometry="warn")).strips:
        pass
    batch = np.random.default_rng(0).random(seen[0], np.float32)
    batch[:, 4:] = spec.fill
    with ThreadPoolExecutor(model.windows) as pool:
        list(pool.map(model.networks[0], [batch] * model.windows))
        wall, cpu = timed(lambda: list(pool.map(model.networks[0], [batch] * len(seen))))
    side = batch.shape[2:]
    twin = build(str(model.package.properties["mlm:architecture"]), bands=len(spec.bands), classes=len(spec.classes))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        twin.eval()(torch.rand(1, spec.channels, *side))
    operations = counter.get_total_flops() * len(seen)
    return {
        "wall_s": wall,
        "cpu_s": cpu,
        "windows": len(seen),
        "window_px": list(side),
        "precision": model.precision,
        "backend": model.backend,
        "gflops": operations / wall / 1e9,
        "gflop_per_mpx": counter.get_total_flops() / (side[0] * side[1]) / 1e3,
    }


def decode(source: str, name: str) -> dict[str, Any]:
    """Read the bands that a model takes, once, in rows, and do nothing with them."""
    from undercast import readers
    from undercast.loading import load_model
    from undercast.readers.base import OpenOptions
    from undercast.windows import Window

    scene = readers.open_scene(source, OpenOptions())
    spec = load_model(name, backend="onnxruntime").spec
    indexes = [match.index for match in spec.match(scene.bands) if match.index is not None]
    height, width = scene.grid.shape

    def read() -> None:
        for row in range(0, height, 512):
            scene.read(Window(row=row, col=0, height=min(512, height - row), width=width), indexes)

    wall, cpu = timed(read)
    return {"wall_s": wall, "cpu_s": cpu, "bands": len(indexes), "processors": os.cpu_count()}


if __name__ == "__main__":
    what, scene_file, record_file, *models = sys.argv[1:]
    found = {"peak": peak, "network": network, "decode": decode}[what](scene_file, *(models or ["embedded"]))
    Path(record_file).write_text(json.dumps(found), "utf-8")
