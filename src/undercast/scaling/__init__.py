"""Scaling: many scenes, on one machine or on a cluster, and cubes larger than memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from undercast.scaling.cube import mask_cube

__all__ = ["mask_cube"]


def __getattr__(name: str) -> object:
    """Load what is public when it is first used (PEP 562): a look at scenes needs none of it."""
    if name != "mask_cube":
        msg = f"module 'undercast.scaling' has no attribute {name!r}"
        raise AttributeError(msg)
    from undercast.scaling.cube import mask_cube

    return mask_cube
