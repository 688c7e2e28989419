"""Write PROBA-V files in the layout of VITO's products: ``python make.py FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

BANDS = ("BLUE", "RED", "NIR", "SWIR")
SHAPE = (24, 20)
STEP = 1 / 336
CORNER = (10.0, 45.0)
"""Longitude and latitude of the centre of the upper left pixel."""
ALL_GOOD = 0xFF8
"""Status of clear land with all bands good and covered."""
S1_NAME = "PROBAV_S1_TOA_X18Y02_20160512_333M_V101.HDF5"
L2A_NAME = "PROBAV_L2A_20160512_101530_2_333M_V101.HDF5"


def reflectance(shape: tuple[int, int] = SHAPE, *, seed: int = 3) -> NDArray[np.float64]:
    """Draw reflectance ``(band, y, x)`` that is exact in steps of 1/2000."""
    return np.random.default_rng(seed).integers(20, 1600, (len(BANDS), *shape)) / 2000


def mapping(*, projection: str = "Geographic Lat/Lon") -> NDArray[np.bytes_]:
    """Give MAPPING as the products hold it: texts."""
    values = (projection, 0.5, 0.5, *CORNER, STEP, STEP, "WGS84", "Degrees")
    return np.array([str(value).encode() for value in values])


def write(
    path: Path,
    values: NDArray[np.floating[Any]] | None = None,
    *,
    status: NDArray[np.integer[Any]] | None = None,
    group: str = "LEVEL3",
    kinds: tuple[str, ...] = ("TOA",),
    attributes: dict[str, Any] | None = None,
) -> Path:
    """Write one file.

    Args:
        path: Where.
        values: Reflectance ``(band, y, x)``; NaN where there is no data.
        status: Status map ``(y, x)``.
        group: ``LEVEL3`` or ``LEVEL2A``.
        kinds: ``TOA``, ``TOC`` or both; ``TOC`` holds half of ``TOA``.
        attributes: Changes of the bands' attributes; None removes one.
    """
    values = reflectance() if values is None else values
    status = np.full(values.shape[1:], ALL_GOOD if group == "LEVEL2A" else 0xF8) if status is None else status
    own = {"SCALE": 2000.0, "OFFSET": 0.0, "NO_DATA": -1.0, "MAPPING": mapping(), **(attributes or {})}
    with h5py.File(path, "w") as file:
        file.attrs["OBSERVATION_START_DATE"] = np.array([b"2016-05-12"])
        file.attrs["OBSERVATION_START_TIME"] = np.array([b"10:15:30"])
        for band, layer in zip(BANDS, values, strict=True):
            for kind in kinds:
                factor = 0.5 if kind == "TOC" and len(kinds) > 1 else 1.0
                numbers = np.where(np.isnan(layer), -1, np.round(np.nan_to_num(layer) * factor * 2000)).astype(np.int16)
                _add(file, f"{group}/RADIOMETRY/{band}/{kind}", numbers, own)
        _add(file, f"{group}/QUALITY/SM", status.astype(np.uint16 if group == "LEVEL2A" else np.uint8), {})
        angles = {"SCALE": 2.0, "OFFSET": 0.0, "NO_DATA": 255.0, "MAPPING": mapping()}
        for name, degrees in {"SZA": 40.0, "SAA": 120.5}.items():
            _add(file, f"{group}/GEOMETRY/{name}", np.full(values.shape[1:], degrees * 2).astype(np.uint8), angles)
    return path


def _add(file: h5py.File, name: str, values: NDArray[Any], attributes: dict[str, Any]) -> None:
    dataset = file.create_dataset(name, data=values, chunks=(8, values.shape[1]), compression="gzip")
    dataset.attrs.update({key: value for key, value in attributes.items() if value is not None})


def make(folder: Path) -> Path:
    """Write a synthesis and a segment to a folder, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / S1_NAME)
    write(folder / L2A_NAME, group="LEVEL2A")
    return folder


if __name__ == "__main__":
    make(Path(sys.argv[1]))
