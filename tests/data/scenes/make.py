"""Make small scenes: blue, green and red as a GeoTIFF, bright on the left and dark on the right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

GRID = Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0)
NAMES = ("blue", "green", "red")


def write_raster(
    path: Path,
    values: NDArray[Any],
    *,
    names: Sequence[str] | None = NAMES,
    transform: Affine = GRID,
    **profile: Any,
) -> Path:
    """Write ``(band, y, x)`` as a GeoTIFF with band descriptions; further words go into the profile."""
    scale = profile.pop("scale", None)
    described = {"driver": "GTiff", "crs": "EPSG:32631", "transform": transform, **profile}
    count, height, width = values.shape
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", count=count, height=height, width=width, dtype=values.dtype.name, **described
    ) as raster:
        raster.write(values)
        if scale is not None:
            raster.scales = (scale,) * count
        for number, name in enumerate(names or (), start=1):
            raster.set_band_description(number, name)
    return path


def half_cloudy(height: int = 64, width: int = 64) -> NDArray[np.float32]:
    """Give reflectance in three bands: the left half is bright (cloud), the right one is not (clear)."""
    values = np.full((3, height, width), 0.15, np.float32)
    values[:, :, : width // 2] = 0.9
    return values
