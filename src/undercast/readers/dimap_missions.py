"""What the metadata of SPOT-4/5, Pleiades and Take5 products say of their images.

Digital numbers of SPOT and Pleiades become top-of-atmosphere reflectance: ``L = DN / gain + bias``, and
``rho = pi L d^2 / (E0 cos(sun zenith))``.
Sources: SPOT scene products format (S5-ST-73-1-CN); CNES calibration synthesis for SPOT-1 to -5 (E0); Pleiades Imagery
User Guide, appendix D; Theia, SPOT4 (Take5) product format.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from xml.etree.ElementTree import Element

from undercast.radiometry import Scaling
from undercast.readers.dimap_metadata import (
    Document,
    Image,
    acquired_at,
    checked_gain,
    checked_sun,
    image_file,
    inside,
    irradiance_of,
    nodata_values,
    to_toa,
)
from undercast.readers.xml import optional_text, text
from undercast.scene import SunAngles
from undercast.types import ProductLevel

SPOT_SENSORS = {"4": "spot-4-hrvir", "5": "spot-5-hrg"}
"""MISSION_INDEX -> sensor."""
SPOT_ORDER = ("XS3", "XS2", "XS1", "SWIR")
"""Bands of a SPOT image file in their order, whatever the order in the metadata."""
SPOT_IRRADIANCE: Mapping[tuple[str, str], Mapping[str, float]] = {
    ("4", "1"): {"XS1": 1842.9, "XS2": 1570.2, "XS3": 1052.1, "SWIR": 235.84},
    ("4", "2"): {"XS1": 1850.9, "XS2": 1589.0, "XS3": 1054.8, "SWIR": 241.93},
    ("5", "1"): {"XS1": 1859.8, "XS2": 1575.3, "XS3": 1043.9, "SWIR": 238.87},
    ("5", "2"): {"XS1": 1859.8, "XS2": 1577.6, "XS3": 1048.2, "SWIR": 237.78},
}
"""Satellite and instrument -> band -> E0 in W m-2 um-1."""
PLEIADES_ORDER = ("B2", "B1", "B0", "B3")
"""Bands of a Pleiades image file where the metadata do not say their order."""
PLEIADES_IRRADIANCE = {"B0": 1915.0, "B1": 1830.0, "B2": 1594.0, "B3": 1060.0}
"""E0 in W m-2 um-1 for files whose metadata hold the placeholder."""
TAKE5_NODATA = -10_000.0
"""Stored value without data in Take5 files."""
TAKE5_IMAGES: tuple[tuple[str, ProductLevel], ...] = (
    ("ORTHO_SURF_CORR_PENTE", "surface"),
    ("ORTHO_SURF_CORR_ENV", "surface"),
    ("GEOTIFF", "toa"),
)
"""Element that names an image -> what it holds, in the order of preference."""


def read_spot(document: Document) -> Image:
    """Read a DIMAP 1 document of SPOT-4 or SPOT-5.

    Raises:
        SceneError: If it lacks what reflectance needs, or is of another mission.
    """
    scene = "Dataset_Sources/Source_Information/Scene_Source/"
    mission, index = document.text(f"{scene}MISSION"), document.text(f"{scene}MISSION_INDEX")
    instrument = document.text(f"{scene}INSTRUMENT_INDEX")
    if mission.upper() != "SPOT" or (index, instrument) not in SPOT_IRRADIANCE:
        raise document.error(f"expected SPOT 4 or 5 with instrument 1 or 2, got {mission} {index}, {instrument}.")
    acquired = acquired_at(
        document, document.text(f"{scene}IMAGING_DATE"), document.optional_text(f"{scene}IMAGING_TIME")
    )
    sun = checked_sun(document, document.number(f"{scene}SUN_ELEVATION"), document.number(f"{scene}SUN_AZIMUTH"))
    published, own = SPOT_IRRADIANCE[index, instrument], _spot_irradiance(document)
    scalings = {}
    for band, (gain, bias) in _spot_calibration(document).items():
        irradiance = irradiance_of(document, band, own.get(band), published[band])
        scalings[band] = to_toa(gain, bias, irradiance, acquired=acquired, sun=sun)
    return Image(
        # Metadata files and their folders have the same names in every product.
        name=f"SPOT{index}_{instrument}_{acquired:%Y%m%dT%H%M%S}",
        sensor=SPOT_SENSORS[index],
        source=image_file(document, "Data_Access/Data_File"),
        scalings={band: scalings[band] for band in SPOT_ORDER if band in scalings},
        level="toa",
        nodata=nodata_values(document, "Image_Display/Special_Value", "SPECIAL_VALUE_INDEX"),
        acquired=acquired,
        sun=sun,
    )


def _spot_calibration(document: Document) -> dict[str, tuple[float, float]]:
    """Read gain and bias by the bands' descriptions: the indices count otherwise than the image's layers."""
    found = {}
    for element in document.root.iterfind("Image_Interpretation/Spectral_Band_Info"):
        band = text(element, "BAND_DESCRIPTION", origin=str(document.path)).upper().replace("XS4", "SWIR")
        gain, bias = (document.number(f"PHYSICAL_{name}", element) for name in ("GAIN", "BIAS"))
        if band not in SPOT_ORDER or band in found:
            raise document.error(f"expected the bands {', '.join(SPOT_ORDER)} once each, got {band[:20]}.")
        found[band] = checked_gain(document, gain, band), bias
    if not set(SPOT_ORDER[:3]) <= found.keys():
        raise document.error(f"expected gains of {', '.join(SPOT_ORDER[:3])}, got {', '.join(found) or 'none'}.")
    return found


def _spot_irradiance(document: Document) -> dict[str, float]:
    """Read E0 by its index, which counts XS1, XS2, XS3, SWIR."""
    bands = {"1": "XS1", "2": "XS2", "3": "XS3", "4": "SWIR"}
    return {
        bands[index]: document.number("SOLAR_IRRADIANCE_VALUE", element)
        for element in document.root.iterfind(".//Solar_Irradiance/Band_Solar_Irradiance")
        if (index := optional_text(element, "BAND_INDEX")) in bands
    }


def read_pleiades(document: Document) -> Image:
    """Read a DIMAP 2 document of Pleiades.

    Raises:
        SceneError: If it lacks what reflectance needs, or is of another mission.
    """
    source = "Dataset_Sources/Source_Identification/Strip_Source/"
    mission = document.text(f"{source}MISSION").upper()
    if mission not in {"PHR", "PLEIADES"}:
        raise document.error(f"expected Pleiades (PHR), got {mission[:20]}. Open its image with --bands and --scale.")
    acquired = acquired_at(
        document, document.text(f"{source}IMAGING_DATE"), document.optional_text(f"{source}IMAGING_TIME")
    )
    sun = _pleiades_sun(document)
    processing = document.text(".//Radiometric_Settings/RADIOMETRIC_PROCESSING").upper()
    order = _pleiades_order(document)
    if processing == "REFLECTANCE":
        scalings = {band: _reflectance(document, band) for band in order}
    elif processing == "BASIC":
        scalings = {band: _pleiades_toa(document, band, acquired, sun) for band in order}
    else:
        raise document.error(
            f"expected radiometric processing BASIC or REFLECTANCE, got {processing[:20]}, which is for display."
            " Order the product in one of these."
        )
    return Image(
        name=document.path.stem,
        sensor="pleiades-hiri",
        source=image_file(document, "Raster_Data/Data_Access/Data_Files/Data_File"),
        scalings=scalings,
        level="toa" if processing == "BASIC" else None,
        nodata=nodata_values(document, ".//Raster_Display/Special_Value", "SPECIAL_VALUE_COUNT"),
        acquired=acquired,
        sun=sun,
        note="" if processing == "BASIC" else "reflectance with Rayleigh scattering taken out, aerosols left in",
    )


def _pleiades_sun(document: Document) -> SunAngles:
    """Read the sun's angles at the centre, or the first that stand there."""
    places = document.root.findall(".//Located_Geometric_Values")
    centre = [place for place in places if (optional_text(place, "LOCATION_TYPE") or "").lower() == "center"]
    if not places:
        raise document.error("expected the sun's angles (Located_Geometric_Values), got none.")
    place = (centre or places)[0]
    angles = (document.number(f"Solar_Incidences/SUN_{name}", place) for name in ("ELEVATION", "AZIMUTH"))
    return checked_sun(document, *angles)


