"""`undercast mask` over many scenes, and what CloudS2Mask's options became."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import rasterio

from undercast.models import package as packages

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
        (("--tta-budget", "1"), "budget must lie in (0, depth], got 1 with depth 0"),
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
    assert "'embedded-ensemble' is not known. Known: embedded" in missing.stderr

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
