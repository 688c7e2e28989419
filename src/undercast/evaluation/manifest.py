"""Manifest: folders of ``.npz`` scenes with a ``manifest.json``, and how the mask of each source is read."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast.bands import Band
from undercast.classes import CLEAR, CLOUD_SHADOW, THICK_CLOUD, THIN_CLOUD
from undercast.errors import EvaluationError, GridError
from undercast.evaluation.references import (
    NOT_TOLD,
    ReferenceEntry,
    References,
    ReferenceScene,
    check_codes,
    reference_scene,
)
from undercast.scene import SunAngles, scene_from_array
from undercast.terrain import Terrain, terrain_of
from undercast.types import ProductLevel, UInt8
from undercast.weak_labels.chip_format import (
    MANIFEST,
    STORED_CODES,
    STORED_NODATA,
    STORED_SCALE,
    are_sets,
    labelled,
)

__all__ = [
    "MANIFEST",
    "RULES",
    "STORED_CODES",
    "STORED_NODATA",
    "STORED_SCALE",
    "THICKNESS_NOT_TOLD",
    "LabelRule",
    "bands_of",
    "file_hash",
    "gsd_of",
    "kind_of_labels",
    "level_of",
    "manifest_references",
    "possible_sets",
    "read_arrays",
    "read_manifest",
    "read_reference",
]

logger = logging.getLogger(__name__)

_CLEAR, _THICK, _THIN, _SHADOW = (1 << value for value in (CLEAR, THICK_CLOUD, THIN_CLOUD, CLOUD_SHADOW))


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRule:
    """How the stored mask of one kind of labels is read."""

    clear: int
    """Possible set of the stored 0."""
    cloud: int
    """Possible set of the stored 1."""
    thin: int = _THIN
    """Possible set of the stored 2."""
    weight: float
    """Weight of its pixels in training."""


RULES: dict[str, LabelRule] = {
    "human": LabelRule(clear=_CLEAR, cloud=_THICK, weight=1.0),
    "human, thickness not told": LabelRule(clear=_CLEAR, cloud=_THICK | _THIN, weight=1.0),
    "human, shadow not labelled": LabelRule(clear=_CLEAR | _SHADOW, cloud=_THICK, weight=1.0),
    "human, cloud only": LabelRule(clear=_CLEAR | _SHADOW, cloud=_THICK | _THIN, weight=0.7),
    "weak": LabelRule(clear=_CLEAR | _SHADOW, cloud=_THICK | _THIN, thin=_THICK | _THIN, weight=0.2),
    "clear": LabelRule(clear=_CLEAR, cloud=0, weight=0.6),
}
"""Kind of labels -> how they are read. A mask that cannot tell two classes apart is neither taught nor scored on it."""

THICKNESS_NOT_TOLD = frozenset({"ukis_csmask"})
"""Sources whose cloud is thick or thin; a row of another source says ``"thickness_labelled": false``."""


def read_manifest(folder: Path) -> list[dict[str, Any]]:
    """Read a folder's ``manifest.json``.

    Raises:
        EvaluationError: If it is missing or not a list of scenes.
    """
    path = folder / MANIFEST
    try:
        rows = json.loads(path.read_text("utf-8"))
    except OSError as error:
        msg = f"expected {path} (a list of chips, see docs/reference/chips.md), got: {error.strerror}."
        raise EvaluationError(msg) from error
    except ValueError as error:
        msg = f"{path} is not JSON: {error}."
        raise EvaluationError(msg) from error
    if isinstance(rows, dict) and rows.get("simulated") is True:
        msg = (
            f"{path} lists simulated scenes, which are no chips. Cut chips from them with `undercast chips make`, or"
            " name them in a .csv with the columns scene and reference."
        )
        raise EvaluationError(msg)
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "file" in row for row in rows):
        msg = f"{path}: expected a list of objects with a key 'file'."
        raise EvaluationError(msg)
    return rows


def file_hash(path: Path) -> str:
    """Give the SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def bands_of(arrays: Mapping[str, Any]) -> tuple[Band, ...]:
    """Read the bands of a stored scene."""
    return tuple(
        Band(
            name=str(name),
            common_name=str(common),
            center_wavelength=float(wavelength) / 1000.0,
            full_width_half_max=0.05,
        )
        for name, common, wavelength in zip(
            arrays["band_names"], arrays["common_names"], arrays["wavelength_nm"], strict=True
        )
    )


