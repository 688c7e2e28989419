"""Arrays: NumPy arrays and xarray.DataArray as scenes, and predictions back as xarray."""

from __future__ import annotations

import logging
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError

from undercast._optional import require
from undercast.errors import SceneError
from undercast.grids import Grid
from undercast.radiometry import Scaling
from undercast.readers.base import (
    Naming,
    OpenOptions,
    bands_from_caller,
    bands_from_preset,
    bands_from_texts,
    checked_scaling,
    preset_scaling,
    record,
    skipped_layers,
    unnamed_error,
)
from undercast.readers.layers import unit_of
from undercast.scene import Scene
from undercast.types import NODATA, Float32, ProductLevel
from undercast.windows import Window

if TYPE_CHECKING:
    import xarray as xr

    from undercast.prediction import Prediction

logger = logging.getLogger(__name__)

BAND_DIMS = ("band", "bands", "channel", "wavelength")
"""Names of the band dimension, best first."""
Y_DIMS = ("y", "lat", "latitude", "row", "northing")
"""Names of the dimension along columns, best first."""
X_DIMS = ("x", "lon", "longitude", "col", "easting")
"""Names of the dimension along rows, best first."""
NAME_COORDS = ("common_name", "eo:common_name", "band", "bands", "channel")
"""Coordinates along the band dimension that may name the bands, best first."""

