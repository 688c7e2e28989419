from __future__ import annotations

import hashlib
import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from undercast.errors import UndercastError
from undercast.evaluation.manifest import file_hash
from undercast.lifecycle.new_scenes import find_scenes, hash_files
from undercast.readers import OpenOptions

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Workshop

DRAWN = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "references" / "make.py")))


def raster(path: Path, *, bands: int = 3) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    written: Path = DRAWN.write_raster(path, DRAWN.scene_of(DRAWN.stripes(), seed=1)[:bands])
    return written


def test_a_file_is_a_scene_known_by_the_hash_of_its_bytes(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif")
    (scene,) = (opened() for opened in find_scenes([str(path)]))
    assert (scene.scene.name, scene.sha256, scene.file_sha256) == ("a", file_hash(path), None)


def test_a_folder_of_rasters_holds_scenes_and_what_lies_beside_them_is_left_alone(tmp_path: Path) -> None:
    for name in ("b.tif", "a.tif", "deeper/c.tif"):
        raster(tmp_path / "scenes" / name)
    (tmp_path / "scenes" / "README.md").write_text("notes")
    (tmp_path / "scenes" / ".hidden.tif").write_text("")
    names = [opened().scene.name for opened in find_scenes([str(tmp_path / "scenes")])]
    assert names == ["a", "b", "c"]


def test_a_folder_of_bands_is_one_scene(tmp_path: Path) -> None:
    layers = DRAWN.scene_of(DRAWN.stripes(), seed=1)
    for name, layer in zip(("green", "red"), layers[:2], strict=True):
        path = tmp_path / "scene" / f"x_{name}.tif"
        path.parent.mkdir(exist_ok=True)
        DRAWN.write_raster(path, layer[None])
    (opened,) = (opened() for opened in find_scenes([str(tmp_path / "scene")]))
    assert [band.common_name for band in opened.scene.bands] == ["green", "red"]
    assert opened.sha256 == hash_files(tmp_path / "scene")


def test_labelled_chips_are_known_by_content_and_by_file(workshop: Workshop) -> None:
    chips = workshop.chips("a", 2)
    first, _ = (opened() for opened in find_scenes([str(chips)]))
    assert first.file_sha256 == file_hash(chips / "a_0.npz")
    assert first.sha256 != first.file_sha256


def test_what_a_file_does_not_say_is_taken_from_the_options(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", bands=2)
    (opened,) = find_scenes([str(path)], OpenOptions(bands=("red", "nir")))
    assert [band.common_name for band in opened().scene.bands] == ["red", "nir"]


def test_the_hash_of_a_folder_depends_on_names_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(b"1")
    lines = f"x {hashlib.sha256(b'1').hexdigest()}"
    assert hash_files(tmp_path / "a") == hashlib.sha256(lines.encode()).hexdigest()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert hash_files(tmp_path / "b") == hash_files(tmp_path / "a")
    (tmp_path / "b" / "x").rename(tmp_path / "b" / "y")
    assert hash_files(tmp_path / "b") != hash_files(tmp_path / "a")


@pytest.mark.parametrize("name", ["missing", "empty", "https://example.org/scene.tif"])
def test_a_place_without_scenes_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    place = name if "://" in name else str(tmp_path / name)
    with pytest.raises(UndercastError, match="expected"):
        find_scenes([place])


def test_a_damaged_file_is_told_when_it_is_opened(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif")
    path.write_bytes(np.zeros(100, np.uint8).tobytes())
    (opened,) = find_scenes([str(path)])
    with pytest.raises(UndercastError, match=r"a\.tif"):
        opened()
