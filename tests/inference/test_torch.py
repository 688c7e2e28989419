"""PyTorch as a backend, on programs and weights that are made here."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn

from undercast.errors import BackendError
from undercast.inference.backends import Network, Weights, choose_backend
from undercast.inference.torch import Torch
from undercast.training import networks
from undercast.types import Float32, Precision


class Small(nn.Module):
    """Two convolutions and a sigmoid; ``flat`` goes through a view."""

    def __init__(self, *, flat: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(4, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 1, 1)
        self.flat = flat

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.relu(self.first(x))
        if self.flat:
            inner = inner.view(x.shape[0], 8, -1).softmax(dim=2).view(x.shape[0], 8, *x.shape[2:])
        return torch.sigmoid(self.second(inner))


def program(network: nn.Module) -> bytes:
    """Export a network as FDR4VGT's are: any batch, fixed sides."""
    batch = torch.export.Dim("batch", min=1, max=64)
    example = torch.zeros(2, 4, 16, 16)
    stored = io.BytesIO()
    torch.export.save(torch.export.export(network.eval(), (example,), dynamic_shapes={"x": {0: batch}}), stored)
    return stored.getvalue()


@pytest.fixture(scope="module")
def small() -> tuple[Small, bytes]:
    network = Small()
    return network, program(network)


def load(weights: Weights, precision: Precision = "f32") -> Network:
    return Torch().load(weights, device="cpu", precision=precision)


def pixels(*shape: int) -> Float32:
    return np.random.default_rng(0).random(shape, np.float32)


def answer(network: nn.Module, batch: Float32) -> Float32:
    with torch.no_grad():
        return np.asarray(network(torch.from_numpy(batch)).numpy(), np.float32)


@pytest.mark.parametrize("batch", [1, 3])
def test_an_exported_program_gives_what_its_network_gives(small: tuple[Small, bytes], batch: int) -> None:
    out = load(Weights(data=small[1], kind="pt2"))(pixels(batch, 4, 16, 16))
    assert out.dtype == np.float32
    assert out.flags["C_CONTIGUOUS"]
    np.testing.assert_allclose(out, answer(small[0], pixels(batch, 4, 16, 16)), atol=1e-6)


def test_a_program_that_fixes_the_order_in_memory_runs_too() -> None:
    network = Small(flat=True)
    out = load(Weights(data=program(network), kind="pt2"))(pixels(2, 4, 16, 16))
    np.testing.assert_allclose(out, answer(network, pixels(2, 4, 16, 16)), atol=1e-6)


def test_bf16_is_taken_on_request_only_and_is_nearly_the_same(small: tuple[Small, bytes]) -> None:
    assert (
        choose_backend("pt2").load(Weights(data=small[1], kind="pt2")).precision
        == Torch().precisions("cpu")[0]
        == "f32"
    )
    out = load(Weights(data=small[1], kind="pt2"), "bf16")(pixels(1, 4, 16, 16))
    difference = np.abs(out - answer(small[0], pixels(1, 4, 16, 16))).max()
    assert 0.0 < difference < 0.02


@pytest.mark.parametrize("terrain", [0, 3])
def test_safetensors_become_the_architecture_that_they_name(terrain: int) -> None:
    torch.manual_seed(0)
    network = networks.build("spectral-spatial-small", bands=3, classes=4, terrain=terrain).eval()
    weights = Weights(
        data=save(network.state_dict()),
        kind="safetensors",
        architecture="spectral-spatial-small",
        bands=3,
        terrain=terrain,
        layers=4,
    )
    batch = pixels(1, 3 + terrain, 32, 32)
    out = load(weights)(batch)
    np.testing.assert_allclose(out, answer(networks.WithProbabilities(network), batch), atol=1e-6)
    np.testing.assert_allclose(out.sum(axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("architecture", ["perceptron", None, "os.system"])
def test_an_unknown_architecture_is_answered_with_the_known_ones(architecture: str | None) -> None:
    with pytest.raises(
        BackendError, match=r"cannot load the network: architecture .* is not known. Known: .*spectral-spatial"
    ):
        load(Weights(data=b"", kind="safetensors", architecture=architecture, bands=3, layers=4))


@pytest.mark.parametrize(
    ("kind", "data"), [("pt2", b"no program"), ("safetensors", b"no weights"), ("safetensors", save({}))]
)
def test_bytes_that_are_no_network_are_refused_in_one_line(kind: str, data: bytes) -> None:
    weights = Weights(data=data, kind=kind, architecture="spectral-spatial-small", bands=3, layers=4)
    with pytest.raises(BackendError, match=r"PyTorch cannot load the network: ") as caught:
        load(weights)
    assert "\n" not in str(caught.value)


def test_a_batch_with_the_wrong_bands_is_refused_in_one_line(small: tuple[Small, bytes]) -> None:
    with pytest.raises(BackendError, match=r"PyTorch failed on a batch of shape \(1, 2, 16, 16\)") as caught:
        load(Weights(data=small[1], kind="pt2"))(pixels(1, 2, 16, 16))
    assert "\n" not in str(caught.value)


def test_cuda_is_the_best_device_where_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert Torch().devices() == ("cuda", "cpu")
    assert Torch().advantage("cuda") == "CUDA"
    assert "f16" in Torch().precisions("cuda")


@pytest.mark.parametrize(("device", "precision"), [("tpu", "f32"), ("cpu", "f16")])
def test_what_is_not_there_is_answered_with_what_is(device: str, precision: Precision) -> None:
    with pytest.raises(BackendError, match=r"Available: cpu with f32, bf16"):
        Torch().load(Weights(data=b"", kind="pt2"), device=device, precision=precision)