_STORAGE_ATTRS = frozenset(
    {"_FillValue", "missing_value", "nodata", "nodatavals", "scale_factor", "add_offset", "scales", "offsets"}
    | {"long_name", "standard_name", "units", "valid_min", "valid_max", "valid_range"}
)
_DEGREES_CRS = re.compile(r"^\s*(GEOGCS|GEOGCRS|GEODCRS)\b", re.IGNORECASE)
_MAYBE_FEET = re.compile(r"f(oo|ee)t|^[^\[]*$", re.IGNORECASE)
"""WKT that speaks of feet, and what is no WKT."""
_SPATIAL_DIMENSIONS = 3
_EVEN = 1e-3
"""Largest unevenness of coordinates that count as a regular grid, in steps."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredPixels:
    """Digital numbers in memory or in a (lazy) DataArray; scaled window by window."""

    stored: Any
    """``(band, y, x)``: NumPy array, masked array, or DataArray."""
    layers: tuple[int, ...]
    """Position of each band among the layers."""
    scalings: tuple[Scaling, ...]
    """Digital numbers to reflectance, one per band."""
    nodata: tuple[tuple[float, ...], ...]
    """Stored values that mean no data, one tuple per band."""

    def read(self, window: Window, bands: Sequence[int]) -> Float32:
        """Read a window of some bands.

        Returns:
            Reflectance ``(band, y, x)``, unitless; NaN where a band has no data.
        """
        layers = [self.layers[band] for band in bands]
        stored = self.stored[:, window.rows, window.cols][layers]
        values = stored if isinstance(stored, np.ma.MaskedArray) else np.asarray(stored)
        reflectance = np.empty(values.shape, np.float32)
        for place, band in enumerate(bands):
            layer = values[place]
            reflectance[place] = self.scalings[band].to_reflectance(np.ma.getdata(layer))
            reflectance[place][_invalid(layer, self.nodata[band])] = np.nan
        return reflectance


def _invalid(layer: NDArray[Any], nodata: Sequence[float]) -> NDArray[np.bool_]:
    data = np.ma.getdata(layer)
    invalid = np.ma.getmaskarray(layer) | ~np.isfinite(data)
    for value in nodata:
        with np.errstate(over="ignore"):
            wanted = np.asarray(value).astype(data.dtype) if data.dtype.kind == "f" else value
        invalid |= data == wanted
    return np.asarray(invalid, np.bool_)


def scene_from_numpy(array: NDArray[Any], options: OpenOptions) -> Scene:
    """Make a scene of a NumPy array; it is not copied.

    Args:
        array: ``(band, y, x)``: reflectance, or digital numbers with a scaling in the options; NaN or masked where
            there is no data.
        options: Must name the bands, or a sensor with as many.

    Raises:
        SceneError: If the array has not three dimensions or holds no real numbers.
        BandError: If nothing tells the bands, or the names do not fit.
    """
    _check_array(array)
    naming = _name_layers([None] * array.shape[0], options)
    scaling, origin = _scaling(options, array.dtype)
    height, width = array.shape[1:]
    return Scene(
        name=options.name or "array",
        bands=tuple(band for band in naming.bands if band is not None),
        grid=Grid(shape=(height, width)),
        pixels=_pixels(array, naming, [scaling] * array.shape[0], _nodata(options, {}, array.shape[0])),
        level=_level(options, origin),
        sensor=options.sensor.id if options.sensor is not None else None,
        provenance=record(
            source="array",
            bands_from=naming.origin,
            scaling_from=origin,
            skipped=skipped_layers(naming, [None] * array.shape[0]),
        ),
    )


def scene_from_data_array(array: xr.DataArray, options: OpenOptions) -> Scene:
    """Make a scene of a DataArray; Dask arrays are computed window by window.

    Bands come from the options, the coordinates along the band dimension, or the attribute ``long_name``; the grid from
    ``spatial_ref`` and the coordinates; nodata, scale and offset from CF attributes.

    Raises:
        SceneError: If the dimensions are not band, y and x, or the array holds no real numbers.
        BandError: If nothing tells the bands, or the names do not fit.
    """
    cube, time = _cube(array)
    _check_array(cube)
    texts = _names(cube)
    naming = _name_layers(texts, options)
    scalings, origin = _declared_scalings(cube, options)
    return Scene(
        name=options.name or ("array" if array.name is None else str(array.name)),
        bands=tuple(band for band in naming.bands if band is not None),
        grid=_grid(cube),
        pixels=_pixels(cube, naming, scalings, _nodata(options, cube.attrs, cube.shape[0])),
        level=_level(options, origin),
        sensor=options.sensor.id if options.sensor is not None else None,
        acquired=time,
        provenance=record(
            source="xarray.DataArray",
            bands_from=naming.origin,
            scaling_from=origin,
            skipped=skipped_layers(naming, texts),
        ),
    )


def like(prediction: Prediction, array: xr.DataArray) -> xr.Dataset:
    """Give a prediction as xarray, on the coordinates and with the attributes of the array that it was made of.

    Args:
        prediction: Made of a scene of ``array``.
        array: The DataArray that was opened as a scene.

    Returns:
        ``class_map`` (uint8, nodata 255) and ``uncertainty`` over the array's two spatial dimensions, ``probabilities``
        over ``class`` and these; with the array's coordinates that do not belong to its bands.

    Raises:
        SceneError: If the prediction is not of the array's shape.
    """
    xarray = require("xarray", extra="xarray", purpose="return predictions as DataArray")
    y, x = _spatial_dims(array)
    shape = (array.sizes[y], array.sizes[x])
    if prediction.class_map.shape != shape:
        msg = f"expected a prediction of shape {shape} like the array, got {prediction.class_map.shape}."
        raise SceneError(msg)
    coords = {key: value for key, value in array.coords.items() if set(value.dims) <= {y, x}}
    attrs = {key: value for key, value in array.attrs.items() if key not in _STORAGE_ATTRS}
    header = prediction.header
    attrs |= {"model": f"{header.model.id} {header.model.version}"}
    layers: dict[str, tuple[tuple[Hashable, ...], NDArray[Any], dict[str, Any]]] = {
        "class_map": ((y, x), prediction.class_map, {"long_name": "class map", "_FillValue": NODATA}),
        "uncertainty": (
            (y, x),
            prediction.uncertainty,
            {"long_name": f"uncertainty ({header.uncertainty_kind})"},
        ),
        "probabilities": (("class", y, x), prediction.probabilities, {"long_name": "class probabilities"}),
    }
    variables = {key: (dims, values, attrs | own) for key, (dims, values, own) in layers.items()}
    dataset: xr.Dataset = xarray.Dataset(variables, {**coords, "class": list(header.classes)}, attrs)
    return dataset


def _check_array(array: Any) -> None:
    if array.ndim != _SPATIAL_DIMENSIONS:
        msg = f"expected an array (band, y, x), got shape {array.shape}. Add the band axis with array[None]."
        raise SceneError(msg)
    if array.dtype.kind not in "buif":
        msg = f"expected an array of real numbers, got {array.dtype}."
        raise SceneError(msg)


def _name_layers(texts: Sequence[str | None], options: OpenOptions) -> Naming:
    """Name the layers: what the caller says, else coordinates, else the sensor's order."""
    what, sensor = "array", options.sensor
    if options.bands is not None:
        return bands_from_caller(options.bands, len(texts), what=what, sensor=sensor)
    naming = bands_from_texts(texts, what=what, sensor=sensor, origin="coordinates")
    naming = naming or bands_from_preset(len(texts), sensor)
    if naming is None:
        raise unnamed_error(texts, what=what, sensor=sensor)
    return naming


