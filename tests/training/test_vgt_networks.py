"""The six architectures are those of FDR4VGT as far as numbers tell; the segmenters are those of the known library."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from undercast.training.networks import build
from undercast.training.vgt_networks import (
    SEGMENTERS,
    CloudProbability,
    PixelWise,
    Segmenter,
    WithPixelWise,
    channels,
)

PUBLISHED = {"unet": 6_629_233, "unetpp": 6_825_009, "1dpwunetpp": 6_826_322, "1dpwdeeplabv3": 12_649_538}
"""Architecture -> parameters of the published weights."""

MEASURED = {
    "unet": (-161.33575, 3282.0313, -30.993044, -241.12859),
    "unetpp": (46.268887, 1069.4786, 150.58157, 377.01639),
    "1dpwdeeplabv3": (0.33297691, 0.095285639, 0.30317512, 0.30340463),
    "1dpwseg": (1.5460850, 0.0038804265, 1.5486172, 1.5478657),
}
"""Mean, standard deviation and two pixels of what segmentation-models-pytorch 0.6.0 gives with drawn weights."""


def drawn(network: nn.Module) -> nn.Module:
    """Fill weights and statistics by a formula that depends on their names and places alone."""
    tensors = [*network.named_parameters(), *network.named_buffers()]
    named = sorted((pair for pair in tensors if "num_batches" not in pair[0]), key=lambda pair: pair[0])
    with torch.no_grad():
        for number, (name, tensor) in enumerate(named):
            wave = torch.sin(torch.arange(tensor.numel(), dtype=torch.float64) * 0.7 + number * 1.3)
            if name.endswith("running_var"):
                wave = 1 + 0.3 * wave
            elif tensor.ndim >= 2:
                wave = wave * math.sqrt(2 / (tensor.numel() / tensor.shape[0]))
            elif name.endswith("weight"):
                wave = 1 + 0.1 * wave
            else:
                wave = 0.1 * wave
            tensor.copy_(wave.reshape(tensor.shape).float())
    return network.eval()


def parameters(network: nn.Module) -> int:
    return sum(values.numel() for values in network.parameters())


@pytest.mark.parametrize(("name", "count"), PUBLISHED.items())
def test_an_architecture_has_as_many_parameters_as_the_published_weights(name: str, count: int) -> None:
    assert parameters(build(name, bands=4, classes=1)) == count


def test_the_pixel_wise_branch_has_the_parameters_that_are_left_over() -> None:
    assert parameters(PixelWise(4, 1)) == 1_313


@pytest.mark.parametrize("name", MEASURED)
def test_a_segmenter_gives_what_the_library_gives_with_the_same_weights(name: str) -> None:
    image = torch.sin(torch.arange(4 * 64 * 96, dtype=torch.float64) * 0.01).reshape(1, 4, 64, 96).float()
    network = drawn(SEGMENTERS[name][0](4, 1, 1.0))
    with torch.no_grad():
        logits = network(image)
    found = (logits.mean(), logits.std(), logits[0, 0, 10, 20], logits[0, 0, 50, 70])
    assert [float(value) for value in found] == pytest.approx(MEASURED[name], rel=2e-4)


@pytest.mark.parametrize("name", SEGMENTERS)
def test_a_small_architecture_takes_sides_that_are_multiples_of_32(name: str) -> None:
    network = build(f"{name}-small", bands=4, classes=1).eval()
    with torch.no_grad():
        for height, width in ((32, 32), (64, 96)):
            assert network(torch.rand(2, 4, height, width)).shape == (2, 1, height, width)
    assert parameters(network) < 600_000


def test_the_logits_of_both_branches_are_added() -> None:
    network = build("1dpwunet-small", bands=4, classes=1).eval()
    assert isinstance(network, WithPixelWise)
    image = torch.rand(1, 4, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(image), network.seg(image) + network.pw(image))


def test_the_pixel_wise_branch_sees_one_pixel_at_a_time() -> None:
    network, image = PixelWise(4, 1).eval(), torch.rand(1, 4, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(network(image)[..., 3, 5], network(image[..., 3:4, 5:6])[..., 0, 0])


def test_a_shipped_network_takes_numbers_of_10000_and_gives_probabilities() -> None:
    class Blue(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, :1]

    shipped = CloudProbability(Blue())
    numbers = torch.tensor([0.0, 10_000.0, -50.0, 90_000.0]).reshape(1, 1, 2, 2)
    expected = torch.sigmoid(torch.tensor([0.0, 1.0, 0.0, 2.0])).reshape(1, 1, 2, 2)
    torch.testing.assert_close(shipped(numbers), expected)


@pytest.mark.parametrize(("count", "width", "expected"), [(32, 1.0, 32), (1280, 0.2, 256), (16, 0.2, 8), (24, 0.8, 24)])
def test_numbers_of_channels_are_multiples_of_8(count: int, width: float, expected: int) -> None:
    assert channels(count, width) == expected


def test_a_dilated_encoder_keeps_an_eighth_of_the_resolution() -> None:
    deep: dict[str, int] = {}
    for name in ("1dpwunet", "1dpwdeeplabv3"):
        segmenter = SEGMENTERS[name][0](4, 1, 0.2)
        assert isinstance(segmenter, Segmenter)
        deep[name] = segmenter.encoder.eval()(torch.rand(1, 4, 64, 64))[-1].shape[-1]
    assert deep == {"1dpwunet": 2, "1dpwdeeplabv3": 8}
