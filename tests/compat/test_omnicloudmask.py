"""OmniCloudMask's functions on undercast's models."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

from undercast.compat import omnicloudmask
from undercast.compat.omnicloudmask import (
    CLASS_NAMES,
    load_ls8,
    load_multiband,
    load_s2,
    predict_from_array,
    predict_from_load_func,
)
from undercast.errors import BackendError, OutputError, RadiometryError, SceneError, UsageError

pytestmark = pytest.mark.usefixtures("models")

SCRIPT = """
import sys
from functools import partial
from pathlib import Path

import numpy as np
from omnicloudmask import load_multiband, predict_from_array, predict_from_load_func

scene = np.load(sys.argv[1])
classes = predict_from_array(scene, patch_size=64, patch_overlap=16, inference_device="cpu")
assert classes.shape == (1, 96, 96)
confidence = predict_from_array(scene, export_confidence=True, no_data_value=0)
assert confidence.shape == (4, 96, 96)
files = predict_from_load_func(
    scene_paths=[Path(sys.argv[2])],
    load_func=partial(load_multiband, band_order=[1, 2, 3]),
    batch_size=2,
    output_dir=sys.argv[3],
)
"""
"""A script as OmniCloudMask's documentation has them: from an array, and from files with a load function."""


def half_cloudy(side: int = 96) -> NDArray[np.uint16]:
    """Digital numbers of reflectance x 10000 in red, green and nir: cloud left, clear right, no data above."""
    dn = np.full((3, side, side), 1500, np.uint16)
    dn[:, :, : side // 2] = 9000
    dn[:, :8] = 0
    return dn


def written(path: Path, dn: NDArray[Any]) -> Path:
    profile = {"driver": "GTiff", "count": 3, "height": dn.shape[1], "width": dn.shape[2], "dtype": dn.dtype.name}
    with rasterio.open(path, "w", **profile, crs="EPSG:32631", transform=from_origin(5e5, 5e6, 10, 10)) as raster:
        raster.write(dn)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path / "scene.tif", half_cloudy())


def test_the_parameters_are_those_of_omnicloudmask_in_its_order() -> None:
    own = ["nodata", "scale", "offset", "model"]
    array = list(inspect.signature(predict_from_array).parameters)
    files = list(inspect.signature(predict_from_load_func).parameters)

    assert array[-4:] == files[-4:] == own
    assert array[:4] == ["input_array", "patch_size", "patch_overlap", "batch_size"]
    assert files[:3] == ["scene_paths", "load_func", "patch_size"]
    assert set(files) - set(array) == {"scene_paths", "load_func", "overwrite", "output_dir"}
    assert set(array) - set(files) == {"input_array"}


@pytest.mark.filterwarnings("ignore:.*taken for reflectance:UserWarning")
def test_a_script_for_omnicloudmask_runs_with_its_import_changed(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "scene.npy", half_cloudy())
    monkeypatch.setattr("sys.argv", ["script", str(tmp_path / "scene.npy"), str(file), str(tmp_path / "out")])
    said: dict[str, Any] = {}
    changed = SCRIPT.replace("from omnicloudmask import", "from undercast.compat.omnicloudmask import")
    exec(compile(changed, "script", "exec"), said)  # noqa: S102 (our own text)

    np.testing.assert_array_equal(said["classes"][0, 8:, :48], 1)
    np.testing.assert_array_equal(said["classes"][0, 8:, 48:], 0)
    np.testing.assert_array_equal(said["classes"][0, :8], 255)
    np.testing.assert_array_equal(said["confidence"][:, 8:].argmax(axis=0), said["classes"][0, 8:])
    with rasterio.open(said["files"][0]) as raster:
        np.testing.assert_array_equal(raster.read(1), said["classes"][0])
        assert (raster.nodata, raster.crs.to_epsg(), raster.transform.a) == (255, 32631, 10)


def test_pixels_without_data_are_clear_only_where_the_old_0_is_asked_for(file: Path, tmp_path: Path) -> None:
    reflectance = half_cloudy().astype(np.float32) / 10_000
    assert set(np.unique(predict_from_array(reflectance))) == {0, 1, 255}
    assert set(np.unique(predict_from_array(reflectance, nodata=0))) == {0, 1}
    assert set(np.unique(predict_from_array(reflectance, apply_no_data_mask=False))) == {0, 1}
    assert np.isnan(predict_from_array(reflectance, export_confidence=True)[:, :8]).all()
    assert not predict_from_array(reflectance, export_confidence=True, nodata=0)[:, :8].any()
    (path,) = predict_from_load_func([file], load, output_dir=tmp_path / "out", scale=1e-4, nodata=0)
    with rasterio.open(path) as raster:
        assert raster.nodata is None
        assert not raster.read(1)[:8].any()
    with pytest.raises(UsageError, match="nodata must be 255, or 0"):
        predict_from_array(reflectance, nodata=7)


def load(input_path: Path) -> tuple[NDArray[Any], dict[str, Any]]:
    with rasterio.open(input_path) as raster:
        return raster.read(), raster.profile


def test_a_pixel_with_the_value_of_no_data_in_some_bands_only_has_data() -> None:
    reflectance = np.full((3, 40, 64), 0.9, np.float32)
    reflectance[0, 3, 3] = 0
    reflectance[:, 5, 5] = np.nan
    with pytest.warns(UserWarning, match="40 px is small"):
        classes = predict_from_array(reflectance)[0]
    assert classes[3, 3] != 255
    assert np.argwhere(classes == 255).tolist() == [[5, 5]]


