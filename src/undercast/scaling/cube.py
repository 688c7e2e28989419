"""Cubes: lazy masks of Dask arrays of any size, chunk by chunk, with the windows of the whole."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from undercast._optional import require
from undercast.bands import BandMatch
from undercast.errors import RadiometryError, UsageError
from undercast.inference.sliding import MemberStrip, SlidingJob, SlidingPlan, slide
from undercast.loading import ModelChoice
from undercast.masking import MaskOptions, batch_size_of, fitted_windows, header_of
from undercast.models.package import DEFAULT_MODEL
from undercast.passes import finished, make_jobs, matched_bands, settle_precision
from undercast.prediction import Prediction
from undercast.radiometry import guard, observe
from undercast.readers.array import StoredPixels, like, scene_from_data_array
from undercast.readers.base import OpenOptions
from undercast.scaling.batch import model_here
from undercast.scene import Scene
from undercast.types import Float32
from undercast.windows import Window

if TYPE_CHECKING:
    import xarray as xr

log = logging.getLogger(__name__)

TIME = "time"
"""Dimension along which a cube holds scenes."""

LEAST_WINDOWS = 4
"""Windows along a chunk's side below which neighbouring chunks are worked on together: those at its border are computed
once for each chunk that they touch."""

FOR_FILES = ("area", "postprocessing", "dem")
"""Options that need more than a chunk."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Cube:
    """One time of a cube without its pixels, and how it is masked."""

    scene: Scene
    """Bands, grid and scaling; its pixels are stored elsewhere."""
    model: ModelChoice
    """Which model; each process loads it once."""
    options: MaskOptions
    """How."""
    plans: tuple[SlidingPlan, ...]
    """Where the windows of each pass lie in the whole."""


def mask_cube(
    array: xr.DataArray,
    model: ModelChoice | str | Path = DEFAULT_MODEL,
    options: MaskOptions | None = None,
    open_options: OpenOptions | None = None,
) -> xr.Dataset:
    """Mask a cube lazily: nothing is read and no network runs before a part of the result is computed.

    Every chunk is masked with the windows that ``predict`` would place over the whole, so that the result is the same
    up to rounding, however the cube is chunked. Chunks of fewer than 4 windows along a side are worked on together.

    Args:
        array: ``(band, y, x)`` of reflectance, or digital numbers with their scaling in the attributes or the options,
            as ``predict`` takes it; with ``time``, one scene for each. An array that is not chunked is one chunk.
        model: Name, path or reference of a model package; or a choice with its runtime and precision.
        options: How; the model's own choices unless told otherwise.
        open_options: What the array does not say itself.

    Returns:
        ``class_map``, ``uncertainty`` and ``probabilities`` as ``predict`` gives them, as Dask arrays.

    Raises:
        UsageError: If an option does not fit the model, or chunks.
        SceneError: If the array is none of bands over y and x.
        BandError: If a required band is missing, or nothing tells the bands.
        RadiometryError: Of a chunk, when it is computed: if its values cannot be reflectance.
        MissingDependencyError: If Dask is not installed.
    """
    require("dask.array", extra="dask", purpose="mask cubes lazily")
    xarray = require("xarray", extra="dask", purpose="mask cubes lazily")
    chosen = options or MaskOptions()
    _check_options(chosen)
    choice = model if isinstance(model, ModelChoice) else ModelChoice(name=model)
    opening = open_options or OpenOptions()
    if array.sizes.get(TIME, 1) > 1:
        times = [array.isel({TIME: place}) for place in range(array.sizes[TIME])]
        joined: xr.Dataset = xarray.concat([_lazy(one, choice, chosen, opening) for one in times], TIME)
        return joined
    return _lazy(array, choice, chosen, opening)


def _check_options(options: MaskOptions) -> None:
    default = MaskOptions()
    for field in fields(MaskOptions):
        if field.name in FOR_FILES and getattr(options, field.name) != getattr(default, field.name):
            msg = f"{field.name} is for scenes, not for cubes, which are masked chunk by chunk. Leave it out."
            raise UsageError(msg)
    if options.tta.budget is not None:
        msg = "tta: a budget is shared out over a scene, and a cube is masked chunk by chunk. Leave the budget out."
        raise UsageError(msg)


def _lazy(array: xr.DataArray, choice: ModelChoice, options: MaskOptions, opening: OpenOptions) -> xr.Dataset:
    import dask
    import dask.array

    scene = scene_from_data_array(array, opening)
    stored = _pixels(scene).stored
    data = (stored if stored.chunks is not None else stored.chunk()).data
    model = model_here(choice)
    matches = matched_bands(scene, model)
    header = header_of(scene, model, options, matches)
    jobs = _jobs(scene, choice, options)
    plans = tuple(fitted_windows(job, model, options) for job in jobs)
    strides = (max(plan.window[axis] - plan.overlap for plan in plans) for axis in (0, 1))
    rows, cols = (
        _merged(chunks, LEAST_WINDOWS * stride) for chunks, stride in zip(data.chunks[1:], strides, strict=True)
    )
    bare = replace(scene, pixels=replace(_pixels(scene), stored=None))
    cube = dask.delayed(_Cube(scene=bare, model=choice, options=options, plans=plans), traverse=False)
    masked = dask.delayed(_masked)

    def block(window: Window) -> Any:
        seen = _seen(plans, window)
        packed = masked(data[:, seen.rows, seen.cols], cube, window, seen)
        shape = (2 + len(header.classes), *window.shape)
        return dask.array.from_delayed(packed, shape, np.float32)

    whole = dask.array.block([[block(window) for window in row] for row in _windows(rows, cols)])
    prediction = Prediction(
        header=header,
        class_map=whole[0].astype(np.uint8),
        uncertainty=whole[1],
        probabilities=whole[2:],
    )
    return like(prediction, array)


