"""Many scenes on a Dask cluster: the same files as here, none lost and none twice when a worker is."""

from __future__ import annotations

import os
import pydoc
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import distributed
import numpy as np
import pytest
import rasterio
import xarray as xr

from undercast import __version__, masking
from undercast.classes import load_scheme
from undercast.errors import ClusterError, OutputError, SceneError, UnknownModelError, UsageError
from undercast.inference.processor import PROCESSORS_VARIABLE
from undercast.loading import ModelChoice
from undercast.readers import OpenOptions
from undercast.scaling import cluster, mask_cube
from undercast.scaling.cluster import Campaign, connected, mask_on_cluster
from undercast.scaling.jobs import Batch, Outcome
from undercast.scaling.looks import Wanted
from undercast.writers import OutputOptions
from undercast.writers.places import Store


@pytest.fixture(scope="module")
def client() -> Iterator[distributed.Client]:
    """A scheduler and a worker of two threads in this process."""
    options = {"processes": False, "n_workers": 1, "threads_per_worker": 2, "dashboard_address": None}
    with (
        distributed.LocalCluster(**options) as workers,
        distributed.Client(workers, set_as_default=False) as found,
    ):
        yield found


@pytest.fixture(autouse=True)
def processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers in this process set the variable; it goes with the test."""
    monkeypatch.setenv(PROCESSORS_VARIABLE, "1")


@pytest.fixture
def campaign(package: Path, tmp_path: Path) -> Campaign:
    output = OutputOptions(folder=tmp_path / "out", scheme=load_scheme(), quicklook=False)
    return campaign_of(output, package)


def campaign_of(output: OutputOptions, package: Path, **changes: Any) -> Campaign:
    batch = Batch(output=output, **changes)
    return Campaign(batch=batch, model=ModelChoice(name=package, precision="f32"), opening=OpenOptions(), retries=1)


def wanted_of(*paths: Path) -> list[Wanted]:
    return [Wanted(name=str(path), source=str(path)) for path in paths]


def statuses(outcomes: list[Outcome]) -> Counter[str]:
    return Counter(outcome.status for outcome in outcomes)


def class_map(path: Path) -> Any:
    with rasterio.open(path) as raster:
        return raster.read(1)


def test_scenes_are_masked_as_they_are_here_and_a_failure_stops_no_other(
    client: distributed.Client, campaign: Campaign, files: list[Path], tmp_path: Path
) -> None:
    outcomes = list(mask_on_cluster(wanted_of(*files[:3], tmp_path / "none.tif"), campaign, client))

    assert statuses(outcomes) == {"done": 3, "failed": 1}
    assert [str(one.error) for one in outcomes if one.error] == [f"{tmp_path}/none.tif does not exist. Check the path."]
    assert set(class_map(tmp_path / "out" / "scene1_class_map.tif")[:, :32].ravel()) == {1}
    assert not list((tmp_path / "out").glob(".*"))


def test_outputs_go_to_a_store_and_are_skipped_there(
    client: distributed.Client, files: list[Path], package: Path, tmp_path: Path
) -> None:
    output = OutputOptions(folder=tmp_path, store="memory://there", scheme=load_scheme(), quicklook=False)
    campaign = campaign_of(output, package, skip_existing=True)
    try:
        first = list(mask_on_cluster(wanted_of(*files[:2]), campaign, client))
        second = list(mask_on_cluster(wanted_of(*files[:2]), campaign, client))
        there = Store(url="memory://there").sizes(["scene0_mask.json", "scene1_class_map.tif", "scene2_mask.json"])
    finally:
        Store(url="memory://there").clear("")
    assert (statuses(first), statuses(second)) == ({"done": 2}, {"skipped": 2})
    assert [size is not None for size in there] == [True, True, False]
    assert not list(tmp_path.glob("*_mask.json"))


@pytest.mark.parametrize(("failures", "status"), [(1, "done"), (2, "failed")])
def test_a_scene_that_fails_on_reading_is_tried_again_as_often_as_was_said(
    client: distributed.Client,
    campaign: Campaign,
    files: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    failures: int,
    status: str,
) -> None:
    attempts: list[object] = []
    whole = masking.mask

    def mask(*arguments: Any, **options: Any) -> Any:
        attempts.append(1)
        if len(attempts) <= failures:
            raise SceneError("the network is away")
        return whole(*arguments, **options)

    monkeypatch.setattr(masking, "mask", mask)
    (outcome,) = mask_on_cluster(wanted_of(files[0]), campaign, client)
    assert (outcome.status, len(attempts)) == (status, 2)
    assert (str(outcome.error) == "the network is away") is (status == "failed")


def test_more_scenes_than_the_scheduler_gets_at_once_are_all_done(
    client: distributed.Client, campaign: Campaign, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "AHEAD", 1)
    assert statuses(list(mask_on_cluster(wanted_of(*files), campaign, client))) == {"done": 10}


def test_of_two_scenes_of_one_name_one_is_refused(
    client: distributed.Client, package: Path, files: list[Path], tmp_path: Path
) -> None:
    other = tmp_path / "other" / "scene0.tif"
    other.parent.mkdir()
    other.write_bytes(files[0].read_bytes())
    for skip in (False, True, True):
        output = OutputOptions(folder=tmp_path / "out", scheme=load_scheme(), quicklook=False, overwrite=not skip)
        campaign = campaign_of(output, package, skip_existing=skip)
        outcomes = list(mask_on_cluster(wanted_of(files[0], other), campaign, client))
        assert sorted(statuses(outcomes)) in (["done", "failed"], ["failed", "skipped"])


def test_a_model_that_cannot_be_loaded_ends_the_run(
    client: distributed.Client, campaign: Campaign, files: list[Path]
) -> None:
    nothing = Campaign(batch=campaign.batch, model=ModelChoice(name="none-such"), opening=OpenOptions())
    with pytest.raises(UnknownModelError, match="none-such"):
        list(mask_on_cluster(wanted_of(*files), nothing, client))


@pytest.mark.parametrize(("version", "told"), [(None, "got no undercast"), ("0.0.1", "got undercast 0.0.1")])
def test_workers_without_this_undercast_are_refused(
    client: distributed.Client,
    campaign: Campaign,
    files: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    version: str | None,
    told: str,
) -> None:
    monkeypatch.setattr(pydoc, "locate", lambda _: version)
    with pytest.raises(ClusterError, match=rf"{told} on inproc://.*pip install 'undercast\[dask\]=="):
        list(mask_on_cluster(wanted_of(*files), campaign, client))


def test_workers_that_do_not_see_the_output_folder_are_refused_and_nothing_stays(
    client: distributed.Client,
    campaign: Campaign,
    files: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def asked(_: object, function: object, __: str) -> dict[str, object]:
        return {"tcp://far": __version__ if function is pydoc.locate else False}

    monkeypatch.setattr(cluster, "_asked", asked)
    with pytest.raises(OutputError, match=r"worker tcp://far does not see .*out\. Choose an output folder"):
        list(mask_on_cluster(wanted_of(*files), campaign, client))
    assert not list((tmp_path / "out").iterdir())


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_masked(
    client: distributed.Client, package: Path, files: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    output = OutputOptions(folder=tmp_path / "file" / "out", scheme=load_scheme())
    with pytest.raises(OutputError, match="cannot write to"):
        list(mask_on_cluster(wanted_of(*files), campaign_of(output, package), client))


def test_a_scheduler_that_does_not_answer_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE_S", 0.2)
    said = r"no Dask scheduler answers at tcp://127.0.0.1:9 .*dask scheduler"
    with pytest.raises(ClusterError, match=said), connected("tcp://127.0.0.1:9"):
        pass
    with pytest.raises(UsageError, match="got --dask 'somewhere'"), connected("somewhere"):
        pass


def test_a_scene_that_kills_its_workers_fails_alone_and_says_so() -> None:
    error = distributed.scheduler.KilledWorker("mask-1", None, 3)
    future = SimpleNamespace(exception=lambda: error)
    outcome = cluster._told(future, Wanted(name="big.tif", source="big.tif"))
    assert outcome.status == "failed"
    assert "big.tif: every worker that began it was lost, 4 of them" in str(outcome.error)


def test_files_are_named_so_that_workers_in_other_folders_find_them(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files[0].parent)
    absolute = cluster._absolute
    assert absolute(Wanted(name="a", source="scene0.tif")).source == str(files[0])
    assert absolute(Wanted(name="a", source="scene0.tif#2020")).source == f"{files[0]}#2020"
    assert absolute(Wanted(name="a", source=("scene0.tif", "s3://b/c"))).source == (str(files[0]), "s3://b/c")
    error = SceneError("no")
    assert absolute(Wanted(name="a", source=error)).source is error


def test_a_cube_is_masked_by_the_workers(client: distributed.Client, campaign: Campaign) -> None:
    values = np.random.default_rng(0).random((3, 80, 70), np.float32)
    array = xr.DataArray(values, dims=("band", "y", "x"), coords={"band": ["blue", "green", "red"]})
    there = client.compute(mask_cube(array.chunk({"y": 40}), campaign.model)).result(timeout=60)
    whole = masking.predict(array, campaign.model.load())
    np.testing.assert_array_equal(there.class_map, whole.class_map)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX signals are not here")
def test_a_worker_that_is_killed_loses_no_scene_and_doubles_none(
    campaign: Campaign, files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PROCESSORS_VARIABLE)
    out = tmp_path / "out"
    published: dict[str, set[tuple[int, int]]] = {}
    end = threading.Event()

    def watch() -> None:
        """Remember every item that ever stood there, those that came just before the end too."""
        last = False
        while not last:
            last = end.wait(0.005)
            for path in out.glob("*_mask.json"):
                stat = path.stat()
                published.setdefault(path.name, set()).add((stat.st_ino, stat.st_mtime_ns))

    watcher = threading.Thread(target=watch)
    with connected("local", 2) as client:
        watcher.start()
        try:
            outcomes = []
            with closing(mask_on_cluster(wanted_of(*files), campaign, client)) as coming:
                for outcome in coming:
                    outcomes.append(outcome)
                    if len(outcomes) == 3:
                        os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
        finally:
            end.set()
            watcher.join()

    assert statuses(outcomes) == {"done": 10}
    assert {outcome.name for outcome in outcomes} == {path.stem for path in files}
    assert {name: len(seen) for name, seen in published.items()} == {f"{path.stem}_mask.json": 1 for path in files}
    assert not list(out.glob(".undercast-run-*"))
