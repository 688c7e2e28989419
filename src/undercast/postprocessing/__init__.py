"""Post-processing: class maps are cleaned in metres, and shadows held against the sun."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from undercast.classes import CLEAR, CLOUD_SHADOW, THICK_CLOUD, THIN_CLOUD
from undercast.errors import UsageError
from undercast.grids import Grid
from undercast.postprocessing.morphology import dilated, disc, opened
from undercast.postprocessing.objects import OBJECTS, without_holes, without_small
from undercast.postprocessing.rows import Change, Margin, Rows, changed
from undercast.postprocessing.shadows import SunRay, sun_ray, unsupported_shadows
from undercast.prediction import PredictionStream, Strip
from undercast.scene import SunAngles
from undercast.types import NODATA, Float32, UInt8
from undercast.windows import Window

__all__ = ["Ground", "PostProcessing", "SunRay", "postprocess", "sun_ray", "unsupported_shadows"]

logger = logging.getLogger(__name__)

Ground: TypeAlias = Callable[[Window], Float32]
"""Gives the height of the ground above the sea ``(y, x)`` in a window of the scene, in metres; NaN where unknown."""

_SIZES = ("opening_m", "min_size_m2", "fill_holes_m2", "buffer_m")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostProcessing:
    """How a class map is cleaned, in this order; 0 leaves a step out. The probabilities stay as the model gave them."""

    check_shadows: bool = False
    """Whether shadows from which no cloud lies in the direction of the sun become clear."""
    opening_m: float = 0.0
    """Clouds and shadows become clear where a disc of this radius does not fit into them, in metres."""
    min_size_m2: float = 0.0
    """Clouds and shadows smaller than this become clear, in square metres."""
    fill_holes_m2: float = 0.0
    """Clear holes in clouds and shadows up to this size are filled, in square metres."""
    buffer_m: float = 0.0
    """Clear pixels this near to a cloud or shadow get its class (thick before thin cloud before shadow), in metres."""
    sun: SunAngles | None = None
    """Sun angles, where the scene does not say them; to ``postprocess`` azimuths count from the y axis of the CRS."""
    gsd: float | None = None
    """Side of a pixel, in metres, where the scene does not say it."""

    def __post_init__(self) -> None:
        """Refuse sizes that are none."""
        for name in _SIZES:
            if not 0 <= getattr(self, name) < math.inf:
                msg = f"{name}: expected a size of 0 or more, got {getattr(self, name):g}."
                raise UsageError(msg)
        if self.gsd is not None and not 0 < self.gsd < math.inf:
            msg = f"gsd: expected metres above 0, got {self.gsd:g}."
            raise UsageError(msg)

    @property
    def told(self) -> dict[str, str]:
        """Give the steps that are taken, for the records."""
        steps = {"check_shadows": "yes"} if self.check_shadows else {}
        for name in _SIZES:
            if value := getattr(self, name):
                steps[name] = f"{value:g}"
        return steps


def postprocess(stream: PredictionStream, options: PostProcessing, *, ground: Ground | None = None) -> PredictionStream:
    """Clean a prediction while it streams.

    Every strip is what the whole scene at once would give. For that, rows above and below are kept in view: as many as
    the radii, as an object of ``min_size_m2`` or a hole of ``fill_holes_m2`` has pixels, and, for the shadows, as lie
    between the ground and the highest cloud towards the sun.

    Args:
        stream: The prediction; its strips are used up.
        options: What is done.
        ground: Height of the ground, for the shadows.

    Raises:
        UsageError: If the grid does not tell the size of its pixels and ``gsd`` is None, or the sun is needed and not
            known.
    """
    if not options.told:
        return stream
    header = stream.header
    pixel_m = _pixel_m(header.grid, options)
    steps = list(_steps(header.grid, pixel_m, options, ground))
    margin = sum((margin for _, margin in steps), Margin(above=0, below=0))

    def change(rows: Rows) -> UInt8:
        for step, _ in steps:
            rows = replace(rows, class_map=step(rows))
        return rows.class_map

    strips: Iterator[Strip] = changed(stream, change, margin)
    return PredictionStream(header=replace(header, postprocessing=options.told), strips=strips)


def _pixel_m(grid: Grid, options: PostProcessing) -> tuple[float, float]:
    if options.gsd is not None:
        return options.gsd, options.gsd
    if grid.pixel_size_m is None:
        msg = "expected a georeferenced scene, whose pixels have a size in metres; say it with --gsd, e.g. --gsd 10"
        raise UsageError(msg)
    return grid.pixel_size_m


def _steps(
    grid: Grid, pixel_m: tuple[float, float], options: PostProcessing, ground: Ground | None
) -> Iterator[tuple[Change, Margin]]:
    """Give the steps that are asked for, in their order, each with the rows that it looks at."""
    pixel_m2 = pixel_m[0] * pixel_m[1]
    if options.check_shadows:
        if options.sun is None:
            msg = "the shadow check needs the sun's angles, which this scene does not say. Try --sun ZENITH,AZIMUTH"
            raise UsageError(msg)
        ray = sun_ray(options.sun, grid, pixel_m)
        above, below = ray.margin
        yield _shadow_check(ray, grid, ground), Margin(above=above, below=below)
    if options.opening_m:
        half_widths = disc(options.opening_m, pixel_m)
        yield lambda rows: _opened(rows.class_map, half_widths), _around(len(half_widths) - 1)
    if options.min_size_m2:
        smallest = math.ceil(round(options.min_size_m2 / pixel_m2, 9))
        yield lambda rows: without_small(rows.class_map, smallest), _around(min(smallest, grid.shape[0]))
    if options.fill_holes_m2:
        largest = math.floor(round(options.fill_holes_m2 / pixel_m2, 9))
        yield lambda rows: without_holes(rows.class_map, largest), _around(min(largest + 1, grid.shape[0]))
    if options.buffer_m:
        reach = disc(options.buffer_m, pixel_m)
        yield lambda rows: _buffered(rows.class_map, reach), _around(len(reach) // 2)


def _around(rows: int) -> Margin:
    return Margin(above=rows, below=rows)


def _shadow_check(ray: SunRay, grid: Grid, ground: Ground | None) -> Change:
    def check(rows: Rows) -> UInt8:
        height = len(rows.class_map)
        window = Window(row=rows.row, col=0, height=height, width=grid.shape[1])
        ground_m = None if ground is None else ground(window)
        flagged = unsupported_shadows(rows.class_map, ray, row=rows.row, ground_m=ground_m)
        logger.debug("rows %d-%d: %d shadow pixels without a cloud", rows.row, rows.row + height - 1, flagged.sum())
        return np.where(flagged, np.uint8(CLEAR), rows.class_map)

    return check


def _opened(class_map: UInt8, half_widths: tuple[int, ...]) -> UInt8:
    out = class_map.copy()
    for values in OBJECTS:
        mask = np.isin(class_map, values)
        out[mask & ~opened(mask, half_widths, class_map == NODATA)] = CLEAR
    return out


def _buffered(class_map: UInt8, half_widths: tuple[int, ...]) -> UInt8:
    out = class_map.copy()
    for value in (THICK_CLOUD, THIN_CLOUD, CLOUD_SHADOW):
        out[dilated(class_map == value, half_widths) & (out == CLEAR)] = value
    return out
