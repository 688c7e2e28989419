"""A scene is named bands on one grid, read window by window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.bands import Band, band_from_name
from undercast.errors import BandError, SceneError, UsageError
from undercast.grids import Grid
from undercast.scene import crop, keep_bands, scene_from_array
from undercast.windows import Window

NUMBERED = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def test_an_array_becomes_a_scene_with_its_bands_in_order() -> None:
    scene = scene_from_array(NUMBERED, ["red", "NIR"], name="mine", level="toa")
    assert [band.common_name for band in scene.bands] == ["red", "nir"]
    assert (scene.name, scene.level, scene.grid.shape) == ("mine", "toa", (3, 4))
    np.testing.assert_array_equal(scene.read(), NUMBERED)


def test_a_window_of_some_bands_is_read_in_the_order_asked_for() -> None:
    scene = scene_from_array(NUMBERED, ["red", "nir"])
    got = scene.read(Window(row=1, col=2, height=2, width=1), [1, 0])
    np.testing.assert_array_equal(got, [[[18], [22]], [[6], [10]]])


def test_bands_may_be_given_with_their_own_wavelengths() -> None:
    own = Band(name="XS3", common_name="nir", center_wavelength=0.835, full_width_half_max=0.11)
    assert scene_from_array(NUMBERED, [own, "red"]).bands == (own, band_from_name("red"))


def test_masked_missing_and_invalid_pixels_all_become_nan() -> None:
    values = np.ma.masked_equal(NUMBERED, 0.0)
    valid = np.ones((3, 4), bool)
    valid[2, 3] = False
    scene = scene_from_array(values, ["red", "nir"], valid=valid)
    got = scene.read()
    assert np.isnan(got[0, 0, 0])
    assert np.isfinite(got[1, 0, 0])
    assert np.isnan(got[:, 2, 3]).all()
    assert int(np.isnan(got).sum()) == 3


def test_a_pixel_is_valid_where_every_band_that_is_asked_for_has_data() -> None:
    values = NUMBERED.copy()
    values[0, 0, 0] = np.nan
    scene = scene_from_array(values, ["red", "nir"])
    assert not scene.valid()[0, 0]
    assert scene.valid(bands=[1]).all()
    assert scene.valid(Window(row=1, col=0, height=2, width=4)).shape == (2, 4)


def test_the_callers_array_is_not_changed() -> None:
    values = NUMBERED.copy()
    scene_from_array(values, ["red", "nir"], valid=np.zeros((3, 4), bool))
    np.testing.assert_array_equal(values, NUMBERED)


def test_an_array_without_a_band_axis_is_refused() -> None:
    with pytest.raises(SceneError, match=r"got shape \(3, 4\)\. Add the band axis with array\[None\]\."):
        scene_from_array(NUMBERED[0], ["red"])


def test_names_and_layers_must_be_as_many() -> None:
    with pytest.raises(BandError, match="got 1 names for 2 layers"):
        scene_from_array(NUMBERED, ["red"])


def test_the_level_is_one_of_those_that_there_are() -> None:
    assert scene_from_array(NUMBERED, ["red", "nir"], level="surface").level == "surface"
    with pytest.raises(UsageError, match=r"level: expected one of toa, surface, or None .*; got 'foo'\."):
        scene_from_array(NUMBERED, ["red", "nir"], level="foo")  # type: ignore[arg-type]


def test_valid_must_have_the_scenes_shape() -> None:
    with pytest.raises(SceneError, match=r"expected valid of shape \(3, 4\), got \(4, 3\)"):
        scene_from_array(NUMBERED, ["red", "nir"], valid=np.ones((4, 3), bool))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 12), st.integers(1, 16))
def test_a_sample_holds_the_scenes_values_and_all_of_a_small_scene(
    height: int, width: int, size: int, places: int
) -> None:
    values = np.arange(height * width, dtype=np.float32).reshape(1, height, width)
    scene = scene_from_array(values, ["red"])
    sample = scene.sample(size=size, places=places)
    assert sample.shape[0] == 1
    assert np.isin(sample, values).all()
    if size >= max(height, width):
        assert set(sample[0].tolist()) == set(values.ravel().tolist())


def test_a_crop_is_a_scene_of_its_own_that_reads_only_its_window() -> None:
    grid = Grid(shape=(3, 4), transform=(10.0, 0.0, 100.0, 0.0, -10.0, 900.0), crs="EPSG:32632")
    whole = scene_from_array(NUMBERED, ["red", "nir"], name="mine", grid=grid)
    part = crop(whole, Window(row=1, col=2, height=2, width=2))
    assert (part.name, part.bands) == (whole.name, whole.bands)
    assert part.grid == Grid(shape=(2, 2), transform=(10.0, 0.0, 120.0, 0.0, -10.0, 890.0), crs="EPSG:32632")
    np.testing.assert_array_equal(part.read(), NUMBERED[:, 1:, 2:])
    np.testing.assert_array_equal(part.read(Window(row=1, col=0, height=1, width=2), [1]), NUMBERED[1:, 2:, 2:])
    np.testing.assert_array_equal(crop(part, Window(row=0, col=1, height=1, width=1)).read(), NUMBERED[:, 1:2, 3:])


@pytest.mark.parametrize("window", [(0, 0, 4, 4), (-1, 0, 2, 2), (0, 3, 1, 2), (0, 0, 0, 1)])
def test_a_crop_outside_the_scene_is_refused(window: tuple[int, int, int, int]) -> None:
    row, col, height, width = window
    with pytest.raises(SceneError, match="expected a window inside 3 x 4 px"):
        crop(scene_from_array(NUMBERED, ["red", "nir"]), Window(row=row, col=col, height=height, width=width))


def test_chosen_bands_come_in_the_order_that_is_asked_for_and_may_be_fewer() -> None:
    whole = scene_from_array(NUMBERED, ["red", "nir"])
    wanted = [band_from_name(name) for name in ("nir", "swir16", "red")]
    part = keep_bands(whole, wanted)
    assert [band.common_name for band in part.bands] == ["nir", "red"]
    np.testing.assert_array_equal(part.read(), NUMBERED[::-1])
    np.testing.assert_array_equal(part.read(bands=[1]), NUMBERED[:1])
    with pytest.raises(BandError, match="expected one of swir16, got red, nir"):
        keep_bands(whole, wanted[1:2])
