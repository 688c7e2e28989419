"""Simulated scenes as files: the sensor's bands, a class map of what is certain, and the elevation of the ground."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import MemoryFile
from rasterio.transform import Affine

from undercast.classes import load_scheme
from undercast.errors import OutputError, OutputExistsError
from undercast.radiometry import Scaling
from undercast.simulation.scenes import Simulated
from undercast.types import NODATA

SCALING = Scaling(scale=1e-4, offset=-0.1)
"""Stored digital numbers; the offset lets the noise around reflectance 0 survive."""
DN_NODATA = 0
"""Digital number of a pixel without data."""
CRS = "EPSG:32631"
"""Where the scenes pretend to lie: UTM zone 31 north."""
CENTER = (500_000.0, 5_000_000.0)
"""Easting and northing of the scenes' centre, in metres: on the zone's central meridian, at 45 degrees."""
MANIFEST = "manifest.json"
"""File that lists the scenes."""
COMPRESSION = {"driver": "GTiff", "compress": "deflate", "tiled": True, "blockxsize": 256, "blockysize": 256}


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedFiles:
    """One simulated scene on disk."""

    name: str
    """Name of the scene."""
    scene: str
    """File name of the scene's bands."""
    reference: str
    """File name of its class map: 0 clear, 1 thick cloud, 2 thin cloud, 3 cloud shadow, 255 left open."""
    elevation: str
    """File name of the elevation of its ground, in metres."""
    sensor: str
    """Sensor id."""
    level: str
    """``toa`` or ``surface``."""
    gsd: float
    """Ground sample distance, in metres."""
    seed: int
    """Seed that makes the same scene again."""
    sun_zenith: float
    """Degrees from the vertical."""
    sun_azimuth: float
    """Degrees clockwise from north."""

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain values."""
        return asdict(self)


def file_names(name: str) -> tuple[str, str, str]:
    """Name a scene's files: bands, reference and elevation."""
    return f"{name}.tif", f"{name}_reference.tif", f"{name}_elevation.tif"


def refuse_existing(folder: Path, names: list[str]) -> None:
    """Refuse to go on where a file exists already.

    Raises:
        OutputExistsError: If one does.
    """
    for name in names:
        if (folder / name).exists():
            msg = f"{folder / name} exists already. Use --overwrite, or another folder."
            raise OutputExistsError(msg)


def make_folder(folder: Path) -> None:
    """Make a folder for outputs.

    Raises:
        OutputError: If that is not possible.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"folder {folder} cannot be made: {error.strerror or error}. Choose another place."
        raise OutputError(msg) from error


def write_simulated(simulated: Simulated, folder: Path, *, name: str, seed: int, software: str) -> SimulatedFiles:
    """Write a simulated scene, its reference and its elevation.

    Each file appears whole or not at all; an older one is replaced.

    Args:
        simulated: The scene.
        folder: Where; made if it is missing.
        name: File name without ending.
        seed: What the scene was made with, for the records.
        software: Name and version of what made it, for the records.

    Raises:
        OutputError: If the files cannot be written.
    """
    make_folder(folder)
    scene_name, reference_name, elevation_name = file_names(name)
    files = SimulatedFiles(
        name=name,
        scene=scene_name,
        reference=reference_name,
        elevation=elevation_name,
        sensor=simulated.sensor.id,
        level=simulated.level,
        gsd=simulated.gsd,
        seed=seed,
        sun_zenith=round(simulated.sun.zenith, 3),
        sun_azimuth=round(simulated.sun.azimuth, 3),
    )
    tags = {
        "UNDERCAST_SIMULATED": "yes",
        "UNDERCAST_SENSOR": files.sensor,
        "UNDERCAST_LEVEL": files.level,
        "UNDERCAST_SEED": str(seed),
        "TIFFTAG_SOFTWARE": software,
    }
    place(folder / scene_name, _scene_bytes(simulated, tags))
    place(folder / reference_name, _reference_bytes(simulated, tags))
    place(folder / elevation_name, _elevation_bytes(simulated, tags))
    return files


def write_manifest(folder: Path, scenes: list[SimulatedFiles], *, software: str) -> Path:
    """List simulated scenes in ``manifest.json``; file names are relative to it.

    Raises:
        OutputError: If it cannot be written.
    """
    manifest = {"software": software, "simulated": True, "scenes": [scene.to_dict() for scene in scenes]}
    path = folder / MANIFEST
    place(path, (json.dumps(manifest, indent=2, allow_nan=False) + "\n").encode())
    return path


def place(path: Path, content: bytes) -> None:
    """Write a file under a temporary name and rename it, so that it appears whole or not at all.

    Raises:
        OutputError: If it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror or error}. Free some space or choose another place."
        raise OutputError(msg) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _scene_bytes(simulated: Simulated, tags: Mapping[str, str]) -> bytes:
    """Encode the bands; 0 is kept for pixels without data."""
    missing = np.isnan(simulated.reflectance)
    dn = np.maximum(SCALING.to_dn(np.where(missing, np.float32(0), simulated.reflectance)), DN_NODATA + 1)
    dn[missing] = DN_NODATA
    with MemoryFile() as memory:
        with memory.open(**_profile(dn, simulated.gsd, nodata=DN_NODATA), predictor=2) as raster:
            raster.write(dn)
            raster.update_tags(**tags)
            raster.scales = (SCALING.scale,) * len(dn)
            raster.offsets = (SCALING.offset,) * len(dn)
            for number, band in enumerate(simulated.sensor.bands, start=1):
                raster.set_band_description(number, band.name)
        return bytes(memory.getbuffer())


def _reference_bytes(simulated: Simulated, tags: Mapping[str, str]) -> bytes:
    """Encode the class map, with a colour for each class."""
    reference = simulated.reference[np.newaxis]
    scheme = load_scheme()
    colors = {entry.value: _rgba(entry.color) for entry in scheme.classes}
    with MemoryFile() as memory:
        with memory.open(**_profile(reference, simulated.gsd, nodata=NODATA)) as raster:
            raster.write(reference)
            raster.update_tags(**tags)
            raster.set_band_description(1, "reference class map")
            raster.write_colormap(1, colors)
        return bytes(memory.getbuffer())


def _elevation_bytes(simulated: Simulated, tags: Mapping[str, str]) -> bytes:
    """Encode the elevation, in metres."""
    elevation = simulated.elevation[np.newaxis].astype(np.float32)
    with MemoryFile() as memory:
        with memory.open(**_profile(elevation, simulated.gsd, nodata=None), predictor=3) as raster:
            raster.write(elevation)
            raster.update_tags(**tags)
            raster.set_band_description(1, "elevation")
            raster.units = ("m",)
        return bytes(memory.getbuffer())


def _rgba(color: str) -> tuple[int, int, int, int]:
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue, 255


def _profile(values: NDArray[np.generic], gsd: float, *, nodata: int | None) -> dict[str, Any]:
    """Describe a raster around the place where the scenes pretend to lie."""
    count, height, width = values.shape
    left, top = CENTER[0] - gsd * width / 2, CENTER[1] + gsd * height / 2
    return {
        **COMPRESSION,
        "count": count,
        "height": height,
        "width": width,
        "dtype": values.dtype.name,
        "nodata": nodata,
        "crs": rasterio.CRS.from_string(CRS),
        "transform": Affine(gsd, 0.0, left, 0.0, -gsd, top),
    }
