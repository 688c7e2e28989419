"""L8 Biome: 96 Landsat-8 scenes of eight biomes with human labels; shadow is labelled in a third of them.

A folder per scene, maybe inside one per biome, with the product's ``NAME_B1.TIF`` and the like, ``NAME_MTL.txt`` and
``NAME_fixedmask.img`` (ENVI): 0 fill, 64 cloud shadow, 128 clear, 192 thin cloud, 255 cloud.

Sources: Foga et al. 2017 (https://doi.org/10.1016/j.rse.2017.03.026), USGS 2016 (https://doi.org/10.5066/F7251GDH).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from undercast.errors import EvaluationError, SceneError
from undercast.evaluation.datasets.base import (
    CLEAR_BIT,
    CLEAR_OR_SHADOW,
    SHADOW_BIT,
    THICK_BIT,
    THIN_BIT,
    mtl_scalings,
    possible_of,
    read_codes,
    sensor_bands,
)
from undercast.evaluation.references import NOT_TOLD, ReferenceEntry, References, ReferenceScene, reference_scene
from undercast.readers.layers import Layer, LayerPixels, read_header, shared_grid
from undercast.scene import Scene

SOURCE = "l8-biome"
MASK = "_fixedmask.img"
BANDS = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B9")
"""Reflective bands of 30 m."""
FILL, SHADOW, CLEAR, THIN, CLOUD = 0, 64, 128, 192, 255
BIOMES = ("Barren", "Forest", "GrassCrops", "Shrubland", "SnowIce", "Urban", "Water", "Wetlands")
"""Folders that the scenes may lie in, in the authors' spelling but for signs and blanks."""


def accepts(folder: Path) -> bool:
    """Tell whether a folder holds scenes with such masks."""
    return next(folder.rglob(f"*{MASK}"), None) is not None


def references(folder: Path) -> References:
    """List the scenes."""
    paths = sorted(folder.rglob(f"*{MASK}"))
    entries = tuple(ReferenceEntry(name=_name(path), read=partial(_read, path)) for path in paths)
    return References(name=folder.name, entries=entries, label_kinds=("human",))


def _name(path: Path) -> str:
    return path.name.removesuffix(MASK)


def _read(path: Path) -> ReferenceScene:
    name = _name(path)
    codes, _ = read_codes(path)
    # A scene in which nobody has labelled a shadow may hold some.
    labelled = bool((codes == SHADOW).any())
    clear = CLEAR_BIT if labelled else CLEAR_OR_SHADOW
    table = {FILL: 0, SHADOW: SHADOW_BIT, CLEAR: clear, THIN: THIN_BIT, CLOUD: THICK_BIT}
    possible = possible_of(codes, table, name=str(path), what="L8 Biome")
    return reference_scene(
        _scene(path, name),
        possible,
        {
            "source": SOURCE,
            "sensor": "landsat-8-oli",
            "surface": _biome(path),
            "labels": "human" if labelled else "human, shadow not labelled",
        },
        gsd=30.0,
    )


def _scene(path: Path, name: str) -> Scene:
    bands = sensor_bands("landsat-8-oli", BANDS)
    scalings = mtl_scalings(path.with_name(f"{name}_MTL.txt"), BANDS)
    files = [str(path.with_name(f"{name}_{band}.TIF")) for band in BANDS]
    try:
        headers = [read_header(file) for file in files]
    except SceneError as error:
        raise EvaluationError(str(error)) from error
    layers = [
        Layer(source=file, number=1, band=band, scaling=scaling, nodata=(0.0,))
        for file, band, scaling in zip(files, bands, scalings, strict=True)
    ]
    return Scene(
        name=name,
        bands=bands,
        grid=shared_grid(headers),
        pixels=LayerPixels(layers),
        level="toa",
        sensor="landsat-8-oli",
        provenance={"source": str(path.parent), "bands_from": "L8 Biome", "scaling_from": "MTL"},
    )


def _biome(path: Path) -> str:
    folders = {"".join(char for char in part if char.isalpha()).lower() for part in path.parts[:-1]}
    return next((biome for biome in BIOMES if biome.lower() in folders), NOT_TOLD)
