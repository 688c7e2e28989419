"""Landsat: level-1 and level-2 products of TM, ETM+ and OLI, before collections and of Collections 1 and 2.

Source: Landsat data format control books. Level 1, at the top of the atmosphere: ``reflectance = (MULT * dn + ADD) /
sin(sun elevation)``; level 2, at the surface: ``MULT * dn + ADD`` (Collection 1: scale of ESPA's metadata).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from math import radians, sin
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from undercast.errors import SceneError
from undercast.radiometry import Scaling
from undercast.readers.base import OpenOptions, chosen_bands, list_folder, record
from undercast.readers.containers import Container, is_archive, open_container
from undercast.readers.layers import Layer, LayerPixels, read_header, read_numbers
from undercast.readers.mtl import FILL, SURFACE, Mtl, read_mtl
from undercast.readers.multires import Ground, common_grid, refuse_elsewhere
from undercast.scene import Scene, SunAngles
from undercast.sensors import Sensor, load_sensor
from undercast.types import Bool, ProductLevel, UInt8

SENSORS = {
    "LANDSAT_4": "landsat-4-tm",
    "LANDSAT_5": "landsat-5-tm",
    "LANDSAT_7": "landsat-7-etm",
    "LANDSAT_8": "landsat-8-oli",
    "LANDSAT_9": "landsat-9-oli",
}
"""Spacecraft -> sensor."""
NODATA = 0.0
"""Digital number of fill."""
RESCALING = ("LEVEL1_RADIOMETRIC_RESCALING", "RADIOMETRIC_RESCALING")
"""Groups with the coefficients of level 1."""
FILES = ("PRODUCT_CONTENTS", "PRODUCT_METADATA")
"""Groups with the names of the files."""
QUALITY = ("FILE_NAME_QUALITY_L1_PIXEL", "FILE_NAME_BAND_QUALITY")
"""Keys of the file with quality bits."""
CLEAR, CLOUD, SHADOW, SNOW, UNKNOWN = 0, 1, 2, 3, 255
"""Values of ``quality``."""

_METADATA = re.compile(r"_MTL\.(txt|xml|json)$", re.IGNORECASE)
_ESPA = re.compile(r"(^|/)L[COTEM]\d\w*(?<!_MTL)(?<!_ANG)\.xml$", re.IGNORECASE)
_ESPA_BAND = re.compile(r"_sr_band\d\.\w+$", re.IGNORECASE)
_HIGH = 3
"""Two bits of confidence: 0 not told, 1 low, 2 medium, 3 high."""


def accepts(source: str) -> bool:
    """Tell whether a source is a folder or a tar with Landsat metadata (MTL), or such a file."""
    path = Path(source)
    if path.is_dir():
        return any(_METADATA.search(entry.name) or _ESPA_BAND.search(entry.name) for entry in list_folder(path))
    if _METADATA.search(path.name):
        return path.is_file()
    return bool(is_archive(path) and re.match(r"L[COTEM]\d", path.name, re.IGNORECASE) and path.is_file())


def open(source: str, options: OpenOptions) -> Scene:  # noqa: A001 (the protocol's name)
    """Open a Landsat product; panchromatic and thermal bands are left out.

    Raises:
        SceneError: If files are missing or damaged, or metadata lack what reflectance needs.
        BandError: If a wanted band is missing.
        GridError: If the bands lie over different ground, or the resolution does not fit.
    """
    files, mtl = _find(source)
    sensor = options.sensor or load_sensor(_sensor_id(mtl))
    names = _band_files(mtl, sensor)
    level: ProductLevel = "surface" if any("_SR_" in name.upper() for name in names.values()) else "toa"
    nodata = (NODATA,) if mtl.find(FILL, SURFACE) is None else (mtl.number(FILL, SURFACE),)
    offered = [band for band in sensor.bands if band.name in names]
    chosen = [offered[place] for place in chosen_bands(offered, options, what=source, sensor=sensor)]
    sun = _sun(mtl)
    layers = [
        Layer(
            source=_file(files, names[band.name], source),
            number=1,
            band=band,
            scaling=options.scaling or _scaling(mtl, band.name.removeprefix("B"), level, sun),
            nodata=nodata if options.nodata is None else (*nodata, options.nodata),
        )
        for band in chosen
    ]
    grid = common_grid([read_header(layer.source) for layer in layers], options.resolution, what=source)
    refuse_elsewhere(grid, _ground(mtl), what=source)
    return Scene(
        name=options.name or re.sub(r"(_MTL)?\.\w+$", "", PurePosixPath(mtl.origin.rpartition(": ")[2]).name),
        bands=tuple(chosen),
        grid=grid,
        pixels=LayerPixels(layers, grid.shape),
        level=options.level or level,
        sensor=sensor.id,
        acquired=_time(mtl),
        sun=sun,
        provenance=record(
            source=source,
            bands_from="product",
            scaling_from="caller" if options.scaling is not None else "product metadata",
            collection=mtl.find("COLLECTION_NUMBER"),
        ),
    )


def quality(source: str) -> UInt8:
    """Read the quality band of a product as classes of its producer.

    Returns:
        ``(y, x)``: 0 clear, 1 cloud (cirrus too), 2 cloud shadow, 3 snow or ice, 255 nothing: fill, or the margin that
        Collection 2 keeps around clouds.

    Raises:
        SceneError: If the product has no quality band, or files are missing or damaged.
    """
    files, mtl = _find(source)
    name = next((found for key in QUALITY if (found := mtl.find(key, *FILES)) is not None), None)
    if name is None:
        msg = f"{source}: expected a quality band (BQA or QA_PIXEL), its metadata name none."
        raise SceneError(msg)
    bits = read_numbers(_file(files, name, source))
    if not np.issubdtype(bits.dtype, np.unsignedinteger):
        msg = f"{source}: expected quality bits as unsigned integers in {name}, got {bits.dtype}."
        raise SceneError(msg)
    collection = (mtl.find("COLLECTION_NUMBER") or "0").lstrip("0") or "0"
    decode = _espa if name.lower().rpartition(".")[0].endswith("pixel_qa") else _DECODE.get(collection, _collection_2)
    fill, cloud, shadow, snow = decode(bits.astype(np.uint32))
    classes = np.zeros(bits.shape, np.uint8)
    for value, where in ((SNOW, snow), (SHADOW, shadow), (CLOUD, cloud), (UNKNOWN, fill)):
        classes[where] = value
    return classes


Bits = NDArray[np.uint32]
"""Quality bits, ``(y, x)``."""


def _confidence(bits: Bits, low: int) -> Bool:
    """Tell where two bits from ``low`` on say high confidence."""
    return np.asarray(((bits >> low) & _HIGH) == _HIGH)


def _bit(bits: Bits, place: int) -> Bool:
    return np.asarray((bits >> place) & 1 == 1)


def _before_collections(bits: Bits) -> tuple[Bool, Bool, Bool, Bool]:
    """Confidences of cloud, cirrus and snow (Landsat 8); no shadow."""
    cloud = _confidence(bits, 14) | _confidence(bits, 12)
    return _bit(bits, 0), cloud, np.zeros(bits.shape, np.bool_), _confidence(bits, 10)


def _collection_1(bits: Bits) -> tuple[Bool, Bool, Bool, Bool]:
    return _bit(bits, 0), _bit(bits, 4) | _confidence(bits, 11), _confidence(bits, 7), _confidence(bits, 9)


def _espa(bits: Bits) -> tuple[Bool, Bool, Bool, Bool]:
    """Bits of ``pixel_qa`` of Collection 1 at level 2; cirrus is told of Landsat 8 only."""
    return _bit(bits, 0), _bit(bits, 5) | _confidence(bits, 8), _bit(bits, 3), _bit(bits, 4)


def _collection_2(bits: Bits) -> tuple[Bool, Bool, Bool, Bool]:
    cloud, shadow = _bit(bits, 2) | _bit(bits, 3), _bit(bits, 4)
    margin = _bit(bits, 1) & ~(cloud | shadow)
    return _bit(bits, 0) | margin, cloud, shadow, _bit(bits, 5)


_DECODE = {"0": _before_collections, "1": _collection_1, "2": _collection_2}
"""Collection -> fill, cloud, cloud shadow and snow of its bits."""


def _find(source: str) -> tuple[Container, Mtl]:
    path = Path(source)
    if not path.exists():
        msg = f"{source} does not exist. Check the path."
        raise SceneError(msg)
    files = open_container(path.parent if path.is_file() and not is_archive(path) else path)
    espa = any(_ESPA_BAND.search(name) for name in files.names)
    names = [name for name in files.names if (_ESPA if espa else _METADATA).search(name)]
    if path.is_file() and not is_archive(path):
        names = [name for name in names if name == path.name]
    scenes = {re.sub(r"(_MTL)?\.\w+$", "", name) for name in names}
    if len(scenes) != 1:
        found = ", ".join(sorted(names)[:3]) or "none"
        msg = f"{source}: expected the metadata (MTL) of one Landsat scene, got {found}. Name one of them."
        raise SceneError(msg)
    # The text first: it is in every product, and says when it is cut.
    name = min(names, key=lambda one: ("txt", "xml", "json").index(one.rpartition(".")[2].lower()))
    mtl = read_mtl(files.read(name), suffix=PurePosixPath(name).suffix, origin=f"{source}: {name}")
    return files, mtl


def _sensor_id(mtl: Mtl) -> str:
    spacecraft, sensor = mtl.text("SPACECRAFT_ID"), mtl.find("SENSOR_ID") or ""
    if spacecraft not in SENSORS or sensor.startswith("MSS"):
        known = ", ".join(SENSORS)
        msg = f"{mtl.origin}: expected {known} (not MSS), got {spacecraft[:20]!r} {sensor[:10]}."
        raise SceneError(msg)
    return SENSORS[spacecraft]


def _band_files(mtl: Mtl, sensor: Sensor) -> dict[str, str]:
    """Name the file of each reflective band."""
    found = {
        band.name: name
        for band in sensor.bands
        if band.common_name != "pan"
        and (name := mtl.find(f"FILE_NAME_BAND_{band.name.removeprefix('B')}", *FILES)) is not None
    }
    if not found:
        msg = f"{mtl.origin}: expected FILE_NAME_BAND_1 and so on, got none for the bands of {sensor.id}."
        raise SceneError(msg)
    return found


def _file(files: Container, name: str, source: str) -> str:
    """Find a file beside the metadata, by its name alone."""
    found = next((one for one in files.names if PurePosixPath(one).name == name), None)
    if found is None:
        msg = f"{source}: {name[:80]!r} is missing. Is the product complete? Go on without it by --bands."
        raise SceneError(msg)
    return files.gdal(found)


def _scaling(mtl: Mtl, band: str, level: ProductLevel, sun: SunAngles) -> Scaling:
    groups = (SURFACE,) if level == "surface" else RESCALING
    scale, offset = (mtl.number(f"REFLECTANCE_{kind}_BAND_{band}", *groups) for kind in ("MULT", "ADD"))
    if scale <= 0.0:
        msg = f"{mtl.origin}: expected REFLECTANCE_MULT_BAND_{band} above 0, got {scale:g}."
        raise SceneError(msg)
    if level == "surface":
        return Scaling(scale=scale, offset=offset)
    height = sin(radians(90.0 - sun.zenith))
    if height <= 0.0:
        msg = (
            f"{mtl.origin}: expected a sun above the horizon for reflectance, got an elevation of {90 - sun.zenith:g}."
        )
        raise SceneError(msg)
    return Scaling(scale=scale / height, offset=offset / height)


def _ground(mtl: Mtl) -> Ground | None:
    """Give the scene's place, from the centres of its corner pixels; None where it is not in UTM or not told."""
    zone = mtl.find("UTM_ZONE")
    if zone is None or not re.fullmatch(r"-?\d{1,2}", zone) or mtl.find("DATUM") != "WGS84":
        return None
    corners = {
        f"{corner}{axis}": mtl.number(f"CORNER_{corner}_PROJECTION_{axis}_PRODUCT")
        for corner in ("UL", "LR")
        for axis in "XY"
    }
    # Landsat counts northings from the equator in both hemispheres: always a northern zone.
    return Ground(
        epsg=32600 + abs(int(zone)),
        left=corners["ULX"],
        bottom=corners["LRY"],
        right=corners["LRX"],
        top=corners["ULY"],
    )


def _sun(mtl: Mtl) -> SunAngles:
    elevation, azimuth = mtl.number("SUN_ELEVATION"), mtl.number("SUN_AZIMUTH")
    if not (-90.0 <= elevation <= 90.0 and -360.0 <= azimuth <= 360.0):
        msg = f"{mtl.origin}: expected the sun's elevation and azimuth in degrees, got {elevation:g} and {azimuth:g}."
        raise SceneError(msg)
    return SunAngles(zenith=90.0 - elevation, azimuth=azimuth % 360.0)


def _time(mtl: Mtl) -> datetime | None:
    day, hour = mtl.find("DATE_ACQUIRED"), mtl.find("SCENE_CENTER_TIME")
    if day is None:
        return None
    written = f"{day}T{(hour or '00:00:00').rstrip('Z')[:15]}"
    try:
        return datetime.fromisoformat(written).replace(tzinfo=UTC)
    except ValueError as error:
        msg = f"{mtl.origin}: expected DATE_ACQUIRED and SCENE_CENTER_TIME as date and time, got {written[:40]!r}."
        raise SceneError(msg) from error
