"""Write small SPOT, Pleiades and Take5 products in their layouts: ``python make.py FOLDER``."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import from_origin

SHAPE = (20, 24)
TRANSFORM = from_origin(500_000.0, 4_600_000.0, 10.0, 10.0)
SPOT_GAINS = {"XS1": 1.5, "XS2": 2.0, "XS3": 1.8, "SWIR": 9.0}
SPOT_IRRADIANCE = {"XS1": 1858.0, "XS2": 1575.0, "XS3": 1047.0, "SWIR": 234.0}
PLEIADES_GAINS = {"B0": 9.4, "B1": 9.6, "B2": 10.5, "B3": 15.6}
TAKE5 = "SPOT4_HRVIR1_XS_20130407_N2A_CSudmipyD0000B0000"


def numbers(layers: int = 4, *, dtype: str = "uint8", top: int = 250, seed: int = 6) -> NDArray[Any]:
    """Draw digital numbers above 0, ``(layer, y, x)``."""
    return np.random.default_rng(seed).integers(1, top, (layers, *SHAPE)).astype(dtype)


def write_image(path: Path, values: NDArray[Any], *, col: int = 0) -> None:
    """Write a GeoTIFF; ``col`` is where its first column lies."""
    layers, height, width = values.shape
    options = {"count": layers, "height": height, "width": width, "dtype": values.dtype, "crs": "EPSG:32631"}
    with (
        warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
        rasterio.open(
            path, "w", driver="GTiff", transform=TRANSFORM * TRANSFORM.translation(col, 0), **options
        ) as file,
    ):
        file.write(values)


def spot(folder: Path, values: NDArray[Any] | None = None, **changes: str) -> Path:
    """Write a SPOT-5 scene; ``changes`` are texts of its metadata and what stands in their place."""
    folder.mkdir(parents=True)
    values = numbers() if values is None else values
    write_image(folder / "IMAGERY.TIF", values)
    bands = list(SPOT_GAINS)[: len(values)]
    info = "".join(
        f"<Spectral_Band_Info><BAND_INDEX>{index}</BAND_INDEX><BAND_DESCRIPTION>{band}</BAND_DESCRIPTION>"
        f"<PHYSICAL_UNIT>W m-2 sr-1 um-1</PHYSICAL_UNIT><PHYSICAL_GAIN>{SPOT_GAINS[band]}</PHYSICAL_GAIN>"
        "<PHYSICAL_BIAS>0.5</PHYSICAL_BIAS></Spectral_Band_Info>"
        for index, band in enumerate(bands, start=1)
    )
    sun = "".join(
        f"<Band_Solar_Irradiance><BAND_INDEX>{index}</BAND_INDEX>"
        f"<SOLAR_IRRADIANCE_VALUE>{SPOT_IRRADIANCE[band]}</SOLAR_IRRADIANCE_VALUE></Band_Solar_Irradiance>"
        for index, band in enumerate(bands, start=1)
    )
    text = (
        '<?xml version="1.0" encoding="ISO-8859-1"?><Dimap_Document>'
        '<Metadata_Id><METADATA_FORMAT version="1.1">DIMAP</METADATA_FORMAT></Metadata_Id>'
        "<Dataset_Sources><Source_Information><Scene_Source><IMAGING_DATE>2007-09-02</IMAGING_DATE>"
        "<IMAGING_TIME>10:51:43</IMAGING_TIME><MISSION>SPOT</MISSION><MISSION_INDEX>5</MISSION_INDEX>"
        "<INSTRUMENT>HRG</INSTRUMENT><INSTRUMENT_INDEX>2</INSTRUMENT_INDEX><SUN_AZIMUTH>160.5</SUN_AZIMUTH>"
        "<SUN_ELEVATION>50.0</SUN_ELEVATION></Scene_Source></Source_Information></Dataset_Sources>"
        f"<Raster_Dimensions><NCOLS>{SHAPE[1]}</NCOLS><NROWS>{SHAPE[0]}</NROWS><NBANDS>{len(values)}</NBANDS>"
        '</Raster_Dimensions><Data_Access><Data_File><DATA_FILE_PATH href="IMAGERY.TIF"/></Data_File></Data_Access>'
        "<Image_Display><Special_Value><SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX>"
        "<SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT></Special_Value><Special_Value>"
        "<SPECIAL_VALUE_INDEX>255</SPECIAL_VALUE_INDEX><SPECIAL_VALUE_TEXT>SATURATED</SPECIAL_VALUE_TEXT>"
        f"</Special_Value></Image_Display><Image_Interpretation>{info}</Image_Interpretation>"
        f"<Data_Strip><Sensor_Calibration><Solar_Irradiance>{sun}</Solar_Irradiance></Sensor_Calibration></Data_Strip>"
        "</Dimap_Document>"
    )
    return _save(folder / "METADATA.DIM", text, changes)


def pleiades(folder: Path, values: NDArray[Any] | None = None, *, tiles: int = 1, **changes: str) -> Path:
    """Write a Pleiades product of some tiles side by side; ``changes`` as in ``spot``."""
    folder.mkdir(parents=True)
    values = numbers(dtype="uint16", top=4000) if values is None else values
    width = SHAPE[1] // tiles
    for tile in range(tiles):
        write_image(
            folder / f"IMG_R1C{tile + 1}.TIF", values[:, :, tile * width : (tile + 1) * width], col=tile * width
        )
    files = "".join(
        f'<Data_File tile_R="1" tile_C="{tile}"><DATA_FILE_PATH href="IMG_R1C{tile}.TIF"/></Data_File>'
        for tile in range(1, tiles + 1)
    )
    measures = "".join(
        f"<Band_Radiance><BAND_ID>{band}</BAND_ID><GAIN>{gain}</GAIN><BIAS>0.0</BIAS></Band_Radiance>"
        f"<Band_Reflectance><BAND_ID>{band}</BAND_ID><GAIN>10000</GAIN><BIAS>0.0</BIAS></Band_Reflectance>"
        f"<Band_Solar_Irradiance><BAND_ID>{band}</BAND_ID><VALUE>999</VALUE></Band_Solar_Irradiance>"
        for band, gain in PLEIADES_GAINS.items()
    )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><Dimap_Document>'
        '<Metadata_Identification><METADATA_FORMAT version="2.0">DIMAP</METADATA_FORMAT></Metadata_Identification>'
        "<Dataset_Sources><Source_Identification><Strip_Source><MISSION>PHR</MISSION><MISSION_INDEX>1A</MISSION_INDEX>"
        "<IMAGING_DATE>2012-08-15</IMAGING_DATE><IMAGING_TIME>10:30:05.5Z</IMAGING_TIME></Strip_Source>"
        "</Source_Identification></Dataset_Sources><Processing_Information><Product_Settings><Radiometric_Settings>"
        "<RADIOMETRIC_PROCESSING>BASIC</RADIOMETRIC_PROCESSING></Radiometric_Settings></Product_Settings>"
        f"</Processing_Information><Raster_Data><Data_Access><DATA_FILE_FORMAT>image/tiff</DATA_FILE_FORMAT>"
        f"<Data_Files>{files}</Data_Files></Data_Access><Raster_Display><Band_Display_Order>"
        "<RED_CHANNEL>B2</RED_CHANNEL><GREEN_CHANNEL>B1</GREEN_CHANNEL><BLUE_CHANNEL>B0</BLUE_CHANNEL>"
        "<ALPHA_CHANNEL>B3</ALPHA_CHANNEL></Band_Display_Order><Special_Value>"
        "<SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_COUNT>0</SPECIAL_VALUE_COUNT></Special_Value>"
        f"</Raster_Display><Raster_Dimensions><NROWS>{SHAPE[0]}</NROWS><NCOLS>{SHAPE[1]}</NCOLS><NBANDS>4</NBANDS>"
        f"<Tile_Set><NTILES>{tiles}</NTILES><Regular_Tiling><NTILES_SIZE nrows='{SHAPE[0]}' ncols='{width}'/>"
        f"<NTILES_COUNT ntiles_R='1' ntiles_C='{tiles}'/><OVERLAP_COL>0</OVERLAP_COL><OVERLAP_ROW>0</OVERLAP_ROW>"
        "</Regular_Tiling></Tile_Set></Raster_Dimensions></Raster_Data>"
        "<Radiometric_Data><Radiometric_Calibration><Instrument_Calibration>"
        f"<Band_Measurement_List>{measures}</Band_Measurement_List></Instrument_Calibration></Radiometric_Calibration>"
        "</Radiometric_Data><Geometric_Data><Use_Area><Located_Geometric_Values><LOCATION_TYPE>Top Center"
        "</LOCATION_TYPE><Solar_Incidences><SUN_AZIMUTH>1.0</SUN_AZIMUTH><SUN_ELEVATION>1.0</SUN_ELEVATION>"
        "</Solar_Incidences></Located_Geometric_Values><Located_Geometric_Values><LOCATION_TYPE>Center</LOCATION_TYPE>"
        "<Solar_Incidences><SUN_AZIMUTH>150.0</SUN_AZIMUTH><SUN_ELEVATION>55.0</SUN_ELEVATION></Solar_Incidences>"
        "</Located_Geometric_Values></Use_Area></Geometric_Data></Dimap_Document>"
    )
    return _save(folder / "DIM_PHR1A_MS_201208151030055_ORT.XML", text, changes)


def take5(folder: Path, values: NDArray[Any] | None = None, **changes: str) -> Path:
    """Write a SPOT-4 Take5 product of surface reflectance times 1000; ``changes`` as in ``spot``."""
    folder.mkdir(parents=True)
    write_image(folder / f"{TAKE5}_PENTE.TIF", numbers(dtype="int16", top=900) if values is None else values)
    text = (
        "<METADATA><HEADER><IDENT>x</IDENT><DATE_PDV>2013-04-07 10:59:20.5</DATE_PDV><PLATEFORM>SPOT4</PLATEFORM>"
        "<SENSOR>HRVIR1</SENSOR><LEVEL>N2A</LEVEL></HEADER><FILES>"
        f"<ORTHO_SURF_CORR_ENV>missing.TIF</ORTHO_SURF_CORR_ENV>"
        f"<ORTHO_SURF_CORR_PENTE>{TAKE5}_PENTE.TIF</ORTHO_SURF_CORR_PENTE></FILES>"
        "<RADIOMETRY><BANDS>XS1;XS2;XS3;SWIR</BANDS><ANGLES><PHI_S>145.4</PHI_S><THETA_S>37.2</THETA_S></ANGLES>"
        "<QUANTIFICATION><THERM_BAND>False</THERM_BAND><VALUE>1000.0</VALUE></QUANTIFICATION></RADIOMETRY></METADATA>"
    )
    return _save(folder / f"{TAKE5}.xml", text, changes)


def _save(path: Path, text: str, changes: dict[str, str]) -> Path:
    for old, new in changes.items():
        if old not in text:
            msg = f"{old!r} is not in the metadata"
            raise ValueError(msg)
        text = text.replace(old, new)
    path.write_bytes(text.encode("latin-1"))
    return path


if __name__ == "__main__":
    spot(Path(sys.argv[1]) / "spot")
    pleiades(Path(sys.argv[1]) / "pleiades")
    take5(Path(sys.argv[1]) / "take5")
