"""Layers: single bands of raster files on one grid, read window by window through GDAL."""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Interleaving, MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RasterWindow

from undercast.bands import Band
from undercast.errors import GridError, SceneError
from undercast.grids import Grid
from undercast.radiometry import Scaling
from undercast.readers.base import check_sides, gdal_path, is_remote
from undercast.readers.reduced import grown, open_reduced
from undercast.types import Bool, Float32
from undercast.windows import Window

REMOTE_SETTINGS: Mapping[str, str] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_CONNECTTIMEOUT": "20",
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "1",
}
"""GDAL settings for sources behind a network, unless the environment sets them: no directory listing (so no
side-car files either), and patience."""

CACHE_SETTINGS: Mapping[str, int] = {"GDAL_CACHEMAX": 64 * 1024**2}
"""Room for GDAL's decoded blocks, in bytes, unless the environment sets it: GDAL would take 5 % of the memory,
and a pass from top to bottom needs a row of blocks."""

LARGEST_CACHE = 768 * 1024**2
"""Room for GDAL's decoded blocks, in bytes, that a scene of large blocks gets at most."""

DECODING_SETTINGS: Mapping[str, str] = {"GDAL_NUM_THREADS": "1"}
"""GDAL settings that nothing overrides. With several threads, GDAL 3.10 reads a truncated or damaged JPEG 2000 without
an error and leaves arbitrary numbers where it could not decode; with one, it says so. Files are read side by side
instead."""

_SAME_GRID_PX = 0.01
"""Largest difference of two grids that count as one, in pixels over the whole raster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterHeader:
    """What a raster file says before its first pixel."""

    source: str
    """Path or URL as it was given."""
    grid: Grid
    """Grid of the file."""
    dtypes: tuple[str, ...]
    """Data type of each layer."""
    descriptions: tuple[str | None, ...]
    """Description of each layer."""
    scalings: tuple[Scaling | None, ...]
    """Scale and offset of each layer; None where the file declares none."""
    alpha: int | None
    """Number of the alpha layer, from 1; None where there is none."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of the file."""

    @property
    def data_layers(self) -> tuple[int, ...]:
        """Numbers, from 1, of the layers that are not alpha."""
        return tuple(number for number in range(1, len(self.dtypes) + 1) if number != self.alpha)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of a raster file and the band that it holds."""

    source: str
    """Path or URL of the file."""
    number: int
    """Number of the layer in the file, from 1."""
    band: Band
    """Band that it holds."""
    scaling: Scaling
    """Digital numbers to reflectance."""
    nodata: tuple[float, ...] = ()
    """Stored values that mean no data, beside the one that the file declares."""


class _Opened(NamedTuple):
    """A file at the scene's resolution, or a coarser one."""

    dataset: Any
    edge_px: int
    """Pixels beside missing data that are not to be trusted."""


