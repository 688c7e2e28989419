"""What is done for one scene of many: what counts as done, what may be replaced, what is kept of what was said."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from undercast.classes import load_scheme
from undercast.errors import BandError, OutputExistsError, SceneError
from undercast.loading import Model, load_model
from undercast.scaling.jobs import LEDGER, Batch, Outcome, attempt, known_before, nothing_drawn
from undercast.scaling.looks import Found
from undercast.scene import scene_from_array
from undercast.writers import OutputOptions


@pytest.fixture(scope="module")
def model(package: Path) -> Model:
    return load_model(package, precision="f32")


def found_of(name: str = "a") -> Found:
    values = np.linspace(0.1, 0.9, 3 * 32 * 32, dtype=np.float32).reshape(3, 32, 32)
    return Found(source=f"/nowhere/{name}", scene=scene_from_array(values, ("blue", "green", "red"), name=name))


def batch_of(folder: Path, *, run: str | None = None, overwrite: bool = False, skip_existing: bool = False) -> Batch:
    output = OutputOptions(folder=folder, scheme=load_scheme(), quicklook=False, run=run, overwrite=overwrite)
    return Batch(output=output, skip_existing=skip_existing)


def masked(one: Found, batch: Batch, model: Model) -> Outcome:
    return known_before(one, batch) or attempt(one, batch, model, nothing_drawn, lambda: None)


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_a_lost_worker_had_finished_is_done_and_is_not_done_again(
    tmp_path: Path, model: Model, overwrite: bool
) -> None:
    batch = batch_of(tmp_path, run="r/1", overwrite=overwrite)
    assert masked(found_of(), batch, model).result is not None
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = masked(found_of(), batch, model)

    assert (again.status, again.result) == ("done", None)
    assert again.existing is not None
    assert again.existing.class_map == tmp_path / "a_class_map.tif"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_a_worker_that_comes_late_finds_the_scene_done(tmp_path: Path, model: Model) -> None:
    """Another attempt publishes while the first is at work, which was believed lost and is not."""
    batch = batch_of(tmp_path, run="r/1", overwrite=True)
    others: list[Outcome] = []

    def meanwhile() -> None:
        if not others:
            others.append(masked(found_of(), batch, model))

    late = attempt(found_of(), batch, model, nothing_drawn, meanwhile)
    assert (others[0].status, late.status, late.result) == ("done", "done", None)


def test_what_a_lost_worker_left_half_published_is_replaced(tmp_path: Path, model: Model) -> None:
    batch = batch_of(tmp_path, run="r/1")
    masked(found_of(), batch, model)
    (tmp_path / "a_mask.json").unlink()
    (tmp_path / "a_class_map.tif").write_text("of the lost worker")

    assert masked(found_of(), batch, model).status == "done"
    assert (tmp_path / "a_class_map.tif").stat().st_size > 100
    assert (tmp_path / f"{LEDGER}r" / "1").read_text() == "a"


def test_a_file_that_stood_there_before_the_run_is_not_replaced_unasked(tmp_path: Path, model: Model) -> None:
    (tmp_path / "a_class_map.tif").write_text("of somebody else")
    batch = batch_of(tmp_path, run="r/1")
    for _ in range(2):
        assert isinstance(masked(found_of(), batch, model).error, OutputExistsError)
    assert (tmp_path / "a_class_map.tif").read_text() == "of somebody else"


@pytest.mark.parametrize(("overwrite", "skip"), [(False, False), (True, False), (False, True)])
def test_two_scenes_of_one_name_in_a_run_are_not_taken_for_one(
    tmp_path: Path, model: Model, overwrite: bool, skip: bool
) -> None:
    batches = [batch_of(tmp_path, run=f"r/{n}", overwrite=overwrite, skip_existing=skip) for n in (1, 2)]
    first, second = (masked(found_of(), batch, model) for batch in batches)
    assert first.status == "done"
    assert isinstance(second.error, OutputExistsError)
    assert "from another scene of that name" in str(second.error)


def test_another_run_replaces_where_it_may(tmp_path: Path, model: Model) -> None:
    masked(found_of(), batch_of(tmp_path, run="one/1"), model)
    assert isinstance(masked(found_of(), batch_of(tmp_path, run="two/1"), model).error, OutputExistsError)
    assert masked(found_of(), batch_of(tmp_path, run="three/1", overwrite=True), model).result is not None
    properties = json.loads((tmp_path / "a_mask.json").read_text())["properties"]
    assert properties["undercast:run"] == "three/1"


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"assets": {}, "properties": []}'])
def test_outputs_that_a_power_cut_damaged_are_done_again(tmp_path: Path, model: Model, damage: str) -> None:
    batch = batch_of(tmp_path, skip_existing=True)
    masked(found_of(), batch, model)
    assert masked(found_of(), batch, model).status == "skipped"
    (tmp_path / "a_class_map.tif").write_bytes(b"")
    assert masked(found_of(), batch, model).status == "done"
    if damage != '{"assets": {}, "properties": []}':
        (tmp_path / "a_mask.json").write_text(damage)
        assert masked(found_of(), batch, model).status == "done"


def test_what_is_said_while_a_scene_is_at_work_is_kept_where_it_is_wanted(tmp_path: Path, model: Model) -> None:
    logger = logging.getLogger("undercast")
    logger.setLevel(logging.INFO)
    try:
        kept = masked(found_of(), replace(batch_of(tmp_path), logs=True), model)
        failed = masked(found_of(), replace(batch_of(tmp_path), logs=True), model)
    finally:
        logger.setLevel(logging.NOTSET)
    assert "INFO a: begun on" in kept.log[0]
    assert "INFO a: done in" in kept.log[-1]
    assert "failed: " in failed.log[-1]
    assert masked(found_of("b"), batch_of(tmp_path), model).log == ()


@pytest.mark.parametrize(
    ("error", "passes"),
    [(SceneError("cut"), True), (OSError("away"), True), (OutputExistsError("there"), False), (BandError("no"), False)],
)
def test_only_failures_of_reading_and_writing_may_pass(error: Exception, passes: bool) -> None:
    assert Outcome(source="a", name="a", status="failed", error=error).may_pass is passes


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(attempts=st.lists(st.sampled_from(["whole", "published by half", "killed"]), max_size=3))
def test_a_scene_is_masked_again_only_where_its_worker_was_lost_before_it_was_whole(
    tmp_path_factory: pytest.TempPathFactory, model: Model, attempts: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("out")
    batch = batch_of(folder, run="r/1")
    there = False
    for fate in [*attempts, "whole"]:
        outcome = masked(found_of(), batch, model)
        assert outcome.status == "done"
        assert (outcome.result is None) is there
        there = fate == "whole"
        if fate == "published by half":
            (folder / "a_mask.json").unlink()
        elif fate == "killed":
            for path in folder.glob("a_*"):
                path.unlink()
    assert (folder / "a_mask.json").exists()
