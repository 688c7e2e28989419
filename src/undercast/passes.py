"""Passes: a model's members over a scene, and the strips of a prediction that come of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from undercast.bands import BandMatch
from undercast.errors import SceneError
from undercast.inference import ensemble
from undercast.inference.alignment import slide_together
from undercast.inference.memory import hand_back
from undercast.inference.pipeline import ahead
from undercast.inference.sliding import MemberStrip, Progress, SlidingJob, plan_windows
from undercast.loading import SMALLEST_AGREEMENT, Agreement, Model
from undercast.model_spec import ModelSpec
from undercast.prediction import PredictionHeader, Strip
from undercast.readers.elevation import Elevation
from undercast.scene import Scene, SunAngles
from undercast.terrain import Terrain, steps_of
from undercast.types import NODATA, TERRAIN_LAYERS, Float32, TerrainLayer, UInt8
from undercast.windows import Window

log = logging.getLogger(__name__)

STRIPS_AHEAD = 1
"""Finished strips, of ``ROWS_AT_ONCE`` rows each, that wait for who writes them, at most."""

LOOKS = 3
"""Windows of a scene, along its diagonal, in which classes are compared."""

SMALLEST_CLASS = 0.01
"""Share of the pixels looked at that a second class must have for a comparison to be worth keeping: where everything is
clear, every precision agrees."""


def matched_bands(scene: Scene, model: Model) -> tuple[BandMatch, ...]:
    """Match a scene's bands to those of all members, each band once.

    Raises:
        BandError: If a band that a member requires is missing.
    """
    matches = (match for group in model.groups for match in group.spec.match(scene.bands))
    return tuple({(match.wanted.common_name, match.index): match for match in matches}.values())


def _row_reader(
    scene: Scene, matches: Sequence[BandMatch], spec: ModelSpec, terrain: Terrain | None
) -> Callable[[Window], Float32]:
    indexes = [match.index for match in matches if match.index is not None]
    if not spec.terrain:
        return lambda window: scene.read(window, indexes)

    def read(window: Window) -> Float32:
        bands = scene.read(window, indexes)
        if terrain is None:
            return np.concatenate([bands, np.full((len(spec.terrain), *window.shape), np.nan, np.float32)])
        return np.concatenate([bands, terrain.read(window, spec.terrain)])

    return read


def make_jobs(
    scene: Scene,
    model: Model,
    *,
    window: int | None = None,
    overlap: int | None = None,
    batch_size: int = 1,
    terrain: Terrain | None = None,
) -> tuple[SlidingJob, ...]:
    """Plan one pass per group of members that expect the same.

    Args:
        scene: What is masked.
        model: Whose members.
        window: Side of a window instead of each group's own, in pixels.
        overlap: Overlap instead of each group's own, in pixels.
        batch_size: Windows that a network gets at once, at most.
        terrain: The shape of the scene's ground, for the members that take it; None: they work without.

    Raises:
        BandError: If a required band is missing.
        WindowError: If window and overlap do not fit a group.
    """
    jobs = []
    for group in model.groups:
        matches = group.spec.match(scene.bands)
        jobs.append(
            SlidingJob(
                spec=group.spec,
                matches=matches,
                networks=group.networks,
                plan=plan_windows(group.spec, scene.grid.shape, window=window, overlap=overlap),
                read_rows=_row_reader(scene, matches, group.spec, terrain),
                batch_size=batch_size,
                calls=max(1, model.windows // batch_size),
            )
        )
    return tuple(jobs)


def terrain_under(
    scene: Scene, model: Model, ground: Elevation | Terrain | None, sun: SunAngles | None, header: PredictionHeader
) -> tuple[Terrain | None, PredictionHeader]:
    """Give the shape of the ground to a model that takes it, and say in the header what it was given.

    Args:
        scene: What is masked.
        model: Who may take it.
        ground: Heights of a raster, or the shape of the ground as it comes with a scene, which has a sun of its own.
        sun: Where the sun stands over the raster's heights, its azimuth counted from the y axis of the scene's CRS.
        header: What is said so far.

    Raises:
        SceneError: If the elevation knows nothing of the scene's ground.
        GridError: If one of them is not georeferenced.
    """
    wanted = tuple(layer for layer in TERRAIN_LAYERS if any(layer in group.spec.terrain for group in model.groups))
    if ground is None:
        return None, replace(header, absent=(*header.absent, *wanted))
    if isinstance(ground, Terrain):
        return _given(scene, wanted, ground, "of the scene", header)
    known = ground.known_share()
    if not known:
        msg = (
            f"{scene.name}: expected heights of its ground in {ground.source}, got none: it is of another place, or"
            " has holes there."
        )
        raise SceneError(msg)
    if not wanted:
        return None, header
    if known < 1.0:
        hole = f"{scene.name}: {ground.name} has no height for {100 * (1 - known):.1f} % of it"
        header = replace(header, warnings=(*header.warnings, hole))
    terrain = Terrain(elevation=ground, steps=steps_of(scene.grid), sun=sun)
    return _given(scene, wanted, terrain, f"{ground.name} ({100 * known:.1f} %)", header)


def _given(
    scene: Scene, wanted: Sequence[TerrainLayer], terrain: Terrain, origin: str, header: PredictionHeader
) -> tuple[Terrain | None, PredictionHeader]:
    """Say in the header which of the wanted layers the model is given, and where they come from."""
    if not wanted:
        return None, header
    given = tuple(layer for layer in wanted if terrain.sun is not None or layer != "sun_cosine")
    dark = f"{scene.name}: the sun's angles are not known, so sun_cosine is absent; --sun tells them"
    return terrain, replace(
        header,
        bands={**header.bands, **dict.fromkeys(given, origin)},
        absent=(*header.absent, *(layer for layer in wanted if layer not in given)),
        warnings=header.warnings if len(given) == len(wanted) else (*header.warnings, dark),
    )


def strips(
    jobs: Sequence[SlidingJob],
    spec: ModelSpec,
    header: PredictionHeader,
    progress: Progress | None = None,
    *,
    uncertainty: bool = True,
) -> Iterator[Strip]:
    """Turn members' strips into finished ones, a few ahead of those that are taken.

    Unlike a loop's variable, ``map`` keeps none of them alive.
    """
    make = partial(finished, spec=spec, header=header, uncertainty=uncertainty)
    yield from ahead(map(make, slide_together(jobs, progress)), waiting=STRIPS_AHEAD)
    hand_back()


def settle_precision(
    scene: Scene, model: Model, jobs: tuple[SlidingJob, ...], header: PredictionHeader
) -> tuple[Model, tuple[SlidingJob, ...]]:
    """Compare a precision that nobody asked for with f32 on a few windows of the scene, where that is not done yet.

    Returns:
        The model and jobs to use: as they came where the classes agree, else with f32.
    """
    proof = model.proof
    if proof is None:
        return model, jobs
    agrees = proof.outcome()
    if agrees is None:
        agrees = _agrees(scene, model, jobs, header)
    if agrees:
        return model, jobs
    exact = proof.exact()
    return exact, _with_networks(jobs, exact)


def _agrees(scene: Scene, model: Model, jobs: tuple[SlidingJob, ...], header: PredictionHeader) -> bool:
    """Compare two precisions on a scene, unless all of it is one class and an earlier one was so with both."""
    proof = model.proof
    if proof is None:
        return True
    places = _looks(scene, max(max(job.plan.window) for job in jobs))
    fast = np.concatenate([_classes(place, jobs, model.spec, header) for place in places])
    if proof.kept() is not None and not has_classes(fast):
        return True
    exact_jobs = _with_networks(jobs, proof.exact())
    found = agreement_of(fast, np.concatenate([_classes(place, exact_jobs, model.spec, header) for place in places]))
    proof.keep(found)
    told = f"{scene.name}: {100 * found.share:.2f} % of classes with {model.precision} are those with f32"
    if found.share < SMALLEST_AGREEMENT:
        log.warning("%s, expected %.1f %%. f32 is used instead.", told, 100 * SMALLEST_AGREEMENT)
        return False
    log.info("%s", told)
    return True


def has_classes(class_map: UInt8) -> bool:
    """Tell whether two classes or more are there to tell apart."""
    counts = np.bincount(class_map[class_map != NODATA])
    return int(np.count_nonzero(counts >= max(SMALLEST_CLASS * counts.sum(), 1))) > 1


def agreement_of(fast: UInt8, exact: UInt8) -> Agreement:
    """Compare the classes of the same pixels; those of one class count for nothing where all agree."""
    valid = exact != NODATA
    count = int(np.count_nonzero(valid))
    share = float(np.count_nonzero((fast == exact) & valid)) / count if count else 1.0
    return Agreement(share=share, pixels=count if has_classes(exact) or share < SMALLEST_AGREEMENT else 0)


def _looks(scene: Scene, side: int) -> list[Window]:
    """Place windows along the scene's diagonal, each once."""
    height, width = (min(side, length) for length in scene.grid.shape)
    rows = np.linspace(0, scene.grid.shape[0] - height, LOOKS, dtype=int)
    cols = np.linspace(0, scene.grid.shape[1] - width, LOOKS, dtype=int)
    places = dict.fromkeys(zip(rows.tolist(), cols.tolist(), strict=True))
    return [Window(row=row, col=col, height=height, width=width) for row, col in places]


