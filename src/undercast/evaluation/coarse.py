"""Coarse references: real scenes degraded to what a coarser sensor sees, and simulated scenes of such sensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from undercast.bands import match_bands
from undercast.evaluation.references import ReferenceEntry, References, ReferenceScene, reference_scene
from undercast.scene import scene_from_array
from undercast.sensors import Sensor
from undercast.simulation.coarse import coarse_sets, seen_by, simulate_coarse
from undercast.types import FEW_PIXELS

LABELS = "simulated"
"""Kind of labels of simulated references."""


def degrade_to(reference: ReferenceScene, sensor: Sensor, gsd: float) -> ReferenceScene | None:
    """Show a reference as a coarser sensor sees it; a scene that is as coarse already changes its bands alone.

    Args:
        reference: The fine reference.
        sensor: The coarse sensor.
        gsd: Ground sample distance that is wanted, in metres; what comes out is the next multiple of the scene's own.

    Returns:
        The coarse reference, which knows cloud and what is not; None where the scene lacks a band of the sensor, does
        not tell its ground sample distance, is too coarse or too small, or nothing stays known.
    """
    if reference.gsd is None or any(match.index is None for match in match_bands(sensor.bands, reference.scene.bands)):
        return None
    factor = round(gsd / reference.gsd)
    if factor < 1:
        return None
    if min(reference.possible.shape) < FEW_PIXELS * factor - factor // 2:
        return None
    seen = seen_by(sensor, reference.scene.read(), reference.scene.bands, factor)
    possible = coarse_sets(reference.possible, factor)
    possible[~np.isfinite(seen).all(axis=0)] = 0
    if not possible.any():
        return None
    metres = factor * reference.gsd
    scene = scene_from_array(seen, sensor.bands, name=f"{reference.name} at {metres:g} m", level=reference.scene.level)
    strata = {**reference.strata, "sensor": f"{sensor.id} of {reference.strata['sensor']}", "gsd": f"{metres:g} m"}
    return reference_scene(scene, possible, strata, gsd=metres, file_hash=reference.file_hash)


def degraded_references(references: References, sensor: Sensor, gsd: float) -> References:
    """Degrade references; those that cannot be are left out, so that none may be left."""
    made = (degrade_to(reference, sensor, gsd) for reference in references)
    name = f"{references.name} as {sensor.title} at {gsd:g} m"
    return in_memory(References(name=name, entries=()), [reference for reference in made if reference is not None])


def in_memory(references: References, scenes: Iterable[ReferenceScene]) -> References:
    """Hold scenes in memory, so that each is made once however often they are walked through."""
    entries = tuple(ReferenceEntry(name=one.name, read=partial(_same, one)) for one in scenes)
    return replace(references, entries=entries)


def simulated_references(views: Sequence[tuple[Sensor, float]], *, count: int, size: int, seed: int) -> References:
    """Give simulated references of coarse sensors, made when they are read.

    Args:
        views: Sensors, each with its ground sample distance in metres.
        count: Scenes of each.
        size: Their side, in pixels.
        seed: Seed; those of a training must be others.
    """
    entries = []
    for number, (sensor, gsd) in enumerate(views):
        for index in range(count):
            name = f"{sensor.id} at {gsd:g} m, seed {seed}-{number}-{index}"
            read = partial(_simulated, sensor, gsd, size=size, seed=(seed, number, index), name=name)
            entries.append(ReferenceEntry(name=name, read=read))
    return References(name="simulated", entries=tuple(entries), label_kinds=(LABELS,))


def _simulated(sensor: Sensor, gsd: float, *, size: int, seed: tuple[int, ...], name: str) -> ReferenceScene:
    rng = np.random.default_rng(seed)
    made = simulate_coarse(sensor, size=size, gsd=gsd, seed=rng)
    strata = {"source": LABELS, "sensor": sensor.id, "labels": LABELS}
    return reference_scene(made.scene(name), made.possible, strata, gsd=gsd)


def _same(reference: ReferenceScene) -> ReferenceScene:
    return reference
