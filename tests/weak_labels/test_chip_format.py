"""What a chip stores."""

from __future__ import annotations

import numpy as np
import pytest

from undercast.bands import band_from_name
from undercast.weak_labels.chip_format import STORED_NODATA, are_sets, chip_arrays, labelled, mask_of

CLEAR, THICK, THIN, SHADOW, OPEN = 1, 2, 4, 8, 15


def test_sets_are_written_as_a_mask_as_far_as_it_can_tell() -> None:
    sets = np.array([CLEAR, CLEAR | SHADOW, THICK, THICK | THIN, THIN, SHADOW, 0, OPEN, CLEAR | THIN], np.uint8)
    assert mask_of(sets).tolist() == [0, 0, 1, 1, 2, 3, 255, 255, 255]


def test_open_and_missing_pixels_are_not_labelled() -> None:
    reflectance = np.full((2, 1, 4), 0.25, np.float32)
    reflectance[:, 0, 1] = np.nan
    reflectance[0, 0, 2] = np.nan
    bands = [band_from_name("red"), band_from_name("nir")]
    arrays = chip_arrays(reflectance, bands, np.array([[CLEAR, CLEAR, CLEAR, OPEN]], np.uint8), {"sza": np.array(30.0)})
    assert arrays["possible"].tolist() == [[CLEAR, 0, CLEAR, 0]]
    assert arrays["bands"].tolist() == [
        [[2500, STORED_NODATA, STORED_NODATA, 2500]],
        [[2500, STORED_NODATA, 2500, 2500]],
    ]
    assert arrays["wavelength_nm"].tolist() == pytest.approx([1000 * band.center_wavelength for band in bands])
    assert arrays["common_names"].tolist() == ["red", "nir"]
    assert arrays["sza"] == 30.0


def test_open_sets_are_taken_out() -> None:
    assert labelled(np.array([0, 1, 14, 15], np.uint8)).tolist() == [0, 1, 14, 0]


def test_only_sets_of_the_right_shape_are_sets() -> None:
    assert are_sets(np.full((2, 2), 15, np.uint8), (2, 2))
    assert not are_sets(np.full((2, 2), 16, np.uint8), (2, 2))
    assert not are_sets(np.full((2, 2), 1, np.int16), (2, 2))
    assert not are_sets(np.full((2, 3), 1, np.uint8), (2, 2))
