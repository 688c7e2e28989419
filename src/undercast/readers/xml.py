"""XML from strangers: bounded, without document types and entities, read to elements named without namespaces."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from undercast.errors import SceneError

LARGEST_XML = 16 * 2**20
"""Bytes above which a file is not taken for metadata."""
DEEPEST = 100
"""Elements inside each other above which a file is not taken for metadata."""

_SEPARATOR = " "
"""Stands between namespace and name, and in neither."""


def read_xml(source: str | Path | bytes, *, origin: str) -> Element:
    """Read a metadata file.

    Args:
        source: Path, or the bytes themselves.
        origin: What it is, for messages.

    Returns:
        The root element; tags and attributes stand without their namespaces.

    Raises:
        SceneError: If it is missing, too large, not well formed, or declares a document type (and so, maybe, entities).
    """
    data = source if isinstance(source, bytes) else _read_bytes(Path(source), origin)
    if len(data) > LARGEST_XML:
        msg = f"{origin}: expected metadata, got more than {LARGEST_XML // 2**20} MiB of XML."
        raise SceneError(msg)
    try:
        return _parse(data, origin)
    # LookupError and ValueError: encodings that Python does not know, or that expat cannot use.
    except (expat.ExpatError, LookupError, ValueError) as error:
        msg = f"{origin}: expected XML, got what is truncated or none ({error})."
        raise SceneError(msg) from error


def _read_bytes(path: Path, origin: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_XML + 1)
    except FileNotFoundError as error:
        msg = f"{origin}: {path.name} does not exist. Is the product complete?"
        raise SceneError(msg) from error
    except (OSError, ValueError) as error:
        msg = f"{origin}: {path.name} cannot be read: {getattr(error, 'strerror', None) or error}."
        raise SceneError(msg) from error


def _parse(data: bytes, origin: str) -> Element:
    builder = TreeBuilder()
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            msg = f"{origin}: expected metadata, got XML more than {DEEPEST} elements deep."
            raise SceneError(msg)
        builder.start(_local(tag), {_local(key): value for key, value in attributes.items()})

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_local(tag))

    def refuse(*_: object) -> None:
        msg = f"{origin}: XML with a document type is refused: it could declare entities. Remove its DOCTYPE line."
        raise SceneError(msg)

    parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(data, True)  # noqa: FBT003 (expat takes it by position only)
    return builder.close()


def _local(name: str) -> str:
    return name.rpartition(_SEPARATOR)[2]


def text(element: Element, path: str, *, origin: str) -> str:
    """Read the text of the first element on a path (as in ``Element.find``).

    Raises:
        SceneError: If there is none, or it is empty.
    """
    found = optional_text(element, path)
    if found is None:
        msg = f"{origin}: expected <{path}> in its metadata, got none. Is it a product of this kind?"
        raise SceneError(msg)
    return found


def optional_text(element: Element, path: str) -> str | None:
    """Read the text of the first element on a path, in one line; None where there is none."""
    return " ".join((element.findtext(path) or "").split()) or None


def number(element: Element, path: str, *, origin: str) -> float:
    """Read a finite number.

    Raises:
        SceneError: If there is none.
    """
    return to_number(text(element, path, origin=origin), f"<{path}>", origin=origin)


def to_number(value: str, name: str, *, origin: str) -> float:
    """Make a finite number of a text.

    Raises:
        SceneError: If it is none; ``name`` says whose it is.
    """
    try:
        found = float(value)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        msg = f"{origin}: expected a number as {name}, got {value[:40]!r}."
        raise SceneError(msg)
    return found
