"""A classifier's spec refuses layers in another order than the declared one."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from undercast.classifier_spec import CHANNEL_ORDERS, RADAR, normalised
from undercast.errors import BandError, ModelError

MAKE = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "data" / "classifiers" / "make.py")))


def test_both_orders_hold_the_same_layers_in_different_places() -> None:
    old, new = CHANNEL_ORDERS["v0.1.1"], CHANNEL_ORDERS["v0.2.0"]
    assert list(old) == list(new)
    assert all(sorted(old[name]) == sorted(new[name]) for name in old)
    assert old["s1"] == ("VH", "VV")
    assert new["all"][:3] == ("VV", "VH", "B02")
    assert old["all"][-3:] == ("B8A", "VH", "VV")


def test_layers_in_the_other_order_are_refused() -> None:
    spec = MAKE.tiny_spec("s1")
    with pytest.raises(ModelError, match=r"bands: expected VH, VV \(s1, order of v0.1.1\).*got VV, VH"):
        replace(spec, channel_order="v0.1.1")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"channel_order": "v9"}, "one of v0.1.1, v0.2.0, got v9"),
        ({"configuration": "11m"}, "expected one of s1, s2, all"),
        ({"labels": ()}, "at least one label"),
        ({"labels": ("a", "a")}, "each once"),
        ({"threshold": 1.0}, r"a threshold inside \(0, 1\)"),
        ({"side_px": 0}, "a side and a gsd above 0"),
    ],
)
def test_a_spec_that_contradicts_itself_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        replace(MAKE.tiny_spec(), **change)


def test_a_deviation_of_zero_is_refused() -> None:
    spec = MAKE.tiny_spec("rgb")
    with pytest.raises(ModelError, match="finite mean and deviation"):
        replace(spec, bands=(replace(spec.bands[0], std=0.0), *spec.bands[1:]))


def test_sentinel_1_is_told_from_sentinel_2() -> None:
    spec = MAKE.tiny_spec("10m_s1")
    assert spec.needs_radar
    assert [layer.name for layer in spec.optical] == ["B02", "B03", "B04", "B08"]
    assert {layer.name: layer.unit for layer in spec.bands}["VV"] == "dB"
    assert not MAKE.tiny_spec("10m").needs_radar


def test_normalising_takes_each_layers_own_statistics_and_no_data_becomes_the_mean() -> None:
    spec = MAKE.tiny_spec("10m_s1")
    window = np.full((6, 120, 120), 1500.0, np.float32)
    window[:2] = -10.0
    window[3, 0, 0] = np.nan
    found = normalised(spec, window)
    assert found[0].max() == found[2].max() == 1.0
    assert found[3, 0, 0] == 0.0


def test_windows_of_another_side_are_refused() -> None:
    with pytest.raises(BandError, match=r"4 layers .* 120 x 120 px, got an array of shape"):
        normalised(MAKE.tiny_spec(), np.zeros((4, 60, 60), np.float32))


@given(st.sampled_from(["10m", "s1", "all"]), arrays.arrays(np.float32, (2,), elements=st.floats(-1e4, 1e4, width=32)))
def test_normalising_can_be_undone(configuration: str, values: np.ndarray) -> None:
    spec = MAKE.tiny_spec(configuration, side_px=2)
    window = np.broadcast_to(np.tile(values, (2, 1)), (len(spec.bands), 2, 2)).astype(np.float32)
    found = normalised(spec, window)
    for layer, own in zip(found, spec.bands, strict=True):
        assert np.allclose(layer * own.std + own.mean, window[0], atol=1e-2)
        assert (own.name in RADAR) == (own.band is None)
