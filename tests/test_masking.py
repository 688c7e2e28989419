"""A scene and a model give a prediction, and files."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from undercast import masking
from undercast.bands import Band, band_from_name
from undercast.classes import load_scheme
from undercast.errors import (
    BackendError,
    BandError,
    OutputExistsError,
    RadiometryError,
    SceneError,
    TrustError,
    UndercastError,
    UnknownModelError,
    UsageError,
    WindowError,
)
from undercast.inference.backends import BackendChoice
from undercast.inference.memory import Load
from undercast.inference.sliding import plan_windows
from undercast.loading import Model, load_model
from undercast.masking import MaskOptions, mask, predict, stream
from undercast.model_spec import ModelBand
from undercast.prediction import collect
from undercast.scene import Scene, scene_from_array
from undercast.types import Float32
from undercast.windows import Window
from undercast.writers import OutputOptions

make = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "data" / "models" / "make.py")))

BANDS = ("blue", "green", "red")


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = make.tiny_package(tmp_path_factory.mktemp("models") / "tiny")
    return folder


@pytest.fixture(scope="session")
def model(package: Path) -> Model:
    return load_model(package, device="cpu")


@pytest.fixture(scope="session")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Three members that differ."""
    folder = tmp_path_factory.mktemp("models") / "trio"
    spec = make.tiny_spec(presets={"careful": {"cloud": 0.9}}, preset="careful")
    weights = {f"member_{seed}": make.network_bytes(3, 4, seed=seed, kernel=3) for seed in range(3)}
    return load_model(make.write_package(folder, spec, weights, make.tiny_details()))


def painted(height: int = 20, width: int = 30) -> Float32:
    """Reflectance of clear land with a bright cloud, a dark shadow and a corner without data."""
    reflectance = np.full((3, height, width), 0.2, np.float32)
    reflectance[:, 2:6, 2:9] = 0.8
    reflectance[:, 8:12, 4:10] = 0.01
    reflectance[:, -3:, -3:] = np.nan
    return reflectance


def outputs(folder: Path) -> OutputOptions:
    return OutputOptions(folder=folder, scheme=load_scheme(), probabilities=True, uncertainty=True)


def test_a_painted_scene_is_masked_as_it_was_painted(model: Model) -> None:
    prediction = predict(scene_from_array(painted(), BANDS, name="painted", level="toa"), model)
    expected = np.zeros((20, 30), np.uint8)
    expected[2:6, 2:9] = 1
    expected[8:12, 4:10] = 3
    expected[-3:, -3:] = 255
    np.testing.assert_array_equal(prediction.class_map, expected)
    np.testing.assert_array_equal(prediction.valid, expected != 255)
    assert np.isnan(prediction.probabilities[:, -3:, -3:]).all()
    np.testing.assert_allclose(prediction.probabilities[:, :5].sum(axis=0), 1, atol=1e-5)
    header = prediction.header
    assert header.scene == "painted"
    assert header.model.id == "tiny"
    assert header.model.verified
    assert len(header.model.checksums) == 1
    assert header.classes == ("clear", "thick_cloud", "thin_cloud", "cloud_shadow")
    assert (header.aggregation, header.uncertainty_kind) == ("mean", "entropy")
    assert list(header.bands) == ["blue", "green", "red"]
    assert header.bands["red"] == "red (0.66 um, 0.000 um away)"
    assert header.absent == ()
    assert header.warnings == ()


def test_partly_valid_pixels_are_nodata_and_counted(model: Model) -> None:
    reflectance = painted()
    reflectance[1, 0, :5] = np.nan
    prediction = predict(scene_from_array(reflectance, BANDS), model)
    assert (prediction.class_map[0, :6] == [255] * 5 + [0]).all()
    assert prediction.partly_valid == 5


