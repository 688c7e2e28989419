"""No place on the ground is on two sides of the split."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.warp import transform

from undercast.errors import GridError, UsageError
from undercast.grids import METERS_PER_DEGREE, Grid
from undercast.weak_labels.places import (
    SIDES,
    Placed,
    Split,
    block_at,
    blocks_under,
    plan_sides,
    side_of,
)
from undercast.windows import Window

SPLIT = Split(block_m=5_000.0, gap_m=0.0, shares=(0.5, 0.25, 0.25))
CHIP = Window(row=0, col=0, height=64, width=64)


def utm(zone: int, easting: float, northing: float, *, side: int = 64, gsd: float = 10.0) -> Grid:
    return Grid(
        shape=(side, side),
        transform=(gsd, 0.0, easting, 0.0, -gsd, northing),
        crs=rasterio.CRS.from_epsg(32600 + zone).to_wkt(),
    )


def degrees(west: float, north: float, *, step: float, side: int = 64) -> Grid:
    return Grid(shape=(side, side), transform=(step, 0.0, west, 0.0, -step, north), crs="EPSG:4326", geographic=True)


def ground_of(grid: Grid, window: Window, number: int = 12) -> list[tuple[float, float]]:
    """Give longitudes and latitudes of places in a window, its corners and edges among them."""
    a, b, c, d, e, f = grid.part(window).transform
    steps = [(x, y) for x in np.linspace(0, window.width, number) for y in np.linspace(0, window.height, number)]
    xs, ys = zip(*[(a * x + b * y + c, d * x + e * y + f) for x, y in steps], strict=True)
    longitudes, latitudes = transform(grid.crs, "EPSG:4326", xs, ys)[:2]
    return list(zip(longitudes, latitudes, strict=True))


grids = st.one_of(
    st.builds(
        utm,
        st.sampled_from([30, 31, 32]),
        st.floats(200_000, 800_000),
        st.floats(20_000, 9_000_000),
        gsd=st.floats(5, 60),
    ),
    st.builds(degrees, st.floats(-180, 179.9), st.floats(-79, 79), step=st.floats(1e-4, 3e-3)),
)


@settings(max_examples=60)
@given(grids, st.floats(3_000, 40_000), st.integers(0, 9))
def test_every_place_of_a_chip_is_on_the_chips_side(grid: Grid, block_m: float, seed: int) -> None:
    split = Split(block_m=block_m, gap_m=0.0, shares=(0.5, 0.25, 0.25), seed=seed)
    (side,) = plan_sides([Placed(name="a", grid=grid)], split)
    found = side(CHIP)
    of_places = {side_of(block_at(*place, block_m), split) for place in ground_of(grid, CHIP)}
    assert found is None or of_places == {found}
    assert {block_at(*place, block_m) for place in ground_of(grid, CHIP)} <= blocks_under(grid, CHIP, split)


@settings(max_examples=60)
@given(
    st.floats(2.9, 3.1),
    st.floats(44.9, 45.1),
    st.lists(
        st.tuples(st.sampled_from([30, 31, 32]), st.floats(-900, 900), st.floats(-900, 900)), min_size=2, max_size=6
    ),
)
def test_acquisitions_of_one_place_fall_on_one_side(
    longitude: float, latitude: float, shifts: list[tuple[int, float, float]]
) -> None:
    found = set()
    for zone, east, north in shifts:
        (x,), (y,) = transform("EPSG:4326", f"EPSG:{32600 + zone}", [longitude], [latitude])[:2]
        grid = utm(zone, x + east - 1000, y + north + 1000, side=200)
        (side,) = plan_sides([Placed(name="a", grid=grid)], SPLIT)
        found.add(side(grid.full))
    assert len(found - {None}) <= 1


def test_chips_of_different_sides_keep_the_gap() -> None:
    split = Split(block_m=5_000.0, gap_m=700.0, shares=(0.5, 0.25, 0.25))
    grid = utm(31, 480_000, 5_000_000, side=2700)
    (side,) = plan_sides([Placed(name="a", grid=grid)], split)
    steps = range(0, 2600, 64)
    corners = {(row, col): side(Window(row=row, col=col, height=64, width=64)) for row in steps for col in steps}
    places = {each: np.array([corner for corner, found in corners.items() if found == each]) for each in SIDES}
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        apart = np.maximum(np.abs(places[one][:, None] - places[other][None]) - 64, 0)  # type: ignore[index]
        assert 699 <= np.hypot(apart[..., 0], apart[..., 1]).min() * 10 < 3_000


def test_blocks_are_squares_of_their_size_and_shares_are_kept() -> None:
    rng = np.random.default_rng(0)
    longitudes, latitudes = rng.uniform(0, 4, 4000), rng.uniform(44, 47, 4000)
    blocks = {block_at(x, y, 10_000.0) for x, y in zip(longitudes, latitudes, strict=True)}
    area = 4 * 3 * METERS_PER_DEGREE**2 * np.cos(np.radians(45.5))
    assert len(blocks) == pytest.approx(area / 1e8, rel=0.15)
    sides = Counter(side_of(block, Split(shares=(0.6, 0.2, 0.2))) for block in blocks)
    assert sides["train"] / len(blocks) == pytest.approx(0.6, abs=0.06)
    assert sides["val"] / len(blocks) == pytest.approx(0.2, abs=0.06)


def test_the_split_is_the_same_every_time_and_changes_with_the_seed() -> None:
    blocks = [(row, col) for row in range(10) for col in range(10)]
    first = [side_of(block, Split()) for block in blocks]
    assert first == [side_of(block, Split()) for block in blocks]
    assert first != [side_of(block, Split(seed=1)) for block in blocks]
    # Written down once: a change would move places from one side to another between versions.
    assert [side_of((7300, column), Split()) for column in (4, 5, 9, 10)] == ["train", "test", "train", "val"]


def test_a_chip_across_the_date_line_touches_blocks_on_both_ends() -> None:
    # Its western edge lies at 179.99 degrees, its eastern one beyond 180.
    grid = Grid(shape=(64, 64), transform=(60.0, 0.0, 832_864.0, 0.0, -60.0, 11_068.0), crs="EPSG:32660")
    blocks = blocks_under(grid, grid.full, SPLIT)
    assert {column for _, column in blocks} == {8014, 0}
    assert {block_at(*place, SPLIT.block_m) for place in ground_of(grid, grid.full)} <= blocks


@pytest.mark.parametrize("side", SIDES)
def test_one_side_can_have_it_all(side: str) -> None:
    shares = tuple(float(each == side) for each in SIDES)
    split = Split(shares=shares)  # type: ignore[arg-type]
    assert {side_of((row, 0), split) for row in range(50)} == {side}


def test_scenes_that_share_ground_directly_or_through_others_go_together() -> None:
    split = Split(by="scene", block_m=5_000.0, gap_m=0.0, shares=(0.34, 0.33, 0.33))
    chain = [utm(31, 400_000 + 8_000 * step, 5_000_000, side=1000) for step in range(5)]
    apart = [utm(31, 400_000, 4_000_000 + 30_000 * step, side=200) for step in range(12)]
    sides = plan_sides([Placed(name=str(n), grid=grid) for n, grid in enumerate([*chain, *apart])], split)
    found = [side(CHIP) for side in sides]
    assert len(set(found[:5])) == 1
    assert set(found[5:]) == set(SIDES)
    alone = plan_sides([Placed(name="0", grid=apart[0])], split)
    assert alone[0](CHIP) == found[5]


@pytest.mark.parametrize("by", ["place", "scene"])
def test_named_places_stay_together_whatever_their_grids(by: str) -> None:
    split = Split(by=by, shares=(0.4, 0.3, 0.3))  # type: ignore[arg-type]
    plain = Grid(shape=(64, 64))
    placed = [Placed(name="x", grid=grid, place=f"seed {n}") for n in range(20) for grid in (plain, utm(31, 5e5, 5e6))]
    found = [side(CHIP) for side in plan_sides(placed, split)]
    assert found[::2] == found[1::2]
    assert set(found) == set(SIDES)


def test_a_scene_without_a_place_and_impossible_splits_are_refused() -> None:
    with pytest.raises(GridError, match="plain: expected a georeferenced scene"):
        plan_sides([Placed(name="plain", grid=Grid(shape=(64, 64)))], SPLIT)
    for block_m, gap_m in ((0.0, 0.0), (100.0, -1.0), (float("nan"), 0.0)):
        with pytest.raises(UsageError, match="a block above 0 m and a gap of 0 m or more"):
            Split(block_m=block_m, gap_m=gap_m)
    for shares in ((0.5, 0.5, 0.5), (1.2, -0.1, -0.1)):
        with pytest.raises(UsageError, match="three shares"):
            Split(shares=shares)
