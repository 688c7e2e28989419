"""Scenes held against what a model is for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from undercast.grids import Grid
from undercast.models.applicability import Applicability, machine_mismatch, mismatches
from undercast.scene import Scene, scene_from_array

STATED = Applicability(
    sensors=("proba-v", "VGT-1"),
    start=datetime(1998, 3, 1, tzinfo=UTC),
    end=datetime(2020, 10, 31, tzinfo=UTC),
    gsd=1000.0,
    levels=("surface",),
)

FINE = Grid(shape=(8, 8), transform=(300, 0, 0, 0, -300, 0), crs="EPSG:32631")


@pytest.fixture
def fitting() -> Scene:
    grid = Grid(shape=(8, 8), transform=(1 / 112, 0, 0, 0, -1 / 112, 0), crs="EPSG:4326", geographic=True)
    scene = scene_from_array(np.zeros((1, 8, 8)), ["red"], level="surface", grid=grid)
    return replace(scene, sensor="proba-v", acquired=datetime(2015, 6, 1, 10, tzinfo=UTC))


def test_a_scene_that_is_what_the_model_is_for_has_no_mismatch(fitting: Scene) -> None:
    assert mismatches(STATED, fitting) == ()
    assert mismatches(STATED, replace(fitting, sensor="vgt-1")) == ()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sensor": "sentinel-2"}, "sensor: expected proba-v or VGT-1, got sentinel-2"),
        (
            {"acquired": datetime(1990, 1, 2, tzinfo=UTC)},
            "date: expected from 1998-03-01 to 2020-10-31, got 1990-01-02",
        ),
        ({"acquired": datetime(2024, 5, 6)}, "date: expected from 1998-03-01 to 2020-10-31, got 2024-05-06"),  # noqa: DTZ001
        ({"grid": FINE}, "resolution: expected about 1000 m, got 300 m"),
        ({"level": "toa"}, "product level: expected surface reflectance, got toa"),
    ],
)
def test_each_mismatch_is_named(fitting: Scene, changes: dict[str, object], told: str) -> None:
    assert mismatches(STATED, replace(fitting, **changes)) == (told,)  # type: ignore[arg-type]


def test_what_either_does_not_tell_is_no_mismatch(fitting: Scene) -> None:
    unknown = replace(fitting, sensor=None, acquired=None, level=None, grid=Grid(shape=(8, 8)))
    assert mismatches(STATED, unknown) == ()
    assert mismatches(Applicability(), fitting) == ()


def test_an_open_end_bounds_nothing(fitting: Scene) -> None:
    later = replace(fitting, acquired=datetime(2030, 1, 1, tzinfo=UTC))
    assert mismatches(replace(STATED, end=None), later) == ()


@pytest.mark.parametrize(
    ("accelerator", "device", "told"),
    [
        ("cuda", "cpu", "accelerator: expected cuda, runs on cpu"),
        ("cuda", "cuda", None),
        ("amd64", "cpu", None),
        ("amd64", "cuda", "accelerator: expected amd64, runs on cuda"),
        (None, "cpu", None),
    ],
)
def test_only_an_accelerator_that_is_required_is_a_mismatch(
    accelerator: str | None, device: str, told: str | None
) -> None:
    stated = Applicability(accelerator=accelerator, accelerator_required=True)
    assert machine_mismatch(stated, device) == told
    assert machine_mismatch(replace(stated, accelerator_required=False), device) is None
