"""The hidden folder in which outputs grow, and the move to their places."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from undercast.errors import OutputError, SceneError
from undercast.writers.staging import _place, output_errors, publish, staging, sweep


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_nothing_is_left_when_the_work_inside_fails(tmp_path: Path, error: type[BaseException]) -> None:
    folder = tmp_path / "a" / "b"

    def work() -> None:
        with staging(folder, "scene") as stage:
            (stage / "half").write_text("x")
            raise error

    with pytest.raises(error):
        work()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), staging(tmp_path, "scene"):
        raise RuntimeError
    assert tmp_path.is_dir()


def test_the_staging_folder_is_hidden_beside_the_outputs_and_its_name_is_free(tmp_path: Path) -> None:
    with staging(tmp_path, "scene" * 100) as first, staging(tmp_path, "scene" * 100) as second:
        assert first != second
        assert first.parent == tmp_path
        assert first.name.startswith(".undercast-scene")


def test_a_place_where_no_folder_can_be_made_is_an_output_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write") as caught, staging(tmp_path / "file" / "x", "s"):
        pass
    assert "\n" not in str(caught.value)


def test_a_folder_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "work.txt").write_text("years")
    with staging(tmp_path, "a") as stage:
        (stage / "a").write_text("card")
        with pytest.raises(OutputError, match="expected a file or nothing"):
            publish(stage, [tmp_path / "a"])
    assert (tmp_path / "a" / "work.txt").read_text() == "years"


def test_a_full_disk_is_an_output_error_that_names_place_and_reason(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"No space left.* MB free\)") as caught, output_errors(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert str(tmp_path) in str(caught.value)


def test_other_errors_of_undercast_pass_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="broken"), output_errors(tmp_path):
        raise SceneError("broken")


def test_publishing_moves_and_replaces(tmp_path: Path) -> None:
    stage = tmp_path / "stage"
    stage.mkdir()
    for name in "ab":
        (stage / name).write_text("new")
    (tmp_path / "a").write_text("old")
    publish(stage, [tmp_path / "a", tmp_path / "b"])
    assert [(tmp_path / name).read_text() for name in "ab"] == ["new", "new"]


def test_publishing_all_or_none(tmp_path: Path) -> None:
    stage = tmp_path / "stage"
    stage.mkdir()
    for name in "ab":
        (stage / name).write_text("new")
    (tmp_path / "a").write_text("old a")
    (tmp_path / "c").write_text("old c")
    with pytest.raises(OutputError):
        publish(stage, [tmp_path / name for name in "abc"])
    assert {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()} == {
        "a": "old a",
        "c": "old c",
    }


def left_behind(folder: Path, process: int, *, place: str | None = None) -> Path:
    stage = folder / f".undercast-a-scene-{place or _place()}-{process}-ab_12"
    stage.mkdir(parents=True)
    (stage / "half").write_text("x")
    return stage


def process_that_is_gone() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_what_a_killed_process_left_behind_is_swept_by_the_next_run(tmp_path: Path) -> None:
    stage = left_behind(tmp_path, process_that_is_gone())
    with staging(tmp_path, "other"):
        assert not stage.exists()


def test_what_a_process_of_our_own_number_left_behind_is_swept(tmp_path: Path) -> None:
    """In a container every run can have the number 1."""
    stage = left_behind(tmp_path, os.getpid())
    with staging(tmp_path, "other"):
        assert not stage.exists()


def test_sweeping_leaves_alone_what_may_be_in_use(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as alive:
        kept = [
            left_behind(tmp_path, alive.pid),
            left_behind(tmp_path, process_that_is_gone(), place="00000000"),
            left_behind(tmp_path, 10**30),
        ]
        (tmp_path / ".undercast-of-another-make").mkdir()
        with staging(tmp_path, "scene") as ours, staging(tmp_path, "scene"):
            assert ours.exists()
            assert all((stage / "half").exists() for stage in kept)
        assert (tmp_path / ".undercast-of-another-make").exists()
        alive.communicate(b"\n")


def test_a_link_in_the_place_of_a_staging_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    stage = left_behind(tmp_path / "elsewhere", process_that_is_gone())
    (tmp_path / stage.name).symlink_to(tmp_path / "precious")
    sweep(tmp_path)
    assert (tmp_path / "precious").is_dir()


def test_threads_that_begin_together_do_not_sweep_each_other(tmp_path: Path) -> None:
    def work(number: int) -> bool:
        with staging(tmp_path, f"scene{number}") as stage:
            return stage.is_dir()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(64)))
    assert list(tmp_path.iterdir()) == []
