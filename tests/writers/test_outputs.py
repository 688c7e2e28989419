"""Names of outputs, and refusing them before anything is computed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from undercast.errors import OutputError, OutputExistsError
from undercast.writers import OutputOptions, check_free, planned


def test_outputs_are_named_after_the_scene_and_the_item_comes_last(everything: OutputOptions) -> None:
    names = [(name, path.name) for name, path in planned(everything, "S2A_x.y").named()]
    assert names == [
        ("class_map", "S2A_x.y_class_map.tif"),
        ("probabilities", "S2A_x.y_probabilities.tif"),
        ("uncertainty", "S2A_x.y_uncertainty.tif"),
        ("quicklook", "S2A_x.y_quicklook.png"),
        ("style", "S2A_x.y_class_map.qml"),
        ("item", "S2A_x.y_mask.json"),
    ]


def test_what_is_not_asked_for_has_no_place(options: OutputOptions) -> None:
    bare = replace(options, item=False, qml=False, quicklook=False)
    assert [name for name, _ in planned(bare, "s").named()] == ["class_map"]


@pytest.mark.parametrize("name", ["", "a/b", ".", "/etc/x", "a\0b"])
def test_a_scene_name_that_would_leave_the_folder_is_refused(options: OutputOptions, name: str) -> None:
    with pytest.raises(OutputError, match="scene name"):
        planned(options, name)


def test_checking_makes_nothing(options: OutputOptions) -> None:
    check_free(options, "s")
    assert not options.folder.exists()


@pytest.mark.parametrize("name", ["s_class_map.tif", "s_mask.json", "s_quicklook.png", "s_class_map.qml"])
def test_an_output_that_exists_is_refused_with_the_way_out(options: OutputOptions, name: str) -> None:
    options.folder.mkdir()
    (options.folder / name).touch()
    with pytest.raises(OutputExistsError, match=r"--overwrite") as caught:
        check_free(options, "s")
    assert caught.value.exit_status == 2
    check_free(replace(options, overwrite=True), "s")


def test_an_output_that_is_not_asked_for_may_exist(options: OutputOptions) -> None:
    options.folder.mkdir()
    (options.folder / "s_probabilities.tif").touch()
    check_free(options, "s")


def test_a_link_to_nowhere_counts_as_existing(options: OutputOptions) -> None:
    options.folder.mkdir()
    (options.folder / "s_class_map.tif").symlink_to("nowhere")
    with pytest.raises(OutputExistsError):
        check_free(options, "s")


def test_a_folder_in_an_outputs_place_is_refused_even_when_overwriting(options: OutputOptions) -> None:
    (options.folder / "s_class_map.tif").mkdir(parents=True)
    with pytest.raises(OutputError, match="found a folder"):
        check_free(replace(options, overwrite=True), "s")


@pytest.mark.parametrize("below", ["", "deeper", "deeper/still"])
def test_a_file_in_the_folders_place_is_refused(options: OutputOptions, below: str) -> None:
    options.folder.touch()
    with pytest.raises(OutputError, match="expected a folder") as caught:
        check_free(replace(options, folder=options.folder / below), "s")
    assert not isinstance(caught.value, OutputExistsError)


def test_a_folder_without_the_right_to_write_is_refused(
    options: OutputOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The superuser may write everywhere, so the system's answer is replaced.
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != options.folder.parent)
    with pytest.raises(OutputError, match="may not be written"):
        check_free(options, "s")
