"""MLM's value scaling is a gain and an offset per band, and comes back as it was."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.errors import ModelError
from undercast.models.item import member_properties, read_spec, spec_properties
from undercast.models.scaling import per_band, read_scaling, value_scaling
from undercast.models.table import Table

make = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "models" / "make.py")))


def read(*steps: dict[str, Any], bands: int = 3) -> tuple[tuple[float, float], ...]:
    return read_scaling(Table(values={"value_scaling": list(steps)}, origin="input"), bands)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ({"type": "scale", "value": 4}, (0.25, 0.0)),
        ({"type": "offset", "value": 4}, (1.0, -4.0)),
        ({"type": "z-score", "mean": 3, "stddev": 2}, (0.5, -1.5)),
        ({"type": "min-max", "minimum": 1, "maximum": 3}, (0.5, -0.5)),
    ],
)
def test_each_kind_is_a_gain_and_an_offset(step: dict[str, Any], expected: tuple[float, float]) -> None:
    assert read(step) == (expected,)
    assert per_band(read(step), 3) == (expected,) * 3
    assert per_band(read(), 2) == ((1.0, 0.0),) * 2


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"type": "scale", "value": 0}, "neither 0 nor huge"),
        ({"type": "scale", "value": 1e300}, "neither 0 nor huge"),
        ({"type": "scale", "value": 10**400}, "value: expected a number"),
        ({"type": "min-max", "minimum": 2, "maximum": 2}, "neither 0 nor huge"),
        ({"type": "clip", "minimum": 0, "maximum": 1}, "value_scaling of scale, offset, z-score, min-max"),
        ({"type": "z-score", "mean": 1}, "stddev is missing"),
        ({"value": 1}, "type is missing"),
    ],
)
def test_what_is_no_gain_and_offset_is_refused(step: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        read(step)


def test_the_number_of_scalings_is_one_or_that_of_the_bands() -> None:
    step = {"type": "scale", "value": 2}
    assert len(read(step, step, step)) == 3
    with pytest.raises(ModelError, match=r"one for all bands or one for each of 3, got 2 of them"):
        read(step, step)


figures = st.floats(0.001, 1000).map(lambda x: float(f"{x:.6g}"))


@given(gains=st.lists(figures, min_size=3, max_size=3), offsets=st.lists(figures, min_size=3, max_size=3))
def test_gains_and_offsets_survive_the_item(gains: list[float], offsets: list[float]) -> None:
    spec = make.tiny_spec()
    bands = [
        replace(wanted, gain=gain, offset=offset)
        for wanted, gain, offset in zip(spec.bands, gains, offsets, strict=True)
    ]
    scaled = replace(spec, bands=tuple(bands))
    read_back = read_spec(Table(values=spec_properties(scaled), origin="item"))
    for before, after in zip(scaled.bands, read_back.bands, strict=True):
        assert after.gain == pytest.approx(before.gain, rel=1e-9)
        assert after.offset == pytest.approx(before.offset, rel=1e-9)


def test_reflectance_as_it_is_has_no_scaling() -> None:
    assert value_scaling(make.tiny_spec()) is None
    assert value_scaling(make.tiny_spec(scale=10000.0)) == [{"type": "scale", "value": 0.0001}]


def test_a_members_properties_are_those_that_differ() -> None:
    spec = make.tiny_spec()
    own = replace(spec, scale=2.0, fill=0.0)
    differences = member_properties(own, spec)
    assert set(differences) == {"mlm:input", "undercast:fill"}
    assert member_properties(spec, spec) == {}
    assert read_spec(Table(values={**spec_properties(spec), **differences}, origin="item")) == own
