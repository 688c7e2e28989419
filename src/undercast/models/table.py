"""Table: a JSON object whose fields are read with their types checked; messages name file and key."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from undercast.errors import ModelError

T = TypeVar("T", bound=str)

LARGEST = sys.float_info.max
"""Largest number; what lies above it is no finite float."""

_REQUIRED: Any = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A JSON object and where it stands; every reader raises ModelError where a field is missing or wrong."""

    values: Mapping[str, Any]
    """Fields as they were parsed."""
    origin: str
    """File and key, for messages."""

    def wrong(self, *, key: str, expected: str, got: object) -> ModelError:
        """Make the error for a field that is not what it must be."""
        return ModelError(f"{self.origin}: {key}: expected {expected}, got {str(got)[:120]}.")

    def text(self, key: str, default: str = _REQUIRED) -> str:
        """Read a text; one that has no default must not be empty."""
        value = self._get(key, default)
        if not isinstance(value, str) or (default is _REQUIRED and not value):
            raise self.wrong(key=key, expected="a text", got=repr(value))
        return value

    def optional_text(self, key: str) -> str | None:
        """Read a text; None where it is null or absent."""
        return None if self.values.get(key) is None else self.text(key)

    def number(self, key: str, default: float = _REQUIRED) -> float:
        """Read a finite number."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not -LARGEST <= value <= LARGEST:
            raise self.wrong(key=key, expected="a number", got=repr(value))
        return float(value)

    def optional_number(self, key: str) -> float | None:
        """Read a finite number; None where it is null or absent."""
        return None if self.values.get(key) is None else self.number(key)

    def integer(self, key: str, default: int = _REQUIRED) -> int:
        """Read a whole number that is not negative."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.wrong(key=key, expected="a whole number of 0 or more", got=repr(value))
        return value

    def table(self, key: str, default: Mapping[str, Any] = _REQUIRED) -> Table:
        """Read an object."""
        value = self._get(key, default)
        if not isinstance(value, Mapping):
            raise self.wrong(key=key, expected="an object", got=repr(value))
        return Table(values=value, origin=f"{self.origin}: {key[:80]}")

    def tables(self, key: str, default: Sequence[Mapping[str, Any]] = _REQUIRED) -> tuple[Table, ...]:
        """Read a list of objects; null is the default where there is one."""
        value = self._get(key, default)
        if value is None and default is not _REQUIRED:
            value = default
        if not isinstance(value, list | tuple) or not all(isinstance(row, Mapping) for row in value):
            raise self.wrong(key=key, expected="a list of objects", got=repr(value))
        return tuple(Table(values=row, origin=f"{self.origin}: {key}[{i}]") for i, row in enumerate(value))

    def first(self, key: str) -> Table:
        """Read the one object of a list of one."""
        rows = self.tables(key)
        if len(rows) != 1:
            raise self.wrong(key=key, expected="a list of one object", got=f"{len(rows)} of them")
        return rows[0]

    def texts(self, key: str, default: Sequence[str] = _REQUIRED) -> tuple[str, ...]:
        """Read a list of texts."""
        value = self._get(key, default)
        if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
            raise self.wrong(key=key, expected="a list of texts", got=repr(value))
        return tuple(value)

    def choice(self, key: str, known: Sequence[T], default: T = _REQUIRED) -> T:
        """Read one of a closed set."""
        value = self._get(key, default)
        if value not in known:
            raise self.wrong(key=key, expected=f"one of {', '.join(known)}", got=repr(value))
        return known[known.index(value)]

    def choices(self, key: str, known: Sequence[T], default: Sequence[T] = _REQUIRED) -> tuple[T, ...]:
        """Read some of a closed set, at least one."""
        value = self.texts(key, default)
        if not value or not set(value) <= set(known):
            raise self.wrong(key=key, expected=f"some of {', '.join(known)}", got=repr(value))
        return tuple(name for name in known if name in value)

    def _get(self, key: str, default: Any) -> Any:
        if key in self.values:
            return self.values[key]
        if default is _REQUIRED:
            msg = f"{self.origin}: {key} is missing."
            raise ModelError(msg)
        return default
