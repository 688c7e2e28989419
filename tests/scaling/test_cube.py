"""Lazy masks of cubes: what an unchunked mask gives, however the cube is chunked."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import dask.array
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from undercast.errors import BandError, RadiometryError, UsageError
from undercast.inference.augmentation import Augmentation
from undercast.loading import ModelChoice
from undercast.masking import MaskOptions, predict
from undercast.postprocessing import PostProcessing
from undercast.scaling import cube, mask_cube
from undercast.scaling.batch import model_here

MODELS = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "models" / "make.py")))
NAMES = ["blue", "green", "red"]
VARIABLES = ("class_map", "uncertainty", "probabilities")


@pytest.fixture(scope="module")
def choice(tmp_path_factory: pytest.TempPathFactory) -> ModelChoice:
    """A model whose answer in a pixel depends on its neighbours, on the window's edge, and so on where windows lie."""
    weights = {f"m{seed}": MODELS.network_bytes(3, 4, seed=seed, kernel=7) for seed in range(2)}
    folder = tmp_path_factory.mktemp("models") / "wide"
    MODELS.write_package(folder, MODELS.tiny_spec(), weights, MODELS.tiny_details())
    return ModelChoice(name=folder, precision="f32")


def array_of(shape: tuple[int, int], *, seed: int = 0, dims: tuple[str, ...] = ("band", "y", "x")) -> xr.DataArray:
    """Reflectance with a corner without data."""
    values = np.random.default_rng(seed).random((3, *shape), np.float32)
    values[:, : shape[0] // 3, : shape[1] // 4] = np.nan
    coords = {"band": NAMES, "y": -10.0 * np.arange(shape[0]), "x": 10.0 * np.arange(shape[1])}
    return xr.DataArray(values, dims=("band", "y", "x"), coords=coords, name="cube").transpose(*dims)


def assert_same(lazy: xr.Dataset, whole: xr.Dataset) -> None:
    computed = lazy.compute()
    np.testing.assert_array_equal(computed.class_map, whole.class_map)
    for name in VARIABLES:
        np.testing.assert_allclose(computed[name], whole[name], atol=1e-6)
        assert computed[name].dtype == whole[name].dtype
        assert computed[name].dims == whole[name].dims
        assert computed[name].attrs == whole[name].attrs
    assert computed.coords.equals(whole.coords)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.tuples(st.integers(20, 150), st.integers(20, 150)),
    chunk=st.tuples(st.integers(9, 90), st.integers(9, 90)),
    least=st.sampled_from([0, 1, 4]),
)
def test_the_result_is_that_of_the_unchunked_mask_whatever_the_chunks(
    choice: ModelChoice, shape: tuple[int, int], chunk: tuple[int, int], least: int
) -> None:
    array = array_of(shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cube, "LEAST_WINDOWS", least)
        lazy = mask_cube(array.chunk({"y": chunk[0], "x": chunk[1]}), choice)
    assert_same(lazy, predict(array, model_here(choice)))


