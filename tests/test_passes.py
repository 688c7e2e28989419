"""A model's members over a scene, and the precision in which they may run."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from undercast import loading
from undercast.bands import band_from_name
from undercast.errors import ApplicabilityError, BandError
from undercast.loading import Agreement, Model, Proof, load_model
from undercast.masking import MaskOptions, predict
from undercast.model_spec import ModelBand
from undercast.models.applicability import Applicability
from undercast.passes import agreement_of, matched_bands
from undercast.scene import Scene, scene_from_array
from undercast.types import Float32

make = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "data" / "models" / "make.py")))

BANDS = ("blue", "green", "red")


def threshold(at: float) -> Callable[[Float32], Float32]:
    """A network that says cloud, in one layer, where its first band is brighter."""

    def run(batch: Float32) -> Float32:
        return (batch[:, :1] > at).astype(np.float32)

    return run


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Two members that give the probability of cloud."""
    spec = make.tiny_spec(classes=("cloud",), uncertainty="std", window=16, overlap=4)
    weights = {f"member_{seed}": make.network_bytes(3, 1, seed=seed, end="Sigmoid") for seed in range(2)}
    folder = make.write_package(tmp_path_factory.mktemp("models") / "m", spec, weights, make.tiny_details())
    return load_model(folder, precision="f32")


def with_precision(loaded: Model, path: Path, *, rough: float) -> Model:
    """The model as if it ran in bf16, with another threshold than in f32."""
    exact = replace(loaded, networks=(threshold(0.5), threshold(0.5)))
    fast = replace(loaded, networks=(threshold(rough), threshold(rough)), precision="bf16")
    return replace(fast, proof=Proof(exact=lambda: exact, path=path))


