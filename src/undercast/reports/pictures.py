"""Pictures: a scene, its reference, a prediction and their disagreement, as small images."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast.classes import CLASS_NAMES, CLEAR, CLOUD_SHADOW, THICK_CLOUD, THIN_CLOUD, load_scheme
from undercast.evaluation.evaluate import JudgedScene
from undercast.evaluation.metrics import SETS, is_right
from undercast.reports.markup import Markup
from undercast.reports.wording import set_name
from undercast.types import Float32, UInt8
from undercast.writers.quicklook import picture_bands, png, stretch
from undercast.writers.style import rgb

SIDE = 360
"""Largest side of a picture, in pixels; larger scenes are averaged down."""

CLOUD_BITS = 1 << THICK_CLOUD | 1 << THIN_CLOUD
"""Possible set: cloud of either kind."""

NOT_SAID = "#404040"
"""Colour of a pixel about which a reference or a prediction says nothing."""

AGREES, MISSED_CLOUD, FALSE_CLOUD, SHADOW_OR_CLEAR, THICKNESS, NO_REFERENCE, NO_PREDICTION = range(7)

VERDICTS: Mapping[int, tuple[str, str]] = MappingProxyType(
    {
        AGREES: ("Agrees", "#eceae4"),
        MISSED_CLOUD: ("Cloud missed", "#a3195b"),
        FALSE_CLOUD: ("False cloud", "#e69f00"),
        SHADOW_OR_CLEAR: ("Shadow and clear confused", "#009e73"),
        THICKNESS: ("Thick and thin confused", "#a9a6c4"),
        NO_REFERENCE: ("No reference", NOT_SAID),
        NO_PREDICTION: ("No prediction", "#000000"),
    }
)
"""How a prediction stands to its reference -> name and colour; none of the colours is one of a class."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Example:
    """One scene of the gallery."""

    name: str
    """Name of the scene, as in the report."""
    scene: UInt8
    """The scene as red, green and blue, ``(y, x, 3)``."""
    possible: UInt8
    """Possible sets of the reference, ``(y, x)``."""
    class_map: UInt8
    """Prediction, 0-3 and 255, ``(y, x)``."""
    bands: str = "scene"
    """Which bands are shown as red, green and blue."""


def make_example(judged: JudgedScene, *, side: int = SIDE) -> Example:
    """Make an example small enough for a page.

    Args:
        judged: A scene with what was scored and predicted.
        side: Largest side, in pixels: the scene is averaged over squares, sets and classes are taken at their middle.
    """
    scene = judged.reference.scene
    step = max(1, math.ceil(max(scene.grid.shape) / side))
    chosen = picture_bands(scene.bands)
    layers = [stretch(*_averaged(scene.read(bands=(band,))[0], step)) for band in chosen]
    return Example(
        name=judged.reference.name,
        scene=np.stack(layers, axis=-1),
        possible=_sampled(judged.reference.possible, step),
        class_map=_sampled(judged.class_map, step),
        bands=", ".join(dict.fromkeys(scene.bands[band].common_name for band in chosen)),
    )


def error_share(counts: Sequence[Sequence[int]]) -> float:
    """Give the share of wrong pixels among those that are scored and predicted; 0 where there are none.

    A pixel is wrong where its class is outside its possible set; thick for thin cloud is no error here.

    Args:
        counts: Possible set x (predicted class 0-3, no prediction), as in a report.
    """
    table = np.asarray(counts)[:, : len(CLASS_NAMES)]
    grid = np.indices(table.shape, np.uint8)
    wrong = ~is_right(grid[0], grid[1]) & (grid[0] > 0)
    total = int(table[1:].sum())
    return float(table[wrong].sum() / total) if total else 0.0


