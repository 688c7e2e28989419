"""Write SPOT-VGT products in the layout of VITO's archive: ``python make.py FOLDER``."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

BANDS = ("B0", "B2", "B3", "MIR")
SHAPE = (20, 24)
STEP = 1 / 112
NAME = "V1KRNP____19990110F165_V003"
STATION = "V199901101234"
"""Begin of the files' names."""


def reflectance(shape: tuple[int, int] = SHAPE, *, seed: int = 4) -> NDArray[np.float64]:
    """Draw reflectance ``(band, y, x)`` that is exact in steps of 0.0005."""
    return np.random.default_rng(seed).integers(20, 1600, (len(BANDS), *shape)) / 2000


def log(shape: tuple[int, int] = SHAPE, **changes: Any) -> str:
    """Give the LOG of a product whose corners are the centres of the corner pixels."""
    height, width = shape
    keys = {
        "SEGM_FIRST_DATE": "19990110",
        "SEGM_FIRST_TIME": "094501",
        "MAP_PROJ_RESOLUTION": f"{STEP:.10f}",
        "CARTO_LOWER_LEFT_X": f"{-11.0:.6f}",
        "CARTO_LOWER_LEFT_Y": f"{45.0 - (height - 1) * STEP:.6f}",
        "CARTO_UPPER_RIGHT_X": f"{-11.0 + (width - 1) * STEP:.6f}",
        "CARTO_UPPER_RIGHT_Y": f"{45.0:.6f}",
        **changes,
    }
    return "".join(f"{key:<26}{value}\r\n" for key, value in keys.items() if value is not None)


def write(
    folder: Path,
    *,
    status: NDArray[np.integer[Any]] | None = None,
    suffix: str = "TIF",
    text: str | None = None,
    prefix: str = STATION,
) -> Path:
    """Write one product.

    Args:
        folder: Where; its name is the product's.
        status: Status map ``(y, x)``.
        suffix: ``HDF`` (HDF4), ``HDF5``, ``NC`` (NetCDF-4 with rows from south to north) or ``TIF``.
        text: The LOG.
        prefix: Begin of the files' names.
    """
    folder.mkdir(parents=True)
    status = np.full(SHAPE, 0xF8) if status is None else status
    planes = {name: np.round(layer * 2000).astype(np.int16) for name, layer in zip(BANDS, reflectance(), strict=True)}
    planes["SM"] = status.astype(np.uint8)
    planes["SZA"], planes["SAA"] = np.full(SHAPE, 80, np.uint8), np.full(SHAPE, 100, np.uint8)
    for name, values in planes.items():
        SAVE[suffix](folder / f"{prefix}_{name}.{suffix}", values)
    ending = ".TXT" if prefix == "0001" else ""
    (folder / f"{prefix}_LOG{ending}").write_bytes((log() if text is None else text).encode("latin-1"))
    return folder


def _save_hdf4(path: Path, values: NDArray[Any]) -> None:
    from pyhdf.SD import SD, SDC

    kinds = {"int16": SDC.INT16, "uint8": SDC.UINT8}
    file = SD(str(path), SDC.WRITE | SDC.CREATE)
    file.create("PIXEL DATA", kinds[values.dtype.name], values.shape)[:] = values
    file.end()


def _save_hdf5(path: Path, values: NDArray[Any]) -> None:
    with h5py.File(path, "w") as file:
        file["PIXEL_DATA"] = values


def _save_netcdf(path: Path, values: NDArray[Any]) -> None:
    with h5py.File(path, "w") as file:
        file["lat"] = np.linspace(44.0, 45.0, values.shape[0])
        file["Band1"] = values[::-1]


def _save_tif(path: Path, values: NDArray[Any]) -> None:
    height, width = values.shape
    with (
        warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
        rasterio.open(path, "w", driver="GTiff", count=1, height=height, width=width, dtype=values.dtype) as dataset,
    ):
        dataset.write(values, 1)


SAVE = {"HDF": _save_hdf4, "HDF5": _save_hdf5, "NC": _save_netcdf, "TIF": _save_tif}

if __name__ == "__main__":
    write(Path(sys.argv[1]) / NAME)
