"""Label files: possible sets as rasters, each with a JSON file beside it that says how they were made."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast.classes import CLASS_NAMES, load_scheme
from undercast.errors import LabelError, OutputExistsError, UsageError
from undercast.grids import Grid
from undercast.readers.layers import read_header, read_tags
from undercast.types import UInt8
from undercast.weak_labels.on_grid import CodesOnGrid
from undercast.weak_labels.rules import IGNORE, OPEN
from undercast.windows import Window
from undercast.writers.raster import Layers, RowFile, write_cog
from undercast.writers.staging import output_errors, publish, staging

STRIP_ROWS = 512
"""Rows that are worked on at once."""

ENDINGS = (".tif", ".tiff")
"""How the names of rasters of possible sets end."""

LABELS_TAG = "UNDERCAST_LABELS"
"""Tag of a raster of possible sets; its value is who made them."""

SET_LAYERS = Layers(
    dtype="uint8",
    descriptions=("possible sets (1 clear + 2 thick cloud + 4 thin cloud + 8 cloud shadow; 0 ignored)",),
    nodata=IGNORE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFile:
    """Labels that have not been read: possible sets, or a class map in a scheme."""

    path: Path
    """The raster."""
    grid: Grid
    """Its grid."""
    made_by: str
    """Who made the labels, for the records."""
    scheme: str | None = None
    """Class scheme of a class map; None: the raster holds possible sets."""

    def read(self, window: Window, grid: Grid | None = None) -> UInt8:
        """Read possible sets in a window of a grid, the labels' own unless told otherwise.

        Raises:
            SceneError: If the raster cannot be read.
            GridError: If the grids do not fit.
            LabelError: If it holds what are no possible sets, or no codes of the scheme.
        """
        values, told = CodesOnGrid(source=self.path, grid=grid or self.grid)(window)
        known = range(OPEN + 1) if self.scheme is None else _codes(self.scheme)
        self._refuse_unknown(values[told], known)
        sets = np.where(told, values, IGNORE).astype(np.uint8)
        if self.scheme is not None:
            sets = load_scheme(self.scheme).possible_sets(sets)
            sets[~told] = IGNORE
        return sets

    def _refuse_unknown(self, values: NDArray[Any], known: Iterable[int]) -> None:
        wanted = sorted(known)
        unknown = np.setdiff1d(values, wanted)
        if unknown.size:
            what = "possible sets" if self.scheme is None else f"codes of scheme {self.scheme}"
            came = ", ".join(map(str, unknown[:5]))
            msg = f"{self.path}: expected {what} ({', '.join(map(str, wanted))}), got {came}."
            raise LabelError(msg)


def _codes(scheme: str) -> set[int]:
    table = load_scheme(scheme)
    return {entry.value for entry in table.classes} | {table.nodata}


def open_labels(path: Path, *, scheme: str | None = None) -> LabelFile:
    """Open a raster of possible sets, or a class map where a scheme is given.

    Raises:
        SceneError: If it is missing or damaged.
        LabelError: If it holds no possible sets and no scheme is given.
        SchemeError: If the scheme is unknown.
    """
    grid = read_header(str(path)).grid
    made_by = read_tags(str(path)).get(LABELS_TAG)
    if made_by is not None:
        return LabelFile(path=path, grid=grid, made_by=made_by)
    if scheme is None:
        msg = (
            f"{path}: expected possible sets, got another raster."
            " Make them with `undercast labels import`; `undercast chips make --scheme ID` takes class maps."
        )
        raise LabelError(msg)
    return LabelFile(path=path, grid=grid, made_by=f"class map ({load_scheme(scheme).id})", scheme=scheme)


def strips(grid: Grid, *, margin: int = 0) -> Iterator[tuple[Window, slice]]:
    """Cut a grid into strips of rows.

    Args:
        grid: The grid.
        margin: Rows above and below that a strip needs to see.

    Yields:
        The window to read, and the rows of it that the strip is.
    """
    height, width = grid.shape
    for first in range(0, height, STRIP_ROWS):
        last = min(first + STRIP_ROWS, height)
        top, bottom = max(first - margin, 0), min(last + margin, height)
        yield Window(row=top, col=0, height=bottom - top, width=width), slice(first - top, last - top)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelTarget:
    """Where labels are written."""

    path: Path
    """The raster; what is said of it goes into a file of the same name that ends in ``.json``."""
    grid: Grid
    """Its grid."""
    made_by: str
    """Who made the labels."""
    software: str
    """Name and version of what writes them."""
    overwrite: bool = False
    """Whether files that exist are replaced."""

    @property
    def notes(self) -> Path:
        """The file that says how the labels were made."""
        return self.path.with_suffix(".json")


def check_target(path: Path, sources: Iterable[str | Path]) -> None:
    """Refuse a place for labels before anything is read: it must be a GeoTIFF's, and lose none of the sources.

    Args:
        path: The raster to write; a file of the same name that ends in ``.json`` goes beside it.
        sources: What the labels are made of.

    Raises:
        UsageError: If it is none.
    """
    if path.suffix.lower() not in ENDINGS:
        way_out = f"Try {path.stem or 'labels'}.tif"
        msg = f"expected an output that ends in {' or '.join(ENDINGS)}, got {str(path)!r}. {way_out}"
        raise UsageError(msg)
    for source in map(Path, sources):
        for written in (path, path.with_suffix(".json")):
            if source.exists() and written.exists() and written.samefile(source):
                msg = f"expected an output other than its input, got {source}, which would be lost. Take another name."
                raise UsageError(msg)


def write_labels(target: LabelTarget, sets: Iterable[UInt8], about: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Write possible sets, strip by strip, and how they were made; both files appear, or none.

    Args:
        target: Where.
        sets: Strips from top to bottom, each ``(rows, width)``.
        about: Gives what is said about them, after the last strip.

    Returns:
        What the JSON file says.

    Raises:
        OutputExistsError: If a file exists and may not be replaced.
        OutputError: If the files cannot be written.
    """
    refuse_existing(target)
    counts = np.zeros(OPEN + 1, np.int64)
    with staging(target.path.parent, target.path.name) as stage, output_errors(target.path):
        with closing(RowFile(stage / "labels.rows", SET_LAYERS, target.grid.shape[1])) as rows:
            for strip in sets:
                counts += np.bincount(strip.ravel(), minlength=OPEN + 1)
                rows.append(strip[np.newaxis])
        tags = {LABELS_TAG: target.made_by, "TIFFTAG_SOFTWARE": target.software}
        write_cog(rows, stage / target.path.name, grid=target.grid, tags=tags, compress="deflate")
        notes = {
            "labels": target.path.name,
            "made_by": target.made_by,
            "software": target.software,
            **about(),
            "pixels": {set_name(value): int(count) for value, count in enumerate(counts) if count},
        }
        (stage / target.notes.name).write_text(json.dumps(notes, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        publish(stage, [target.path, target.notes])
    return notes


def refuse_existing(target: LabelTarget) -> None:
    """Refuse to go on where a file exists already.

    Raises:
        OutputExistsError: If one does.
    """
    for path in (target.path, target.notes):
        if not target.overwrite and os.path.lexists(path):
            msg = f"{path} exists already. Use --overwrite, or another name."
            raise OutputExistsError(msg)


def set_name(value: int) -> str:
    """Name a possible set: ``thick_cloud or thin_cloud``, ``ignored``, ``open``."""
    if value == IGNORE:
        return "ignored"
    if value == OPEN:
        return "open"
    return " or ".join(name for bit, name in enumerate(CLASS_NAMES) if value >> bit & 1)


def file_sha256(source: str | Path) -> str | None:
    """Give the SHA-256 of a file in hexadecimal; None where the source is not a file on this machine."""
    path = Path(source)
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
