"""Outputs: which files are asked for, where they go, and what was written."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from undercast.classes import ClassScheme
from undercast.destinations import check_folder
from undercast.errors import OutputError, OutputExistsError
from undercast.types import Compression
from undercast.writers.places import Place, place_of

RUN = "undercast:run"
"""Property of an item that says which run made it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """What to write and where."""

    folder: Path
    """Folder of the outputs; made if it is not there."""
    store: str | None = None
    """Address of an object store that they go to, such as ``s3://bucket/masks``; in the folder they only grow then."""
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
    run: str | None = None
    """Name of the run, ``/`` and the scene's number in it, for the item: a run makes nothing a second time."""

    @property
    def place(self) -> Place:
        """Where finished files go.

        Raises:
            UsageError: If the store's kind is not known.
            MissingDependencyError: If what reaches it is not installed.
        """
        return place_of(self.folder, self.store)


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
    store: str | None = None
    """Address of the object store where they are; None where they are in their folder."""

    def named(self) -> Iterator[tuple[str, Path]]:
        """Go through the outputs that are asked for; the item comes last, because it describes the others."""
        for entry in fields(OutputPaths):
            path = getattr(self, entry.name)
            if isinstance(path, Path):
                yield entry.name, path

    def addresses(self) -> dict[str, str]:
        """Give the absolute path or the URL of each output that is asked for."""
        if self.store is None:
            return {name: str(path.absolute()) for name, path in self.named()}
        return {name: f"{self.store.rstrip('/')}/{path.name}" for name, path in self.named()}


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
        store=options.store,
    )


def check_free(options: OutputOptions, scene_name: str) -> OutputPaths:
    """Name the outputs of a scene and make sure, before anything is computed, that they can be written.

    Raises:
        OutputExistsError: If one exists and may not be overwritten, or this very run has made them.
        OutputError: If the folder is a file or may not be written, or a folder stands in an output's place.
    """
    paths = planned(options, scene_name)
    check_folder(options.folder)
    refuse_own(options, paths)
    if options.store is not None:
        _check_store(options, paths)
        return paths
    for _, path in paths.named():
        if path.is_dir():
            raise OutputError(f"expected a file or nothing at {path}, found a folder. Choose another output folder.")
        if not options.overwrite and os.path.lexists(path):
            raise OutputExistsError(
                f"{path} exists already. Allow to replace it with --overwrite (overwrite=True in Python),"
                " or choose another output folder."
            )
    return paths


def earlier(options: OutputOptions, scene_name: str) -> list[Path]:
    """List what an earlier run has left of a scene and this one, which may replace it, does not write."""
    if not options.overwrite:
        return []
    asked = [path for _, path in planned(options, scene_name).named()]
    every = replace(options, probabilities=True, uncertainty=True, quicklook=True, qml=True, item=True)
    others = [path for _, path in planned(every, scene_name).named() if path not in asked]
    sizes = options.place.sizes([path.name for path in others])
    return [path for path, size in zip(others, sizes, strict=True) if size is not None]


def _check_store(options: OutputOptions, paths: OutputPaths) -> None:
    sizes = options.place.sizes([path.name for _, path in paths.named()])
    for address, size in zip(paths.addresses().values(), sizes, strict=True):
        if size is not None and not options.overwrite:
            raise OutputExistsError(
                f"{address} exists already. Allow to replace it with --overwrite (overwrite=True in Python),"
                " or choose another place."
            )


def read_item(place: Place, paths: OutputPaths) -> Mapping[str, Any] | None:
    """Read the item of some outputs; None where there is none, or no whole one.

    Raises:
        OutputError: If the place cannot be looked into.
    """
    if paths.item is None or place.sizes([paths.item.name]) == [None]:
        return None
    try:
        item = json.loads(place.read(paths.item.name))
    except ValueError:  # cut short when the power was
        return None
    return item if isinstance(item, dict) else None


def refuse_own(options: OutputOptions, paths: OutputPaths) -> None:
    """Refuse to make again what the run has made, even where outputs may be replaced.

    Raises:
        OutputExistsError: If the item tells of this run: of this scene, or of another one of the same name.
    """
    if options.run is None:
        return
    made = run_of(read_item(options.place, paths))
    if made is not None and made.partition("/")[0] == options.run.partition("/")[0]:
        what = "" if made == options.run else " from another scene of that name. Mask them into different folders"
        raise OutputExistsError(f"{paths.addresses()['item']} was made by this run{what}.")


def run_of(item: Mapping[str, Any] | None) -> str | None:
    """Tell which run's part an item was made in; None where it says none."""
    properties = {} if item is None else item.get("properties")
    run = properties.get(RUN) if isinstance(properties, dict) else None
    return run if isinstance(run, str) else None
