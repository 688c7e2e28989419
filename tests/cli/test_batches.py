"""`undercast mask` over many scenes, and what CloudS2Mask's options became."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import distributed
import pytest
import rasterio

from undercast.inference.processor import PROCESSORS_VARIABLE
from undercast.models import package as packages
from undercast.scaling import cluster
from undercast.writers.places import Store

if TYPE_CHECKING:
    from click.testing import Result

PATIENCE_S = 120.0


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX signals are not here")
def test_a_batch_of_20_scenes_with_a_corrupt_one_is_killed_resumed_and_made_whole(
    cli: Callable[..., Result],
    start: Callable[..., subprocess.Popen[str]],
    scene: Path,
    package: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    scenes = [scene.with_name(f"scene{number:02}.tif") for number in range(20)]
    for path in scenes:
        shutil.copy(scene, path)
    corrupt = scenes[7]
    corrupt.write_bytes(scene.read_bytes()[:-6000])
    run = ("mask", *scenes, "-o", out, "--model", package, "--json", "--skip-existing")

    process = start(*run, "--window", "16", "--overlap", "12", "--workers", "2")
    end = time.monotonic() + PATIENCE_S
    while len(list(out.glob("*_mask.json"))) < 3 and process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    process.kill()
    process.communicate(timeout=PATIENCE_S)
    finished = {path.name: path.stat().st_mtime_ns for path in out.glob("*_mask.json")}
    assert 3 <= len(finished) < 19

    resumed = cli(*run)
    counts = Counter(told["status"] for told in lines(resumed))
    assert resumed.exit_code == 1
    assert counts == {"skipped": len(finished), "done": 19 - len(finished), "failed": 1}
    assert resumed.stderr.splitlines()[-1] == (
        f"20 scenes: {19 - len(finished)} done, {len(finished)} skipped, 1 failed."
    )
    assert [told["source"] for told in lines(resumed) if told["status"] == "failed"] == [str(corrupt)]
    assert {name: (out / name).stat().st_mtime_ns for name in finished} == finished
    assert not list(out.glob(".undercast-*"))

    shutil.copy(scene, corrupt)
    whole = cli(*run)
    assert whole.exit_code == 0
    assert [told["source"] for told in lines(whole) if told["status"] == "done"] == [str(corrupt)]
    assert len(list(out.glob("*_class_map.tif"))) == 20


def test_test_time_augmentation_is_on_record(
    cli: Callable[..., Result], scene: Path, package: Path, tmp_path: Path
) -> None:
    options = ("-o", tmp_path / "out", "--model", package, "--tta", "3", "--tta-budget", "0.5", "--json")
    told = json.loads(cli("mask", scene, *options).stdout)

    with rasterio.open(told["class_map"]) as raster:
        assert raster.tags()["UNDERCAST_TTA"] == "depth 3, budget 0.5"
    assert json.loads(Path(told["item"]).read_text())["properties"]["undercast:tta"] == "depth 3, budget 0.5"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--tta", "8"), "8 is not in the range 0<=x<=7"),
        (("--tta-budget", "1"), "--tta-budget needs --tta, got --tta-budget 1 alone. Try --tta 4 --tta-budget 1"),
        (("--ensemble", "--model", "m"), "give --model or --ensemble, not both"),
        (("--compress", "jpeg"), "'jpeg' is not one of"),
        (("--workers", "0"), "0 is not in the range x>=1"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_anything_is_written(
    cli: Callable[..., Result], scene: Path, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    result = cli("mask", scene, "-o", tmp_path / "out", *options)

    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "out").exists()


def test_the_ensemble_is_the_package_of_that_name(
    cli: Callable[..., Result],
    scene: Path,
    make: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make.tiny_package(tmp_path / "models" / "embedded")
    monkeypatch.setattr(packages, "_models_folder", lambda: tmp_path / "models")
    missing = cli("mask", scene, "-o", tmp_path / "out", "--ensemble")
    assert missing.exit_code == 2
    assert "'embedded-ensemble' does not come with undercast, and no such folder is here. Train it" in missing.stderr
    assert "--ensemble embedded-ensemble. Known: embedded." in missing.stderr

    make.tiny_package(tmp_path / "models" / "embedded-ensemble", members=3, spec=make.tiny_spec(id="embedded-ensemble"))
    options = ("-o", tmp_path / "out", "--ensemble", "--uncertainty", "std", "--json")
    assert json.loads(cli("mask", scene, *options).stdout)["model"]["id"] == "embedded-ensemble"


@pytest.mark.parametrize(("word", "stored"), [("zstd", "zstd"), ("lzw", "lzw"), ("none", None)])
def test_the_compression_is_that_asked_for(
    cli: Callable[..., Result], scene: Path, package: Path, tmp_path: Path, word: str, stored: str | None
) -> None:
    options = ("-o", tmp_path, "--model", package, "--compress", word, "--probabilities", "--json", "--no-quicklook")
    told = json.loads(cli("mask", scene, *options).stdout)

    for name in ("class_map", "probabilities"):
        with rasterio.open(told[name]) as raster:
            assert (raster.profile.get("compress") or "").lower() == (stored or "")


def test_quiet_says_nothing_but_errors_on_standard_error(
    cli: Callable[..., Result], scene: Path, package: Path, tmp_path: Path
) -> None:
    second = scene.with_name("second.tif")
    shutil.copy(scene, second)
    result = cli("-q", "mask", scene, second, "-o", tmp_path / "out", "--model", package)

    assert result.exit_code == 0
    assert result.stderr == ""


def test_the_style_has_the_colours_of_cloud_s2_mask_where_its_scheme_is_asked_for(
    cli: Callable[..., Result], scene: Path, package: Path, tmp_path: Path
) -> None:
    options = ("-o", tmp_path / "out", "--model", package, "--scheme", "clouds2mask", "--json")
    style = Path(json.loads(cli("mask", scene, *options).stdout)["style"]).read_text()

    assert all(color in style for color in ("#cfd940", "#03fcf8", "#ff5ffb", "#f2ff00"))


def test_every_scene_has_a_log_where_a_folder_for_them_is_given(
    cli: Callable[..., Result], scene: Path, package: Path, tmp_path: Path
) -> None:
    missing = tmp_path / "none such.tif"
    run = ("-o", tmp_path / "out", "--model", package, "--logs", tmp_path / "logs", "--no-quicklook")
    assert cli("mask", scene, missing, *run).exit_code == 1

    logs = {path.name: path.read_text().splitlines() for path in (tmp_path / "logs").iterdir()}
    assert "scene: begun on" in logs["scene.log"][0]
    assert logs["scene.log"][-1] == f"done: {tmp_path}/out/scene_class_map.tif"
    (name,) = logs.keys() - {"scene.log"}
    assert name.endswith("none_such.tif.log")
    assert logs[name][-1].startswith("failed: SceneError: ")


def test_logs_that_cannot_be_written_are_told(
    cli: Callable[..., Result], scene: Path, package: Path, tmp_path: Path
) -> None:
    (tmp_path / "logs" / "scene.log").mkdir(parents=True)
    result = cli("mask", scene, "-o", tmp_path / "out", "--model", package, "--logs", tmp_path / "logs")
    assert result.exit_code == 1
    assert result.stderr.startswith("OutputError: cannot write logs to")


def test_outputs_go_to_a_store(cli: Callable[..., Result], scene: Path, package: Path) -> None:
    store = Store(url="memory://cli/masks")
    try:
        run = ("mask", scene, "-o", store.url, "--model", package, "--json")
        told = json.loads(cli(*run).stdout)
        assert told["class_map"] == "memory://cli/masks/scene_class_map.tif"
        assert None not in store.sizes([told[name].rpartition("/")[2] for name in ("class_map", "quicklook", "item")])
        assert cli(*run).exit_code == 2
        assert json.loads(cli(*run, "--skip-existing").stdout)["status"] == "skipped"
    finally:
        store.clear("")


@pytest.fixture
def cluster_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cluster in this process, in place of the one that is asked for."""
    monkeypatch.setenv(PROCESSORS_VARIABLE, "1")
    options = {"processes": False, "n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0"}
    with (
        distributed.LocalCluster(**options) as workers,
        distributed.Client(workers, set_as_default=False) as client,
    ):
        monkeypatch.setattr(cluster, "connected", lambda *_: nullcontext(client))
        yield


