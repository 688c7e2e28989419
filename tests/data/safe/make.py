"""Make Sentinel-2 products (SAFE): JPEG 2000 bands and the metadata that the reader looks at.

python make.py FOLDER [SIDE]   (SIDE: pixels at 10 m, a multiple of 6; 10980 makes a product of full size)
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
METRES = dict.fromkeys(("B02", "B03", "B04", "B08"), 10) | dict.fromkeys(("B01", "B09", "B10"), 60)
NAME = "S2{letter}_MSI{level}_20240120T105341_N{baseline}_R051_T31TCJ_20240120T125244.SAFE"
GRANULE = "{level}_T31TCJ_A044807_20240120T105433"


def metres_of(band: str) -> int:
    """Resolution of a band, in metres."""
    return METRES.get(band, 20)


def numbers(band: str, side: int = 36, seed: int = 1) -> np.ndarray:
    """Draw digital numbers of a band, ``(y, x)``; ``side`` counts pixels of 10 m."""
    size = side * 10 // metres_of(band)
    rng = np.random.default_rng((seed, BANDS.index(band)))
    coarse = rng.integers(1200, 6000, (max(size // 6, 1), max(size // 6, 1)))
    grown = np.kron(coarse, np.ones((-(-size // len(coarse)),) * 2, int))
    return grown[:size, :size].astype(np.uint16)


def mask(name: str, side: int = 36) -> np.ndarray:
    """Draw a mask of 60 m, ``(layer, y, x)``: cloud, cirrus and snow (CLASSI), or one detector but in the last row."""
    size = side // 6
    values = np.zeros((3 if name == "CLASSI_B00" else 1, size, size), np.uint8)
    if name == "CLASSI_B00":
        values[[0, 1, 2], 0, [0, 1, 2]] = 1
    else:
        values[:, :-1] = 4
    return values


def scl(side: int = 36) -> np.ndarray:
    """Draw a scene classification of 20 m: the first row holds the codes, the others vegetation."""
    values = np.full((side // 2, side // 2), 4, np.uint8)
    values[0, :12] = range(12)
    return values


def old_name(name: str) -> str:
    """Give the name that a file had before December 2016."""
    part = "S2A_OPER_{kind}_L1C_TL_SGS__20160101T120000_20160101T180000_A002000_T31TCJ"
    if name == "MTD_MSIL1C.xml":
        return "S2A_OPER_MTD_SAFL1C_PDMC_20160101T180000_R051_V20160101T105341_20160101T105341.xml"
    if name == "MTD_TL.xml":
        return f"{part.format(kind='MTD')}.xml"
    if name.endswith(".jp2"):
        return f"{part.format(kind='MSI')}_{name.removesuffix('.jp2').rpartition('_')[2]}.jp2"
    return f"{part.format(kind='MSI')}_N02.01"


def product_xml(level: str = "L1C", *, letter: str = "A", baseline: str = "05.10", offset: int | None = -1000) -> str:
    """Write the product's metadata."""
    prefix, key = ("RADIO", "QUANTIFICATION_VALUE") if level == "L1C" else ("BOA", "BOA_QUANTIFICATION_VALUE")
    offsets = (
        ""
        if offset is None
        else "".join(
            f'<{prefix}_ADD_OFFSET band_id="{place}">{offset}</{prefix}_ADD_OFFSET>' for place in range(len(BANDS))
        )
    )
    uri = NAME.format(letter=letter, level=level, baseline=baseline.replace(".", ""))
    return f"""<?xml version="1.0"?>
<n1:Level-{level[1:]}_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-{level[1:]}.xsd">
<n1:General_Info><Product_Info><PRODUCT_URI>{uri}</PRODUCT_URI>
<PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
<Datatake><SPACECRAFT_NAME>Sentinel-2{letter}</SPACECRAFT_NAME></Datatake></Product_Info>
<Product_Image_Characteristics><{key} unit="none">10000</{key}>{offsets}</Product_Image_Characteristics>
</n1:General_Info></n1:Level-{level[1:]}_User_Product>
"""


