"""BigEarthNet: Sentinel-2 patches of 1.2 km, one GeoTIFF per band (S2 folders of versions 1 and 2).

Source: BigEarthNet v2.0 (reBEN, arXiv:2407.03653): surface reflectance * 10 000 without offset; 120, 60 and 20 px.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from undercast.errors import SceneError
from undercast.radiometry import Scaling
from undercast.readers.base import OpenOptions, chosen_bands, list_folder, record
from undercast.readers.layers import Layer, LayerPixels, read_header
from undercast.readers.multires import common_grid
from undercast.scene import Scene
from undercast.sensors import load_sensor

SCALING = Scaling(scale=1e-4)
"""Digital numbers to reflectance."""

MOST_PATCHES = 100_000
"""Patches of a folder, above which one run is not what a person wants."""

DEEPEST = 2
"""Levels of folders above patches: the data set's, and the Sentinel-2 product's."""

_PATCH = re.compile(r"^(?P<platform>S2[ABC])_MSIL2A_(?P<time>\d{8}T\d{6})_\w+$")
_BAND = re.compile(r"_(?P<band>B\d[\dA])\.tiff?$", re.IGNORECASE)


def accepts(source: str) -> bool:
    """Tell whether a source is a patch's folder, or a folder with some."""
    return next(_patches(Path(source), DEEPEST), None) is not None


def members(source: str) -> list[str]:
    """List the patches of a folder.

    Raises:
        SceneError: If there are more than one run should take.
    """
    found = []
    for patch in _patches(Path(source), DEEPEST):
        found.append(str(patch))
        if len(found) > MOST_PATCHES:
            msg = f"{source}: expected at most {MOST_PATCHES} patches. Give the folder of one Sentinel-2 product."
            raise SceneError(msg)
    return found


def open(source: str, options: OpenOptions) -> Scene:  # noqa: A001 (the protocol's name)
    """Open a patch.

    Raises:
        SceneError: If the folder holds several patches, or a band cannot be read.
        BandError: If a band that was asked for is missing.
        GridError: If bands cover different ground.
    """
    folder = next(_patches(Path(source), DEEPEST))
    if folder != Path(source):
        msg = f"{source}: expected the folder of one patch, got a folder of patches. Give one, such as {folder}."
        raise SceneError(msg)
    named = _PATCH.match(folder.name)
    platform = "S2A" if named is None else named["platform"]
    sensor = options.sensor or load_sensor(f"sentinel-2{platform[-1].lower()}-msi")
    files = _bands(folder)
    offered = [band for band in sensor.bands if band.name in files]
    bands = [offered[place] for place in chosen_bands(offered, options, what=source, sensor=sensor)]
    nodata = () if options.nodata is None else (options.nodata,)
    layers = [
        Layer(source=str(files[band.name]), number=1, band=band, scaling=options.scaling or SCALING, nodata=nodata)
        for band in bands
    ]
    grid = common_grid([read_header(layer.source) for layer in layers], options.resolution, what=source)
    return Scene(
        name=options.name or folder.name,
        bands=tuple(bands),
        grid=grid,
        pixels=LayerPixels(layers, grid.shape),
        level=options.level or "surface",
        sensor=sensor.id,
        acquired=None if named is None else datetime.strptime(named["time"], "%Y%m%dT%H%M%S").replace(tzinfo=UTC),
        provenance=record(source=source, bands_from="file names", scaling_from="BigEarthNet"),
    )


def _patches(folder: Path, levels: int) -> Iterator[Path]:
    """Go through the folders of patches, in order."""
    if _PATCH.match(folder.name) and _bands(folder):
        yield folder
        return
    if levels:
        for entry in list_folder(folder):
            # A plain folder costs one look: only names of Sentinel-2 level 2A are looked into.
            if _PATCH.match(entry.name) and entry.is_dir():
                yield from _patches(entry, levels - 1)


def _bands(folder: Path) -> dict[str, Path]:
    """Give the bands of a patch: files that begin with its folder's name."""
    found = {}
    for entry in list_folder(folder):
        match = _BAND.search(entry.name)
        if match and entry.name[: match.start()] == folder.name:
            found[match["band"].upper()] = entry
    return found
