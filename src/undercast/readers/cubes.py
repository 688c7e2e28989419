"""Cubes: NetCDF files and Zarr stores with bands along a dimension or as variables, one scene for each time."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from undercast._optional import require
from undercast.errors import SceneError
from undercast.readers.array import BAND_DIMS, X_DIMS, Y_DIMS, StoredPixels, scene_from_data_array
from undercast.readers.base import (
    OpenOptions,
    band_called,
    bands_from_texts,
    check_sides,
    chosen_bands,
    is_remote,
    is_unsigned,
    short_name,
)
from undercast.readers.hdf import DAMAGED, HDF5_MAGIC, LARGEST_CHUNK, hdf5_file, one_line
from undercast.scene import Scene
from undercast.sensors import Sensor

if TYPE_CHECKING:
    import xarray as xr

TIME = "time"
"""Name of the dimension along which a cube holds scenes."""
CRS_VARIABLES = ("spatial_ref", "crs")
"""Variables that may hold the coordinate reference system where no attribute names one."""

_NETCDF = re.compile(r"\.(nc|nc4|cdf)$", re.IGNORECASE)
_ZARR = re.compile(r"\.zarr/?$", re.IGNORECASE)
_ZARR_FILES = ("zarr.json", ".zgroup", ".zmetadata")
_SHOWN_TIMES = 3


def accepts(source: str) -> bool:
    """Tell whether a source is a NetCDF file or a Zarr store; a time may follow after ``#``."""
    address = source.partition("#")[0]
    if _NETCDF.search(address) or _ZARR.search(address):
        return not address.startswith("/vsi")
    return any(Path(address, name).is_file() for name in _ZARR_FILES)


def members(source: str) -> list[str]:
    """List the times of a cube, each as a source of its own; the source itself where there are not several.

    Raises:
        SceneError: If it cannot be read.
        MissingDependencyError: If the libraries for it are not installed.
    """
    address, _, chosen = source.partition("#")
    if chosen:
        return [source]
    times = _times(_open_dataset(address))
    return [f"{address}#{time}" for time in times] if len(times) > 1 else [source]


