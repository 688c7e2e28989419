"""Layers are brought to one side, and statistics are those of the published models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from undercast.errors import TrainingError, UsageError
from undercast.training.bigearthnet.layers import check_layers, load_statistics, stack


def test_a_band_of_60_m_is_repeated() -> None:
    coarse = np.array([[1, 2], [3, 4]], np.uint16)
    (plane,) = stack({"B01": coarse}, ["B01"], side=4)
    assert plane.tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    assert plane.dtype == np.float32


@given(st.sampled_from([20, 60, 120]), st.sampled_from(["nearest", "bilinear", "bicubic"]))
def test_a_constant_stays_constant(side: int, interpolation: Any) -> None:
    got = stack({"B05": np.full((side, side), 77, np.uint16)}, ["B05"], interpolation=interpolation)
    np.testing.assert_allclose(got, np.full((1, 120, 120), 77.0), rtol=1e-6)


def test_bilinear_aligns_the_corners() -> None:
    coarse = np.arange(4, dtype=np.float32).reshape(2, 2)
    got = stack({"B05": coarse}, ["B05"], side=3, interpolation="bilinear")
    wanted = interpolate(torch.from_numpy(coarse)[None, None], (3, 3), mode="bilinear", align_corners=True)
    np.testing.assert_array_equal(got, wanted[0].numpy())
    assert got[0, 1, 1] == 1.5


def test_layers_are_stacked_in_the_order_that_is_asked_for() -> None:
    planes = {name: np.full((120, 120), number, np.float32) for number, name in enumerate(("VV", "VH", "B02"))}
    assert stack(planes, ["B02", "VH", "VV"])[:, 0, 0].tolist() == [2, 1, 0]


def test_an_unknown_interpolation_is_refused() -> None:
    wrong: Any = "cubic"
    with pytest.raises(UsageError, match="expected an interpolation of nearest, bilinear, bicubic, got 'cubic'"):
        stack({}, [], interpolation=wrong)


def test_statistics_of_some_layers() -> None:
    table = load_statistics()
    assert (table["B04"].mean, table["B04"].std) == (588.4096069335938, 684.56884765625)
    assert (table["VH"].mean, table["VV"].std) == (-19.352558135986328, 5.133493900299072)
    assert len(table) == 14
    with pytest.raises(UsageError, match=r"'100_nearest' are not known\. Known: 60_nearest"):
        load_statistics("nearest", 100)


def test_a_missing_band_is_named() -> None:
    with pytest.raises(TrainingError, match=r"here: expected the layers B02, B03, got no B03\. It has B02\."):
        check_layers({"B02": np.zeros((2, 2))}, ["B02", "B03"], "here")


@pytest.mark.parametrize("layer", [np.zeros((2, 3)), np.zeros(4), np.zeros((500, 500)), np.array([["a"]])])
def test_layers_that_are_no_squares_of_numbers_are_refused(layer: Any) -> None:
    with pytest.raises(TrainingError, match="layer B02: expected a square of numbers"):
        check_layers({"B02": layer}, ["B02"], "here")
