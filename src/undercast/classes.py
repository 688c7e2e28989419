"""Class schemes: undercast's four classes, and tables that translate to and from other systems' codes."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from undercast.errors import SchemeError
from undercast.types import NODATA, UInt8

CLEAR = 0
THICK_CLOUD = 1
THIN_CLOUD = 2
CLOUD_SHADOW = 3

CLASS_NAMES = ("clear", "thick_cloud", "thin_cloud", "cloud_shadow")
"""Names of the four classes, in the order of their values."""


CLOUD_LAYERS = ("thick_cloud", "thin_cloud", "cloud")
"""Layers of a model's output whose sum is the probability of cloud; ``cloud`` is cloud of either kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneClass:
    """One class of a scheme."""

    value: int
    """Stored value."""
    name: str
    """Snake-case name, unique in its scheme."""
    title: str
    """Name for people."""
    color: str
    """Colour as ``#rrggbb``."""
    possible: frozenset[str]
    """Which of undercast's classes a pixel of this class can be; empty: say nothing about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScheme:
    """A set of class codes and how undercast's four classes are written in it."""

    id: str
    """Name on the command line."""
    title: str
    """Name for people."""
    nodata: int
    """Stored value of a pixel without data."""
    classes: tuple[SceneClass, ...]
    """Classes, by value."""
    from_undercast: Mapping[str, int]
    """Undercast class name -> value in this scheme."""

    def encode(self, class_map: UInt8) -> UInt8:
        """Translate a class map of the default scheme into this one.

        Args:
            class_map: Values 0-3, and 255 for nodata.

        Returns:
            The same shape, in this scheme's values.
        """
        table = np.full(256, self.nodata, np.uint8)
        for value, name in enumerate(CLASS_NAMES):
            table[value] = self.from_undercast[name]
        # Several times faster than indexing.
        translated = class_map.tobytes().translate(table.tobytes())
        return np.frombuffer(bytearray(translated), np.uint8).reshape(class_map.shape)

    def possible_sets(self, class_map: UInt8) -> UInt8:
        """Read a class map of this scheme as possible sets.

        Returns:
            Same shape; bit ``k`` is set where the pixel can be undercast's class ``k``; 0 means: ignore.
        """
        table = np.zeros(256, np.uint8)
        for scene_class in self.classes:
            table[scene_class.value] = sum(1 << CLASS_NAMES.index(name) for name in scene_class.possible)
        if self.nodata not in {scene_class.value for scene_class in self.classes}:
            table[self.nodata] = 0
        return table[class_map]


def scheme_ids() -> tuple[str, ...]:
    """List the class schemes, sorted."""
    folder = resources.files("undercast") / "data" / "class_schemes"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


@cache
def load_scheme(name: str = "undercast") -> ClassScheme:
    """Load a class scheme by its id.

    Raises:
        SchemeError: If there is no such scheme.
    """
    if name not in scheme_ids():
        msg = f"class scheme {name!r} is not known. Known: {', '.join(scheme_ids())}"
        raise SchemeError(msg)
    text = (resources.files("undercast") / "data" / "class_schemes" / f"{name}.toml").read_text("utf-8")
    table = tomllib.loads(text)
    return ClassScheme(
        id=table["id"],
        title=table["title"],
        nodata=table["nodata"],
        from_undercast=table["from_undercast"],
        classes=tuple(
            SceneClass(
                value=row["value"],
                name=row["name"],
                title=row["title"],
                color=row["color"],
                possible=frozenset(row["possible"]),
            )
            for row in table["classes"]
        ),
    )


def class_percent(class_map: UInt8) -> dict[str, float]:
    """Give the percentage of each class among the valid pixels of a default-scheme class map.

    Returns:
        Class name -> percent in [0, 100]; all 0 where no pixel is valid.
    """
    counts = np.bincount(class_map.ravel(), minlength=NODATA + 1)
    return percent_from_counts(counts)


def percent_from_counts(counts: np.typing.NDArray[np.integer]) -> dict[str, float]:
    """Turn counts per value (at least four of them) into percentages of the four classes."""
    total = int(counts[: len(CLASS_NAMES)].sum())
    return {name: 100.0 * int(counts[value]) / total if total else 0.0 for value, name in enumerate(CLASS_NAMES)}
