"""Ctrl-C, SIGTERM and SIGKILL in the middle of a run."""

from __future__ import annotations

import json
import runpy
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

SCENES = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "scenes" / "make.py")))
half_cloudy = SCENES.half_cloudy
write_raster = SCENES.write_raster
PATIENCE_S = 120.0
SLOWLY = ("--window", "8", "--overlap", "7", "--probabilities")
"""A quarter of a million windows: far more than are done before the signal comes."""

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="POSIX signals are not here")


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path: Path = write_raster(tmp_path / "large.tif", half_cloudy(512, 512))
    return path


def wait_until_it_writes(process: subprocess.Popen[str], out: Path) -> None:
    """Wait until rows have reached the disk."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        if any(path.is_file() and path.stat().st_size for path in out.rglob("*")):
            return
        time.sleep(0.01)
    pytest.fail(f"the run wrote nothing before it ended with {process.poll()}")


@pytest.mark.parametrize(
    ("number", "status", "said"),
    [
        (signal.SIGINT, 130, "Interrupted: nothing half-written.\n"),
        (signal.SIGTERM, 143, ""),
        (getattr(signal, "SIGHUP", None), 129, ""),
    ],
    ids=["Ctrl-C", "SIGTERM", "SIGHUP"],
)
def test_a_signal_in_the_middle_leaves_nothing(
    start: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
    large: Path,
    package: Path,
    number: signal.Signals,
    status: int,
    said: str,
) -> None:
    out = tmp_path / "out"
    process = start("mask", large, "-o", out, "--model", package, "--json", *SLOWLY)
    wait_until_it_writes(process, out)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=PATIENCE_S)

    assert (process.returncode, stdout, stderr) == (status, "", said)
    assert not out.exists()


def test_after_a_kill_there_is_no_output_and_the_next_run_works(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path, large: Path, package: Path
) -> None:
    out = tmp_path / "out"
    process = start("mask", large, "-o", out, "--model", package, *SLOWLY)
    wait_until_it_writes(process, out)
    process.kill()
    process.communicate(timeout=PATIENCE_S)

    assert process.returncode == -signal.SIGKILL
    assert [path.name for path in out.iterdir() if not path.name.startswith(".undercast-")] == []

    again = start("mask", large, "-o", out, "--model", package, "--json")
    stdout, stderr = again.communicate(timeout=PATIENCE_S)

    assert (again.returncode, stderr) == (0, "")
    assert json.loads(stdout)["status"] == "done"
    assert not list(out.glob(".undercast-*"))


def test_ctrl_c_between_scenes_keeps_what_is_finished(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path, large: Path, package: Path
) -> None:
    first = write_raster(tmp_path / "first.tif", half_cloudy(16, 16))
    out = tmp_path / "out"
    process = start("mask", first, large, "-o", out, "--model", package, "--json", *SLOWLY)
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 130
    assert {path.name for path in out.iterdir()} == {
        Path(told[name]).name for name in ("class_map", "probabilities", "quicklook", "style", "item")
    }
