"""Masking reads and gives only the area asked for, and cleans the class map in metres."""

from __future__ import annotations

import json
import runpy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from rasterio.warp import transform, transform_bounds

from undercast.bands import band_from_name
from undercast.classes import load_scheme
from undercast.errors import SceneError, UsageError
from undercast.grids import Grid
from undercast.loading import Model, load_model
from undercast.masking import MaskOptions, mask, part_of_scene, predict
from undercast.postprocessing import PostProcessing
from undercast.readers.areas import Area
from undercast.scene import ArrayPixels, PixelSource, Scene, SunAngles
from undercast.types import Float32
from undercast.windows import Window
from undercast.writers import OutputOptions

make = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "data" / "models" / "make.py")))

GRID = Grid(shape=(600, 500), transform=(10.0, 0.0, 500000.0, 0.0, -10.0, 5000000.0), crs="EPSG:32632")


@dataclass(kw_only=True)
class Watched:
    """Pixels that remember what was read."""

    pixels: PixelSource
    windows: list[Window] = field(default_factory=list)

    def read(self, window: Window, bands: Sequence[int]) -> Float32:
        self.windows.append(window)
        return self.pixels.read(window, bands)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = make.tiny_package(tmp_path_factory.mktemp("models") / "tiny")
    return load_model(folder, device="cpu")


@pytest.fixture
def watched() -> Watched:
    reflectance = np.full((3, *GRID.shape), 0.2, np.float32)
    reflectance[:, 300:320, 200:240] = 0.8
    reflectance[:, 340:350, 200:240] = 0.01
    reflectance[:, 310, 300] = 0.8
    return Watched(pixels=ArrayPixels(reflectance=reflectance))


@pytest.fixture
def scene(watched: Watched) -> Scene:
    bands = tuple(band_from_name(name) for name in ("blue", "green", "red"))
    return Scene(name="painted", bands=bands, grid=GRID, pixels=watched)


def area_of(window: Window) -> Area:
    """Give an area inside a window, away from its edges by a fifth of a pixel."""
    a, _, c, _, e, f = GRID.part(window).transform
    edges = (c + 2, f + e * window.height + 2, c + a * window.width - 2, f - 2)
    return Area(bounds=transform_bounds(GRID.crs, "EPSG:4326", *edges))


def test_an_area_gives_what_the_whole_scene_gives_there_and_reads_little_more(
    scene: Scene, watched: Watched, model: Model
) -> None:
    area = area_of(Window(row=290, col=190, height=40, width=30))
    part = predict(scene, model, MaskOptions(area=area))
    read = watched.windows.copy()
    whole = predict(scene, model)
    window = Window(row=290, col=190, height=part.class_map.shape[0], width=part.class_map.shape[1])
    assert abs(window.height - 40) <= 2
    assert abs(window.width - 30) <= 2
    np.testing.assert_array_equal(part.class_map, whole.class_map[290:][: window.height, 190:][:, : window.width])
    assert part.header.grid.transform == GRID.part(window).transform
    # 30 px of 10 m grow to 1 km or by the model's overlap, whichever is more.
    reach = max(70, model.spec.overlap) + 2
    assert min(one.row for one in read) >= 290 - reach
    assert max(one.row + one.height for one in read) <= 330 + reach
    assert min(one.col for one in read) >= 190 - reach
    assert max(one.col + one.width for one in read) <= 220 + reach


def test_files_of_an_area_lie_where_the_area_lies(tmp_path: Path, scene: Scene, model: Model) -> None:
    area = area_of(Window(row=290, col=190, height=40, width=30))
    written = mask(scene, OutputOptions(folder=tmp_path, scheme=load_scheme()), model, options=MaskOptions(area=area))
    expected = part_of_scene(scene, area).grid
    with rasterio.open(written.outputs.class_map) as raster:
        assert (raster.height, raster.width) == expected.shape
        assert tuple(raster.transform)[:6] == expected.transform
        assert raster.read(1)[15, 15] == 1
    assert written.outputs.item is not None
    item = json.loads(written.outputs.item.read_text("utf-8"))
    assert item["bbox"] == pytest.approx(area.bounds, abs=2e-3)


