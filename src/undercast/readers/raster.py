"""Rasters: anything that GDAL opens as one file, or as one file per band."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from undercast.bands import Band
from undercast.errors import BandError, SceneError
from undercast.radiometry import Scaling
from undercast.readers.base import (
    SKIP_NAMES,
    Naming,
    OpenOptions,
    band_called,
    bands_from_caller,
    bands_from_preset,
    bands_from_texts,
    checked_scaling,
    preset_scaling,
    record,
    short_name,
    skipped_layers,
    unnamed_error,
)
from undercast.readers.layers import Layer, LayerPixels, RasterHeader, read_header, shared_grid
from undercast.readers.multires import common_grid
from undercast.scene import Scene
from undercast.sensors import load_sensor, sensor_ids
from undercast.types import PRODUCT_LEVELS, ProductLevel

SUFFIXES = (".tif", ".tiff", ".jp2", ".img", ".vrt")
"""Files that count as bands in a folder, in lower case."""

_SEPARATORS = re.compile(r"[\s_.\-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    """Where the scaling of a scene's layers comes from."""

    scaling: Scaling
    text: str


def accepts(source: str) -> bool:  # noqa: ARG001 (the protocol's argument)
    """Tell whether this reader is the one for the source: GDAL decides when it opens it."""
    return True


def open(source: str, options: OpenOptions) -> Scene:  # noqa: A001 (the protocol's name)
    """Open a raster file, or a folder with one file per band.

    Raises:
        SceneError: If it is missing, not a raster, truncated, or a folder without bands.
        BandError: If nothing tells the bands, or the names do not fit.
        GridError: If files of a folder lie on different grids, or the resolution does not fit.
    """
    if Path(source).is_dir():
        return _open_folder(source, options)
    return _open_file(source, options)


def open_files(sources: Sequence[str], options: OpenOptions) -> Scene:
    """Open a scene of one file per band, in the order given.

    Raises:
        SceneError: If there is no file, or one cannot be opened or holds several layers.
        BandError: If nothing tells the bands, or the names do not fit.
        GridError: If the files lie on different grids, or, with a resolution, over different ground.
    """
    if not sources:
        msg = "expected at least one file, got none. Give one path per band."
        raise SceneError(msg)
    if len(sources) == 1:
        return _open_file(sources[0], options)
    what = f"{short_name(sources[0])} and {len(sources) - 1} more files"
    return _open_bands(sources, options, what=what, name=_shared_name(sources))


def _open_file(source: str, options: OpenOptions) -> Scene:
    header = read_header(source)
    options = _of_simulated(header, options)
    naming = _name_layers(header, options)
    chosen = [(number, band) for number, band in enumerate(naming.bands, start=1) if band is not None]
    origins = [_scaling(header, number, options) for number, _ in chosen]
    layers = [
        _layer(header, number, band, origin.scaling, options)
        for (number, band), origin in zip(chosen, origins, strict=True)
    ]
    grid = common_grid([header], options.resolution, what=source)
    return Scene(
        name=options.name or short_name(source),
        bands=tuple(layer.band for layer in layers),
        grid=grid,
        pixels=LayerPixels(layers, grid.shape),
        level=_level(origins, options),
        sensor=options.sensor.id if options.sensor is not None else None,
        provenance=record(
            source=source,
            bands_from=naming.origin,
            scaling_from=_texts(origins),
            skipped=skipped_layers(naming, header.descriptions),
        ),
    )


def _of_simulated(header: RasterHeader, options: OpenOptions) -> OpenOptions:
    """Take sensor and level from what `undercast simulate` wrote, where the person says nothing of the layers."""
    told = header.tags.get("UNDERCAST_SENSOR")
    simulated = header.tags.get("UNDERCAST_SIMULATED") == "yes"
    if not simulated or told not in sensor_ids() or (options.bands, options.sensor) != (None, None):
        return options
    level = next((level for level in PRODUCT_LEVELS if level == header.tags.get("UNDERCAST_LEVEL")), None)
    return replace(options, sensor=load_sensor(told), level=options.level or level)


