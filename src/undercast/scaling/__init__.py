"""Scaling: many scenes, on one machine or on a cluster, and cubes larger than memory."""

from undercast.scaling.cube import mask_cube

__all__ = ["mask_cube"]
