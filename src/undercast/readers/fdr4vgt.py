"""FDR4VGT Level-1C: SPOT-VEGETATION and PROBA-V reprocessed by VITO, a folder with one HDF file per variable.

Source: file names and attributes as read by hygeos/fdr4vgt_opencl (``spotvgt_vito.py``, ``probav_vito.py``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast.errors import SceneError
from undercast.radiometry import Scaling
from undercast.readers.base import OpenOptions, chosen_bands, list_folder, record
from undercast.readers.hdf import Plane, read_plane_header
from undercast.readers.planes import (
    CLEAR,
    CLOUD,
    UNKNOWN,
    Coding,
    PlanePixels,
    as_grid,
    as_nodata,
    as_number,
    check_shapes,
    plane_band,
    positive,
    read_quality,
    sensor_bands,
    sun_angles,
    value_at_centre,
)
from undercast.scene import Scene, SunAngles
from undercast.sensors import load_sensor
from undercast.types import UInt8

BANDS = {"BLUE": "blue", "RED": "red", "NIR": "nir", "SWIR": "swir16"}
"""Name in file names -> common name."""
SENSORS = {"SPOTVGT1": "spot-vgt-1", "SPOTVGT2": "spot-vgt-2", "PROBAV": "proba-v"}
"""First part of file names -> sensor."""
CLOUD_BIT = 1
"""Bit of the status map that is set where there is cloud."""
SEEN_BIT = 8
"""Bit of the status map that is set where the pixel was judged."""

_NAME = re.compile(r"^(?P<sensor>SPOTVGT[12]|PROBAV)_L1C_(?P<time>\d{8}_\d{6})_.*_BLUE_TOA", re.IGNORECASE)
_SUFFIXES = (".hdf", ".hdf5", ".h5", ".nc", ".tif", ".tiff")


def accepts(source: str) -> bool:
    """Tell whether a source is a folder with FDR4VGT files."""
    return Path(source).is_dir() and any(_NAME.match(name) for name in _files(source))


def _files(folder: str) -> dict[str, Path]:
    return {path.name: path for path in list_folder(folder) if path.suffix.lower() in _SUFFIXES}


def _matching(folder: str, variable: str) -> list[Plane]:
    """Find the files of a variable: their names end with it, or something follows in the name."""
    pattern = re.compile(rf"_{variable}(_[^.]*)?\.[^.]+$", re.IGNORECASE)
    return [Plane(source=str(path)) for name, path in _files(folder).items() if pattern.search(name)]


def _find(folder: str, variable: str) -> Plane:
    """Find the one file of a variable.

    Raises:
        SceneError: If there is none, or several.
    """
    found = _matching(folder, variable)
    if len(found) != 1:
        names = ", ".join(plane.label for plane in found) or "none"
        msg = f"{folder}: expected one file of {variable}, got {names}. Is the product complete?"
        raise SceneError(msg)
    return found[0]


def open(source: str, options: OpenOptions) -> Scene:  # noqa: A001 (the protocol's name)
    """Open a folder of FDR4VGT files.

    Raises:
        SceneError: If a file is missing or damaged, or says nothing of its scale and place.
        GridError: If its files have different shapes.
        BandError: If a wanted band is missing.
        MissingDependencyError: If the library for its files is not installed.
    """
    identity = next((match for match in map(_NAME.match, _files(source)) if match is not None), None)
    if identity is None:
        msg = f"{source}: expected files named SPOTVGT1_L1C_..., SPOTVGT2_L1C_... or PROBAV_L1C_..., got none."
        raise SceneError(msg)
    sensor = options.sensor or load_sensor(SENSORS[identity["sensor"].upper()])
    planes = {name: _find(source, f"{name}_TOA") for name in BANDS}
    headers = {name: read_plane_header(plane) for name, plane in planes.items()}
    check_shapes(headers, what=source)
    grid = as_grid(headers["BLUE"].attributes, headers["BLUE"].shape, what=planes["BLUE"].label)
    offered = sensor_bands(sensor, list(BANDS.values()), grid, what=source)
    layers = [
        plane_band(planes[name], band, coding(headers[name].attributes, what=planes[name].label), options)
        for name, band in zip(BANDS, offered, strict=True)
    ]
    chosen = [layers[place] for place in chosen_bands(offered, options, what=source, sensor=sensor)]
    return Scene(
        name=options.name or Path(source).name,
        bands=tuple(layer.band for layer in chosen),
        grid=grid,
        pixels=PlanePixels(bands=tuple(chosen)),
        level=options.level or "toa",
        sensor=sensor.id,
        acquired=_acquired(identity["time"]),
        sun=_sun(source),
        provenance=record(
            source=source,
            bands_from="FDR4VGT file names",
            scaling_from="caller" if options.scaling is not None else "product",
        ),
    )


def coding(attributes: Mapping[str, Any], *, what: str) -> Coding:
    """Read SCALE, OFFSET and NO_DATA, or CODING and NOVALUE: ``reflectance = dn / SCALE + OFFSET``.

    The offset is added, other than in PROBA-V's own products.

    Raises:
        SceneError: If neither is there, one is no number, or the scale is not above 0.
    """
    if "CODING" in attributes:
        parts = np.asarray(attributes["CODING"]).reshape(-1)
        if parts.size < 2:
            msg = f"{what}: expected attribute CODING with slope and offset, got {parts.size} values."
            raise SceneError(msg)
        scale, offset, nodata = parts[0], parts[1], "NOVALUE"
    else:
        scale, offset, nodata = attributes.get("SCALE"), attributes.get("OFFSET"), "NO_DATA"
    divisor = positive(as_number(scale, "SCALE", what=what), "SCALE", what=what)
    return Coding(
        scaling=Scaling(scale=1.0 / divisor, offset=as_number(offset, "OFFSET", what=what)),
        nodata=as_nodata(attributes, nodata, what=what),
    )


def quality(source: str) -> UInt8:
    """Read what the producer's status map says of each pixel; it knows clouds only.

    Returns:
        ``(y, x)``: 0 clear, 1 cloud, 255 not judged.

    Raises:
        SceneError: If there is no status map, or it is damaged.
    """
    return read_quality(_find(source, "SM"), decode_status)


def decode_status(status: NDArray[np.integer[Any]]) -> UInt8:
    """Read a status map's bits 0 (cloud) and 3 (judged) as a quality map of the same shape."""
    classes = np.where(status & CLOUD_BIT != 0, np.uint8(CLOUD), np.uint8(CLEAR))
    classes[status & SEEN_BIT == 0] = UNKNOWN
    return classes


def _sun(source: str) -> SunAngles | None:
    """Read the sun's angles where the product brings them; PROBA-V has them by band, which changes little."""
    zenith, azimuth = (_matching(source, angle) for angle in ("SZA", "SAA"))
    if not zenith or not azimuth:
        return None
    return sun_angles(value_at_centre(zenith[0], coding), value_at_centre(azimuth[0], coding), what=source)


def _acquired(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%d_%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
