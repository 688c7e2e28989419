"""An exported network says what the original says."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from undercast.errors import TrainingError
from undercast.training import export
from undercast.training.chips import Chip
from undercast.training.export import fit_temperature, to_onnx
from undercast.training.networks import WithProbabilities, build


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(1)
    return build("spectral-spatial-small", bands=3, classes=4).eval()


@pytest.fixture(scope="module")
def session(network: nn.Module) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(to_onnx(network, 3, temperature=1.7), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("shape", [(1, 3, 32, 32), (3, 3, 96, 64), (2, 3, 32, 224)])
def test_onnx_gives_the_networks_probabilities_for_any_batch_and_sides(
    network: nn.Module, session: onnxruntime.InferenceSession, shape: tuple[int, ...]
) -> None:
    image = torch.rand(shape, generator=torch.Generator().manual_seed(2)) * 1.2
    image[:, 1, :7] = -1.0
    with torch.no_grad():
        wanted = WithProbabilities(network, 1.7)(image).numpy()
    (got,) = session.run(None, {"reflectance": image.numpy()})
    assert got.shape == (shape[0], 4, *shape[2:])
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    np.testing.assert_allclose(got.sum(axis=1), 1.0, atol=1e-5)


def test_names_of_inputs_and_outputs_are_those_of_the_spec(session: onnxruntime.InferenceSession) -> None:
    assert [value.name for value in session.get_inputs()] == ["reflectance"]
    assert [value.name for value in session.get_outputs()] == ["probabilities"]


def test_an_export_that_differs_is_refused(network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "LARGEST_DIFFERENCE", -1.0)
    with pytest.raises(TrainingError, match="the exported network differs by"):
        to_onnx(network, 3)


class Sure(nn.Module):
    """Says with logit 4 that bright pixels are thick cloud and the others clear."""

    def forward(self, image: Tensor) -> Tensor:
        bright = (image[:, :1] > 0.4).float()
        return torch.cat([4 * (1 - bright), 4 * bright, torch.zeros_like(bright), torch.zeros_like(bright)], dim=1)


def chips(wrong: float) -> list[Chip]:
    """Draw chips of which a share is labelled against their brightness."""
    rng = np.random.default_rng(0)
    drawn = []
    for number in range(3):
        cloud = rng.random((64, 64)) < 0.5
        stored = np.where(cloud, 9000, 1000).astype(np.int16)[None].repeat(2, axis=0)
        told = cloud ^ (rng.random((64, 64)) < wrong)
        drawn.append(
            Chip(name=str(number), source="test", stored=stored, possible=np.where(told, 2, 1).astype(np.uint8))
        )
    return drawn


def test_a_network_that_is_too_sure_gets_a_high_temperature_and_a_modest_one_a_low_one() -> None:
    names = ("red", "nir")
    assert fit_temperature([(Sure(), chips(0.35))], names) > 1.5
    assert fit_temperature([(Sure(), chips(0.0))], names) == pytest.approx(0.5)
