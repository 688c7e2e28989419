from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from undercast import readers
from undercast.errors import GridError, SceneError, SensorError, UsageError
from undercast.readers import OpenOptions, list_scenes, open_scene
from undercast.scene import Scene, scene_from_array
from undercast.sensors import load_sensor


class Sketch:
    """A reader of another package."""

    def accepts(self, source: str) -> bool:
        return source.endswith(".sketch")

    def open(self, source: str, options: OpenOptions) -> Scene:
        return scene_from_array(np.zeros((1, 8, 8)), ["red"], name=options.name or source)


SKETCH = Sketch()


def offer(monkeypatch: pytest.MonkeyPatch, *points: EntryPoint) -> None:
    monkeypatch.setattr(readers, "entry_points", lambda group: points if group == readers.ENTRY_POINTS else ())


def test_importing_the_readers_loads_nothing_heavy() -> None:
    code = "import sys, undercast.readers as r; print([m for m in ('rasterio', 'xarray') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_options_and_single_changes_come_together(rasters: Path) -> None:
    options = OpenOptions(name="mine", bands=("red", "-", "-", "-"))
    assert open_scene(rasters / "bare.tif", options).name == "mine"
    scene = open_scene(rasters / "bare.tif", options, bands=None, sensor=load_sensor("proba-v"))
    assert (scene.name, len(scene.bands)) == ("mine", 4)


def test_unknown_options_sensors_and_levels_are_refused(rasters: Path) -> None:
    with pytest.raises(UsageError, match=r"'band' is not known\. Known: bands, sensor"):
        open_scene(rasters / "bare.tif", band="red")  # type: ignore[call-arg]
    with pytest.raises(SensorError, match="'hal' is not known"):
        open_scene(rasters / "bare.tif", sensor="hal")
    with pytest.raises(UsageError, match="level must be one of toa, surface"):
        open_scene(rasters / "bare.tif", level="boa")  # type: ignore[arg-type]


def test_a_scene_stands_for_itself(rasters: Path) -> None:
    array = np.zeros((1, 8, 8))
    assert list_scenes(rasters / "bare.tif") == [rasters / "bare.tif"]
    assert list_scenes(["a.tif", "b.tif"]) == [["a.tif", "b.tif"]]
    assert list_scenes(array)[0] is array
    assert list_scenes("") == [""]


@pytest.mark.parametrize("source", [3, None, [1, 2], {"a": 1}])
def test_what_is_no_source_is_refused(source: object) -> None:
    with pytest.raises(SceneError, match="expected a path"):
        open_scene(source)  # type: ignore[arg-type]


@pytest.mark.parametrize("source", ["", "  ", []])
def test_no_source_at_all_is_refused(source: str | list[str]) -> None:
    with pytest.raises(SceneError, match="got n"):
        open_scene(source)


def test_a_dataset_is_refused_with_the_way_out() -> None:
    with pytest.raises(SceneError, match="to_dataarray"):
        open_scene(xr.Dataset())  # type: ignore[arg-type]


def test_other_packages_can_bring_readers(monkeypatch: pytest.MonkeyPatch, rasters: Path) -> None:
    monkeypatch.setitem(sys.modules, "sketch_package", sys.modules[__name__])
    offer(monkeypatch, EntryPoint("sketch", "sketch_package:SKETCH", readers.ENTRY_POINTS))
    names = [name for name, _ in readers.readers()]
    assert (names[0], names[-2:]) == ("stac", ["sketch", "raster"])
    assert open_scene("a.sketch").name == "a.sketch"
    assert open_scene(rasters / "described.tif").name == "described"


def test_a_broken_reader_of_another_package_is_named_and_passed_over(
    monkeypatch: pytest.MonkeyPatch, rasters: Path, caplog: pytest.LogCaptureFixture
) -> None:
    offer(monkeypatch, EntryPoint("broken", "no_such_package:READER", readers.ENTRY_POINTS))
    assert open_scene(rasters / "described.tif").name == "described"
    assert "reader broken (no_such_package:READER) cannot be loaded" in caplog.text


def test_a_resolution_that_a_reader_knows_nothing_of_is_refused_and_not_ignored() -> None:
    with pytest.raises(GridError, match=r"expected 20 m per pixel, got pixels without a size"):
        open_scene(np.zeros((1, 4, 4), np.float32), bands="red", resolution=20.0)
