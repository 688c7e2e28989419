"""ONNX Runtime as a backend."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from undercast.errors import BackendError
from undercast.inference.backends import Network, Weights
from undercast.inference.onnx import OnnxRuntime

make = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "models" / "make.py")))


def load(weights: bytes, device: str = "cpu") -> Network:
    return OnnxRuntime().load(Weights(data=weights, kind="onnx"), device=device, precision="f32")


def test_a_network_gives_the_softmax_of_its_weights() -> None:
    weights = np.array([[1.0], [-1.0]], np.float32)[:, :, None, None]
    network = load(make.convolution(weights, np.zeros(2, np.float32), end="Softmax"))
    out = network(np.full((2, 1, 3, 4), 0.5, np.float32))
    assert out.shape == (2, 2, 3, 4)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out[:, 0], 1 / (1 + np.exp(-1.0)), rtol=1e-6)


@pytest.mark.parametrize("weights", [b"", b"no network at all"])
def test_bytes_that_are_no_network_are_refused_in_one_line(weights: bytes) -> None:
    with pytest.raises(BackendError, match=r"ONNX Runtime cannot load the network") as caught:
        load(weights)
    assert "\n" not in str(caught.value)


def test_a_batch_with_the_wrong_bands_is_refused_in_one_line() -> None:
    network = load(make.network_bytes(3, 4))
    with pytest.raises(BackendError, match=r"failed on a batch of shape \(1, 2, 8, 8\)") as caught:
        network(np.zeros((1, 2, 8, 8), np.float32))
    assert "\n" not in str(caught.value)


def test_an_unavailable_device_is_answered_with_the_available_ones() -> None:
    with pytest.raises(BackendError, match=r"'tpu' is not available with ONNX Runtime. Available: .*cpu"):
        load(make.network_bytes(3, 4), device="tpu")


def test_a_device_that_the_session_did_not_get_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])

    class Session:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    monkeypatch.setattr(ort, "InferenceSession", Session)
    backend = OnnxRuntime()
    assert backend.devices() == ("cuda", "cpu")
    with pytest.raises(BackendError, match=r"cannot use cuda here.*--device cpu"):
        backend.load(Weights(data=b"", kind="onnx"), device="cuda", precision="f32")


def test_a_network_with_two_outputs_or_of_another_type_is_refused() -> None:
    model = onnx.load_from_string(make.network_bytes(3, 4))
    model.graph.output.append(onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, None))
    with pytest.raises(BackendError, match=r"one float32 input and one float32 output, got tensor\(float\), "):
        load(model.SerializeToString())
