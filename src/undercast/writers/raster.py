"""Raster: rows of pixels gathered in a plain file, then copied to a cloud-optimised GeoTIFF.

The rows are appended by Python and not by GDAL: a full disk is then reported where it happens, where GDAL's
writers may stay silent until the end, and at it. A virtual raster (VRT) beside the plain file gives GDAL the
grid, colours and tags, which are known only when the last row is. What the system refuses is raised as it
comes: OSError, or what rasterio makes of it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as ET

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

from undercast.classes import ClassScheme
from undercast.errors import OutputError
from undercast.grids import Grid
from undercast.prediction import PredictionHeader
from undercast.types import Compression, UInt8
from undercast.writers.style import color_table, stored_nodata

BLOCK = 512
"""Side of a block of the GeoTIFFs, in pixels."""

CACHE_BYTES = 32 * 1024 * 1024
"""Memory for GDAL's blocks; its default of 5 % of the machine's memory can be more than all the rest."""

FAST = {"deflate": 1, "zstd": 1}
"""Effort of compression; a class map takes a sixth more room than with GDAL's own effort, in a third of the time."""

ROWS_AT_ONCE = 64
"""Rows that are turned to the file's order at once."""

GDAL_TYPES = {"uint8": "Byte", "float32": "Float32"}
"""Our data types -> GDAL's names."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layers:
    """What one file holds, but its pixels."""

    dtype: Literal["uint8", "float32"]
    """Data type."""
    descriptions: tuple[str, ...]
    """Description of each layer."""
    nodata: float | None
    """Stored value of a pixel without data."""
    colors: UInt8 | None = None
    """Red, green, blue and alpha of each value, ``(256, 4)``."""
    layer_tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of the first layer."""


def class_map_layers(scheme: ClassScheme) -> Layers:
    """Describe a class map in a scheme."""
    legend = ", ".join(f"{entry.value} {entry.title.lower()}" for entry in scheme.classes)
    return Layers(
        dtype="uint8",
        descriptions=(f"class map ({scheme.id}: {legend})",),
        nodata=stored_nodata(scheme),
        colors=color_table(scheme),
        layer_tags={f"CLASS_{entry.value}": entry.title for entry in scheme.classes},
    )


def probability_layers(header: PredictionHeader) -> Layers:
    """Describe the class probabilities, one layer per class."""
    return Layers(dtype="float32", descriptions=header.classes, nodata=float("nan"))


def uncertainty_layers(header: PredictionHeader) -> Layers:
    """Describe the uncertainty; the description names its kind."""
    return Layers(dtype="float32", descriptions=(f"uncertainty ({header.uncertainty_kind})",), nodata=float("nan"))


class RowFile:
    """A plain file of rows that grows downwards; each row holds its layers one after the other."""

    def __init__(self, path: Path, layers: Layers, width: int) -> None:
        """Start an empty file."""
        self.path = path
        self.layers = layers
        self.width = width
        self.height = 0
        self._file = path.open("wb")

    def append(self, values: NDArray[np.generic]) -> None:
        """Append rows ``(layer, rows, width)``."""
        stored = np.dtype(self.layers.dtype).newbyteorder("<")
        for first in range(0, values.shape[1], ROWS_AT_ONCE):
            rows = values[:, first : first + ROWS_AT_ONCE].transpose(1, 0, 2)
            self._file.write(np.ascontiguousarray(rows, stored).data)
        self.height += values.shape[1]

    def close(self) -> None:
        """Write the last rows and close the file."""
        self._file.close()

    def discard(self) -> None:
        """Close the file where its rows no longer matter."""
        with suppress(OSError):
            self._file.close()


def write_cog(rows: RowFile, target: Path, *, grid: Grid, tags: Mapping[str, str], compress: Compression) -> None:
    """Copy rows to a cloud-optimised GeoTIFF, read it back once, and remove the rows.

    Args:
        rows: Closed file of rows; its folder takes the VRT and GDAL's temporary files.
        target: File to make.
        grid: Grid of the rows; one that is not georeferenced stays so.
        tags: Tags of the file.
        compress: Compression.

    Raises:
        OutputError: If what is read back is not what was written.
    """
    vrt = rows.path.with_suffix(".vrt")
    is_class_map = rows.layers.dtype == "uint8"
    smaller = _smaller(rows) if is_class_map else []
    vrt.write_text(_vrt(rows, grid, tags, smaller), encoding="utf-8")
    with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES):
        rasterio.shutil.copy(
            str(vrt),
            str(target),
            driver="COG",
            BLOCKSIZE=BLOCK,
            COMPRESS=compress.upper(),
            **({"LEVEL": FAST[compress]} if compress in FAST else {}),
            PREDICTOR="NO" if is_class_map else "YES",
            OVERVIEW_RESAMPLING="NEAREST" if is_class_map else "AVERAGE",
            BIGTIFF="IF_SAFER",
            NUM_THREADS="ALL_CPUS",
        )
        _read_back(target, rows)
    for path in (vrt, rows.path, *smaller, *(one.with_suffix(".rows") for one in smaller)):
        path.unlink()


