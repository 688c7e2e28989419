"""The cache folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from undercast.models.fetch.cache import cache_folder


def test_a_person_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UNDERCAST_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, ".cache/undercast"),
        ("linux", {"XDG_CACHE_HOME": "caches"}, "caches/undercast"),
        ("darwin", {}, "Library/Caches/undercast"),
        ("win32", {"LOCALAPPDATA": "local"}, "local/undercast/cache"),
    ],
)
def test_otherwise_it_is_where_the_system_has_its_caches(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, variables: dict[str, str], expected: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for name in ("UNDERCAST_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    assert cache_folder() == tmp_path / expected
