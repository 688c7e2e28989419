"""First looks at scenes, and what is read of them before anybody asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from undercast.errors import SceneError, UndercastError
from undercast.model_spec import ModelSpec
from undercast.models.package import read_package
from undercast.readers import OpenOptions
from undercast.scaling import looks
from undercast.scaling.looks import EarlyPixels, Wanted, look, look_early
from undercast.scene import ArrayPixels, Scene, sampled_windows, scene_from_array
from undercast.types import Float32
from undercast.windows import Window

VALUES = np.arange(4 * 96 * 40, dtype=np.float32).reshape(4, 96, 40)


class Counted:
    """Pixels that note what is read of them."""

    def __init__(self) -> None:
        self.read_windows: list[Window] = []

    def read(self, window: Window, bands: Sequence[int]) -> Float32:
        self.read_windows.append(window)
        if window.row >= 64:
            msg = "the file ends here"
            raise SceneError(msg)
        return ArrayPixels(reflectance=VALUES).read(window, bands)


@pytest.fixture(scope="module")
def spec(package: Path) -> ModelSpec:
    return read_package(package).spec


def rows(first: int) -> Window:
    return Window(row=first, col=0, height=32, width=40)


def test_a_scene_that_cannot_be_opened_or_listed_is_found_with_the_reason(files: list[Path]) -> None:
    assert look(Wanted(name="x", source=str(files[0])), OpenOptions()).name == "scene0"
    assert isinstance(look(Wanted(name="x", source="none.tif"), OpenOptions()).scene, SceneError)
    error = UndercastError("no list")
    assert look(Wanted(name="x", source=error), OpenOptions()).scene is error


@pytest.mark.parametrize("bands", [[0, 2, 3], [3, 0], [2]])
def test_what_was_read_early_is_given_once_in_the_order_that_is_asked_for(bands: list[int]) -> None:
    source = Counted()
    pixels = EarlyPixels(source, [0, 2, 3], [rows(0), rows(32)])
    for _ in range(2):
        assert np.array_equal(pixels.read(rows(0), bands), VALUES[bands, :32])
    assert source.read_windows.count(rows(0)) == 2
    assert np.array_equal(pixels.read(rows(32), bands), VALUES[bands, 32:64])
    assert source.read_windows.count(rows(32)) == 1


def test_bands_and_windows_that_were_not_read_early_are_read() -> None:
    pixels = EarlyPixels(Counted(), [0, 2], [rows(0)])
    assert np.array_equal(pixels.read(rows(0), [1, 2]), VALUES[1:3, :32])
    assert np.array_equal(pixels.read(rows(16), [0]), VALUES[:1, 16:48])


def test_what_fails_early_is_told_where_it_is_asked_for() -> None:
    pixels = EarlyPixels(Counted(), [0], [rows(64), rows(0)])
    assert np.array_equal(pixels.read(rows(0), [0]), VALUES[:1, :32])
    with pytest.raises(SceneError, match="ends here"):
        pixels.read(rows(64), [0])


def opened(monkeypatch: pytest.MonkeyPatch, names: Sequence[str]) -> Counted:
    source = Counted()
    scene = replace(scene_from_array(VALUES[: len(names)], tuple(names), name="a"), pixels=source)
    monkeypatch.setattr("undercast.readers.open_scene", lambda *_: scene)
    return source


def test_samples_and_first_rows_are_read_early(monkeypatch: pytest.MonkeyPatch, spec: ModelSpec) -> None:
    source = opened(monkeypatch, ("blue", "green", "red", "nir"))
    found = look_early(Wanted(name="a", source="a.tif"), OpenOptions(), replace(spec, window=64))
    assert isinstance(found.scene, Scene)
    wanted = [match.index for match in spec.match(found.scene.bands) if match.index is not None]
    for first in (0, 32):
        assert np.array_equal(found.scene.read(rows(first), wanted), VALUES[wanted, first : first + 32])
    assert source.read_windows == [*dict.fromkeys(sampled_windows((96, 40))), rows(0), rows(32)]


def test_little_is_read_early_of_a_wide_scene(monkeypatch: pytest.MonkeyPatch, spec: ModelSpec) -> None:
    source = opened(monkeypatch, ("blue", "green", "red", "nir"))
    monkeypatch.setattr(looks, "MOST_EARLY_BYTES", 40 * 3 * 4 * 40)
    found = look_early(Wanted(name="a", source="a.tif"), OpenOptions(), replace(spec, window=64))
    assert isinstance(found.scene, Scene)
    found.scene.read(rows(0), [0])
    assert source.read_windows.count(rows(32)) == 0


def test_a_scene_without_the_model_s_bands_or_none_at_all_is_found_as_it_is(
    monkeypatch: pytest.MonkeyPatch, spec: ModelSpec
) -> None:
    assert isinstance(look_early(Wanted(name="a", source="none.tif"), OpenOptions(), spec).scene, SceneError)
    source = opened(monkeypatch, ("swir22",))
    found = look_early(Wanted(name="a", source="a.tif"), OpenOptions(), spec)
    assert isinstance(found.scene, Scene)
    assert found.scene.pixels is source
    assert source.read_windows == []
