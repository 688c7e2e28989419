"""Wording: figures, tables and reasons as a card writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

NOT_RECORDED = "not in the evaluation record"
"""Why a field has no value, where nothing else is known."""


def none(why: str = NOT_RECORDED) -> str:
    """Write a field that has no value, with the reason."""
    return f"none ({why})"


def told(value: Any, why: str = NOT_RECORDED) -> str:
    """Write a value; the reason where there is none."""
    if value is None or value in ("", [], {}):
        return none(why)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{cell(str(key))} {told(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(told(one) for one in value)
    return cell(str(value))


def words(key: str) -> str:
    """Write a key of a record in words."""
    return cell(key.replace("_", " "))


def figure(value: Any, decimals: int = 4, why: str = NOT_RECORDED) -> str:
    """Write a figure, with its interval where it has one: a number, or an object with value, low and high."""
    if isinstance(value, Mapping):
        middle, low, high = value.get("value"), value.get("low"), value.get("high")
        if not is_number(low) or not is_number(high):
            return figure(middle, decimals, why)
        return f"{figure(middle, decimals, why)} [{low:.{decimals}f} to {high:.{decimals}f}]"
    return f"{value:.{decimals}f}" if is_number(value) else none(why)


def is_number(value: Any) -> bool:
    """Tell whether a JSON value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def mapping(value: Any) -> Mapping[str, Any]:
    """Give an object of a record; an empty one where it is none."""
    return value if isinstance(value, Mapping) else {}


def objects(value: Any) -> list[Mapping[str, Any]]:
    """Give the objects of a list; nothing where it is none."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list | tuple) else []


def band_names(properties: Mapping[str, Any]) -> list[str]:
    """Give the names of an item's bands."""
    return [cell(str(band.get("name"))) for band in objects(properties.get("eo:bands"))]


def cell(text: str) -> str:
    """Write a text where it may stand in a table: in one line, without bars."""
    return " ".join(text.split()).replace("|", "\\|")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def rows(pairs: Mapping[str, str]) -> str:
    """Write the rows of a table of names and what is said about them."""
    return "\n".join(f"| {name} | {text} |" for name, text in pairs.items())
