from __future__ import annotations

import json
import pickle
import runpy
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from undercast.errors import BandError, MissingDependencyError, SceneError
from undercast.readers import cubes, list_scenes, open_scene
from undercast.readers.base import OpenOptions
from undercast.scene import Scene
from undercast.windows import Window

FIRST = "2024-03-05T10:48:19"


def numbers_of(scene: Scene, made: SimpleNamespace) -> NDArray[np.int16]:
    """Digital numbers of a scene of the first time, in the order of its bands: Zarr sorts variables by name."""
    order = [made.BANDS.index(band.common_name) for band in scene.bands]
    values: NDArray[np.int16] = made.numbers()[0, order]
    return values


@pytest.fixture(scope="module")
def made() -> SimpleNamespace:
    """The functions of ``tests/data/cubes/make.py``."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "cubes" / "make.py")))


@pytest.fixture(scope="module")
def stored(made: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cube in each format; not to be changed."""
    folder = tmp_path_factory.mktemp("cubes")
    for suffix in (".nc", ".zarr"):
        made.write(folder / f"cube{suffix}", made.by_variables())
    return folder


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_a_time_of_a_cube_comes_back_as_it_was_written(stored: Path, made: SimpleNamespace, suffix: str) -> None:
    scene = open_scene(f"{stored / 'cube'}{suffix}#{FIRST}")
    expected = numbers_of(scene, made) * 1e-4 - 0.1
    np.testing.assert_allclose(scene.read(), expected, atol=1e-6)
    window = Window(row=2, col=3, height=4, width=5)
    np.testing.assert_allclose(scene.read(window, [3]), expected[3:, 2:6, 3:8], atol=1e-6)
    assert sorted(band.common_name for band in scene.bands) == sorted(made.BANDS)
    assert scene.name == "cube_20240305T104819"
    assert scene.acquired == datetime(2024, 3, 5, 10, 48, 19, tzinfo=UTC)
    assert scene.grid.transform == (10.0, 0.0, 500_000.0, 0.0, -10.0, 4_600_000.0)
    assert scene.grid.crs == "EPSG:32631"
    assert "qa" in scene.provenance["skipped"]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_both_formats_of_zarr_are_read(tmp_path: Path, made: SimpleNamespace, zarr_format: int) -> None:
    path = made.write(tmp_path / "a.zarr", made.by_variables(times=1), zarr_format=zarr_format)
    scene = open_scene(path)
    np.testing.assert_allclose(scene.read(), numbers_of(scene, made) * 1e-4 - 0.1, atol=1e-6)
    assert scene.name == "a"


def test_bands_along_a_dimension_are_read_north_up(tmp_path: Path, made: SimpleNamespace) -> None:
    scene = open_scene(made.write(tmp_path / "a.nc", made.by_dimension(times=1)), sensor="sentinel-2a-msi")
    np.testing.assert_allclose(scene.read(), made.numbers(times=1)[0] * 1e-4, atol=1e-6)
    assert scene.grid.transform[3:] == (0.0, -10.0, 4_600_000.0)
    assert scene.bands[3].center_wavelength == pytest.approx(0.8328, abs=2e-3)


def test_classic_netcdf_and_degrees_are_read(tmp_path: Path, made: SimpleNamespace) -> None:
    cube = made.by_variables(times=1, names=("lat", "lon"))
    scene = open_scene(made.write(tmp_path / "a.nc", cube, engine="scipy", format="NETCDF3_64BIT"))
    np.testing.assert_allclose(scene.read(), made.numbers(times=1)[0] * 1e-4 - 0.1, atol=1e-6)
    assert scene.grid.crs == "EPSG:4326"
    assert scene.grid.geographic


