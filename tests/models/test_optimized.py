"""Converted members in the cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from undercast.errors import OutputError
from undercast.models.optimized import Optimized, find_optimized, keep_optimized, optimized_path

MADE = Optimized(onnx=b"a network", difference=1e-6)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNDERCAST_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_is_kept_is_found_for_the_same_weights_and_processor_only(cache: Path) -> None:
    path = keep_optimized("1220aa", "cpu1", MADE)
    found = find_optimized("1220aa", "cpu1")
    assert found is not None
    assert (found.onnx, found.difference) == (b"a network", 1e-6)
    assert cache in path.parents
    assert find_optimized("1220bb", "cpu1") is None
    assert find_optimized("1220aa", "cpu2") is None
    assert sorted(entry.suffix for entry in path.parent.iterdir()) == [".json", ".onnx"]


def test_a_network_that_was_changed_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    path = keep_optimized("1220aa", "cpu1", MADE)
    path.write_bytes(b"another network")
    assert find_optimized("1220aa", "cpu1") is None
    assert "does not match its record" in caplog.text


@pytest.mark.parametrize("text", ["", "{}", "[]", "1", '{"version": 1}', '{"version": 99}', "\x00"])
def test_a_damaged_record_is_no_network(text: str) -> None:
    path = keep_optimized("1220aa", "cpu1", MADE)
    path.with_suffix(".json").write_text(text)
    assert find_optimized("1220aa", "cpu1") is None


def test_a_cache_that_cannot_be_written_is_answered_with_the_way_out(cache: Path) -> None:
    cache.parent.mkdir(exist_ok=True)
    cache.write_text("in the way")
    with pytest.raises(OutputError, match=r"cannot be written: .*UNDERCAST_CACHE"):
        keep_optimized("1220aa", "cpu1", MADE)


def test_the_file_is_named_by_weights_and_processor() -> None:
    assert optimized_path("1220aa", "cpu1").name == "1220aa-cpu1.onnx"
