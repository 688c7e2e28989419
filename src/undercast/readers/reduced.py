"""Reduced: files finer than their scene, opened at its resolution; what the scene has no use for is not decoded."""

from __future__ import annotations

from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.dtypes import in_dtype_range
from rasterio.enums import MaskFlags, Resampling
from rasterio.vrt import WarpedVRT

from undercast.types import Bool

EDGE_PX = 2
"""Pixels beside missing data that a reduced resolution blends with it. The longer wavelet filter of JPEG 2000 reaches
four pixels of the finer level (ITU-T T.800, annex F), which are two of the coarser one."""


def open_reduced(path: str, shape: tuple[int, int], nodata: float | None) -> tuple[Any, int]:
    """Open a file at the resolution of a scene on the same ground; one that is not finer is opened as it is.

    The coarsest overview (in JPEG 2000: resolution level) that is fine enough is read; what is left to do is a mean of
    the pixels that have data.

    Args:
        path: As GDAL writes it.
        shape: Height and width of the scene, in pixels.
        nodata: Stored value without data, where there is one beside those that the file declares.

    Returns:
        Dataset, and how many pixels beside missing data are not to be trusted.
    """
    full = rasterio.open(path)
    if full.height <= shape[0] and full.width <= shape[1]:
        return full, 0
    scale = full.width / shape[1], full.height / shape[0]
    a, b, c, d, e, f = tuple(full.transform)[:6]
    transform = Affine(a * scale[0], b * scale[1], c, d * scale[0], e * scale[1], f)
    fine_enough = [level for level, factor in enumerate(full.overviews(1)) if factor <= min(scale)]
    if fine_enough:
        full.close()
    dataset = rasterio.open(path, overview_level=fine_enough[-1]) if fine_enough else full
    edge_px = EDGE_PX if fine_enough else 0
    if dataset.shape == shape or dataset.crs is None:
        return dataset, edge_px
    if nodata is not None and not in_dtype_range(nodata, dataset.dtypes[0]):
        nodata = None
    # GDAL's mean passes over one value alone: where two mean no data, pixels are taken and not mixed.
    two = None not in (dataset.nodata, nodata) and dataset.nodata != nodata
    nodata = nodata if dataset.nodata is None else dataset.nodata
    warped = WarpedVRT(
        dataset,
        crs=dataset.crs,
        transform=transform,
        height=shape[0],
        width=shape[1],
        resampling=Resampling.nearest if two else Resampling.average,
        src_nodata=nodata,
        nodata=nodata,
        # A mask of the whole file is seen by the mean, and told by alpha alone.
        add_alpha=_has_mask(dataset),
    )
    return warped, edge_px


def _has_mask(dataset: Any) -> bool:
    """Tell whether a mask that belongs to no layer, and is no alpha layer, hides pixels."""
    flags = dataset.mask_flag_enums[0]
    return MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags


def grown(mask: Bool, px: int) -> Bool:
    """Grow a mask ``(y, x)`` by some pixels in all eight directions."""
    for _ in range(px):
        for axis in (0, 1):
            rolled = np.moveaxis(mask.copy(), axis, 0)
            source = np.moveaxis(mask, axis, 0)
            rolled[1:] |= source[:-1]
            rolled[:-1] |= source[1:]
            mask = np.moveaxis(rolled, 0, axis)
    return mask