def _pixels(
    stored: Any, naming: Naming, scalings: Sequence[Scaling], nodata: Sequence[tuple[float, ...]]
) -> StoredPixels:
    layers = tuple(place for place, band in enumerate(naming.bands) if band is not None)
    chosen = tuple(checked_scaling(scalings[layer], what=f"array: layer {layer + 1}") for layer in layers)
    of_bands = tuple(nodata[layer] for layer in layers)
    return StoredPixels(stored=stored, layers=layers, scalings=chosen, nodata=of_bands)


def _scaling(options: OpenOptions, dtype: np.dtype[Any]) -> tuple[Scaling, str]:
    if options.scaling is not None:
        return options.scaling, "caller"
    preset = preset_scaling(options, dtype)
    return (preset, "sensor") if preset is not None else (Scaling(), "none")


def _declared_scalings(array: xr.DataArray, options: OpenOptions) -> tuple[list[Scaling], str]:
    """Choose the scalings: what the caller says, else CF attributes, else the sensor for integers, else none."""
    layers = array.shape[0]
    scales = _per_layer(array.attrs, ("scale_factor", "scales"), layers, default=1.0)
    offsets = _per_layer(array.attrs, ("add_offset", "offsets"), layers, default=0.0)
    declared = [Scaling(scale=scale, offset=offset) for scale, offset in zip(scales, offsets, strict=True)]
    if options.scaling is None and any(scaling != Scaling() for scaling in declared):
        return declared, "attributes"
    scaling, origin = _scaling(options, array.dtype)
    return [scaling] * layers, origin


def _per_layer(attrs: Mapping[Any, Any], keys: Sequence[str], layers: int, *, default: float) -> list[float]:
    for key in keys:
        values = np.atleast_1d(np.asarray(attrs.get(key, ()), np.float64))
        if values.size in {1, layers}:
            return [float(value) for value in np.broadcast_to(values, layers)]
    return [default] * layers


def _nodata(options: OpenOptions, attrs: Mapping[Any, Any], layers: int) -> list[tuple[float, ...]]:
    """List the values without data of each layer; ``nodatavals`` holds one for each, or a row of them."""
    shared = [] if options.nodata is None else [options.nodata]
    own: list[list[float]] = [[] for _ in range(layers)]
    for key in ("_FillValue", "missing_value", "nodata", "nodatavals"):
        found = np.atleast_1d(np.asarray(() if attrs.get(key) is None else attrs[key], np.float64))
        if key == "nodatavals" and len(found) == layers:
            own = [row.tolist() for row in found.reshape(layers, -1)]
        else:
            shared += found.reshape(-1).tolist()
    return [tuple(dict.fromkeys(value for value in (*shared, *row) if np.isfinite(value))) for row in own]


def _level(options: OpenOptions, origin: str) -> ProductLevel | None:
    if options.level is not None or options.sensor is None:
        return options.level
    return options.sensor.level if origin == "sensor" else None


def _cube(array: xr.DataArray) -> tuple[xr.DataArray, datetime | None]:
    """Bring an array to (band, y, x), and read its time."""
    y, x = _spatial_dims(array)
    band = next((name for name in BAND_DIMS if name in array.dims), None)
    others = [dim for dim in array.dims if dim not in {band, y, x}]
    long = [str(dim) for dim in others if array.sizes[dim] != 1]
    if long:
        msg = (
            f"expected a DataArray with the dimensions band, y and x, got {_dims(array)}."
            f" Take one of {', '.join(long)}, e.g. with .isel({long[0]}=0)."
        )
        raise SceneError(msg)
    squeezed = array.squeeze(others)
    if band is None:
        band = BAND_DIMS[0]
        squeezed = squeezed.drop_vars(band, errors="ignore").expand_dims(band)
    return squeezed.transpose(band, y, x), _time(array)


def _spatial_dims(array: xr.DataArray) -> tuple[Hashable, Hashable]:
    found = [next((dim for dim in array.dims if str(dim).lower() in names), None) for names in (Y_DIMS, X_DIMS)]
    y, x = found
    if y is None or x is None:
        msg = (
            f"expected a DataArray with the dimensions band, y and x, got {_dims(array)}."
            ' Rename them, e.g. with .rename({"dim_0": "band"}).'
        )
        raise SceneError(msg)
    return y, x


