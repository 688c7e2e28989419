"""Pictures: what the page shows of a scene, its labels and their confidence, as PNG."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from undercast.annotation.points import LABELS
from undercast.bands import Band
from undercast.types import Float32, UInt8
from undercast.writers.quicklook import png, stretch
from undercast.writers.style import rgb

COMPOSITES = (
    ("True colour", ("red", "green", "blue")),
    ("False colour (near infrared)", ("nir", "red", "green")),
    ("False colour (short-wave infrared)", ("swir16", "nir", "red")),
)
"""Titles and bands for red, green and blue; nir08 stands in for nir."""
UNSURE = (255, 0, 160)
"""Colour of what is unsure; neither a surface nor a cloud has it."""


def views(bands: Sequence[Band]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """List the views of a scene: the composites that its bands allow, then every band.

    Returns:
        Title and positions of the bands, three or one.
    """
    places: dict[str, int] = {}
    for place, band in enumerate(bands):
        places.setdefault(band.common_name, place)
    if "nir08" in places:
        places.setdefault("nir", places["nir08"])
    composites = [
        (title, tuple(places[name] for name in names))
        for title, names in COMPOSITES
        if all(name in places for name in names)
    ]
    return (*composites, *((f"Band {band.name} ({band.common_name})", (place,)) for place, band in enumerate(bands)))


def view_picture(features: Float32, chosen: Sequence[int]) -> bytes:
    """Draw some bands, each stretched between its 2nd and 98th percentile.

    Args:
        features: ``(y, x, feature)``, the bands first; NaN where there is no data.
        chosen: Positions of the bands for red, green and blue, or of one band.
    """
    layers = [stretch(features[..., place], np.isfinite(features[..., place])) for place in chosen]
    return png(np.stack(layers if len(layers) > 1 else layers * 3, axis=-1))


def label_picture(labels: UInt8) -> bytes:
    """Draw labels in ALCD's colours; transparent where there is none."""
    table = np.zeros((256, 4), np.uint8)
    for entry in LABELS:
        table[entry.value] = (*rgb(entry.color), 255)
    return png(table[labels])


def confidence_picture(confidence: Float32) -> bytes:
    """Draw what is unsure: the less confident, the less transparent; nothing where there is no data."""
    unsure = 1.0 - np.nan_to_num(confidence, nan=1.0)
    # With seven classes the least confidence is 1/7; from a half on, a pixel is as unsure as can be of two classes.
    alpha = np.round(255 * np.clip(unsure / 0.5, 0, 1)).astype(np.uint8)
    color = np.broadcast_to(np.array(UNSURE, np.uint8), (*alpha.shape, 3))
    return png(np.concatenate([color, alpha[..., None]], axis=-1))
