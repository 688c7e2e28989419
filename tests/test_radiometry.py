"""Digital numbers become reflectance and back; the guard catches wrong declarations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.errors import RadiometryError
from undercast.radiometry import (
    SENTINEL2_SCALING,
    SENTINEL2_SCALING_0400,
    Observed,
    Scaling,
    guard,
    observe,
)


def seen(p1: float = 0.02, p50: float = 0.2, p99: float = 0.8) -> Observed:
    return Observed(p1=p1, p50=p50, p99=p99)


def test_digital_numbers_become_reflectance_by_scale_and_offset() -> None:
    dn = np.array([1000, 2000, 11000], np.uint16)
    got = SENTINEL2_SCALING_0400.to_reflectance(dn)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, [0.0, 0.1, 1.0], atol=1e-6)
    np.testing.assert_allclose(SENTINEL2_SCALING.to_reflectance(dn), [0.1, 0.2, 1.1], rtol=1e-6)


def test_no_scaling_leaves_values_and_the_callers_array_alone() -> None:
    values = np.array([0.1, np.nan], np.float32)
    got = Scaling().to_reflectance(values)
    got += 1
    np.testing.assert_array_equal(values, np.array([0.1, np.nan], np.float32))


def test_reflectance_outside_the_type_is_clipped() -> None:
    got = SENTINEL2_SCALING.to_dn(np.array([-0.5, 0.5, 9.0], np.float32))
    assert got.dtype == np.uint16
    np.testing.assert_array_equal(got, [0, 5000, 65535])


@given(
    st.lists(st.integers(0, 10_000), min_size=1, max_size=20),
    st.floats(1e-4, 1e-2),
    st.floats(-0.5, 0.5),
)
def test_there_and_back_gives_the_same_digital_numbers(dn: list[int], scale: float, offset: float) -> None:
    scaling = Scaling(scale=scale, offset=offset)
    stored = np.array(dn, np.uint16)
    np.testing.assert_array_equal(scaling.to_dn(scaling.to_reflectance(stored)), stored)


def test_a_sample_is_summarised_without_its_missing_pixels() -> None:
    sample = np.concatenate([np.linspace(0, 1, 101), [np.nan] * 50]).astype(np.float32)
    got = observe(sample[None])
    assert got is not None
    assert (got.p1, got.p50, got.p99) == pytest.approx((0.01, 0.5, 0.99), abs=1e-6)


def test_a_sample_without_data_has_no_summary() -> None:
    assert observe(np.full((2, 3), np.nan, np.float32)) is None


def test_plausible_reflectance_passes_in_silence() -> None:
    assert guard(seen(), name="scene", level="toa") == ()


@pytest.mark.parametrize(("p99", "scale"), [(8000.0, "--scale 0.0001"), (200.0, "--scale 0.00392157 (1/255) or the")])
def test_thousands_are_refused_with_the_way_out(p99: float, scale: str) -> None:
    with pytest.raises(RadiometryError, match="look like digital numbers") as caught:
        guard(seen(p50=p99 / 4, p99=p99), name="scene", level=None)
    assert str(caught.value).startswith("scene: expected reflectance of about 0 to 1, got 1st, 50th and 99th")
    assert scale in str(caught.value)


def test_an_offset_applied_twice_is_refused() -> None:
    with pytest.raises(RadiometryError, match=r"applied twice.* Try --scale 0.0001 --offset 0\."):
        guard(seen(p1=-0.1, p50=-0.09, p99=0.3), name="scene", level="toa")


def test_a_dark_scene_gives_a_warning() -> None:
    (told,) = guard(seen(p1=0.0, p50=0.001, p99=0.003), name="scene", level=None)
    assert told.startswith("scene: very dark for reflectance")


@pytest.mark.parametrize(("level", "warnings"), [("toa", 1), ("surface", 0), (None, 0)])
def test_negative_values_are_odd_at_the_top_of_the_atmosphere_only(level: str | None, warnings: int) -> None:
    assert len(guard(seen(p1=-0.03), name="scene", level=level)) == warnings  # type: ignore[arg-type]


@given(st.lists(st.floats(0.0, 1.5, width=32), min_size=1, max_size=50))
def test_no_reflectance_between_0_and_1_5_is_refused(values: list[float]) -> None:
    got = observe(np.array([values], np.float32))
    assert got is not None
    guard(got, name="scene", level="toa")
