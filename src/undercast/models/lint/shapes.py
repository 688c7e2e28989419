"""Shapes: small checks of JSON values that say where a value breaks which rule, as a JSON schema would."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""Keys and positions that lead to a value."""


class Fault(NamedTuple):
    """A value that breaks a rule."""

    path: Path
    """Where it is."""
    rule: str
    """Which rule, by its place in the schema; empty: that of the check around it."""
    expected: str
    """What the rule wants."""
    got: str
    """What is there."""


Check: TypeAlias = Callable[[Any, Path], Iterator[Fault]]
"""Gives the faults of a value at a path."""


def fault(path: Path, expected: str, got: object, rule: str = "") -> Fault:
    """Make a fault; a long value is cut."""
    said = repr(got)
    return Fault(path, rule, expected, said if len(said) <= 80 else f"{said[:77]}...")


def named(rule: str, check: Check) -> Check:
    """Give a check's faults the name of a rule, where they have none."""

    def run(value: Any, path: Path) -> Iterator[Fault]:
        for found in check(value, path):
            yield found if found.rule else found._replace(rule=rule)

    return run


def _simple(expected: str, holds: Callable[[Any], bool]) -> Check:
    def run(value: Any, path: Path) -> Iterator[Fault]:
        if not holds(value):
            yield fault(path, expected, value)

    return run


def is_number(value: object) -> bool:
    """Tell whether a value is a number of JSON."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_whole(value: object) -> bool:
    """Tell whether a value is an integer of JSON schema: 1.0 is one."""
    return is_number(value) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))


def text(pattern: str | None = None, *, filled: bool = False) -> Check:
    """Check for a text; with a pattern that it holds, or that is not empty."""
    if pattern is not None:
        compiled = re.compile(pattern, re.ASCII)
        return _simple(f"a text like {pattern}", lambda value: isinstance(value, str) and bool(compiled.search(value)))
    if filled:
        return _simple("a text that is not empty", lambda value: isinstance(value, str) and value != "")
    return _simple("a text", lambda value: isinstance(value, str))


def one_of(values: Sequence[str]) -> Check:
    """Check for one of a closed set of texts."""
    return _simple(f"one of {', '.join(values)}", lambda value: isinstance(value, str) and value in values)


def whole(least: int | None = None) -> Check:
    """Check for an integer, of at least ``least``."""
    expected = "an integer" if least is None else f"an integer of {least} or more"
    return _simple(expected, lambda value: is_whole(value) and (least is None or value >= least))


def number() -> Check:
    """Check for a number."""
    return _simple("a number", is_number)


def above_zero() -> Check:
    """Check for a number above 0."""
    return _simple("a number above 0", lambda value: is_number(value) and value > 0)


def boolean() -> Check:
    """Check for true or false."""
    return _simple("true or false", lambda value: isinstance(value, bool))


def anything() -> Check:
    """Check nothing."""
    return lambda value, path: iter(())  # noqa: ARG005 (a check's signature)


def or_null(check: Check) -> Check:
    """Check a value unless it is null."""
    return lambda value, path: iter(()) if value is None else check(value, path)


def either(expected: str, *checks: Check) -> Check:
    """Check that one of several checks finds nothing."""

    def run(value: Any, path: Path) -> Iterator[Fault]:
        if all(next(check(value, path), None) is not None for check in checks):
            yield fault(path, expected, value)

    return run


def array(check: Check, *, least: int = 0, unique: bool = False) -> Check:
    """Check a list and its entries."""

    def run(value: Any, path: Path) -> Iterator[Fault]:
        if not isinstance(value, list) or len(value) < least:
            yield fault(path, f"a list of {least} or more" if least else "a list", value)
            return
        if unique and len({json.dumps(entry, sort_keys=True) for entry in value}) != len(value):
            yield fault(path, "a list without repetition", value)
        for position, entry in enumerate(value):
            yield from check(entry, (*path, position))

    return run


def record(
    fields: Mapping[str, Check], *, required: Sequence[str] = (), closed: str | None = None, least: int = 0
) -> Check:
    """Check an object and its fields.

    Args:
        fields: Field -> its check, where the field is there.
        required: Fields that must be there.
        closed: Beginning of the names among which no other fields may be there; ``""``: no other fields at all.
        least: Smallest number of fields.
    """

    def run(value: Any, path: Path) -> Iterator[Fault]:
        if not isinstance(value, dict) or len(value) < least:
            yield fault(path, f"an object of {least} or more fields" if least else "an object", value)
            return
        for key in required:
            if key not in value:
                yield fault(path, f"the field {key}", sorted(value)[:8])
        for key, entry in value.items():
            if key in fields:
                yield from fields[key](entry, (*path, key))
            elif closed is not None and key.startswith(closed):
                yield fault((*path, key), f"no field of this name (known: {closed}...)", entry)

    return run


def mapping(check: Check) -> Check:
    """Check an object and each of its values alike."""

    def run(value: Any, path: Path) -> Iterator[Fault]:
        if not isinstance(value, dict):
            yield fault(path, "an object", value)
            return
        for key, entry in value.items():
            yield from check(entry, (*path, key))

    return run
