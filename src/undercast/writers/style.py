"""Style: the colours of a class scheme, for tables, pictures and QGIS."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np

from undercast.classes import ClassScheme
from undercast.types import UInt8

VALUES = 256
"""Number of values that a class map can hold."""


def stored_nodata(scheme: ClassScheme) -> int | None:
    """Give the nodata value to declare in files, or None where the scheme shares it with a class.

    Some systems write clear and nodata as one value; declared as nodata, it would hide every clear pixel.
    """
    shared = any(entry.value == scheme.nodata for entry in scheme.classes)
    return None if shared else scheme.nodata


def rgb(color: str) -> tuple[int, int, int]:
    """Read ``#rrggbb`` as three numbers in [0, 255]."""
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue


def color_table(scheme: ClassScheme) -> UInt8:
    """Give the colour of each value.

    Returns:
        Red, green, blue and alpha, ``(256, 4)``; black where the scheme has no class, transparent for nodata.
    """
    table = np.zeros((VALUES, 4), np.uint8)
    table[:, 3] = VALUES - 1
    table[scheme.nodata] = 0
    for entry in scheme.classes:
        table[entry.value] = (*rgb(entry.color), VALUES - 1)
    return table


def qml(scheme: ClassScheme) -> str:
    """Write a class scheme as a QGIS layer style (paletted raster renderer); nodata is transparent."""
    root = ET.Element("qgis", version="3.28", styleCategories="Symbology")
    pipe = ET.SubElement(root, "pipe")
    renderer = ET.SubElement(
        pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1", nodataColor=""
    )
    transparency = ET.SubElement(renderer, "rasterTransparency")
    nodata = stored_nodata(scheme)
    if nodata is not None:
        pixels = ET.SubElement(transparency, "singleValuePixelList")
        ET.SubElement(pixels, "pixelListEntry", min=str(nodata), max=str(nodata), percentTransparent="100")
    palette = ET.SubElement(renderer, "colorPalette")
    for entry in scheme.classes:
        ET.SubElement(
            palette,
            "paletteEntry",
            value=str(entry.value),
            label=entry.title,
            color=entry.color,
            alpha="255",
        )
    ET.indent(root)
    doctype = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
    return doctype + ET.tostring(root, encoding="unicode") + "\n"
