"""A model says what it needs of a scene, and gets its input arranged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.bands import band_from_name, match_bands
from undercast.errors import BandError, ModelError, UsageError
from undercast.model_spec import THRESHOLD_NAMES, ModelBand, ModelSpec, check_thresholds, network_input

NAMES = ("blue", "red", "nir", "swir16")


def spec(*, required: tuple[str, ...] = ("red", "nir"), **changes: object) -> ModelSpec:
    bands = tuple(ModelBand(band=band_from_name(name), required=name in required) for name in NAMES)
    return ModelSpec(id="tiny", version="1", bands=bands, **changes)  # type: ignore[arg-type]


def test_matches_come_in_the_models_order() -> None:
    matches = spec().match([band_from_name(name) for name in ("nir", "red", "blue")])
    assert [match.index for match in matches] == [2, 1, 0, None]


def test_a_missing_required_band_is_told_with_the_way_out() -> None:
    with pytest.raises(BandError) as caught:
        spec().match([band_from_name("blue"), band_from_name("red")])
    assert str(caught.value) == (
        "model 'tiny' needs red, nir; this scene has blue, red. Name the bands with --bands, e.g."
        " --bands red,nir, or pick another model: undercast models list"
    )


def test_a_scene_of_which_nothing_matches_is_refused_even_where_nothing_is_required() -> None:
    with pytest.raises(BandError, match="this scene has cirrus"):
        spec(required=()).match([band_from_name("cirrus")])


def test_the_recommended_operating_point_is_a_preset() -> None:
    chosen = spec(presets={"f2": {"cloud": 0.4}}, preset="f2")
    assert chosen.thresholds == {"cloud": 0.4}
    assert spec().thresholds == {}


@pytest.mark.parametrize("name", THRESHOLD_NAMES)
def test_thresholds_inside_the_range_pass(name: str) -> None:
    check_thresholds({name: 0.5})


@pytest.mark.parametrize(
    ("thresholds", "told"),
    [
        ({"clear": 0.5}, "threshold on 'clear': expected one of cloud, thick_cloud"),
        ({"cloud": 0.0}, r"threshold cloud=0 must lie in \(0, 1\)\. Try cloud=0\.5\."),
        ({"cloud": 1.0}, "threshold cloud=1 must lie"),
        ({"cloud": float("nan")}, "threshold cloud=nan must lie"),
    ],
)
def test_impossible_thresholds_are_refused(thresholds: dict[str, float], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        check_thresholds(thresholds)


def test_the_network_gets_the_fill_where_there_is_nothing() -> None:
    chosen = spec(scale=2.0)
    matches = chosen.match([band_from_name("red"), band_from_name("nir")])
    reflectance = np.array([[[0.1, np.nan]], [[0.0, 0.4]]], np.float32)
    got = network_input(chosen, matches, reflectance)
    wanted = np.array([[[-1, -1]], [[0.2, -1]], [[0.0, 0.8]], [[-1, -1]]], np.float32)
    np.testing.assert_array_equal(got, wanted)
    assert got.dtype == np.float32


def test_layers_that_do_not_fit_the_matches_are_refused() -> None:
    matches = spec().match([band_from_name("red"), band_from_name("nir")])
    with pytest.raises(ModelError, match="expected 2 matched bands, got 3"):
        network_input(spec(), matches, np.zeros((3, 4, 4), np.float32))


@given(st.permutations(NAMES).flatmap(lambda names: st.integers(1, len(NAMES)).map(lambda count: tuple(names[:count]))))
def test_each_layer_of_the_input_is_its_band_or_the_fill(names: tuple[str, ...]) -> None:
    values = {name: float(number + 1) for number, name in enumerate(NAMES)}
    matches = match_bands([band_from_name(name) for name in NAMES], [band_from_name(name) for name in names])
    layers = np.stack(
        [np.full((2, 3), values[names[match.index]], np.float32) for match in matches if match.index is not None]
    )
    got = network_input(spec(), matches, layers)
    for layer, name in zip(got, NAMES, strict=True):
        assert (layer == (values[name] if name in names else -1.0)).all()


def test_terrain_follows_the_bands_and_holds_the_fill_where_it_is_absent() -> None:
    chosen = spec(terrain=("elevation", "slope"))
    assert chosen.channels == len(NAMES) + 2
    matches = chosen.match([band_from_name("red"), band_from_name("nir")])
    bands, terrain = np.full((2, 1, 2), 0.3, np.float32), np.array([[[1.5, np.nan]], [[0.2, np.nan]]], np.float32)
    got = network_input(chosen, matches, np.concatenate([bands, terrain]))
    np.testing.assert_array_equal(got[-2:], np.array([[[1.5, -1]], [[0.2, -1]]], np.float32))
    np.testing.assert_array_equal(got[:-2], network_input(spec(), matches, bands))
    assert (network_input(chosen, matches, bands)[-2:] == -1).all()
