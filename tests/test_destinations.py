"""Destinations are looked at before anything is computed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from undercast.destinations import check_folder, check_new_file, check_new_package
from undercast.errors import OutputError, OutputExistsError


@pytest.mark.parametrize("below", ["", "deeper", "deeper/still"])
def test_a_file_in_the_way_of_a_folder_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"expected a folder at .*file, found something else"):
        check_folder(tmp_path / "file" / below)


def test_a_place_without_the_right_to_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The superuser may write everywhere, so the system's answer is replaced.
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != tmp_path)
    for check in (check_folder, check_new_package):
        with pytest.raises(OutputError, match="may not be written"):
            check(tmp_path / "a" / "b")
    with pytest.raises(OutputError, match="may not be written"):
        check_new_file(tmp_path / "a", overwrite=True)


def test_what_can_be_made_passes_and_nothing_is_made(tmp_path: Path) -> None:
    check_folder(tmp_path / "a")
    check_new_package(tmp_path / "a" / "b")
    check_new_file(tmp_path / "a" / "c.md", overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_a_package_is_never_replaced_not_even_a_link_to_nowhere(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    for place in (tmp_path, tmp_path / "link"):
        with pytest.raises(OutputExistsError, match="exists already"):
            check_new_package(place)


def test_a_file_is_replaced_only_where_that_is_said_and_a_folder_never(tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text("mine")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        check_new_file(tmp_path / "card.md", overwrite=False)
    check_new_file(tmp_path / "card.md", overwrite=True)
    with pytest.raises(OutputError, match="found a folder"):
        check_new_file(tmp_path, overwrite=True)
