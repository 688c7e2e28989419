"""38-Cloud: Landsat-8 patches of 384 px with human labels of cloud; shadow is not labelled, thin cloud counts as cloud.

``train_red/red_patch_N_SCENE.TIF`` and the like hold digital numbers of level 1 in one band each, ``train_gt`` 255 for
cloud and 0 elsewhere. No metadata come with it: reflectance is as the product's constant scaling gives it, not
corrected for the sun's elevation, and so darker than it should be.

Source: Mohajerani and Saeedi 2019 (https://arxiv.org/abs/1901.10077).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from undercast.errors import EvaluationError
from undercast.evaluation.datasets.base import (
    CLEAR_OR_SHADOW,
    CLOUD_BITS,
    labels_where,
    possible_of,
    read_codes,
    read_raster,
    sensor_bands,
    toa_scene,
)
from undercast.evaluation.references import ReferenceEntry, References, ReferenceScene, reference_scene
from undercast.radiometry import Scaling

SOURCE = "38-cloud"
BANDS = {"blue": "B2", "green": "B3", "red": "B4", "nir": "B5"}
"""Name of a folder -> band."""
LABELS = "train_gt"
SCALING = Scaling(scale=2e-5, offset=-0.1)
"""Landsat-8 level 1: REFLECTANCE_MULT_BAND and REFLECTANCE_ADD_BAND are the same in every product."""
CODES = {0: CLEAR_OR_SHADOW, 255: CLOUD_BITS}


def accepts(folder: Path) -> bool:
    """Tell whether a folder, or its 38-Cloud_training, holds patches with labels."""
    return _training(folder) is not None


def references(folder: Path) -> References:
    """List the labelled patches; those without a labelled pixel that has data fail when they are read."""
    training = _training(folder) or folder
    paths = sorted((training / LABELS).glob("gt_*.TIF"))
    entries = tuple(ReferenceEntry(name=_name(path), read=partial(_read, path)) for path in paths)
    return References(name=folder.name, entries=entries, label_kinds=("human",))


def _training(folder: Path) -> Path | None:
    return next((path for path in (folder, folder / "38-Cloud_training") if (path / LABELS).is_dir()), None)


def _name(path: Path) -> str:
    return path.stem.removeprefix("gt_")


def _read(path: Path) -> ReferenceScene:
    codes, _ = read_codes(path)
    layers = []
    for color in BANDS:
        file = path.parents[1] / f"train_{color}" / f"{color}_{_name(path)}.TIF"
        stored, _ = read_raster(file)
        if stored.shape != (1, *codes.shape):
            msg = f"{file}: expected one layer of {codes.shape} px as its labels, got {stored.shape}."
            raise EvaluationError(msg)
        layers.append(stored[0])
    dn = np.stack(layers)
    empty = (dn == 0).all(axis=0)
    bands = sensor_bands("landsat-8-oli", tuple(BANDS.values()))
    possible = possible_of(codes, CODES, name=str(path), what="38-Cloud")
    return reference_scene(
        toa_scene(SCALING.to_reflectance(dn), bands, name=_name(path), empty=empty),
        labels_where(possible, empty, name=_name(path)),
        {"source": SOURCE, "sensor": "landsat-8-oli", "labels": "human, cloud only"},
        gsd=30.0,
    )
