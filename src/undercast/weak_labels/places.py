"""Places: which chips are for training, which for validation and which for testing, so that no place is for two."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds

from undercast.errors import GridError, UsageError
from undercast.grids import METERS_PER_DEGREE, Grid
from undercast.windows import Window

Side = Literal["train", "val", "test"]
"""What a chip is for."""
SIDES: tuple[Side, ...] = get_args(Side)

SplitBy = Literal["place", "scene"]
"""What is kept together: blocks on the ground, or whole scenes and all that share ground with them."""
SPLIT_BY: tuple[SplitBy, ...] = get_args(SplitBy)

Block: TypeAlias = tuple[int, int]
"""Row, from the south pole, and column, from the date line, of a block on the ground."""

SideOf: TypeAlias = Callable[[Window], Side | None]
"""Window of a scene -> what it is for; None where it lies too near to places that are for something else."""

MOST_BLOCKS = 1_000_000
"""Blocks that are looked at under one window at most; more say that the block is no block, or the gap no gap."""

_DEGREES = "EPSG:4326"
_HIGHEST = 89.9
"""Latitude, in degrees, from which metres along a parallel mean nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """How chips are split."""

    by: SplitBy = "place"
    """What is kept together."""
    block_m: float = 20_000.0
    """Side of a block on the ground, in metres."""
    gap_m: float = 1_000.0
    """Least distance between places for different things, in metres."""
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
    """Share of the places that is for training, for validation and for testing."""
    seed: int = 0
    """Another number gives another split."""

    def __post_init__(self) -> None:
        """Refuse impossible splits."""
        if not (math.isfinite(self.block_m) and self.block_m > 0 and math.isfinite(self.gap_m) and self.gap_m >= 0):
            msg = f"expected a block above 0 m and a gap of 0 m or more, got {self.block_m:g} and {self.gap_m:g}."
            raise UsageError(msg)
        if len(self.shares) != len(SIDES) or min(self.shares) < 0 or not math.isclose(sum(self.shares), 1.0):
            msg = f"expected three shares (train, val, test) that sum up to 1, got {self.shares}. Try 0.8,0.1,0.1"
            raise UsageError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Where a scene lies."""

    name: str
    """The scene, for messages."""
    grid: Grid
    """Its grid."""
    place: str | None = None
    """Name of its place, where the grid does not tell it; scenes with one name lie at one place."""


def plan_sides(scenes: Sequence[Placed], split: Split) -> list[SideOf]:
    """Decide what the windows of scenes are for.

    The ground is cut into blocks that are the same for every scene, and the hash of a block says what it is for. A
    window is used where all blocks that it touches, grown by the gap, are for one thing: then no place on the ground
    is for two, whatever the scene, its grid and its time. With ``by="scene"`` the same holds for whole scenes: those
    that touch a common block, directly or through others, are for one thing.

    Returns:
        For each scene what tells the side of its windows.

    Raises:
        GridError: If a scene has no place: no CRS and no name of one.
        UsageError: If far too many blocks lie under a scene that is kept together.
    """
    for scene in scenes:
        if scene.place is None and scene.grid.crs is None:
            msg = (
                f"{scene.name}: expected a georeferenced scene, to keep its place on one side of the split;"
                " got one without CRS. Name its place."
            )
            raise GridError(msg)
    if split.by == "scene":
        return _scene_sides(scenes, split)
    return [_place_sides(scene, split) for scene in scenes]


def side_of(place: Block | str, split: Split) -> Side:
    """Tell what a block or a named place is for; a hash decides."""
    key = f"{split.seed} {place}" if isinstance(place, str) else f"{split.seed} {split.block_m!r} {place[0]} {place[1]}"
    drawn = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
    reached = 0.0
    for side, share in zip(SIDES, split.shares, strict=True):
        reached += share
        if drawn < reached:
            return side
    return next(side for side, share in zip(reversed(SIDES), reversed(split.shares), strict=True) if share)


def block_at(longitude: float, latitude: float, block_m: float) -> Block:
    """Find the block that a place lies in.

    Blocks are ``block_m`` high; those of a row are as wide as fit a whole number of times around the earth, and about
    ``block_m`` at the row's middle.
    """
    row = math.floor((latitude + 90) * METERS_PER_DEGREE / block_m)
    return row, _column(longitude, row, block_m)


def blocks_under(grid: Grid, window: Window, split: Split) -> set[Block]:
    """List the blocks that a window, grown by the gap, may touch: those in its bounds in longitude and latitude.

    Raises:
        GridError: If the window has no place in longitude and latitude.
        UsageError: If they are more than ``MOST_BLOCKS``.
    """
    a, b, c, d, e, f = grid.part(window).transform
    corners = [(a * x + b * y + c, d * x + e * y + f) for x in (0, window.width) for y in (0, window.height)]
    xs, ys = zip(*corners, strict=True)
    try:
        west, south, east, north = transform_bounds(grid.crs, _DEGREES, min(xs), min(ys), max(xs), max(ys), 21)
    except RasterioError as error:
        msg = f"the scene has no place in longitude and latitude: {' '.join(str(error).split())}."
        raise GridError(msg) from error
    if not all(map(math.isfinite, (west, south, east, north))):
        msg = "the scene has no place in longitude and latitude."
        raise GridError(msg)
    more = split.gap_m / METERS_PER_DEGREE
    south, north = max(south - more, -90.0), min(north + more, 90.0)
    aside = more / math.cos(math.radians(min(max(-south, north), _HIGHEST)))
    # Across the date line, the east lies west of the west.
    span = (east - west) % 360 if east < west else east - west
    first, last = (block_at(0.0, latitude, split.block_m)[0] for latitude in (south, north))
    across = min(span + 2 * aside, 360.0) * METERS_PER_DEGREE / split.block_m  # no row has more
    if (last - first + 1) * (across + 1) > MOST_BLOCKS:
        msg = (
            f"expected at most {MOST_BLOCKS} blocks under a window, got more with a block of {split.block_m:g} m and"
            f" a gap of {split.gap_m:g} m. Use a larger --block or a smaller --gap."
        )
        raise UsageError(msg)
    return {
        (row, column)
        for row in range(first, last + 1)
        for column in _columns(west - aside, min(span + 2 * aside, 360.0), row, split.block_m)
    }


def _columns(west: float, span: float, row: int, block_m: float) -> set[int]:
    """List the columns of a row from a longitude on eastwards over a span, in degrees."""
    count = _count(row, block_m)
    first = math.floor((west + 180) / 360 * count)
    last = math.floor((west + span + 180) / 360 * count)
    return {column % count for column in range(first, min(last, first + count - 1) + 1)}


def _column(longitude: float, row: int, block_m: float) -> int:
    count = _count(row, block_m)
    return math.floor((longitude + 180) / 360 * count) % count


def _count(row: int, block_m: float) -> int:
    """Count the blocks of a row around the earth."""
    middle = (row + 0.5) * block_m / METERS_PER_DEGREE - 90
    around = 360 * METERS_PER_DEGREE * math.cos(math.radians(min(abs(middle), 90.0)))
    return max(1, round(around / block_m))


def _place_sides(scene: Placed, split: Split) -> SideOf:
    if scene.place is not None:
        named = side_of(scene.place, split)
        return lambda window: named  # noqa: ARG005 (every window of the scene)

    def side(window: Window) -> Side | None:
        sides = {side_of(block, split) for block in blocks_under(scene.grid, window, split)}
        return sides.pop() if len(sides) == 1 else None

    return side


def _scene_sides(scenes: Sequence[Placed], split: Split) -> list[SideOf]:
    """Group the scenes that touch a common block; the smallest block of a group speaks for it."""
    places: list[set[Block | str]] = [
        {scene.place} if scene.place is not None else set(blocks_under(scene.grid, scene.grid.full, split))
        for scene in scenes
    ]
    groups: list[set[Block | str]] = []
    for place in places:
        near = [group for group in groups if group & place]
        groups = [group for group in groups if not group & place]
        groups.append(place.union(*near))

    def side(place: set[Block | str]) -> SideOf:
        group = next(group for group in groups if group & place)
        decided = side_of(min(group, key=str), split)
        return lambda window: decided  # noqa: ARG005 (every window of the scene)

    return [side(place) for place in places]
