from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from undercast.errors import BandError, SceneError
from undercast.prediction import ModelIdentity, Prediction, PredictionHeader
from undercast.radiometry import Scaling
from undercast.readers import open_scene
from undercast.readers.array import like
from undercast.windows import Window

DN = np.arange(1, 2 * 8 * 9 + 1, dtype=np.int16).reshape(2, 8, 9)
REFLECTANCE = DN.astype(np.float32) * np.float32(1e-4)


def cube(**changes: Any) -> xr.DataArray:
    coords = {
        "band": ["red", "nir"],
        "y": 4.6e6 - 5.0 - 10.0 * np.arange(8),
        "x": 5e5 + 5.0 + 10.0 * np.arange(9),
        "spatial_ref": xr.Variable((), 0, {"crs_wkt": 'PROJCRS["WGS 84 / UTM zone 31N"]'}),
    }
    return xr.DataArray(REFLECTANCE, dims=("band", "y", "x"), coords=coords, name="s2", **changes)


def prediction(shape: tuple[int, int] = (8, 9)) -> Prediction:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(4), shape).transpose(2, 0, 1).astype(np.float32)
    scene = open_scene(REFLECTANCE, bands="red,nir")
    return Prediction(
        header=PredictionHeader(scene="s2", grid=scene.grid, model=ModelIdentity(id="m", version="1.0")),
        class_map=probabilities.argmax(0).astype(np.uint8),
        probabilities=probabilities,
        uncertainty=probabilities.max(0),
    )


def test_an_array_needs_names_for_its_bands() -> None:
    scene = open_scene(REFLECTANCE, bands=["red", "nir"])
    assert [band.common_name for band in scene.bands] == ["red", "nir"]
    np.testing.assert_array_equal(scene.read(), REFLECTANCE)
    with pytest.raises(BandError, match="each of the 2 layers"):
        open_scene(REFLECTANCE)
    with pytest.raises(BandError, match="got 1 names for 2 layers"):
        open_scene(REFLECTANCE, bands="red")


def test_layers_of_an_array_can_be_left_out() -> None:
    scene = open_scene(REFLECTANCE, bands="-,nir")
    np.testing.assert_array_equal(scene.read(), REFLECTANCE[1:])
    assert scene.provenance["skipped"] == "1"


def test_each_layer_has_a_value_without_data_of_its_own() -> None:
    attrs = {"nodatavals": (-9999.0, 255.0, 0.0), "nodata": 7}
    values = np.full((3, 8, 8), 255, np.int16)
    values[:, 0] = 7
    array = xr.DataArray(values, dims=("band", "y", "x"), coords={"band": ["red", "green", "nir"]}, attrs=attrs)
    read = open_scene(array).read()
    assert np.isnan(read[:, 0]).all()
    assert np.isnan(read[:, 1:]).mean(axis=(1, 2)).tolist() == [0.0, 1.0, 0.0]


def test_digital_numbers_are_scaled_and_their_nodata_left_out() -> None:
    scene = open_scene(DN, bands="red,nir", scaling=Scaling(scale=1e-4, offset=-0.1), nodata=3)
    expected = np.where(DN == 3, np.nan, DN * 1e-4 - 0.1)
    np.testing.assert_allclose(scene.read(), expected, atol=1e-7)


def test_masked_pixels_and_infinity_are_not_valid() -> None:
    masked = np.ma.MaskedArray(REFLECTANCE.copy(), mask=DN == 5)
    masked.data[1, 2, 3] = np.inf
    valid = open_scene(masked, bands="red,nir").valid()
    assert int((~valid).sum()) == 2


def test_a_sensor_of_as_many_bands_names_an_array() -> None:
    scene = open_scene(np.ones((4, 8, 8), np.uint16), sensor="proba-v")
    assert (scene.sensor, scene.level) == ("proba-v", "toa")
    assert float(scene.read()[0, 0, 0]) == pytest.approx(5e-4)


@pytest.mark.parametrize("array", [np.ones((8, 9)), np.ones((1, 1, 8, 9)), np.full((1, 8, 9), "a")])
def test_arrays_of_other_shape_or_kind_are_refused(array: np.ndarray[Any, Any]) -> None:
    with pytest.raises(SceneError, match="expected an array"):
        open_scene(array, bands="red")


@given(st.integers(0, 7), st.integers(0, 8), st.lists(st.integers(0, 1), min_size=1, max_size=3))
def test_a_window_of_a_data_array_is_that_part_of_the_whole(row: int, col: int, bands: list[int]) -> None:
    window = Window(row=row, col=col, height=8 - row, width=9 - col)
    read = open_scene(cube()).read(window, bands)
    np.testing.assert_array_equal(read, REFLECTANCE[bands][:, row:, col:])


@pytest.mark.parametrize("order", [("y", "x", "band"), ("x", "band", "y")])
def test_dimensions_may_stand_in_any_order(order: tuple[str, ...]) -> None:
    np.testing.assert_array_equal(open_scene(cube().transpose(*order)).read(), REFLECTANCE)