def test_members_with_windows_of_different_sizes_see_what_they_see_in_the_whole(
    choice: ModelChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_here(choice)
    first, second = model.package.members
    members = (first, replace(second, spec=replace(model.spec, window=48, overlap=24)))
    mixed = replace(model, package=replace(model.package, members=members))
    monkeypatch.setattr(cube, "model_here", lambda _: mixed)
    monkeypatch.setattr(cube, "LEAST_WINDOWS", 0)
    array = array_of((130, 110))
    assert_same(mask_cube(array.chunk({"y": 50, "x": 37}), choice), predict(array, mixed))


@pytest.mark.parametrize("memory", [10**10, 1])
def test_windows_are_fitted_to_memory_as_for_the_whole(
    choice: ModelChoice, monkeypatch: pytest.MonkeyPatch, memory: int
) -> None:
    monkeypatch.setattr(cube, "LEAST_WINDOWS", 0)
    array, options = array_of((210, 190)), MaskOptions(memory=memory)
    whole = predict(array, model_here(choice), options)
    own = predict(array, model_here(choice), MaskOptions(window=model_here(choice).spec.window))
    assert not np.allclose(whole.probabilities, own.probabilities, equal_nan=True)
    assert_same(mask_cube(array.chunk({"y": 70, "x": 61}), choice, options), whole)


def test_nothing_is_read_before_it_is_asked_for_and_only_what_a_chunk_needs(
    choice: ModelChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cube, "LEAST_WINDOWS", 0)
    read: list[tuple[int, ...]] = []
    whole = array_of((256, 256))

    def chunk(block_info: Any) -> Any:
        place = block_info[None]["chunk-location"]
        read.append(place)
        (_, rows, cols) = block_info[None]["array-location"]
        return whole.values[:, slice(*rows), slice(*cols)]

    data = dask.array.map_blocks(
        chunk, chunks=((3,), (64,) * 4, (64,) * 4), dtype=np.float32, meta=np.empty((0, 0, 0), np.float32)
    )
    lazy = mask_cube(whole.copy(data=data), choice)
    assert read == []
    assert lazy.class_map.chunks == ((64,) * 4, (64,) * 4)
    corner = lazy.class_map[-64:, -64:].compute()
    assert set(read) == {(0, row, col) for row in (2, 3) for col in (2, 3)}
    np.testing.assert_array_equal(corner, predict(whole, model_here(choice)).class_map[-64:, -64:])


def test_the_three_results_of_a_chunk_are_computed_together(
    choice: ModelChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []
    masked = cube._masked

    def counted(*arguments: Any) -> Any:
        runs.append(1)
        return masked(*arguments)

    monkeypatch.setattr(cube, "_masked", counted)
    monkeypatch.setattr(cube, "LEAST_WINDOWS", 0)
    with dask.config.set(scheduler="synchronous"):
        mask_cube(array_of((64, 64)).chunk({"y": 32, "x": 64}), choice).compute()
    assert len(runs) == 2


def test_a_cube_with_times_is_a_scene_for_each(choice: ModelChoice) -> None:
    times = [
        array_of((40, 50), seed=seed).expand_dims(time=[np.datetime64(f"2024-01-0{seed + 1}", "ns")]) for seed in (0, 1)
    ]
    lazy = mask_cube(xr.concat(times, "time").chunk({"time": 1}), choice)
    assert lazy.class_map.dims == ("time", "y", "x")
    for place, one in enumerate(times):
        whole = predict(one, model_here(choice))
        np.testing.assert_array_equal(lazy.class_map[place], whole.class_map)


def test_digital_numbers_are_scaled_by_what_the_array_says(choice: ModelChoice) -> None:
    array = array_of((64, 50), dims=("y", "x", "band"))
    stored = (array.fillna(-0.1) * 10_000).round().astype(np.int16).assign_attrs(scale_factor=1e-4, _FillValue=-1000)
    assert_same(mask_cube(stored.chunk({"y": 32}), choice), predict(stored, model_here(choice)))


def test_an_array_without_chunks_is_one(choice: ModelChoice) -> None:
    array = array_of((64, 50))
    lazy = mask_cube(array, choice)
    assert lazy.class_map.chunks == ((64,), (50,))
    assert_same(lazy, predict(array, model_here(choice)))


def test_a_chunk_of_digital_numbers_without_scale_is_refused_when_it_is_computed(choice: ModelChoice) -> None:
    lazy = mask_cube((array_of((64, 64)) * 10_000).chunk({"y": 32}), choice)
    with pytest.raises(RadiometryError, match="these look like digital numbers"):
        lazy.compute()
    mask_cube((array_of((64, 64)) * 10_000).chunk(), choice, MaskOptions(radiometry="warn")).compute()


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        (MaskOptions(dem="dem.tif"), UsageError, "dem is for scenes, not for cubes"),
        (MaskOptions(postprocessing=PostProcessing(buffer_m=30.0)), UsageError, "postprocessing is for scenes"),
        (MaskOptions(tta=Augmentation(depth=2, budget=1.0)), UsageError, "tta: a budget"),
        (MaskOptions(preset="none-such"), UsageError, "none-such"),
        (MaskOptions(batch_size=0), UsageError, "batch_size must be"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_anything_is_computed(
    choice: ModelChoice, options: MaskOptions, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        mask_cube(array_of((64, 64)).chunk(), choice, options)


def test_bands_that_are_missing_are_refused_before_anything_is_computed(choice: ModelChoice) -> None:
    with pytest.raises(BandError, match="red"):
        mask_cube(array_of((64, 64)).isel(band=[0, 1]).chunk(), choice)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12), st.integers(0, 100))
def test_chunks_that_are_put_together_lose_no_pixel_and_are_long_enough(chunks: list[int], least: int) -> None:
    merged = cube._merged(chunks, least)
    assert sum(merged) == sum(chunks)
    assert all(length >= least for length in merged[:-1])
