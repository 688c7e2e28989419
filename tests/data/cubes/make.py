"""Write small cubes as NetCDF and Zarr: ``python make.py FOLDER``."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

BANDS = ("blue", "green", "red", "nir")
SHAPE = (12, 16)
TIMES = ("2024-03-05T10:48:19", "2024-03-10T10:48:21")


def numbers(*, times: int = 2, seed: int = 9) -> NDArray[np.int16]:
    """Draw digital numbers above 0, ``(time, band, y, x)``, with rows from north to south."""
    return np.random.default_rng(seed).integers(1, 10_000, (times, len(BANDS), *SHAPE)).astype(np.int16)


def coordinates(names: tuple[str, str] = ("y", "x")) -> dict[str, Any]:
    """Give the centres of pixels of 10 m in UTM zone 31, or of 0.01 degrees, and the reference system."""
    height, width = SHAPE
    if names[0] != "y":
        return {names[0]: 45.0 - 0.01 * np.arange(height), names[1]: 5.0 + 0.01 * np.arange(width)}
    mapping = xr.DataArray(0, attrs={"crs_wkt": "EPSG:32631", "grid_mapping_name": "transverse_mercator"})
    rows, cols = 4_599_995.0 - 10.0 * np.arange(height), 500_005.0 + 10.0 * np.arange(width)
    return {"y": rows, "x": cols, "spatial_ref": mapping}


def by_variables(*, times: int = 2, names: tuple[str, str] = ("y", "x"), bands: Sequence[str] = BANDS) -> xr.Dataset:
    """Make a cube with one variable per band, scaled by 0.0001 with an offset of -0.1, 0 without data."""
    values = numbers(times=times)
    attributes = {"scale_factor": 1e-4, "add_offset": -0.1, "_FillValue": np.int16(0)}
    if names[0] == "y":
        attributes["grid_mapping"] = "spatial_ref"
    layers = {
        name: (("time", *names), values[:, place], dict(attributes, long_name=f"band {place}"))
        for place, name in enumerate(bands)
    }
    quality = {"qa": (("time", *names), np.zeros((times, *SHAPE), np.uint8))}
    return xr.Dataset(layers | quality, {**coordinates(names), "time": np.array(TIMES[:times], "datetime64[ns]")})


def by_dimension(*, times: int = 2) -> xr.Dataset:
    """Make a cube with a band dimension, last but one of the four, and rows from south to north."""
    values = numbers(times=times)[:, :, ::-1].transpose(0, 2, 1, 3)
    own = coordinates()
    axes = {"y": own["y"][::-1], "x": own["x"], "spatial_ref": own["spatial_ref"]}
    times_of = np.array(TIMES[:times], "datetime64[ns]")
    return xr.Dataset(
        {"reflectance": (("time", "y", "band", "x"), values, {"scale_factor": 1e-4, "grid_mapping": "spatial_ref"})},
        {**axes, "band": list(BANDS), "time": times_of},
    )


def write(path: Path, cube: xr.Dataset, **options: Any) -> Path:
    """Write a cube by its suffix: ``.nc`` (NetCDF-4) or ``.zarr``."""
    plain = cube.copy()
    for variable in plain.variables.values():
        # What stands in the attributes is stored as it is.
        variable.encoding = {"_FillValue": None} if "_FillValue" not in variable.attrs else {}
    with warnings.catch_warnings(action="ignore"):
        if path.suffix == ".zarr":
            plain.to_zarr(path, **({"zarr_format": 2} | options))
        else:
            plain.to_netcdf(path, **({"engine": "h5netcdf"} | options))
    return path


if __name__ == "__main__":
    for suffix in (".nc", ".zarr"):
        write(Path(sys.argv[1]) / f"cube{suffix}", by_variables())