def verdicts(possible: UInt8, class_map: UInt8) -> UInt8:
    """Hold a prediction against possible sets.

    Returns:
        Keys of ``VERDICTS``, of the same shape.
    """
    predicted = class_map < len(CLASS_NAMES)
    bits = np.where(predicted, np.uint8(1) << np.minimum(class_map, len(CLASS_NAMES) - 1), 0).astype(np.uint8)
    called_cloud = (bits & CLOUD_BITS) > 0
    can_be_cloud = (possible & CLOUD_BITS) > 0
    cases = (
        (possible == 0, NO_REFERENCE),
        (~predicted, NO_PREDICTION),
        ((bits & possible) > 0, AGREES),
        (called_cloud & can_be_cloud, THICKNESS),
        (called_cloud, FALSE_CLOUD),
        ((possible & ~np.uint8(CLOUD_BITS)) == 0, MISSED_CLOUD),
    )
    return np.select([case for case, _ in cases], [np.uint8(key) for _, key in cases], np.uint8(SHADOW_OR_CLEAR))


def set_color(possible: int) -> str:
    """Give the colour of a possible set: the mean of its classes' colours, as ``#rrggbb``."""
    members = [rgb(entry.color) for entry in load_scheme().classes if possible >> entry.value & 1]
    if not members:
        return NOT_SAID
    return "#" + bytes(round(sum(part) / len(members)) for part in zip(*members, strict=True)).hex()


def class_color(value: int) -> str:
    """Give the colour of a class, or of a pixel without prediction, as ``#rrggbb``."""
    return set_color(1 << value) if value < len(CLASS_NAMES) else NOT_SAID


def panels(example: Example) -> tuple[tuple[str, UInt8], ...]:
    """Draw the four pictures of an example, each with its name: ``(y, x, 3)``."""
    sets = _palette([set_color(possible) for possible in range(SETS)])
    classes = _palette([class_color(value) for value in range(len(CLASS_NAMES) + 1)])
    colors = _palette([VERDICTS[key][1] for key in sorted(VERDICTS)])
    return (
        ("scene", example.scene),
        ("reference", sets[example.possible]),
        ("prediction", classes[np.minimum(example.class_map, len(CLASS_NAMES))]),
        ("disagreement", colors[verdicts(example.possible, example.class_map)]),
    )


def class_legend(examples: Sequence[Example]) -> tuple[tuple[str, str], ...]:
    """List names and colours of the possible sets and classes that occur in some examples."""
    single = [1 << value for value in (CLEAR, THICK_CLOUD, THIN_CLOUD, CLOUD_SHADOW)]
    found = {int(possible) for example in examples for possible in np.unique(example.possible)}
    several = sorted(found - {0, *single})
    silent = [("Nothing said", NOT_SAID)] if 0 in found or _has_gap(examples) else []
    return tuple([(set_name(possible), set_color(possible)) for possible in (*single, *several)] + silent)


def verdict_legend(examples: Sequence[Example]) -> tuple[tuple[str, str], ...]:
    """List names and colours of the verdicts that occur in some examples."""
    found = {int(key) for example in examples for key in np.unique(verdicts(example.possible, example.class_map))}
    return tuple(VERDICTS[key] for key in sorted(found))


def data_uri(picture: UInt8) -> Markup:
    """Encode a picture ``(y, x, 3)`` as a PNG inside a link."""
    return Markup("data:image/png;base64," + base64.b64encode(png(picture)).decode("ascii"))


def _palette(colors: Sequence[str]) -> UInt8:
    return np.array([rgb(color) for color in colors], np.uint8)


def _has_gap(examples: Sequence[Example]) -> bool:
    return any((example.class_map >= len(CLASS_NAMES)).any() for example in examples)


def _averaged(layer: Float32, step: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Average squares of a band over the pixels that have data; True where there are some."""
    known = np.isfinite(layer)
    rows, cols = (np.arange(0, length, step) for length in layer.shape)

    def total(values: NDArray[Any]) -> NDArray[np.float64]:
        down = np.add.reduceat(values, rows, axis=0, dtype=np.float64)
        return np.add.reduceat(down, cols, axis=1)

    counts = total(known)
    return total(np.where(known, layer, 0)) / np.maximum(counts, 1), counts > 0


def _sampled(values: UInt8, step: int) -> UInt8:
    """Take the middle of each square that ``_averaged`` averages, the last pixel where a square is cut off."""
    rows, cols = (np.minimum(np.arange(0, length, step) + step // 2, length - 1) for length in values.shape)
    return values[np.ix_(rows, cols)]
