"""Destinations: where outputs are to go is looked at before anything is computed."""

from __future__ import annotations

import os
from pathlib import Path

from undercast.errors import OutputError, OutputExistsError


def check_folder(folder: Path) -> None:
    """Refuse a folder that is a file, lies in one, or may not be written.

    Args:
        folder: Output folder; it may be missing.

    Raises:
        OutputError: If nothing can be written there.
    """
    place = folder.absolute()
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        raise OutputError(f"expected a folder at {place}, found something else. Choose another output folder.")
    if not os.access(place, os.W_OK | os.X_OK):
        raise OutputError(f"{place} may not be written. Change its rights or choose another output folder.")


def check_new_package(folder: Path) -> None:
    """Refuse to write a model package where something is, or where nothing can be written.

    Raises:
        OutputExistsError: If something is there.
        OutputError: If nothing can be written there.
    """
    if os.path.lexists(folder):
        msg = f"model package {folder} exists already. Remove it first, or write to another folder."
        raise OutputExistsError(msg)
    check_folder(folder.parent)


def check_new_file(path: Path, *, overwrite: bool) -> None:
    """Refuse to write a file where one is and may not be replaced, or where nothing can be written.

    Raises:
        OutputExistsError: If one is there and may not be replaced.
        OutputError: If a folder is there, or nothing can be written.
    """
    if path.is_dir():
        raise OutputError(f"expected a file or nothing at {path}, found a folder. Name a file in it.")
    if not overwrite and os.path.lexists(path):
        raise OutputExistsError(f"{path} exists already. Take another name, or --overwrite.")
    check_folder(path.parent)
