"""The format of chips: what the arrays of a ``.npz`` hold; docs/reference/chips.md describes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast.bands import Band
from undercast.classes import CLEAR, CLOUD_SHADOW, THICK_CLOUD, THIN_CLOUD
from undercast.types import NODATA, Float32, UInt8
from undercast.weak_labels.rules import (
    CLEAR_SET,
    CLOUD_SET,
    IGNORE,
    OPEN,
    SHADOW_SET,
    THICK_SET,
    THIN_SET,
)

MANIFEST = "manifest.json"
"""The list of chips in a folder."""
STORED_NODATA = -32768
"""Nodata of the stored int16 reflectance."""
STORED_SCALE = 1e-4
"""Reflectance per stored number."""
STORED_CODES = (CLEAR, THICK_CLOUD, THIN_CLOUD, CLOUD_SHADOW, NODATA)
"""Codes of a stored mask; 255: not labelled."""

_CODES = {
    CLEAR_SET: CLEAR,
    CLEAR_SET | SHADOW_SET: CLEAR,
    THICK_SET: THICK_CLOUD,
    CLOUD_SET: THICK_CLOUD,
    THIN_SET: THIN_CLOUD,
    SHADOW_SET: CLOUD_SHADOW,
}
"""Possible set -> code of the mask, for those who read no sets; the others are not labelled there."""


def to_stored(reflectance: Float32) -> NDArray[np.int16]:
    """Pack reflectance as int16 x 10000; NaN becomes ``STORED_NODATA``."""
    packed = np.clip(np.round(np.nan_to_num(reflectance, nan=0.0) / STORED_SCALE), -20000, 32767).astype(np.int16)
    packed[~np.isfinite(reflectance)] = STORED_NODATA
    return packed


def mask_of(sets: UInt8) -> UInt8:
    """Give possible sets as far as a mask can tell them: the codes of ``STORED_CODES``."""
    table = np.full(OPEN + 1, NODATA, np.uint8)
    table[list(_CODES)] = list(_CODES.values())
    return table[sets]


def are_sets(possible: NDArray[Any], shape: tuple[int, ...]) -> bool:
    """Tell whether an array holds possible sets of the bands' height and width."""
    return bool(possible.dtype == np.uint8 and possible.shape == shape and possible.max(initial=0) <= OPEN)


def labelled(possible: UInt8) -> UInt8:
    """Give possible sets without those that allow everything: they teach and judge nothing."""
    return np.where(possible == OPEN, np.uint8(IGNORE), possible)


def chip_arrays(
    reflectance: Float32, bands: Sequence[Band], possible: UInt8, more: Mapping[str, NDArray[Any]] | None = None
) -> dict[str, NDArray[Any]]:
    """Arrange a chip as the arrays that are stored.

    Args:
        reflectance: ``(band, y, x)``, NaN where there is no data.
        bands: One per layer.
        possible: Possible sets ``(y, x)``.
        more: Further arrays, such as ``dem``, ``sza`` and ``saa``.
    """
    missing = ~np.isfinite(reflectance).any(axis=0)
    sets = np.where(missing, np.uint8(IGNORE), labelled(possible))
    return {
        "bands": to_stored(reflectance),
        "band_names": np.array([band.name for band in bands]),
        "common_names": np.array([band.common_name for band in bands]),
        "wavelength_nm": np.array([1000 * band.center_wavelength for band in bands], np.float32),
        "mask": mask_of(sets),
        "possible": sets,
        **(more or {}),
    }