def _dims(array: xr.DataArray) -> str:
    return ", ".join(f"{dim} ({size})" for dim, size in array.sizes.items())


def _time(array: xr.DataArray) -> datetime | None:
    times = array.coords.get("time")
    if times is None or times.size != 1 or times.dtype.kind != "M":
        return None
    value = np.datetime64(times.values.reshape(-1)[0], "us")
    return None if np.isnat(value) else value.astype(datetime).replace(tzinfo=UTC)


def _names(cube: xr.DataArray) -> list[str | None]:
    """Give what the coordinates along the bands, or the attribute ``long_name``, say of each layer."""
    layers = cube.shape[0]
    for key in NAME_COORDS:
        coord = cube.coords.get(key)
        if coord is not None and coord.dims == cube.dims[:1] and coord.dtype.kind in "UOST":
            return [str(text) for text in coord.values]
    names = cube.attrs.get("long_name")
    if isinstance(names, str):
        names = (names,)
    if isinstance(names, (tuple, list)) and len(names) == layers:
        return [str(text) for text in names]
    return [None] * layers


def _grid(cube: xr.DataArray) -> Grid:
    height, width = cube.shape[1:]
    transform = _transform(cube)
    crs = _crs(cube)
    if transform is None:
        if crs is not None:
            logger.warning("array: it has a CRS but no even coordinates; the scene goes without a place")
        return Grid(shape=(height, width))
    return Grid(
        shape=(height, width),
        transform=transform,
        crs=crs,
        geographic=(geographic := crs is not None and _is_geographic(crs)),
        unit_m=1.0 if crs is None or geographic or not _MAYBE_FEET.search(crs) else unit_of(_understood(crs)),
    )


def _reference(cube: xr.DataArray) -> Mapping[Any, Any]:
    """Give the attributes of the grid mapping variable."""
    name = cube.attrs.get("grid_mapping") or cube.encoding.get("grid_mapping") or "spatial_ref"
    variable = cube.coords.get(name)
    return variable.attrs if variable is not None else {}


def _crs(cube: xr.DataArray) -> str | None:
    reference = _reference(cube)
    text = reference.get("crs_wkt") or reference.get("spatial_ref") or cube.attrs.get("crs")
    if text:
        return str(text)
    epsg = cube.coords.get("epsg")
    return f"EPSG:{int(epsg)}" if epsg is not None and epsg.size == 1 else None


def _is_geographic(crs: str) -> bool:
    if _DEGREES_CRS.match(crs):
        return True
    if "[" in crs:
        return False
    return bool(_understood(crs).is_geographic)


def _understood(crs: str) -> CRS:
    try:
        return CRS.from_user_input(crs)
    except CRSError as error:
        msg = f"array: CRS {crs!r} is not understood ({error}). Give WKT or EPSG:n."
        raise SceneError(msg) from error


def _transform(cube: xr.DataArray) -> tuple[float, float, float, float, float, float] | None:
    """Read the affine transform from coordinates (centres of pixels), else from ``GeoTransform`` (GDAL's order)."""
    # A dimension without coordinates would answer with 0, 1, 2, ... if it were asked.
    if all(dim in cube.coords for dim in cube.dims[1:]):
        rows, cols = (_axis(np.asarray(cube.coords[dim].values)) for dim in cube.dims[1:])
        if rows is not None and cols is not None:
            return cols[1], 0.0, cols[0] - cols[1] / 2, 0.0, rows[1], rows[0] - rows[1] / 2
    texts = str(_reference(cube).get("GeoTransform") or "").split()
    if len(texts) != 6:
        return None
    c, a, b, f, d, e = (float(text) for text in texts)
    return a, b, c, d, e, f


def _axis(values: NDArray[Any]) -> tuple[float, float] | None:
    """Give the first coordinate and the step of a regular axis; None where it is irregular or one pixel long."""
    if values.size < 2 or values.dtype.kind not in "iuf":
        return None
    steps = np.diff(values.astype(np.float64))
    step = float((float(values[-1]) - float(values[0])) / (values.size - 1))
    if step == 0.0 or float(np.abs(steps - step).max()) > _EVEN * abs(step):
        return None
    return float(values[0]), step
