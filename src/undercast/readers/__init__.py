"""Readers: files, folders, STAC items and arrays become scenes."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, Unpack, cast

import numpy as np

from undercast.errors import GridError, SceneError, UsageError
from undercast.radiometry import Scaling
from undercast.readers.base import OpenOptions, Reader
from undercast.scene import Scene
from undercast.sensors import Sensor, load_sensor
from undercast.types import PRODUCT_LEVELS, ProductLevel

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Source: TypeAlias = str | Path | Sequence[str | Path] | NDArray[Any] | xr.DataArray
    """What can be opened as a scene."""

__all__ = ["ENTRY_POINTS", "READERS", "OpenOptions", "Reader", "list_scenes", "open_scene", "readers"]

logger = logging.getLogger(__name__)

ENTRY_POINTS = "undercast.readers"
"""Group of entry points under which other packages offer readers: an object or a module as in ``Reader``."""

READERS: dict[str, str] = {
    "stac": "undercast.readers.stac",
    "sentinel2": "undercast.readers.sentinel2",
    "landsat": "undercast.readers.landsat",
    "hls": "undercast.readers.hls",
    "bigearthnet": "undercast.readers.bigearthnet",
    "proba_v": "undercast.readers.proba_v",
    "fdr4vgt": "undercast.readers.fdr4vgt",
    "spot_vgt": "undercast.readers.spot_vgt",
    "dimap": "undercast.readers.dimap",
    "planet": "undercast.readers.planet",
    "cubes": "undercast.readers.cubes",
    "raster": "undercast.readers.raster",
}
"""Format -> module that reads it, in the order in which they are asked; ``raster`` takes what is left."""

_LAST = "raster"

RESOLUTION_SHARE = 0.01
"""Share that a scene's resolution may differ by from the one that is asked for: degrees are uneven."""


class OpenChanges(TypedDict, total=False):
    """Options as people write them; see ``OpenOptions``."""

    bands: str | Sequence[str] | None
    sensor: Sensor | str | Path | None
    scaling: Scaling | None
    level: ProductLevel | None
    nodata: float | None
    name: str | None
    resolution: float | None


def open_scene(source: Source, options: OpenOptions | None = None, **changes: Unpack[OpenChanges]) -> Scene:
    """Open a scene; its pixels are read when they are asked for.

    Args:
        source: A raster file (path, ``/vsi...``, http(s), s3), files with one band each, a folder of such files, a STAC
            item (path or URL), a NumPy array ``(band, y, x)`` or an ``xarray.DataArray``.
        options: What the source does not say itself.
        changes: Single options, by the names of ``OpenOptions``; bands also as ``"red,nir"``, the sensor also by id.

    Raises:
        SceneError: If the source is missing, damaged, or nothing that can be opened.
        BandError: If nothing tells the bands, or the names do not fit.
        GridError: If files lie on different grids.
        SensorError: If the sensor is unknown.
        UsageError: If an option is unknown.
    """
    chosen = _options(options or OpenOptions(), changes)
    scene = _open(source, chosen)
    _check_resolution(scene, chosen.resolution)
    return scene


def _check_resolution(scene: Scene, wanted: float | None) -> None:
    """Refuse a resolution that the source's reader knows nothing of, instead of reading another one without a word.

    Raises:
        GridError: If the scene has another one.
    """
    got = scene.grid.gsd
    if wanted is not None and (got is None or abs(got - wanted) > RESOLUTION_SHARE * wanted):
        told = "pixels without a size in metres" if got is None else f"{got:g} m"
        msg = f"{scene.name}: expected {wanted:g} m per pixel, got {told}, its only one. Leave the resolution out."
        raise GridError(msg)


def _open(source: Source, chosen: OpenOptions) -> Scene:
    """Open a source with whatever reads its kind."""
    if isinstance(source, (str, Path)):
        return _open_name(_text(source), chosen)
    array = _open_array(source, chosen)
    if array is not None:
        return array
    if isinstance(source, Sequence) and all(isinstance(part, (str, Path)) for part in source):
        raster = importlib.import_module(READERS["raster"])
        return cast("Scene", raster.open_files([_text(part) for part in source], chosen))
    msg = f"expected a path, a URL, a list of paths, an array or a DataArray, got {type(source).__name__}."
    raise SceneError(msg)


def list_scenes(source: Source) -> list[Source]:
    """List the scenes that a source holds, each as a source of its own.

    Collections, catalogs and item collections of STAC hold items, cubes hold times; any other source stands for itself.

    Raises:
        SceneError: If a collection cannot be read, or holds more than one run should.
    """
    if not isinstance(source, (str, Path)) or not str(source).strip():
        return [source]
    text = _text(source)
    reader = next(reader for _, reader in readers() if reader.accepts(text))
    members = getattr(reader, "members", None)
    return [source] if members is None else list(members(text))


def readers() -> Iterator[tuple[str, Reader]]:
    """Go through the readers in the order in which they are asked: own formats, other packages', any raster."""
    for name in (name for name in READERS if name != _LAST):
        yield name, cast("Reader", importlib.import_module(READERS[name]))
    for point in entry_points(group=ENTRY_POINTS):
        try:
            yield point.name, cast("Reader", point.load())
        except ImportError as error:
            logger.warning("reader %s (%s) cannot be loaded: %s", point.name, point.value, error)
    yield _LAST, cast("Reader", importlib.import_module(READERS[_LAST]))


def _open_name(source: str, options: OpenOptions) -> Scene:
    if not source.strip():
        msg = "expected a path or a URL, got nothing."
        raise SceneError(msg)
    name, reader = next((name, reader) for name, reader in readers() if reader.accepts(source))
    logger.debug("%s is read by %s", source, name)
    return reader.open(source, options)


def _open_array(source: object, options: OpenOptions) -> Scene | None:
    """Open an array of either kind; None where the source is none."""
    xarray = sys.modules.get("xarray")
    is_data_array = xarray is not None and isinstance(source, xarray.DataArray)
    if not is_data_array and not isinstance(source, np.ndarray):
        if xarray is not None and isinstance(source, xarray.Dataset):
            msg = 'expected a DataArray, got a Dataset. Stack its bands with .to_dataarray("band").'
            raise SceneError(msg)
        return None
    array = importlib.import_module("undercast.readers.array")
    make = array.scene_from_data_array if is_data_array else array.scene_from_numpy
    return cast("Scene", make(source, options))


def _text(source: str | Path) -> str:
    return os.path.expanduser(source)  # noqa: PTH111 (a Path would fold the slashes of a URL)


def _options(options: OpenOptions, changes: OpenChanges) -> OpenOptions:
    known = [field.name for field in fields(OpenOptions)]
    unknown = [key for key in changes if key not in known]
    if unknown:
        msg = f"option {unknown[0]!r} is not known. Known: {', '.join(known)}"
        raise UsageError(msg)
    values: dict[str, Any] = dict(changes)
    if isinstance(values.get("bands"), str):
        values["bands"] = values["bands"].split(",")
    if values.get("bands") is not None:
        values["bands"] = tuple(str(name).strip() for name in values["bands"])
    if isinstance(values.get("sensor"), (str, Path)):
        values["sensor"] = load_sensor(values["sensor"])
    if values.get("level") is not None and values["level"] not in PRODUCT_LEVELS:
        msg = f"level must be one of {', '.join(PRODUCT_LEVELS)}, got {values['level']!r}."
        raise UsageError(msg)
    return replace(options, **values)
