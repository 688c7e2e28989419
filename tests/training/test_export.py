"""An exported network says what the original says."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from undercast.errors import TrainingError
from undercast.training import export
from undercast.training.calibration import Calibrated, Calibration
from undercast.training.export import to_onnx, working_bytes
from undercast.training.networks import WithProbabilities, build

CALIBRATION = Calibration(temperature=1.7, cloud=0.4)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(1)
    return build("spectral-spatial-small", bands=3, classes=4).eval()


@pytest.fixture(scope="module")
def session(network: nn.Module) -> onnxruntime.InferenceSession:
    weights = to_onnx(Calibrated(network, CALIBRATION), 3)
    return onnxruntime.InferenceSession(weights, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("shape", [(1, 3, 32, 32), (3, 3, 96, 64), (2, 3, 32, 224)])
def test_onnx_gives_the_networks_probabilities_for_any_batch_and_sides(
    network: nn.Module, session: onnxruntime.InferenceSession, shape: tuple[int, ...]
) -> None:
    image = torch.rand(shape, generator=torch.Generator().manual_seed(2)) * 1.2
    image[:, 1, :7] = -1.0
    with torch.no_grad():
        wanted = WithProbabilities(Calibrated(network, CALIBRATION))(image).numpy()
    (got,) = session.run(None, {"reflectance": image.numpy()})
    assert got.shape == (shape[0], 4, *shape[2:])
    np.testing.assert_allclose(got, wanted, atol=1e-3)  # weights are rounded
    np.testing.assert_allclose(got.sum(axis=1), 1.0, atol=1e-5)


def test_names_of_inputs_and_outputs_are_those_of_the_spec(session: onnxruntime.InferenceSession) -> None:
    assert [value.name for value in session.get_inputs()] == ["reflectance"]
    assert [value.name for value in session.get_outputs()] == ["probabilities"]


def test_an_export_that_differs_is_refused(network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "LARGEST_DIFFERENCE", -1.0)
    with pytest.raises(TrainingError, match="the exported network differs by"):
        to_onnx(network, 3)


def test_weights_that_cannot_be_rounded_keep_all_their_bits(
    network: nn.Module, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    half = len(to_onnx(network, 3))
    monkeypatch.setattr(export, "LARGEST_ROUNDING", 0.0)
    assert len(to_onnx(network, 3)) > 1.5 * half
    assert "all bits are kept" in caplog.text


def test_stored_weights_are_the_same_in_bfloat16() -> None:
    network = build("spectral-spatial-small", bands=3, classes=4)
    with torch.no_grad():
        network(torch.rand(2, 3, 64, 64))  # gives the batch normalisation means, which convolutions add then
    graph = onnx.load_model_from_string(to_onnx(Calibrated(network.eval(), CALIBRATION), 3)).graph
    added = {node.input[2] for node in graph.node if node.op_type == "Conv" and len(node.input) > 2}
    stored = [
        numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if tensor.name.endswith(".half") or tensor.name in added
    ]
    assert len(added) > 20
    assert sum(values.size for values in stored) > 10_000
    for values in stored:
        wide = torch.from_numpy(values.astype(np.float32))
        torch.testing.assert_close(wide.to(torch.bfloat16).float(), wide, rtol=0, atol=1e-7)


def test_what_a_network_works_in_is_what_lives_at_the_same_time() -> None:
    narrow, wide = (build(name, bands=7, classes=4).eval() for name in ("spectral-spatial-light", "spectral-spatial"))
    few, many = working_bytes(to_onnx(narrow, 7)), working_bytes(to_onnx(wide, 7))
    assert 7 * 4 < few < many / 2
    assert many == pytest.approx(400, rel=0.1)


@pytest.mark.parametrize("name", ["spectral-spatial-small", "spectral-spatial-light"])
def test_calibration_is_in_the_last_convolution(name: str) -> None:
    torch.manual_seed(2)
    calibrated = Calibrated(build(name, bands=3, classes=4).eval(), CALIBRATION)
    image = torch.rand(1, 3, 32, 64)
    with torch.no_grad():
        wanted = calibrated(image)
        torch.testing.assert_close(calibrated.folded()(image), wanted, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(calibrated(image), wanted)  # its own network is as it was
    nodes = onnx.load_model_from_string(to_onnx(calibrated, 3)).graph.node
    last = max(place for place, node in enumerate(nodes) if node.op_type == "Conv")
    assert {node.op_type for node in nodes[last + 1 :]} <= {"DepthToSpace", "Softmax"}


def test_a_network_that_does_not_name_its_last_convolution_is_calibrated_beside_it() -> None:
    calibrated = Calibrated(nn.Conv2d(3, 4, 1), CALIBRATION)
    assert calibrated.folded() is calibrated