def level_of(row: Mapping[str, Any]) -> ProductLevel:
    """Read the kind of reflectance from a row's free text."""
    text = str(row.get("level", "")).lower()
    return "surface" if "l2a" in text or "surface" in text or "boa" in text else "toa"


def gsd_of(row: Mapping[str, Any], *, folder: Path) -> float | None:
    """Read a row's ground sample distance in metres; None where it is not known.

    Args:
        row: Of the manifest.
        folder: Where the manifest lies, for messages.

    Raises:
        EvaluationError: If it is no size.
    """
    given = row.get("gsd_m")
    if not given:
        return None
    try:
        gsd = float(given)
    except (TypeError, ValueError):
        gsd = math.nan
    if not 0 < gsd < math.inf:
        msg = f"{folder / MANIFEST}: {row['file']}: expected gsd_m in metres above 0, or null, got {given!r}."
        raise EvaluationError(msg)
    return gsd


def kind_of_labels(row: Mapping[str, Any]) -> str | None:
    """Tell which of ``RULES`` reads a row's mask; None where nothing is known of its pixels."""
    if str(row.get("use", "")).startswith("clear-negative"):
        return "clear"
    if row.get("labels") == "weak":
        return "weak"
    if row.get("labels") != "human":
        return None
    if row.get("shadow_labelled") is False:
        return "human, shadow not labelled"
    counts = row.get("mask_counts") or {}
    if row.get("shadow_labelled") is None and "2" not in counts and "3" not in counts:
        return "human, cloud only"
    thickness_told = row.get("thickness_labelled", row.get("source") not in THICKNESS_NOT_TOLD)
    return "human" if thickness_told else "human, thickness not told"


def possible_sets(mask: UInt8, kind: str) -> UInt8:
    """Read a stored mask as possible sets; 255 becomes 0."""
    rule = RULES[kind]
    table = np.zeros(256, np.uint8)
    table[:4] = (rule.clear, rule.cloud, rule.thin, _SHADOW)
    return table[mask]


def manifest_references(folder: Path) -> References:
    """List the references of a folder; rows whose pixels nobody labelled are left out.

    Raises:
        EvaluationError: If the manifest is wrong, or no row is labelled.
    """
    rows = [row for row in read_manifest(folder) if kind_of_labels(row) is not None]
    if not rows:
        msg = f"{folder / MANIFEST}: expected labelled scenes, got none."
        raise EvaluationError(msg)
    entries = tuple(ReferenceEntry(name=_name(row), read=partial(read_reference, folder, row)) for row in rows)
    kinds = sorted({str(kind_of_labels(row)).split(",")[0] for row in rows})
    return References(name=folder.resolve().name, entries=entries, label_kinds=tuple(kinds))


def read_reference(folder: Path, row: Mapping[str, Any]) -> ReferenceScene:
    """Read the reference of one row.

    Raises:
        EvaluationError: If the file is missing, damaged, holds unknown codes, or its pixels are not labelled; or if the
            row's ``gsd_m`` is no size.
        GridError: If bands and mask differ in shape.
    """
    kind = kind_of_labels(row)
    path = folder / str(row["file"])
    if kind is None:
        msg = f"{path}: its pixels are not labelled."
        raise EvaluationError(msg)
    arrays = read_arrays(path)
    stored: NDArray[np.int16] = arrays["bands"]
    mask = np.zeros(stored.shape[1:], np.uint8) if kind == "clear" else stored_mask(arrays, name=str(path))
    empty = stored == STORED_NODATA
    possible = labelled(arrays["possible"]) if "possible" in arrays else possible_sets(mask, kind)
    possible[empty.all(axis=0)] = 0
    reflectance = stored * np.float32(STORED_SCALE)
    reflectance[empty] = np.nan
    scene = scene_from_array(reflectance, bands_of(arrays), name=_name(row), level=level_of(row))
    gsd = gsd_of(row, folder=folder)
    reference = reference_scene(
        scene,
        possible,
        _strata(row, kind, folder),
        gsd=gsd,
        file_hash=file_hash(path),
    )
    return replace(reference, terrain=ground_of(arrays, gsd or 0.0, name=str(path)))