def _smaller(rows: RowFile) -> list[Path]:
    """Write a class map at half its resolution, a quarter and so on, as GDAL would, in a fifth of its time.

    Returns:
        What describes each of them to GDAL.
    """
    described: list[Path] = []
    larger = rows
    while max(larger.height, larger.width) > BLOCK:
        half = RowFile(rows.path.with_suffix(f".{len(described)}.rows"), rows.layers, max(larger.width // 2, 1))
        lines, columns = _every_other(larger.height), _every_other(larger.width)
        # A slice is several times faster than places.
        across = slice(None, None, 2) if larger.width == 2 * half.width else columns
        with larger.path.open("rb") as file:
            for first in range(0, len(lines), ROWS_AT_ONCE):
                here = lines[first : first + ROWS_AT_ONCE]
                file.seek(int(here[0]) * larger.width)
                part = np.frombuffer(file.read(int(here[-1] + 1 - here[0]) * larger.width), np.uint8)
                half.append(part.reshape(-1, larger.width)[here - here[0]][np.newaxis, :, across])
        half.close()
        described.append(half.path.with_suffix(".vrt"))
        described[-1].write_text(_vrt(half, Grid(shape=(half.height, half.width)), {}), encoding="utf-8")
        larger = half
    return described


def _read_back(path: Path, rows: RowFile) -> None:
    """Decode every block: GDAL's copy may not report what the system refused as the file was closed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        source = rasterio.open(path)
    with source:
        found = (source.count, source.height, source.width)
        expected = (len(rows.layers.descriptions), rows.height, rows.width)
        if found != expected:
            raise OutputError(f"expected (layers, rows, columns) {expected} in {path.name}, read {found} back.")
        for _, window in source.block_windows(1):
            source.read(window=window)


def _every_other(length: int) -> NDArray[np.intp]:
    """Choose half of the places along a side, as GDAL's nearest neighbour does where it is odd, too."""
    half = max(length // 2, 1)
    return np.minimum((np.arange(half) * (length / half) + 0.5).astype(np.intp), length - 1)


def _vrt(rows: RowFile, grid: Grid, tags: Mapping[str, str], smaller: Sequence[Path] = ()) -> str:
    """Describe the plain file to GDAL; see https://gdal.org/en/stable/drivers/raster/vrt.html."""
    root = ET.Element("VRTDataset", rasterXSize=str(rows.width), rasterYSize=str(rows.height))
    if grid.crs is not None:
        ET.SubElement(root, "SRS").text = grid.crs
    if grid.crs is not None or grid.transform != Grid(shape=grid.shape).transform:
        a, b, c, d, e, f = grid.transform
        ET.SubElement(root, "GeoTransform").text = ", ".join(repr(float(value)) for value in (c, a, b, f, d, e))
    _add_tags(root, tags)
    for index in range(len(rows.layers.descriptions)):
        _add_layer(root, rows, index, smaller)
    return ET.tostring(root, encoding="unicode")


def _add_layer(root: ET.Element, rows: RowFile, index: int, smaller: Sequence[Path]) -> None:
    layers = rows.layers
    size = np.dtype(layers.dtype).itemsize
    band = ET.SubElement(
        root,
        "VRTRasterBand",
        dataType=GDAL_TYPES[layers.dtype],
        band=str(index + 1),
        subClass="VRTRawRasterBand",
    )
    ET.SubElement(band, "Description").text = layers.descriptions[index]
    if index == 0:
        _add_tags(band, layers.layer_tags)
    if layers.nodata is not None:
        ET.SubElement(band, "NoDataValue").text = f"{layers.nodata:g}"
    if layers.colors is not None:
        ET.SubElement(band, "ColorInterp").text = "Palette"
        table = ET.SubElement(band, "ColorTable")
        for red, green, blue, alpha in layers.colors.tolist():
            ET.SubElement(table, "Entry", c1=str(red), c2=str(green), c3=str(blue), c4=str(alpha))
    ET.SubElement(band, "SourceFilename", relativetoVRT="1").text = rows.path.name
    ET.SubElement(band, "ImageOffset").text = str(index * rows.width * size)
    ET.SubElement(band, "PixelOffset").text = str(size)
    ET.SubElement(band, "LineOffset").text = str(len(layers.descriptions) * rows.width * size)
    ET.SubElement(band, "ByteOrder").text = "LSB"
    for path in smaller:
        overview = ET.SubElement(band, "Overview")
        ET.SubElement(overview, "SourceFilename", relativeToVRT="1").text = path.name
        ET.SubElement(overview, "SourceBand").text = str(index + 1)


def _add_tags(parent: ET.Element, tags: Mapping[str, str]) -> None:
    metadata = ET.SubElement(parent, "Metadata")
    for key, text in tags.items():
        ET.SubElement(metadata, "MDI", key=key).text = text
