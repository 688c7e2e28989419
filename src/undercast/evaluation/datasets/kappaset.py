"""KappaSet: Sentinel-2 level 1C sub-tiles of 512 px at 10 m, one NetCDF-4 file each, with human labels.

Bands are stored as digital number / 65535, rows from south to north. Labels: 0 undefined, 1 clear, 2 cloud shadow, 3
semi-transparent cloud, 4 cloud, 5 missing.

Sources: Shtym et al. 2022 (https://doi.org/10.5281/zenodo.7100327); its tool cm-vsm (Domnich et al. 2021,
https://doi.org/10.3390/rs13204100). Licence: CC-BY-4.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from undercast.classes import load_scheme
from undercast.errors import EvaluationError, SceneError
from undercast.evaluation.datasets.base import SENTINEL2_BANDS, labels_where, possible_of, sensor_bands, toa_scene
from undercast.evaluation.references import ReferenceEntry, References, ReferenceScene, reference_scene
from undercast.readers.hdf import Plane, is_hdf5, read_plane, read_plane_header
from undercast.windows import Window

SOURCE = "kappaset"
SCALE = 65535 * 1e-4
"""Reflectance per stored number."""
LABEL = "Label"


def accepts(folder: Path) -> bool:
    """Tell whether a folder holds NetCDF-4 files."""
    return any(is_hdf5(path) for path in _files(folder))


def references(folder: Path) -> References:
    """List the sub-tiles."""
    entries = [ReferenceEntry(name=_name(path), read=partial(_read, path)) for path in sorted(_files(folder))]
    return References(name=folder.name, entries=tuple(entries), label_kinds=("human",))


def _files(folder: Path) -> Iterator[Path]:
    return iter(folder.rglob("*.nc"))


def _name(path: Path) -> str:
    return f"{path.parent.name}_{path.stem}"


def _read(path: Path) -> ReferenceScene:
    codes = _plane(path, LABEL)
    if not np.array_equal(codes, codes.astype(np.uint8)):
        msg = f"{path}: expected codes of 0 to 5 in {LABEL}, got {codes.min()} to {codes.max()}."
        raise EvaluationError(msg)
    scheme = load_scheme("kappaset")
    table = {code: int(sets) for code, sets in enumerate(scheme.possible_sets(np.arange(6, dtype=np.uint8)))}
    stored = np.stack([_plane(path, name) for name in SENTINEL2_BANDS]).astype(np.float32)
    if float(np.nanmax(stored)) > 1.0 or float(np.nanmin(stored)) < 0.0:
        msg = f"{path}: expected bands of 0 to 1 (digital number / 65535), got up to {np.nanmax(stored):g}."
        raise EvaluationError(msg)
    empty = (stored == 0).all(axis=0)
    bands = sensor_bands("sentinel-2a-msi", SENTINEL2_BANDS)
    possible = possible_of(codes.astype(np.uint8), table, name=str(path), what="KappaSet")
    return reference_scene(
        toa_scene(stored * np.float32(SCALE), bands, name=_name(path), empty=empty),
        labels_where(possible, empty, name=_name(path)),
        {"source": SOURCE, "sensor": "sentinel-2-msi", "labels": "human"},
        gsd=10.0,
    )


def _plane(path: Path, name: str) -> NDArray[np.generic]:
    """Read a variable from north to south."""
    plane = Plane(source=str(path), dataset=name)
    try:
        height, width = read_plane_header(plane).shape
        stored: NDArray[np.generic] = read_plane(plane, Window(row=0, col=0, height=height, width=width))
    except SceneError as error:
        raise EvaluationError(str(error)) from error
    return stored[::-1]
