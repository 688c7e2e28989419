"""Agreement is counted where both processors say something."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import cohen_kappa_score

from undercast.types import UInt8
from undercast.weak_labels.agreement import agreement, count_pairs

CLEAR, CLOUD, SHADOW, OPEN = 1, 6, 8, 15
SURE = np.array([CLEAR, CLOUD, SHADOW], np.uint8)
thirty = arrays(np.int64, 30, elements=st.integers(0, 2))


def test_a_drawn_pair_of_labels_is_counted_by_hand() -> None:
    one = np.array([CLEAR, CLEAR, CLOUD, CLOUD, SHADOW, OPEN, 0, CLEAR | SHADOW], np.uint8)
    other = np.array([CLEAR, CLOUD, CLOUD, CLOUD, CLEAR, CLOUD, CLEAR, SHADOW], np.uint8)
    told = agreement(count_pairs(one, other))
    assert told["pixels"] == 6
    assert told["compatible"] == pytest.approx(4 / 6, abs=1e-6)
    cloud = told["classes"]["cloud"]
    assert (cloud["pixels"], cloud["shares"], cloud["alike"]) == (6, [round(2 / 6, 6), 0.5], round(5 / 6, 6))
    assert told["classes"]["cloud_shadow"]["pixels"] == 5


@given(thirty, thirty)
def test_kappa_is_that_of_scikit_learn(one: UInt8, other: UInt8) -> None:
    told = agreement(count_pairs(SURE[one], SURE[other]))
    if len(set(one) | set(other)) == 1:
        assert told["kappa"] is None
        return
    assert told["kappa"] == pytest.approx(cohen_kappa_score(one, other), abs=1e-5)
    cloud = told["classes"]["cloud"]["kappa"]
    if len(set(one == 1) | set(other == 1)) > 1:
        assert cloud == pytest.approx(cohen_kappa_score(one == 1, other == 1), abs=1e-5)


def test_nothing_in_common_gives_no_figures() -> None:
    told = agreement(count_pairs(np.array([0, OPEN], np.uint8), np.array([CLEAR, CLEAR], np.uint8)))
    assert (told["pixels"], told["compatible"], told["kappa"]) == (0, None, None)
    assert told["classes"]["cloud"] == {"pixels": 0, "shares": [None, None], "alike": None, "kappa": None}