def _classes(place: Window, jobs: Sequence[SlidingJob], spec: ModelSpec, header: PredictionHeader) -> UInt8:
    """Mask one window of a scene as if it were all, and give its pixels' classes in a row."""

    def inside(read: Callable[[Window], Float32], window: Window) -> Float32:
        return read(replace(window, row=window.row + place.row, col=window.col + place.col))

    parts = [
        replace(job, plan=plan_windows(job.spec, place.shape), read_rows=partial(inside, job.read_rows)) for job in jobs
    ]
    return np.concatenate([strip.class_map.ravel() for strip in strips(parts, spec, header)])


def _with_networks(jobs: tuple[SlidingJob, ...], model: Model) -> tuple[SlidingJob, ...]:
    return tuple(replace(job, networks=group.networks) for job, group in zip(jobs, model.groups, strict=True))


def finished(strip: MemberStrip, *, spec: ModelSpec, header: PredictionHeader, uncertainty: bool = True) -> Strip:
    """Turn members' rows into a prediction's: aggregated, tempered, with their classes and, if wanted, uncertainty."""
    aggregated = ensemble.aggregate(strip.members, header.aggregation, spec.classes)
    probabilities = ensemble.tempered(aggregated, spec.temperature)
    spread = np.full(probabilities.shape[1:], np.nan, np.float32)
    if uncertainty:
        kind = header.uncertainty_kind
        spread = ensemble.uncertainty(strip.members, probabilities, kind, spec.classes, header.thresholds)
    class_map = ensemble.decide(probabilities, header.classes, header.thresholds, strip.valid)
    outside = ~strip.valid
    np.copyto(probabilities, np.nan, where=outside)
    np.copyto(spread, np.nan, where=outside)
    return Strip(
        row=strip.row,
        class_map=class_map,
        probabilities=probabilities,
        uncertainty=spread,
        partly_valid=strip.partly_valid,
    )
