"""Features: what the forest sees of a pixel, as in ALCD: bands, NDVI, NDWI and the elevation, of a single date."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from undercast.bands import Band
from undercast.types import Float32

SOFTENED = 0.01
"""Reflectance added to the denominator of an index, so that dark pixels give a number (as in ALCD)."""
INDICES = (("NDVI", "nir", "red"), ("NDWI", "green", "nir"))
"""Name of an index and its two bands; it is (first - second) / (first + second)."""


def features(reflectance: Float32, bands: Sequence[Band], elevation: Float32 | None = None) -> Float32:
    """Put the features of a scene together.

    ALCD also takes the differences to a cloud-free date, which a single scene has not. An index is left out where the
    scene lacks one of its bands.

    Args:
        reflectance: ``(band, y, x)``, unitless; NaN where there is no data.
        bands: The bands, in the order of the reflectance.
        elevation: Metres ``(y, x)``, where it is known.

    Returns:
        ``(y, x, feature)``; NaN where a feature is not known. Names are those of ``feature_names``.
    """
    found = _places(bands)
    layers = list(reflectance)
    for _, first, second in _possible(found):
        one, other = reflectance[found[first]], reflectance[found[second]]
        # Noise may bring a sum of dark pixels near zero, where the index means nothing.
        layers.append((one - other) / np.maximum(SOFTENED + one + other, SOFTENED))
    if elevation is not None:
        layers.append(elevation)
    return np.stack(layers, axis=-1).astype(np.float32, copy=False)


def feature_names(bands: Sequence[Band], *, elevation: bool) -> tuple[str, ...]:
    """Name the features, in their order."""
    indices = [name for name, *_ in _possible(_places(bands))]
    return (*(band.name for band in bands), *indices, *(["elevation"] if elevation else []))


def _places(bands: Sequence[Band]) -> dict[str, int]:
    """Find the first band of each common name; nir08 stands in for nir."""
    places: dict[str, int] = {}
    for place, band in enumerate(bands):
        places.setdefault(band.common_name, place)
    if "nir08" in places:
        places.setdefault("nir", places["nir08"])
    return places


def _possible(places: dict[str, int]) -> list[tuple[str, str, str]]:
    return [index for index in INDICES if index[1] in places and index[2] in places]