class LayerPixels:
    """Pixels of layers that share a grid; a file is opened at its first window and then kept open.

    Reads from several threads follow each other; the files of one read are decoded side by side. A pickled copy opens
    the files anew.
    """

    def __init__(self, layers: Sequence[Layer], shape: tuple[int, int] | None = None) -> None:
        """Take the layers in the order of the scene's bands; nothing is opened yet.

        Args:
            layers: Layers that cover the same ground.
            shape: Shape of the scene, where it is not that of every file: those of other shapes are resampled, coarser
                ones by the nearest pixel, finer ones by the mean, from overviews where the file has some.
        """
        self.layers = tuple(layers)
        self.shape = shape
        self._open: dict[str, _Opened] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> tuple[tuple[Layer, ...], tuple[int, int] | None]:
        """Leave open files behind."""
        return self.layers, self.shape

    def __setstate__(self, state: tuple[tuple[Layer, ...], tuple[int, int] | None]) -> None:
        """Start without open files."""
        self.layers, self.shape = state
        self._open = {}
        self._lock = threading.Lock()

    def read(self, window: Window, bands: Sequence[int]) -> Float32:
        """Read a window of some bands.

        Args:
            window: Inside the scene.
            bands: Positions of the bands, from 0.

        Returns:
            Reflectance ``(band, y, x)``, unitless; NaN where a band has no data.

        Raises:
            SceneError: If a file is truncated, damaged or gone.
        """
        reflectance = np.empty((len(bands), *window.shape), np.float32)
        places: dict[str, list[int]] = {}
        for place, band in enumerate(bands):
            places.setdefault(self.layers[band].source, []).append(place)
        with self._lock:
            for source in places:
                self._open_file(source)
            if len(places) == 1:
                self._read_file(window, [self.layers[band] for band in bands], reflectance, range(len(bands)))
                return reflectance
            with ThreadPoolExecutor(min(len(places), os.cpu_count() or 1) or 1) as pool:
                reads = [
                    pool.submit(
                        self._read_file, window, [self.layers[bands[place]] for place in here], reflectance, here
                    )
                    for here in places.values()
                ]
                for read in reads:
                    read.result()
        return reflectance

    def _open_file(self, source: str) -> None:
        """Open a file at its first window."""
        if source in self._open:
            return
        nodata = next((layer.nodata[0] for layer in self.layers if layer.source == source and layer.nodata), None)
        with _gdal(source, "cannot be opened as a raster"):
            self._open[source] = _open_at(source, self.shape, nodata)

    def _room(self) -> int:
        """Give the bytes that two rows of blocks of every open file take: a window may lie across two."""
        needed = sum(2 * _bytes_of_block_row(opened.dataset) for opened in self._open.values())
        return int(min(max(needed, CACHE_SETTINGS["GDAL_CACHEMAX"]), LARGEST_CACHE))

    def _read_file(self, window: Window, layers: Sequence[Layer], reflectance: Float32, places: Sequence[int]) -> None:
        source, numbers = layers[0].source, [layer.number for layer in layers]
        dataset, edge_px = self._open[source]
        failure = f"cannot be read at rows {window.row}-{window.row + window.height - 1}"
        with _gdal(source, failure, room=self._room()):
            look = _look(dataset, window, self.shape, edge_px)
            stored = dataset.read(
                numbers, window=look.area, out_shape=(len(numbers), *look.shape), resampling=Resampling.nearest
            )
            hidden = _hidden(dataset, numbers, look, alpha=self._mask_layer(dataset, source))
        for layer, place, values, away in zip(layers, places, stored, hidden, strict=True):
            declared = dataset.nodatavals[layer.number - 1]
            invalid = _without_data(values, (*layer.nodata, *(() if declared is None else (declared,))))
            invalid = grown(invalid if away is None else invalid | away, edge_px)
            reflectance[place] = layer.scaling.to_reflectance(values[look.kept])
            if invalid.any():
                reflectance[place][invalid[look.kept]] = np.nan

    def _mask_layer(self, dataset: Any, source: str) -> int | None:
        """Give the number of the alpha layer, unless it is a band: the fourth of four 8-bit layers is alpha to GDAL."""
        alpha = _alpha_number(dataset)
        used = {layer.number for layer in self.layers if layer.source == source}
        return None if alpha in used else alpha


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """Where a window of the scene lies in a file."""

    area: RasterWindow
    """In the file's pixels, with the margin that the look at missing data needs."""
    shape: tuple[int, int]
    """Of what is read, in the scene's pixels."""
    kept: tuple[slice, slice]
    """Rows and columns of what is read that the window is."""


def _look(dataset: Any, window: Window, shape: tuple[int, int] | None, edge_px: int) -> _Look:
    height, width = shape or dataset.shape
    rows, cols = dataset.height / height, dataset.width / width
    top, left = max(window.row - edge_px, 0), max(window.col - edge_px, 0)
    bottom = min(window.row + window.height + edge_px, height)
    right = min(window.col + window.width + edge_px, width)
    first, second = window.row - top, window.col - left
    return _Look(
        area=RasterWindow(left * cols, top * rows, (right - left) * cols, (bottom - top) * rows),
        shape=(bottom - top, right - left),
        kept=(slice(first, first + window.height), slice(second, second + window.width)),
    )