@settings(max_examples=15)
@given(
    shape=st.tuples(st.integers(8, 70), st.integers(8, 70)),
    window=st.sampled_from([8, 16, 32]),
    overlap=st.integers(0, 7),
    batch_size=st.integers(1, 5),
)
def test_masking_in_windows_gives_what_masking_in_one_piece_gives(
    model: Model, shape: tuple[int, int], window: int, overlap: int, batch_size: int
) -> None:
    reflectance = np.random.default_rng(shape[0]).random((3, *shape), np.float32)
    reflectance[:, 5:, 7:] = np.nan
    scene = scene_from_array(reflectance, BANDS)
    exact = model if model.proof is None else model.proof.exact()
    pieces = predict(scene, exact, MaskOptions(window=window, overlap=overlap, batch_size=batch_size))
    whole = predict(scene, exact, MaskOptions(window=72, overlap=0))
    np.testing.assert_allclose(pieces.probabilities, whole.probabilities, atol=2e-6)
    clear_cut = np.sort(whole.probabilities, axis=0)[-1] - np.sort(whole.probabilities, axis=0)[-2] > 1e-5
    np.testing.assert_array_equal(pieces.class_map[clear_cut], whole.class_map[clear_cut])
    np.testing.assert_array_equal(pieces.class_map == 255, whole.class_map == 255)


def test_a_preset_thresholds_and_argmax_lead_to_different_operating_points(trio: Model) -> None:
    reflectance = np.random.default_rng(0).random((3, 40, 40), np.float32)
    scene = scene_from_array(reflectance, BANDS)

    def cloud(options: MaskOptions | None) -> tuple[dict[str, float], int]:
        prediction = predict(scene, trio, options)
        return dict(prediction.header.thresholds), int(np.isin(prediction.class_map, (1, 2)).sum())

    recommended = cloud(None)
    named = cloud(MaskOptions(preset="careful"))
    own = cloud(MaskOptions(thresholds={"cloud": 0.1}))
    argmax = cloud(MaskOptions(preset="argmax"))
    assert recommended == named
    assert named[0] == {"cloud": 0.9}
    assert own[0] == {"cloud": 0.1}
    assert argmax[0] == {}
    assert argmax == cloud(MaskOptions(thresholds={}))
    assert named[1] < argmax[1] < own[1]


def test_an_ensemble_tells_its_std_and_its_aggregation(trio: Model) -> None:
    scene = scene_from_array(np.random.default_rng(0).random((3, 40, 40), np.float32), BANDS)
    prediction = predict(scene, trio, MaskOptions(uncertainty="std", aggregation="max"))
    assert (prediction.header.aggregation, prediction.header.uncertainty_kind) == ("max", "std")
    assert prediction.uncertainty.max() > 0.1
    assert len(prediction.header.model.checksums) == 3


def test_an_optional_band_may_be_absent_and_is_named(tmp_path: Path) -> None:
    bands = tuple(ModelBand(band=band_from_name(name), required=name != "nir") for name in ("red", "nir", "green"))
    model = load_model(make.tiny_package(tmp_path / "m", spec=make.tiny_spec(bands=bands)))
    prediction = predict(scene_from_array(painted(), BANDS), model)
    assert prediction.header.absent == ("nir",)
    assert list(prediction.header.bands) == ["red", "green"]


def test_a_binary_model_writes_thick_cloud_for_cloud(tmp_path: Path) -> None:
    spec = make.tiny_spec(classes=("cloud",))
    weights = make.convolution(np.full((1, 3, 1, 1), 10, np.float32), np.full(1, -15, np.float32), end="Sigmoid")
    model = load_model(make.write_package(tmp_path / "m", spec, {"one": weights}, make.tiny_details()))
    prediction = predict(scene_from_array(painted(), BANDS), model)
    assert prediction.header.classes == ("clear", "cloud")
    assert prediction.probabilities.shape == (2, 20, 30)
    assert (prediction.class_map[2:6, 2:9] == 1).all()
    assert set(np.unique(prediction.class_map)) == {0, 1, 255}


def test_a_distant_band_and_an_unknown_level_are_worth_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = load_model(make.tiny_package(tmp_path / "m", spec=make.tiny_spec(levels=("toa",))))
    far = Band(name="B3", common_name="red", center_wavelength=0.695, full_width_half_max=0.05)
    scene = scene_from_array(painted(), ["blue", "green", far], level="surface")
    warnings = predict(scene, model).header.warnings
    assert len(warnings) == 2
    assert "red is taken from B3 (0.695 um, 0.035 um away)" in warnings[0]
    assert "product level: expected toa reflectance, got surface (model 'tiny')" in warnings[1]
    assert warnings[0] in caplog.text