def open(source: str, options: OpenOptions) -> Scene:  # noqa: A001 (the protocol's name)
    """Open one time of a cube; pixels are read window by window.

    Raises:
        SceneError: If it cannot be read, holds several times and none is chosen, or no variable over y and x.
        BandError: If nothing tells the bands, or the names do not fit.
        MissingDependencyError: If the libraries for it are not installed.
    """
    address, _, chosen = source.partition("#")
    with one_line(address, "xarray", DAMAGED):
        dataset = _open_dataset(address)
        times = _times(dataset)
        at = _at_time(dataset, times, chosen, address)
        layers, texts = _layers(at, options, address)
        layers, texts, options = _chosen(layers, texts, options, address)
        scene = scene_from_data_array(_template(at, layers, texts, options.sensor), options)
    name = short_name(address)
    if len(times) > 1:
        name = f"{name}_{re.sub('[^0-9T]', '', chosen)}"
    stored = Layers(source=address, variables=tuple(layers))
    return replace(
        scene,
        name=options.name or name,
        pixels=replace(cast("StoredPixels", scene.pixels), stored=stored),
        provenance={**scene.provenance, "source": source},
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layers:
    """Variables over y and x as one array ``(layer, y, x)`` of which only what is asked for is read."""

    source: str
    """Cube, for messages."""
    variables: tuple[xr.DataArray, ...]
    """One per layer, with the dimensions y and x in any order; not loaded."""

    def __getitem__(self, key: tuple[slice, slice, slice]) -> _Part:
        """Give a window of all layers, not read yet."""
        return _Part(layers=self, rows=key[1], cols=key[2])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """A window of all layers."""

    layers: Layers
    rows: slice
    cols: slice

    def __getitem__(self, chosen: Sequence[int]) -> NDArray[Any]:
        """Read some of the layers."""
        with one_line(self.layers.source, "xarray", DAMAGED):
            return np.stack([self._read(self.layers.variables[layer]) for layer in chosen])

    def _read(self, variable: xr.DataArray) -> NDArray[Any]:
        y, x = _spatial(variable)
        return np.asarray(variable.isel({y: self.rows, x: self.cols}).load().transpose(y, x).values)


def _open_dataset(address: str) -> xr.Dataset:
    xarray = require("xarray", extra="cubes", purpose=f"read {short_name(address)}")
    is_zarr = not _NETCDF.search(address)
    if not is_zarr and is_remote(address):
        msg = f"{address}: NetCDF is read from files. Download it, or convert it to Zarr, which is read from afar."
        raise SceneError(msg)
    if not is_remote(address) and not Path(address).exists():
        msg = f"{address} does not exist. Check the path."
        raise SceneError(msg)
    options = _zarr_options(address) if is_zarr else {"engine": _netcdf_engine(address)}
    with one_line(address, "xarray", DAMAGED), warnings.catch_warnings():
        # Stores without consolidated metadata are read, too; and what a stranger's attributes are like is no news.
        warnings.simplefilter("ignore")
        dataset: xr.Dataset = xarray.open_dataset(
            address, mask_and_scale=False, decode_coords="all", decode_timedelta=False, cache=False, **options
        )
        return dataset


def _netcdf_engine(address: str) -> str:
    """Choose by the first bytes: NetCDF-4 is HDF5, the classic format is read by SciPy."""
    with one_line(address, "xarray", DAMAGED), Path(address).open("rb") as file:
        magic = file.read(len(HDF5_MAGIC))
    if not magic.startswith((HDF5_MAGIC, b"CDF")):
        msg = f"{address}: expected NetCDF, got what is damaged or of another kind."
        raise SceneError(msg)
    engine = "h5netcdf" if magic == HDF5_MAGIC else "scipy"
    require(engine, extra="cubes", purpose=f"read {short_name(address)} (NetCDF)")
    if magic == HDF5_MAGIC:
        with hdf5_file(address):  # h5netcdf says less of what is wrong with it
            pass
    return engine


def _zarr_options(address: str) -> dict[str, Any]:
    require("zarr", extra="cubes", purpose=f"read {short_name(address)} (Zarr)")
    options: dict[str, Any] = {"engine": "zarr"}
    if is_remote(address):
        # fsspec asks for the library of the scheme; s3fs brings those of S3 and of the web.
        require("s3fs", extra="s3", purpose=f"read {address}")
        options["storage_options"] = {"anon": is_unsigned()} if address.startswith("s3://") else {}
    return options


def _times(dataset: xr.Dataset) -> list[str]:
    """Give the times of a cube as texts; none where it has no such dimension."""
    if TIME not in dataset.dims:
        return []
    if TIME not in dataset.coords or dataset[TIME].dtype.kind != "M":
        return [str(place) for place in range(dataset.sizes[TIME])]
    return [str(np.datetime_as_string(time, unit="s")) for time in dataset[TIME].values]


def _at_time(dataset: xr.Dataset, times: Sequence[str], chosen: str, address: str) -> xr.Dataset:
    if not times:
        if chosen:
            msg = f"{address}: expected a cube with the dimension time to choose {chosen!r} from, got none."
            raise SceneError(msg)
        return dataset
    if chosen not in times and (chosen or len(times) > 1):
        shown = ", ".join(times[:_SHOWN_TIMES]) + (", ..." if len(times) > _SHOWN_TIMES else "")
        msg = f"{address}: expected one of its {len(times)} times ({shown}) after '#', got {chosen or 'none'!r}."
        raise SceneError(msg)
    return dataset.isel({TIME: times.index(chosen) if chosen else 0})


def _spatial(variable: xr.DataArray) -> tuple[Hashable, Hashable]:
    y = next((dim for dim in variable.dims if str(dim).lower() in Y_DIMS), None)
    x = next((dim for dim in variable.dims if str(dim).lower() in X_DIMS), None)
    if y is None or x is None:
        msg = f"expected the dimensions y and x, got {', '.join(map(str, variable.dims)) or 'none'}."
        raise SceneError(msg)
    return y, x


def _layers(dataset: xr.Dataset, options: OpenOptions, address: str) -> tuple[list[xr.DataArray], list[str | None]]:
    """Split a cube into layers over y and x, north up, and say what names each."""
    maps = {str(name): variable for name, variable in dataset.data_vars.items() if _is_map(variable)}
    stacked = {name: variable for name, variable in maps.items() if _band_dim(variable) is not None}
    if not maps or len(stacked) > 1:
        found = ", ".join(stacked or map(str, dataset.data_vars)) or "none"
        wanted = "one variable with bands" if stacked else "variables of numbers over y and x"
        msg = f"{address}: expected {wanted}, got {found}. Open one with xarray and give it to open_scene."
        raise SceneError(msg)
    if stacked:
        variable = next(iter(stacked.values()))
        band = _band_dim(variable)
        layers = [variable.isel({band: place}) for place in range(variable.sizes[band])]
        texts = _band_texts(variable, band)
    else:
        layers = list(maps.values())
        texts = [_text(name, variable, options) for name, variable in maps.items()]
    layers = [_north_up(layer.squeeze()) for layer in layers]
    for layer, text in zip(layers, texts, strict=True):
        _check_layer(layer, layers[0], f"{address}: {text or layer.name}")
    return layers, texts


def _chosen(
    layers: list[xr.DataArray], texts: list[str | None], options: OpenOptions, address: str
) -> tuple[list[xr.DataArray], list[str | None], OpenOptions]:
    """Choose layers by the names that the person gives, where the cube names its bands; what is still to be said."""
    sensor = options.sensor
    if options.bands is None or bands_from_texts(texts, what=address, sensor=sensor, origin="cube") is None:
        return layers, texts, options
    named = [(place, band) for place, text in enumerate(texts) if text and (band := band_called(text, sensor))]
    chosen = chosen_bands([band for _, band in named], options, what=address, sensor=sensor)
    places = [named[one][0] for one in chosen]
    return [layers[place] for place in places], [texts[place] for place in places], replace(options, bands=None)


def _is_map(variable: xr.DataArray) -> bool:
    names = {str(dim).lower() for dim in variable.dims}
    return bool(names & set(Y_DIMS)) and bool(names & set(X_DIMS)) and variable.dtype.kind in "iuf"


def _band_dim(variable: xr.DataArray) -> Hashable | None:
    return next((dim for dim in variable.dims if str(dim).lower() in BAND_DIMS), None)


def _band_texts(variable: xr.DataArray, band: Hashable | None) -> list[str | None]:
    """Give what the coordinates along the bands, or the attribute ``long_name``, say of each band."""
    for coord in variable.coords.values():
        if coord.dims == (band,) and coord.dtype.kind in "UOST":
            return [str(text) for text in coord.values]
    names = variable.attrs.get("long_name")
    if isinstance(names, (list, tuple, np.ndarray)) and len(names) == variable.sizes[band]:
        return [str(text) for text in names]
    return [None] * variable.sizes[band]


def _text(name: str, variable: xr.DataArray, options: OpenOptions) -> str:
    """Name a variable by itself, or by its long name where that is a band's and its own is none."""
    long = str(variable.attrs.get("long_name") or "")
    return long if band_called(name, options.sensor) is None and band_called(long, options.sensor) else name


def _north_up(layer: xr.DataArray) -> xr.DataArray:
    y, _ = _spatial(layer)
    axis = layer.coords.get(y)
    rising = axis is not None and axis.size > 1 and axis.dtype.kind in "iuf" and bool(axis[0] < axis[-1])
    return layer.isel({y: slice(None, None, -1)}) if rising else layer


def _check_layer(layer: xr.DataArray, first: xr.DataArray, what: str) -> None:
    y, x = _spatial(layer)
    check_sides([layer.sizes[y], layer.sizes[x]], what=what)
    if layer.ndim != 2 or [layer.sizes[dim] for dim in _spatial(layer)] != [
        first.sizes[dim] for dim in _spatial(first)
    ]:
        sizes = ", ".join(f"{dim} ({size})" for dim, size in layer.sizes.items())
        msg = f"{what}: expected all bands over the same {y} and {x} alone, got {sizes}."
        raise SceneError(msg)
    chunks = layer.encoding.get("preferred_chunks") or layer.encoding.get("chunks") or layer.encoding.get("chunksizes")
    sizes_of = list(chunks.values()) if isinstance(chunks, dict) else list(chunks or ())
    size = math.prod(int(side) for side in sizes_of) * layer.dtype.itemsize
    if size > LARGEST_CHUNK:
        msg = f"{what}: expected pieces of at most {LARGEST_CHUNK // 2**20} MiB, got {size // 2**20} MiB."
        raise SceneError(msg)


def _template(
    dataset: xr.Dataset, layers: Sequence[xr.DataArray], texts: Sequence[str | None], sensor: Sensor | None
) -> xr.DataArray:
    """Make an array with a cube's coordinates, attributes and the type of its bands, whose pixels take no memory."""
    xarray = require("xarray", extra="cubes", purpose="read cubes")
    first = layers[0]
    y, x = _spatial(first)
    shape = (len(layers), first.sizes[y], first.sizes[x])
    bands = [layer for layer, text in zip(layers, texts, strict=True) if text and band_called(text, sensor)]
    dtype = np.result_type(*(layer.dtype for layer in bands or layers))
    coords = {name: coord for name, coord in first.coords.items() if coord.dims in {(), (y,), (x,)}}
    grid_mapping = first.encoding.get("grid_mapping") or first.attrs.get("grid_mapping")
    grid_mapping = next((name for name in (grid_mapping, *CRS_VARIABLES) if name in dataset.variables), None)
    if grid_mapping is not None:
        coords[grid_mapping] = dataset[grid_mapping].reset_coords(drop=True)
    if any(texts):
        coords["band"] = ("band", [text or f"band {place}" for place, text in enumerate(texts, start=1)])
    template: xr.DataArray = xarray.DataArray(
        np.broadcast_to(np.zeros((), dtype), shape),
        dims=("band", y, x),
        coords={name: coord for name, coord in coords.items() if name != TIME} | _time_coord(first),
        attrs=_attributes(layers, grid_mapping, geographic=str(y).lower().startswith("lat")),
    )
    return template


def _time_coord(layer: xr.DataArray) -> dict[str, Any]:
    return {TIME: layer.coords[TIME].values} if TIME in layer.coords and layer.coords[TIME].ndim == 0 else {}


def _attributes(layers: Sequence[xr.DataArray], grid_mapping: object, *, geographic: bool) -> dict[str, Any]:
    """Collect what says scale, offset, no data and place of all layers."""
    attributes: dict[str, Any] = {
        "scales": [_number(layer.attrs.get("scale_factor"), 1.0) for layer in layers],
        "offsets": [_number(layer.attrs.get("add_offset"), 0.0) for layer in layers],
        "nodatavals": [
            [_number(layer.attrs.get(name), np.nan) for name in ("_FillValue", "missing_value", "nodata")]
            for layer in layers
        ],
    }
    if grid_mapping is not None:
        return attributes | {"grid_mapping": grid_mapping}
    return attributes | {"crs": layers[0].attrs.get("crs") or "EPSG:4326"} if geographic else attributes


def _number(value: object, default: float) -> float:
    return default if value is None else float(np.asarray(value, np.float64).reshape(-1)[0])
