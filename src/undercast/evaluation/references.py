"""References: scenes whose classes are known, as possible sets, and what makes one fit to be scored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from undercast.bands import Band
from undercast.classes import CLASS_NAMES
from undercast.errors import EvaluationError, GridError
from undercast.scene import Scene, keep_bands
from undercast.terrain import Terrain
from undercast.types import UInt8

ALL_CLASSES = (1 << len(CLASS_NAMES)) - 1
"""Possible set of a pixel that can be anything."""

STRATA = ("source", "sensor", "surface", "gsd", "labels")
"""Keys by which every reference is sorted into strata."""

NOT_TOLD = "not told"
"""Stratum of a scene that does not say."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferenceScene:
    """A scene and what is known of its pixels."""

    name: str
    """Name of the scene, unique in its data."""
    source: str
    """Data set."""
    scene: Scene
    """The scene, in memory."""
    possible: UInt8
    """Possible sets ``(y, x)``: bit k is set where the pixel can be class k; 0: ignore."""
    strata: Mapping[str, str]
    """Key of ``STRATA`` -> stratum."""
    hash: str
    """SHA-256 of pixels and labels, see ``content_hash``."""
    gsd: float | None = None
    """Ground sample distance, in metres, where it is known."""
    stated: UInt8 | None = None
    """Classes ``(y, x)`` that the reference states together, as bits, where it states more than one; else 0."""
    file_hash: str | None = None
    """SHA-256 of the one file that it comes from, as training records it; None where there is no such file."""
    terrain: Terrain | None = None
    """The shape of its ground, where the data tells it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceEntry:
    """A reference that has not been read."""

    name: str
    """Name of the scene."""
    read: Callable[[], ReferenceScene]
    """Reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """References of one origin; they are read one after the other, and again on every walk."""

    name: str
    """Name of the folder or file."""
    entries: tuple[ReferenceEntry, ...]
    """The references, in a fixed order."""
    label_kinds: tuple[str, ...] = field(default=())
    """Where labels come from, such as ``human``, where it is known in advance."""

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[ReferenceScene]:
        return (entry.read() for entry in self.entries)


def with_bands(references: References, wanted: Sequence[Band]) -> References:
    """Show some bands of every reference alone, as a sensor that has no others would; hashes stay those of the whole.

    Reading one that has none of them raises ``BandError``.
    """

    def read(entry: ReferenceEntry) -> ReferenceScene:
        whole = entry.read()
        return replace(whole, scene=keep_bands(whole.scene, wanted))

    names = ", ".join(band.common_name for band in wanted)
    entries = tuple(replace(entry, read=partial(read, entry)) for entry in references.entries)
    return replace(references, name=f"{references.name} ({names} alone)", entries=entries)


def reference_scene(
    scene: Scene,
    possible: UInt8,
    strata: Mapping[str, str],
    *,
    gsd: float | None = None,
    stated: UInt8 | None = None,
    file_hash: str | None = None,
) -> ReferenceScene:
    """Make a reference of a scene and its possible sets.

    Args:
        scene: The scene, in memory.
        possible: Possible sets ``(y, x)``, 0 to 15.
        strata: Key of ``STRATA`` -> stratum; ``source`` is also the reference's source. What is absent is not told.
        gsd: Ground sample distance, in metres; the grid's where it is None.
        stated: Classes that the reference states together, as bits.
        file_hash: SHA-256 of the one file that it comes from.

    Raises:
        GridError: If the labels have not the scene's shape.
        EvaluationError: If a set is impossible, or no pixel is labelled.
    """
    if possible.shape != scene.grid.shape:
        msg = (
            f"{scene.name}: expected a reference of {_size(scene.grid.shape)} px as the scene,"
            f" got {_size(possible.shape)}. Bring both to one grid first."
        )
        raise GridError(msg)
    if int(possible.max(initial=0)) > ALL_CLASSES:
        msg = f"{scene.name}: expected possible sets of 0 to {ALL_CLASSES}, got {int(possible.max())}."
        raise EvaluationError(msg)
    if not possible.any():
        msg = f"{scene.name}: expected labelled pixels, got none: every pixel of the reference says 'ignore'."
        raise EvaluationError(msg)
    metres = scene.grid.gsd if gsd is None else gsd
    told = {"gsd": NOT_TOLD if metres is None else f"{metres:g} m", **strata}
    return ReferenceScene(
        name=scene.name,
        source=told.get("source", NOT_TOLD),
        scene=scene,
        possible=possible,
        strata={key: told.get(key, NOT_TOLD) for key in STRATA},
        hash=content_hash(scene, possible),
        gsd=metres,
        stated=stated,
        file_hash=file_hash,
    )


def content_hash(scene: Scene, possible: UInt8) -> str:
    """Give the SHA-256 of a scene's bands, shape and reflectance (x 10000, rounded) and its possible sets.

    The name, the file format and a change of the reflectance below 0.00005 do not count.
    """
    digest = hashlib.sha256()
    digest.update(repr((scene.grid.shape, [round(band.center_wavelength, 3) for band in scene.bands])).encode())
    for index in range(len(scene.bands)):
        reflectance = scene.read(bands=[index])
        stored = np.full(reflectance.shape, np.iinfo(np.int32).min, np.int32)
        finite = np.isfinite(reflectance)
        stored[finite] = np.round(np.clip(reflectance[finite], -1e5, 1e5) * 1e4)
        digest.update(stored.tobytes())
    digest.update(np.ascontiguousarray(possible).tobytes())
    return digest.hexdigest()


def data_hash(hashes: Mapping[str, str] | list[str] | tuple[str, ...]) -> str:
    """Give the SHA-256 over the sorted content hashes of some scenes."""
    values = hashes.values() if isinstance(hashes, Mapping) else hashes
    return hashlib.sha256("\n".join(sorted(values)).encode()).hexdigest()


def check_codes(values: UInt8, known: set[int], *, name: str, what: str) -> None:
    """Refuse codes that a class scheme does not know.

    Raises:
        EvaluationError: If there are some; the message names them.
    """
    unknown = sorted({int(value) for value in np.unique(values)} - known)
    if unknown:
        msg = (
            f"{name}: expected codes of {what} ({', '.join(str(value) for value in sorted(known))}),"
            f" got {', '.join(str(value) for value in unknown[:8])}. Name the scheme of the reference."
        )
        raise EvaluationError(msg)


def check_unique(name: str, found: str, seen: dict[str, str]) -> None:
    """Refuse a scene whose content was met before, and remember it.

    Args:
        name: Name of the scene.
        found: Its content hash.
        seen: Content hash -> name, of the scenes before; changed.

    Raises:
        EvaluationError: If it was.
    """
    if found in seen:
        msg = (
            f"{name} and {seen[found]} have the same pixels and labels: counted twice they would make the"
            " intervals too narrow. Remove one of them."
        )
        raise EvaluationError(msg)
    seen[found] = name


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in shape)
