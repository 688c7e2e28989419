"""Lint: a card whose figures are not those of the evaluation record is refused.

Two faults of published cards are looked for: figures that nothing in the record leads to, and a row of precision that
repeats the row of average precision.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from undercast.models.card.template import PLACEHOLDER

FaultCode = Literal["untraceable-figure", "precision-repeats-ap", "placeholder-left"]
"""Kind of fault."""

AP_ROWS = frozenset({"ap", "average precision", "map", "mean average precision"})
"""Names of the row of average precision, in lower case."""
PRECISION_ROWS = frozenset({"precision"})
"""Names of the row of precision, in lower case."""

MOST_DECIMALS = 20
"""Decimals of a figure, above which it is taken for none of the record's."""
LARGEST = 1e300
"""Largest number of a record that a card may say."""

_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_BETWEEN = re.compile(r"[\s|,;:()\[\]{}=/*`\"'~<>]+|\.\.+|(?<=\d)[-\u2013](?=\d)")
_THOUSANDS = re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3})")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:T[\d:.]+(?:Z|[-+]\d{2}:\d{2})?)?")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFault:
    """One fault of a card."""

    code: FaultCode
    """Kind of fault."""
    line: int
    """Line of the card, from 1."""
    message: str
    """What was expected and what came."""


def lint_card(card: str, sources: Sequence[Any]) -> tuple[CardFault, ...]:
    """List the faults of a card.

    Every number of the card must be one of the sources': equal to it where it is rounded as the card rounds it (times
    100 before a per cent sign), a part of one of their texts, or the number of entries of one of their lists. Numbers
    that are part of a word (Sentinel-2, B04, v0.2.0) and dates are no figures.

    Args:
        card: Markdown.
        sources: JSON values that figures may come from: the evaluation record and the item.
    """
    known = _Known(sources)
    faults: list[CardFault] = []
    for number, line in enumerate(card.splitlines(), start=1):
        if left := PLACEHOLDER.findall(line):
            told = f"expected every placeholder filled, got {', '.join(f'<{name}>' for name in left)}"
            faults.append(CardFault(code="placeholder-left", line=number, message=told))
        for figure in figures_of(line):
            if not known.has(figure):
                told = f"expected figures of the evaluation record, got {figure}"
                faults.append(CardFault(code="untraceable-figure", line=number, message=told))
    return (*faults, *_repeated(card))


def figures_of(line: str) -> Iterator[str]:
    """Go through the figures of a line, as they are written; per cent signs stay with their numbers."""
    joined = _THOUSANDS.sub("", _DATE.sub(" ", line)).replace(" %", "%")
    for word in _BETWEEN.split(joined):
        stripped = word.strip(".!?_")
        if _NUMBER.fullmatch(stripped.removesuffix("%")):
            yield stripped


class _Known:
    """Numbers that a card may say."""

    def __init__(self, sources: Sequence[Any]) -> None:
        self._numbers: set[float] = set()
        self._in_texts: set[str] = set()
        for value in _values(sources):
            if isinstance(value, str):
                self._in_texts.update(figures_of(value), _DIGITS.findall(value) if len(value) < 200 else ())
            else:
                self._numbers.add(value)
        self._rounded: dict[tuple[int, float], set[str]] = {}

    def has(self, figure: str) -> bool:
        """Tell whether a figure is one of the numbers, as it is rounded."""
        number = figure.removesuffix("%")
        if figure in self._in_texts or number in self._in_texts:
            return True
        factors = (1.0, 100.0) if figure.endswith("%") else (1.0,)
        if "e" in number.lower():
            return float(number) in self._numbers
        decimals = len(number.partition(".")[2])
        if decimals > MOST_DECIMALS:
            return False
        return any(number.lstrip("+") in self._at(decimals, factor) for factor in factors)

    def _at(self, decimals: int, factor: float) -> set[str]:
        """Give all numbers as they are written with so many decimals; whole ones only where they are whole."""
        key = decimals, factor
        if key not in self._rounded:
            self._rounded[key] = {
                f"{number * factor:.{decimals}f}"
                for number in self._numbers
                if decimals or (number * factor).is_integer()
            }
        return self._rounded[key]


def _values(sources: Iterable[Any]) -> Iterator[float | str]:
    """Go through the numbers, texts, keys and lengths inside JSON values."""
    waiting = list(sources)
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            yield float(len(value))
            yield from map(str, value)
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            yield float(len(value))
            waiting.extend(value)
        elif isinstance(value, str):
            yield value
        elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST:
            yield float(value)


def _repeated(card: str) -> Iterator[CardFault]:
    """Find rows of precision that repeat the row of average precision of the same table."""
    above: list[str] | None = None
    for number, line in enumerate(card.splitlines(), start=1):
        if not line.lstrip().startswith("|"):
            above = None
            continue
        name, *cells = [cell.strip(" *`") for cell in line.strip().strip("|").split("|")]
        figures = [cell for cell in cells if any(figures_of(cell))]
        if name.lower() in AP_ROWS:
            above = figures
        elif name.lower() in PRECISION_ROWS and figures and figures == above:
            told = f"expected a precision of its own, got the row of average precision again ({', '.join(figures)})"
            yield CardFault(code="precision-repeats-ap", line=number, message=told)
