"""New scenes: what a person points at, as scenes with the hashes of their files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from undercast.errors import SceneError, UndercastError
from undercast.evaluation.manifest import MANIFEST
from undercast.evaluation.references import References
from undercast.evaluation.sources import read_references
from undercast.readers import OpenOptions, list_scenes, open_scene, readers
from undercast.readers.raster import SUFFIXES
from undercast.scene import Scene


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenedScene:
    """A scene with the hashes that a ledger knows it by."""

    scene: Scene
    """The scene."""
    sha256: str
    """Of its files; of pixels and labels where it is a reference."""
    file_sha256: str | None = None
    """Of the one file that it comes from, as training records it; None where there is no such file."""


NewScene = Callable[[], OpenedScene]
"""Opens a scene."""


def find_scenes(places: Sequence[str], options: OpenOptions | None = None) -> tuple[NewScene, ...]:
    """Find the scenes of some files and folders; none is opened yet.

    A folder is a product, or a scene of one file per band, or holds labelled chips (``manifest.json``), or else scenes
    of its own: products and rasters.

    Args:
        places: Paths.
        options: What files and products do not say themselves.

    Raises:
        SceneError: If a place is not there, or holds no scene.
        EvaluationError: If a manifest is wrong.
    """
    return tuple(scene for place in places for scene in _of_place(Path(place), options or OpenOptions()))


def scenes_of_references(references: References) -> tuple[NewScene, ...]:
    """Take the scenes of references."""

    def opened(index: int) -> OpenedScene:
        reference = references.entries[index].read()
        return OpenedScene(scene=reference.scene, sha256=reference.hash, file_sha256=reference.file_hash)

    return tuple(partial(opened, index) for index in range(len(references)))


def hash_files(place: Path) -> str:
    """Give the SHA-256 of a file; of a folder, that of its files' sorted names with their SHA-256.

    Raises:
        SceneError: If something cannot be read.
    """
    try:
        if not place.is_dir():
            with place.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        files = sorted(path for path in place.rglob("*") if path.is_file())
        lines = [f"{path.relative_to(place).as_posix()} {hash_files(path)}" for path in files]
    except OSError as error:
        msg = f"scene {place} cannot be read: {error.strerror or error}."
        raise SceneError(msg) from error
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _of_place(place: Path, options: OpenOptions) -> Iterator[NewScene]:
    if not place.exists():
        msg = f"scene {place}: expected a file or folder on this machine, got nothing. Fetch remote scenes first."
        raise SceneError(msg)
    if (place / MANIFEST).is_file():
        yield from scenes_of_references(read_references(place))
    elif not place.is_dir() or _is_product(place):
        yield from _of_source(place, options)
    else:
        yield from _of_folder(place, options)


def _of_source(place: Path, options: OpenOptions) -> Iterator[NewScene]:
    return (partial(_opened, place, source, options) for source in list_scenes(place))


def _opened(place: Path, source: Any, options: OpenOptions) -> OpenedScene:
    """Open a scene; the times of a cube have one file, and are told apart by the names of their sources."""
    whole = hash_files(place)
    alone = str(source) == str(place)
    sha256 = whole if alone else hashlib.sha256(f"{whole} {source}".encode()).hexdigest()
    return OpenedScene(scene=open_scene(source, options), sha256=sha256)


def _of_folder(folder: Path, options: OpenOptions) -> Iterator[NewScene]:
    try:
        open_scene(folder, options)
    except UndercastError:
        inside = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".") and _can_be_scene(path)]
        if not inside:
            raise
        for path in inside:
            yield from _of_place(path, options)
    else:
        yield from _of_source(folder, options)


def _can_be_scene(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() in SUFFIXES or _is_product(path)


def _is_product(path: Path) -> bool:
    """Tell whether a reader of one product format knows it; the last reader takes anything."""
    *products, _ = readers()
    return any(reader.accepts(str(path)) for _, reader in products)