def test_uncertainty_that_nobody_wants_is_not_a_number_and_changes_nothing_else(model: Model) -> None:
    scene = scene_from_array(painted(70, 70), BANDS)
    wanted, other = (collect(stream(scene, model, uncertainty=one)) for one in (True, False))
    assert np.isfinite(wanted.uncertainty).any()
    assert np.isnan(other.uncertainty).all()
    np.testing.assert_array_equal(other.class_map, wanted.class_map)
    np.testing.assert_array_equal(other.probabilities, wanted.probabilities)


def test_progress_counts_every_window_up_to_the_last(model: Model) -> None:
    seen: list[tuple[int, int]] = []
    predict(
        scene_from_array(painted(70, 70), BANDS),
        model,
        MaskOptions(window=model.spec.window),
        progress=lambda done, total: seen.append((done, total)),
    )
    done = [count for count, _ in seen]
    assert seen[-1] == (9, 9)
    assert done == sorted(set(done))
    assert {total for _, total in seen} == {9}


def test_a_data_array_comes_back_as_a_dataset_on_its_coordinates(model: Model) -> None:
    array = xr.DataArray(
        painted(),
        dims=("band", "y", "x"),
        coords={"band": list(BANDS), "y": np.arange(20.0)[::-1], "x": np.arange(30.0)},
    )
    dataset = predict(array, model)
    assert isinstance(dataset, xr.Dataset)
    assert {"class_map", "probabilities", "uncertainty"} <= set(dataset.data_vars)
    xr.testing.assert_equal(dataset.x, array.x)
    xr.testing.assert_equal(dataset.y, array.y)
    expected = predict(scene_from_array(painted(), BANDS), model)
    np.testing.assert_array_equal(dataset.class_map, expected.class_map)


@pytest.mark.parametrize("source", [painted(), "scene.tif", None])
def test_what_is_no_scene_is_refused_with_what_makes_one(source: object) -> None:
    with pytest.raises(UsageError, match=r"expected a Scene or an xarray.DataArray, got \w+\. scene_from_array\("):
        predict(source)  # type: ignore[call-overload]


def small(reflectance: Float32 | None = None, bands: tuple[str, ...] = BANDS) -> Scene:
    return scene_from_array(painted() if reflectance is None else reflectance, bands, name="small")