def _open_at(source: str, shape: tuple[int, int] | None, nodata: float | None) -> _Opened:
    """Open a file at the scene's resolution where it is finer."""
    if shape is None:
        return _Opened(_open_dataset(source), 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return _Opened(*open_reduced(gdal_path(source), shape, nodata))


def _hidden(
    dataset: Any,
    numbers: Sequence[int],
    look: _Look,
    *,
    alpha: int | None,
) -> list[Bool | None]:
    """Where mask bands or an alpha layer hide pixels, per layer; None where nothing can hide them."""
    area, shape = look.area, look.shape
    transparent = None if alpha is None else dataset.read(alpha, window=area, out_shape=shape) == 0
    hidden: list[Bool | None] = []
    for number in numbers:
        away = transparent
        flags = dataset.mask_flag_enums[number - 1]
        if MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags:
            masked = dataset.read_masks(number, window=area, out_shape=shape) == 0
            away = masked if away is None else away | masked
        hidden.append(away)
    return hidden


def _without_data(values: NDArray[Any], nodata: Sequence[float]) -> Bool:
    """Where stored values are not finite or equal one of the nodata values."""
    floating = np.issubdtype(values.dtype, np.floating)
    invalid = ~np.isfinite(values) if floating else np.zeros(values.shape, np.bool_)
    for value in nodata:
        if not np.isfinite(value):
            continue
        if floating:
            invalid |= values == values.dtype.type(value)
        elif float(value).is_integer() and np.iinfo(values.dtype).min <= value <= np.iinfo(values.dtype).max:
            invalid |= values == values.dtype.type(int(value))
    return invalid


def read_header(source: str) -> RasterHeader:
    """Read what a raster file says about itself.

    Raises:
        SceneError: If it is missing, not a raster, truncated, or holds complex numbers or nothing.
    """
    if not is_remote(source) and ":" not in source and not source.startswith("/vsi") and not Path(source).exists():
        msg = f"{source} does not exist. Check the path."
        raise SceneError(msg)
    with _gdal(source, "cannot be opened as a raster"), _open_dataset(source) as dataset:
        _refuse_strange(dataset, source)
        check_sides(dataset.shape, what=source)
        crs = dataset.crs
        return RasterHeader(
            source=source,
            grid=Grid(
                shape=(dataset.height, dataset.width),
                transform=tuple(dataset.transform)[:6],
                crs=crs.to_wkt() if crs else None,
                geographic=bool(crs and crs.is_geographic),
                unit_m=unit_of(crs),
            ),
            dtypes=tuple(dataset.dtypes),
            descriptions=_descriptions(dataset),
            scalings=tuple(
                Scaling(scale=float(scale), offset=float(offset)) if (scale, offset) != (1.0, 0.0) else None
                for scale, offset in zip(dataset.scales, dataset.offsets, strict=True)
            ),
            alpha=_alpha_number(dataset),
            tags=_tags(dataset),
        )


def _descriptions(dataset: Any) -> tuple[str | None, ...]:
    """Give what the layers are called; nothing where that is not UTF-8, and a person has to say it."""
    described: tuple[str | None, ...]
    try:
        described = tuple(dataset.descriptions)
    except UnicodeDecodeError:
        described = (None,) * dataset.count
    return described


def _tags(dataset: Any) -> dict[str, str]:
    """Give the tags; none where they are not UTF-8."""
    try:
        return {str(key): str(value) for key, value in dataset.tags().items()}
    except UnicodeDecodeError:
        return {}


def read_tags(source: str) -> dict[str, str]:
    """Read the tags of a raster file.

    Raises:
        SceneError: If it is missing, truncated or not a raster.
    """
    with _gdal(source, "cannot be opened as a raster"), _open_dataset(source) as dataset:
        return _tags(dataset)


def read_numbers(source: str, *, layers: int = 1) -> NDArray[Any]:
    """Read the whole of a raster file as it is stored: quality bits, for instance.

    Returns:
        Its first layer ``(y, x)``, or as many as are asked for ``(layer, y, x)``.

    Raises:
        SceneError: If it is missing, truncated, not a raster, or has fewer layers.
    """
    with _gdal(source, "cannot be read"), _open_dataset(source) as dataset:
        _refuse_strange(dataset, source)
        if dataset.count < layers:
            msg = f"{source}: expected {layers} layers, got {dataset.count}."
            raise SceneError(msg)
        return np.asarray(dataset.read(1 if layers == 1 else list(range(1, layers + 1))))


def _refuse_strange(dataset: Any, source: str) -> None:
    if dataset.count == 0:
        parts = ", ".join(dataset.subdatasets[:3]) or "none"
        msg = f"{source}: expected a raster with layers, got a container. Name one of its parts: {parts}"
        raise SceneError(msg)
    if any("complex" in dtype for dtype in dataset.dtypes):
        msg = f"{source}: expected reflectance, got complex numbers (radar?). undercast reads optical scenes."
        raise SceneError(msg)


def _alpha_number(dataset: Any) -> int | None:
    kinds = dataset.colorinterp
    return kinds.index(ColorInterp.alpha) + 1 if ColorInterp.alpha in kinds else None


def _bytes_of_block_row(dataset: Any) -> int:
    """Give the bytes of the decoded blocks beside one another; where bands are interleaved, GDAL keeps all of them."""
    bands = dataset.count if dataset.interleaving is Interleaving.pixel else 1
    return int(bands * dataset.block_shapes[0][0] * dataset.width * np.dtype(dataset.dtypes[0]).itemsize)


def _open_dataset(source: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(gdal_path(source))


@contextlib.contextmanager
def _gdal(source: str, failure: str, *, room: int = 0) -> Iterator[None]:
    """Set GDAL up for the source and turn its errors into one line; the room is for decoded blocks, in bytes."""
    wanted = {**CACHE_SETTINGS, **(REMOTE_SETTINGS if is_remote(source) else {})}
    if room:
        wanted["GDAL_CACHEMAX"] = room
    try:
        with rasterio.Env(**{k: v for k, v in wanted.items() if k not in os.environ}, **DECODING_SETTINGS):
            yield
    # UnicodeDecodeError: tags that are not UTF-8.
    except (RasterioError, OSError, UnicodeDecodeError) as error:
        if isinstance(error, SceneError):
            raise
        msg = f"{source} {failure}; it may be truncated, damaged or of another kind. {_reason(error)}"
        raise SceneError(msg) from error


def _reason(error: BaseException) -> str:
    """Give what GDAL says in one line."""
    said = error.__cause__ or error
    text = " ".join(str(getattr(said, "errmsg", None) or said).split())
    return f"GDAL says: {text.rstrip('.')}."


def unit_of(crs: rasterio.CRS | None) -> float:
    """Give the length of a CRS's unit in metres; 1 where there is none, or its unit is the degree."""
    return float(crs.linear_units_factor[1]) if crs and crs.is_projected else 1.0


def same_grid(one: Grid, other: Grid) -> bool:
    """Tell whether two grids are one, up to rounding."""
    if one.shape != other.shape or one.geographic != other.geographic or (one.crs is None) != (other.crs is None):
        return False
    if one.crs != other.crs and not _same_crs(one.crs, other.crs):
        return False
    steps = np.array([*one.transform[:2], *one.transform[3:5]])
    pixel = float(np.abs(steps).max()) or 1.0
    extent = np.array([one.shape[1], one.shape[0], 1.0] * 2)
    return bool((np.abs(np.subtract(one.transform, other.transform)) * extent <= _SAME_GRID_PX * pixel).all())


def _same_crs(one: str | None, other: str | None) -> bool:
    return bool(rasterio.CRS.from_user_input(one) == rasterio.CRS.from_user_input(other))


def shared_grid(headers: Sequence[RasterHeader]) -> Grid:
    """Give the grid of files that share one.

    Raises:
        GridError: If they do not; it says in which of shape, transform and CRS.
    """
    first = headers[0]
    for header in headers[1:]:
        if not same_grid(first.grid, header.grid):
            msg = (
                f"expected all bands on one grid, got {_difference(first, header)}."
                " Read them at one resolution (e.g. --resolution 20), or leave the file out."
            )
            raise GridError(msg)
    return first.grid


def _difference(one: RasterHeader, other: RasterHeader) -> str:
    names = f"{Path(one.source).name} and {Path(other.source).name}"
    if one.grid.shape != other.grid.shape:
        return f"shapes {one.grid.shape} and {other.grid.shape} in {names}"
    if not np.allclose(one.grid.transform, other.grid.transform, rtol=1e-9, atol=0.0):
        return f"transforms {one.grid.transform} and {other.grid.transform} in {names}"
    return f"different CRS in {names}: {_crs_name(one.grid)} and {_crs_name(other.grid)}"


def _crs_name(grid: Grid) -> str:
    return "none" if grid.crs is None else str(rasterio.CRS.from_user_input(grid.crs).to_string())[:60]
