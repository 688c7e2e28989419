"""Sentinel-2: L1C and L2A products (SAFE), as folder, zip or single granule.

Source: Sentinel-2 Products Specification Document (S2-PDGS-TAS-DI-PSD), the tables of MTD_MSIL1C, MTD_MSIL2A and
MTD_TL; from processing baseline 04.00 on, ``reflectance = (dn + offset) / quantification``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np

from undercast.errors import SceneError
from undercast.radiometry import Scaling
from undercast.readers.base import OpenOptions, chosen_bands, record
from undercast.readers.layers import Layer, LayerPixels, RasterHeader, read_header, read_numbers
from undercast.readers.multires import Ground, common_grid, refuse_elsewhere
from undercast.readers.safe import Safe, baseline_of, baseline_text, find_safe, is_safe, name_of
from undercast.readers.xml import number, optional_text, text, to_number
from undercast.scene import Scene, SunAngles
from undercast.sensors import Sensor, load_sensor
from undercast.types import ProductLevel, UInt8

BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
"""Bands in the order of their ``band_id``, 0 to 12."""
SENSORS = {
    "Sentinel-2A": "sentinel-2a-msi",
    "Sentinel-2B": "sentinel-2b-msi",
    "Sentinel-2C": "sentinel-2c-msi",
}
"""Spacecraft -> sensor."""
OFFSET_BASELINE = 4.0
"""Processing baseline from which products carry an offset."""
QUANTIFICATION = 10_000.0
"""Digital numbers per reflectance, where a granule alone does not say it."""
OFFSET = -1000.0
"""Offset from baseline 04.00 on, where a granule alone does not say it."""
NODATA = 0.0
"""Digital number without data, outside of the detectors' footprint too; 65535 is saturated, and stays what it is: very
bright."""
CLEAR, CLOUD, SHADOW, SNOW, UNKNOWN = 0, 1, 2, 3, 255
"""Values of ``quality``."""
SCL = (255, 255, 0, 2, 0, 0, 0, 0, 1, 1, 1, 3)
"""Value of ``quality`` for each code of the scene classification, 0 to 11: no data, saturated or defective, dark,
cloud shadow, vegetation, bare, water, unclassified, cloud of medium and of high probability, cirrus, snow."""

_IMAGE = re.compile(r"_(?P<band>B\d[\dA])(_(?P<metres>\d\d)m)?\.jp2$", re.IGNORECASE)
_SCL = re.compile(r"_SCL_(.*_)?[26]0m\.jp2$", re.IGNORECASE)
_EPSG = re.compile(r"EPSG:(\d{4,6})")


def accepts(source: str) -> bool:
    """Tell whether a source is a SAFE folder or zip, a metadata file or a granule of Sentinel-2."""
    return is_safe(source)


def open(source: str, options: OpenOptions) -> Scene:  # noqa: A001 (the protocol's name)
    """Open a Sentinel-2 product.

    Raises:
        SceneError: If it is no L1C or L2A product, files are missing or damaged, or its metadata contradict themselves.
        BandError: If a wanted band is missing.
        GridError: If the bands lie over different ground, or the resolution does not fit.
    """
    product = find_safe(source)
    level = _level(product)
    sensor = options.sensor or load_sensor(_sensor_id(product))
    images = _images(product, options.resolution)
    offered = [band for band in sensor.bands if band.name in images]
    if options.bands is None:
        _refuse_missing(product, images, sensor)
    chosen = [offered[place] for place in chosen_bands(offered, options, what=source, sensor=sensor)]
    scalings = {} if options.scaling is not None else _scalings(product, level)
    layers = [
        Layer(
            source=images[band.name],
            number=1,
            band=band,
            scaling=options.scaling or scalings[band.name],
            nodata=(NODATA,) if options.nodata is None else (NODATA, options.nodata),
        )
        for band in chosen
    ]
    grid = common_grid([_header(layer.source) for layer in layers], options.resolution, what=source)
    refuse_elsewhere(grid, _ground(product), what=source)
    zenith, azimuth = _view(product)
    return Scene(
        name=options.name or name_of(product),
        bands=tuple(chosen),
        grid=grid,
        pixels=LayerPixels(layers, grid.shape),
        level=options.level or level,
        sensor=sensor.id,
        acquired=_time(product),
        sun=_sun(product),
        provenance=record(
            source=source,
            bands_from="product",
            scaling_from="caller" if options.scaling is not None else "product metadata",
            baseline=baseline_text(product),
            view_zenith=zenith,
            view_azimuth=azimuth,
        ),
    )


def quality(source: str) -> UInt8:
    """Read the masks of an L2A product (scene classification) or of an L1C one from baseline 04.00 on.

    Returns:
        ``(y, x)`` at 20 or 60 m: 0 clear, 1 cloud (cirrus too), 2 cloud shadow (L2A only), 3 snow or ice, 255 nothing:
        no data, or outside of the detectors' footprint.

    Raises:
        SceneError: If the product has no such masks, or they are damaged.
    """
    product = find_safe(source)
    if _level(product) == "surface":
        codes = read_numbers(_mask(product, _SCL, "a scene classification (SCL)"))
        table = np.array([*SCL, UNKNOWN], np.uint8)
        return np.asarray(table[np.clip(codes, 0, len(SCL)).astype(np.uint8)], np.uint8)
    masks = re.compile(r"/MSK_CLASSI_B00\.jp2$", re.IGNORECASE)
    clouds = read_numbers(_mask(product, masks, "cloud masks (MSK_CLASSI_B00.jp2, from baseline 04.00 on)"), layers=3)
    footprint = re.compile(r"/MSK_DETFOO_B01\.jp2$", re.IGNORECASE)
    detector = read_numbers(_mask(product, footprint, "a detector footprint (MSK_DETFOO_B01.jp2)"))
    if clouds.shape[1:] != detector.shape:
        raise product.error(f"expected masks of one shape, got {clouds.shape[1:]} and {detector.shape}.")
    opaque, cirrus, snow = clouds > 0
    classes = np.full(detector.shape, CLEAR, np.uint8)
    for value, where in ((SNOW, snow), (CLOUD, opaque | cirrus), (UNKNOWN, detector == 0)):
        classes[where] = value
    return classes


def _mask(product: Safe, pattern: re.Pattern[str], what: str) -> str:
    """Find a mask of the granule; of those at several resolutions the finest."""
    found = sorted(name for name in product.files.names if name.startswith(product.folder) and pattern.search(name))
    if not found:
        raise product.error(f"expected {what}, got none. Is it complete?")
    return product.files.gdal(found[0])


def _header(source: str) -> RasterHeader:
    header = read_header(source)
    if len(header.dtypes) != 1:
        msg = f"{source}: expected one band, got {len(header.dtypes)} layers."
        raise SceneError(msg)
    return header


def _level(product: Safe) -> ProductLevel:
    """Tell top-of-atmosphere from surface reflectance."""
    tag = product.granule.tag
    if tag.startswith("Level-1C"):
        return "toa"
    if tag.startswith("Level-2A"):
        return "surface"
    raise product.error(f"expected the metadata of an L1C or L2A granule, got <{tag[:40]}>.")


def _sensor_id(product: Safe) -> str:
    if product.product is None:
        tile = text(product.granule, ".//TILE_ID", origin=product.origin)
        spacecraft = f"Sentinel-{tile[1:3]}"
    else:
        spacecraft = text(product.product, ".//SPACECRAFT_NAME", origin=product.origin)
    if spacecraft not in SENSORS:
        known = ", ".join(SENSORS)
        raise product.error(f"expected {known}, got {spacecraft[:40]!r}. Name the sensor with --sensor.")
    return SENSORS[spacecraft]


def _images(product: Safe, resolution: float | None) -> dict[str, str]:
    """Find the file of each band: of those at several resolutions the coarsest that is fine enough."""
    found: dict[str, dict[float, str]] = {}
    for name in product.files.names:
        match = _IMAGE.search(name) if name.startswith(f"{product.folder}IMG_DATA/") else None
        if match is not None:
            found.setdefault(match["band"].upper(), {})[float(match["metres"] or 0)] = product.files.gdal(name)
    if not found:
        raise product.error("expected band images (IMG_DATA/*.jp2), got none. Is it complete?")
    wanted = resolution or 0.0
    images = {}
    for band, sizes in found.items():
        fine = [metres for metres in sizes if metres <= wanted]
        images[band] = sizes[max(fine) if fine else min(sizes)]
    return images


def _refuse_missing(product: Safe, images: Mapping[str, str], sensor: Sensor) -> None:
    """Refuse a product that lacks a band; L2A has no B10."""
    optional = {"B10"} if _level(product) == "surface" else set()
    missing = [band.name for band in sensor.bands if band.name not in images and band.name not in optional]
    if missing:
        has = ",".join(sorted(images))
        raise product.error(f"bands {', '.join(missing)} are missing. Get them, or go on without: --bands {has}")


def _scalings(product: Safe, level: ProductLevel) -> dict[str, Scaling]:
    """Read how digital numbers become reflectance, per band."""
    baseline = baseline_of(product)
    if product.product is None:
        offset = OFFSET if baseline >= OFFSET_BASELINE else 0.0
        return {name: Scaling(scale=1 / QUANTIFICATION, offset=offset / QUANTIFICATION) for name in BANDS}
    root, prefix = product.product, "RADIO" if level == "toa" else "BOA"
    key = "QUANTIFICATION_VALUE" if level == "toa" else "BOA_QUANTIFICATION_VALUE"
    # Products of L2A before 2018 (specification 14.2) write it with a prefix.
    key = f"L2A_{key}" if level == "surface" and root.find(f".//{key}") is None else key
    quantification = number(root, f".//{key}", origin=product.origin)
    if quantification <= 0.0:
        raise product.error(f"expected {key} above 0, got {quantification:g}.")
    offsets: dict[str, float] = {}
    for row in root.iter(f"{prefix}_ADD_OFFSET"):
        place = row.get("band_id", "")
        if not place.isdigit() or int(place) >= len(BANDS):
            raise product.error(f"expected band_id 0 to {len(BANDS) - 1} in {prefix}_ADD_OFFSET, got {place[:20]!r}.")
        offsets[BANDS[int(place)]] = to_number(row.text or "", f"{prefix}_ADD_OFFSET", origin=product.origin)
    if not offsets and baseline >= OFFSET_BASELINE:
        raise product.error(
            f"processing baseline {baseline:05.2f} has {prefix}_ADD_OFFSET in its metadata; these have none."
            " If you know it, say --scale 0.0001 --offset -0.1 (or 0)."
        )
    return {name: Scaling(scale=1 / quantification, offset=offsets.get(name, 0.0) / quantification) for name in BANDS}


def _sun(product: Safe) -> SunAngles | None:
    angles = product.granule.find(".//Mean_Sun_Angle")
    if angles is None:
        return None
    zenith, azimuth = (number(angles, key, origin=product.origin) for key in ("ZENITH_ANGLE", "AZIMUTH_ANGLE"))
    if not (0.0 <= zenith <= 180.0 and 0.0 <= azimuth <= 360.0):
        raise product.error(f"expected the sun's zenith and azimuth in degrees, got {zenith:g} and {azimuth:g}.")
    return SunAngles(zenith=zenith, azimuth=azimuth)


def _view(product: Safe) -> tuple[str | None, str | None]:
    """Mean zenith and azimuth of the view over all bands, in degrees, for the records."""
    rows = list(product.granule.iter("Mean_Viewing_Incidence_Angle"))
    zenith, azimuth = (
        np.radians([number(row, key, origin=product.origin) for row in rows])
        for key in ("ZENITH_ANGLE", "AZIMUTH_ANGLE")
    )
    if not rows:
        return None, None
    # The mean of the directions: 359 and 1 degree are 0, not 180.
    east, north = np.sin(azimuth).mean(), np.cos(azimuth).mean()
    return f"{np.degrees(zenith.mean()):.2f}", f"{np.degrees(np.arctan2(east, north)) % 360:.2f}"


def _ground(product: Safe) -> Ground | None:
    """Give the tile's place; None where the metadata lack it."""
    place = product.granule.find(".//Tile_Geocoding")
    code = None if place is None else _EPSG.fullmatch(optional_text(place, "HORIZONTAL_CS_CODE") or "")
    if place is None or code is None:
        return None
    keys = ("Geoposition/ULX", "Geoposition/ULY", "Geoposition/XDIM", "Geoposition/YDIM", "Size/NROWS", "Size/NCOLS")
    left, top, width, height, rows, cols = (number(place, key, origin=product.origin) for key in keys)
    return Ground(epsg=int(code[1]), left=left, bottom=top + rows * height, right=left + cols * width, top=top)


def _time(product: Safe) -> datetime | None:
    written = optional_text(product.granule, ".//SENSING_TIME")
    try:
        found = datetime.fromisoformat(written) if written else None
    except ValueError as error:
        raise product.error(f"expected SENSING_TIME as a date and time, got {(written or '')[:40]!r}.") from error
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found
