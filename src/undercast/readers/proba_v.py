"""PROBA-V: Level-2A segments and Level-3 syntheses (S1, S5, S10) in HDF5.

Source: PROBA-V Products User Manual (VITO), HDF5 structure, attributes and status map.
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

from undercast._optional import is_installed
from undercast.errors import MissingDependencyError, SceneError
from undercast.readers.base import OpenOptions, chosen_bands, list_folder, record, short_name
from undercast.readers.hdf import Plane, hdf5_file, is_hdf5, names_in, read_plane_header
from undercast.readers.planes import (
    CLEAR,
    CLOUD,
    SHADOW,
    SNOW,
    UNKNOWN,
    PlanePixels,
    as_grid,
    as_text,
    check_shapes,
    plane_band,
    read_quality,
    sensor_bands,
    sun_angles,
    value_at_centre,
    vito_coding,
)
from undercast.scene import Scene, SunAngles
from undercast.sensors import load_sensor
from undercast.types import ProductLevel, UInt8

SENSOR = "proba-v"
GROUPS = ("LEVEL3", "LEVEL2A")
"""Root groups of the two levels."""
GOOD_BITS = {"BLUE": 1 << 7, "RED": 1 << 6, "NIR": 1 << 5, "SWIR": 1 << 4}
"""Bit of the status map that is set where a band's radiometry is good."""
COVERAGE_BITS = {"BLUE": 1 << 11, "RED": 1 << 10, "NIR": 1 << 9, "SWIR": 1 << 8}
"""Bit of a Level-2A status map that is set where a band was seen."""
KINDS: tuple[tuple[str, ProductLevel], ...] = (("TOA", "toa"), ("TOC", "surface"))
"""Name of a band's data set -> product level, in the order of preference."""

_NAME = re.compile(r"^PROBAV_(L2A|S1|S5|S10)_", re.IGNORECASE)
_SUFFIXES = (".hdf5", ".h5", ".hdf", ".he5")
_CODES = {0b000: CLEAR, 0b001: SHADOW, 0b011: CLOUD, 0b100: SNOW}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Product:
    """A PROBA-V file and how it is laid out."""

    source: str
    """Path of the HDF5 file."""
    group: str
    """``LEVEL3`` or ``LEVEL2A``."""
    kind: str
    """Name of the bands' data sets: ``TOA`` or ``TOC``."""
    level: ProductLevel
    """What they hold."""
    has_sun: bool
    """Whether the file holds the sun's angles."""

    def plane(self, path: str) -> Plane:
        """Give the place of a data set of the product's group."""
        return Plane(source=self.source, dataset=f"{self.group}/{path}")

    def good_bits(self, band: str) -> int:
        """Give the bits of the status map that are all set where a band is good."""
        return GOOD_BITS[band] | (COVERAGE_BITS[band] if self.group == "LEVEL2A" else 0)


def accepts(source: str) -> bool:
    """Tell whether a source is a PROBA-V file, or a folder with one."""
    return _find(source) is not None


def _find(source: str) -> str | None:
    path = Path(source)
    files = list_folder(path) if path.is_dir() else [path]
    candidates = [file for file in files if file.suffix.lower() in _SUFFIXES and is_hdf5(file)]
    found = [str(file) for file in candidates if _NAME.match(file.name) or (file == path and _has_group(source))]
    return found[0] if len(found) == 1 else None


def _has_group(source: str) -> bool:
    """Look into a file of another name; where that is not possible, it is none of ours."""
    if not is_installed("h5py"):
        return False
    try:
        with hdf5_file(source) as file:
            return any(f"{group}/RADIOMETRY" in file for group in GROUPS)
    except (SceneError, MissingDependencyError):
        return False


