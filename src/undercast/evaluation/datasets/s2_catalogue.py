"""Sentinel-2 Cloud Mask Catalogue: 513 subscenes of level 1C at 20 m, 1022 x 1022 px, labelled clear, cloud or shadow.

``subscenes/NAME.npy`` holds reflectance ``(y, x, band)``, ``masks/NAME.npy`` booleans ``(y, x, class)``, and
``classification_tags.csv`` says in ``shadows_marked`` whether shadows were labelled.

Source: Francis, Mrziglod, Sidiropoulos and Muller 2020 (https://doi.org/10.5281/zenodo.4172871). Licence: CC-BY-4.0.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from undercast.errors import EvaluationError
from undercast.evaluation.datasets.base import (
    CLEAR_BIT,
    CLEAR_OR_SHADOW,
    CLOUD_BITS,
    SENTINEL2_BANDS,
    SHADOW_BIT,
    labels_where,
    sensor_bands,
    toa_scene,
)
from undercast.evaluation.pairs import read_rows
from undercast.evaluation.references import ReferenceEntry, References, ReferenceScene, reference_scene

SOURCE = "s2-cloud-mask-catalogue"
TAGS = "classification_tags.csv"


def accepts(folder: Path) -> bool:
    """Tell whether a folder holds the list of tags."""
    return (folder / TAGS).is_file()


def references(folder: Path) -> References:
    """List the subscenes that the list of tags names.

    Raises:
        EvaluationError: If the list is damaged.
    """
    entries = []
    for row in read_rows(folder / TAGS):
        name = row.get("scene", "")
        if not name or Path(name).name != name or row.get("shadows_marked") not in {"0", "1"}:
            msg = f"{folder / TAGS}: expected the columns scene and shadows_marked (0 or 1) in every row, got {row}."
            raise EvaluationError(msg)
        marked = row["shadows_marked"] == "1"
        entries.append(ReferenceEntry(name=name, read=partial(_read, folder, name, marked)))
    return References(name=folder.name, entries=tuple(entries), label_kinds=("human",))


def _read(folder: Path, name: str, marked: bool) -> ReferenceScene:  # noqa: FBT001 (a column of the list)
    stored = _array(folder / "subscenes" / f"{name}.npy", len(SENTINEL2_BANDS), "f")
    flags = _array(folder / "masks" / f"{name}.npy", 3, "b")
    if (flags.sum(axis=2) > 1).any():
        msg = f"{folder / 'masks' / f'{name}.npy'}: expected one class per pixel, got pixels with several."
        raise EvaluationError(msg)
    sets = np.array([CLEAR_BIT if marked else CLEAR_OR_SHADOW, CLOUD_BITS, SHADOW_BIT], np.uint8)
    reflectance = np.ascontiguousarray(np.moveaxis(stored, 2, 0), np.float32)
    empty = (reflectance == 0).all(axis=0)
    possible = np.where(flags, sets, np.uint8(0)).max(axis=2)
    labels = "human, thickness not told" if marked else "human, cloud only"
    return reference_scene(
        toa_scene(reflectance, sensor_bands("sentinel-2a-msi", SENTINEL2_BANDS), name=name, empty=empty),
        labels_where(possible, empty, name=name),
        {"source": SOURCE, "sensor": "sentinel-2-msi", "labels": labels},
        gsd=20.0,
    )


def _array(path: Path, layers: int, kind: str) -> NDArray[np.generic]:
    """Map an array of three axes whose last is that of the layers.

    Raises:
        EvaluationError: If it is missing, damaged or another one.
    """
    try:
        array: NDArray[np.generic] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        msg = f"{path} cannot be read; it may be truncated or missing: {' '.join(str(error).split())}."
        raise EvaluationError(msg) from error
    if array.ndim != 3 or array.shape[2] != layers or array.dtype.kind != kind:
        wanted = "booleans" if kind == "b" else "floating-point numbers"
        msg = f"{path}: expected {wanted} (y, x, {layers}), got {array.dtype} of shape {array.shape}."
        raise EvaluationError(msg)
    return array
