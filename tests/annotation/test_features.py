from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from undercast.annotation.features import feature_names, features
from undercast.bands import band_from_name
from undercast.types import Float32

BANDS = [band_from_name(name) for name in ("green", "red", "nir")]


def test_indices_of_one_pixel_are_those_worked_out_by_hand() -> None:
    made = features(np.array([[[0.10]], [[0.05]], [[0.34]]], np.float32), BANDS)
    # (0.34 - 0.05) / (0.01 + 0.39) and (0.10 - 0.34) / (0.01 + 0.44)
    assert made[0, 0].tolist() == pytest.approx([0.10, 0.05, 0.34, 0.725, -0.24 / 0.45])
    assert feature_names(BANDS, elevation=False) == ("green", "red", "nir", "NDVI", "NDWI")


def test_a_scene_without_near_infrared_has_no_index() -> None:
    bands = BANDS[:2]
    made = features(np.full((2, 3, 4), 0.1, np.float32), bands)
    assert made.shape == (3, 4, 2)
    assert feature_names(bands, elevation=False) == ("green", "red")


def test_the_narrow_near_infrared_stands_in_for_the_wide_one() -> None:
    bands = [band_from_name("red"), band_from_name("nir08")]
    assert feature_names(bands, elevation=False) == ("red", "nir08", "NDVI")


def test_elevation_comes_last() -> None:
    made = features(np.full((3, 2, 2), 0.1, np.float32), BANDS, np.full((2, 2), 812.0, np.float32))
    assert feature_names(BANDS, elevation=True)[-1] == "elevation"
    assert (made[..., -1] == 812).all()


@given(arrays(np.float32, (3, 2, 2), elements=st.floats(-0.25, 2.0, width=32)))
def test_features_of_pixels_with_data_are_finite(reflectance: Float32) -> None:
    assert np.isfinite(features(reflectance, BANDS)).all()


def test_a_pixel_without_data_has_no_features() -> None:
    reflectance = np.full((3, 2, 2), 0.1, np.float32)
    reflectance[2, 0, 1] = np.nan
    assert np.isfinite(features(reflectance, BANDS)).all(axis=-1).tolist() == [[True, False], [True, True]]
