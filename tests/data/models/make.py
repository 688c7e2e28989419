"""Make tiny ONNX networks and model packages: one convolution, then softmax or sigmoid."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from undercast.bands import band_from_name
from undercast.classes import CLASS_NAMES
from undercast.model_spec import ModelBand, ModelSpec
from undercast.models.publish.write import PackageDetails, write_package

End = Literal["Softmax", "Sigmoid", "none"]


def network_bytes(bands: int, layers: int, *, seed: int = 0, kernel: int = 1, end: End = "Softmax") -> bytes:
    """Make an ONNX network ``(batch, band, y, x) -> (batch, layer, y, x)``."""
    weights = np.random.default_rng(seed).normal(0, 4, (layers, bands, kernel, kernel)).astype(np.float32)
    return convolution(weights, np.zeros(layers, np.float32), end=end)


def brightness_network(bands: int = 3) -> bytes:
    """Make a four-class network: bright is thick cloud, dark is shadow, else clear; never thin cloud."""
    weights = np.zeros((4, bands, 1, 1), np.float32)
    weights[1] = 20.0 / bands
    weights[3] = -60.0 / bands
    bias = np.array([0.0, -8.0, -20.0, 3.0], np.float32)
    return convolution(weights, bias, end="Softmax")


def convolution(weights: np.ndarray, bias: np.ndarray, *, end: End) -> bytes:
    """Make an ONNX network of one convolution that keeps the size, and an activation over the layers."""
    layers, bands, kernel, _ = weights.shape
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["logits"], pads=[kernel // 2] * 4)]
    if end == "none":
        nodes.append(helper.make_node("Identity", ["logits"], ["y"]))
    elif end == "Sigmoid":
        nodes.append(helper.make_node("Sigmoid", ["logits"], ["y"]))
    else:
        nodes.append(helper.make_node("Softmax", ["logits"], ["y"], axis=1))
    graph = helper.make_graph(
        nodes,
        "pointwise",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", bands, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", layers, "h", "w"])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(bias, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def tiny_spec(**changes: object) -> ModelSpec:
    """Give a spec for blue, green and red, all of them required."""
    values: dict[str, object] = {
        "id": "tiny",
        "version": "1.0.0",
        "title": "Tiny",
        "bands": tuple(ModelBand(band=band_from_name(name)) for name in ("blue", "green", "red")),
        "classes": CLASS_NAMES,
        "window": 32,
        "multiple": 8,
        "overlap": 8,
    }
    return ModelSpec(**{**values, **changes})  # type: ignore[arg-type]


def tiny_details(**changes: object) -> PackageDetails:
    """Give the least that a package must say."""
    values: dict[str, object] = {
        "architecture": "pointwise convolution",
        "created": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
        "description": "A network for tests.",
        "card": "# Tiny\n\nFor tests.\n",
    }
    return PackageDetails(**{**values, **changes})  # type: ignore[arg-type]


def tiny_package(folder: Path, *, members: int = 1, spec: ModelSpec | None = None) -> Path:
    """Write a package of brightness networks."""
    wanted = spec or tiny_spec()
    weights = {f"member_{number}": brightness_network(len(wanted.bands)) for number in range(1, members + 1)}
    return write_package(folder, wanted, weights, tiny_details())
