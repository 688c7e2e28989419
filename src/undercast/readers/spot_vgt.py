"""SPOT-VEGETATION P (top of atmosphere) and S (synthesis, surface) products: a folder with one file per variable.

Files are HDF4, or converted to GeoTIFF, NetCDF-4 or HDF5 under the same names.
Source: SPOT-VGT Products User Manual v1.3 (Terrascope); spot-vegetation.com user guide, product format.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast.errors import SceneError
from undercast.grids import Grid
from undercast.radiometry import Scaling
from undercast.readers.base import OpenOptions, chosen_bands, list_folder, record
from undercast.readers.hdf import Plane, read_plane_header
from undercast.readers.planes import (
    CLEAR,
    CLOUD,
    SHADOW,
    SNOW,
    UNKNOWN,
    Coding,
    PlanePixels,
    as_number,
    check_shapes,
    degrees_grid,
    plane_band,
    positive,
    read_quality,
    sensor_bands,
    sun_angles,
    value_at_centre,
)
from undercast.scene import Scene, SunAngles
from undercast.sensors import load_sensor
from undercast.types import ProductLevel, UInt8

GOOD_BITS = {"B0": 1 << 7, "B2": 1 << 6, "B3": 1 << 5, "MIR": 1 << 4}
"""Bit of the status map that is set where a band's radiometry is good."""
REFLECTANCE = Coding(scaling=Scaling(scale=0.0005))
"""How bands are stored. No value means no data: what no view covered is 0 with all bands called bad."""
ZENITH = Coding(scaling=Scaling(scale=0.5), nodata=(255.0,))
"""How zenith angles are stored, in degrees; 180 is the largest stored value that is one."""
AZIMUTH = Coding(scaling=Scaling(scale=1.5), nodata=(255.0,))
"""How azimuth angles are stored, in degrees; 240 is the largest stored value that is one."""
STEP = 1 / 112
"""Step of the grid, in degrees, where the LOG does not say it."""
LARGEST_MISFIT_PX = 2.0
"""Pixels by which the corners of a LOG may miss the shape of the files."""
LARGEST_LOG = 2**20
"""Bytes above which a file is not taken for a product's LOG."""

_FILE = re.compile(r"^(V\d{12}|\d{4})_(?P<variable>[A-Z0-9]+)(\.(?P<suffix>[A-Za-z0-9]+))?$")
_FOLDER = re.compile(r"^V(?P<number>[12])(?P<station>[A-Z]{3})(?P<kind>[PS])")
_SUFFIXES = {None, "HDF", "HDF4", "HDF5", "H5", "NC", "TIF", "TIFF"}
_CODES = (CLEAR, SHADOW, UNKNOWN, CLOUD)
"""Meaning of bits 1-0: 00 clear, 01 shadow, 10 uncertain, 11 cloud."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Product:
    """A folder and what its names and its LOG say."""

    folder: Path
    """Folder as it was given."""
    files: Mapping[str, Path]
    """Variable -> file."""
    log: Mapping[str, str]
    """Keys of the LOG."""

    def plane(self, variable: str) -> Plane:
        """Find a variable's file.

        Raises:
            SceneError: If there is none.
        """
        if variable not in self.files:
            msg = f"{self.folder}: expected a file of {variable}, got {', '.join(self.files)}. Is the product complete?"
            raise SceneError(msg)
        return Plane(source=str(self.files[variable]))


def accepts(source: str) -> bool:
    """Tell whether a source is a folder with VGT files, or with a folder ``0001`` of them."""
    if not Path(source).is_dir():
        return False
    return {"B0", "LOG"} <= _files(Path(source)).keys()


def _files(folder: Path) -> dict[str, Path]:
    """List variables and their files; the classic layout keeps them in a folder ``0001``."""
    inner = folder / "0001"
    found = {}
    for path in list_folder(inner if inner.is_dir() else folder):
        match = _FILE.match(path.name.upper())
        if match is None or not path.is_file():
            continue
        variable, suffix = match["variable"], match["suffix"]
        if suffix in _SUFFIXES or (variable == "LOG" and suffix == "TXT"):
            # Converted files sort after .HDF and win over it: they can be read everywhere.
            found[variable] = path
    return found


def open(source: str, options: OpenOptions) -> Scene:  # noqa: A001 (the protocol's name)
    """Open a folder of VGT files; a band has no data where the status map calls its radiometry bad.

    Raises:
        SceneError: If a file is missing or damaged, or the LOG does not say the place.
        GridError: If its files have different shapes.
        BandError: If a wanted band is missing.
        MissingDependencyError: If the files are HDF4 and pyhdf is not installed.
    """
    product = _read_product(source)
    planes = {name: product.plane(name) for name in GOOD_BITS}
    status = product.plane("SM")
    headers = {name: read_plane_header(plane) for name, plane in {**planes, "SM": status}.items()}
    check_shapes(headers, what=source)
    grid = _grid(product, headers["B0"].shape)
    sensor = options.sensor or load_sensor(_sensor(product))
    offered = sensor_bands(sensor, list(planes), grid, what=source)
    layers = [
        plane_band(planes[name], band, REFLECTANCE, options, good=GOOD_BITS[name])
        for name, band in zip(planes, offered, strict=True)
    ]
    chosen = [layers[place] for place in chosen_bands(offered, options, what=source, sensor=sensor)]
    return Scene(
        name=options.name or product.folder.name,
        bands=tuple(layer.band for layer in chosen),
        grid=grid,
        pixels=PlanePixels(bands=tuple(chosen), status=status),
        level=options.level or _level(product),
        sensor=sensor.id,
        acquired=_acquired(product),
        sun=_sun(product),
        provenance=record(
            source=source,
            bands_from="SPOT-VGT file names",
            scaling_from="caller" if options.scaling is not None else "format",
        ),
    )


def quality(source: str) -> UInt8:
    """Read what the producer's status map says of each pixel.

    Returns:
        ``(y, x)``: 0 clear, 1 cloud, 2 cloud shadow, 3 snow or ice, 255 uncertain or without a good band.

    Raises:
        SceneError: If the status map is missing or damaged.
        MissingDependencyError: If it is HDF4 and pyhdf is not installed.
    """
    return read_quality(status_map(source), decode_status)


def status_map(source: str) -> Plane:
    """Find the producer's status map, as it is stored.

    Raises:
        SceneError: If it is missing.
    """
    return _read_product(source).plane("SM")


def decode_status(status: NDArray[np.integer[Any]]) -> UInt8:
    """Read a status map's bits 1-0 (clouds) and 2 (snow) as a quality map of the same shape.

    Snow counts where no cloud or shadow is told; PROBA-V has one code of three bits for all of them instead.
    """
    classes: UInt8 = np.array(_CODES, np.uint8)[status & 0b11]
    classes[(status & 0b111) == 0b100] = SNOW
    classes[(status & sum(GOOD_BITS.values())) == 0] = UNKNOWN
    return classes


def _read_product(source: str) -> _Product:
    files = _files(Path(source))
    log = files.pop("LOG", None)
    if log is None:
        msg = f"{source}: expected a LOG beside the bands, got {', '.join(files) or 'none of a VGT product'}."
        raise SceneError(msg)
    return _Product(folder=Path(source).resolve(), files=files, log=_read_log(log))


def _read_log(path: Path) -> dict[str, str]:
    """Read lines of a key and a value.

    Raises:
        SceneError: If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_LOG).decode("latin-1")
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}."
        raise SceneError(msg) from error
    pairs = (line.split(maxsplit=1) for line in text.splitlines())
    return {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}


