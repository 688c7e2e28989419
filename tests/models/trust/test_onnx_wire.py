"""ONNX: networks that hold their own numbers pass; numbers in other files are found wherever they hide."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from undercast.errors import TrustError
from undercast.models.trust.onnx_wire import check_onnx

MAKE = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "data" / "models" / "make.py")))


def network() -> onnx.ModelProto:
    return onnx.load_from_string(MAKE.network_bytes(3, 2))


def external() -> onnx.TensorProto:
    tensor = onnx.TensorProto(name="outside", dims=[1], data_type=TensorProto.FLOAT)
    tensor.external_data.add(key="location", value="../secret")
    tensor.data_location = TensorProto.EXTERNAL
    return tensor


def among_initializers(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(external())


def in_a_constant(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=external()))


def in_a_branch(model: onnx.ModelProto) -> None:
    branch = helper.make_graph([], "branch", [], [], [external()])
    model.graph.node.append(helper.make_node("If", ["c"], ["d"], then_branch=branch, else_branch=branch))


def in_a_function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Constant", [], ["c"], value=external())
    model.functions.append(helper.make_function("own", "f", [], ["c"], [node], []))


def in_a_sparse_one(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.append(onnx.SparseTensorProto(values=external(), dims=[1]))


@pytest.mark.parametrize("end", ["Softmax", "Sigmoid"])
def test_a_network_that_holds_its_own_numbers_passes(end: str) -> None:
    check_onnx(MAKE.network_bytes(4, 2, kernel=3, end=end), origin="x")


@pytest.mark.parametrize(
    "hide", [among_initializers, in_a_constant, in_a_branch, in_a_function, in_a_sparse_one], ids=lambda f: f.__name__
)
def test_numbers_in_another_file_are_found(hide: Callable[[onnx.ModelProto], None]) -> None:
    model = network()
    hide(model)
    with pytest.raises(TrustError, match=r"external data"):
        check_onnx(model.SerializeToString(), origin="x")


@settings(max_examples=50)
@given(st.binary(max_size=64))
def test_any_bytes_pass_or_are_refused_in_one_line(data: bytes) -> None:
    try:
        check_onnx(data, origin="x")
    except TrustError as error:
        assert "\n" not in str(error)  # noqa: PT017 (bytes that happen to be a network pass)


@settings(max_examples=50)
@given(st.integers(7, 200))
def test_a_network_that_is_cut_short_is_refused(missing: int) -> None:
    data = MAKE.network_bytes(3, 2)
    with pytest.raises(TrustError, match=r"no ONNX network"):
        check_onnx(data[:-missing], origin="x")
