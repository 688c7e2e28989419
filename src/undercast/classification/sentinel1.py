"""Sentinel-1: VV and VH in decibels, read onto a window of an optical scene."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT

from undercast.classifier_spec import RADAR
from undercast.errors import BandError, GridError, SceneError
from undercast.grids import Grid
from undercast.types import Float32

SUFFIXES = (".tif", ".tiff")
"""Files of a folder that count."""

_POLARISATION = re.compile(r"(?:^|[_\-. ])(VV|VH)(?:$|[_\-. ])", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Radar:
    """Where the layers of a Sentinel-1 product lie."""

    layers: dict[str, tuple[str, int]]
    """``VV`` and ``VH`` -> file, and number of the layer in it."""

    def read(self, names: Sequence[str], grid: Grid, side: int) -> Float32:
        """Read layers over the ground of a grid, nearest neighbour.

        Args:
            names: ``VV`` and ``VH``, in the wanted order.
            grid: Of a window of the optical scene.
            side: Side of the result, in pixels.

        Returns:
            Backscatter in dB, ``(layer, side, side)``; NaN where there is no data.

        Raises:
            SceneError: If a file cannot be read.
            GridError: If the optical scene or the product is not georeferenced.
        """
        return np.stack([self._read(*self.layers[name], grid, side) for name in names])

    def _read(self, source: str, number: int, grid: Grid, side: int) -> Float32:
        a, b, c, d, e, f = grid.transform
        rows, cols = (length / side for length in grid.shape)
        transform = rasterio.Affine(a * cols, b * rows, c, d * cols, e * rows, f)
        try:
            with rasterio.open(source) as product:
                if grid.crs is None or product.crs is None:
                    msg = f"{source}: expected a georeferenced Sentinel-1 product, to lay it over the optical scene."
                    raise GridError(msg)
                place = {"crs": grid.crs, "transform": transform, "width": side, "height": side}
                how = {"resampling": Resampling.nearest, "nodata": np.nan, "dtype": "float32"}
                with WarpedVRT(product, **place, **how) as warped:
                    return np.asarray(warped.read(number), np.float32)
        except RasterioError as error:
            msg = f"{source} cannot be read: {' '.join(str(error).split())}."
            raise SceneError(msg) from error


def open_radar(path: str | Path) -> Radar:
    """Find VV and VH: in a folder with one file each (``..._VV.tif``), or in one file with layers of these names.

    Raises:
        SceneError: If the path is no folder and no raster.
        BandError: If one of them is missing, or there twice.
    """
    place = Path(path)
    found: dict[str, tuple[str, int]] = {}
    if place.is_dir():
        for file in sorted(place.iterdir()):
            match = _POLARISATION.search(file.stem)
            if match and file.suffix.lower() in SUFFIXES:
                _add(found, match[1].upper(), (str(file), 1), place)
    else:
        try:
            with rasterio.open(str(path)) as product:
                descriptions = product.descriptions
        except RasterioError as error:
            msg = f"{path}: expected a Sentinel-1 raster, or a folder with one: {' '.join(str(error).split())}."
            raise SceneError(msg) from error
        for number, text in enumerate(descriptions, start=1):
            match = _POLARISATION.search(text or "")
            if match:
                _add(found, match[1].upper(), (str(path), number), place)
    missing = [name for name in RADAR if name not in found]
    if missing:
        msg = (
            f"{path}: expected layers VV and VH, {' and '.join(missing)} missing. Name them in the files' names"
            " (_VV.tif) or in the layers' descriptions. A folder of several products needs --metadata."
        )
        raise BandError(msg)
    return Radar(layers=found)


def _add(found: dict[str, tuple[str, int]], name: str, layer: tuple[str, int], place: Path) -> None:
    if name in found:
        msg = f"{place}: expected one layer {name}, got two: {found[name][0]} and {layer[0]}."
        raise BandError(msg)
    found[name] = layer


def patch_radar(folder: Path, name: str) -> Radar:
    """Find the Sentinel-1 part of a BigEarthNet patch in the data set's folder.

    Args:
        folder: ``BigEarthNet-S1``, or one product's folder in it.
        name: Name of the Sentinel-1 part.

    Raises:
        SceneError: If it is not there.
        BandError: If it lacks VV or VH.
    """
    product = name.rsplit("_", 3)[0]
    for place in (folder / name, folder / product / name):
        if place.is_dir() and Path(name).name == name:
            return open_radar(place)
    msg = f"{folder}: expected the Sentinel-1 patch {name}, in {product} or directly. Give the folder BigEarthNet-S1."
    raise SceneError(msg)
