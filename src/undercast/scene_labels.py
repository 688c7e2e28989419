"""Labels of whole scenes: nomenclatures, their two orders, and what land cover codes stand for."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from undercast.errors import LabelError, UsageError

LabelOrder = Literal["lexicographic", "original"]
"""How the labels of a nomenclature are ordered: by name, as the outputs of published models are, or as in its paper."""

BIGEARTHNET19 = "bigearthnet19"
"""Nomenclature of BigEarthNet's classifiers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nomenclature:
    """The labels that a scene can have, in one stated order."""

    name: str
    """Name in files."""
    title: str
    """Name for people."""
    order: LabelOrder
    """How ``labels`` are ordered."""
    labels: tuple[str, ...]
    """Labels, in that order."""
    codes: Mapping[int, str]
    """Land cover code -> label."""
    without_label: frozenset[int]
    """Land cover codes that are known and have no label."""

    def vector(self, labels: Iterable[str]) -> NDArray[np.bool_]:
        """Tell for each label of the nomenclature whether it is among those given.

        Returns:
            ``(label,)``, in the order of ``labels``.

        Raises:
            LabelError: If a label is not of this nomenclature.
        """
        given = set(labels)
        if unknown := sorted(given - set(self.labels)):
            msg = f"expected labels of {self.title}, got {'; '.join(unknown)}. Known: {'; '.join(self.labels)}"
            raise LabelError(msg)
        return np.array([label in given for label in self.labels], bool)

    def named(self, vector: NDArray[np.bool_]) -> tuple[str, ...]:
        """Give the labels that a vector holds, in the order of ``labels``.

        Raises:
            LabelError: If its length is not the number of labels.
        """
        if vector.shape != (len(self.labels),):
            msg = f"expected a vector of {len(self.labels)} labels of {self.title}, got shape {vector.shape}."
            raise LabelError(msg)
        return tuple(label for label, there in zip(self.labels, vector, strict=True) if there)

    def of_codes(self, codes: NDArray[np.integer]) -> tuple[str, ...]:
        """Give the labels that pixels of a land cover map stand for, in the order of ``labels``.

        Args:
            codes: Land cover codes of any shape.

        Raises:
            LabelError: If a code is not known.
        """
        found = {int(code) for code in np.unique(codes)}
        if unknown := sorted(found - set(self.codes) - self.without_label):
            msg = f"land cover codes {', '.join(map(str, unknown))} are not of {self.title}. Known: {self._known()}."
            raise LabelError(msg)
        there = {self.codes[code] for code in found if code in self.codes}
        return tuple(label for label in self.labels if label in there)

    def _known(self) -> str:
        return ", ".join(str(code) for code in sorted({*self.codes, *self.without_label}))


@cache
def load_nomenclature(name: str = BIGEARTHNET19, order: LabelOrder = "lexicographic") -> Nomenclature:
    """Load a nomenclature by its name.

    Args:
        name: Its name; ``bigearthnet19`` is the one there is.
        order: Order of its labels; models of BigEarthNet give theirs in the lexicographic one.

    Raises:
        UsageError: If the name or the order is unknown.
    """
    if name not in nomenclature_names():
        msg = f"nomenclature {name!r} is not known. Known: {', '.join(nomenclature_names())}"
        raise UsageError(msg)
    if order not in get_args(LabelOrder):
        msg = f"expected labels in one of the orders {', '.join(get_args(LabelOrder))}, got {order!r}."
        raise UsageError(msg)
    table = tomllib.loads((_folder() / f"{name}.toml").read_text("utf-8"))
    labels = tuple(table["codes"])
    return Nomenclature(
        name=table["id"],
        title=table["title"],
        order=order,
        labels=labels if order == "original" else tuple(sorted(labels)),
        codes={code: label for label, codes in table["codes"].items() for code in codes},
        without_label=frozenset(table["without_label"]),
    )


def nomenclature_names() -> tuple[str, ...]:
    """List the nomenclatures, sorted."""
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in _folder().iterdir()))


def _folder() -> resources.abc.Traversable:
    return resources.files("undercast") / "data" / "nomenclatures"
