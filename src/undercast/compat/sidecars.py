"""Side-cars: what CloudS2Mask writes beside a class map, a virtual raster of the bands and a style of confidences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import rasterio

from undercast.errors import SceneError
from undercast.grids import Grid


def band_vrt(product: Path, bands: Sequence[str], grid: Grid) -> str:
    """Describe bands of a Sentinel-2 L1C product as one raster; see https://gdal.org/en/stable/drivers/raster/vrt.html.

    Bands of other pixel sizes are resampled to their nearest pixels.

    Args:
        product: Folder of the product.
        bands: Bands, such as ``B02``.
        grid: Grid of the raster.

    Raises:
        SceneError: If a band's file is not there.
    """
    height, width = grid.shape
    root = ET.Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
    if grid.crs is not None:
        ET.SubElement(root, "SRS").text = grid.crs
    a, b, c, d, e, f = grid.transform
    ET.SubElement(root, "GeoTransform").text = ", ".join(repr(float(value)) for value in (c, a, b, f, d, e))
    for number, name in enumerate(bands, start=1):
        path = next(iter(sorted((product / "GRANULE").glob(f"*/IMG_DATA/*_{name}.jp2"))), None)
        if path is None:
            msg = f"{product}: expected a file of band {name} (GRANULE/*/IMG_DATA/*_{name}.jp2), found none."
            raise SceneError(msg)
        with rasterio.open(path) as source:
            shape = source.shape
        band = ET.SubElement(root, "VRTRasterBand", dataType="UInt16", band=str(number))
        ET.SubElement(band, "Description").text = name
        part = ET.SubElement(band, "SimpleSource")
        ET.SubElement(part, "SourceFilename", relativeToVRT="0").text = str(path.absolute())
        ET.SubElement(part, "SourceBand").text = "1"
        for side, (rows, cols) in {"SrcRect": shape, "DstRect": grid.shape}.items():
            ET.SubElement(part, side, xOff="0", yOff="0", xSize=str(cols), ySize=str(rows))
    return ET.tostring(root, encoding="unicode")


def confidence_qml() -> str:
    """Write a QGIS style of a file with confidences: as in CloudS2Mask, clear in red, thick cloud green, thin blue."""
    root = ET.Element("qgis", version="3.28", styleCategories="Symbology")
    pipe = ET.SubElement(root, "pipe")
    ET.SubElement(
        pipe,
        "rasterrenderer",
        type="multibandcolor",
        redBand="2",
        greenBand="3",
        blueBand="4",
        alphaBand="-1",
        opacity="0.5",
        nodataColor="",
    )
    ET.indent(root)
    doctype = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
    return doctype + ET.tostring(root, encoding="unicode") + "\n"