def test_digital_numbers_are_scaled_with_a_warning_or_as_asked_for() -> None:
    dn = half_cloudy() + 1000
    with pytest.warns(UserWarning, match="values of up to 10000 are taken for reflectance x 10000"):
        guessed = predict_from_array(dn, no_data_value=1000)
    told = predict_from_array(dn, no_data_value=1000, scale=1e-4, offset=-0.1)
    np.testing.assert_array_equal(guessed == 255, told == 255)
    with pytest.raises(RadiometryError):
        predict_from_array(dn, scale=1.0)


def test_confidences_are_clipped_probabilities_or_their_logarithms() -> None:
    reflectance = half_cloudy().astype(np.float32) / 10_000
    confidence = predict_from_array(reflectance, export_confidence=True)[:, 8:]
    logits = predict_from_array(reflectance, export_confidence=True, softmax_output=False)[:, 8:]
    assert confidence.dtype == np.float32
    assert confidence.min() >= np.float32(0.001)
    assert confidence.max() <= np.float32(0.999)
    np.testing.assert_allclose(np.exp(logits), confidence, rtol=1e-5)


def test_files_lie_beside_the_scenes_and_are_left_alone_where_that_is_asked_for(tmp_path: Path) -> None:
    paths = [written(tmp_path / f"{name}.tif", half_cloudy()) for name in "abcd"]
    files = predict_from_load_func(paths, load, scale=1e-4, export_confidence=True)
    before = [path.stat().st_mtime_ns for path in files]
    assert files == [tmp_path / f"{name}_undercast.tif" for name in "abcd"]
    with rasterio.open(files[0]) as raster:
        assert (raster.count, raster.dtypes[0], raster.descriptions) == (4, "float32", tuple(CLASS_NAMES.values()))

    files[2].unlink()
    predict_from_load_func(paths, load, scale=1e-4, overwrite=False)
    after = [path.stat().st_mtime_ns for path in files]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, True, False, True]
    predict_from_load_func(paths[:1], load, scale=1e-4)
    assert files[0].stat().st_mtime_ns != before[0]
    assert not list(tmp_path.glob(".undercast-*"))


def test_scenes_of_one_name_are_never_written_over_each_other(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "scene.tif", tmp_path / "b" / "scene.tif"]
    with pytest.raises(UsageError, match=r"scenes of different names, got .*scene_undercast\.tif for two of them"):
        predict_from_load_func(paths, load_multiband, output_dir=tmp_path)


def test_a_scene_that_cannot_be_loaded_is_an_error_and_leaves_no_half_file(tmp_path: Path) -> None:
    good, bad = written(tmp_path / "good.tif", half_cloudy()), tmp_path / "bad.tif"
    with pytest.raises(rasterio.errors.RasterioIOError):
        predict_from_load_func([good, bad], load, scale=1e-4, output_dir=tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").glob("*")} <= {"good_undercast.tif"}
    (tmp_path / "taken").touch()
    with pytest.raises(OutputError):
        predict_from_load_func([good], load, scale=1e-4, output_dir=tmp_path / "taken")


def test_layers_of_a_file_are_loaded_in_the_order_asked_for_and_resampled(file: Path) -> None:
    array, profile = load_multiband(file, resample_res=20, band_order=[3, 1, 2])
    assert array.shape == (3, 48, 48)
    assert tuple(profile["transform"])[:6] == (20, 0, 5e5, 0, -20, 5e6)
    with pytest.warns(UserWarning, match="layers 1, 2 and 3"):
        assert load_multiband(file)[0].shape == (3, 96, 96)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"input_array": np.zeros((96, 96))}, ValueError, "got shape"),
        ({"input_array": np.zeros((4, 96, 96))}, ValueError, "got shape"),
        ({"input_array": np.zeros((3, 31, 96))}, ValueError, "at least 32 x 32 px"),
        ({"patch_overlap": 1000}, ValueError, "patch_overlap must be less than patch_size 1000"),
        ({"patch_size": 31, "patch_overlap": 3}, ValueError, "at least 32"),
        ({"custom_models": [object()]}, UsageError, "it runs model packages"),
        ({"pred_classes": 3}, UsageError, "it runs model packages"),
        ({"inference_dtype": "int4"}, UsageError, "inference_dtype must be one of float32"),
        ({"inference_device": "mps"}, BackendError, "mps"),
        ({"input_array": np.zeros((3, 96, 96))}, SceneError, "no valid pixel"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        predict_from_array(**{"input_array": np.full((3, 96, 96), 0.2, np.float32), **arguments})


def test_resolutions_that_omnicloudmask_refuses_are_refused() -> None:
    with pytest.raises(ValueError, match="got 60"):
        load_s2("S2A_MSIL1C.SAFE", resolution=60)
    with pytest.raises(ValueError, match="got 15"):
        load_ls8("LC08", resolution=15)


class Named:
    """What PyTorch's devices and types are here: a name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name


def test_a_device_of_pytorch_and_its_types_are_understood() -> None:
    reflectance = half_cloudy().astype(np.float32) / 10_000
    classes = predict_from_array(
        reflectance, inference_device=Named("cpu:0"), inference_dtype=Named("torch.float32"), mosaic_device=Named("mps")
    )
    assert classes[0, 50, 10] == 1


def test_what_is_offered_is_what_omnicloudmask_offers_but_batches_of_chips() -> None:
    assert set(omnicloudmask.__all__) == {
        "CLASS_NAMES",
        "load_ls8",
        "load_multiband",
        "load_s2",
        "predict_from_array",
        "predict_from_load_func",
    }
