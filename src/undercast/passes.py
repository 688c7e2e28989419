"""Passes: a model's members over a scene, and the strips of a prediction that come of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from undercast.bands import BandMatch
from undercast.inference import ensemble
from undercast.inference.alignment import slide_together
from undercast.inference.sliding import MemberStrip, Progress, SlidingJob, plan_windows
from undercast.loading import SMALLEST_AGREEMENT, Model
from undercast.model_spec import ModelSpec
from undercast.prediction import PredictionHeader, Strip
from undercast.scene import Scene, crop
from undercast.types import NODATA, Float32, UInt8
from undercast.windows import Window

log = logging.getLogger(__name__)

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


def _row_reader(scene: Scene, matches: Sequence[BandMatch]) -> Callable[[Window], Float32]:
    indexes = [match.index for match in matches if match.index is not None]
    return lambda window: scene.read(window, indexes)


def make_jobs(
    scene: Scene, model: Model, *, window: int | None = None, overlap: int | None = None, batch_size: int = 1
) -> tuple[SlidingJob, ...]:
    """Plan one pass per group of members that expect the same.

    Args:
        scene: What is masked.
        model: Whose members.
        window: Side of a window instead of each group's own, in pixels.
        overlap: Overlap instead of each group's own, in pixels.
        batch_size: Windows that a network gets at once, at most.

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
                read_rows=_row_reader(scene, matches),
                batch_size=batch_size,
            )
        )
    return tuple(jobs)


def strips(
    jobs: Sequence[SlidingJob], spec: ModelSpec, header: PredictionHeader, progress: Progress | None = None
) -> Iterator[Strip]:
    """Turn members' strips into finished ones; unlike a loop's variable, ``map`` keeps none of them alive."""
    return map(partial(_finished, spec=spec, header=header), slide_together(jobs, progress))


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
    proof = model.proof
    if proof is None:
        return True
    exact_jobs = _with_networks(jobs, proof.exact())
    fast, exact = [], []
    for place in _looks(scene, max(max(job.plan.window) for job in jobs)):
        fast.append(_classes(scene, place, jobs, model.spec, header))
        exact.append(_classes(scene, place, exact_jobs, model.spec, header))
    agreement, tells = agreement_of(np.concatenate(fast), np.concatenate(exact))
    if tells or agreement < SMALLEST_AGREEMENT:
        proof.keep(agreement)
    told = f"{scene.name}: {100 * agreement:.2f} % of classes with {model.precision} are those with f32"
    if agreement < SMALLEST_AGREEMENT:
        log.warning("%s, expected %.1f %%. f32 is used from here on.", told, 100 * SMALLEST_AGREEMENT)
        return False
    log.info("%s", told)
    return True


def agreement_of(fast: UInt8, exact: UInt8) -> tuple[float, bool]:
    """Give the share of valid pixels with the same class, and whether two classes or more were there to tell apart."""
    valid = exact != NODATA
    count = int(np.count_nonzero(valid))
    if not count:
        return 1.0, False
    classes = np.bincount(exact[valid])
    tells = int(np.count_nonzero(classes >= SMALLEST_CLASS * count)) > 1
    return float(np.count_nonzero((fast == exact) & valid)) / count, tells


def _looks(scene: Scene, side: int) -> list[Window]:
    """Place windows along the scene's diagonal, each once."""
    height, width = (min(side, length) for length in scene.grid.shape)
    rows = np.linspace(0, scene.grid.shape[0] - height, LOOKS, dtype=int)
    cols = np.linspace(0, scene.grid.shape[1] - width, LOOKS, dtype=int)
    places = dict.fromkeys(zip(rows.tolist(), cols.tolist(), strict=True))
    return [Window(row=row, col=col, height=height, width=width) for row, col in places]


def _classes(
    scene: Scene, place: Window, jobs: Sequence[SlidingJob], spec: ModelSpec, header: PredictionHeader
) -> UInt8:
    """Mask one window of a scene as if it were all, and give its pixels' classes in a row."""
    parts = [
        replace(job, plan=plan_windows(job.spec, place.shape), read_rows=_row_reader(crop(scene, place), job.matches))
        for job in jobs
    ]
    return np.concatenate([strip.class_map.ravel() for strip in strips(parts, spec, header)])


def _with_networks(jobs: tuple[SlidingJob, ...], model: Model) -> tuple[SlidingJob, ...]:
    return tuple(replace(job, networks=group.networks) for job, group in zip(jobs, model.groups, strict=True))


def _finished(strip: MemberStrip, *, spec: ModelSpec, header: PredictionHeader) -> Strip:
    aggregated = ensemble.aggregate(strip.members, header.aggregation, spec.classes)
    probabilities = ensemble.tempered(aggregated, spec.temperature)
    spread = ensemble.uncertainty(strip.members, probabilities, header.uncertainty_kind, spec.classes)
    class_map = ensemble.decide(probabilities, header.classes, header.thresholds, strip.valid)
    outside = ~strip.valid
    probabilities[:, outside] = np.nan
    spread[outside] = np.nan
    return Strip(
        row=strip.row,
        class_map=class_map,
        probabilities=probabilities,
        uncertainty=spread,
        partly_valid=strip.partly_valid,
    )
