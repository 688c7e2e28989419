"""Objects are SciPy's; small ones go, enclosed holes are filled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from undercast.postprocessing.objects import labelled, without_holes, without_small
from undercast.types import Bool, UInt8

SQUARE = np.ones((3, 3), np.bool_)
CROSS = ndimage.generate_binary_structure(2, 1)

shapes = hnp.array_shapes(min_dims=2, max_dims=2, max_side=20)
class_maps = hnp.arrays(np.uint8, shapes, elements=st.sampled_from([0, 0, 0, 1, 1, 2, 3, 255]))


def drawn(text: str) -> UInt8:
    """Read a class map: a digit per pixel, ``.`` clear, ``x`` nodata."""
    codes = {".": 0, "x": 255} | {str(value): value for value in range(4)}
    return np.array([[codes[char] for char in line] for line in text.split()], np.uint8)


@given(mask=hnp.arrays(np.bool_, shapes), diagonal=st.booleans())
def test_objects_and_sizes_are_scipys(mask: Bool, diagonal: bool) -> None:
    numbers, sizes = labelled(mask, diagonal=diagonal)
    wanted, count = ndimage.label(mask, SQUARE if diagonal else CROSS)
    assert len(sizes) == count + 1
    np.testing.assert_array_equal(sizes, np.bincount(np.where(mask, numbers, 0)[mask], minlength=count + 1))
    pairs = set(zip(numbers.ravel().tolist(), wanted.ravel().tolist(), strict=True))
    assert len(pairs) == len({first for first, _ in pairs}) == len({second for _, second in pairs})


def test_a_spiral_is_one_object() -> None:
    mask = drawn("11111 ....1 111.1 1...1 11111").astype(np.bool_)
    numbers, sizes = labelled(mask, diagonal=False)
    assert sizes.tolist() == [0, int(mask.sum())]
    assert (numbers > 0).tolist() == mask.tolist()


def test_a_small_cloud_goes_with_its_thin_edge_and_a_larger_one_stays() -> None:
    class_map = drawn("12.... ...33. 111.33 111...")
    assert without_small(class_map, 4).tolist() == drawn("...... ...33. 111.33 111...").tolist()


def test_pixels_that_touch_at_a_corner_are_one_object() -> None:
    class_map = drawn("1.. .1. ..1")
    assert without_small(class_map, 3).tolist() == class_map.tolist()


@given(class_map=class_maps, smallest=st.integers(1, 12))
def test_what_is_removed_as_small_is_what_scipy_finds_small(class_map: UInt8, smallest: int) -> None:
    wanted = class_map.copy()
    for values in ((1, 2), (3,)):
        numbers, count = ndimage.label(np.isin(class_map, values), SQUARE)
        sizes = np.bincount(numbers.ravel(), minlength=count + 1)
        wanted[(numbers > 0) & (sizes[numbers] < smallest)] = 0
    np.testing.assert_array_equal(without_small(class_map, smallest), wanted)


def test_a_hole_takes_the_class_of_most_of_its_neighbours() -> None:
    assert without_holes(drawn("1222 1..2 1222"), 2).tolist() == drawn("1222 1222 1222").tolist()
    assert without_holes(drawn("333 3.1 333"), 1).tolist() == drawn("333 331 333").tolist()


@pytest.mark.parametrize("text", ["11111 1...1 11111", "1.1 1.1 111", "111 1.x 111"])
def test_a_hole_too_large_at_the_edge_or_beside_nodata_stays(text: str) -> None:
    assert without_holes(drawn(text), 2).tolist() == drawn(text).tolist()


@given(class_map=class_maps.filter(lambda array: not (array == 255).any()))
def test_filling_holes_of_any_size_is_scipys(class_map: UInt8) -> None:
    filled = without_holes(class_map, class_map.size)
    np.testing.assert_array_equal(filled > 0, ndimage.binary_fill_holes(class_map > 0))
    np.testing.assert_array_equal(filled[class_map > 0], class_map[class_map > 0])
