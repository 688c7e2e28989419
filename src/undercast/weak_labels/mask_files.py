"""Mask files: the masks of processors, as they are stored."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RasterWindow

from undercast.errors import SceneError
from undercast.grids import Grid
from undercast.readers import open_scene, proba_v, spot_vgt
from undercast.readers.layers import read_header
from undercast.readers.planes import read_status
from undercast.types import Bool
from undercast.weak_labels.rules import ProcessorMask
from undercast.windows import Window

Stored: TypeAlias = NDArray[np.number[Any]]

STATUS_MAPS = {"proba-v-sm": proba_v, "spot-vgt-sm": spot_vgt}
"""Processor -> reader of the products that its mask lies in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskFile:
    """A processor's mask that has not been read."""

    grid: Grid
    """Its grid."""
    read: Callable[[Window], tuple[Stored, Bool]]
    """Gives a window as it is stored, and where the file does not declare it as nodata."""


def open_mask(source: str, product: ProcessorMask, *, band: int = 1) -> MaskFile:
    """Open a processor's mask: a raster, or a PROBA-V or SPOT-VGT product with a status map.

    Raises:
        SceneError: If it is missing or damaged.
        MissingDependencyError: If a product's format needs a library that is not installed.
    """
    reader = STATUS_MAPS.get(product.id)
    if reader is not None and reader.accepts(source):
        plane = reader.status_map(source)

        def status(window: Window) -> tuple[Stored, Bool]:
            return read_status(plane, window), np.ones(window.shape, np.bool_)

        return MaskFile(grid=open_scene(source).grid, read=status)
    grid = read_header(source).grid

    def raster(window: Window) -> tuple[Stored, Bool]:
        return read_mask(source, band=band, layers=product.layers, window=window)

    return MaskFile(grid=grid, read=raster)


def read_mask(
    source: str | Path, *, band: int = 1, layers: int = 1, window: Window | None = None
) -> tuple[Stored, Bool]:
    """Read a stored mask, and where the file does not declare it as nodata.

    Args:
        source: The raster.
        band: Its first layer that is read.
        layers: How many are read; where there are several, the k-th one that is not 0 sets bit k - 1.
        window: Part of it; everything unless told otherwise.

    Raises:
        SceneError: If the file cannot be read.
    """
    area = None if window is None else RasterWindow(window.col, window.row, window.width, window.height)
    wanted = list(range(band, band + layers))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(source) as raster:
                stored = raster.read(wanted, window=area)
                given = (raster.read_masks(wanted, window=area) != 0).any(axis=0)
    except (RasterioError, IndexError) as error:
        msg = f"expected a raster with a mask in band {band} at {source}, got: {error}."
        raise SceneError(msg) from error
    if layers == 1:
        return stored[0], given
    bits = (1 << np.arange(layers, dtype=np.uint16))[:, None, None]
    return np.asarray(((stored != 0) * bits).sum(axis=0)), given