def test_a_data_array_brings_names_grid_and_time() -> None:
    array = cube().expand_dims(time=[np.datetime64("2024-03-05T10:48:19", "ns")])
    scene = open_scene(array)
    assert scene.name == "s2"
    assert [band.common_name for band in scene.bands] == ["red", "nir"]
    assert scene.provenance["bands_from"] == "coordinates"
    assert scene.grid.transform == (10.0, 0.0, 5e5, 0.0, -10.0, 4.6e6)
    assert scene.grid.crs is not None
    assert not scene.grid.geographic
    assert scene.acquired == datetime(2024, 3, 5, 10, 48, 19, tzinfo=UTC)


def test_a_common_name_coordinate_wins_over_provider_names() -> None:
    array = cube().assign_coords(band=["B04", "B08"], common_name=("band", ["red", "nir"]))
    assert [band.common_name for band in open_scene(array).bands] == ["red", "nir"]


def test_degrees_are_told_from_metres() -> None:
    array = cube().drop_vars("spatial_ref").assign_coords(epsg=4326)
    assert open_scene(array).grid.geographic


def test_uneven_coordinates_give_no_place() -> None:
    array = cube().assign_coords(x=np.arange(9.0) ** 2)
    grid = open_scene(array).grid
    assert grid.crs is None
    assert grid.shape == (8, 9)


def test_a_geotransform_stands_in_for_coordinates() -> None:
    array = cube().drop_vars(["x", "y"])
    array.spatial_ref.attrs["GeoTransform"] = "500000.0 10.0 0.0 4600000.0 0.0 -10.0"
    assert open_scene(array).grid.transform == (10.0, 0.0, 5e5, 0.0, -10.0, 4.6e6)


def test_scale_offset_and_fill_value_are_read_from_attributes() -> None:
    array = cube().copy(data=DN)
    array.attrs |= {"scale_factor": 1e-4, "add_offset": -0.1, "_FillValue": 7}
    expected = np.where(DN == 7, np.nan, DN * 1e-4 - 0.1)
    np.testing.assert_allclose(open_scene(array).read(), expected, atol=1e-7)


def test_layers_without_a_band_name_are_left_out() -> None:
    scene = open_scene(cube().assign_coords(band=["SCL", "nir"]))
    np.testing.assert_array_equal(scene.read(), REFLECTANCE[1:])
    assert scene.provenance["skipped"] == "1 (SCL)"


def test_numbered_bands_need_names() -> None:
    array = cube().assign_coords(band=[1, 2])
    with pytest.raises(BandError, match="each of the 2 layers"):
        open_scene(array)
    assert len(open_scene(array, bands="red,nir").bands) == 2


def test_one_layer_without_band_dimension_is_one_band() -> None:
    scene = open_scene(cube().isel(band=0, drop=True), bands="red")
    np.testing.assert_array_equal(scene.read(), REFLECTANCE[:1])


def test_several_times_are_refused_with_the_way_out() -> None:
    array = xr.concat([cube(), cube()], dim="time")
    with pytest.raises(SceneError, match=r"\.isel\(time=0\)"):
        open_scene(array)
    with pytest.raises(SceneError, match=r"\.rename"):
        open_scene(cube().rename(x="a"))


def test_a_data_array_of_rioxarray_is_the_file(rasters: Path) -> None:
    rioxarray = pytest.importorskip("rioxarray")
    with rioxarray.open_rasterio(rasters / "described.tif") as array:
        scene, file = open_scene(array), open_scene(rasters / "described.tif")
        assert [band.common_name for band in scene.bands] == [band.common_name for band in file.bands]
        assert scene.grid.transform == pytest.approx(file.grid.transform)
        np.testing.assert_allclose(scene.read(), file.read(), rtol=1e-6)


def test_a_prediction_comes_back_on_the_arrays_coordinates() -> None:
    array = cube(attrs={"crs": "EPSG:32631", "scale_factor": 1.0, "mission": "S2"})
    made = prediction()
    back = like(made, array)
    np.testing.assert_array_equal(back.class_map, made.class_map)
    np.testing.assert_array_equal(back.probabilities.sel({"class": "thick_cloud"}), made.probabilities[1])
    xr.testing.assert_equal(back.class_map.x, array.x)
    xr.testing.assert_equal(back.uncertainty.y, array.y)
    assert back.class_map.dtype == np.uint8
    assert "spatial_ref" in back.coords
    assert "band" not in back.coords
    assert back.class_map.attrs["mission"] == "S2"
    assert back.class_map.attrs["model"] == "m 1.0"
    assert "scale_factor" not in back.class_map.attrs


def test_a_prediction_of_another_shape_does_not_come_back() -> None:
    with pytest.raises(SceneError, match=r"expected a prediction of shape \(4, 9\)"):
        like(prediction(), cube().isel(y=slice(4)))


def test_fixtures_are_made_by_their_script(make: SimpleNamespace, tmp_path: Path) -> None:
    assert (make.make(tmp_path / "new") / "item-1.1.json").is_file()