def test_what_lies_outside_a_geometry_is_nodata(scene: Scene, model: Model) -> None:
    west, south, east, north = area_of(Window(row=290, col=190, height=60, width=60)).bounds
    triangle = {"type": "Polygon", "coordinates": [[[west, north], [east, north], [west, south], [west, north]]]}
    part = predict(scene, model, MaskOptions(area=Area(bounds=(west, south, east, north), geometry=triangle)))
    assert part.class_map[0, 0] == 0
    assert part.class_map[-1, -1] == 255
    assert not part.valid[-1, -1]
    assert part.class_map[15, 15] == 1


def test_an_area_elsewhere_is_refused(scene: Scene, model: Model) -> None:
    with pytest.raises(SceneError, match="painted: expected an area inside the scene"):
        predict(scene, model, MaskOptions(area=Area(bounds=(0.0, 0.0, 1.0, 1.0))))


def test_a_class_map_is_cleaned_in_metres_and_says_so(tmp_path: Path, scene: Scene, model: Model) -> None:
    options = MaskOptions(postprocessing=PostProcessing(buffer_m=60.0, min_size_m2=2000.0))
    raw, clean = predict(scene, model), predict(scene, model, options)
    assert raw.class_map[310, 300] == 1
    assert not clean.class_map[290:, 290:].any()
    assert clean.class_map[294:300, 210].all()
    assert clean.class_map[293, 210] == 0
    np.testing.assert_array_equal(raw.probabilities, clean.probabilities)
    written = mask(scene, OutputOptions(folder=tmp_path, scheme=load_scheme()), model, options=options)
    with rasterio.open(written.outputs.class_map) as raster:
        assert raster.tags()["UNDERCAST_POSTPROCESSING"] == "min_size_m2=2000,buffer_m=60"
    assert written.outputs.item is not None
    told = json.loads(written.outputs.item.read_text("utf-8"))["properties"]["undercast:postprocessing"]
    assert told == {"min_size_m2": "2000", "buffer_m": "60"}


def test_shadows_are_held_against_the_scenes_own_sun_unless_told_otherwise(scene: Scene, model: Model) -> None:
    steps = PostProcessing(check_shadows=True)
    with pytest.raises(UsageError, match="--sun"):
        predict(scene, model, MaskOptions(postprocessing=steps))
    south, north = SunAngles(zenith=5.0, azimuth=180.0), SunAngles(zenith=5.0, azimuth=0.0)
    lit = replace(scene, sun=north)
    assert (predict(lit, model, MaskOptions(postprocessing=steps)).class_map == 3).sum() == 400
    told = replace(steps, sun=south)
    assert not (predict(lit, model, MaskOptions(postprocessing=told)).class_map == 3).any()


def test_near_a_pole_the_sun_is_looked_for_where_north_is(scene: Scene, model: Model) -> None:
    # On the far side of the pole from the grid's own meridian, north is down and south is up.
    (x,), (y,) = transform("EPSG:4326", "EPSG:3413", [135.0], [75.0])
    far = replace(GRID, transform=(10.0, 0.0, x, 0.0, -10.0, y), crs="EPSG:3413")
    steps = MaskOptions(postprocessing=PostProcessing(check_shadows=True))
    found = [
        (
            predict(replace(scene, grid=far, sun=SunAngles(zenith=5.0, azimuth=azimuth)), model, steps).class_map == 3
        ).sum()
        for azimuth in (180.0, 0.0)
    ]
    assert found == [400, 0]


def test_high_ground_leaves_less_room_for_clouds(tmp_path: Path, scene: Scene, model: Model) -> None:
    path = tmp_path / "dem.tif"
    profile = {"driver": "GTiff", "count": 1, "height": 60, "width": 50, "dtype": "int16", "crs": GRID.crs}
    with rasterio.open(path, "w", transform=rasterio.Affine(100, 0, 5e5, 0, -100, 5e6), **profile) as raster:
        raster.write(np.full((60, 50), 11_900, np.int16), 1)
    steps = PostProcessing(check_shadows=True, sun=SunAngles(zenith=5.0, azimuth=0.0))
    assert (predict(scene, model, MaskOptions(postprocessing=steps)).class_map == 3).any()
    high = predict(scene, model, MaskOptions(postprocessing=steps, dem=str(path)))
    assert not (high.class_map[345:] == 3).any()
