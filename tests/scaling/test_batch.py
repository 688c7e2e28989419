"""Many scenes: their order, what runs at once, and what one failure or an early end leaves."""

from __future__ import annotations

import runpy
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.classes import load_scheme
from undercast.errors import BackendError, OutputExistsError, SceneError
from undercast.loading import Model, Proof, load_model
from undercast.readers import open_scene
from undercast.scaling.batch import Batch, Outcome, mask_batch, slow_first, taking_turns
from undercast.scaling.looks import Found
from undercast.scene import Scene, scene_from_array
from undercast.types import Float32
from undercast.windows import Window
from undercast.writers import OutputOptions, raster

DATA = Path(__file__).parents[1] / "data"
MODELS = SimpleNamespace(**runpy.run_path(str(DATA / "models" / "make.py")))
SCENES = SimpleNamespace(**runpy.run_path(str(DATA / "scenes" / "make.py")))
PATIENCE_S = 60.0


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(MODELS.tiny_package(tmp_path_factory.mktemp("models") / "tiny"), device="cpu", precision="f32")


def scene_of(name: str, side: int = 32) -> Scene:
    return scene_from_array(SCENES.half_cloudy(side, side), SCENES.NAMES, name=name)


def found_of(*scenes: Scene) -> list[Found]:
    return [Found(source=f"/nowhere/{scene.name}", scene=scene) for scene in scenes]


def batch_of(folder: Path, **changes: object) -> Batch:
    return Batch(output=OutputOptions(folder=folder, scheme=load_scheme(), quicklook=False), **changes)  # type: ignore[arg-type]


def statuses(outcomes: Sequence[Outcome]) -> dict[str, str]:
    return {outcome.name: outcome.status for outcome in outcomes}


