"""DIMAP: SPOT-4 and SPOT-5 scenes (version 1), Pleiades (version 2), and SPOT-4/5 Take5 (Theia's own XML)."""

from __future__ import annotations

import re
from pathlib import Path

from undercast.errors import SceneError
from undercast.readers.base import OpenOptions, chosen_bands, list_folder, record
from undercast.readers.dimap_metadata import Document, Image
from undercast.readers.dimap_missions import read_pleiades, read_spot, read_take5
from undercast.readers.layers import Layer, LayerPixels, read_header
from undercast.readers.xml import read_xml
from undercast.scene import Scene
from undercast.sensors import load_sensor

_METADATA = re.compile(r"^(METADATA\.DIM|DIM_.*\.XML|SPOT[45]_.*\.XML)$", re.IGNORECASE)
_DEEPEST_FOLDER = 3


def accepts(source: str) -> bool:
    """Tell whether a source is a metadata file of these products, or a folder with some."""
    path = Path(source)
    if path.is_dir():
        return bool(_find(path))
    return bool(_METADATA.match(path.name)) and path.is_file()


def _find(folder: Path) -> list[Path]:
    """List metadata files of a folder, and of the folders in it where it has none itself."""
    level = [folder]
    for _ in range(_DEEPEST_FOLDER):
        entries = [entry for one in level for entry in list_folder(one)]
        if found := [entry for entry in entries if entry.is_file() and _METADATA.match(entry.name)]:
            return found
        level = [entry for entry in entries if entry.is_dir() and not entry.is_symlink()]
    return []


def open(source: str, options: OpenOptions) -> Scene:  # noqa: A001 (the protocol's name)
    """Open a SPOT, Pleiades or Take5 product by its folder or its metadata file.

    Raises:
        SceneError: If files are missing or damaged, metadata lack what reflectance needs, or contradict the image.
        BandError: If a wanted band is missing.
    """
    document = _document(Path(source))
    image = _read_image(document)
    sensor = options.sensor or load_sensor(image.sensor)
    header = read_header(image.source)
    offered = [(name, band) for name in image.scalings if (band := sensor.band(name)) is not None]
    layers = len(header.dtypes)  # GDAL takes the fourth of four 8-bit layers for alpha
    if layers != len(image.scalings) or len(offered) != len(image.scalings):
        names = ", ".join(image.scalings)
        raise document.error(f"expected {len(image.scalings)} layers ({names}) of {sensor.id}, its image has {layers}.")
    places = chosen_bands([band for _, band in offered], options, what=source, sensor=sensor)
    nodata = image.nodata if options.nodata is None else (*image.nodata, options.nodata)
    chosen = [
        Layer(
            source=image.source,
            number=place + 1,
            band=offered[place][1],
            scaling=options.scaling or image.scalings[offered[place][0]],
            nodata=nodata,
        )
        for place in places
    ]
    return Scene(
        name=options.name or image.name,
        bands=tuple(layer.band for layer in chosen),
        grid=header.grid,
        pixels=LayerPixels(chosen),
        level=options.level or image.level,
        sensor=sensor.id,
        acquired=image.acquired,
        sun=image.sun,
        provenance=record(
            source=source,
            bands_from=document.path.name,
            scaling_from="caller" if options.scaling is not None else "product",
            note=image.note,
        ),
    )


def _document(path: Path) -> Document:
    """Read the metadata of the one image with several bands that is there."""
    found = _find(path) if path.is_dir() else [path]
    documents = [Document(path=one, root=read_xml(one, origin=str(one))) for one in found]
    if len(documents) > 1:
        documents = [one for one in documents if one.optional_text(".//Raster_Dimensions/NBANDS") != "1"]
    if len(documents) != 1:
        names = ", ".join(one.name for one in found) or "none"
        msg = f"{path}: expected the metadata of one image with several bands, got {names}. Name one of them."
        raise SceneError(msg)
    return documents[0]


def _read_image(document: Document) -> Image:
    root = document.root
    if root.tag == "METADATA" or root.find("HEADER/PLATEFORM") is not None:
        return read_take5(document)
    form = root.find("*/METADATA_FORMAT")
    version = "" if form is None else form.get("version", "")
    if root.tag != "Dimap_Document" or not version.startswith(("1.", "2.")):
        raise document.error(f"expected DIMAP of version 1 or 2, got <{root.tag[:40]}> {version[:10]}.")
    return read_spot(document) if version.startswith("1.") else read_pleiades(document)