def _pixels(scene: Scene) -> StoredPixels:
    """Give the pixels of a scene of a DataArray."""
    if not isinstance(scene.pixels, StoredPixels):
        msg = f"expected an array's pixels, got {type(scene.pixels).__name__}."
        raise TypeError(msg)
    return scene.pixels


def _jobs(scene: Scene, choice: ModelChoice, options: MaskOptions) -> tuple[SlidingJob, ...]:
    model = model_here(choice)
    jobs = make_jobs(
        scene, model, window=options.window, overlap=options.overlap, batch_size=batch_size_of(options, model)
    )
    return tuple(replace(job, augmentation=options.tta) for job in jobs)


def _merged(chunks: Sequence[int], least: int) -> list[int]:
    """Put neighbouring chunks together until each is long enough; the last may stay shorter."""
    merged: list[int] = []
    for length in chunks:
        if merged and merged[-1] < least:
            merged[-1] += length
        else:
            merged.append(length)
    return merged


def _windows(rows: Sequence[int], cols: Sequence[int]) -> list[list[Window]]:
    tops, lefts = (np.cumsum([0, *lengths])[:-1].tolist() for lengths in (rows, cols))
    return [
        [Window(row=top, col=left, height=height, width=width) for left, width in zip(lefts, cols, strict=True)]
        for top, height in zip(tops, rows, strict=True)
    ]


def _seen(plans: Sequence[SlidingPlan], window: Window) -> Window:
    """Give the part of the whole that the networks' windows over a chunk need."""
    parts = [_part(plan, window)[1] for plan in plans]
    top, left = min(part.row for part in parts), min(part.col for part in parts)
    bottom = max(part.row + part.height for part in parts)
    right = max(part.col + part.width for part in parts)
    return Window(row=top, col=left, height=bottom - top, width=right - left)


def _part(plan: SlidingPlan, window: Window) -> tuple[SlidingPlan, Window]:
    """Keep of a plan the windows that touch a chunk; their shares in its pixels stay what they are in the whole.

    Returns:
        The plan of the part that they cover, and where that part lies.
    """
    rows = _touching(plan.row_starts, plan.window[0], window.row, window.row + window.height)
    cols = _touching(plan.col_starts, plan.window[1], window.col, window.col + window.width)
    part = Window(
        row=rows[0],
        col=cols[0],
        height=min(rows[-1] + plan.window[0], plan.shape[0]) - rows[0],
        width=min(cols[-1] + plan.window[1], plan.shape[1]) - cols[0],
    )
    own = replace(
        plan,
        shape=part.shape,
        row_starts=tuple(start - part.row for start in rows),
        col_starts=tuple(start - part.col for start in cols),
    )
    return own, part


def _touching(starts: Sequence[int], side: int, first: int, end: int) -> list[int]:
    return [start for start in starts if start < end and start + side > first]


def _masked(pixels: Any, cube: _Cube, window: Window, seen: Window) -> Float32:
    """Mask one chunk.

    Args:
        pixels: Stored values of the part that is seen ``(band, y, x)``.
        cube: What it is a part of.
        window: The chunk.
        seen: The part.

    Returns:
        Class map, uncertainty and probabilities ``(2 + class, y, x)``.
    """
    model = model_here(cube.model)
    matches = matched_bands(cube.scene, model)
    header = header_of(cube.scene, model, cube.options, matches)
    stored = replace(_pixels(cube.scene), stored=np.asarray(pixels))
    part = replace(cube.scene, grid=cube.scene.grid.part(seen), pixels=stored)
    _check_radiometry(part, matches, cube.options)
    model, jobs = settle_precision(part, model, _jobs(part, cube.model, cube.options), header)
    members = [_members(job, plan, window, seen) for job, plan in zip(jobs, cube.plans, strict=True)]
    together = MemberStrip(
        row=0,
        members=np.concatenate([one.members for one in members]),
        valid=np.logical_and.reduce([one.valid for one in members]),
        covered=np.logical_or.reduce([one.covered for one in members]),
    )
    strip = finished(together, spec=model.spec, header=header)
    return np.concatenate([strip.class_map[np.newaxis], strip.uncertainty[np.newaxis], strip.probabilities])


def _check_radiometry(part: Scene, matches: Sequence[BandMatch], options: MaskOptions) -> None:
    observed = observe(part.sample([match.index for match in matches if match.index is not None]))
    if observed is None:
        return
    try:
        warnings = guard(observed, name=part.name, level=part.level)
    except RadiometryError as error:
        if options.radiometry != "warn":
            raise
        warnings = (str(error),)
    for warning in warnings:
        log.warning("%s", warning)


def _members(job: SlidingJob, whole: SlidingPlan, window: Window, seen: Window) -> MemberStrip:
    """Run a job's networks on the windows that touch a chunk, and keep the chunk.

    Args:
        job: Reads the part that is seen.
        whole: Where the windows lie in the whole.
        window: The chunk.
        seen: The part.
    """
    plan, area = _part(whole, window)

    def read(rows: Window) -> Float32:
        return job.read_rows(replace(rows, row=rows.row + area.row - seen.row, col=rows.col + area.col - seen.col))

    strips = list(slide(replace(job, plan=plan, read_rows=read)))
    inside = replace(window, row=window.row - area.row, col=window.col - area.col)
    return MemberStrip(
        row=0,
        members=np.concatenate([strip.members for strip in strips], axis=2)[:, :, inside.rows, inside.cols],
        valid=np.concatenate([strip.valid for strip in strips])[inside.rows, inside.cols],
        covered=np.concatenate([strip.covered for strip in strips])[inside.rows, inside.cols],
    )
