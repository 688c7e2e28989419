"""Runs side by side are all done, one that fails spoils no other, and their outcome is that of one after the other."""

from __future__ import annotations

import logging
import multiprocessing
import os
from functools import partial
from pathlib import Path

import pytest
import torch

from undercast.errors import UsageError
from undercast.training.side_by_side import side_by_side


def leave(path: Path) -> None:
    path.write_text(f"{os.getpid()} {torch.get_num_threads()}")


def fail() -> None:
    raise SystemExit(3)


def test_each_is_done_in_a_process_of_its_own_on_one_core(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(5)]
    side_by_side([partial(leave, path) for path in paths], 2)
    told = [path.read_text().split() for path in paths]
    assert len({process for process, _ in told} | {str(os.getpid())}) == 6
    assert {threads for _, threads in told} == {"1"}


def test_one_that_fails_is_told_of_and_the_others_are_done(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        side_by_side([fail, partial(leave, tmp_path / "other")], 1)
    assert (tmp_path / "other").exists()
    assert [record.getMessage() for record in caplog.records] == [
        "a training ended with status 3; it is gone on with alone"
    ]


def test_a_system_that_cannot_fork_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    with pytest.raises(UsageError, match="leave out --jobs"):
        side_by_side([], 2)