@pytest.mark.parametrize(
    ("scene", "options", "error", "words"),
    [
        (lambda: small(painted(7, 30)[:, :, :]), None, SceneError, "at least 8 x 8 px, got 7 x 30"),
        (lambda: small(np.full((3, 9, 9), np.nan, np.float32)), None, SceneError, "no valid pixel"),
        (
            lambda: small(painted() * 10_000),
            None,
            RadiometryError,
            "look like digital numbers.*--scale 0.0001",
        ),
        (lambda: small(painted() - 0.5), None, RadiometryError, "offset seems to be applied twice"),
        (
            lambda: small(bands=("blue", "green", "swir16")),
            None,
            BandError,
            "needs blue, green, red; this scene",
        ),
        (small, MaskOptions(thresholds={"fog": 0.5}), UsageError, "expected one of cloud"),
        (small, MaskOptions(preset="f2"), UsageError, "preset 'f2' is not known .* Known: argmax"),
        (small, MaskOptions(preset="argmax", thresholds={}), UsageError, "not both"),
        (small, MaskOptions(aggregation="mode"), UsageError, "'mode' is not known. Known: mean"),  # type: ignore[arg-type]
        (small, MaskOptions(uncertainty="std"), UsageError, "std needs two or more members"),
        (small, MaskOptions(window=30), WindowError, "multiple of 8"),
        (small, MaskOptions(window=32, overlap=32), WindowError, "overlap must be"),
        (small, MaskOptions(batch_size=0), UsageError, "batch_size must be 1 or more"),
    ],
)
def test_what_cannot_be_masked_is_refused_in_one_line_and_nothing_is_written(
    tmp_path: Path,
    model: Model,
    scene: Callable[[], Scene],
    options: MaskOptions | None,
    error: type[UndercastError],
    words: str,
) -> None:
    with pytest.raises(error, match=words) as caught:
        mask(scene(), outputs(tmp_path / "out"), model, options=options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_bands_that_never_have_data_together_leave_no_valid_pixel(model: Model) -> None:
    reflectance = painted()
    reflectance[0, :, :15] = np.nan
    reflectance[1, :, 15:] = np.nan
    with pytest.raises(SceneError, match=r"no valid pixel"):
        stream(small(reflectance), model)


def test_a_few_valid_pixels_that_the_sample_misses_are_found_and_guarded(model: Model) -> None:
    reflectance = np.full((3, 600, 600), np.nan, np.float32)
    reflectance[:, 150, 150] = 0.3
    assert np.isnan(small(reflectance).sample()).all()
    prediction = predict(small(reflectance), model)
    assert prediction.class_map[150, 150] == 0
    assert (prediction.class_map != 255).sum() == 1
    reflectance[:, 150, 150] = 3000
    with pytest.raises(RadiometryError, match=r"look like digital numbers"):
        stream(small(reflectance), model)


def test_a_person_may_take_strange_values_with_a_warning(model: Model) -> None:
    prediction = predict(small(painted() * 10_000), model, MaskOptions(radiometry="warn"))
    assert "look like digital numbers" in prediction.header.warnings[0]


def write_scene(path: Path, reflectance: Float32, names: tuple[str, ...] = BANDS) -> Path:
    dn = np.where(np.isfinite(reflectance), np.round(reflectance * 10_000), 0).astype(np.uint16)
    profile = {"driver": "GTiff", "dtype": "uint16", "count": len(names), "nodata": 0, "crs": "EPSG:32631"}
    height, width = dn.shape[1:]
    transform = rasterio.Affine(30, 0, 500_000, 0, -30, 4_600_000)
    with rasterio.open(path, "w", **profile, height=height, width=width, transform=transform) as file:
        file.write(dn)
        file.descriptions = names
        file.scales = (1e-4,) * len(names)
    return path


def test_a_geotiff_is_masked_from_end_to_end(tmp_path: Path, model: Model) -> None:
    path = write_scene(tmp_path / "land.tif", painted(40, 50))
    seen: list[tuple[int, int]] = []
    result = mask(path, outputs(tmp_path / "out"), model, progress=lambda done, total: seen.append((done, total)))
    told = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert told["scene"] == "land"
    for key in ("class_map", "probabilities", "uncertainty", "item", "quicklook"):
        assert Path(told[key]).is_file()
    with rasterio.open(told["class_map"]) as file:
        np.testing.assert_array_equal(file.read(1), predict(scene_from_array(painted(40, 50), BANDS), model).class_map)
    assert sum(told["percent"].values()) == pytest.approx(100, abs=0.01)
    assert told["model"]["id"] == "tiny"
    assert told["seconds"] > 0
    assert seen[-1][0] == seen[-1][1]


def test_what_was_not_asked_for_is_null_in_the_result(tmp_path: Path, model: Model) -> None:
    options = OutputOptions(folder=tmp_path, scheme=load_scheme(), item=False, quicklook=False, qml=False)
    told = mask(small(), options, model).to_dict()
    assert [key for key, value in told.items() if value is None] == [
        "probabilities",
        "uncertainty",
        "item",
        "quicklook",
        "style",
    ]


def test_an_existing_output_is_told_before_the_scene_is_opened(tmp_path: Path, model: Model) -> None:
    path = write_scene(tmp_path / "land.tif", painted())
    mask(path, outputs(tmp_path / "out"), model)
    path.unlink()
    with pytest.raises(OutputExistsError, match=r"exists already"):
        mask(path, outputs(tmp_path / "out"), model)


def test_a_network_that_fails_midway_leaves_nothing_behind(tmp_path: Path, model: Model) -> None:
    calls = []

    def fails(batch: Float32) -> Float32:
        calls.append(batch)
        if len(calls) > 1:
            raise BackendError("out of memory")
        return model.networks[0](batch)

    with pytest.raises(BackendError, match=r"out of memory"):
        mask(small(painted(70, 70)), outputs(tmp_path / "out"), replace(model, networks=(fails,)))
    assert list(tmp_path.rglob("*.tif")) == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_tampered_weight_is_never_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make.tiny_package(tmp_path / "m")
    weights = bytearray((folder / "member_1.onnx").read_bytes())
    weights[-1] ^= 1
    (folder / "member_1.onnx").write_bytes(weights)
    monkeypatch.setattr(BackendChoice, "load", lambda *_: pytest.fail("loaded"))
    with pytest.raises(TrustError, match=r"expected checksum 1220.*, got 1220"):
        load_model(folder)


def test_an_unknown_model_or_device_is_refused(package: Path) -> None:
    with pytest.raises(UnknownModelError, match=r"'nothing' is not known"):
        load_model("nothing")
    with pytest.raises(BackendError, match=r"device 'tpu' is not available"):
        load_model(package, device="tpu")
    with pytest.raises(BackendError, match=r"backend 'abacus' is not known"):
        load_model(package, backend="abacus")


def test_memory_is_bounded_by_a_row_of_windows(model: Model) -> None:
    rows = []

    class Pixels:
        def read(self, window: Window, bands: Sequence[int]) -> Float32:
            rows.append(window.height)
            return np.full((len(bands), *window.shape), 0.2, np.float32)

    scene = replace(small(np.full((3, 400, 40), 0.2, np.float32)), pixels=Pixels())
    strips = stream(scene, model, MaskOptions(window=model.spec.window))
    rows.clear()
    heights = [strip.class_map.shape[0] for strip in strips.strips]
    assert max(rows) <= 32
    assert sum(rows) == 400
    assert len(heights) == len(plan_windows(model.spec, (400, 40)).row_starts)


def test_windows_are_fitted_to_scene_and_memory(
    model: Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scene = small(np.full((3, 400, 300), 0.2, np.float32))
    own = plan_windows(model.spec, scene.grid.shape)

    def count(options: MaskOptions | None = None) -> int:
        counts: list[int] = []
        made = stream(scene, model, options, progress=lambda _, of: counts.append(of))
        list(made.strips)
        return counts[-1]

    fewest = count()
    assert fewest < len(own)
    assert count(MaskOptions(memory=10**10)) == fewest
    assert count(MaskOptions(window=own.window[0])) == len(own)
    taken = Load(bands=3, layers=len(model.spec.classes), windows=model.windows).bytes_of(own)
    monkeypatch.setattr(masking, "ORDINARY_BYTES", taken - 1)
    assert count() > len(own)
    monkeypatch.setattr(masking, "ORDINARY_BYTES", 1)  # which no windows keep
    assert count() == len(own)
    assert caplog.text == ""
    assert count(MaskOptions(memory=1)) > len(own)
    assert "memory: 0 MB are too few, about " in caplog.text


def test_a_scene_whose_name_differs_from_its_file_is_looked_for_under_both(tmp_path: Path, model: Model) -> None:
    folder = tmp_path / "product"
    folder.mkdir()
    for name, layer in zip(BANDS, painted(), strict=True):
        write_scene(folder / f"other_{name}.tif", layer[np.newaxis], names=(name,))
    result = mask(folder, outputs(tmp_path / "out"), model)
    assert result.scene in {"product", "other"}
    with pytest.raises(OutputExistsError):
        mask(folder, outputs(tmp_path / "out"), model)


def test_the_models_temperature_softens_its_probabilities(tmp_path: Path) -> None:
    scene = scene_from_array(painted(), BANDS)
    plain = predict(scene, load_model(make.tiny_package(tmp_path / "a")))
    soft = predict(scene, load_model(make.tiny_package(tmp_path / "b", spec=make.tiny_spec(temperature=2.0))))
    valid = plain.valid
    assert (soft.probabilities[:, valid].max(axis=0) <= plain.probabilities[:, valid].max(axis=0) + 1e-6).all()
    assert soft.uncertainty[valid].mean() > plain.uncertainty[valid].mean()