def _name_layers(header: RasterHeader, options: OpenOptions) -> Naming:
    """Name the layers: what the person says, else descriptions, else the sensor's order.

    An alpha layer need not be named; where it is, it is a band.
    """
    what, sensor, texts = header.source, options.sensor, header.descriptions
    if options.bands is not None:
        names = options.bands
        if header.alpha is not None and len(names) == len(header.data_layers):
            names = (*names[: header.alpha - 1], SKIP_NAMES[0], *names[header.alpha - 1 :])
        return bands_from_caller(names, len(texts), what=what, sensor=sensor)
    naming = bands_from_texts(texts, what=what, sensor=sensor, origin="band descriptions")
    naming = naming or bands_from_preset(len(texts), sensor)
    if naming is not None:
        return naming
    preset = bands_from_preset(len(header.data_layers), sensor)
    if preset is None or header.alpha is None:
        raise unnamed_error(texts, what=what, sensor=sensor)
    bands = (*preset.bands[: header.alpha - 1], None, *preset.bands[header.alpha - 1 :])
    return Naming(bands=bands, origin=preset.origin)


def _open_folder(folder: str, options: OpenOptions) -> Scene:
    try:
        names = sorted(path.name for path in Path(folder).iterdir())
    except OSError as error:
        msg = f"{folder} cannot be listed: {error.strerror or error}."
        raise SceneError(msg) from error
    files = [str(Path(folder, name)) for name in names if Path(name).suffix.lower() in SUFFIXES]
    if not files:
        found = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "") or "nothing"
        msg = (
            f"{folder}: expected a product, looked for one raster file per band ({', '.join(SUFFIXES)}), found {found}."
            " Give the file or the product's own folder."
        )
        raise SceneError(msg)
    if len(files) == 1:
        return _open_file(files[0], options)
    return _open_bands(files, options, what=folder, name=short_name(folder + "/"))


def _open_bands(sources: Sequence[str], options: OpenOptions, *, what: str, name: str) -> Scene:
    naming, texts, known = _name_files(sources, options, what)
    chosen = [
        (known.get(source) or read_header(source), band)
        for source, band in zip(sources, naming.bands, strict=True)
        if band is not None
    ]
    headers = [header for header, _ in chosen]
    alike = options.resolution is None
    grid = shared_grid(headers) if alike else common_grid(headers, options.resolution, what=what)
    origins, layers = [], []
    for header, band in chosen:
        number = _only_layer(header)
        origins.append(_scaling(header, number, options))
        layers.append(_layer(header, number, band, origins[-1].scaling, options))
    return Scene(
        name=options.name or name,
        bands=tuple(layer.band for layer in layers),
        grid=grid,
        pixels=LayerPixels(layers, grid.shape),
        level=_level(origins, options),
        sensor=options.sensor.id if options.sensor is not None else None,
        provenance=record(
            source=what if Path(what).is_dir() else ", ".join(sources),
            bands_from=naming.origin,
            scaling_from=_texts(origins),
            skipped=skipped_layers(naming, texts),
        ),
    )


def _name_files(
    sources: Sequence[str], options: OpenOptions, what: str
) -> tuple[Naming, list[str | None], dict[str, RasterHeader]]:
    """Name one file per band: what the person says, else the files' descriptions, else their names, else the sensor."""
    stems: list[str | None] = [short_name(source) for source in sources]
    if options.bands is not None:
        return bands_from_caller(options.bands, len(sources), what=what, sensor=options.sensor), stems, {}
    headers = {source: read_header(source) for source in sources}
    described = [_own_description(headers[source], options) for source in sources]
    from_name = _texts_from_names([stem or "" for stem in stems], options)
    texts = [own or named for own, named in zip(described, from_name, strict=True)]
    origin = "band descriptions" if all(described) else "file names"
    naming = bands_from_texts(texts, what=what, sensor=options.sensor, origin=origin)
    naming = naming or bands_from_preset(len(sources), options.sensor)
    if naming is None:
        raise unnamed_error(_differing_parts([stem or "" for stem in stems]), what=what, sensor=options.sensor)
    return naming, stems, headers


