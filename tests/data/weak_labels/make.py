"""Make small rasters of codes, labels and scenes, drawn by formula, at a place of choice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

UTM31 = "EPSG:32631"
CORNER = (500_000.0, 5_000_000.0)
"""Easting and northing of a raster's upper left corner, in metres."""


def write_raster(
    path: Path,
    values: NDArray[Any],
    *,
    gsd: float = 10.0,
    corner: tuple[float, float] = CORNER,
    crs: str | None = UTM31,
    nodata: float | None = None,
) -> Path:
    """Write codes ``(y, x)`` or layers ``(layer, y, x)`` as a GeoTIFF."""
    layers = values if values.ndim == 3 else values[np.newaxis]
    count, height, width = layers.shape
    profile: dict[str, Any] = {"driver": "GTiff", "count": count, "height": height, "width": width, "nodata": nodata}
    if crs is not None:
        profile |= {"crs": crs, "transform": from_origin(*corner, gsd, gsd)}
    with rasterio.open(path, "w", dtype=layers.dtype, **profile) as raster:
        raster.write(layers)
    return path


def scene_layers(shape: tuple[int, int], *, seed: int = 0) -> NDArray[np.float32]:
    """Draw the reflectance of green, red and nir: noisy ground of 0.1, and a cloud of 0.7 in the left third."""
    height, width = shape
    values = 0.1 + np.random.default_rng(seed).normal(0, 0.01, (3, height, width))
    values[:, :, : width // 3] += 0.6
    return values.astype(np.float32)


def write_scene(
    path: Path,
    shape: tuple[int, int],
    *,
    seed: int = 0,
    corner: tuple[float, float] = CORNER,
    crs: str | None = UTM31,
) -> Path:
    """Write a scene as a GeoTIFF of 10 m with described bands."""
    write_raster(path, scene_layers(shape, seed=seed), corner=corner, crs=crs)
    with rasterio.open(path, "r+") as raster:
        raster.descriptions = ("green", "red", "nir")
    return path


def fmask_codes(shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Draw what Fmask says of ``scene_layers``: cloud in the left third, shadow in a column beside it."""
    codes = np.zeros(shape, np.uint8)
    third = shape[1] // 3
    codes[:, :third] = 4
    codes[:, third : third + 4] = 2
    return codes
