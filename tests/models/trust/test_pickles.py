"""Pickles: saved tensors pass; a pickle that names anything else is refused without being run."""

from __future__ import annotations

import collections
import io
import pickle
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from undercast.errors import TrustError
from undercast.models.trust.pickles import ALLOWED, ITEM_BYTES, check_pickle, check_saved

MAKE = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "data" / "hostile" / "make.py")))

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def nothing_outside(pid: object) -> None:
    pytest.fail(f"refers to {pid}")


@settings(max_examples=50)
@given(plain)
def test_plain_values_pass(value: object) -> None:
    check_pickle(pickle.dumps(value, protocol=2), nothing_outside, origin="x")


@pytest.mark.parametrize(
    "value",
    [
        ((torch.zeros(2, 3),), {}),
        collections.OrderedDict(a=torch.ones(2), b=torch.nn.Parameter(torch.ones(2, dtype=torch.float16))),
        {"counted": torch.tensor(3), "mask": torch.ones(2, dtype=torch.bool), "empty": torch.ones(0)},
        torch.nn.Conv2d(1, 1, 1).state_dict(),
    ],
    ids=["example inputs", "ordered", "kinds", "state"],
)
def test_saved_tensors_pass(value: Any) -> None:
    check_saved(MAKE.saved(value), origin="x")


def test_nothing_saved_passes() -> None:
    check_saved(b"", origin="x")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_runs_code_is_refused_in_every_protocol(protocol: int, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    with pytest.raises(TrustError, match=r"a pickle (that names|with the operation)"):
        check_pickle(pickle.dumps(MAKE.Payload(marker), protocol), nothing_outside, origin="x")
    assert not marker.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x02",
        b"\x80\x02.",
        b"\x80\x02]q\x00(.",
        b"\x80\x02Nr\xff\xff\xff\x7f.",
        b"cos\nsystem\n(S'true'\ntR.",
        b"\x80\x02ccollections\nOrderedDict.system\n.",
        b"\x80\x02ctorch\nload\n.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}b(i",
    ],
)
def test_damaged_and_odd_pickles_are_refused(data: bytes) -> None:
    with pytest.raises(TrustError, match=r"^weights x are refused"):
        check_pickle(data, nothing_outside, origin="x")


def test_what_is_allowed_is_what_torch_calls_safe() -> None:
    from torch._weights_only_unpickler import _get_allowed_globals

    assert {f"{module}.{name}" for module, name in ALLOWED} <= set(_get_allowed_globals())


def test_sizes_of_numbers_are_torch_s_own() -> None:
    types = torch.storage._storage_type_to_dtype_map()
    assert {name: types[name].itemsize for name in ITEM_BYTES} == ITEM_BYTES


def test_a_checkpoint_of_the_format_before_zip_is_refused() -> None:
    stored = io.BytesIO()
    torch.save(torch.ones(1), stored, _use_new_zipfile_serialization=False)
    with pytest.raises(TrustError, match=r"no zip archive"):
        check_saved(stored.getvalue(), origin="x")
