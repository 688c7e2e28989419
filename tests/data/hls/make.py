"""Make HLS scenes: one GeoTIFF per band, named and tagged as in version 2.0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

SCENE = "HLS.{kind}.T31TCJ.2024020T105341.v2.0"
BANDS = {"S30": ("B02", "B03", "B04", "B8A", "B11"), "L30": ("B02", "B03", "B04", "B05", "B06", "B09", "B10")}


def numbers(kind: str, band: str) -> np.ndarray:
    """Draw digital numbers of a band; the first row is fill."""
    values = np.random.default_rng(BANDS[kind].index(band)).integers(100, 6000, (8, 10)).astype(np.int16)
    values[0] = -9999
    return values


def write(folder: Path, kind: str = "S30", zenith: str = "65.5", **tags: str) -> Path:
    """Write a scene, whose last row Fmask calls fill; returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for band in BANDS[kind]:
        place = {"crs": "EPSG:32631", "transform": from_origin(300_000, 4_900_020, 30, 30)}
        path = folder / f"{SCENE.format(kind=kind)}.{band}.tif"
        profile = {"driver": "GTiff", "count": 1, "height": 8, "width": 10, "dtype": "int16", "nodata": -9999}
        with rasterio.open(path, "w", **profile, **place) as raster:
            raster.write(numbers(kind, band), 1)
            raster.update_tags(MEAN_SUN_ZENITH_ANGLE=zenith, MEAN_SUN_AZIMUTH_ANGLE="162.5", **tags)
    mask = np.zeros((8, 10), np.uint8)
    mask[7] = 255
    with rasterio.open(
        folder / f"{SCENE.format(kind=kind)}.Fmask.tif", "w", **profile | {"dtype": "uint8", "nodata": 255}, **place
    ) as raster:
        raster.write(mask, 1)
    return folder
