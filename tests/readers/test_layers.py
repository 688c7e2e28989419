from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from undercast.bands import band_from_name
from undercast.errors import GridError, SceneError
from undercast.grids import Grid
from undercast.radiometry import Scaling
from undercast.readers.layers import (
    Layer,
    LayerPixels,
    _bytes_of_block_row,
    read_header,
    same_grid,
    shared_grid,
    unit_of,
)
from undercast.windows import Window

GRID = Grid(shape=(48, 40), transform=(10.0, 0.0, 5e5, 0.0, -10.0, 4.6e6), crs="EPSG:32631")


def layers(path: Path, count: int = 4, *, nodata: tuple[float, ...] = ()) -> LayerPixels:
    names = ("blue", "green", "red", "nir")[:count]
    return LayerPixels(
        [
            Layer(source=str(path), number=k, band=band_from_name(name), scaling=Scaling(scale=1e-4), nodata=nodata)
            for k, name in enumerate(names, start=1)
        ]
    )


@st.composite
def windows(draw: st.DrawFn) -> Window:
    row, col = draw(st.integers(0, 47)), draw(st.integers(0, 39))
    return Window(row=row, col=col, height=draw(st.integers(1, 48 - row)), width=draw(st.integers(1, 40 - col)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(window=windows(), bands=st.lists(st.integers(0, 3), min_size=1, max_size=6))
def test_a_window_is_that_part_of_the_whole(rasters: Path, window: Window, bands: list[int]) -> None:
    pixels = layers(rasters / "described.tif")
    whole = pixels.read(GRID.full, range(4))
    part = pixels.read(window, bands)
    assert part.dtype == np.float32
    np.testing.assert_array_equal(part, whole[bands][:, window.rows, window.cols])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(scale=st.floats(1e-5, 1e-2), offset=st.floats(-0.5, 0.5))
def test_scale_and_offset_go_through_a_file_and_back(
    tmp_path: Path, make: SimpleNamespace, scale: float, offset: float
) -> None:
    dn = make.numbers(1)
    path = make.write(tmp_path / "x.tif", dn, scale=scale, offset=offset)
    (scaling,) = read_header(str(path)).scalings
    assert scaling is not None
    layer = replace(layers(path, 1).layers[0], scaling=scaling)
    reflectance = LayerPixels([layer]).read(GRID.full, [0])
    np.testing.assert_array_equal(scaling.to_dn(reflectance), dn)


def test_declared_nodata_nan_and_infinity_are_not_valid(tmp_path: Path, make: SimpleNamespace) -> None:
    values = np.array([[[0.1, np.nan, -9999.0, np.inf]]], np.float32)
    path = make.write(tmp_path / "x.tif", values, nodata=-9999.0)
    read = layers(path, 1).read(Window(row=0, col=0, height=1, width=4), [0])
    assert np.isfinite(read).tolist() == [[[True, False, False, False]]]


def test_nodata_is_a_stored_value_before_scaling(tmp_path: Path, make: SimpleNamespace) -> None:
    path = make.write(tmp_path / "x.tif", np.array([[[0, 1, 65535]]], np.uint16), nodata=0)
    read = layers(path, 1, nodata=(65535.0,)).read(Window(row=0, col=0, height=1, width=3), [0])
    assert np.isfinite(read).tolist() == [[[False, True, False]]]


@pytest.mark.parametrize("value", [-9999.0, 0.5, 70000.0, float("nan")])
def test_nodata_outside_the_data_type_matches_nothing(tmp_path: Path, make: SimpleNamespace, value: float) -> None:
    path = make.write(tmp_path / "x.tif", make.numbers(1))
    assert np.isfinite(layers(path, 1, nodata=(value,)).read(GRID.full, [0])).all()


def test_mask_bands_hide_pixels_of_every_layer(tmp_path: Path, make: SimpleNamespace) -> None:
    mask = np.ones((48, 40), np.bool_)
    mask[3, 4:9] = False
    path = make.write(tmp_path / "x.tif", make.numbers(2), mask=mask)
    read = layers(path, 2).read(Window(row=2, col=2, height=10, width=20), [0, 1])
    np.testing.assert_array_equal(np.isfinite(read), np.stack([mask[2:12, 2:22]] * 2))


def test_an_alpha_layer_hides_pixels(tmp_path: Path, make: SimpleNamespace) -> None:
    values = make.numbers(3)
    values[2, 5:7] = 0
    path = make.write(tmp_path / "x.tif", values, last_is_alpha=True)
    header = read_header(str(path))
    assert header.alpha == 3
    assert header.data_layers == (1, 2)
    np.testing.assert_array_equal(np.isfinite(layers(path, 2).read(GRID.full, [1])), values[2:] != 0)


def test_an_alpha_layer_that_is_a_band_hides_nothing(tmp_path: Path, make: SimpleNamespace) -> None:
    values = make.numbers(3)
    values[2, 5:7] = 0
    path = make.write(tmp_path / "x.tif", values, last_is_alpha=True)
    assert np.isfinite(layers(path, 3).read(GRID.full, [0])).all()


def test_threads_read_the_same_as_one(rasters: Path) -> None:
    pixels = layers(rasters / "described.tif")
    whole = pixels.read(GRID.full, range(4))
    cut = [Window(row=row, col=0, height=6, width=40) for row in range(0, 48, 6)] * 4
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda window: pixels.read(window, range(4)), cut))
    for window, part in zip(cut, parts, strict=True):
        np.testing.assert_array_equal(part, whole[:, window.rows])


