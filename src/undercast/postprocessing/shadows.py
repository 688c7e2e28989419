"""Shadows: those from which no cloud lies in the direction of the sun."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from undercast.classes import CLOUD_SHADOW, THICK_CLOUD, THIN_CLOUD
from undercast.errors import UsageError
from undercast.grids import Grid
from undercast.postprocessing.morphology import dilated, disc
from undercast.scene import SunAngles
from undercast.types import NODATA, Bool, Float32, UInt8

HIGHEST_CLOUD_M = 12_000.0
"""Height above the sea, in metres, over which clouds that cast a visible shadow are rare outside the tropics."""

TOLERANCE_M = 200.0
"""How far beside the ray to the sun a cloud may lie, in metres: for masks' edges, the view angle's parallax, and north
that turns within a scene."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SunRay:
    """The way from a pixel towards the sun, on the grid."""

    rows_per_m: float
    """Rows downwards per metre over the ground."""
    cols_per_m: float
    """Columns to the right per metre over the ground."""
    tangent: float
    """Metres over the ground per metre of height: the tangent of the sun's zenith."""
    pixel_m: tuple[float, float]
    """Height and width of a pixel, in metres."""

    @property
    def margin(self) -> tuple[int, int]:
        """Rows above and below a pixel that ``unsupported_shadows`` looks at."""
        beside = len(disc(TOLERANCE_M, self.pixel_m)) // 2 + 1
        along = math.ceil(HIGHEST_CLOUD_M * self.tangent * abs(self.rows_per_m))
        return (beside + along, beside) if self.rows_per_m < 0 else (beside, beside + along)


def sun_ray(sun: SunAngles, grid: Grid, pixel_m: tuple[float, float]) -> SunRay:
    """Put the direction to the sun on a grid; north is the y axis of its CRS, or up where it has none.

    Raises:
        UsageError: If the sun is not above the horizon.
    """
    if not 0 <= sun.zenith < 90 or not math.isfinite(sun.azimuth):
        got = f"{sun.zenith:g},{sun.azimuth:g}"
        msg = f"sun: expected a zenith angle from 0 to below 90 degrees and an azimuth, got {got}."
        raise UsageError(msg)
    azimuth = math.radians(sun.azimuth)
    east, north = math.sin(azimuth), math.cos(azimuth)
    tangent = math.tan(math.radians(sun.zenith))
    height, width = pixel_m
    if grid.crs is None:
        return SunRay(rows_per_m=-north / height, cols_per_m=east / width, tangent=tangent, pixel_m=pixel_m)
    a, b, _, d, e, _ = grid.transform
    x_m, y_m = grid.metres_per_unit
    east, north = east / x_m, north / y_m
    determinant = a * e - b * d
    return SunRay(
        rows_per_m=(a * north - d * east) / determinant,
        cols_per_m=(e * east - b * north) / determinant,
        tangent=tangent,
        pixel_m=pixel_m,
    )


def unsupported_shadows(class_map: UInt8, ray: SunRay, *, row: int = 0, ground_m: Float32 | None = None) -> Bool:
    """Flag the shadow pixels from which no cloud lies in the direction of the sun, up to the highest cloud.

    A cloud at height ``h`` over the ground darkens the ground ``h * tan(zenith)`` away from below it. Behind nodata and
    the array's edge there may be a cloud, so shadows that look towards them are not flagged.

    Args:
        class_map: Values 0-3 and 255, ``(y, x)``.
        ray: Direction to the sun.
        row: Row of the scene that the array begins with, so that parts of a scene give what the whole gives.
        ground_m: Height of the ground above the sea ``(y, x)``, in metres; NaN counts as 0. High ground lies nearer to
            the clouds.

    Returns:
        True where a shadow is flagged, ``(y, x)``.
    """
    caster = dilated(np.isin(class_map, (THICK_CLOUD, THIN_CLOUD)), disc(TOLERANCE_M, ray.pixel_m))
    caster |= class_map == NODATA
    ground = np.float32(0) if ground_m is None else np.clip(np.nan_to_num(ground_m), 0, HIGHEST_CLOUD_M)
    supported = _distance_m(caster, ray, row) <= (HIGHEST_CLOUD_M - ground) * ray.tangent
    return np.asarray((class_map == CLOUD_SHADOW) & ~supported, np.bool_)


def _distance_m(caster: Bool, ray: SunRay, row: int) -> NDArray[np.float64]:
    """Give the distance over the ground from each pixel to the first caster towards the sun, in metres.

    The array is sheared until rays are columns; there the last caster is a running maximum.
    """
    steps = (ray.rows_per_m, ray.cols_per_m)
    if max(map(abs, steps)) == 0:
        return np.where(caster, 0.0, np.inf)
    along_rows = abs(steps[0]) >= abs(steps[1])
    major, minor = steps if along_rows else steps[::-1]
    lines = caster if along_rows else caster.T
    begin = row if along_rows else 0
    offsets = np.round((begin + np.arange(len(lines))) * (minor / major)).astype(np.int64)
    counts = _steps_to_caster(lines, offsets, backwards=major > 0)
    distance = counts / abs(major)
    return distance if along_rows else distance.T


def _steps_to_caster(lines: Bool, offsets: NDArray[np.int64], *, backwards: bool) -> NDArray[np.int64]:
    """Count the lines up to the first caster on the ray of each pixel, which runs through earlier or later lines."""
    count, width = lines.shape
    places = offsets.max() - offsets
    sheared = np.ones((count, width + int(places.max())), np.bool_)
    for line, place in enumerate(places):
        sheared[line, place : place + width] = lines[line]
    if backwards:
        sheared = sheared[::-1]
    numbers = np.arange(count)[:, None]
    # Before the first line, one may be outside the array.
    last = np.maximum.accumulate(np.where(sheared, numbers, -1), axis=0)
    steps = numbers - last
    if backwards:
        steps = steps[::-1]
    return np.stack([steps[line, place : place + width] for line, place in enumerate(places)])