def test_each_time_is_a_scene_of_its_own(stored: Path) -> None:
    sources = list_scenes(stored / "cube.nc")
    assert [str(source).rpartition("#")[2] for source in sources] == ["2024-03-05T10:48:19", "2024-03-10T10:48:21"]
    assert len({open_scene(source).name for source in sources}) == 2
    with pytest.raises(SceneError, match=r"expected one of its 2 times .* after '#', got 'none'"):
        open_scene(stored / "cube.nc")
    with pytest.raises(SceneError, match="after '#', got '1999'"):
        open_scene(f"{stored / 'cube.nc'}#1999")


def test_a_layer_that_is_no_band_changes_nothing(tmp_path: Path) -> None:
    coords = {"y": np.arange(16) * -30.0 + 5e6, "x": np.arange(16) * 30.0 + 5e5}
    bands = {name: (("y", "x"), np.full((16, 16), 255, np.int16)) for name in ("B3", "B4", "B5")}
    others = {
        "SCL": (("y", "x"), np.zeros((16, 16), np.uint8)),
        "sza": (("y", "x"), np.full((16, 16), 30.5, np.float32)),
    }
    cube = xr.Dataset(bands | others, coords)
    encoding = {name: {"_FillValue": np.int16(-9999)} for name in bands} | {"SCL": {"_FillValue": np.uint8(255)}}
    cube.to_netcdf(tmp_path / "a.nc", encoding=encoding, engine="h5netcdf")
    cube[list(bands)].to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
    seen, alone = (open_scene(tmp_path / name, sensor="landsat-8-oli") for name in ("a.nc", "b.nc"))
    assert seen.provenance["scaling_from"] == "sensor"
    np.testing.assert_array_equal(seen.read(), alone.read())
    assert np.isfinite(seen.read()).all()


def test_no_data_and_the_callers_options_are_taken(tmp_path: Path, made: SimpleNamespace) -> None:
    cube = made.by_variables(times=1)
    cube["red"][0, 2, 3] = 0
    path = made.write(tmp_path / "a.nc", cube)
    assert np.argwhere(~open_scene(path).valid()).tolist() == [[2, 3]]
    scene = open_scene(path, bands="nir,-,red", level="toa")
    assert [band.common_name for band in scene.bands] == ["nir", "red"]
    assert scene.level == "toa"
    np.testing.assert_allclose(scene.read()[0], made.numbers()[0, 3] * 1e-4 - 0.1, atol=1e-6)


def test_only_what_is_asked_for_is_read(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = open_scene(f"{stored / 'cube.nc'}#{FIRST}")
    sizes: list[int] = []
    load = xr.DataArray.load

    def spy(self: xr.DataArray, **options: object) -> xr.DataArray:
        sizes.append(self.size)
        return load(self, **options)

    monkeypatch.setattr(xr.DataArray, "load", spy)
    scene.read(Window(row=0, col=0, height=2, width=3), [0])
    assert sizes == [6]


def test_cubes_on_s3_and_the_web_are_read(
    stored: Path, serve: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch, made: SimpleNamespace
) -> None:
    pytest.importorskip("s3fs", reason="an extra")
    address = serve(stored)
    np.testing.assert_array_equal(
        open_scene(f"{address}/cube.zarr#{FIRST}").read(), open_scene(f"{stored / 'cube.zarr'}#{FIRST}").read()
    )
    with pytest.raises(SceneError, match="NetCDF is read from files"):
        open_scene(f"{address}/cube.nc")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cube: cube.rename(y="a", x="b"), "expected variables of numbers over y and x, got blue"),
        (
            lambda cube: cube.assign(red=cube["red"].assign_attrs(scale_factor=np.inf)),
            "expected a finite scale other than 0",
        ),
        (lambda cube: cube.expand_dims(step=2), "expected all bands over the same y and x alone"),
    ],
)
def test_a_cube_of_another_make_is_one_clear_line(
    tmp_path: Path, made: SimpleNamespace, change: Callable[[xr.Dataset], xr.Dataset], message: str
) -> None:
    path = made.write(tmp_path / "a.nc", change(made.by_variables(times=1)))
    with pytest.raises(SceneError, match=message) as caught:
        open_scene(path)
    assert "\n" not in str(caught.value)


