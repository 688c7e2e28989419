"""Folds: real scenes held out in turn, so that every one is judged by a network that has not seen it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from undercast.classes import CLOUD_SHADOW
from undercast.training.bank import ground_of
from undercast.training.chips import Chip
from undercast.training.loop import Pools

_CLOUD = 0b0110


def split(chips: Sequence[Chip], count: int) -> tuple[frozenset[str], ...]:
    """Deal the real chips out: of each source and kind of content, every fold gets its share.

    Returns:
        Names of the chips of each fold; each chip is in one.
    """
    ordered = sorted(chips, key=_kind)
    return tuple(frozenset(chip.name for chip in ordered[first::count]) for first in range(count))


def _kind(chip: Chip) -> tuple[str, bool, bool, str]:
    shadowed = bool((chip.possible == 1 << CLOUD_SHADOW).any())
    return chip.source, not shadowed, not bool((chip.possible & _CLOUD).any()), chip.name


def without(pools: Pools, names: frozenset[str]) -> Pools:
    """Leave scenes out of the pools, as labelled chips and as backgrounds."""
    return replace(
        pools,
        real=[chip for chip in pools.real if chip.name not in names],
        on_real=[chip for chip in pools.on_real if ground_of(chip) not in names],
    )


def only(pools: Pools, names: frozenset[str]) -> list[Chip]:
    """Give the real chips of a fold."""
    return [chip for chip in pools.real if chip.name in names]