@pytest.mark.usefixtures("cluster_here")
def test_a_cluster_gives_what_this_machine_gives(
    cli: Callable[..., Result], scene: Path, package: Path, tmp_path: Path
) -> None:
    second = scene.with_name("second.tif")
    shutil.copy(scene, second)
    given = ("--model", package, "--precision", "f32", "--json")
    here = {told["scene"]: told for told in lines(cli("mask", scene, second, "-o", tmp_path / "here", *given))}
    there = cli(
        "mask", scene, second, scene.with_name("no.tif"), "-o", tmp_path / "there", "--dask", "tcp://x:1", *given
    )
    told = {one["scene"]: one for one in lines(there)}

    assert there.exit_code == 1
    assert there.stderr.splitlines()[-1] == "3 scenes: 2 done, 0 skipped, 1 failed."
    assert {name: one["percent"] for name, one in here.items()} == {name: told[name]["percent"] for name in here}
    assert {path.name for path in (tmp_path / "here").iterdir()} == {
        path.name for path in (tmp_path / "there").iterdir()
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--retries", "1"), "--retries needs --dask"),
        (("--dask", "tcp://x:1", "--workers", "2"), "give --workers or the address of a cluster"),
        (("--dask", "somewhere"), "expected a scheduler's address such as tcp://host:8786, or local"),
    ],
)
def test_options_of_a_cluster_that_make_no_sense_are_refused(
    cli: Callable[..., Result], scene: Path, package: Path, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    result = cli("mask", scene, "-o", tmp_path / "out", "--model", package, *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "out").exists()
