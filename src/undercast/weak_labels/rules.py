"""Rules: how a processor's stored mask is read as a class map and as possible sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undercast.classes import CLASS_NAMES, CLEAR, CLOUD_SHADOW, THICK_CLOUD, THIN_CLOUD, load_scheme
from undercast.errors import LabelError
from undercast.types import NODATA, Bool, UInt8

CLEAR_SET, THICK_SET, THIN_SET, SHADOW_SET = (1 << value for value in (CLEAR, THICK_CLOUD, THIN_CLOUD, CLOUD_SHADOW))
"""Possible sets of one class: bit k is set where a pixel can be class k."""
CLOUD_SET = THICK_SET | THIN_SET
"""Possible set of cloud whose thickness is not told."""
IGNORE = 0
"""Possible set of a pixel that is left out: no data, a margin, an unsure border, a contradiction."""
OPEN = (1 << len(CLASS_NAMES)) - 1
"""Possible set of a pixel of which a processor cannot tell anything; another one may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """A choice of stored values."""

    bits: int
    """Bits that are looked at, as a number with those bits set."""
    values: tuple[int, ...] | None
    """What the looked-at bits must hold, in their place; None: any of them is set."""

    def cover(self, stored: NDArray[np.integer[Any]]) -> Bool:
        """Tell which stored values are among them."""
        looked_at = stored & self.bits
        return looked_at != 0 if self.values is None else np.isin(looked_at, self.values)


def any_bit(*bits: int) -> Codes:
    """Choose the values in which any of some bits is set."""
    return Codes(bits=sum(1 << bit for bit in bits), values=None)


def bit_field(first: int, last: int, value: int) -> Codes:
    """Choose the values whose bits ``first`` to ``last`` hold a number."""
    return Codes(bits=(1 << last + 1) - (1 << first), values=(value << first,))


def numbers(*values: int, width: int = 8) -> Codes:
    """Choose some values of so many bits."""
    return Codes(bits=(1 << width) - 1, values=values)


EVERYTHING = Codes(bits=0, values=(0,))
"""All values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRule:
    """What some stored values mean."""

    meaning: str
    """What the product's documentation calls it."""
    codes: Codes
    """Stored values that it is about."""
    class_value: int
    """Class of the class map; ``NODATA``: no prediction."""
    possible: int
    """Possible set; ``IGNORE``: left out; ``OPEN``: the processor cannot tell."""


@dataclass(frozen=True, kw_only=True)
class ProcessorMask:
    """How one product writes its mask; for each stored value the first rule that applies says what it means."""

    id: str
    """Name on the command line."""
    title: str
    """Name for people."""
    source: str
    """Where the codes come from."""
    width: int
    """Stored bits per pixel."""
    rules: tuple[MaskRule, ...] = field(repr=False)
    """Rules, the strongest first."""
    layers: int = 1
    """Layers of the file; where there are several, layer k set is read as bit k - 1."""
    fractions: bool = False
    """Whether fractions from 0 to 1 are stored; they are read in percent, rounded."""

    @cached_property
    def _tables(self) -> tuple[UInt8, UInt8, Bool]:
        """Class, possible set and whether it is known, for each value that can be stored."""
        stored = np.arange(1 << self.width)
        classes = np.full(stored.shape, NODATA, np.uint8)
        possible = np.full(stored.shape, IGNORE, np.uint8)
        known = np.zeros(stored.shape, np.bool_)
        for rule in self.rules:
            takes = rule.codes.cover(stored) & ~known
            classes[takes] = rule.class_value
            possible[takes] = rule.possible
            known |= takes
        return classes, possible, known

    def decode(self, stored: NDArray[np.number[Any]]) -> UInt8:
        """Read a stored mask as a class map.

        Args:
            stored: Numbers as the product stores them.

        Returns:
            The same shape: 0 clear, 1 thick cloud (or cloud whose thickness is not told), 2 thin cloud, 3 cloud
            shadow, 255 where the processor says nothing.

        Raises:
            LabelError: If a value is none of the product's codes.
        """
        classes: UInt8 = self._tables[0][self.codes(stored)]
        return classes

    def possible(self, stored: NDArray[np.number[Any]]) -> UInt8:
        """Read a stored mask as possible sets.

        Returns:
            The same shape; bit k is set where the pixel can be undercast's class k; ``IGNORE`` where there is no data
            and in the margins that the processor itself keeps around clouds, ``OPEN`` where it cannot tell.

        Raises:
            LabelError: If a value is none of the product's codes.
        """
        sets: UInt8 = self._tables[1][self.codes(stored)]
        return sets

    def codes(self, stored: NDArray[np.number[Any]]) -> NDArray[np.integer[Any]]:
        """Give a stored mask as the integers that the rules are about.

        Raises:
            LabelError: If a value is none of the product's codes.
        """
        array = np.asarray(stored)
        if self.fractions and np.issubdtype(array.dtype, np.floating):
            array = self._percent(array)
        if not np.issubdtype(array.dtype, np.integer):
            msg = f"{self.title}: expected integers, got {array.dtype}. Read the mask without scale and resampling."
            raise LabelError(msg)
        outside = (array < 0) | (array >= 1 << self.width)
        unknown = outside | ~self._tables[2][np.where(outside, 0, array)]
        if unknown.any():
            came = ", ".join(map(str, np.unique(array[unknown])[:5]))
            msg = (
                f"{self.title}: expected {self._expected()}, got {came}."
                " Is it another product's mask? A fill value must be declared as the file's nodata."
            )
            raise LabelError(msg)
        return array

    def _percent(self, fractions: NDArray[np.floating[Any]]) -> NDArray[np.integer[Any]]:
        wrong = ~((fractions >= 0) & (fractions <= 1))
        if wrong.any():
            msg = (
                f"{self.title}: expected fractions from 0 to 1, got {float(fractions[wrong][0]):g}."
                " Masks in percent, or in bytes, have processors of their own."
            )
            raise LabelError(msg)
        return np.round(fractions * 100).astype(np.int16)

    def _expected(self) -> str:
        codes = np.flatnonzero(self._tables[2])
        if codes.size == 1 << self.width:
            return f"values of {self.width} bits"
        if codes.size == codes[-1] - codes[0] + 1:
            return f"{codes[0]} to {codes[-1]}"
        return f"one of {', '.join(map(str, codes))}"


def rule(meaning: str, codes: Codes, *, to: int, possible: int) -> MaskRule:
    """Make a rule."""
    return MaskRule(meaning=meaning, codes=codes, class_value=to, possible=possible)


def otherwise(meaning: str, *, possible: int = CLEAR_SET) -> MaskRule:
    """Make the rule for what is left: clear."""
    return rule(meaning, EVERYTHING, to=CLEAR, possible=possible)


def plain_codes(scheme: str, source: str, *, classes: Mapping[int, int]) -> ProcessorMask:
    """Make the table of a product of plain codes; its possible sets are those of the class scheme.

    A class of which the scheme says nothing is one that the processor cannot tell.
    """
    table = load_scheme(scheme)
    names = {scene_class.value: scene_class.name for scene_class in table.classes}
    possible = table.possible_sets(np.arange(256, dtype=np.uint8))
    return ProcessorMask(
        id=scheme,
        title=table.title,
        source=source,
        width=8,
        rules=tuple(
            rule(
                names.get(code, "nodata"),
                numbers(code),
                to=to,
                possible=int(possible[code]) or (IGNORE if code == table.nodata else OPEN),
            )
            for code, to in classes.items()
        ),
    )
