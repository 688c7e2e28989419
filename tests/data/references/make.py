"""Make small references: folders of scenes with a manifest, rasters with masks, and lists of both."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin

BRIGHTNESS = {0: 0.2, 1: 0.8, 2: 0.4, 3: 0.03, 255: 0.2}
"""Code of a mask -> reflectance of the scene there; the tests' networks take bright for cloud and dark for shadow."""
NODATA = -32768
NAMES = ("blue", "green", "red")


def stripes(height: int = 32, width: int = 32, *, codes: Sequence[int] = (0, 1, 3)) -> np.ndarray:
    """Draw a mask of vertical stripes of equal width."""
    column = np.asarray(codes, np.uint8)[np.arange(width) * len(codes) // width]
    return np.broadcast_to(column, (height, width)).copy()


def scene_of(mask: np.ndarray, *, seed: int = 0, wrong: float = 0.0) -> np.ndarray:
    """Give a scene ``(band, y, x)`` int16 that shows a mask; a share of its pixels shows clear sky instead."""
    rng = np.random.default_rng(seed)
    reflectance = np.vectorize(lambda code: BRIGHTNESS.get(code, 0.2), otypes=[float])(mask)
    reflectance[rng.random(mask.shape) < wrong] = BRIGHTNESS[0]
    layers = reflectance[None] + rng.normal(0, 0.002, (len(NAMES), *mask.shape))
    stored: np.ndarray = np.round(layers * 10000).astype(np.int16)
    return stored


def row_of(name: str, mask: np.ndarray | None, **changes: Any) -> dict[str, Any]:
    """Give a row of a manifest: human labels that tell everything, unless told otherwise."""
    values, counts = np.unique(mask, return_counts=True) if mask is not None else ((), ())
    return {
        "file": f"{name}.npz",
        "name": name,
        "source": "drawn",
        "sensor": "Sentinel-2 MSI",
        "level": "L1C TOA",
        "gsd_m": 10,
        "labels": "human" if mask is not None else "none",
        "shadow_labelled": True,
        "mask_counts": {str(value): int(count) for value, count in zip(values, counts, strict=True)},
        "use": "test",
        **changes,
    }


def write_scene(folder: Path, name: str, bands: np.ndarray, mask: np.ndarray | None) -> None:
    """Write one ``.npz`` scene."""
    arrays: dict[str, Any] = {
        "bands": bands,
        "band_names": np.array(NAMES),
        "common_names": np.array(NAMES),
        "wavelength_nm": np.array([480, 560, 660]),
    }
    if mask is not None:
        arrays["mask"] = mask
    np.savez_compressed(folder / f"{name}.npz", **arrays)


def write_folder(
    folder: Path,
    scenes: Mapping[str, np.ndarray],
    *,
    rows: Mapping[str, Mapping[str, Any]] | None = None,
    wrong: float = 0.1,
) -> Path:
    """Write a folder of scenes that show their masks, each with its own noise; rows may be changed by name."""
    folder.mkdir(parents=True, exist_ok=True)
    table = []
    for seed, (name, mask) in enumerate(scenes.items()):
        write_scene(folder, name, scene_of(mask, seed=seed, wrong=wrong), mask)
        table.append(row_of(name, mask, **(rows or {}).get(name, {})))
    (folder / "manifest.json").write_text(json.dumps(table), "utf-8")
    return folder


def write_raster(
    path: Path, layers: np.ndarray, *, origin: tuple[float, float] = (500000.0, 4600000.0), **changes: Any
) -> Path:
    """Write layers ``(band, y, x)`` as a GeoTIFF of 10 m in UTM 32 north."""
    count, height, width = layers.shape
    profile = {
        "driver": "GTiff",
        "count": count,
        "height": height,
        "width": width,
        "dtype": layers.dtype,
        "crs": "EPSG:32632",
        "transform": from_origin(*origin, 10.0, 10.0),
        **changes,
    }
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(layers)
        if count == len(NAMES):
            raster.descriptions = NAMES
            raster.scales = (0.0001,) * count
    return path


def write_pair(folder: Path, name: str, mask: np.ndarray, **changes: Any) -> tuple[Path, Path]:
    """Write a scene that shows a mask, and the mask."""
    scene = write_raster(folder / f"{name}.tif", scene_of(mask, seed=len(name), wrong=0.1))
    return scene, write_raster(folder / f"{name}_reference.tif", mask[None], **changes)