def ramp(low: float, high: float, *, height: int = 48, width: int = 64) -> Scene:
    values = np.broadcast_to(np.linspace(low, high, width, dtype=np.float32), (3, height, width))
    return scene_from_array(values, BANDS)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let scenes as small as these settle a precision."""
    monkeypatch.setattr(loading, "FEWEST_PIXELS", 500)


@pytest.mark.usefixtures("few")
def test_a_precision_that_agrees_is_used_and_the_outcome_is_kept(loaded: Model, tmp_path: Path) -> None:
    model = with_precision(loaded, tmp_path / "outcome.json", rough=0.5001)
    assert predict(ramp(0.1, 0.9), model).header.precision == "bf16"
    assert model.proof is not None
    assert model.proof.outcome() is True


@pytest.mark.usefixtures("few")
def test_a_precision_that_moves_classes_is_exchanged_for_f32_and_that_is_told(
    loaded: Model, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = with_precision(loaded, tmp_path / "outcome.json", rough=0.4)
    prediction = predict(ramp(0.1, 0.9), model)
    assert prediction.header.precision == "f32"
    np.testing.assert_array_equal(prediction.class_map == 1, ramp(0.1, 0.9).read()[0] > 0.5)
    assert "of classes with bf16 are those with f32, expected 99.9 %. f32 is used" in caplog.text
    assert model.proof is not None
    assert model.proof.outcome() is False


@pytest.mark.usefixtures("few")
def test_a_scene_that_is_all_clear_proves_nothing(loaded: Model, tmp_path: Path) -> None:
    model = with_precision(loaded, tmp_path / "outcome.json", rough=0.4)
    assert predict(ramp(0.1, 0.2), model).header.precision == "bf16"
    assert model.proof is not None
    assert model.proof.outcome() is None
    assert predict(ramp(0.1, 0.9), model).header.precision == "f32"


def test_only_the_first_of_many_scenes_of_one_class_is_looked_at_with_f32(loaded: Model, tmp_path: Path) -> None:
    model = with_precision(loaded, tmp_path / "outcome.json", rough=0.5001)
    assert model.proof is not None
    whole, looks = model.proof.exact(), []

    def exact() -> Model:
        looks.append(1)
        return whole

    model = replace(model, proof=Proof(exact=exact, path=tmp_path / "outcome.json"))
    for high in (0.2, 0.3, 0.2):
        predict(ramp(0.1, high), model)
    assert len(looks) == 1
    predict(ramp(0.1, 0.9), model)
    assert len(looks) == 2


def test_small_scenes_settle_a_precision_together(
    loaded: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "FEWEST_PIXELS", 2000)
    model = with_precision(loaded, tmp_path / "outcome.json", rough=0.5001)
    assert model.proof is not None
    outcomes = []
    for _ in range(3):
        predict(ramp(0.1, 0.9), model)
        outcomes.append(model.proof.outcome())
    assert outcomes == [None, None, True]


@pytest.mark.usefixtures("few")
def test_what_was_found_out_is_not_looked_at_again(loaded: Model, tmp_path: Path) -> None:
    model = with_precision(loaded, tmp_path / "outcome.json", rough=0.4)
    assert model.proof is not None
    model.proof.keep(Agreement(share=1.0, pixels=1000))
    assert predict(ramp(0.1, 0.9), model).header.precision == "bf16"


def test_the_windows_looked_at_are_spread_over_the_scene(loaded: Model, tmp_path: Path) -> None:
    """A difference in the lower right corner alone is seen."""
    values = np.full((3, 200, 200), 0.1, np.float32)
    values[:, -16:, -8:] = 0.45
    model = with_precision(loaded, tmp_path / "outcome.json", rough=0.4)
    assert predict(scene_from_array(values, BANDS), model).header.precision == "f32"


@pytest.mark.parametrize(
    ("fast", "exact", "expected"),
    [
        ([0, 1, 1, 0], [0, 1, 1, 0], (1.0, 4)),
        ([0, 1, 0, 0], [0, 1, 1, 0], (0.75, 4)),
        ([0, 0, 0, 0], [0, 0, 0, 0], (1.0, 0)),
        ([0, 0, 0, 1], [0, 0, 0, 0], (0.75, 4)),
        ([0, 1, 255, 255], [0, 1, 255, 255], (1.0, 2)),
        ([255, 255], [255, 255], (1.0, 0)),
    ],
)
def test_agreement_is_the_share_of_valid_pixels_with_the_same_class(
    fast: list[int], exact: list[int], expected: tuple[float, int]
) -> None:
    share, pixels = expected
    assert agreement_of(np.array(fast, np.uint8), np.array(exact, np.uint8)) == Agreement(share=share, pixels=pixels)


def mixed(loaded: Model) -> Model:
    """The second member takes red alone, times 10000, in other windows."""
    red = tuple(ModelBand(band=band_from_name(name)) for name in ("red",))
    other = replace(loaded.spec, bands=red, scale=10_000.0, window=24, overlap=8)
    first, second = loaded.package.members
    package = replace(loaded.package, members=(first, replace(second, spec=other)))
    return replace(loaded, package=package, networks=(threshold(0.5), threshold(5000.0)))


def painted() -> NDArray[np.float32]:
    values = np.full((3, 60, 50), 0.2, np.float32)
    values[0, :30] = 0.8  # what the first member sees
    values[2, :, :25] = 0.8  # what the second member sees
    return values


def test_members_of_other_bands_scaling_and_windows_are_one_ensemble(loaded: Model) -> None:
    prediction = predict(scene_from_array(painted(), BANDS), mixed(loaded))
    cloud, uncertainty = prediction.pair
    assert cloud.shape == uncertainty.shape == (1, 60, 50)
    np.testing.assert_allclose(cloud[0, ::59, ::49], [[1.0, 0.5], [0.5, 0.0]], atol=1e-6)
    np.testing.assert_allclose(uncertainty[0, ::59, ::49], [[0.0, 1.0], [1.0, 0.0]], atol=1e-6)
    assert set(prediction.header.bands) == set(BANDS)


@pytest.mark.parametrize(("aggregation", "corners"), [("max", [[1, 1], [1, 0]]), ("min", [[1, 0], [0, 0]])])
def test_the_aggregation_is_chosen_at_run_time(loaded: Model, aggregation: str, corners: list[list[int]]) -> None:
    options = MaskOptions(aggregation=aggregation, thresholds={"cloud": 0.5})  # type: ignore[arg-type]
    class_map = predict(scene_from_array(painted(), BANDS), mixed(loaded), options).class_map
    np.testing.assert_array_equal(class_map[::59, ::49], corners)


def test_a_band_that_one_member_lacks_is_told(loaded: Model) -> None:
    scene = scene_from_array(painted()[:2], BANDS[:2])
    with pytest.raises(BandError, match=r"needs .*red"):
        predict(scene, mixed(loaded))


def test_a_band_that_two_members_take_is_matched_once(loaded: Model) -> None:
    matches = matched_bands(scene_from_array(painted(), BANDS), mixed(loaded))
    assert [match.wanted.common_name for match in matches] == list(BANDS)


def test_a_pixel_that_one_member_cannot_see_is_nodata(loaded: Model) -> None:
    values = painted()
    values[2, 5, 5] = np.nan
    prediction = predict(scene_from_array(values, BANDS), mixed(loaded))
    assert prediction.class_map[5, 5] == 255
    assert (~prediction.valid).sum() == prediction.partly_valid == 1


@pytest.fixture
def foreign(loaded: Model) -> Model:
    stated = Applicability(sensors=("proba-v",), levels=("surface",), batch_size=4)
    return replace(loaded, package=replace(loaded.package, applicability=stated))


def test_a_scene_that_the_model_is_not_for_is_worth_a_warning_by_name(foreign: Model) -> None:
    scene = replace(ramp(0.1, 0.9), sensor="sentinel-2", level="toa")
    warnings = predict(scene, foreign).header.warnings
    assert any("sensor: expected proba-v, got sentinel-2 (model 'tiny')" in warning for warning in warnings)
    assert any("product level: expected surface reflectance, got toa" in warning for warning in warnings)


def test_strict_refuses_what_is_otherwise_a_warning(foreign: Model) -> None:
    scene = replace(ramp(0.1, 0.9), sensor="sentinel-2")
    with pytest.raises(ApplicabilityError, match=r"sensor: expected proba-v, got sentinel-2.*Leave out --strict"):
        predict(scene, foreign, MaskOptions(strict=True))
    assert predict(replace(scene, sensor="proba-v"), foreign, MaskOptions(strict=True)).header.warnings == ()


def test_accelerators_get_batches_as_suggested_and_processors_one_window_at_a_time(foreign: Model) -> None:
    sizes: set[int] = set()

    def network(batch: Float32) -> Float32:
        sizes.add(batch.shape[0])
        return np.zeros((batch.shape[0], 1, *batch.shape[2:]), np.float32)

    model = replace(foreign, networks=(network, network), windows=2)
    predict(ramp(0.1, 0.9), model)
    assert sizes == {1}
    predict(ramp(0.1, 0.9, width=16 + 4 * 12), replace(model, device="cuda"))
    assert max(sizes) == 4


def test_sigmoid_members_in_windows_of_512_give_what_a_pass_over_the_whole_scene_gives(tmp_path: Path) -> None:
    """The windows of FDR4VGT: 512 px, 64 px overlap, one class, reflectance x 10000, 0 where there is no data."""
    spec = make.tiny_spec(
        classes=("cloud",), scale=10_000.0, fill=0.0, window=512, multiple=512, overlap=64, uncertainty="std"
    )
    spec = replace(spec, presets={"recommended": {"cloud": 0.4}, "standard": {"cloud": 0.5}}, preset="recommended")
    weights = {f"member_{seed}": make.network_bytes(3, 1, seed=seed, end="Sigmoid") for seed in range(2)}
    model = load_model(make.write_package(tmp_path / "m", spec, weights, make.tiny_details()), precision="f32")
    values = np.random.default_rng(0).normal(0, 1e-4, (3, 600, 530)).astype(np.float32)
    values += np.linspace(-1e-4, 1e-4, 530, dtype=np.float32)
    values[:, :7, :9] = np.nan
    scene = scene_from_array(values, BANDS)
    prediction = predict(scene, model, MaskOptions(radiometry="warn"))
    whole = np.stack([network(np.nan_to_num(values * 10_000)[None])[0, 0] for network in model.networks])
    expected = whole.mean(axis=0)
    inside = prediction.valid
    assert inside.sum() == 600 * 530 - 63
    np.testing.assert_allclose(prediction.pair[0][0][inside], expected[inside], atol=1e-5)
    np.testing.assert_allclose(prediction.pair[1][0][inside], (np.abs(whole[0] - whole[1]))[inside], atol=1e-5)
    clear = np.abs(expected - 0.4) > 1e-4
    np.testing.assert_array_equal(prediction.class_map[inside & clear] == 1, (expected > 0.4)[inside & clear])
    standard = predict(scene, model, MaskOptions(radiometry="warn", preset="standard")).class_map
    assert (standard == 1).sum() < (prediction.class_map == 1).sum()
