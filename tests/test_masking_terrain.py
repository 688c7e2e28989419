"""A model that takes terrain is told what the elevation knows, and the outputs say what that was."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from rasterio.warp import transform, transform_bounds

from undercast.errors import GridError, SceneError
from undercast.grids import Grid
from undercast.loading import Model, load_model
from undercast.masking import MaskOptions, predict
from undercast.postprocessing import PostProcessing
from undercast.readers.areas import Area
from undercast.scene import Scene, SunAngles, scene_from_array
from undercast.terrain import terrain_of
from undercast.types import TERRAIN_LAYERS, Float32

make = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "data" / "models" / "make.py")))

GRID = Grid(shape=(96, 64), transform=(10.0, 0.0, 500000.0, 0.0, -10.0, 5000000.0), crs="EPSG:32632")


class Recorder:
    """A network that says clear, and keeps what it was given."""

    def __init__(self) -> None:
        self.given: list[Float32] = []

    def __call__(self, batch: Float32) -> Float32:
        self.given.append(batch.copy())
        out = np.zeros((len(batch), 4, *batch.shape[2:]), np.float32)
        out[:, 0] = 1.0
        return out


@pytest.fixture
def scene() -> Scene:
    reflectance = np.full((3, *GRID.shape), 0.2, np.float32)
    sun = SunAngles(zenith=40.0, azimuth=90.0)
    return replace(scene_from_array(reflectance, ("blue", "green", "red"), level="toa", grid=GRID), sun=sun)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def model(tmp_path: Path, recorder: Recorder) -> Model:
    loaded = load_model(make.tiny_package(tmp_path / "tiny"), device="cpu", precision="f32")
    spec = replace(loaded.spec, terrain=TERRAIN_LAYERS, window=64, overlap=16)
    return replace(loaded, package=replace(loaded.package, spec=spec), networks=(recorder,))


def dem(path: Path, *, known_rows: int = 104, east: float = 0.0, grid: Grid = GRID) -> str:
    """Write a plane that rises 0.2 m per metre to the east, with holes below some row."""
    metres = np.repeat((1000 + 2.0 * np.arange(80, dtype=np.float32))[None], 112, axis=0)
    metres[8 + known_rows :] = -9999
    profile = {"driver": "GTiff", "count": 1, "height": 112, "width": 80, "dtype": "float32", "nodata": -9999}
    place = rasterio.Affine(10, 0, grid.transform[2] - 80 + east, 0, -10, grid.transform[5] + 80)
    with rasterio.open(path, "w", crs=grid.crs, transform=place, **profile) as raster:
        raster.write(metres, 1)
    return str(path)


def test_without_elevation_the_network_is_told_that_there_is_none(
    scene: Scene, model: Model, recorder: Recorder
) -> None:
    prediction = predict(scene, model)
    assert prediction.header.absent[-3:] == TERRAIN_LAYERS
    assert all((batch[:, -3:] == -1).all() for batch in recorder.given)


def test_with_elevation_the_network_gets_it_with_slope_and_light(
    tmp_path: Path, scene: Scene, model: Model, recorder: Recorder
) -> None:
    prediction = predict(scene, model, MaskOptions(dem=dem(tmp_path / "dem.tif")))
    assert prediction.header.bands["slope"] == "dem (100.0 %)"
    assert not set(TERRAIN_LAYERS) & set(prediction.header.absent)
    assert prediction.header.warnings == ()
    slope = np.sin(np.radians(40)) * 0.2
    for batch in recorder.given:
        np.testing.assert_allclose(batch[:, -2], 0.2, atol=1e-3)
        np.testing.assert_allclose(batch[:, -1], (np.cos(np.radians(40)) - slope) / np.sqrt(1.04), atol=1e-3)
    assert recorder.given[0][0, -3, 0, 0] == pytest.approx(1.016, abs=2e-3)


def test_near_a_pole_the_sun_meets_the_slope_from_where_north_is(
    tmp_path: Path, scene: Scene, model: Model, recorder: Recorder
) -> None:
    (x,), (y,) = transform("EPSG:4326", "EPSG:3413", [135.0], [75.0])
    far = replace(GRID, transform=(10.0, 0.0, x, 0.0, -10.0, y), crs="EPSG:3413")
    options = MaskOptions(dem=dem(tmp_path / "dem.tif", grid=far))
    predict(replace(scene, grid=far), model, options)
    in_the_east = recorder.given[0][0, -1].mean()
    recorder.given.clear()
    # There the east of the earth is the grid's west.
    predict(replace(scene, grid=far, sun=SunAngles(zenith=40.0, azimuth=270.0)), model, options)
    assert in_the_east > 0.85
    assert recorder.given[0][0, -1].mean() < 0.65


def test_holes_are_absent_where_they_are_and_told(
    tmp_path: Path, scene: Scene, model: Model, recorder: Recorder
) -> None:
    options = MaskOptions(dem=dem(tmp_path / "dem.tif", known_rows=48), window=model.spec.window)
    prediction = predict(scene, model, options)
    (warning,) = prediction.header.warnings
    assert "dem has no height for 50.0 % of it" in warning
    assert prediction.header.bands["elevation"] == "dem (50.0 %)"
    assert prediction.valid.all()
    lower = next(window for window in np.concatenate(recorder.given) if (window[-3:, -32:] == -1).all())
    assert (lower[-3:, :8] > 0).all()


def test_a_scene_whose_sun_is_not_known_gets_elevation_and_slope(
    tmp_path: Path, scene: Scene, model: Model, recorder: Recorder
) -> None:
    dark = replace(scene, sun=None)
    options = MaskOptions(dem=dem(tmp_path / "dem.tif"))
    prediction = predict(dark, model, options)
    assert prediction.header.absent[-1] == "sun_cosine"
    assert "--sun" in prediction.header.warnings[0]
    assert (recorder.given[0][:, -1] == -1).all()
    steps = PostProcessing(sun=SunAngles(zenith=10.0, azimuth=0.0))
    assert predict(dark, model, replace(options, postprocessing=steps)).header.warnings == ()


def test_heights_and_a_sun_that_nothing_uses_are_told(tmp_path: Path, scene: Scene, model: Model) -> None:
    plain = replace(model.package, spec=replace(model.package.spec, terrain=()))
    blind = replace(model, package=plain)
    steps = PostProcessing(sun=SunAngles(zenith=10.0, azimuth=0.0))
    options = MaskOptions(dem=dem(tmp_path / "dem.tif"), postprocessing=steps)
    told = "not used, because model 'tiny' takes no terrain and --check-shadows is not asked for"
    assert predict(scene, blind, options).header.warnings == (f"--dem and --sun: {told}",)
    assert predict(scene, blind, MaskOptions(dem=options.dem)).header.warnings == (f"--dem: {told}",)
    assert "no --dem is given" in predict(scene, model, MaskOptions(postprocessing=steps)).header.warnings[0]
    checked = replace(options, postprocessing=replace(steps, check_shadows=True))
    assert predict(scene, blind, checked).header.warnings == ()


def test_elevation_of_another_place_and_a_scene_without_place_are_refused(
    tmp_path: Path, scene: Scene, model: Model
) -> None:
    with pytest.raises(SceneError, match="it is of another place"):
        predict(scene, model, MaskOptions(dem=dem(tmp_path / "dem.tif", east=1e5)))
    with pytest.raises(GridError, match="without CRS"):
        predict(replace(scene, grid=Grid(shape=GRID.shape)), model, MaskOptions(dem=str(tmp_path / "dem.tif")))


def test_an_area_is_told_the_terrain_that_the_whole_is_told(
    tmp_path: Path, scene: Scene, model: Model, recorder: Recorder
) -> None:
    area = Area(bounds=transform_bounds(GRID.crs, "EPSG:4326", 500100, 4999500, 500400, 4999900))
    options = MaskOptions(dem=dem(tmp_path / "dem.tif"), area=area)
    predict(scene, model, options)
    np.testing.assert_allclose(recorder.given[0][:, -2], 0.2, atol=1e-3)


def test_the_ground_of_a_scene_in_memory_is_given_as_that_of_a_raster(
    tmp_path: Path, scene: Scene, model: Model, recorder: Recorder
) -> None:
    metres = np.repeat((1000 + 2.0 * np.arange(8, 72, dtype=np.float32))[None], GRID.shape[0], axis=0)
    predict(scene, model, MaskOptions(dem=dem(tmp_path / "dem.tif")))
    of_raster, recorder.given[:] = list(recorder.given), []
    prediction = predict(scene, model, terrain=terrain_of(metres, 10.0, scene.sun))
    assert prediction.header.bands["elevation"] == "of the scene"
    for one, other in zip(of_raster, recorder.given, strict=True):
        np.testing.assert_allclose(one[:, 1:], other[:, 1:], atol=1e-3)


def test_the_ground_of_a_scene_without_a_sun_has_no_light(scene: Scene, model: Model, recorder: Recorder) -> None:
    prediction = predict(scene, model, terrain=terrain_of(np.full(GRID.shape, 500.0, np.float32), 10.0, None))
    assert "sun_cosine" in prediction.header.absent
    assert all((batch[:, -1] == -1).all() and (batch[:, -2] == 0).all() for batch in recorder.given)


def test_of_an_area_the_ground_is_that_under_it(scene: Scene, model: Model, recorder: Recorder) -> None:
    rows = np.repeat(1000.0 * np.arange(GRID.shape[0], dtype=np.float32)[:, None], GRID.shape[1], axis=1)
    area = Area(bounds=transform_bounds(GRID.crs, "EPSG:4326", 500100, 4999060, 500400, 4999160))
    predict(scene, model, MaskOptions(area=area), terrain=terrain_of(rows, 10.0, scene.sun))
    lowest = max(float(batch[:, -3].max()) for batch in recorder.given)
    assert lowest == GRID.shape[0] - 1