def stored_mask(arrays: Mapping[str, Any], *, name: str) -> UInt8:
    """Give the mask of a stored scene; 0 everywhere where there is none.

    Args:
        arrays: Its ``bands`` and, where it is there, ``mask``.
        name: Of the file, for messages.

    Raises:
        EvaluationError: If it holds unknown codes.
        GridError: If it has not the shape of the bands.
    """
    shape = arrays["bands"].shape[1:]
    mask: UInt8 = arrays.get("mask", np.zeros(shape, np.uint8))
    if mask.shape != shape:
        msg = f"{name}: expected a mask of {shape} px as the bands, got {mask.shape}."
        raise GridError(msg)
    check_codes(mask, set(STORED_CODES), name=name, what="a stored mask")
    return mask


def ground_of(arrays: Mapping[str, Any], gsd: float, *, name: str) -> Terrain | None:
    """Give the shape of the ground of a stored scene.

    Args:
        arrays: Its ``bands`` and, where they are there, ``dem``, ``sza`` and ``saa``.
        gsd: Ground sample distance, in metres; 0 where it is not known.
        name: Of the file, for messages.

    Returns:
        None where there is no ``dem``, or its pixels have no size.

    Raises:
        EvaluationError: If it does not fit the scene.
    """
    if "dem" not in arrays or not gsd:
        return None
    dem, shape = arrays["dem"], arrays["bands"].shape[1:]
    if dem.shape != shape or dem.dtype.kind not in "fiu" or min(shape) < 2:
        msg = f"{name}: expected dem of shape {shape} in metres, got {dem.dtype} {dem.shape}."
        raise EvaluationError(msg)
    if not np.isfinite(dem).any():
        return None
    angles = [float(arrays[name]) for name in ("sza", "saa") if name in arrays and arrays[name].ndim == 0]
    sun = SunAngles(zenith=angles[0], azimuth=angles[1]) if len(angles) == 2 and np.isfinite(angles).all() else None
    return terrain_of(dem.astype(np.float32), gsd, sun)


def read_arrays(path: Path) -> dict[str, Any]:
    """Read the arrays of a stored scene: bands and their names, and what else there is of it.

    Raises:
        EvaluationError: If the file is missing or damaged, or the arrays do not go together.
    """
    try:
        # Opened here, because np.load leaves a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files if name in _WANTED}
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}."
        raise EvaluationError(msg) from error
    except (ValueError, TypeError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        msg = f"{path} is not a file of NumPy arrays (truncated?): {str(error).rstrip('.')}."
        raise EvaluationError(msg) from error
    missing = [name for name in _NEEDED if name not in arrays]
    if missing:
        msg = f"{path}: expected the arrays {', '.join(_NEEDED)}, got no {', '.join(missing)}."
        raise EvaluationError(msg)
    bands = arrays["bands"]
    if bands.dtype != np.int16 or bands.ndim != 3 or any(len(arrays[name]) != len(bands) for name in _NEEDED[1:]):
        msg = f"{path}: expected int16 bands (band, y, x), each with a name, got {bands.dtype} of shape {bands.shape}."
        raise EvaluationError(msg)
    if "possible" in arrays and not are_sets(arrays["possible"], bands.shape[1:]):
        found = arrays["possible"]
        msg = (
            f"{path}: expected possible sets (uint8, 0 to 15) of {bands.shape[1:]} px, got {found.dtype} {found.shape}."
        )
        raise EvaluationError(msg)
    return arrays


_NEEDED = ("bands", "band_names", "common_names", "wavelength_nm")
_WANTED = (*_NEEDED, "mask", "possible", "dem", "sza", "saa")


def _name(row: Mapping[str, Any]) -> str:
    return str(row["file"]).removesuffix(".npz")


def _strata(row: Mapping[str, Any], kind: str, folder: Path) -> dict[str, str]:
    return {
        "source": str(row.get("source", folder.name)),
        "sensor": str(row.get("sensor", NOT_TOLD)),
        "surface": _surface(row),
        "labels": kind,
    }


def _surface(row: Mapping[str, Any]) -> str:
    """Give the surface that a row names; L8 Biome scenes carry it in their names (``val_Barren_05_0208``)."""
    if row.get("surface"):
        return str(row["surface"])
    parts = str(row.get("name", "")).split("_")
    return parts[1] if "biome" in str(row.get("source", "")) and len(parts) > 1 else NOT_TOLD