def _own_description(header: RasterHeader, options: OpenOptions) -> str | None:
    if len(header.data_layers) != 1:
        return None
    text = header.descriptions[header.data_layers[0] - 1]
    return text if text and band_called(text, options.sensor) is not None else None


def _differing_parts(stems: Sequence[str]) -> list[str]:
    """Leave out of each name the parts that all names share."""
    parts = [[part for part in _SEPARATORS.split(stem) if part] for stem in stems]
    shared = set(parts[0]).intersection(*parts[1:]) if len(parts) > 1 else set()
    return ["_".join(part for part in own if part not in shared) for own in parts]


def _shared_name(sources: Sequence[str]) -> str:
    """Name a scene of files: by what all their names begin with, else by their folder, else by the first file."""
    stems = [short_name(source) for source in sources]
    parts = [_SEPARATORS.split(stem) for stem in stems]
    shared = itertools.takewhile(lambda column: len(set(column)) == 1, zip(*parts, strict=False))
    length = len("_".join(column[0] for column in shared))
    folders = {source.replace("\\", "/").rpartition("/")[0] for source in sources}
    folder = folders.pop().rpartition("/")[2] if len(folders) == 1 else ""
    return stems[0][:length] or folder.strip(".") or stems[0]


def _texts_from_names(stems: Sequence[str], options: OpenOptions) -> list[str | None]:
    """Find in each file's name the part that names a band; None where no part, or more than one band, is found."""
    return [_band_part(text, options) for text in _differing_parts(stems)]


def _band_part(text: str, options: OpenOptions) -> str | None:
    if band_called(text, options.sensor) is not None:
        return text
    parts = text.split("_")
    pairs = ["_".join(pair) for pair in itertools.pairwise(parts)]
    for candidates in (pairs, [part for part in parts if len(part) > 1]):
        found = {candidate: band_called(candidate, options.sensor) for candidate in candidates}
        named = {candidate: band.common_name for candidate, band in found.items() if band is not None}
        if len(set(named.values())) == 1:
            return next(iter(named))
    return None


def _only_layer(header: RasterHeader) -> int:
    if len(header.data_layers) != 1:
        msg = (
            f"{header.source}: expected one band per file, got {len(header.data_layers)} layers."
            " Give it alone, or leave it out with '-' in --bands."
        )
        raise BandError(msg)
    return header.data_layers[0]


def _layer(header: RasterHeader, number: int, band: Band, scaling: Scaling, options: OpenOptions) -> Layer:
    return Layer(
        source=header.source,
        number=number,
        band=band,
        scaling=scaling,
        nodata=() if options.nodata is None else (options.nodata,),
    )


def _scaling(header: RasterHeader, number: int, options: OpenOptions) -> _Origin:
    """Choose the scaling: what the person says, else the file, else the sensor for integers, else none."""
    if options.scaling is not None:
        return _Origin(scaling=options.scaling, text="caller")
    own = header.scalings[number - 1]
    if own is not None:
        return _Origin(scaling=checked_scaling(own, what=f"{header.source}: layer {number}"), text="file")
    preset = preset_scaling(options, header.dtypes[number - 1])
    if preset is not None:
        return _Origin(scaling=preset, text="sensor")
    return _Origin(scaling=Scaling(), text="none")


def _level(origins: Sequence[_Origin], options: OpenOptions) -> ProductLevel | None:
    if options.level is not None or options.sensor is None:
        return options.level
    return options.sensor.level if all(origin.text == "sensor" for origin in origins) else None


def _texts(origins: Sequence[_Origin]) -> str:
    return ", ".join(dict.fromkeys(origin.text for origin in origins))
