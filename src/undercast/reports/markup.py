"""Markup: HTML and SVG made of elements, in which every text is escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import TypeAlias

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""Characters that HTML has not."""

VOID = frozenset({"meta", "img", "br", "hr", "line", "rect", "circle", "path", "polyline"})
"""Elements that are written without content and without an end tag."""


class Markup(str):
    """Finished markup; a plain string is text and is escaped wherever it goes."""

    __slots__ = ()


Child: TypeAlias = str | None
"""Content of an element: markup as it is, other strings as text; None is left out."""

Attribute: TypeAlias = str | int | float | bool | None
"""Value of an attribute; False and None leave the attribute out, True gives it no value."""


def escape(text: str) -> Markup:
    """Escape a text for content and for attribute values; what cannot be written becomes U+FFFD."""
    writable = text.encode("utf-8", "replace").decode("utf-8")
    return Markup(html.escape(CONTROL.sub("\N{REPLACEMENT CHARACTER}", writable)))


def element(tag: str, *children: Child, **attributes: Attribute) -> Markup:
    """Write an element.

    Args:
        tag: Its name.
        children: Its content, in order.
        attributes: Names in Python's spelling: ``class_`` for class, ``stroke_width`` for stroke-width.
    """
    opening = "".join((tag, *(_attribute(name, value) for name, value in attributes.items())))
    if tag in VOID:
        return Markup(f"<{opening}/>")
    return Markup(f"<{opening}>{join(children)}</{tag}>")


def join(children: Iterable[Child]) -> Markup:
    """Write markup and texts one after the other."""
    return Markup("".join(_content(child) for child in children if child is not None))


def _content(child: str) -> str:
    return child if isinstance(child, Markup) else escape(child)


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    key = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {key}"
    text = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    return f' {key}="{escape(text)}"'
