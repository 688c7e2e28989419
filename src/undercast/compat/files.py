"""Files: a prediction as one raster of layers that the caller lays out, and what goes beside it, all or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from undercast.classes import CLASS_NAMES, ClassScheme, load_scheme
from undercast.errors import UsageError
from undercast.prediction import PredictionStream, Strip
from undercast.types import NODATA, Compression, Float32, UInt8
from undercast.writers import OutputOptions
from undercast.writers.raster import Layers, RowFile, write_cog
from undercast.writers.staging import output_errors, publish, staging
from undercast.writers.tags import dataset_tags
from undercast.writers.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class OneRaster:
    """How a prediction becomes one file."""

    target: Path
    """GeoTIFF to make; one that is there is replaced."""
    scheme: ClassScheme
    """Class scheme."""
    layers: Layers
    """What the file holds."""
    pixels: Callable[[Strip], UInt8 | Float32]
    """Gives a strip's pixels ``(layer, rows, width)``."""
    compress: Compression = "deflate"
    """Compression."""
    beside: Mapping[str, str] = field(default_factory=dict)
    """Name of each file beside it -> its text."""


def write_one(prediction: PredictionStream, raster: OneRaster) -> Path:
    """Write a prediction as it is made; the files appear together at the end, or none does.

    Returns:
        The GeoTIFF.

    Raises:
        OutputError: If a file cannot be written.
    """
    target = raster.target
    header = prediction.header
    tally = Tally()
    place = target.parent
    with staging(place, target.stem) as stage:
        with output_errors(place):
            rows = RowFile(stage / "raster.rows", raster.layers, header.grid.shape[1])
        try:
            for strip in prediction.strips:
                tally.add(strip)
                # Only what fails while writing is an output error; the rest passes as it is.
                with output_errors(place):
                    rows.append(raster.pixels(strip))
            with output_errors(place):
                rows.close()
        finally:
            rows.discard()
        tags = dataset_tags(header, tally, OutputOptions(folder=place, scheme=raster.scheme))
        with output_errors(place):
            write_cog(rows, stage / target.name, grid=header.grid, tags=tags, compress=raster.compress)
            for name, text in raster.beside.items():
                (stage / name).write_text(text, encoding="utf-8")
            publish(stage, [target, *(target.with_name(name) for name in raster.beside)])
    return target


def check_distinct(targets: Sequence[Path]) -> None:
    """Refuse scenes of which one would be written over another.

    Raises:
        UsageError: If two files are one.
    """
    known: set[str] = set()
    for target in targets:
        place = str(target.absolute()).casefold()
        if place in known:
            msg = f"expected scenes of different names, got {target} for two of them. Give them different folders."
            raise UsageError(msg)
        known.add(place)


def scheme_with(name: str, nodata: int) -> ClassScheme:
    """Load a class scheme that has no value for pixels without data but that of clear.

    Args:
        name: Id of the scheme.
        nodata: Value that pixels without data get: 255, or 0 as in the peer's files.

    Raises:
        UsageError: If it is another value.
    """
    if nodata not in {0, NODATA}:
        msg = f"nodata must be {NODATA}, or 0 for files as they were, got {nodata}."
        raise UsageError(msg)
    return replace(load_scheme(name), nodata=nodata)


def four_classes(probabilities: Float32, names: Sequence[str]) -> Float32:
    """Bring probabilities ``(layer, y, x)`` to clear, thick cloud, thin cloud and cloud shadow.

    A class that the model does not tell is 0 everywhere; cloud of unknown kind counts as thick.
    """
    out = np.zeros((len(CLASS_NAMES), *probabilities.shape[1:]), np.float32)
    for layer, name in zip(probabilities, names, strict=True):
        out[CLASS_NAMES.index("thick_cloud" if name == "cloud" else name)] = layer
    return out
