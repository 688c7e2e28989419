"""Export: a trained network becomes ONNX, checked against the original."""

from __future__ import annotations

import io
import logging
import math
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from undercast.classes import CLASS_NAMES
from undercast.errors import TrainingError
from undercast.training.calibration import Calibrated
from undercast.training.networks import WithProbabilities

logger = logging.getLogger(__name__)

SMALL = 64
"""Weights with fewer values than this are stored in single precision."""
LIVE_PX = 256
"""Side of the input for which the memory of features is counted, in pixels."""
LIVE_MARGIN = 1.2
"""What the embedded network was seen to take with OpenVINO, over that."""
LARGEST_DIFFERENCE = 5e-4
"""Largest difference in probability between the exported network and the original; roots differ in their last bits."""
LARGEST_ROUNDING = 2e-2
"""Largest such difference from weights of sixteen bits; where it is more, all bits are stored."""


def to_onnx(network: nn.Module, bands: int) -> bytes:
    """Export a network of logits as ONNX that gives probabilities.

    It takes any batch and any sides that are multiples of 32. Weights are stored in sixteen bits where that changes
    next to nothing.

    Raises:
        TrainingError: If ONNX Runtime's answers differ from the original's.
    """
    module = WithProbabilities(network.folded() if isinstance(network, Calibrated) else network).eval()
    module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    weights = as_onnx(module, bands)
    difference = _difference(module, weights, bands)
    if not difference <= LARGEST_DIFFERENCE:
        msg = f"the exported network differs by {difference:.2g} in probability, more than {LARGEST_DIFFERENCE:g}."
        raise TrainingError(msg)
    halved = _halved(weights)
    rounding = _difference(module, halved, bands)
    if not rounding <= LARGEST_ROUNDING:
        logger.warning("weights in sixteen bits would change probabilities by %.2g: all bits are kept", rounding)
        return weights
    return halved


def free_shapes() -> dict[int, Any]:
    """Say which axes of a network's input are free: the batch, and sides that are multiples of 32."""
    batch = torch.export.Dim("batch", min=1, max=256)
    rows, cols = (torch.export.Dim(name, min=1, max=512) for name in ("rows", "cols"))
    return {0: batch, 2: 32 * rows, 3: 32 * cols}


def as_onnx(module: nn.Module, bands: int) -> bytes:
    """Write a module in evaluation mode as ONNX, as it is."""
    example = torch.rand(2, bands, 64, 96)
    with tempfile.TemporaryDirectory() as folder, quiet():
        path = Path(folder) / "network.onnx"
        torch.onnx.export(
            module,
            (example,),
            path,
            dynamo=True,
            external_data=False,
            input_names=["reflectance"],
            output_names=["probabilities"],
            dynamic_shapes=(free_shapes(),),
            verbose=False,
        )
        return path.read_bytes()


def working_bytes(weights: bytes) -> int:
    """Give the memory of an exported network's features that live at the same time, per pixel of its input, in bytes.

    A runtime that works in single precision and keeps no more than it needs takes about as much; some more is
    allowed for what it rearranges.
    """
    model = onnx.load_model_from_string(weights)
    (given,) = model.graph.input
    for axis, size in zip(given.type.tensor_type.shape.dim, (1, 0, LIVE_PX, LIVE_PX), strict=True):
        if size:
            axis.dim_value = size
    for told in model.graph.output:
        told.type.tensor_type.ClearField("shape")
    model.graph.ClearField("value_info")
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    sizes: dict[str, int] = {
        value.name: math.prod(axis.dim_value for axis in value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.output, *graph.value_info)
        if len(value.type.tensor_type.shape.dim) == len(given.type.tensor_type.shape.dim)
    }
    ends = {name: place for place, node in enumerate(graph.node) for name in node.input}
    constant = {tensor.name for tensor in graph.initializer}
    live = most = sizes[given.name]
    for place, node in enumerate(graph.node):
        if constant.issuperset(node.input):
            constant.update(node.output)
            continue
        live += sum(sizes.get(name, 0) for name in node.output)
        most = max(most, live)
        live -= sum(sizes.get(name, 0) for name in set(node.input) - constant if ends[name] == place)
    return math.ceil(LIVE_MARGIN * 4 * most / LIVE_PX**2)


def _halved(model: bytes) -> bytes:
    """Store large weights in half precision, to be widened when the model is loaded: half the size.

    They are rounded to what bfloat16 holds before, as are all that convolutions add: a processor that computes in it
    has the same weights then, and not others. Most of the classes that differed between both did because of them.
    """
    graph_of = onnx.load_model_from_string(model)
    graph = graph_of.graph
    added = {node.input[2] for node in graph.node if node.op_type == "Conv" and len(node.input) > 2}
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or (values.size < SMALL and tensor.name not in added):
            continue
        name = tensor.name
        rounded = torch.from_numpy(values.copy()).to(torch.bfloat16)
        if values.size < SMALL:
            tensor.CopyFrom(numpy_helper.from_array(rounded.float().numpy(), name))
            continue
        tensor.CopyFrom(numpy_helper.from_array(rounded.to(torch.float16).numpy(), f"{name}.half"))
        widen = helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT, name=f"{name}.widen")
        graph.node.insert(0, widen)
    stored: bytes = graph_of.SerializeToString()
    return stored


def _difference(module: nn.Module, weights: bytes, bands: int) -> float:
    """Give the largest difference in probability between a network and what was exported of it, on noise.

    Raises:
        TrainingError: If their shapes differ.
    """
    largest = 0.0
    session = onnxruntime.InferenceSession(weights, providers=["CPUExecutionProvider"])
    for shape in ((1, bands, 32, 160), (3, bands, 128, 96)):
        image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        image[:, -1] = -1.0
        with torch.no_grad():
            wanted = module(image).numpy()
        (got,) = session.run(None, {"reflectance": image.numpy()})
        if got.shape != wanted.shape or got.shape[1] != len(CLASS_NAMES):
            msg = f"the exported network gives shape {got.shape}, expected {wanted.shape}."
            raise TrainingError(msg)
        largest = float(np.maximum(largest, np.abs(got - wanted).max()))  # not a number stays one
    return largest


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporter's chatter off the person's screen."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
