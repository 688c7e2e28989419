"""Files finer than their scene are opened at its resolution, and what is missing does not darken what is beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.transform import from_origin

from undercast.bands import band_from_name
from undercast.errors import SceneError
from undercast.radiometry import Scaling
from undercast.readers.layers import Layer, LayerPixels
from undercast.readers.reduced import grown, open_reduced
from undercast.windows import Window

JP2 = {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES", "RESOLUTIONS": "3"}
SIDE = 384
"""GDAL shows no resolution levels of smaller files."""


def write(path: Path, values: NDArray[np.uint16], **options: object) -> Path:
    height, width = values.shape
    profile = {"driver": "GTiff", "count": 1, "height": height, "width": width, "dtype": "uint16"} | options
    with rasterio.open(path, "w", crs="EPSG:32631", transform=from_origin(3e5, 4.9e6, 10, 10), **profile) as raster:
        raster.write(values, 1)
    return path


def pixels(path: Path, shape: tuple[int, int]) -> LayerPixels:
    layer = Layer(source=str(path), number=1, band=band_from_name("red"), scaling=Scaling(), nodata=(0.0,))
    return LayerPixels([layer], shape)


def whole(shape: tuple[int, int]) -> Window:
    return Window(row=0, col=0, height=shape[0], width=shape[1])


def test_a_jpeg_2000_is_opened_at_its_resolution_level(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jp2", np.full((SIDE, SIDE), 5000, np.uint16), **JP2)
    dataset, edge_px = open_reduced(str(path), (192, 192), 0.0)
    assert type(dataset) is rasterio.DatasetReader
    assert (dataset.shape, edge_px) == ((192, 192), 2)


def test_a_file_that_is_not_finer_is_opened_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tif", np.full((8, 8), 5000, np.uint16))
    dataset, edge_px = open_reduced(str(path), (16, 16), 0.0)
    assert (dataset.shape, edge_px) == ((8, 8), 0)


@pytest.mark.parametrize("side", [192, 128, 64])
def test_beside_missing_data_values_are_those_of_the_ground_or_none(tmp_path: Path, side: int) -> None:
    values = np.full((SIDE, SIDE), 5000, np.uint16)
    values[:, :148] = 0
    values[240:280, 240:280] = 0
    for name, options in (("x.jp2", JP2), ("x.tif", {})):
        read = pixels(write(tmp_path / name, values, **options), (side, side)).read(whole((side, side)), [0])[0]
        assert np.isnan(read[:, : 144 * side // SIDE]).all()
        assert np.isfinite(read[:, -side // 8 :]).all()
        np.testing.assert_allclose(read[np.isfinite(read)], 5000, atol=1)


def test_a_mean_is_over_the_pixels_that_have_data(tmp_path: Path) -> None:
    values = np.full((8, 8), 4000, np.uint16)
    values[1, 1] = 0
    read = pixels(write(tmp_path / "x.tif", values), (4, 4)).read(whole((4, 4)), [0])
    np.testing.assert_array_equal(read, np.full((1, 4, 4), 4000, np.float32))


def test_a_mean_knows_nothing_of_pixels_that_a_mask_hides(tmp_path: Path) -> None:
    values = np.full((8, 8), 4000, np.uint16)
    values[:3] = 0
    path = tmp_path / "x.tif"
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        profile = {"driver": "GTiff", "count": 1, "height": 8, "width": 8, "dtype": "uint16", "crs": "EPSG:32631"}
        with rasterio.open(path, "w", transform=from_origin(3e5, 4.9e6, 10, 10), **profile) as raster:
            raster.write(values, 1)
            raster.write_mask(values > 0)
    layer = Layer(source=str(path), number=1, band=band_from_name("red"), scaling=Scaling())
    read = LayerPixels([layer], (4, 4)).read(whole((4, 4)), [0])[0]
    assert np.isnan(read[0]).all()
    np.testing.assert_array_equal(read[1:], np.full((3, 4), 4000, np.float32))


def test_two_values_without_data_are_not_mixed_with_the_others(tmp_path: Path) -> None:
    values = np.full((8, 8), 4000, np.uint16)
    values[1::2], values[0, :4] = 0, 65535
    read = pixels(write(tmp_path / "x.tif", values, nodata=65535), (4, 4)).read(whole((4, 4)), [0])[0]
    np.testing.assert_array_equal(read[np.isfinite(read)], 4000)


@pytest.mark.parametrize(("suffix", "options"), [("jp2", JP2), ("tif", {})])
def test_windows_of_a_reduced_file_are_parts_of_the_whole(tmp_path: Path, suffix: str, options: dict[str, str]) -> None:
    values = np.random.default_rng(3).integers(1, 9000, (SIDE, SIDE)).astype(np.uint16)
    values[80:160, 200:] = 0
    reader = pixels(write(tmp_path / f"x.{suffix}", values, **options), (128, 128))
    together = reader.read(whole((128, 128)), [0])

    @settings(max_examples=25)
    @given(row=st.integers(0, 127), col=st.integers(0, 127), height=st.integers(1, 128), width=st.integers(1, 128))
    def check(row: int, col: int, height: int, width: int) -> None:
        window = Window(row=row, col=col, height=min(height, 128 - row), width=min(width, 128 - col))
        np.testing.assert_array_equal(reader.read(window, [0]), together[:, window.rows, window.cols])

    check()


@pytest.mark.parametrize("shape", [(384, 384), (192, 192)])
@pytest.mark.parametrize("kept", [0.9, 0.5])
def test_a_truncated_jpeg_2000_of_several_tiles_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], kept: float
) -> None:
    monkeypatch.setenv("GDAL_NUM_THREADS", "ALL_CPUS")
    values = np.random.default_rng(3).integers(1, 9000, (SIDE, SIDE)).astype(np.uint16)
    path = write(tmp_path / "x.jp2", values, BLOCKXSIZE=128, BLOCKYSIZE=128, **JP2)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(SceneError, match=r"x\.jp2 can"):
        pixels(path, shape).read(whole(shape), [0])


def test_a_mask_grows_in_all_eight_directions() -> None:
    mask = np.zeros((5, 6), np.bool_)
    mask[0, 1] = True
    drawn = ["###...", "###...", "......", "......", "......"]
    np.testing.assert_array_equal(grown(mask, 1), [[pixel == "#" for pixel in row] for row in drawn])
    assert grown(mask, 2).sum() == 12
