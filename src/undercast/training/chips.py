"""Chips: labelled real images and simulated ones, arranged in a model's bands with possible sets."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from undercast.bands import Band, match_bands
from undercast.classes import CLEAR
from undercast.errors import EvaluationError, TrainingError
from undercast.evaluation import manifest
from undercast.evaluation.manifest import (
    RULES,
    bands_of,
    file_hash,
    kind_of_labels,
    level_of,
    possible_sets,
)
from undercast.sensors import Optics, Sensor
from undercast.simulation.scenes import Background
from undercast.types import TERRAIN_LAYERS, Float32, UInt8
from undercast.weak_labels.chip_format import STORED_NODATA, STORED_SCALE, are_sets, labelled, to_stored
from undercast.windows import Window

__all__ = [
    "CLOUD_FREE",
    "RULES",
    "STORED_NODATA",
    "STORED_SCALE",
    "Chip",
    "ClearImage",
    "arrange",
    "bands_of",
    "file_hash",
    "kind_of_labels",
    "level_of",
    "read_chips",
    "read_clear_images",
    "read_manifest",
    "to_stored",
]

USUAL_GSD = 30.0
"""Ground sample distance that is taken for images that do not say theirs, in metres."""

_DAMAGED = (
    *(OSError, EOFError, KeyError, ValueError, TypeError, AttributeError),
    *(NotImplementedError, BadZipFile, zlib.error),
)
"""What NumPy raises for files that are no archives of arrays."""

CLOUD_FREE = 0.985
"""Share of clear pixels among the valid ones from which a labelled image serves as a background."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chip:
    """One training image in a model's bands."""

    name: str
    """File or seed it comes from."""
    source: str
    """Data set, or ``simulated``, or ``simulated on real``."""
    stored: NDArray[np.int16]
    """Reflectance x 10000 ``(band, y, x)``; ``STORED_NODATA`` where a band is absent or has no data."""
    possible: UInt8
    """Possible sets ``(y, x)``: bit k is set where the pixel can be class k; 0: ignore."""
    weight: float = 1.0
    """Weight of its pixels in the loss."""
    hardness: float = 1.0
    """How often it is drawn, over others of its kind and source."""
    terrain: NDArray[np.float16] | None = None
    """The ground's shape, ``(layer, y, x)``: ``TERRAIN_LAYERS`` as ``terrain_layers`` gives them, NaN where they are
    not known; None: it is not known at all, or not wanted."""


def arrange(stored: NDArray[np.int16], have: Sequence[Band], want: Sequence[Band]) -> Any:
    """Arrange stored layers in the bands a model wants; absent ones hold ``STORED_NODATA``."""
    out = np.full((len(want), *stored.shape[1:]), STORED_NODATA, np.int16)
    for position, match in enumerate(match_bands(want, have)):
        if match.index is not None:
            out[position] = stored[match.index]
    return out


def read_manifest(folder: Path) -> list[dict[str, Any]]:
    """Read a chip folder's ``manifest.json``.

    Raises:
        TrainingError: If it is missing or not a list of chips.
    """
    try:
        return manifest.read_manifest(folder)
    except EvaluationError as error:
        raise TrainingError(str(error)) from error


def _gsd(row: dict[str, Any], folder: Path) -> float | None:
    """Read a row's ground sample distance in metres; None where it is not known.

    Raises:
        TrainingError: If it is no size.
    """
    try:
        return manifest.gsd_of(row, folder=folder)
    except EvaluationError as error:
        raise TrainingError(str(error)) from error