def _grid(product: _Product, shape: tuple[int, int]) -> Grid:
    """Read the corners' places, which are the centres of the corner pixels or their outer edges, by product.

    The map projection's resolution says which: the corners lie one pixel less apart where they are centres.
    """
    keys = ("CARTO_LOWER_LEFT_X", "CARTO_LOWER_LEFT_Y", "CARTO_UPPER_RIGHT_X", "CARTO_UPPER_RIGHT_Y")
    what = f"{product.folder.name}: LOG"
    west, south, east, north = (as_number(product.log.get(key), key, what=what) for key in keys)
    resolution = product.log.get("MAP_PROJ_RESOLUTION")
    step = STEP if resolution is None else as_number(resolution.split()[0], "MAP_PROJ_RESOLUTION", what=what)
    step = positive(step, "MAP_PROJ_RESOLUTION", what=what)
    height, width = shape
    missing = max(abs(width - (east - west) / step), abs(height - (north - south) / step))
    if missing > LARGEST_MISFIT_PX:
        msg = (
            f"{what}: expected corners that fit {height} x {width} px of {step:g} degrees,"
            f" got {west:g} to {east:g} and {south:g} to {north:g}."
        )
        raise SceneError(msg)
    shift = 0.5 if missing > 0.5 else 0.0
    return degrees_grid(shape, (west - shift * step, north + shift * step), (step, step))


def _sensor(product: _Product) -> str:
    name = _FOLDER.match(product.folder.name.upper())
    number = name["number"] if name is not None else re.sub(r"\D", "", product.log.get("SATELLITE", ""))[-1:]
    # VGT1 flew on SPOT-4, VGT2 on SPOT-5.
    sensors = {"1": "spot-vgt-1", "4": "spot-vgt-1", "2": "spot-vgt-2", "5": "spot-vgt-2"}
    if number not in sensors:
        msg = f"{product.folder}: expected a name like V1KRNP____19990110F165, or SATELLITE in its LOG. Say --sensor."
        raise SceneError(msg)
    return sensors[number]


def _level(product: _Product) -> ProductLevel | None:
    """Tell P from S by the folder's name, else by the LOG; None where neither says it."""
    name = _FOLDER.match(product.folder.name.upper())
    kind = name["kind"] if name is not None else product.log.get("PRODUCT_TYPE", "")[:1].upper()
    levels: dict[str, ProductLevel] = {"P": "toa", "S": "surface"}
    return levels.get(kind)


def _acquired(product: _Product) -> datetime | None:
    """Read when a segment began; a synthesis has no time of acquisition."""
    text = product.log.get("SEGM_FIRST_DATE", "") + product.log.get("SEGM_FIRST_TIME", "")
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _sun(product: _Product) -> SunAngles | None:
    if not {"SZA", "SAA"} <= product.files.keys():
        return None
    zenith = value_at_centre(product.plane("SZA"), lambda *_, **__: ZENITH)
    azimuth = value_at_centre(product.plane("SAA"), lambda *_, **__: AZIMUTH)
    return sun_angles(zenith, azimuth, what=product.folder.name)
