"""Safetensors: what the library writes passes, and a header that lies does not."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import save

from undercast.errors import TrustError
from undercast.models.trust.safetensors_header import check_safetensors

tensors = st.dictionaries(
    st.text(min_size=1, max_size=8).filter(lambda name: name != "__metadata__"),
    arrays.arrays(st.sampled_from([np.float32, np.int64, np.uint8, np.bool_]), arrays.array_shapes(max_side=3)),
    max_size=4,
)


@settings(max_examples=50)
@given(tensors)
def test_what_the_library_writes_passes(values: dict[str, np.ndarray]) -> None:
    check_safetensors(save(values, metadata={"made": "here"}), origin="x")


@settings(max_examples=50)
@given(tensors, st.integers(1, 40))
def test_a_file_that_is_cut_short_is_refused(values: dict[str, np.ndarray], missing: int) -> None:
    data = save({**values, "last": np.ones(16, np.float32)})
    with pytest.raises(TrustError, match=r"^weights x are refused"):
        check_safetensors(data[:-missing], origin="x")


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ([], "no object"),
        ({"w": 1}, "of the type 'None'"),
        ({"w": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, "without shape or offsets"),
        ({"w": {"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]}}, "without shape or offsets"),
        ({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}, "without shape or offsets"),
        ({"w": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}, "shape and offsets disagree"),
        ({"w": {"dtype": "F32", "shape": [1] * 17, "data_offsets": [0, 4]}}, "without shape or offsets"),
        ({"__metadata__": {"a": 1}}, "metadata that are no texts"),
        ({}, "tensors of 0 bytes in a file with 4"),
    ],
)
def test_a_header_that_lies_is_refused(header: object, told: str) -> None:
    text = json.dumps(header).encode()
    with pytest.raises(TrustError, match=told):
        check_safetensors(struct.pack("<Q", len(text)) + text + bytes(4), origin="x")
