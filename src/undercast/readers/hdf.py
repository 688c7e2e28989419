"""Two-dimensional data sets in HDF5, HDF4 or raster files: one way to look at them and to read windows."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RasterWindow

from undercast._optional import require
from undercast.errors import SceneError, UndercastError
from undercast.readers.base import check_sides
from undercast.readers.hdf4 import read_hdf4
from undercast.windows import Window

LARGEST_CHUNK = 256 * 2**20
"""Bytes of one compressed piece above which a data set is refused: it is decoded whole."""

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
"""First bytes of HDF5, and so of NetCDF-4."""
HDF4_MAGIC = b"\x0e\x03\x13\x01"
"""First bytes of HDF4."""

_SZIP = 4
DAMAGED = (
    *(OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, OverflowError, MemoryError),
    *(IndexError, NotImplementedError, SystemError),
)
"""What libraries raise for damaged files, beside their own errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """Where one two-dimensional data set is."""

    source: str
    """Path of the file."""
    dataset: str = ""
    """Name in the file; empty: the first that has two dimensions."""

    @property
    def label(self) -> str:
        """Name for messages."""
        name = Path(self.source).name
        return f"{name}: {self.dataset}" if self.dataset else name


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlaneHeader:
    """What a data set says before its first pixel."""

    shape: tuple[int, int]
    """Height and width, in pixels."""
    attributes: Mapping[str, Any]
    """Attributes of the data set, as they are stored."""
    of_file: Mapping[str, Any]
    """Attributes of the file."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Opened:
    """An open data set."""

    describe: Callable[[], PlaneHeader]
    read: Callable[[Window], Any]


def is_hdf5(source: str | Path) -> bool:
    """Tell whether a local file is HDF5 by its first bytes."""
    return _magic(source).startswith(HDF5_MAGIC)


def _magic(source: str | Path) -> bytes:
    try:
        with Path(source).open("rb") as file:
            return file.read(len(HDF5_MAGIC))
    except (OSError, ValueError):  # what cannot be opened is told when it is read
        return b""


def read_plane_header(plane: Plane) -> PlaneHeader:
    """Read what a data set says about itself.

    Raises:
        SceneError: If it is missing, damaged, too large, not two-dimensional, or compressed in a way unknown here.
        MissingDependencyError: If the library for its format is not installed.
    """
    with _open(plane) as opened:
        header = opened.describe()
    check_sides(header.shape, what=plane.label)
    return header


def read_plane(plane: Plane, window: Window) -> NDArray[Any]:
    """Read a window of digital numbers, ``(y, x)``.

    Raises:
        SceneError: If it cannot be read, holds no numbers, or ends before the window does.
        MissingDependencyError: If the library for its format is not installed.
    """
    with _open(plane) as opened:
        stored = np.asarray(opened.read(window))
    if stored.shape != window.shape or stored.dtype.kind not in "iuf":
        msg = f"{plane.label}: expected numbers of shape {window.shape}, got {stored.dtype} of shape {stored.shape}."
        raise SceneError(msg)
    return stored


def _open(plane: Plane) -> contextlib.AbstractContextManager[_Opened]:
    if not Path(plane.source).is_file():
        msg = f"{plane.source} does not exist. Is the product complete?"
        raise SceneError(msg)
    magic = _magic(plane.source)
    if magic.startswith(HDF5_MAGIC):
        return _open_hdf5(plane)
    return _open_hdf4(plane) if magic.startswith(HDF4_MAGIC) else _open_raster(plane)


@contextlib.contextmanager
def hdf5_file(source: str) -> Iterator[Any]:
    """Open an HDF5 file, and turn what goes wrong with it into one line.

    Raises:
        MissingDependencyError: If h5py is not installed.
        SceneError: If it is truncated or damaged.
    """
    h5py = require("h5py", extra="hdf5", purpose=f"read {Path(source).name} (HDF5)")
    with one_line(source, "HDF5", DAMAGED), h5py.File(source, "r") as file:
        yield file


def names_in(file: Any) -> str:
    """Name what an HDF5 file holds, for messages."""
    return " ".join(", ".join(sorted(file)).split())[:200] or "nothing"


@contextlib.contextmanager
def one_line(source: str, library: str, failures: tuple[type[Exception], ...]) -> Iterator[None]:
    """Turn what a library raises for a file into one line.

    Raises:
        SceneError: If it raises one of ``failures``; errors of undercast pass.
    """
    try:
        yield
    except UndercastError:
        raise
    except failures as error:
        said = " ".join(str(error.__cause__ or error).split())[:200].rstrip(".")
        msg = f"{source} cannot be read; it may be truncated, damaged or of another kind. {library} says: {said}."
        raise SceneError(msg) from error


@contextlib.contextmanager
def _open_hdf5(plane: Plane) -> Iterator[_Opened]:
    with hdf5_file(plane.source) as file:
        dataset = _hdf5_dataset(file, plane)
        _check_readable(dataset, plane)
        yield _Opened(
            describe=lambda: PlaneHeader(
                shape=(int(dataset.shape[0]), int(dataset.shape[1])),
                attributes=dict(dataset.attrs.items()),
                of_file=dict(file.attrs.items()),
            ),
            read=lambda window: _top_down(file, dataset, window),
        )


def _top_down(file: Any, dataset: Any, window: Window) -> NDArray[Any]:
    """Read rows from north to south, also where latitudes beside the data set grow (NetCDF as GDAL writes it)."""
    height = dataset.shape[0]
    axes = (file.get(name) for name in ("lat", "latitude", "y"))
    axis = next((one for one in axes if getattr(one, "shape", None) == (height,)), None)
    if axis is None or not axis[0] < axis[height - 1]:
        return np.asarray(dataset[window.rows, window.cols])
    rows = slice(height - window.row - window.height, height - window.row)
    return np.asarray(dataset[rows, window.cols])[::-1]


def _hdf5_dataset(file: Any, plane: Plane) -> Any:
    """Find a data set of two dimensions in its own file: links to other files are not followed."""
    names = [plane.dataset] if plane.dataset else sorted(file)
    found = next((one for one in map(file.get, names) if len(getattr(one, "shape", None) or ()) == 2), None)
    if found is None:
        wanted = f"{plane.dataset or 'a data set'} with two dimensions"
        msg = f"{Path(plane.source).name}: expected {wanted}, got {names_in(file)}."
        raise SceneError(msg)
    if found.file.filename != file.filename or found.external or found.is_virtual:
        msg = f"{plane.label}: its pixels lie in another file, which is refused."
        raise SceneError(msg)
    return found


def _check_readable(dataset: Any, plane: Plane) -> None:
    """Refuse what cannot be decoded here, or only with very much memory."""
    h5z = require("h5py.h5z", extra="hdf5", purpose="read HDF5")
    piece = math.prod(dataset.chunks or (1, 1)) * dataset.dtype.itemsize
    if piece > LARGEST_CHUNK:
        msg = f"{plane.label}: expected pieces of at most {LARGEST_CHUNK // 2**20} MiB, got {piece // 2**20} MiB."
        raise SceneError(msg)
    settings = dataset.id.get_create_plist()
    for place in range(settings.get_nfilters()):
        code, _, _, name = settings.get_filter(place)
        if not h5z.filter_avail(code):
            msg = f"{plane.label}: {_way_out(code, bytes(name).decode('ascii', 'replace'))}"
            raise SceneError(msg)


def _way_out(code: int, name: str) -> str:
    if code == _SZIP:
        return (
            "it is compressed with SZIP, which the installed h5py cannot decode. Install one that can:"
            " pip install --force-reinstall --no-deps h5py (or conda install -c conda-forge h5py),"
            " or recompress the file: h5repack -f GZIP=4 IN OUT"
        )
    return f"it is compressed with filter {code} ({name}), which the installed h5py lacks. Try: pip install hdf5plugin"


@contextlib.contextmanager
def _open_hdf4(plane: Plane) -> Iterator[_Opened]:
    numbers, attributes = read_hdf4(plane.source, plane.dataset)
    height, width = numbers.shape
    yield _Opened(
        describe=lambda: PlaneHeader(shape=(height, width), attributes=attributes, of_file={}),
        read=lambda window: numbers[window.rows, window.cols],
    )


@contextlib.contextmanager
def _open_raster(plane: Plane) -> Iterator[_Opened]:
    with contextlib.ExitStack() as stack:
        stack.enter_context(one_line(plane.source, "GDAL", (RasterioError, OSError, UnicodeDecodeError)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            dataset = stack.enter_context(rasterio.open(plane.source))
        if dataset.count != 1:
            msg = f"{plane.label}: expected one layer, got {dataset.count}."
            raise SceneError(msg)
        yield _Opened(
            describe=lambda: PlaneHeader(shape=dataset.shape, attributes=dataset.tags(1), of_file=dataset.tags()),
            read=lambda window: dataset.read(
                1, window=RasterWindow(window.col, window.row, window.width, window.height)
            ),
        )
