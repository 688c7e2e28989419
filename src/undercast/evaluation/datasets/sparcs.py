"""SPARCS: 80 Landsat-8 subscenes of 1000 x 1000 px with human labels of seven classes.

``NAME_data.tif`` holds digital numbers of level 1 in ten layers (bands 1 to 7, 9, 10 and 11), ``NAME_labels.tif`` or
``NAME_mask.png`` the labels, ``SCENE_mtl.txt`` the metadata of the whole scene.

Sources: Hughes and Hayes 2014, Hughes and Kennedy 2019 (https://doi.org/10.3390/rs11212591), USGS 2016
(https://doi.org/10.5066/F7FB5146); the data set's readme.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from undercast.errors import EvaluationError
from undercast.evaluation.datasets.base import (
    CLEAR_BIT,
    CLOUD_BITS,
    SHADOW_BIT,
    labels_where,
    mtl_scalings,
    possible_of,
    read_codes,
    read_raster,
    sensor_bands,
    toa_scene,
)
from undercast.evaluation.references import ReferenceEntry, References, ReferenceScene, reference_scene

SOURCE = "sparcs"
DATA = "_data.tif"
LABELS = ("_labels.tif", "_mask.png")
BANDS = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B9")
"""Reflective bands, in the order of the layers; two thermal ones follow."""
LAYERS = 10
SCENE_LENGTH = len("LC80010812013365LGN00")

CODES = {
    0: SHADOW_BIT,  # cloud shadow
    1: SHADOW_BIT,  # cloud shadow over water
    2: CLEAR_BIT,  # water
    3: CLEAR_BIT,  # ice or snow
    4: CLEAR_BIT,  # land
    5: CLOUD_BITS,
    6: CLEAR_BIT,  # flooded
}


def accepts(folder: Path) -> bool:
    """Tell whether a folder holds subscenes with their labels."""
    return any(_labels(path) is not None for path in folder.rglob(f"*{DATA}"))


def references(folder: Path) -> References:
    """List the subscenes."""
    paths = [path for path in sorted(folder.rglob(f"*{DATA}")) if _labels(path) is not None]
    entries = tuple(ReferenceEntry(name=path.name.removesuffix(DATA), read=partial(_read, path)) for path in paths)
    return References(name=folder.name, entries=entries, label_kinds=("human",))


def _labels(path: Path) -> Path | None:
    stem = path.name.removesuffix(DATA)
    return next((found for ending in LABELS if (found := path.with_name(stem + ending)).is_file()), None)


def _read(path: Path) -> ReferenceScene:
    name, labels = path.name.removesuffix(DATA), _labels(path)
    if labels is None:
        msg = f"{path}: expected its labels beside it, as {name}{' or '.join(LABELS)}."
        raise EvaluationError(msg)
    codes, _ = read_codes(labels)
    stored, grid = read_raster(path)
    if len(stored) != LAYERS:
        msg = f"{path}: expected {LAYERS} layers, got {len(stored)}."
        raise EvaluationError(msg)
    scalings = mtl_scalings(path.with_name(f"{name[:SCENE_LENGTH]}_mtl.txt"), BANDS)
    dn = stored[: len(BANDS)]
    empty = (dn == 0).all(axis=0)
    reflectance = np.stack([scaling.to_reflectance(layer) for scaling, layer in zip(scalings, dn, strict=True)])
    possible = possible_of(codes, CODES, name=str(labels), what="SPARCS")
    return reference_scene(
        toa_scene(reflectance, sensor_bands("landsat-8-oli", BANDS), name=name, empty=empty, grid=grid),
        labels_where(possible, empty, name=name),
        {"source": SOURCE, "sensor": "landsat-8-oli", "labels": "human, thickness not told"},
        gsd=30.0,
    )
