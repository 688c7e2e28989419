"""Label files hold possible sets, say who made them, and appear whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio

from undercast.errors import LabelError, OutputExistsError, SchemeError
from undercast.grids import Grid
from undercast.types import UInt8
from undercast.weak_labels import label_files
from undercast.weak_labels.label_files import LabelFile, LabelTarget, open_labels, set_name, strips, write_labels

GRID = Grid(shape=(6, 5), transform=(10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0), crs="EPSG:32631")


def target(path: Path, *, overwrite: bool = False) -> LabelTarget:
    return LabelTarget(path=path, grid=GRID, made_by="fmask", software="test 1", overwrite=overwrite)


def test_what_is_written_is_read_back_with_its_maker_and_counts(tmp_path: Path) -> None:
    sets = np.arange(30, dtype=np.uint8).reshape(6, 5) % 16
    notes = write_labels(target(tmp_path / "a.tif"), [sets[:4], sets[4:]], lambda: {"more": 1})
    labels = open_labels(tmp_path / "a.tif")
    assert (labels.made_by, labels.scheme) == ("fmask", None)
    np.testing.assert_array_equal(labels.read(labels.grid.full), sets)
    assert notes == json.loads((tmp_path / "a.json").read_text("utf-8"))
    assert notes["more"] == 1
    assert notes["pixels"]["ignored"] == 2
    assert notes["pixels"]["open"] == 1
    assert notes["pixels"]["thick_cloud or thin_cloud"] == 2
    with rasterio.open(tmp_path / "a.tif") as raster:
        assert raster.nodata == 0
        assert raster.tags()["TIFFTAG_SOFTWARE"] == "test 1"


def test_an_error_while_writing_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken() -> Iterator[UInt8]:
        yield np.zeros((3, 5), np.uint8)
        raise LabelError("damaged")

    with pytest.raises(LabelError, match="damaged"):
        write_labels(target(tmp_path / "new" / "a.tif"), broken(), dict)
    assert list(tmp_path.iterdir()) == []


def test_existing_files_are_only_replaced_if_they_may(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("mine", "utf-8")
    sets = [np.ones((6, 5), np.uint8)]
    with pytest.raises(OutputExistsError, match=r"a\.json exists already"):
        write_labels(target(tmp_path / "a.tif"), sets, dict)
    write_labels(target(tmp_path / "a.tif", overwrite=True), sets, dict)
    assert json.loads((tmp_path / "a.json").read_text("utf-8"))["labels"] == "a.tif"


def test_class_maps_are_read_in_their_scheme(tmp_path: Path, make: SimpleNamespace) -> None:
    path = make.write_raster(tmp_path / "map.tif", np.array([[0, 1, 2], [3, 255, 0]], np.uint8))
    labels = open_labels(path, scheme="undercast")
    assert labels.read(labels.grid.full).tolist() == [[1, 2, 4], [8, 0, 1]]
    assert labels.made_by == "class map (undercast)"
    with pytest.raises(LabelError, match="expected possible sets, got another raster"):
        open_labels(path)
    with pytest.raises(SchemeError, match="'nope' is not known"):
        open_labels(path, scheme="nope")


def test_codes_that_are_none_are_refused(
    tmp_path: Path, make: SimpleNamespace, write_sets: Callable[..., LabelFile]
) -> None:
    labels = open_labels(make.write_raster(tmp_path / "map.tif", np.array([[0, 7]], np.uint8)), scheme="undercast")
    with pytest.raises(LabelError, match=r"expected codes of scheme undercast \(0, 1, 2, 3, 255\), got 7"):
        labels.read(labels.grid.full)
    path = make.write_raster(tmp_path / "sets.tif", np.array([[0, 16]], np.uint8))
    with rasterio.open(path, "r+") as raster:
        raster.update_tags(UNDERCAST_LABELS="somebody")
    labels = open_labels(path)
    with pytest.raises(LabelError, match=r"expected possible sets .*, got 16"):
        labels.read(labels.grid.full)


def test_strips_cover_every_row_once_and_see_their_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_files, "STRIP_ROWS", 4)
    grid = Grid(shape=(11, 2))
    rows = np.arange(11)
    parts = [(rows[window.rows], kept) for window, kept in strips(grid, margin=2)]
    np.testing.assert_array_equal(np.concatenate([seen[kept] for seen, kept in parts]), rows)
    assert [seen.tolist() for seen, _ in parts] == [[0, 1, 2, 3, 4, 5], [2, 3, 4, 5, 6, 7, 8, 9], [6, 7, 8, 9, 10]]


def test_sets_have_names_for_people() -> None:
    assert [set_name(value) for value in (0, 1, 6, 9, 15)] == [
        "ignored",
        "clear",
        "thick_cloud or thin_cloud",
        "clear or cloud_shadow",
        "open",
    ]
