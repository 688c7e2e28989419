"""Writers: a prediction becomes the files that a GIS person expects."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rasterio.errors import NotGeoreferencedWarning

from undercast.classes import ClassScheme
from undercast.errors import OutputError
from undercast.prediction import PredictionHeader, PredictionStream, Strip
from undercast.scene import Scene
from undercast.types import Float32, UInt8
from undercast.writers.outputs import (
    OutputOptions,
    OutputPaths,
    Outputs,
    check_free,
    earlier,
    planned,
)
from undercast.writers.places import Store
from undercast.writers.quicklook import Preview, png
from undercast.writers.raster import (
    Layers,
    RowFile,
    class_map_layers,
    probability_layers,
    uncertainty_layers,
    write_cog,
)
from undercast.writers.stac import build_item
from undercast.writers.staging import output_errors, publish, staging
from undercast.writers.style import qml
from undercast.writers.tags import dataset_tags
from undercast.writers.tally import Tally

__all__ = [
    "OutputOptions",
    "OutputPaths",
    "Outputs",
    "check_free",
    "planned",
    "write",
]


def write(stream: PredictionStream, scene: Scene, options: OutputOptions, preview: Preview | None = None) -> Outputs:
    """Write a prediction as it is made; all of its files appear together at the end, or none does.

    Where outputs are replaced, those of an earlier run that are not asked for now go away: they would belong to another
    class map. Memory is bounded by a strip and a few rows of blocks. While it works, the uncompressed rows need room on
    the output folder's file system: a byte per pixel, four for the uncertainty and four per class for the
    probabilities.

    Args:
        stream: The prediction; its strips are used up.
        scene: The scene that it is made of.
        options: What to write and where.
        preview: The picture, where it watches the scene as the prediction reads it; else one is made.

    Raises:
        OutputExistsError: If an output exists and may not be overwritten; no strip is used then.
        OutputError: If an output cannot be written, or the strips do not cover the scene.
    """
    paths = check_free(options, scene.name)
    with staging(options.folder, scene.name) as stage:
        gathered = _gather(stream, preview or Preview(scene, options.scheme), options, stage)
        with output_errors(options.folder):
            _write_files(gathered, stream.header, options, paths=paths, stage=stage)
            if paths.item is not None:
                files = {name: stage / path.name for name, path in paths.named() if path != paths.item}
                item = build_item(scene, stream.header, gathered.tally, options, files)
                text = json.dumps(item, indent=2, ensure_ascii=False, allow_nan=False)
                (stage / paths.item.name).write_text(text + "\n", encoding="utf-8")
        # Another run may have written here in the meantime.
        check_free(options, scene.name)
        finished = [path for _, path in paths.named()]
        gone = earlier(options, scene.name)
        if options.store is None:
            publish(stage, finished, gone)
        else:
            Store(url=options.store).deliver([stage / path.name for path in finished], [path.name for path in gone])
    return Outputs(
        store=paths.store,
        class_map=paths.class_map,
        probabilities=paths.probabilities,
        uncertainty=paths.uncertainty,
        quicklook=paths.quicklook,
        style=paths.style,
        item=paths.item,
        percent=gathered.tally.percent,
        valid_percent=gathered.tally.valid_percent,
        partly_valid=gathered.tally.partly_valid,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Gathered:
    """What is left of a prediction when its last strip has passed."""

    rows: Mapping[str, RowFile]
    """Output -> its rows."""
    tally: Tally
    """Counts."""
    preview: Preview
    """Picture; empty where none is asked for."""


def _gather(stream: PredictionStream, preview: Preview, options: OutputOptions, stage: Path) -> _Gathered:
    """Use up the strips. Only what fails while writing is an output error; the rest passes as it is."""
    width = stream.header.grid.shape[1]
    tally = Tally()
    rows: dict[str, RowFile] = {}
    with ExitStack() as cleanup:
        for name, layers in _layers(stream.header, options).items():
            with output_errors(options.folder):
                rows[name] = RowFile(stage / f"{name}.rows", layers, width)
            cleanup.callback(rows[name].discard)
        for strip in _in_order(stream):
            tally.add(strip)
            with output_errors(options.folder):
                for name, file in rows.items():
                    file.append(_pixels(name, strip, options.scheme))
            if options.quicklook:
                preview.add(strip)
        with output_errors(options.folder):
            for file in rows.values():
                file.close()
    return _Gathered(rows=rows, tally=tally, preview=preview)


def _layers(header: PredictionHeader, options: OutputOptions) -> dict[str, Layers]:
    """Describe the rasters that are asked for."""
    layers = {"class_map": class_map_layers(options.scheme)}
    if options.probabilities:
        layers["probabilities"] = probability_layers(header)
    if options.uncertainty:
        layers["uncertainty"] = uncertainty_layers(header)
    return layers


def _pixels(name: str, strip: Strip, scheme: ClassScheme) -> UInt8 | Float32:
    """Give a strip's pixels ``(layer, rows, width)`` for one raster."""
    if name == "class_map":
        return scheme.encode(strip.class_map)[np.newaxis]
    return strip.probabilities if name == "probabilities" else strip.uncertainty[np.newaxis]


def _in_order(stream: PredictionStream) -> Iterator[Strip]:
    """Go through the strips and make sure that they cover the grid, each row once.

    Raises:
        OutputError: If they do not.
    """
    height, width = stream.header.grid.shape
    row = 0
    for strip in stream.strips:
        rows, columns = strip.class_map.shape
        if strip.row != row or columns != width or row + rows > height:
            raise OutputError(
                f"expected a strip of {width} columns from row {row} on, up to row {height} at most;"
                f" got {rows} rows of {columns} columns from row {strip.row} on."
                " Strips must follow each other without gap."
            )
        yield strip
        row += rows
    if row != height:
        raise OutputError(f"expected strips for {height} rows, got {row}. Strips must cover the scene.")


def _write_files(
    gathered: _Gathered, header: PredictionHeader, options: OutputOptions, *, paths: OutputPaths, stage: Path
) -> None:
    """Write every output but the item to the staging folder."""
    tags = dataset_tags(header, gathered.tally, options)
    targets = dict(paths.named())
    with warnings.catch_warnings(), ThreadPoolExecutor(1) as beside:
        # Filters belong to the process: of two threads that change and restore them in turns, one undoes the other's.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        picture = beside.submit(lambda: png(gathered.preview.picture())) if paths.quicklook is not None else None
        for name, rows in gathered.rows.items():
            target = stage / targets[name].name
            write_cog(rows, target, grid=header.grid, tags=tags, compress=options.compress)
        if paths.quicklook is not None and picture is not None:
            (stage / paths.quicklook.name).write_bytes(picture.result())
    if paths.style is not None:
        (stage / paths.style.name).write_text(qml(options.scheme), encoding="utf-8")