@pytest.mark.parametrize("workers", [1, 3])
def test_every_scene_gets_an_outcome_and_a_failure_stops_no_other(tmp_path: Path, model: Model, workers: int) -> None:
    good = [scene_of(f"good{number}") for number in range(4)]
    dark = scene_from_array(np.full((3, 16, 16), np.nan), SCENES.NAMES, name="dark")
    found = [Found(source="missing.tif", scene=SceneError("missing.tif is not there")), *found_of(dark, *good)]
    outcomes = list(mask_batch(found, batch_of(tmp_path, workers=workers), lambda: model))

    assert statuses(outcomes) == {
        "missing.tif": "failed",
        "dark": "failed",
        **{scene.name: "done" for scene in good},
    }
    assert outcomes[0].source == "missing.tif"
    assert all((tmp_path / f"{scene.name}_class_map.tif").exists() for scene in good)
    assert not list(tmp_path.glob(".undercast-*"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Watched:
    """Pixels that tell when they are read."""

    scene: Scene
    told: Callable[[str], None]

    def read(self, window: Window, bands: Sequence[int]) -> Float32:
        self.told(self.scene.name)
        return self.scene.pixels.read(window, bands)


def test_one_scene_is_written_and_one_read_while_a_third_is_in_the_networks(
    tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the three waits for the other two: were they not at work at once, they would give up."""
    together = threading.Barrier(3)
    writing, turn = threading.Event(), threading.Lock()
    networks = 0

    def network(batch: Float32) -> Float32:
        nonlocal networks
        with turn:
            networks += 1
            number = networks
        if number > 1:
            assert writing.wait(PATIENCE_S)
        if number == 2:
            together.wait(PATIENCE_S)
        return model.networks[0](batch)

    whole = raster.write_cog

    def write_cog(*arguments: object, **options: object) -> None:
        if not writing.is_set():
            writing.set()
            together.wait(PATIENCE_S)
        whole(*arguments, **options)  # type: ignore[arg-type]

    def read(name: str) -> None:
        if name == "third" and not read_before:
            read_before.append(name)
            together.wait(PATIENCE_S)

    read_before: list[str] = []
    monkeypatch.setattr("undercast.writers.write_cog", write_cog)
    scenes = [scene_of(name) for name in ("first", "second", "third")]
    watched = [replace(scene, pixels=Watched(scene=scene, told=read)) for scene in scenes]
    load = lambda: replace(model, networks=(network,))  # noqa: E731
    outcomes = list(mask_batch(found_of(*watched), batch_of(tmp_path), load))

    assert statuses(outcomes) == {"first": "done", "second": "done", "third": "done"}


@pytest.mark.parametrize("windows", [1, 2])
def test_networks_work_for_as_many_threads_as_fill_the_device(model: Model, windows: int) -> None:
    busy = threading.Semaphore(windows)
    together = threading.Barrier(windows)

    def network(batch: Float32) -> Float32:
        assert busy.acquire(blocking=False)
        try:
            together.wait(timeout=10)  # fails unless that many are at work at once
            return model.networks[0](batch)
        finally:
            busy.release()

    exact = replace(model, networks=(network,), windows=windows)
    limited = taking_turns(replace(exact, proof=Proof(exact=lambda: exact, path=None)))
    assert limited.proof is not None
    # The networks with f32 share the turns of those that they stand in for.
    both = [*limited.networks, *limited.proof.exact().networks]
    batch = np.zeros((1, 3, 64, 64), np.float32)
    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(lambda one: one(batch), both * 32))) == 64


def test_large_scenes_come_first_and_of_equal_ones_those_stored_in_more_bytes(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name, size in {"folder/a": 10, "folder/b": 15, "light": 20, "heavy": 30}.items():
        (tmp_path / name).write_bytes(b"x" * size)
    found = [
        *found_of(scene_of("small", 8)),
        Found(source=str(tmp_path / "light"), scene=scene_of("light")),
        Found(source=str(tmp_path / "folder"), scene=scene_of("folder")),
        Found(source=f"{tmp_path}/light,{tmp_path}/heavy", scene=scene_of("two files")),
        *found_of(scene_of("large", 64)),
    ]
    assert [one.name for one in slow_first(found)] == ["large", "two files", "folder", "light", "small"]


@given(st.lists(st.integers(8, 40), max_size=8))
def test_ordering_loses_no_scene_and_puts_no_larger_one_behind(sides: list[int]) -> None:
    ordered = slow_first(found_of(*(scene_of(str(number), side) for number, side in enumerate(sides))))
    assert [one.scene.grid.shape[0] for one in ordered if isinstance(one.scene, Scene)] == sorted(sides, reverse=True)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_batch_that_is_left_early_keeps_what_is_finished_and_nothing_half_done(
    tmp_path: Path, model: Model, workers: int
) -> None:
    first_is_done, begun = threading.Event(), []

    def network(batch: Float32) -> Float32:
        begun.append(1)
        if len(begun) > 1:
            first_is_done.wait(PATIENCE_S)
        return model.networks[0](batch)

    scenes = [scene_of(f"scene{number}", 64) for number in range(12)]
    first = scene_of("first", 72)
    batch = batch_of(tmp_path, workers=workers)
    load = lambda: replace(model, networks=(network,))  # noqa: E731
    with closing(mask_batch(found_of(first, *scenes), batch, load)) as outcomes:
        first_is_done.set()
        name = next(outcomes).name

    assert (tmp_path / f"{name}_mask.json").exists()
    assert len(list(tmp_path.glob("*_mask.json"))) < len(scenes)
    assert not list(tmp_path.glob(".undercast-*"))


def test_scenes_whose_outputs_exist_are_skipped_without_the_model(tmp_path: Path, model: Model) -> None:
    found = found_of(scene_of("a"), scene_of("b"))
    list(mask_batch(found, batch_of(tmp_path), lambda: model))

    def load() -> Model:
        raise AssertionError("nothing is to be masked")

    outcomes = list(mask_batch(found, batch_of(tmp_path, skip_existing=True), load))
    assert statuses(outcomes) == {"a": "skipped", "b": "skipped"}


def test_a_scene_that_was_half_published_is_done_again(tmp_path: Path, model: Model) -> None:
    """The item is published last: a run that was killed just then leaves the others."""
    found = found_of(scene_of("a"))
    list(mask_batch(found, batch_of(tmp_path), lambda: model))
    (tmp_path / "a_mask.json").unlink()
    (tmp_path / "a_class_map.tif").write_text("of another run")
    (outcome,) = mask_batch(found, batch_of(tmp_path, skip_existing=True), lambda: model)

    assert outcome.status == "done"
    assert (tmp_path / "a_class_map.tif").stat().st_size > 100


def test_a_finished_scene_that_lacks_one_output_is_not_replaced_unasked(tmp_path: Path, model: Model) -> None:
    found = found_of(scene_of("a"))
    list(mask_batch(found, batch_of(tmp_path), lambda: model))
    batch = batch_of(tmp_path, skip_existing=True)
    (outcome,) = mask_batch(found, replace(batch, output=replace(batch.output, probabilities=True)), lambda: model)

    assert isinstance(outcome.error, OutputExistsError)


def test_a_name_that_is_no_file_name_fails_alone(tmp_path: Path, model: Model) -> None:
    found = found_of(scene_of("a/b"), scene_of("c"))
    outcomes = list(mask_batch(found, batch_of(tmp_path, skip_existing=True), lambda: model))
    assert statuses(outcomes) == {"a/b": "failed", "c": "done"}


def test_a_model_that_cannot_be_loaded_ends_the_batch(tmp_path: Path) -> None:
    def load() -> Model:
        raise BackendError("no runtime")

    with pytest.raises(BackendError, match="no runtime"):
        list(mask_batch(found_of(scene_of("a")), batch_of(tmp_path), load))


def test_files_of_a_finished_scene_are_closed(tmp_path: Path, model: Model) -> None:
    dn = np.round(SCENES.half_cloudy(32, 32) * 10_000).astype(np.uint16)
    paths = [SCENES.write_raster(tmp_path / f"{name}.tif", dn, scale=1e-4) for name in "ab"]
    found = [Found(source=str(path), scene=open_scene(path)) for path in paths]
    outcomes = list(mask_batch(found, batch_of(tmp_path / "out"), lambda: model))

    assert set(statuses(outcomes).values()) == {"done"}
    assert all(one.scene.pixels._open == {} for one in found)  # type: ignore[union-attr]


def test_each_scene_has_a_bar_of_its_own(tmp_path: Path, model: Model) -> None:
    told: dict[str, list[tuple[int, int]]] = {}

    class Bar:
        def __init__(self, title: str) -> None:
            self.title = title

        def __enter__(self) -> Callable[[int, int], None]:
            told[self.title] = []
            return lambda done, windows: told[self.title].append((done, windows))

        def __exit__(self, *error: object) -> None:
            told[self.title].append((-1, -1))

    list(mask_batch(found_of(scene_of("a"), scene_of("b")), batch_of(tmp_path), lambda: model, Bar))
    assert told == {"a": [(1, 1), (-1, -1)], "b": [(1, 1), (-1, -1)]}