def test_a_pickled_copy_reads_the_same(rasters: Path) -> None:
    pixels = layers(rasters / "described.tif")
    whole = pixels.read(GRID.full, range(4))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(pixels)).read(GRID.full, range(4)), whole)  # noqa: S301


@pytest.mark.parametrize("kept", [4, 60])
def test_a_file_cut_in_its_header_is_refused_at_once(tmp_path: Path, rasters: Path, kept: int) -> None:
    path = tmp_path / "cut.tif"
    path.write_bytes((rasters / "described.tif").read_bytes()[:kept])
    with pytest.raises(SceneError, match=r"cut\.tif cannot be opened as a raster"):
        read_header(str(path))


@pytest.mark.parametrize("compress", ["none", "deflate"])
def test_a_file_cut_in_its_pixels_is_refused_at_the_window(
    tmp_path: Path, make: SimpleNamespace, compress: str
) -> None:
    path = make.write(tmp_path / "cut.tif", make.numbers(1), compress=compress)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    read_header(str(path))
    with pytest.raises(SceneError, match=r"cut\.tif cannot be read at rows 40-47") as caught:
        layers(path, 1).read(Window(row=40, col=0, height=8, width=40), [0])
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="does not exist"):
        read_header(str(tmp_path / "no.tif"))


def test_a_text_file_is_no_raster(tmp_path: Path) -> None:
    (tmp_path / "x.tif").write_text("clouds", "utf-8")
    with pytest.raises(SceneError, match="cannot be opened as a raster"):
        read_header(str(tmp_path / "x.tif"))


def test_complex_numbers_are_refused(tmp_path: Path, make: SimpleNamespace) -> None:
    path = make.write(tmp_path / "x.tif", np.ones((1, 4, 4), np.complex64))
    with pytest.raises(SceneError, match="complex"):
        read_header(str(path))


def test_a_grid_carries_transform_and_crs(rasters: Path) -> None:
    grid = read_header(str(rasters / "described.tif")).grid
    assert grid.shape == (48, 40)
    assert grid.transform == GRID.transform
    assert grid.gsd == 10.0
    assert not grid.geographic


def test_degrees_are_told_from_metres(tmp_path: Path, make: SimpleNamespace) -> None:
    path = make.write(tmp_path / "x.tif", make.numbers(1), crs="EPSG:4326")
    assert read_header(str(path)).grid.geographic


@pytest.mark.parametrize(("epsg", "metres"), [(2263, 0.3048006), (32632, 1.0), (4326, 1.0), (None, 1.0)])
def test_the_unit_of_a_crs_is_known_in_metres(epsg: int | None, metres: float) -> None:
    assert unit_of(None if epsg is None else rasterio.CRS.from_epsg(epsg)) == pytest.approx(metres)


def test_a_raster_without_place_opens_silently(tmp_path: Path, make: SimpleNamespace) -> None:
    path = make.write(tmp_path / "x.tif", make.numbers(1), crs=None, transform=None)
    header = read_header(str(path))
    assert header.grid == Grid(shape=(48, 40))
    assert np.isfinite(layers(path, 1).read(header.grid.full, [0])).all()


def test_grids_are_one_up_to_rounding() -> None:
    assert same_grid(GRID, replace(GRID, transform=(10.0, 0.0, 5e5 + 1e-6, 0.0, -10.0, 4.6e6)))
    assert not same_grid(GRID, replace(GRID, transform=(10.0, 0.0, 5e5 + 5.0, 0.0, -10.0, 4.6e6)))
    assert not same_grid(GRID, replace(GRID, crs="EPSG:32632"))
    assert not same_grid(GRID, replace(GRID, crs=None))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (24, 20)}, r"shapes \(48, 40\) and \(24, 20\)"),
        ({"transform": (10.0, 0.0, 5e5 + 10, 0.0, -10.0, 4.6e6)}, "transforms"),
        ({"crs": "EPSG:32632"}, "different CRS"),
    ],
)
def test_different_grids_are_refused_and_the_difference_named(
    rasters: Path, change: dict[str, object], message: str
) -> None:
    one = replace(read_header(str(rasters / "described.tif")), grid=GRID)
    other = replace(one, source="other.tif", grid=replace(GRID, **change))  # type: ignore[arg-type]
    with pytest.raises(GridError, match=message):
        shared_grid([one, other])


@pytest.mark.parametrize(("interleave", "bands"), [("pixel", 3), ("band", 1)])
def test_room_is_made_for_all_bands_that_gdal_decodes_at_once(tmp_path: Path, interleave: str, bands: int) -> None:
    path = tmp_path / "scene.tif"
    profile = {"width": 100, "height": 64, "count": 3, "dtype": "uint16", "blockxsize": 32, "blockysize": 32}
    place = GRID.transform
    with rasterio.open(path, "w", driver="GTiff", tiled=True, interleave=interleave, transform=place, **profile):
        pass
    with rasterio.open(path) as raster:
        assert _bytes_of_block_row(raster) == bands * 32 * 100 * 2
