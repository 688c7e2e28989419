"""What the machine computes with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from undercast.errors import UsageError
from undercast.inference import processor
from undercast.inference.processor import PROCESSORS_VARIABLE, processor_flags, processor_key, processors

TOLD = "processor : 0\nmodel name\t: Some Processor 7\nflags\t\t: fpu avx2 avx512f\n\nprocessor : 1\nflags : none\n"


@pytest.fixture
def cpuinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cpuinfo"
    path.write_text(TOLD)
    monkeypatch.setattr(processor, "CPUINFO", path)
    return path


@pytest.mark.parametrize(("asked", "count"), [("2", 2), ("9", 3)])
def test_no_more_threads_than_the_person_says(monkeypatch: pytest.MonkeyPatch, asked: str, count: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    monkeypatch.setenv(PROCESSORS_VARIABLE, asked)
    assert processors() == count


@pytest.mark.parametrize("asked", ["", "0", "two", "-1", "1.5"])
def test_a_number_of_threads_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    monkeypatch.setenv(PROCESSORS_VARIABLE, asked)
    with pytest.raises(UsageError, match="UNDERCAST_PROCESSORS: expected a whole number above 0"):
        processors()


def test_as_many_threads_as_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert processors() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processors() == 1


def test_instruction_sets_are_those_of_the_first_processor(cpuinfo: Path) -> None:
    assert processor_flags.__wrapped__() == {"fpu", "avx2", "avx512f"}


def test_the_key_differs_between_processors_and_is_the_same_for_one(
    cpuinfo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "processor_flags", processor_flags.__wrapped__)
    first = processor_key.__wrapped__()
    assert processor_key.__wrapped__() == first
    cpuinfo.write_text(TOLD.replace("avx512f", "avx512f amx_bf16"))
    assert processor_key.__wrapped__() != first


def test_a_system_that_does_not_tell_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "nothing")
    assert processor_flags.__wrapped__() == frozenset()
    assert len(processor_key.__wrapped__()) == 16