def _load(path: Path) -> tuple[NDArray[np.int16], tuple[Band, ...], UInt8, UInt8 | None]:
    """Read a stored chip: layers, their bands, the mask (0 everywhere where there is none), possible sets if stored.

    Raises:
        TrainingError: If the file is missing or wrong.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            stored = arrays["bands"]
            bands = bands_of(arrays)
            mask = arrays["mask"] if "mask" in arrays else np.zeros(stored.shape[1:], np.uint8)
            possible = arrays.get("possible")
    except _DAMAGED as error:
        msg = f"chip {path} cannot be read: {' '.join(str(error).split())}. See docs/reference/chips.md."
        raise TrainingError(msg) from error
    if stored.dtype != np.int16 or stored.shape != (len(bands), *mask.shape) or mask.dtype != np.uint8:
        msg = (
            f"chip {path}: expected int16 bands ({len(bands)}, y, x) and a uint8 mask (y, x),"
            f" got {stored.dtype} {stored.shape} and {mask.dtype} {mask.shape}."
        )
        raise TrainingError(msg)
    if possible is None:
        return stored, bands, mask, None
    if not are_sets(possible, mask.shape):
        msg = (
            f"chip {path}: expected possible sets (uint8, 0 to 15) {mask.shape}, got {possible.dtype} {possible.shape}."
        )
        raise TrainingError(msg)
    return stored, bands, mask, labelled(possible)


def _reflectance(stored: NDArray[np.int16]) -> Float32:
    """Unpack stored reflectance; ``STORED_NODATA`` becomes NaN."""
    values = stored * np.float32(STORED_SCALE)
    return np.where(stored == STORED_NODATA, np.float32(np.nan), values).astype(np.float32)


def _terrain(path: Path, gsd: float) -> NDArray[np.float16] | None:
    """Read the ground's shape of a stored chip; None where it has no ``dem``, or its pixels no size.

    Raises:
        TrainingError: If it does not fit the chip.
    """
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in ("bands", "dem", "sza", "saa") if name in stored}
    try:
        ground = manifest.ground_of(arrays, gsd, name=f"chip {path}")
    except EvaluationError as error:
        raise TrainingError(str(error)) from error
    if ground is None:
        return None
    height, width = arrays["bands"].shape[1:]
    whole = Window(row=0, col=0, height=height, width=width)
    return ground.read(whole, TERRAIN_LAYERS).astype(np.float16)


def read_chips(
    folder: Path, want: Sequence[Band], *, leave_out: Sequence[str] = (), terrain: bool = False
) -> list[Chip]:
    """Read every chip of a folder whose pixels are known.

    Args:
        folder: Folder with ``manifest.json`` and ``.npz`` files.
        want: Bands of the model.
        leave_out: Sources or file names that are not used (licence, or held out).
        terrain: Whether the shape of the ground is wanted, where a chip has a ``dem``.

    Raises:
        TrainingError: If the folder or a file is wrong.
    """
    chips = []
    for row in read_manifest(folder):
        kind = kind_of_labels(row)
        if kind is None or row.get("source") in leave_out or row["file"] in leave_out:
            continue
        stored, bands, mask, sets = _load(folder / row["file"])
        layers = arrange(stored, bands, want)
        possible = possible_sets(mask, kind) if sets is None else sets
        possible[(stored == STORED_NODATA).any(axis=0)] = 0
        chips.append(
            Chip(
                name=row["file"],
                source=row.get("source", folder.name),
                stored=layers,
                possible=possible,
                weight=RULES[kind].weight,
                terrain=_terrain(folder / row["file"], _gsd(row, folder) or 0.0) if terrain else None,
            )
        )
    return chips


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClearImage:
    """A real image that simulated clouds are put on."""

    name: str
    """File it comes from."""
    source: str
    """Data set."""
    sensor: Sensor
    """Its bands."""
    background: Background
    """Its pixels."""
    gsd: float
    """Ground sample distance, in metres."""


def read_clear_images(folder: Path, *, size: int, leave_out: Sequence[str] = ()) -> list[ClearImage]:
    """Read the images, or parts of labelled ones, that are free of cloud; mirrored to at least ``size`` px.

    A labelled image counts only where nearly all of it is clear: real clouds bring real shadows, which the simulation
    would call clear. Its cloudy pixels stay unlabelled under simulated ones.

    Raises:
        TrainingError: If the folder or a file is wrong.
    """
    images = []
    for row in read_manifest(folder):
        kind = kind_of_labels(row)
        if kind in {None, "weak", "human, cloud only"} or row.get("source") in leave_out or row["file"] in leave_out:
            continue
        stored, bands, mask, _ = _load(folder / row["file"])
        valid = (stored != STORED_NODATA).all(axis=0)
        clear = (mask == CLEAR) & valid
        if clear.sum() < CLOUD_FREE * max(int(valid.sum()), 1):
            continue
        gsd = _gsd(row, folder) or USUAL_GSD
        images.append(
            ClearImage(
                name=row["file"],
                source=row.get("source", folder.name),
                sensor=Sensor(
                    id=f"chip-{len(bands)}",
                    title="chip",
                    platforms=(),
                    instrument="",
                    gsd=gsd,
                    bands=bands,
                    optics=Optics(psf_sigma_px=0.0, snr=2000.0, bits=14),
                ),
                background=Background(
                    reflectance=_mirror(_reflectance(stored), size),
                    level=level_of(row),
                    clear=_mirror(clear[None], size)[0],
                ),
                gsd=gsd,
            )
        )
    return images


def _mirror(stack: np.ndarray[Any, Any], size: int) -> Any:
    """Cut or mirror the last two axes to ``size``."""
    grow = [(0, 0), *((0, max(size - side, 0)) for side in stack.shape[-2:])]
    return np.pad(stack, grow, mode="symmetric")[..., :size, :size]
