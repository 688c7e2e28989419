"""Networks: one function per architecture; each takes reflectance and gives probabilities."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from undercast.errors import UsageError
from undercast.training.light import SpectralSpatialLight
from undercast.training.sentinel2_networks import SENTINEL2_ARCHITECTURES
from undercast.training.spectral_spatial import SpectralSpatial
from undercast.training.vgt_networks import VGT_ARCHITECTURES


class WithProbabilities(nn.Module):
    """A network whose logits become probabilities, as it is shipped."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, reflectance: Tensor) -> Tensor:
        """Give probabilities ``(batch, class, y, x)`` that sum to 1, or those of the one class that there is."""
        logits = self.network(reflectance)
        return torch.sigmoid(logits) if logits.shape[1] == 1 else torch.softmax(logits, dim=1)


ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "spectral-spatial": SpectralSpatial,
    "spectral-spatial-small": partial(SpectralSpatial, widths=(16, 24, 32, 48, 64)),
    "spectral-spatial-light": SpectralSpatialLight,
    **VGT_ARCHITECTURES,
    **SENTINEL2_ARCHITECTURES,
}
"""Name -> function of the numbers of bands and classes."""

WITH_TERRAIN = ("spectral-spatial", "spectral-spatial-small", "spectral-spatial-light")
"""Those that take a number of layers of ``terrain``, too."""


def check_architecture(name: str) -> None:
    """Refuse the name of an architecture that does not exist.

    Raises:
        UsageError: If the name is unknown.
    """
    if name not in ARCHITECTURES:
        msg = f"architecture {name!r} is not known. Known: {', '.join(ARCHITECTURES)}"
        raise UsageError(msg)


def encoder_parameters(network: nn.Module) -> list[nn.Parameter]:
    """List the weights of a network's encoder, which sees shapes whatever the sensor; none where it has none."""
    parts: tuple[str, ...] = getattr(network, "encoder_parts", ("encoder",))
    return [weights for name, weights in network.named_parameters() if name.startswith(tuple(f"{p}." for p in parts))]


def build(name: str, *, bands: int, classes: int, terrain: int = 0) -> nn.Module:
    """Build an architecture with random weights.

    Args:
        name: One of ``ARCHITECTURES``.
        bands: Bands of the input.
        classes: Layers of the output.
        terrain: Layers of terrain that follow the bands.

    Raises:
        UsageError: If the name is unknown, or the architecture takes no terrain.
    """
    check_architecture(name)
    if terrain:
        if name not in WITH_TERRAIN:
            msg = f"architecture {name!r} takes no terrain. Those that do: {', '.join(WITH_TERRAIN)}"
            raise UsageError(msg)
        return ARCHITECTURES[name](bands, classes, terrain=terrain)
    return ARCHITECTURES[name](bands, classes)
