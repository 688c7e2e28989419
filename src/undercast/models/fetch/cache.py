"""Cache: the folder for what can be made or fetched again."""

from __future__ import annotations

import os
import sys
from pathlib import Path

CACHE_VARIABLE = "UNDERCAST_CACHE"
"""Environment variable that names another folder."""


def cache_folder() -> Path:
    """Give undercast's cache folder; it need not exist.

    ``UNDERCAST_CACHE`` where it is set, else ``undercast`` in the place that the system has for caches.
    """
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "undercast" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "undercast"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "undercast"