def test_unnamed_bands_ask_for_names(tmp_path: Path, made: SimpleNamespace) -> None:
    path = made.write(tmp_path / "a.nc", made.by_variables(times=1, bands=("v1", "v2", "v3", "v4")))
    with pytest.raises(BandError, match="expected to learn which band"):
        open_scene(path)
    assert [band.common_name for band in open_scene(path, bands="blue,green,-,nir,-").bands] == ["blue", "green", "nir"]


def test_several_variables_with_bands_ask_for_one(tmp_path: Path, made: SimpleNamespace) -> None:
    cube = made.by_dimension(times=1)
    path = made.write(tmp_path / "a.nc", cube.assign(more=cube["reflectance"]))
    with pytest.raises(SceneError, match="expected one variable with bands, got reflectance, more"):
        open_scene(path)


class Mine:
    """What a hostile store would like to be unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_store_never_runs_its_own_code(stored: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    shutil.copytree(stored / "cube.zarr", path)
    (path / ".zmetadata").unlink()
    metadata = json.loads((path / "x" / ".zarray").read_text("utf-8"))
    metadata |= {"compressor": {"id": "pickle", "protocol": 5}, "filters": None}
    (path / "x" / ".zarray").write_text(json.dumps(metadata), "utf-8")
    (path / "x" / "0").write_bytes(pickle.dumps(Mine(tmp_path / "executed")))
    with pytest.raises(SceneError, match="cannot be read"):  # Zarr 3 knows no type that is coded so
        open_scene(f"{path}#{FIRST}")
    assert not (tmp_path / "executed").exists()


def test_pieces_too_large_to_decode_are_refused(stored: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    shutil.copytree(stored / "cube.zarr", path)
    (path / ".zmetadata").unlink()
    metadata = json.loads((path / "red" / ".zarray").read_text("utf-8"))
    metadata["chunks"] = [1, 100_000, 100_000]
    (path / "red" / ".zarray").write_text(json.dumps(metadata), "utf-8")
    with pytest.raises(SceneError, match="expected pieces of at most 256 MiB"):
        open_scene(f"{path}#{FIRST}")


def test_missing_and_truncated_cubes_are_one_clear_line(stored: Path, tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="does not exist"):
        open_scene(tmp_path / "no.zarr")
    path = tmp_path / "a.nc"
    path.write_bytes((stored / "cube.nc").read_bytes()[:3000])
    with pytest.raises(SceneError, match="truncated"):
        open_scene(path)
    path.write_bytes(b"GIF89a")
    with pytest.raises(SceneError, match="expected NetCDF"):
        open_scene(path)


@pytest.mark.parametrize(("module", "suffix"), [("xarray", ".nc"), ("h5netcdf", ".nc"), ("zarr", ".zarr")])
def test_a_missing_library_is_answered_by_its_pip_line(
    stored: Path, monkeypatch: pytest.MonkeyPatch, module: str, suffix: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'undercast\[cubes\]'"):
        cubes.open(f"{stored / 'cube'}{suffix}", OpenOptions())


# h5netcdf closes what it could not open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", ["cube.nc", "cube.zarr/.zmetadata", "cube.zarr/red/0.0.0"])
def test_damaged_cubes_give_our_errors_only(stored: Path, tmp_path: Path, fuzzing: SimpleNamespace, name: str) -> None:
    path = tmp_path / name
    if ".zarr" in name:
        shutil.copytree(stored / "cube.zarr", tmp_path / "cube.zarr")

    def open_bytes(data: bytes) -> None:
        path.write_bytes(data)
        cubes.open(f"{tmp_path / name.partition('/')[0]}#{FIRST}", OpenOptions()).read()

    fuzzing.fuzz(open_bytes, (stored / name).read_bytes(), examples=8)
