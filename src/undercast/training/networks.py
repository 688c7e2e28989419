"""Networks: one function per architecture; each takes reflectance and gives probabilities."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from undercast.errors import UsageError


class Conv(nn.Sequential):
    """3x3 convolution, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class Residual(nn.Module):
    """Two convolutions beside a short cut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = Conv(width, width)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """Keep shape ``(batch, width, y, x)``."""
        return torch.relu(x + self.second(self.first(x)))


class SpectralSpatial(nn.Module):
    """A pixel-wise spectral branch beside a U-Net that works at half resolution and less.

    Takes reflectance ``(batch, band, y, x)`` with -1 where a band is absent or a pixel has no data, and tells
    itself which values are there. Sides must be multiples of 32. The pixel-wise branch beside a spatial one
    is the idea of the "1DPW" networks of FDR4VGT-CLOUD.
    """

    def __init__(self, bands: int, classes: int, widths: Sequence[int] = (32, 48, 64, 96, 128)) -> None:
        super().__init__()
        spectral = 16
        self.pixel = nn.Sequential(
            nn.Conv2d(2 * bands, 32, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, spectral, 1),
            nn.ReLU(inplace=True),
        )
        self.stem = Conv(8 * bands, widths[0])
        self.levels = nn.ModuleList([nn.Sequential(Residual(widths[0]))])
        for above, below in itertools.pairwise(widths):
            self.levels.append(nn.Sequential(Conv(above, below, stride=2), Residual(below)))
        self.merge = nn.ModuleList([Conv(below + above, above) for above, below in itertools.pairwise(widths)])
        self.spread = nn.Conv2d(widths[0], 4 * spectral, 1)
        self.head = nn.Sequential(nn.Conv2d(2 * spectral, 24, 1), nn.ReLU(inplace=True), nn.Conv2d(24, classes, 1))

    def forward(self, reflectance: Tensor) -> Tensor:
        """Give logits ``(batch, class, y, x)``."""
        present = (reflectance > -0.5).to(reflectance.dtype)
        values = (torch.log(reflectance.clamp(0.0, 2.0) + 0.02) + 1.8) * present
        planes = torch.cat([values, present], dim=1)
        pixel = self.pixel(planes)
        x = self.stem(nn.functional.pixel_unshuffle(planes, 2))
        seen = []
        for level in self.levels:
            x = level(x)
            seen.append(x)
        for merge, above in zip(reversed(self.merge), reversed(seen[:-1]), strict=True):
            x = merge(torch.cat([nn.functional.interpolate(x, scale_factor=2.0, mode="nearest"), above], dim=1))
        spatial = nn.functional.pixel_shuffle(self.spread(x), 2)
        logits: Tensor = self.head(torch.cat([pixel, spatial], dim=1))
        return logits


class WithProbabilities(nn.Module):
    """A network whose logits become probabilities at a temperature, as it is shipped."""

    def __init__(self, network: nn.Module, temperature: float = 1.0) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, reflectance: Tensor) -> Tensor:
        """Give probabilities ``(batch, class, y, x)`` that sum to 1."""
        return torch.softmax(self.network(reflectance) / self.temperature, dim=1)


ARCHITECTURES: dict[str, Callable[[int, int], nn.Module]] = {
    "spectral-spatial": SpectralSpatial,
    "spectral-spatial-small": lambda bands, classes: SpectralSpatial(bands, classes, (16, 24, 32, 48, 64)),
}
"""Name -> function of the numbers of bands and classes."""


def check_architecture(name: str) -> None:
    """Refuse the name of an architecture that does not exist.

    Raises:
        UsageError: If the name is unknown.
    """
    if name not in ARCHITECTURES:
        msg = f"architecture {name!r} is not known. Known: {', '.join(ARCHITECTURES)}"
        raise UsageError(msg)


def build(name: str, *, bands: int, classes: int) -> nn.Module:
    """Build an architecture with random weights.

    Raises:
        UsageError: If the name is unknown.
    """
    check_architecture(name)
    return ARCHITECTURES[name](bands, classes)
