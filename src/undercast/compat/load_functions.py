"""Load functions of OmniCloudMask 1.8.1: a scene's path becomes an array and rasterio's profile of its grid."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling

from undercast.errors import UsageError
from undercast.readers import open_scene

Loaded: TypeAlias = tuple[NDArray[Any], Mapping[str, Any]]
"""Red, green and near infrared ``(3, y, x)``, and rasterio's profile of the grid."""


def load_s2(
    input_path: str | Path, resolution: float = 10.0, required_bands: Sequence[str] = ("B04", "B03", "B8A")
) -> Loaded:
    """Load bands of a Sentinel-2 L1C or L2A product, as reflectance; its offset is applied.

    Raises:
        UsageError: If the resolution is outside [10, 50] m; it is a ValueError.
        UndercastError: As ``open_scene`` does.
    """
    if not 10 <= resolution <= 50:
        msg = f"resolution must lie in [10, 50] m, got {resolution:g}."
        raise UsageError(msg)
    return _opened(input_path, bands=tuple(required_bands), resolution=resolution)


def load_ls8(
    input_path: str | Path, resolution: int = 30, required_bands: Sequence[str] = ("B4", "B3", "B5")
) -> Loaded:
    """Load bands of a Landsat product, as reflectance.

    Raises:
        UsageError: If the resolution is not 30 m; it is a ValueError.
        UndercastError: As ``open_scene`` does.
    """
    if resolution != 30:
        msg = f"resolution must be 30 m, got {resolution}."
        raise UsageError(msg)
    return _opened(input_path, bands=tuple(required_bands))


def load_multiband(
    input_path: str | Path, resample_res: float | None = None, band_order: Sequence[int] | None = None
) -> Loaded:
    """Load layers of a raster file as they are stored.

    Args:
        input_path: The file.
        resample_res: Pixel size to resample to, in the file's unit.
        band_order: Numbers, from 1, of red, green and near infrared; 1, 2, 3 with a warning unless given.
    """
    if band_order is None:
        warnings.warn("band_order is not given: layers 1, 2 and 3 are taken for red, green and nir", stacklevel=2)
        band_order = (1, 2, 3)
    with rasterio.open(input_path) as raster:
        rows, cols = (1.0, 1.0) if resample_res is None else (size / resample_res for size in reversed(raster.res))
        shape = (max(1, int(raster.height * rows)), max(1, int(raster.width * cols)))
        array = raster.read(list(band_order), out_shape=(len(band_order), *shape), resampling=Resampling.bilinear)
        profile = dict(raster.profile)
        profile["transform"] = raster.transform @ raster.transform.scale(
            raster.width / shape[1], raster.height / shape[0]
        )
    return array, profile


def _opened(path: str | Path, **options: Any) -> Loaded:
    """Open a product with undercast's own readers."""
    scene = open_scene(path, **options)
    profile = {"height": scene.grid.shape[0], "width": scene.grid.shape[1], "transform": scene.grid.transform}
    return scene.read(), {**profile, "crs": scene.grid.crs}
