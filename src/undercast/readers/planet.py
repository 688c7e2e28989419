"""PlanetScope: analytic GeoTIFFs whose XML holds the coefficients from digital numbers to reflectance.

Source: Planet imagery product specification; the XML's comments ("Multiply by reflectanceCoefficient to convert DNs to
TOA Reflectance").
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import Element

from undercast.bands import Band
from undercast.errors import SceneError
from undercast.radiometry import Scaling
from undercast.readers.base import OpenOptions, chosen_bands, list_folder, record, short_name
from undercast.readers.layers import Layer, LayerPixels, read_header
from undercast.readers.xml import number, optional_text, read_xml, text
from undercast.scene import Scene, SunAngles
from undercast.sensors import Sensor, load_sensor

SENSORS = {"PS2": "planetscope-dove", "PS2.SD": "planetscope-dove-r", "PSB.SD": "planetscope-superdove"}
"""Instrument -> sensor."""
SURFACE = Scaling(scale=1e-4)
"""How surface reflectance (``_SR``) is stored."""
NODATA = 0.0
"""Stored value without data."""
LARGEST_COEFFICIENT = 1e-2
"""Reflectance per digital number above which a coefficient is impossible: one is about 2e-5."""

_IMAGE = re.compile(r"_AnalyticMS(?P<surface>_SR)?(?!\w*udm)\w*\.tiff?$", re.IGNORECASE)
_METADATA = re.compile(r"_AnalyticMS\w*_metadata\w*\.xml$", re.IGNORECASE)
_FOUR_OF_EIGHT = ("blue", "green", "red", "nir")


def accepts(source: str) -> bool:
    """Tell whether a source is an analytic image, its metadata, or a folder with such, and both kinds are there."""
    path = Path(source)
    named = path.is_dir() or _IMAGE.search(path.name) or _METADATA.search(path.name)
    return bool(named) and all(_candidates(path))


def _candidates(source: Path) -> tuple[list[Path], list[Path]]:
    """List the images and the metadata files that a source means: those of its scene, or all of a folder."""
    if source.is_dir():
        files = list_folder(source)
    else:
        files = [file for file in list_folder(source.parent) if _scene(file) == _scene(source)]
    named = [source] if _IMAGE.search(source.name) and source.is_file() else files
    return [file for file in named if _IMAGE.search(file.name)], [file for file in files if _METADATA.search(file.name)]


def _scene(path: Path) -> str:
    """Give the part of a file's name that all files of a scene share."""
    return path.name.lower().partition("_analyticms")[0]


def open(source: str, options: OpenOptions) -> Scene:  # noqa: A001 (the protocol's name)
    """Open a PlanetScope scene by its folder, its image or its metadata.

    Radiance images become top-of-atmosphere reflectance by the coefficients of the metadata; images with ``_SR`` in
    their names hold surface reflectance.

    Raises:
        SceneError: If files are missing or damaged, or the metadata contradict the image.
        BandError: If a wanted band is missing.
    """
    images, documents = _candidates(Path(source))
    if len(images) != 1 or len(documents) != 1:
        found = ", ".join(file.name for file in (*images, *documents)) or "none"
        msg = f"{source}: expected one ..._AnalyticMS...tif and its ..._metadata.xml, got {found}. Name the image."
        raise SceneError(msg)
    image, metadata = images[0], documents[0]
    root = read_xml(metadata, origin=str(metadata))
    sensor = options.sensor or _sensor(root, str(metadata))
    header = read_header(str(image))
    bands = _bands(sensor, len(header.dtypes), str(image))
    name = _IMAGE.search(image.name)
    surface = name is not None and name["surface"] is not None
    scalings = [SURFACE] * len(bands) if surface else _coefficients(root, len(bands), str(metadata))
    places = chosen_bands(bands, options, what=source, sensor=sensor)
    chosen = [
        Layer(
            source=header.source,
            number=place + 1,
            band=bands[place],
            scaling=options.scaling or scalings[place],
            nodata=(NODATA,) if options.nodata is None else (NODATA, options.nodata),
        )
        for place in places
    ]
    return Scene(
        name=options.name or short_name(str(image)),
        bands=tuple(layer.band for layer in chosen),
        grid=header.grid,
        pixels=LayerPixels(chosen),
        level=options.level or ("surface" if surface else "toa"),
        sensor=sensor.id,
        acquired=_acquired(root),
        sun=_sun(root, str(metadata)),
        provenance=record(
            source=source,
            bands_from=f"order of {sensor.id}",
            scaling_from="caller" if options.scaling is not None else "format" if surface else metadata.name,
        ),
    )


def _sensor(root: Element, origin: str) -> Sensor:
    instrument = text(root, ".//Instrument/shortName", origin=origin)
    if instrument not in SENSORS:
        msg = f"{origin}: expected instrument {', '.join(SENSORS)}, got {instrument[:20]!r}. Say --sensor."
        raise SceneError(msg)
    return load_sensor(SENSORS[instrument])


def _bands(sensor: Sensor, layers: int, origin: str) -> list[Band]:
    """Give the band of each layer: the sensor's in their order, or blue, green, red and near infrared of its eight."""
    if layers == len(sensor.bands):
        return list(sensor.bands)
    four = [band for band in sensor.bands if band.common_name in _FOUR_OF_EIGHT]
    if layers != len(_FOUR_OF_EIGHT) or len(four) != layers:
        msg = f"{origin}: expected {len(sensor.bands)} or 4 layers of {sensor.id}, got {layers}."
        raise SceneError(msg)
    return four


def _coefficients(root: Element, layers: int, origin: str) -> list[Scaling]:
    found: dict[int, Scaling] = {}
    for element in root.iterfind(".//bandSpecificMetadata"):
        band = number(element, "bandNumber", origin=origin)
        coefficient = number(element, "reflectanceCoefficient", origin=origin)
        if not 0.0 < coefficient <= LARGEST_COEFFICIENT:
            msg = f"{origin}: expected reflectanceCoefficient of band {band:g} in (0, 0.01], got {coefficient:g}."
            raise SceneError(msg)
        found[int(band)] = Scaling(scale=coefficient)
    if sorted(found) != list(range(1, layers + 1)):
        numbers = ", ".join(map(str, sorted(found))) or "none"
        msg = f"{origin}: expected coefficients of bands 1 to {layers} as in the image, got {numbers}."
        raise SceneError(msg)
    return [found[band] for band in sorted(found)]


def _acquired(root: Element) -> datetime | None:
    value = optional_text(root, ".//acquisitionDateTime") or optional_text(root, ".//acquisitionDate")
    try:
        acquired = datetime.fromisoformat(value or "")
    except ValueError:
        return None
    return acquired if acquired.tzinfo is not None else acquired.replace(tzinfo=UTC)


def _sun(root: Element, origin: str) -> SunAngles | None:
    if optional_text(root, ".//illuminationElevationAngle") is None:
        return None
    elevation, azimuth = (
        number(root, f".//illumination{name}Angle", origin=origin) for name in ("Elevation", "Azimuth")
    )
    if not -90.0 <= elevation <= 90.0:
        msg = f"{origin}: expected a sun elevation of -90 to 90 degrees, got {elevation:g}."
        raise SceneError(msg)
    return SunAngles(zenith=90.0 - elevation, azimuth=azimuth % 360.0)
