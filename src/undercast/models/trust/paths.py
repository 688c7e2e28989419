"""Paths: references of an item stay inside its package's folder."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath, PureWindowsPath

from undercast.errors import TrustError

LONGEST_NAME = 255
"""Longest name of a file, in bytes, on the usual file systems."""


def confined_path(href: str, root: Path, *, origin: str) -> Path:
    """Find the file of an asset inside its package folder.

    Args:
        href: Relative reference in the item.
        root: The package folder.
        origin: File and key, for messages.

    Returns:
        The resolved path; the file need not exist.

    Raises:
        TrustError: If the reference leads out of the folder: a URL, an absolute path, ``..`` or a link.
    """
    path = PurePosixPath(href)
    foreign = ":" in href or "\\" in href or "\0" in href or PureWindowsPath(href).is_absolute()
    if not href or foreign or path.is_absolute() or ".." in path.parts or not all(map(_can_name, path.parts)):
        msg = f"{origin}: expected a file inside the package folder, got {href[:120]!r}."
        raise TrustError(msg)
    found = (root / path).resolve()
    if not found.is_relative_to(root.resolve()):
        msg = f"{origin}: {href!r} is a link that leads out of the package folder."
        raise TrustError(msg)
    return found


def _can_name(part: str) -> bool:
    """Tell whether a file system takes a name: not a lone surrogate, not too long."""
    try:
        return len(os.fsencode(part)) <= LONGEST_NAME
    except UnicodeEncodeError:
        return False