def granule_xml(level: str = "L1C", *, letter: str = "A", baseline: str = "05.10", side: int = 36) -> str:
    """Write the granule's metadata."""
    return f"""<?xml version="1.0"?>
<n1:Level-{level[1:]}_Tile_ID xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_Level-{level[1:]}_Tile.xsd">
<n1:General_Info><TILE_ID>S2{letter}_OPER_MSI_{level}_TL_2APS_20240120T125244_A044807_T31TCJ_N{baseline}</TILE_ID>
<SENSING_TIME>2024-01-20T10:58:50.500329Z</SENSING_TIME></n1:General_Info>
<n1:Geometric_Info><Tile_Geocoding><HORIZONTAL_CS_CODE>EPSG:32631</HORIZONTAL_CS_CODE>
<Size resolution="10"><NROWS>{side}</NROWS><NCOLS>{side}</NCOLS></Size>
<Geoposition resolution="10"><ULX>300000</ULX><ULY>4900020</ULY><XDIM>10</XDIM><YDIM>-10</YDIM></Geoposition>
</Tile_Geocoding><Tile_Angles><Mean_Sun_Angle><ZENITH_ANGLE unit="deg">65.5</ZENITH_ANGLE>
<AZIMUTH_ANGLE unit="deg">162.5</AZIMUTH_ANGLE></Mean_Sun_Angle>
<Mean_Viewing_Incidence_Angle_List><Mean_Viewing_Incidence_Angle bandId="0"><ZENITH_ANGLE unit="deg">3</ZENITH_ANGLE>
<AZIMUTH_ANGLE unit="deg">350</AZIMUTH_ANGLE></Mean_Viewing_Incidence_Angle>
<Mean_Viewing_Incidence_Angle bandId="1"><ZENITH_ANGLE unit="deg">4</ZENITH_ANGLE>
<AZIMUTH_ANGLE unit="deg">30</AZIMUTH_ANGLE></Mean_Viewing_Incidence_Angle>
</Mean_Viewing_Incidence_Angle_List></Tile_Angles></n1:Geometric_Info>
</n1:Level-{level[1:]}_Tile_ID>
"""


def write_jp2(path: Path, values: np.ndarray, metres: float) -> None:
    """Write a band ``(y, x)``, or a mask of layers ``(layer, y, x)``, without loss."""
    path.parent.mkdir(parents=True, exist_ok=True)
    layers = values if values.ndim == 3 else values[None]
    profile = {
        "driver": "JP2OpenJPEG",
        "count": layers.shape[0],
        "height": layers.shape[1],
        "width": layers.shape[2],
        "dtype": layers.dtype.name,
        "crs": "EPSG:32631",
        "transform": from_origin(300_000, 4_900_020, metres, metres),
        "QUALITY": "100",
        "REVERSIBLE": "YES",
        "RESOLUTIONS": "6" if min(layers.shape[1:]) >= 1024 else "2",
        "BLOCKXSIZE": 1024,
        "BLOCKYSIZE": 1024,
        "NUM_THREADS": "ALL_CPUS",
    }
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(layers)


def write(folder: Path, level: str = "L1C", *, side: int = 36, **changes: object) -> Path:
    """Write a product; changes are those of the metadata. Returns its folder."""
    letter, baseline = str(changes.get("letter", "A")), str(changes.get("baseline", "05.10"))
    root = folder / NAME.format(letter=letter, level=level, baseline=baseline.replace(".", ""))
    granule = root / "GRANULE" / GRANULE.format(level=level)
    granule.mkdir(parents=True)
    (root / f"MTD_MSI{level}.xml").write_text(product_xml(level, **changes), "utf-8")  # type: ignore[arg-type]
    (granule / "MTD_TL.xml").write_text(granule_xml(level, letter=letter, baseline=baseline, side=side), "utf-8")
    for band in BANDS:
        metres = metres_of(band)
        name = f"T31TCJ_20240120T105341_{band}"
        if level == "L1C":
            write_jp2(granule / "IMG_DATA" / f"{name}.jp2", numbers(band, side), metres)
        elif band != "B10":
            for coarser in (step for step in (10, 20, 60) if step >= metres):
                values = numbers(band, side)[:: coarser // metres, :: coarser // metres]
                write_jp2(granule / "IMG_DATA" / f"R{coarser}m" / f"{name}_{coarser}m.jp2", values, coarser)
    if level == "L1C":
        for name in ("CLASSI_B00", "DETFOO_B01"):
            write_jp2(granule / "QI_DATA" / f"MSK_{name}.jp2", mask(name, side), 60)
    else:
        write_jp2(granule / "IMG_DATA" / "R20m" / "T31TCJ_20240120T105341_SCL_20m.jp2", scl(side), 20)
    return root


def rename_to_old(root: Path) -> Path:
    """Give a product's files the names of before December 2016."""
    for path in sorted(root.rglob("*"), key=lambda one: -len(one.parts)):
        if path.suffix in {".xml", ".jp2"} or path.parent.name == "GRANULE":
            path.rename(path.with_name(old_name(path.name)))
    return root


if __name__ == "__main__":
    print(write(Path(sys.argv[1]), side=int(sys.argv[2]) if len(sys.argv) > 2 else 36))
