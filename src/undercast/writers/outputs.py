"""Outputs: which files are asked for, where they go, and what was written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from undercast.classes import ClassScheme
from undercast.errors import OutputError, OutputExistsError
from undercast.types import Compression


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """What to write and where."""

    folder: Path
    """Folder of the outputs; made if it is not there."""
    scheme: ClassScheme
    """Class scheme of the class map; the probabilities keep undercast's four classes."""
    probabilities: bool = False
    """Whether to write the class probabilities."""
    uncertainty: bool = False
    """Whether to write the uncertainty."""
    item: bool = True
    """Whether to write a STAC item."""
    qml: bool = True
    """Whether to write a QGIS style for the class map."""
    quicklook: bool = True
    """Whether to write a PNG of the scene beside its class map."""
    overwrite: bool = False
    """Whether outputs that exist are replaced."""
    compress: Compression = "deflate"
    """Compression of the GeoTIFFs."""
    command: str | None = None
    """Command line that asked for them, for the records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPaths:
    """Where each output of one scene goes; None where it is not asked for."""

    class_map: Path
    """Class map, a cloud-optimised GeoTIFF."""
    probabilities: Path | None
    """Class probabilities, a cloud-optimised GeoTIFF."""
    uncertainty: Path | None
    """Uncertainty, a cloud-optimised GeoTIFF."""
    quicklook: Path | None
    """Scene beside class map, a PNG."""
    style: Path | None
    """QGIS style of the class map."""
    item: Path | None
    """STAC item that names and checksums the others."""

    def named(self) -> Iterator[tuple[str, Path]]:
        """Go through the outputs that are asked for; the item comes last, because it describes the others."""
        for entry in fields(OutputPaths):
            path = getattr(self, entry.name)
            if path is not None:
                yield entry.name, path


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs(OutputPaths):
    """What was written for one scene."""

    percent: Mapping[str, float]
    """Percentage of each of undercast's four classes among the valid pixels."""
    valid_percent: float
    """Percentage of valid pixels in the scene."""
    partly_valid: int
    """Pixels that some but not all of the bands cover; they count as not valid."""


def planned(options: OutputOptions, scene_name: str) -> OutputPaths:
    """Name the outputs of a scene, without looking at the disk.

    Raises:
        OutputError: If the scene's name cannot be part of a file name.
    """
    if not scene_name or Path(scene_name).name != scene_name or "\0" in scene_name:
        raise OutputError(
            f"expected a scene name that can begin a file name, got {scene_name!r}."
            " Give another with dataclasses.replace(scene, name=...)."
        )

    def path(suffix: str) -> Path:
        return options.folder / f"{scene_name}_{suffix}"

    return OutputPaths(
        class_map=path("class_map.tif"),
        probabilities=path("probabilities.tif") if options.probabilities else None,
        uncertainty=path("uncertainty.tif") if options.uncertainty else None,
        quicklook=path("quicklook.png") if options.quicklook else None,
        style=path("class_map.qml") if options.qml else None,
        item=path("mask.json") if options.item else None,
    )


def check_free(options: OutputOptions, scene_name: str) -> OutputPaths:
    """Name the outputs of a scene and make sure, before anything is computed, that they can be written.

    Raises:
        OutputExistsError: If one exists and may not be overwritten.
        OutputError: If the folder is a file or may not be written, or a folder stands in an output's place.
    """
    paths = planned(options, scene_name)
    _check_folder(options.folder)
    for _, path in paths.named():
        if path.is_dir():
            raise OutputError(f"expected a file or nothing at {path}, found a folder. Choose another output folder.")
        if not options.overwrite and os.path.lexists(path):
            raise OutputExistsError(
                f"{path} exists already. Allow to replace it with --overwrite (overwrite=True in Python),"
                " or choose another output folder."
            )
    return paths


def _check_folder(folder: Path) -> None:
    """Refuse a folder that is a file, lies in one, or may not be written."""
    place = folder.absolute()
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        raise OutputError(f"expected a folder at {place}, found something else. Choose another output folder.")
    if not os.access(place, os.W_OK | os.X_OK):
        raise OutputError(f"{place} may not be written. Change its rights or choose another output folder.")
