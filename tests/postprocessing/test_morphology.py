"""Discs are measured in metres; dilation and opening are SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from undercast.postprocessing.morphology import dilated, disc, opened
from undercast.types import Bool

masks = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=24))
sizes = st.tuples(st.floats(3.0, 40.0), st.floats(3.0, 40.0))


def footprint(half_widths: tuple[int, ...]) -> Bool:
    across = max(half_widths)
    return np.array([np.abs(np.arange(-across, across + 1)) <= half_width for half_width in half_widths])


def test_60_m_are_6_pixels_of_10_m_and_3_of_20_m() -> None:
    assert disc(60.0, (10.0, 10.0))[6] == 6
    assert disc(60.0, (20.0, 20.0)) == (0, 2, 2, 3, 2, 2, 0)


def test_pixels_half_as_wide_as_high_make_a_disc_of_more_columns_than_rows() -> None:
    assert disc(20.0, (20.0, 10.0)) == (0, 2, 0)


def test_a_disc_smaller_than_a_pixel_changes_nothing() -> None:
    mask = np.eye(4, dtype=np.bool_)
    np.testing.assert_array_equal(dilated(mask, disc(9.0, (10.0, 10.0))), mask)


@given(mask=masks, radius=st.floats(0.0, 60.0), pixel=sizes)
def test_dilation_is_scipys(mask: Bool, radius: float, pixel: tuple[float, float]) -> None:
    half_widths = disc(radius, pixel)
    np.testing.assert_array_equal(dilated(mask, half_widths), ndimage.binary_dilation(mask, footprint(half_widths)))


@given(mask=masks, radius=st.floats(1.0, 60.0), pixel=sizes)
def test_what_is_dilated_lies_within_the_radius(mask: Bool, radius: float, pixel: tuple[float, float]) -> None:
    distance = ndimage.distance_transform_edt(~mask, sampling=pixel) if mask.any() else np.full(mask.shape, np.inf)
    got = dilated(mask, disc(radius, pixel))
    assert not got[distance > radius + 1e-6].any()
    assert got[distance < radius - 1e-6].all()


@given(mask=masks, radius=st.floats(0.0, 60.0))
@example(mask=np.array([[False, *[True] * 5, False]]), radius=37.0)
def test_opening_is_scipys_where_everything_is_known(mask: Bool, radius: float) -> None:
    half_widths = disc(radius, (10.0, 10.0))
    shape = footprint(half_widths)
    around = np.pad(mask, 6, constant_values=True)
    wanted = ndimage.binary_dilation(ndimage.binary_erosion(around, shape, border_value=1), shape)[6:-6, 6:-6]
    np.testing.assert_array_equal(opened(mask, half_widths, np.zeros_like(mask)), wanted & mask)


def test_nothing_is_opened_away_at_the_edge_of_the_array() -> None:
    mask = np.zeros((12, 12), np.bool_)
    mask[0] = True
    assert opened(mask, disc(20.0, (10.0, 10.0)), np.zeros_like(mask))[0].all()


def test_opening_keeps_a_band_at_the_edge_of_the_data_and_loses_a_free_one() -> None:
    mask = np.zeros((9, 9), np.bool_)
    mask[:, 4] = mask[:, 7] = True
    unknown = np.zeros_like(mask)
    unknown[:, 8] = True
    kept = opened(mask, disc(10.0, (10.0, 10.0)), unknown)
    assert kept[:, 7].all()
    assert not kept[1:-1, 4].any()


@pytest.mark.parametrize("radius", [10.0, 25.0])
def test_opening_twice_is_opening_once(radius: float) -> None:
    mask = np.random.default_rng(0).random((40, 40)) > 0.25
    half_widths = disc(radius, (10.0, 10.0))
    once = opened(mask, half_widths, np.zeros_like(mask))
    np.testing.assert_array_equal(opened(once, half_widths, np.zeros_like(mask)), once)
