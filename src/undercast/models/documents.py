"""Documents: JSON files of strangers, read with a bound on their size, and written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from undercast.errors import ModelError

LARGEST_ITEM = 4 * 1024**2
"""Largest item that is read, in bytes."""

LONGEST_LINE = 600
"""Characters of a line that repeats what a stranger wrote."""

DEEPEST = 64
"""Levels that an item nests at most."""


def load_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ModelError: If it cannot be read, is too large or too deep, or is no JSON object.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_ITEM + 1)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}."
        raise ModelError(msg) from error
    return parse_json(data, origin=str(path))


def parse_json(data: bytes, *, origin: str) -> dict[str, Any]:
    """Parse a JSON object.

    Args:
        data: The whole document.
        origin: Its file or URL, for messages.

    Raises:
        ModelError: If it is too large or too deep, or no JSON object.
    """
    if len(data) > LARGEST_ITEM:
        msg = f"{origin}: a model's item has at most {LARGEST_ITEM} bytes."
        raise ModelError(msg)
    try:
        value = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        msg = f"{origin} is not JSON (truncated?): {error}."
        raise ModelError(msg) from error
    if not isinstance(value, dict):
        msg = f"{origin}: expected a JSON object, got {type(value).__name__}."
        raise ModelError(msg)
    if _depth(value) > DEEPEST:
        msg = f"{origin}: a model's item nests at most {DEEPEST} levels."
        raise ModelError(msg)
    return value


def one_line(text: str) -> str:
    """Put what a stranger wrote in one line that a terminal shows as it is; a long one is cut."""
    cut = text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}..."
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in cut)


def dump_json(value: Mapping[str, Any]) -> bytes:
    """Write a JSON object, indented, with a line's end; a lone surrogate stays the escape that it was."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode("utf-8", errors="backslashreplace")


def _no_constant(name: str) -> NoReturn:
    msg = f"{name} is no number of JSON"
    raise ValueError(msg)


def _depth(value: object) -> int:
    """Count levels of nesting, up to one more than is allowed."""
    level = [value]
    depth = 0
    while level and depth <= DEEPEST:
        depth += 1
        holders = [entry for entry in level if isinstance(entry, dict | list)]
        level = [inner for entry in holders for inner in (entry.values() if isinstance(entry, dict) else entry)]
    return depth
