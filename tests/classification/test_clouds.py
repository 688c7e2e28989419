"""Cloud and shadow are counted window by window while strips pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from undercast.classes import CLEAR, CLOUD_SHADOW, THICK_CLOUD, THIN_CLOUD
from undercast.classification.clouds import CloudShares, cloud_shares
from undercast.classification.windows import Lattice
from undercast.grids import Grid
from undercast.prediction import ModelIdentity, PredictionHeader, PredictionStream, Strip
from undercast.types import NODATA, UInt8


def shares(class_map: UInt8, lattice: Lattice, heights: Sequence[int]) -> CloudShares:
    """Count a class map that comes in strips of some heights."""
    height, width = class_map.shape
    header = PredictionHeader(
        scene="drawn", grid=Grid(shape=(height, width)), model=ModelIdentity(id="tiny", version="1")
    )
    starts = np.cumsum([0, *heights])
    strips = (
        Strip(
            row=int(first),
            class_map=class_map[first : first + rows],
            probabilities=np.zeros((4, rows, width), np.float32),
            uncertainty=np.zeros((rows, width), np.float32),
        )
        for first, rows in zip(starts, heights, strict=False)
    )
    return cloud_shares(PredictionStream(header=header, strips=strips), lattice)


def test_each_window_has_its_own_shares() -> None:
    classes = np.full((4, 8), CLEAR, np.uint8)
    classes[:2, :2] = THICK_CLOUD
    classes[0, 2] = THIN_CLOUD
    classes[:, 6:] = NODATA
    classes[0, 4] = CLOUD_SHADOW
    found = shares(classes, Lattice(row_starts=(0,), col_starts=(0, 4), height=4, width=4), [3, 1])
    assert found.cloud.tolist() == [[5 / 16, 0.0]]
    assert found.shadow.tolist() == [[0.0, 1 / 8]]
    assert found.valid.tolist() == [[1.0, 0.5]]


def test_a_window_without_data_has_no_cloud() -> None:
    found = shares(np.full((4, 4), NODATA, np.uint8), Lattice(row_starts=(0,), col_starts=(0,), height=4, width=4), [4])
    assert (found.valid[0, 0], found.cloud[0, 0], found.shadow[0, 0]) == (0.0, 0.0, 0.0)


@given(st.lists(st.integers(1, 7), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
def test_the_strips_heights_do_not_matter(heights: list[int], seed: int) -> None:
    height = sum(heights)
    classes = np.random.default_rng(seed).choice(np.array([0, 1, 2, 3, NODATA], np.uint8), (height, 9))
    size = max(1, height // 2)
    lattice = Lattice(row_starts=(0, height - size), col_starts=(0, 3, 5), height=size, width=4)
    found = shares(classes, lattice, heights)
    for place, window in enumerate(lattice):
        own = classes[window.rows, window.cols]
        valid = (own != NODATA).sum()
        cloud = np.isin(own, (THICK_CLOUD, THIN_CLOUD)).sum()
        assert found.valid.flat[place] == valid / own.size
        assert found.cloud.flat[place] == (cloud / valid if valid else 0.0)
