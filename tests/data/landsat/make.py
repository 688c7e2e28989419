"""Make Landsat products: GeoTIFF bands and the MTL metadata of each generation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

SCENE = "LC80010012015216LGN00"
BANDS = (1, 2, 3, 4, 5, 6, 7, 9)
ESPA = "LT05_L1TP_041034_20051109_20160911_01_T1"
ESPA_BANDS = (1, 2, 3, 4, 5, 7)


def numbers(band: int, shape: tuple[int, int] = (12, 16)) -> np.ndarray:
    """Draw digital numbers of a band."""
    return np.random.default_rng(band).integers(6000, 30_000, shape).astype(np.uint16)


def groups(kind: str = "pre", *, spacecraft: str = "LANDSAT_8", elevation: float = 30.0) -> dict[str, dict[str, str]]:
    """Give the metadata: ``pre`` (before collections), ``c1``, ``c2l1`` or ``c2l2``."""
    prefix = f"{SCENE}_SR" if kind == "c2l2" else SCENE
    quality = ("FILE_NAME_QUALITY_L1_PIXEL", "QA_PIXEL") if kind.startswith("c2") else ("FILE_NAME_BAND_QUALITY", "BQA")
    contents, attributes, rescaling = {
        "pre": ("PRODUCT_METADATA", "IMAGE_ATTRIBUTES", "RADIOMETRIC_RESCALING"),
        "c1": ("PRODUCT_METADATA", "IMAGE_ATTRIBUTES", "RADIOMETRIC_RESCALING"),
        "c2l1": ("PRODUCT_CONTENTS", "IMAGE_ATTRIBUTES", "LEVEL1_RADIOMETRIC_RESCALING"),
        "c2l2": ("PRODUCT_CONTENTS", "IMAGE_ATTRIBUTES", "LEVEL1_RADIOMETRIC_RESCALING"),
    }[kind]
    number = {"pre": {}, "c1": {"COLLECTION_NUMBER": "01"}}.get(kind, {"COLLECTION_NUMBER": "02"})
    files = {f"FILE_NAME_BAND_{band}": f"{prefix}_B{band}.TIF" for band in BANDS}
    toa = {
        f"REFLECTANCE_{key}_BAND_{band}": value
        for key, value in (("MULT", "2.0E-05"), ("ADD", "-0.1"))
        for band in BANDS
    }
    surface = {
        f"REFLECTANCE_{key}_BAND_{band}": value
        for key, value in (("MULT", "2.75e-05"), ("ADD", "-0.2"))
        for band in BANDS
    }
    rows = {
        contents: {**number, **files, "FILE_NAME_BAND_8": f"{prefix}_B8.TIF", quality[0]: f"{SCENE}_{quality[1]}.TIF"},
        attributes: {
            "SPACECRAFT_ID": spacecraft,
            "SENSOR_ID": "OLI_TIRS",
            "DATE_ACQUIRED": "2015-08-04",
            "SCENE_CENTER_TIME": "16:19:21.7917421Z",
            "SUN_AZIMUTH": "115.5",
            "SUN_ELEVATION": str(elevation),
        },
        "PROJECTION_PARAMETERS": {
            "MAP_PROJECTION": "UTM",
            "DATUM": "WGS84",
            "UTM_ZONE": "17",
            "CORNER_UL_PROJECTION_X_PRODUCT": "500015.000",
            "CORNER_UL_PROJECTION_Y_PRODUCT": "3999985.000",
            "CORNER_LR_PROJECTION_X_PRODUCT": "500465.000",
            "CORNER_LR_PROJECTION_Y_PRODUCT": "3999655.000",
        },
        rescaling: toa,
    }
    return rows | ({"LEVEL2_SURFACE_REFLECTANCE_PARAMETERS": surface} if kind == "c2l2" else {})


def mtl(rows: dict[str, dict[str, str]], suffix: str = "txt") -> str:
    """Write the metadata as text, XML or JSON."""
    if suffix == "json":
        return json.dumps({"LANDSAT_METADATA_FILE": rows})
    if suffix == "xml":
        inside = "".join(
            f"<{name}>{''.join(f'<{key}>{value}</{key}>' for key, value in row.items())}</{name}>"
            for name, row in rows.items()
        )
        return f"<?xml version='1.0'?><LANDSAT_METADATA_FILE>{inside}</LANDSAT_METADATA_FILE>"
    lines = ["GROUP = LANDSAT_METADATA_FILE"]
    for name, row in rows.items():
        lines += [
            f"  GROUP = {name}",
            *(f'    {key} = "{value}"' for key, value in row.items()),
            f"  END_GROUP = {name}",
        ]
    return "\n".join([*lines, "END_GROUP = LANDSAT_METADATA_FILE", "END", ""])


def write_tif(path: Path, values: np.ndarray, metres: float = 30.0) -> None:
    """Write a band. An older file is removed here: GDAL would remove the metadata file with it."""
    path.unlink(missing_ok=True)
    height, width = values.shape
    profile = {"driver": "GTiff", "count": 1, "height": height, "width": width, "dtype": values.dtype.name}
    place = {"crs": "EPSG:32617", "transform": from_origin(500_000, 4_000_000, metres, metres)}
    with rasterio.open(path, "w", **profile, **place) as raster:
        raster.write(values, 1)


def write(folder: Path, kind: str = "pre", *, suffix: str = "txt", **changes: object) -> Path:
    """Write a product; changes are those of the metadata. Returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = groups(kind, **changes)  # type: ignore[arg-type]
    files = next(iter(rows.values()))
    for band in BANDS:
        write_tif(folder / files[f"FILE_NAME_BAND_{band}"], numbers(band))
    write_tif(folder / files["FILE_NAME_BAND_8"], numbers(8, (24, 32)), 15.0)
    quality = files.get("FILE_NAME_QUALITY_L1_PIXEL") or files["FILE_NAME_BAND_QUALITY"]
    write_tif(folder / quality, bits(kind))
    (folder / f"{SCENE}_MTL.{suffix}").write_text(mtl(rows, suffix), "utf-8")
    return folder