def _pleiades_order(document: Document) -> tuple[str, ...]:
    """Read which band each layer is; the display's colours are the layers in their order."""
    channels = [
        document.optional_text(f".//Band_Display_Order/{colour}_CHANNEL")
        for colour in ("RED", "GREEN", "BLUE", "ALPHA")
    ]
    order = tuple(channel for channel in channels if channel)
    bands = document.number(".//Raster_Dimensions/NBANDS")
    if not order and bands == len(PLEIADES_ORDER):
        return PLEIADES_ORDER
    if len(order) != bands or len(set(order)) != len(order) or not set(order) <= set(PLEIADES_ORDER):
        raise document.error(
            f"expected {bands:g} bands of {', '.join(sorted(PLEIADES_ORDER))}, got {', '.join(order)}."
        )
    return order


def _measure(document: Document, kind: str, band: str) -> Element | None:
    elements = document.root.iterfind(f".//Band_Measurement_List/{kind}")
    return next((element for element in elements if optional_text(element, "BAND_ID") == band), None)


def _gain_and_bias(document: Document, kind: str, band: str) -> tuple[float, float]:
    element = _measure(document, kind, band)
    if element is None:
        raise document.error(f"expected <{kind}> of band {band}, got none.")
    gain, bias = (document.number(name, element) for name in ("GAIN", "BIAS"))
    return checked_gain(document, gain, band), bias


