"""Write FDR4VGT Level-1C folders, one HDF5 file per variable: ``python make.py FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

BANDS = ("BLUE", "RED", "NIR", "SWIR")
SHAPE = (16, 20)
STEP = 1 / 112
NAME = "SPOTVGT1_L1C_19990405_105833_1KM_X18Y02_V301"
PROBA_V_NAME = "PROBAV_L1C_20200402_090258_2_1KM_X18Y02_V301"


def reflectance(*, seed: int = 5) -> NDArray[np.float64]:
    """Draw reflectance ``(band, y, x)`` that is exact in steps of 1/2000 from -0.1 on."""
    return np.random.default_rng(seed).integers(220, 1800, (len(BANDS), *SHAPE)) / 2000 - 0.1


def write(
    folder: Path, *, status: NDArray[np.integer[Any]] | None = None, coding: bool = False, **changes: Any
) -> Path:
    """Write one product; its digital numbers are ``(reflectance + 0.1) * 2000``.

    Args:
        folder: Where; its name begins the files' names.
        status: Status map ``(y, x)``.
        coding: Whether the attributes are CODING and NOVALUE instead of SCALE, OFFSET and NO_DATA.
        changes: Changes of the bands' attributes; None removes one.
    """
    folder.mkdir(parents=True)
    mapping = np.array([str(part).encode() for part in ("Geographic Lat/Lon", 0.5, 0.5, 0.0, 55.0, STEP, STEP)])
    scale = (
        {"CODING": np.array([2000.0, -0.1]), "NOVALUE": -1}
        if coding
        else {"SCALE": 2000, "OFFSET": -0.1, "NO_DATA": -1}
    )
    own = {"MAPPING": mapping, **scale, **changes}
    for name, layer in zip(BANDS, reflectance(), strict=True):
        _save(folder, f"{name}_TOA", np.round((layer + 0.1) * 2000).astype(np.int16), own)
        _save(folder, f"{name}_UNC_RANDOM", np.zeros(SHAPE, np.int16), own)
    angles = {"MAPPING": mapping, "SCALE": 2.0, "OFFSET": 0.0, "NO_DATA": 255}
    _save(folder, "SZA", np.full(SHAPE, 70, np.uint8), angles)
    _save(folder, "SAA", np.full(SHAPE, 200, np.uint8), angles)
    _save(folder, "SM", np.full(SHAPE, 8, np.uint16) if status is None else status.astype(np.uint16), {})
    return folder


def _save(folder: Path, variable: str, values: NDArray[Any], attributes: dict[str, Any]) -> None:
    with h5py.File(folder / f"{folder.name}_{variable}.hdf", "w") as file:
        file[variable] = values
        file[variable].attrs.update({key: value for key, value in attributes.items() if value is not None})


if __name__ == "__main__":
    write(Path(sys.argv[1]) / NAME)