def espa_xml() -> str:
    """Write the metadata of level 2 of Collection 1."""
    rows = "".join(
        f'<band product="sr_refl" name="sr_band{band}" data_type="INT16" fill_value="-9999" scale_factor="0.000100">'
        f"<file_name>{ESPA}_sr_band{band}.tif</file_name></band>"
        for band in ESPA_BANDS
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<espa_metadata version="2.0" xmlns="http://espa.cr.usgs.gov/v2">
<global_metadata><data_provider>USGS/EROS</data_provider><satellite>LANDSAT_5</satellite><instrument>TM</instrument>
<acquisition_date>2005-11-09</acquisition_date><scene_center_time>18:50:29.8200560Z</scene_center_time>
<solar_angles zenith="64.973633" azimuth="161.785904" units="degrees"/></global_metadata>
<bands>{rows}<band product="level2_qa" name="pixel_qa" data_type="UINT16" fill_value="1">
<file_name>{ESPA}_pixel_qa.tif</file_name></band></bands></espa_metadata>
"""


def write_espa(folder: Path) -> Path:
    """Write a product of level 2 of Collection 1, with the metadata of level 1 beside its own. Returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for band in ESPA_BANDS:
        values = (numbers(band) // 10).astype(np.int16)
        values[0] = -9999
        write_tif(folder / f"{ESPA}_sr_band{band}.tif", values)
    write_tif(folder / f"{ESPA}_pixel_qa.tif", bits("espa"))
    (folder / f"{ESPA}.xml").write_text(espa_xml(), "utf-8")
    (folder / f"{ESPA}_MTL.txt").write_text(mtl(groups("c1", spacecraft="LANDSAT_5")), "utf-8")
    return folder


def bits(kind: str) -> np.ndarray:
    """Write quality bits: the first five pixels are clear, cloud, shadow, snow and fill, the others clear."""
    found = {
        "pre": (0x5000, 0xC000, 0x5000, 0x0C00, 1),
        "c1": (2720, 2800, 2976, 3744, 1),
        "c2l1": (21824, 22280, 23888, 30048, 1),
        "c2l2": (21824, 22280, 23888, 30048, 1),
        "espa": (66, 224, 72, 80, 1),
    }[kind]
    values = np.full((12, 16), found[0], np.uint16)
    values[0, :5] = found
    return values
