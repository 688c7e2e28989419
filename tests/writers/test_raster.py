"""Rows of pixels and cloud-optimised GeoTIFFs."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rio_cogeo.cogeo import cog_validate

from undercast.classes import load_scheme
from undercast.errors import OutputError
from undercast.grids import Grid
from undercast.types import COMPRESSIONS, Compression
from undercast.writers.raster import Layers, RowFile, class_map_layers, write_cog
from undercast.writers.staging import output_errors

GRID = Grid(shape=(1200, 1100), transform=(10.0, 0.0, 3e5, 0.0, -10.0, 5e6), crs="EPSG:32733")
FLOATS = Layers(dtype="float32", descriptions=("one", "two"), nodata=float("nan"))


def gather(folder: Path, layers: Layers, values: NDArray[np.generic]) -> RowFile:
    rows = RowFile(folder / "x.rows", layers, values.shape[2])
    rows.append(values)
    rows.close()
    return rows


def cog(
    folder: Path,
    layers: Layers,
    values: NDArray[np.generic],
    *,
    grid: Grid | None = None,
    compress: Compression = "deflate",
) -> Path:
    target = folder / "x.tif"
    used = grid or Grid(shape=(values.shape[1], values.shape[2]))
    write_cog(gather(folder, layers, values), target, grid=used, tags={"KEY": "a <b> & é"}, compress=compress)
    return target


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """Let the system refuse to make files longer than this, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_rows_lie_layer_beside_layer(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    rows = gather(tmp_path, FLOATS, values)
    assert np.fromfile(rows.path, "<f4").tolist() == [0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11]
    assert rows.height == 3


@pytest.mark.parametrize("compress", COMPRESSIONS)
@pytest.mark.parametrize("shape", [(9, 8), (600, 1100)])
def test_floats_come_back_exactly_from_a_valid_cog(
    tmp_path: Path, shape: tuple[int, int], compress: Compression
) -> None:
    values = np.random.default_rng(0).random((2, *shape), np.float32)
    values[:, 2:5, 3] = np.nan
    grid = replace(GRID, shape=shape)
    path = cog(tmp_path, FLOATS, values, grid=grid, compress=compress)
    assert cog_validate(path, strict=True) == (True, [], [])
    with rasterio.open(path) as source:
        np.testing.assert_array_equal(source.read(), values)
        assert source.descriptions == ("one", "two")
        assert np.isnan(source.nodata)
        assert source.crs.to_epsg() == 32733
        assert tuple(source.transform)[:6] == grid.transform
        assert (source.compression.value.lower() if source.compression else "none") == compress
        assert source.tags()["KEY"] == "a <b> & é"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.tif"]


def test_a_class_map_has_colours_legend_nodata_and_nearest_overviews(tmp_path: Path) -> None:
    values = np.random.default_rng(0).choice(np.array([0, 3, 255], np.uint8), (1, 1200, 1100))
    path = cog(tmp_path, class_map_layers(load_scheme()), values, grid=GRID)
    assert cog_validate(path, strict=True) == (True, [], [])
    with rasterio.open(path) as source:
        assert source.dtypes == ("uint8",)
        assert source.nodata == 255
        assert source.colorinterp[0].name == "palette"
        assert source.colormap(1)[1] == (0, 114, 178, 255)
        assert source.colormap(1)[255] == (0, 0, 0, 0)
        assert source.descriptions[0].startswith("class map (undercast: 0 clear, 1 thick cloud")
        assert source.tags(1)["CLASS_3"] == "Cloud shadow"
        assert source.overviews(1) == [2, 4]
        assert set(np.unique(source.read(1, out_shape=(300, 275)))) <= {0, 3, 255}


@pytest.mark.parametrize("shape", [(512, 512), (513, 40), (1025, 1100), (2047, 1543), (1, 1200)])
def test_overviews_of_a_class_map_are_those_that_gdal_makes(tmp_path: Path, shape: tuple[int, int]) -> None:
    values = np.random.default_rng(1).integers(0, 4, (1, *shape), np.uint8)
    plain, theirs = tmp_path / "plain.tif", tmp_path / "theirs.tif"
    grid = Grid(shape=shape, crs=GRID.crs, transform=GRID.transform)
    profile = {"dtype": "uint8", "count": 1, "height": shape[0], "width": shape[1], "crs": grid.crs}
    with rasterio.open(plain, "w", driver="GTiff", transform=rasterio.Affine(*grid.transform), **profile) as target:
        target.write(values)
    rasterio.shutil.copy(plain, theirs, driver="COG", BLOCKSIZE=512, OVERVIEW_RESAMPLING="NEAREST")
    ours = cog(tmp_path, class_map_layers(load_scheme()), values, grid=grid)
    with rasterio.open(ours) as first, rasterio.open(theirs) as second:
        levels = second.overviews(1)
        assert first.overviews(1) == levels
    for level in range(len(levels)):
        with (
            rasterio.open(ours, overview_level=level) as first,
            rasterio.open(theirs, overview_level=level) as second,
        ):
            np.testing.assert_array_equal(first.read(), second.read())


def test_a_grid_that_is_not_georeferenced_stays_so_without_a_warning(tmp_path: Path) -> None:
    path = cog(tmp_path, FLOATS, np.zeros((2, 8, 8), np.float32))
    with pytest.warns(NotGeoreferencedWarning):
        source = rasterio.open(path)
    with source:
        assert source.crs is None
        assert source.transform.is_identity


def test_an_affine_without_a_reference_system_is_kept(tmp_path: Path) -> None:
    grid = Grid(shape=(8, 8), transform=(2.0, 0.1, 7.0, 0.2, -2.0, 9.0))
    with rasterio.open(cog(tmp_path, FLOATS, np.zeros((2, 8, 8), np.float32), grid=grid)) as source:
        assert source.crs is None
        assert tuple(source.transform)[:6] == grid.transform


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(1, 199), max_size=6))
def test_rows_do_not_depend_on_how_they_come(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    folder = tmp_path_factory.mktemp("rows")
    values = np.random.default_rng(1).random((2, 200, 7), np.float32)
    rows = RowFile(folder / "x.rows", FLOATS, 7)
    for part in np.split(values, sorted(set(cuts)), axis=1):
        rows.append(part)
    rows.close()
    assert rows.path.read_bytes() == values.transpose(1, 0, 2).tobytes()


def test_rows_on_a_full_disk_are_refused_where_it_happens(tmp_path: Path) -> None:
    rows = RowFile(tmp_path / "x.rows", FLOATS, 1000)
    with file_limit(10_000), pytest.raises(OSError, match="too large"):
        rows.append(np.zeros((2, 100, 1000), np.float32))
    rows.discard()


@pytest.mark.parametrize("missing", [1, 2_000, 40_000, 300_000])
def test_a_cog_that_a_full_disk_cut_short_is_refused(tmp_path: Path, missing: int) -> None:
    values = np.random.default_rng(0).random((2, 520, 700), np.float32)
    size = cog(tmp_path, FLOATS, values).stat().st_size
    (tmp_path / "x.tif").unlink()
    rows = gather(tmp_path, FLOATS, values)
    with pytest.raises(OutputError, match="cannot write") as caught, output_errors(tmp_path):  # noqa: SIM117
        with file_limit(size - missing):
            write_cog(
                rows,
                tmp_path / "x.tif",
                grid=Grid(shape=(520, 700)),
                tags={"KEY": "a <b> & é"},
                compress="deflate",
            )
    assert "\n" not in str(caught.value)