def open(source: str, options: OpenOptions) -> Scene:  # noqa: A001 (the protocol's name)
    """Open a PROBA-V file; a band has no data where the status map calls its radiometry bad.

    Top-of-atmosphere reflectance is preferred where the file has both; ``level`` chooses.

    Raises:
        SceneError: If the file is damaged, or its layout is another one.
        GridError: If its data sets have different shapes.
        BandError: If a wanted band is missing.
        MissingDependencyError: If h5py is not installed.
    """
    product = _read_product(source, options)
    sensor = options.sensor or load_sensor(SENSOR)
    status = product.plane("QUALITY/SM")
    planes = {name: product.plane(f"RADIOMETRY/{name}/{product.kind}") for name in GOOD_BITS}
    headers = {name: read_plane_header(plane) for name, plane in planes.items()}
    check_shapes({**headers, "SM": read_plane_header(status)}, what=source)
    first = headers["BLUE"]
    grid = as_grid(first.attributes, first.shape, what=planes["BLUE"].label)
    offered = sensor_bands(sensor, list(planes), grid, what=source)
    layers = [
        plane_band(
            planes[name],
            band,
            vito_coding(headers[name].attributes, what=planes[name].label),
            options,
            good=product.good_bits(name),
        )
        for name, band in zip(planes, offered, strict=True)
    ]
    chosen = [layers[place] for place in chosen_bands(offered, options, what=source, sensor=sensor)]
    return Scene(
        name=options.name or short_name(product.source),
        bands=tuple(layer.band for layer in chosen),
        grid=grid,
        pixels=PlanePixels(bands=tuple(chosen), status=status),
        level=product.level,
        sensor=sensor.id,
        acquired=_acquired(product, first.of_file),
        sun=_sun(product),
        provenance=record(
            source=source,
            bands_from=f"PROBA-V {product.group}",
            scaling_from="caller" if options.scaling is not None else "product",
        ),
    )


def quality(source: str) -> UInt8:
    """Read what the producer's status map says of each pixel.

    Returns:
        ``(y, x)``: 0 clear, 1 cloud, 2 cloud shadow, 3 snow or ice, 255 undefined or without a good band.

    Raises:
        SceneError: If the file is damaged, or its layout is another one.
        MissingDependencyError: If h5py is not installed.
    """
    return read_quality(status_map(source), decode_status)


def status_map(source: str) -> Plane:
    """Find the producer's status map, as it is stored.

    Raises:
        SceneError: If the file is damaged, or its layout is another one.
        MissingDependencyError: If h5py is not installed.
    """
    return _read_product(source, OpenOptions()).plane("QUALITY/SM")


def decode_status(status: NDArray[np.integer[Any]]) -> UInt8:
    """Read a status map's bits 0 to 2 (000 clear, 001 shadow, 010 undefined, 011 cloud, 100 snow or ice).

    Returns:
        A quality map of the same shape; 255 also where no band is good.
    """
    table = np.full(8, UNKNOWN, np.uint8)
    table[list(_CODES)] = list(_CODES.values())
    classes: UInt8 = table[status & 0b111]
    classes[(status & sum(GOOD_BITS.values())) == 0] = UNKNOWN
    return classes


def _read_product(source: str, options: OpenOptions) -> _Product:
    path = _find(source)
    if path is None:
        msg = f"{source}: expected one PROBA-V file (HDF5, PROBAV_L2A_, S1_, S5_ or S10_...), found none or several."
        raise SceneError(msg)
    with hdf5_file(path) as file:
        group = next((group for group in GROUPS if f"{group}/RADIOMETRY" in file), None)
        if group is None:
            msg = f"{path}: expected a group {' or '.join(GROUPS)} with RADIOMETRY, got {names_in(file)}."
            raise SceneError(msg)
        for kind, level in KINDS:
            if options.level in {None, level} and f"{group}/RADIOMETRY/BLUE/{kind}" in file:
                has_sun = all(f"{group}/GEOMETRY/{angle}" in file for angle in ("SZA", "SAA"))
                return _Product(source=path, group=group, kind=kind, level=level, has_sun=has_sun)
    wanted = " or ".join(kind for kind, level in KINDS if options.level in {None, level})
    msg = f"{path}: expected reflectance {wanted} in {group}/RADIOMETRY/BLUE, got none. Is it the NDVI product?"
    raise SceneError(msg)


def _sun(product: _Product) -> SunAngles | None:
    if not product.has_sun:
        return None
    angles = [value_at_centre(product.plane(f"GEOMETRY/{name}"), vito_coding) for name in ("SZA", "SAA")]
    return sun_angles(*angles, what=product.source)


def _acquired(product: _Product, attributes: Mapping[str, Any]) -> datetime | None:
    """Read when the observation began; a synthesis of several days has no time of acquisition."""
    name = _NAME.match(Path(product.source).name)
    if name is None or name[1].upper() not in {"L2A", "S1"}:
        return None
    parts = [as_text(attributes.get(f"OBSERVATION_START_{part}", "")) for part in ("DATE", "TIME")]
    try:
        return datetime.fromisoformat("T".join(parts)).replace(tzinfo=UTC)
    except ValueError:
        return None