def _reflectance(document: Document, band: str) -> Scaling:
    gain, bias = _gain_and_bias(document, "Band_Reflectance", band)
    return Scaling(scale=1.0 / gain, offset=bias)


def _pleiades_toa(document: Document, band: str, acquired: datetime, sun: SunAngles) -> Scaling:
    gain, bias = _gain_and_bias(document, "Band_Radiance", band)
    element = _measure(document, "Band_Solar_Irradiance", band)
    own = None if element is None else document.number("VALUE", element)
    irradiance = irradiance_of(document, band, own, PLEIADES_IRRADIANCE[band])
    return to_toa(gain, bias, irradiance, acquired=acquired, sun=sun)


def read_take5(document: Document) -> Image:
    """Read a Take5 document; of surface reflectances, the one with the relief taken out is preferred.

    Raises:
        SceneError: If it lacks what reflectance needs, or is of another mission.
    """
    platform = document.text("HEADER/PLATEFORM").upper()
    sensors = {f"SPOT{index}": sensor for index, sensor in SPOT_SENSORS.items()}
    if platform not in sensors:
        raise document.error(f"expected SPOT4 or SPOT5 (Take5), got {platform[:20]}.")
    image = next((pair for pair in TAKE5_IMAGES if document.optional_text(f"FILES/{pair[0]}")), None)
    if image is None:
        raise document.error(f"expected an image under FILES: {', '.join(name for name, _ in TAKE5_IMAGES)}; got none.")
    bands = [name.strip().upper() for name in document.text("RADIOMETRY/BANDS").split(";")]
    divisor = checked_gain(document, document.number("RADIOMETRY/QUANTIFICATION/VALUE"), "every")
    date, _, time = document.text("HEADER/DATE_PDV").partition(" ")
    zenith, azimuth = (document.number(f"RADIOMETRY/ANGLES/{name}") for name in ("THETA_S", "PHI_S"))
    return Image(
        name=document.path.stem,
        sensor=sensors[platform],
        source=inside(document, document.text(f"FILES/{image[0]}")),
        scalings={band: Scaling(scale=1.0 / divisor) for band in bands},
        level=image[1],
        nodata=(TAKE5_NODATA,),
        acquired=acquired_at(document, date, time),
        sun=checked_sun(document, 90.0 - zenith, azimuth),
    )
