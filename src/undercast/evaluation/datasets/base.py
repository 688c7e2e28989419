"""What the data sets share: sets of classes, rasters without their georeference, and references made of arrays."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from undercast.bands import Band
from undercast.classes import CLEAR, CLOUD_SHADOW, THICK_CLOUD, THIN_CLOUD
from undercast.errors import EvaluationError, GridError, SceneError, SensorError
from undercast.evaluation.references import check_codes
from undercast.grids import Grid
from undercast.radiometry import Scaling
from undercast.readers.layers import unit_of
from undercast.readers.mtl import read_mtl
from undercast.scene import Scene, scene_from_array
from undercast.sensors import load_sensor
from undercast.types import Bool, Float32, UInt8

CLEAR_BIT, THICK_BIT, THIN_BIT, SHADOW_BIT = (1 << value for value in (CLEAR, THICK_CLOUD, THIN_CLOUD, CLOUD_SHADOW))
CLOUD_BITS = THICK_BIT | THIN_BIT
"""Possible set of a cloud whose thickness is not told."""
CLEAR_OR_SHADOW = CLEAR_BIT | SHADOW_BIT
"""Possible set of what is no cloud, where shadows are not labelled."""

SENTINEL2_BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
"""Bands of level 1C in the order in which data sets hold them."""

LONGEST_SIDE = 20_000
"""Rows or columns of a raster above which it is no part of these data sets."""


def sensor_bands(sensor: str, names: Sequence[str]) -> tuple[Band, ...]:
    """Give bands of a sensor by its own names."""
    table = load_sensor(sensor)
    found = [table.band(name) for name in names]
    if None in found:
        msg = f"{sensor} has no band {names[found.index(None)]}."
        raise SensorError(msg)
    return tuple(band for band in found if band is not None)


def possible_of(codes: UInt8, table: Mapping[int, int], *, name: str, what: str) -> UInt8:
    """Read codes as possible sets.

    Args:
        codes: ``(y, x)``.
        table: Code -> possible set; 0: ignore.
        name: File, for messages.
        what: Data set, for messages.

    Raises:
        EvaluationError: If there are other codes.
    """
    check_codes(codes, set(table), name=name, what=what)
    sets = np.zeros(256, np.uint8)
    sets[list(table)] = list(table.values())
    return sets[codes]


def read_raster(path: Path) -> tuple[NDArray[Any], Grid]:
    """Read all layers of a raster ``(layer, y, x)`` and its grid.

    Raises:
        EvaluationError: If it cannot be read, or is larger than ``LONGEST_SIDE``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as raster:
                if max(raster.shape) > LONGEST_SIDE:
                    msg = f"{path}: expected at most {LONGEST_SIDE} rows and columns, got {raster.shape}."
                    raise EvaluationError(msg)
                grid = Grid(
                    shape=raster.shape,
                    transform=tuple(raster.transform)[:6],
                    crs=raster.crs.to_wkt() if raster.crs else None,
                    geographic=bool(raster.crs and raster.crs.is_geographic),
                    unit_m=unit_of(raster.crs),
                )
                return raster.read(), grid
    except RasterioError as error:
        msg = f"{path} cannot be read; it may be truncated or missing: {' '.join(str(error).split())}."
        raise EvaluationError(msg) from error


def read_codes(path: Path) -> tuple[UInt8, Grid]:
    """Read the first layer of a raster as codes of 0 to 255, and its grid.

    Raises:
        EvaluationError: If it cannot be read, or holds other values.
    """
    layers, grid = read_raster(path)
    codes = layers[0].astype(np.uint8)
    if not np.array_equal(codes, layers[0]):
        msg = f"{path}: expected codes of 0 to 255, got {layers[0].min()} to {layers[0].max()}."
        raise EvaluationError(msg)
    return codes, grid


def toa_scene(
    reflectance: Float32, bands: Sequence[Band], *, name: str, empty: Bool, grid: Grid | None = None
) -> Scene:
    """Make a scene of top-of-atmosphere reflectance.

    Args:
        reflectance: ``(band, y, x)``.
        bands: One per layer.
        name: Name of the scene.
        empty: True where there is no data, ``(y, x)``.
        grid: Grid, where the data set has kept it.
    """
    return scene_from_array(reflectance, bands, name=name, valid=~empty, level="toa", grid=grid)


def labels_where(possible: UInt8, empty: Bool, *, name: str) -> UInt8:
    """Take the labels off pixels without data.

    Raises:
        GridError: If labels and pixels differ in shape.
    """
    if possible.shape != empty.shape:
        msg = f"{name}: expected labels of {empty.shape} px as the bands, got {possible.shape}."
        raise GridError(msg)
    return np.where(empty, np.uint8(0), possible)


def mtl_scalings(path: Path, bands: Sequence[str]) -> list[Scaling]:
    """Read from a Landsat MTL file how level 1 becomes reflectance, corrected for the sun's elevation.

    Raises:
        EvaluationError: If the file cannot be read or lacks a number.
    """
    try:
        mtl = read_mtl(path.read_bytes(), suffix=path.suffix, origin=str(path))
        elevation = mtl.number("SUN_ELEVATION")
        numbers = [
            [mtl.number(f"REFLECTANCE_{kind}_BAND_{band.removeprefix('B')}") for kind in ("MULT", "ADD")]
            for band in bands
        ]
    except SceneError as error:
        raise EvaluationError(str(error)) from error
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}."
        raise EvaluationError(msg) from error
    if not 0 < elevation <= 90:
        msg = f"{path}: expected SUN_ELEVATION above 0, got {elevation:g}."
        raise EvaluationError(msg)
    height = math.sin(math.radians(elevation))
    return [Scaling(scale=scale / height, offset=offset / height) for scale, offset in numbers]
