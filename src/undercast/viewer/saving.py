"""Saving: labels become a reference mask on the scene's own grid, beside its points, their history and a list."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from undercast import __version__
from undercast.annotation.forest import Labelled
from undercast.annotation.points import written_classes
from undercast.annotation.session import Session, to_json
from undercast.classes import CLASS_NAMES
from undercast.inference.ensemble import uncertainty
from undercast.prediction import ModelIdentity, PredictionHeader, PredictionStream, Strip
from undercast.scene import Scene
from undercast.types import NODATA
from undercast.windows import Window
from undercast.writers import OutputOptions, Outputs, write
from undercast.writers.staging import output_errors, publish, staging

MODEL = "alcd-annotator"
"""What the files name as their model: a person, with a random forest."""
ROWS_AT_ONCE = 256
"""Rows of the scene that are handed on at once, about."""

_Layers = TypeVar("_Layers", bound=NDArray[np.generic])


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a reference goes."""

    output: OutputOptions
    """Folder, and what is written of the mask."""
    source: str | None = None
    """Path or URL of the scene, for the list of references; None where one path does not say how it is opened."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """What is saved."""

    scene: Scene
    """The scene, on its own grid."""
    step: int
    """Side of the squares that were labelled, in pixels of the scene."""
    labelled: Labelled
    """Labels on the working grid."""
    session: Session
    """Points and history."""
    notice: str | None
    """What a person should know of the working grid."""
    records: Mapping[str, Any]
    """What else is kept with the points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What was written."""

    outputs: Outputs
    """Reference mask and what stands beside it."""
    points: Path
    """Points and history, as JSON."""
    references: Path | None
    """List that ``undercast evaluate --data`` takes; None where one path does not say how the scene is opened."""

    def to_dict(self) -> dict[str, Any]:
        """Give the absolute paths and the percentages."""
        paths = {name: str(path.absolute()) for name, path in self.outputs.named()}
        references = None if self.references is None else str(self.references.absolute())
        return {
            **paths,
            "points": str(self.points.absolute()),
            "references": references,
            "percent": dict(self.outputs.percent),
        }


def session_path(folder: Path, name: str) -> Path:
    """Name the file of a scene's points and history."""
    return folder / f"{name}_points.json"


def save(reference: Reference, destination: Destination) -> Saved:
    """Write everything; the mask's files appear together, then each of the others whole.

    Raises:
        OutputError: If a file cannot be written.
    """
    folder, name = destination.output.folder, reference.scene.name
    outputs = write(stream(reference), reference.scene, destination.output)
    points = write_text(to_json(reference.session, reference.records), session_path(folder, name))
    references = None
    if destination.source is not None:
        references = write_text(_list(reference.scene, destination.source, outputs), folder / f"{name}_reference.csv")
    return Saved(outputs=outputs, points=points, references=references)


def stream(reference: Reference) -> PredictionStream:
    """Bring labels to the scene's own grid; every pixel of a square that has data has the square's class."""
    scene = reference.scene
    header = PredictionHeader(
        scene=scene.name,
        grid=scene.grid,
        model=ModelIdentity(id=MODEL, version=__version__),
        bands={band.name: band.name for band in scene.bands},
        warnings=() if reference.notice is None else (reference.notice,),
    )
    return PredictionStream(header=header, strips=_strips(reference))


def _strips(reference: Reference) -> Iterator[Strip]:
    height, width = reference.scene.grid.shape
    class_map, step = written_classes(reference.labelled.labels), reference.step
    rows = max(1, ROWS_AT_ONCE // step)
    for first in range(0, len(class_map), rows):
        part = slice(first, first + rows)
        chances = reference.labelled.probabilities[:, part]
        kept = slice(0, height - first * step)
        doubt = uncertainty(chances[None], chances, "entropy", CLASS_NAMES)
        strip = Strip(
            row=first * step,
            class_map=_widened(class_map[part], step)[kept, :width],
            probabilities=_widened(chances, step)[:, kept, :width],
            uncertainty=_widened(doubt, step)[kept, :width],
        )
        yield strip if step == 1 else _without_nodata(strip, reference.scene)


def _without_nodata(strip: Strip, scene: Scene) -> Strip:
    """Leave out the pixels without data, of which a square may have some beside others."""
    height, width = strip.class_map.shape
    valid = scene.valid(Window(row=strip.row, col=0, height=height, width=width))
    return replace(
        strip,
        class_map=np.where(valid, strip.class_map, np.uint8(NODATA)),
        probabilities=np.where(valid, strip.probabilities, np.float32(np.nan)),
        uncertainty=np.where(valid, strip.uncertainty, np.float32(np.nan)),
    )


def _widened(layers: _Layers, step: int) -> _Layers:
    """Repeat every pixel of ``(..., y, x)`` to a square."""
    return cast("_Layers", layers.repeat(step, axis=-2).repeat(step, axis=-1))


def write_text(text: str, path: Path) -> Path:
    """Write a text as UTF-8; an older file is replaced once the new one is complete.

    Raises:
        OutputError: If it cannot be written.
    """
    with staging(path.parent, path.stem) as stage:
        with output_errors(path):
            (stage / path.name).write_text(text, encoding="utf-8")
        publish(stage, [path])
    return path


def _list(scene: Scene, source: str, outputs: Outputs) -> str:
    """Write the list of one pair; the mask's path is relative to it."""
    row = {
        "scene": source,
        "reference": outputs.class_map.name,
        "name": scene.name,
        "source": "annotated",
        "sensor": scene.sensor or "",
        "labels": "human",
        "level": scene.level or "",
    }
    text = io.StringIO()
    writer = csv.DictWriter(text, list(row), lineterminator="\n")
    writer.writeheader()
    writer.writerow(row)
    return text.getvalue()
