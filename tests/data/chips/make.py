"""Make a folder of tiny training chips: ``.npz`` files and a ``manifest.json``, drawn by formula."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NODATA = -32768
SIZE = 48
SENTINEL2 = (("B02", "blue", 492), ("B03", "green", 560), ("B04", "red", 665), ("B08", "nir", 833))
LANDSAT8 = (("B4", "red", 655), ("B5", "nir08", 865), ("B6", "swir16", 1609), ("B9", "cirrus", 1373))

Rows = list[dict[str, Any]]


def layers(bands: int, *, cloudy: bool, seed: int) -> NDArray[np.int16]:
    """Draw a noisy ground of reflectance 0.1, with a cloud of 0.8 in its upper left quarter."""
    values = 1000 + np.random.default_rng(seed).normal(0, 60, (bands, SIZE, SIZE))
    if cloudy:
        values[:, : SIZE // 2, : SIZE // 2] += 7000
        values[:, -8:, -8:] = 300
    return values.astype(np.int16)


def mask() -> NDArray[np.uint8]:
    """Draw the labels of ``layers``: cloud (1), a thin rim (2), shadow (3), some pixels unlabelled (255)."""
    labels = np.zeros((SIZE, SIZE), np.uint8)
    labels[: SIZE // 2, : SIZE // 2] = 1
    labels[SIZE // 2 - 2 : SIZE // 2, : SIZE // 2] = 2
    labels[-8:, -8:] = 3
    labels[0, -4:] = 255
    return labels


def write_chip(path: Path, stored: NDArray[Any], bands: tuple[tuple[str, str, int], ...], **arrays: Any) -> None:
    """Write one chip."""
    names, common_names, wavelengths = zip(*bands, strict=True)
    np.savez_compressed(
        path,
        bands=stored,
        band_names=np.array(names),
        common_names=np.array(common_names),
        wavelength_nm=np.array(wavelengths, np.float32),
        **arrays,
    )


def write_folder(folder: Path) -> Rows:
    """Write a chip of every kind of labels, and the manifest; give the manifest's rows."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = {"0": 1, "1": 1, "2": 1, "3": 1}
    rows: Rows = [
        {"file": "human.npz", "source": "drawn_l8", "labels": "human", "use": "train", "mask_counts": counts}
        | {"shadow_labelled": True, "level": "L1T TOA reflectance", "gsd_m": 30, "licence_data": "CC0-1.0"},
        {"file": "no_shadow.npz", "source": "drawn_l8", "labels": "human", "use": "train", "mask_counts": counts}
        | {"shadow_labelled": False, "level": "L1T TOA reflectance", "gsd_m": 30, "licence_data": "CC0-1.0"},
        {"file": "cloud_only.npz", "source": "drawn_s2", "labels": "human", "use": "train"}
        | {"mask_counts": {"0": 1, "1": 1}, "level": "L2A surface reflectance", "licence_data": None},
        {"file": "weak.npz", "source": "drawn_weak", "labels": "weak", "use": "train-weak", "level": "TOA"},
        {"file": "clear.npz", "source": "drawn_clear", "labels": "none", "use": "clear-negative (drawn)"}
        | {"level": "L2A (sen2cor)", "gsd_m": 10, "licence_data": "CC-BY-4.0"},
        {"file": "holed.npz", "source": "drawn_holed", "labels": "none", "use": "clear-negative (drawn)"}
        | {"level": "L1C TOA", "gsd_m": 10},
        {"file": "unlabelled.npz", "source": "drawn_unlabelled", "labels": "none", "use": "unlabelled"},
    ]
    write_chip(folder / "human.npz", layers(4, cloudy=True, seed=1), LANDSAT8, mask=mask())
    write_chip(folder / "no_shadow.npz", layers(4, cloudy=True, seed=2), LANDSAT8, mask=mask())
    write_chip(folder / "cloud_only.npz", layers(4, cloudy=True, seed=3), SENTINEL2, mask=mask() % 2)
    write_chip(folder / "weak.npz", layers(4, cloudy=True, seed=4), LANDSAT8, mask=mask())
    write_chip(folder / "clear.npz", layers(4, cloudy=False, seed=5), SENTINEL2)
    holed = layers(4, cloudy=False, seed=6)
    holed[1, :3] = NODATA
    write_chip(folder / "holed.npz", holed, SENTINEL2)
    write_chip(folder / "unlabelled.npz", layers(4, cloudy=True, seed=7), SENTINEL2)
    (folder / "manifest.json").write_text(json.dumps(rows), "utf-8")
    return rows


VGT = (("B2", "blue", 482), ("B4", "red", 655), ("B5", "nir08", 865), ("B6", "swir16", 1609))


def write_coarse_folder(folder: Path) -> None:
    """Write two labelled scenes and a clear one with the bands of SPOT-VGT, and the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    rows: Rows = []
    for name, cloudy in (("cloudy-0", True), ("cloudy-1", True), ("clear-0", False)):
        stored = layers(4, cloudy=cloudy, seed=len(rows))
        marks = {"labels": "human", "shadow_labelled": True} if cloudy else {"use": "clear-negative (drawn)"}
        arrays = {"mask": mask()} if cloudy else {}
        write_chip(folder / f"{name}.npz", stored, VGT, **arrays)
        rows.append({"file": f"{name}.npz", "source": "drawn", "level": "TOA", "gsd_m": 120, **marks})
    (folder / "manifest.json").write_text(json.dumps(rows), "utf-8")


RECIPE = """
[model]
id = "tiny"
version = "0.0.1"
title = "Tiny"
architecture = "spectral-spatial-small"
bands = ["green", "red", "nir", "swir16"]
required = ["red", "nir"]

[bank]
simulated = 6
on_real = 4
size = 64
workers = 1

[data]
leave_out = ["drawn_weak"]

[augment]
crop = 32

[optimise]
steps = 12
batch = 2
warmup = 3
log_every = 3
validate_every = 6
"""


def write_recipe(path: Path, **changes: str) -> Path:
    """Write a recipe that trains in seconds; each change replaces the value of a key of that name."""
    lines = []
    for line in RECIPE.splitlines():
        key = line.split(" = ")[0]
        lines.append(f"{key} = {changes.pop(key)}" if key in changes else line)
    if changes:
        msg = f"the recipe has no {', '.join(changes)}"
        raise KeyError(msg)
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path
