"""Import optional dependencies, or answer with their pip line."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING

from undercast.errors import MissingDependencyError

if TYPE_CHECKING:
    from types import ModuleType


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import a module that the core install does not bring.

    Args:
        module: Name as in an ``import`` statement.
        extra: Extra of undercast that installs it.
        purpose: What it is needed for, as the end of "needed to ...".

    Raises:
        MissingDependencyError: If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] != module.split(".", maxsplit=1)[0]:
            raise
        msg = f"{module} is needed to {purpose} and is not installed. Try: pip install 'undercast[{extra}]'"
        raise MissingDependencyError(msg) from error


def is_installed(module: str) -> bool:
    """Tell whether a module can be imported, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package that would hold it
        return False
