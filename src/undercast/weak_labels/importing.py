"""Importing: the mask of a processor becomes possible sets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast.errors import LabelError, UsageError
from undercast.grids import Grid
from undercast.postprocessing.morphology import disc
from undercast.types import Bool, UInt8
from undercast.weak_labels.borders import eroded
from undercast.weak_labels.failings import Failing, find_failings, left_open
from undercast.weak_labels.label_files import (
    LabelTarget,
    check_target,
    file_sha256,
    refuse_existing,
    strips,
    write_labels,
)
from undercast.weak_labels.mask_files import open_mask
from undercast.weak_labels.on_grid import zone_on_grid
from undercast.weak_labels.processors import find_processor
from undercast.weak_labels.rules import IGNORE, ProcessorMask


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """How a processor's mask is read."""

    failings: tuple[str, ...] = ()
    """What the processor is known to get wrong and what is therefore left open; see ``failings.FAILINGS``."""
    erode_m: float = 0.0
    """Pixels nearer than this to a contrary label are ignored, in metres."""
    ignore: tuple[Path, ...] = ()
    """Zones that are ignored: polygons (GeoJSON), or rasters that are not 0 there."""
    band: int = 1
    """First layer of the raster that holds the mask."""
    gsd: float | None = None
    """Side of a pixel in metres, where the mask is not georeferenced."""


def import_mask(
    stored: NDArray[np.number[Any]],
    processor: str | ProcessorMask,
    *,
    failings: Sequence[str] = (),
    erode_m: float = 0.0,
    pixel_m: tuple[float, float] | None = None,
    ignore: Bool | None = None,
) -> UInt8:
    """Read a processor's mask as possible sets.

    Args:
        stored: What the processor stores ``(y, x)``; fractions that are not finite are ignored.
        processor: Its name in ``processors.PROCESSORS``, or its table.
        failings: What it is known to get wrong, and what is therefore left open; ``all``: everything.
        erode_m: Pixels nearer than this to a contrary label are ignored, in metres.
        pixel_m: Height and width of a pixel, in metres; erosion and some failings need it.
        ignore: True where nothing is to be said.

    Returns:
        ``(y, x)``; bit k is set where the pixel can be class k, 0: ignored, 15: the processor cannot tell.

    Raises:
        SchemeError: If the processor is unknown.
        LabelError: If the mask holds what are not its codes, or the size of a pixel is needed and not told.
        UsageError: If the processor is not known for a failing, or the erosion is negative.
    """
    _refuse_radius(erode_m)
    product = find_processor(processor) if isinstance(processor, str) else processor
    given = np.isfinite(stored) if ignore is None else np.isfinite(stored) & ~ignore
    # What is ignored may hold any number; the first that is not stands in for it.
    codes = np.zeros(stored.shape, np.int64)
    codes[given] = product.codes(stored[given])
    sets = np.full(stored.shape, IGNORE, np.uint8)
    sets[given] = product.possible(codes[given])
    sets = left_open(sets, codes, product, find_failings(failings, product), pixel_m)
    if not erode_m:
        return sets
    if pixel_m is None:
        msg = "erosion: expected the size of a pixel in metres, got none. Give a georeferenced mask, or --gsd M."
        raise LabelError(msg)
    # What lies farther away than the array's diagonal lies outside it.
    return eroded(sets, disc(min(erode_m, _diagonal_m(stored.shape, pixel_m)), pixel_m))


def import_file(
    source: str,
    target: Path,
    processor: str,
    options: ImportOptions | None = None,
    *,
    software: str = "undercast",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Read a processor's mask from a file and write it as a raster of possible sets, strip by strip.

    Args:
        source: A raster, or a PROBA-V or SPOT-VGT product.
        target: GeoTIFF to write; a ``.json`` beside it says how it was made.
        processor: Name in ``processors.PROCESSORS``.
        options: How it is read.
        software: Name and version of what writes it, for the records.
        overwrite: Whether files that exist are replaced.

    Returns:
        What the JSON file says.

    Raises:
        SchemeError: If the processor is unknown.
        UsageError: If the target is no GeoTIFF, or what the labels are made of, or the erosion as wide as the mask.
        UndercastError: As ``import_mask``, ``mask_files.open_mask`` and ``label_files.write_labels`` do.
    """
    chosen = options or ImportOptions()
    check_target(target, (source, *chosen.ignore))
    product = find_processor(processor)
    failings = find_failings(chosen.failings, product)
    mask = open_mask(source, product, band=chosen.band)
    pixel_m = _pixel_m(mask.grid, chosen)
    if pixel_m is not None:
        _refuse_wide(chosen.erode_m, _diagonal_m(mask.grid.shape, pixel_m))
    labels = LabelTarget(path=target, grid=mask.grid, made_by=product.id, software=software, overwrite=overwrite)
    refuse_existing(labels)
    zones = [zone_on_grid(zone, mask.grid) for zone in chosen.ignore]
    about = {
        "source": source,
        "source_sha256": file_sha256(source),
        "processor": {"id": product.id, "title": product.title, "codes": product.source},
        "left_open": [{"id": each.id, "meaning": each.meaning, "source": each.source} for each in failings],
        "erode_m": chosen.erode_m,
        "ignore": [{"source": str(zone), "sha256": file_sha256(zone)} for zone in chosen.ignore],
    }

    def read(window_and_rows: tuple[Any, slice]) -> UInt8:
        window, rows = window_and_rows
        stored, given = mask.read(window)
        away = ~given
        for zone in zones:
            away |= zone(window)
        sets = import_mask(
            stored,
            product,
            failings=[each.id for each in failings],
            erode_m=chosen.erode_m,
            pixel_m=pixel_m,
            ignore=away,
        )
        return sets[rows]

    margin = _margin(failings, chosen.erode_m, pixel_m)
    return write_labels(labels, map(read, strips(mask.grid, margin=margin)), lambda: about)


def _refuse_radius(erode_m: float) -> None:
    if not (math.isfinite(erode_m) and erode_m >= 0):
        msg = f"expected an erosion of 0 metres or more, got {erode_m:g}."
        raise UsageError(msg)


def _refuse_wide(erode_m: float, diagonal_m: float) -> None:
    if erode_m >= diagonal_m:
        msg = f"expected an erosion below the mask's diagonal of {diagonal_m:g} m, got {erode_m:g}. Try --erode 60"
        raise UsageError(msg)


def _diagonal_m(shape: tuple[int, ...], pixel_m: tuple[float, float]) -> float:
    """Give the diagonal of an array, in metres: no two of its pixels are so far apart."""
    return math.hypot(shape[0] * pixel_m[0], shape[1] * pixel_m[1])


def _pixel_m(grid: Grid, options: ImportOptions) -> tuple[float, float] | None:
    _refuse_radius(options.erode_m)
    if options.gsd is not None and not (math.isfinite(options.gsd) and options.gsd > 0):
        msg = f"expected a pixel of more than 0 metres, got {options.gsd:g}."
        raise UsageError(msg)
    return grid.pixel_size_m or (None if options.gsd is None else (options.gsd, options.gsd))


def _margin(failings: Sequence[Failing], erode_m: float, pixel_m: tuple[float, float] | None) -> int:
    """Count the rows around a strip that its labels depend on: an opening looks twice as far as its disc."""
    if pixel_m is None:
        return 0
    widest = max((failing.radius_m for failing in failings), default=0.0)
    return 2 * (len(disc(widest, pixel_m)) // 2) + len(disc(erode_m, pixel_m)) // 2
