"""Folds: every real chip is held out once, with the simulated clouds on it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from undercast.training.chips import Chip
from undercast.training.folds import only, split, without
from undercast.training.loop import Pools


def chip(name: str, source: str = "a", value: int = 1) -> Chip:
    return Chip(
        name=name, source=source, stored=np.zeros((1, 2, 2), np.int16), possible=np.full((2, 2), value, np.uint8)
    )


@given(st.integers(2, 5), st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([1, 2, 8])), max_size=30))
def test_every_chip_is_in_one_fold_and_sources_are_shared_evenly(count: int, kinds: list[tuple[str, int]]) -> None:
    chips = [chip(str(number), source, value) for number, (source, value) in enumerate(kinds)]
    folds = split(chips, count)
    assert len(folds) == count
    assert sorted(name for fold in folds for name in fold) == sorted(row.name for row in chips)
    for source in "abc":
        sizes = [sum(row.source == source and row.name in fold for row in chips) for fold in folds]
        assert max(sizes) - min(sizes) <= 1


def test_what_is_left_out_is_neither_a_label_nor_a_background() -> None:
    pools = Pools(
        real=[chip("x.npz"), chip("y.npz")],
        on_real=[chip("0:1:x.npz", "simulated on real"), chip("0:2:y.npz", "simulated on real")],
        simulated=[chip("0:3:", "simulated")],
        validation=[],
        hashes={},
    )
    left = without(pools, frozenset({"x.npz"}))
    assert [row.name for row in left.real] == ["y.npz"]
    assert [row.name for row in left.on_real] == ["0:2:y.npz"]
    assert [row.name for row in left.simulated] == ["0:3:"]
    assert [row.name for row in only(pools, frozenset({"x.npz"}))] == ["x.npz"]
