"""Transfer: labelled images of one sensor as another one sees them, as a folder of chips."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast.bands import Band, response_weights
from undercast.errors import BandError, EvaluationError, OutputExistsError, TrainingError
from undercast.evaluation.manifest import (
    bands_of,
    file_hash,
    gsd_of,
    kind_of_labels,
    possible_sets,
    read_arrays,
    read_manifest,
    stored_mask,
)
from undercast.sensors import Sensor
from undercast.simulation.coarse import UNKNOWN, seen_by, shares
from undercast.simulation.files import place
from undercast.simulation.sensor import observe, wavelengths
from undercast.types import Float32, UInt8
from undercast.weak_labels.chip_format import MANIFEST, STORED_NODATA, STORED_SCALE, chip_arrays
from undercast.writers.staging import publish, staging

LARGEST_FACTOR = 100
"""Largest ratio of the two ground sample distances; beyond it a chip is a handful of pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transferred:
    """What was made of a folder."""

    folder: Path
    """Where the chips and their ``manifest.json`` are."""
    made: tuple[str, ...]
    """Names of the files."""
    left_out: tuple[str, ...]
    """Files that lack a band of the sensor, one phrase each."""


def transfer(
    source: Path, sensor: Sensor, out: Path, *, seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> Transferred:
    """Show every chip of a folder as another sensor sees it: its spectral responses, blur, sampling, noise and bits.

    Labels follow: a coarser pixel has the possible set that most of it has. A chip that is coarser than the sensor
    keeps its resolution. All files appear together at the end, or none.

    Args:
        source: Folder with ``manifest.json`` and chips.
        sensor: Who sees them.
        out: Folder to write; it must not hold a ``manifest.json``.
        seed: Seed of the noise; chip ``i`` depends on it and on ``i`` alone.
        progress: Is told how many chips are done, and how many there are.

    Raises:
        OutputExistsError: If the folder holds chips.
        TrainingError: If no chip has the sensor's bands.
        EvaluationError: If the source folder or one of its files is wrong.
        GridError: If a mask has not the shape of its bands.
        OutputError: If the chips cannot be written.
    """
    if (out / MANIFEST).exists():
        msg = f"{out / MANIFEST} exists already. Choose another folder."
        raise OutputExistsError(msg)
    rows = _read_rows(source)
    made: list[dict[str, Any]] = []
    left_out = []
    with staging(out, out.name) as stage:
        for number, row in enumerate(rows):
            try:
                made.append(_transfer_one(source, row, sensor, stage, np.random.default_rng((seed, number))))
            except BandError as error:
                left_out.append(f"{row['file']}: {error}")
            if progress is not None:
                progress(number + 1, len(rows))
        if not made:
            first = (left_out or ["no chip"])[0]
            msg = f"{source}: expected a chip with the bands of {sensor.id}, got none. First: {first}"
            raise TrainingError(msg)
        place(stage / MANIFEST, (json.dumps(made, indent=1, allow_nan=False) + "\n").encode())
        publish(stage, [out / name for name in (*(row["file"] for row in made), MANIFEST)])
    return Transferred(folder=out, made=tuple(row["file"] for row in made), left_out=tuple(left_out))


def as_seen(
    sensor: Sensor, reflectance: Float32, bands: Sequence[Band], factor: int, rng: np.random.Generator
) -> Float32:
    """Show an image as a sensor sees it.

    Args:
        sensor: Who sees it.
        reflectance: ``(band, y, x)``; NaN where there is no data.
        bands: Its bands.
        factor: Pixels of the image along the side of one of the sensor's, at least 1.
        rng: Source of the noise.

    Returns:
        ``(band of the sensor, y / factor, x / factor)``.

    Raises:
        BandError: If a band of the sensor has nothing near.
    """
    weights = np.stack([response_weights(band, bands) for band in sensor.bands])
    if missing := [band.common_name for band, row in zip(sensor.bands, weights, strict=True) if not row.any()]:
        msg = f"expected something near {', '.join(missing)}, got {', '.join(band.common_name for band in bands)}."
        raise BandError(msg)
    mixed = np.einsum("st,tyx->syx", weights.astype(np.float32), np.nan_to_num(reflectance, nan=0.0))
    mixed[:, ~np.isfinite(reflectance).all(axis=0)] = np.nan
    seen = seen_by(sensor, mixed, sensor.bands, factor)
    missing_pixels = np.isnan(seen).any(axis=0)
    # A coarser pixel has its point spread already.
    optics = sensor.optics if factor == 1 else replace(sensor.optics, psf_sigma_px=0.0)
    noisy = observe(np.nan_to_num(seen, nan=0.0), optics, rng, wavelengths=wavelengths(sensor))
    noisy[:, missing_pixels] = np.nan
    return noisy


def coarser_sets(possible: UInt8, factor: int) -> UInt8:
    """Give each coarser pixel the possible set that most of it has; 0 where more than a fifth is unknown."""
    if factor == 1:
        return possible
    values = np.unique(possible[possible > 0])
    unknown = shares(np.asarray(possible == 0), factor)
    if not values.size:
        return np.zeros(unknown.shape, np.uint8)
    parts = np.stack([shares(np.asarray(possible == value), factor) for value in values])
    return np.where(unknown > UNKNOWN, np.uint8(0), values[parts.argmax(axis=0)])


def _coarser(elevation: NDArray[Any], factor: int) -> NDArray[np.float32]:
    """Average an elevation ``(y, x)`` over squares; NaN where one of its pixels is not known."""
    rows, cols = (side // factor for side in elevation.shape)
    squares = elevation[: rows * factor, : cols * factor].reshape(rows, factor, cols, factor)
    return np.asarray(squares.mean(axis=(1, 3)), np.float32)


def _read_rows(source: Path) -> list[dict[str, Any]]:
    """Read a folder's manifest, whose rows are written again with what changes in them.

    Raises:
        EvaluationError: If it is wrong, two of its files have one name, or it holds a number that JSON has not.
    """
    rows = read_manifest(source)
    names: set[str] = set()
    for row in rows:
        name = Path(str(row["file"])).name
        if name in names:
            msg = f"{source / MANIFEST}: expected files of different names, got {name} twice."
            raise EvaluationError(msg)
        names.add(name)
        try:
            json.dumps(row, allow_nan=False)
        except ValueError as error:
            msg = f"{source / MANIFEST}: {row['file']}: expected finite numbers, got NaN or infinity. Write null there."
            raise EvaluationError(msg) from error
    return rows


def _transfer_one(
    source: Path, row: dict[str, Any], sensor: Sensor, out: Path, rng: np.random.Generator
) -> dict[str, Any]:
    path = source / str(row["file"])
    arrays = read_arrays(path)
    stored: NDArray[np.int16] = arrays["bands"]
    bands = bands_of(arrays)
    more: dict[str, NDArray[Any]] = {name: arrays[name] for name in ("dem", "sza", "saa") if name in arrays}
    gsd = gsd_of(row, folder=source) or sensor.gsd
    factor = max(1, round(sensor.gsd / gsd))
    if factor > min(LARGEST_FACTOR, *stored.shape[1:]):
        msg = f"{factor} of its pixels along one of {sensor.id}'s are too many."
        raise BandError(msg)
    reflectance = np.where(stored == STORED_NODATA, np.float32(np.nan), stored * np.float32(STORED_SCALE))
    seen = as_seen(sensor, reflectance.astype(np.float32), bands, factor, rng)
    name = Path(str(row["file"])).name
    buffer = io.BytesIO()
    if "dem" in more:
        more["dem"] = _coarser(more["dem"], factor)
    sets = coarser_sets(_sets(arrays, kind_of_labels(row), path), factor)
    chip: dict[str, Any] = chip_arrays(seen, sensor.bands, sets, more)
    np.savez_compressed(buffer, **chip)
    place(out / name, buffer.getvalue())
    values, counts = np.unique(chip["mask"], return_counts=True)
    return row | {
        "file": name,
        "sha256": file_hash(out / name),
        "shape": list(chip["bands"].shape),
        "common_names": [band.common_name for band in sensor.bands],
        "mask_counts": {str(value): int(count) for value, count in zip(values, counts, strict=True)},
        "sensor": sensor.id,
        "gsd_m": gsd * factor,
        "made_from": {"file": row["file"], "sha256": file_hash(path), "sensor": row.get("sensor")},
    }


def _sets(arrays: dict[str, Any], kind: str | None, path: Path) -> UInt8:
    """Give the possible sets of a chip; 0 where nobody labelled it."""
    known = "possible" in arrays or "mask" in arrays or kind == "clear"
    if kind is None or not known:
        return np.zeros(arrays["bands"].shape[1:], np.uint8)
    if "possible" in arrays:
        sets: UInt8 = arrays["possible"]
        return sets
    return possible_sets(stored_mask(arrays, name=str(path)), kind)
