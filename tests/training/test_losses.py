"""Losses on possible sets."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from undercast.training.losses import set_cross_entropy, set_masks, soft_dice

ONES = [1.0] * 4


def logits(seed: int = 0, *, side: int = 5) -> Tensor:
    return torch.randn(2, 4, side, side, generator=torch.Generator().manual_seed(seed)) * 3


def sets(value: int, *, side: int = 5) -> Tensor:
    return torch.full((2, side, side), value, dtype=torch.uint8)


def test_sets_are_unpacked_bit_by_bit() -> None:
    masks = set_masks(torch.tensor([[[0b0000, 0b0001, 0b1010]]], dtype=torch.uint8), 4)
    assert masks[0, :, 0].T.tolist() == [
        [False, False, False, False],
        [True, False, False, False],
        [False, True, False, True],
    ]


def test_the_full_set_costs_nothing() -> None:
    loss = set_cross_entropy(logits(), sets(0b1111), ONES, torch.ones(2))
    assert float(loss) == pytest.approx(0.0, abs=1e-6)


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.lists(st.floats(0.5, 3.0), min_size=4, max_size=4))
def test_single_sets_cost_the_weighted_cross_entropy(seed: int, weights: list[float]) -> None:
    wanted = torch.randint(0, 4, (2, 5, 5), generator=torch.Generator().manual_seed(seed))
    possible = (1 << wanted).to(torch.uint8)
    got = set_cross_entropy(logits(seed), possible, weights, torch.ones(2))
    told = nn.functional.cross_entropy(logits(seed), wanted, weight=torch.tensor(weights))
    assert float(got) == pytest.approx(float(told), rel=1e-4)


def test_a_set_of_two_costs_minus_the_logarithm_of_their_sum() -> None:
    probabilities = torch.tensor([0.1, 0.2, 0.3, 0.4])
    picture = probabilities.log().view(1, 4, 1, 1)
    loss = set_cross_entropy(picture, torch.tensor([[[0b1010]]]), [1.0, 1.0, 1.0, 3.0], torch.ones(1))
    assert float(loss) == pytest.approx(-float(torch.tensor(0.6).log()), rel=1e-5)


def test_empty_sets_count_nothing_and_pull_nowhere() -> None:
    picture = logits().requires_grad_()
    possible = sets(0b0001)
    possible[:, 2:] = 0
    loss = set_cross_entropy(picture, possible, ONES, torch.ones(2))
    loss.backward()  # type: ignore[no-untyped-call]
    alone = set_cross_entropy(picture[:, :, :2], possible[:, :2], ONES, torch.ones(2))
    assert float(loss.detach()) == pytest.approx(float(alone.detach()), rel=1e-5)
    assert picture.grad is not None
    assert not picture.grad[:, :, 2:].any()
    assert picture.grad[:, :, :2].any()


def test_a_batch_of_empty_sets_costs_zero() -> None:
    assert float(set_cross_entropy(logits(), sets(0), ONES, torch.ones(2))) == 0.0


def test_a_chip_without_weight_does_not_count() -> None:
    picture, possible = logits(), sets(0b0010)
    both = set_cross_entropy(picture, possible, ONES, torch.tensor([1.0, 0.0]))
    first = set_cross_entropy(picture[:1], possible[:1], ONES, torch.ones(1))
    assert float(both) == pytest.approx(float(first), rel=1e-5)


def test_impossible_classes_stay_finite_however_sure_the_network_is() -> None:
    picture = torch.zeros(1, 4, 1, 1)
    picture[0, 0] = 500.0
    loss = set_cross_entropy(picture, torch.tensor([[[0b1000]]]), ONES, torch.ones(1))
    assert float(loss) == pytest.approx(500.0, rel=1e-3)


def test_dice_is_near_zero_when_right_and_near_one_when_wrong() -> None:
    wanted = torch.zeros(1, 20, 20, dtype=torch.bool)
    wanted[:, :10] = True
    known = torch.ones_like(wanted)
    assert float(soft_dice(wanted.float(), wanted, known)) == pytest.approx(0.0, abs=1e-6)
    assert float(soft_dice((~wanted).float(), wanted, known)) > 0.99


def test_dice_leaves_unknown_pixels_out() -> None:
    wanted = torch.zeros(1, 4, 4, dtype=torch.bool)
    probabilities = torch.ones(1, 4, 4)
    assert float(soft_dice(probabilities, wanted, torch.zeros_like(wanted))) == 0.0
