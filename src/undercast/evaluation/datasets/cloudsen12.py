"""CloudSEN12 and CloudSEN12+: Sentinel-2 patches of 509 or 2000 px with human labels of four classes.

Two of its forms are read: a folder per region and product with ``S2L1C.tif`` and ``labels/manual_hq.tif`` or
``manual_sc.tif``; and a folder per split with one file per band, ``L1C_B2.dat`` and the like, int16, all patches one
after the other. CloudSEN12+ in TACO files is to be unpacked to the first form.

Sources: Aybar et al. 2022 (https://doi.org/10.1038/s41597-022-01878-2) and 2024 (CloudSEN12+,
https://doi.org/10.1016/j.dib.2024.110852). Licence: CC0-1.0 (CloudSEN12+).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from undercast.classes import load_scheme
from undercast.errors import EvaluationError
from undercast.evaluation.datasets.base import (
    SENTINEL2_BANDS,
    labels_where,
    possible_of,
    read_codes,
    read_raster,
    sensor_bands,
    toa_scene,
)
from undercast.evaluation.references import ReferenceEntry, References, ReferenceScene, reference_scene
from undercast.grids import Grid
from undercast.types import UInt8

SOURCE = "cloudsen12"
SCALE = 1e-4
SIDE = 512
"""Rows and columns of a patch in a ``.dat`` file; 509 of them hold data, the rest 0."""

HIGH, SCRIBBLE = "manual_hq", "manual_sc"
SCRIBBLE_CODES = np.array([0, 1, 1, 2, 2, 3, 3], np.uint8)
"""Code of a scribble (centre and border of a class are told apart) -> code of high-quality labels."""
IGNORED = 99


def accepts(folder: Path) -> bool:
    """Tell whether a folder holds either form."""
    return bool(_splits(folder)) or next(folder.rglob(f"labels/{HIGH}.tif"), None) is not None or _scribbled(folder)


def references(folder: Path) -> References:
    """List the patches with high-quality labels, and those with scribbles.

    Raises:
        EvaluationError: If a file of labels has no whole number of patches.
    """
    entries: list[ReferenceEntry] = []
    for kind in (HIGH, SCRIBBLE):
        paths = sorted(folder.rglob(f"labels/{kind}.tif"))
        entries.extend(ReferenceEntry(name=_name(path), read=partial(_read_patch, path, kind)) for path in paths)
    for labels in _splits(folder):
        count = _patches(labels, np.uint8)
        for number in range(count):
            name = f"{labels.parent.name}_{number:05d}"
            entries.append(ReferenceEntry(name=name, read=partial(_read_number, labels, number, count)))
    return References(name=folder.name, entries=tuple(entries), label_kinds=("human",))


def _splits(folder: Path) -> list[Path]:
    """Find the files of labels of the second form, in the folder or one below."""
    name = f"LABEL_{HIGH}.dat"
    return sorted([*folder.glob(name), *folder.glob(f"*/{name}")])


def _scribbled(folder: Path) -> bool:
    return next(folder.rglob(f"labels/{SCRIBBLE}.tif"), None) is not None


def _name(path: Path) -> str:
    return f"{path.parents[2].name}_{path.parents[1].name}"


def _read_patch(path: Path, kind: str) -> ReferenceScene:
    codes, _ = read_codes(path)
    stored, grid = read_raster(path.parents[1] / "S2L1C.tif")
    if len(stored) != len(SENTINEL2_BANDS):
        msg = f"{path.parents[1] / 'S2L1C.tif'}: expected {len(SENTINEL2_BANDS)} layers, got {len(stored)}."
        raise EvaluationError(msg)
    codes = _of_scribble(codes, str(path)) if kind == SCRIBBLE else codes
    labels = "human" if kind == HIGH else "human, scribble"
    return _reference(stored, codes, _name(path), labels=labels, grid=grid)


def _of_scribble(codes: UInt8, name: str) -> UInt8:
    known = codes[codes != IGNORED]
    if known.max(initial=0) >= len(SCRIBBLE_CODES):
        msg = f"{name}: expected codes of a scribble (0 to 6, {IGNORED}), got {known.max()}."
        raise EvaluationError(msg)
    table = np.full(256, IGNORED, np.uint8)
    table[: len(SCRIBBLE_CODES)] = SCRIBBLE_CODES
    return table[codes]


def _read_number(labels: Path, number: int, count: int) -> ReferenceScene:
    folder = labels.parent
    shape = (count, SIDE, SIDE)
    paths = [folder / f"L1C_B{name.removeprefix('B').lstrip('0')}.dat" for name in SENTINEL2_BANDS]
    for path in paths:
        if _patches(path, np.int16) != count:
            msg = f"{path}: expected {count} patches as {labels.name}, got {_patches(path, np.int16)}."
            raise EvaluationError(msg)
    stored = np.stack([np.memmap(path, np.int16, "r", shape=shape)[number] for path in paths])
    codes = np.array(np.memmap(labels, np.uint8, "r", shape=shape)[number])
    return _reference(stored, codes, f"{folder.name}_{number:05d}", labels="human", grid=None)


def _patches(path: Path, dtype: type[np.generic]) -> int:
    """Count the patches of a file.

    Raises:
        EvaluationError: If it is missing, or ends within one.
    """
    each = SIDE * SIDE * np.dtype(dtype).itemsize
    size = path.stat().st_size if path.is_file() else 0
    if size == 0 or size % each:
        msg = f"{path}: expected patches of {each} bytes, got {size} bytes; it may be truncated or missing."
        raise EvaluationError(msg)
    return size // each


def _reference(
    stored: NDArray[np.generic], codes: UInt8, name: str, *, labels: str, grid: Grid | None
) -> ReferenceScene:
    scheme = load_scheme("cloudsen12")
    table = {code: int(sets) for code, sets in enumerate(scheme.possible_sets(np.arange(4, dtype=np.uint8)))}
    possible = possible_of(codes, {**table, IGNORED: 0}, name=name, what="CloudSEN12")
    empty = (stored == 0).all(axis=0)
    reflectance = stored.astype(np.float32) * np.float32(SCALE)
    return reference_scene(
        toa_scene(reflectance, sensor_bands("sentinel-2a-msi", SENTINEL2_BANDS), name=name, empty=empty, grid=grid),
        labels_where(possible, empty, name=name),
        {"source": SOURCE, "sensor": "sentinel-2-msi", "labels": labels},
        gsd=10.0,
    )
