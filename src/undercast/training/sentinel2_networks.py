"""Sentinel-2 networks: a U-Net on RegNetY-006, as in CloudS2Mask, and UNetMobV2, the baseline of CloudSEN12.

With 13 bands and 4 classes their numbers of parameters are those of segmentation-models-pytorch 0.6 with timm's
``regnety_006`` (8,785,492) and with ``mobilenet_v2`` (6,632,260), whose layers they repeat; why they are written out,
see ``vgt_networks``. CloudS2Mask's own decoder is fastai's DynamicUnet, of which only the encoder is the same.

References: Radosavovic et al. 2020 (RegNet), Hu et al. 2018 (squeeze and excitation), Sandler et al. 2018
(MobileNetV2), Ronneberger et al. 2015 (U-Net).
"""

from __future__ import annotations

import itertools
import math
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import resources

import torch
from torch import Tensor, nn

from undercast.training.vgt_networks import Segmenter, UNetDecoder, vgt_network

STEM = 32
"""Channels of RegNetY-006's first layer."""
WIDTHS, DEPTHS = (48, 112, 256, 608), (1, 3, 7, 4)
"""Channels and blocks of its four stages."""
GROUP = 16
"""Channels of a group in its 3 x 3 convolutions."""
SQUEEZE = 0.25
"""Channels that excitation goes through, over those that a block takes."""
STORED_SCALE = 1e-4
"""Reflectance per digital number of Sentinel-2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalisation:
    """What is taken from a digital number and what it is divided by, band by band."""

    bands: tuple[str, ...]
    """Names of the bands, in the order of a network's input."""
    divisor: float
    """Digital numbers are divided by this first."""
    means: tuple[float, ...]
    """Mean of each band after that."""
    deviations: tuple[float, ...]
    """Standard deviation of each band."""


def clouds2mask_normalisation() -> Normalisation:
    """Load CloudS2Mask's table of its 13 bands."""
    text = (resources.files("undercast") / "data" / "normalisation" / "clouds2mask.toml").read_text("utf-8")
    table = tomllib.loads(text)
    return Normalisation(
        bands=tuple(table["bands"]),
        divisor=float(table["divisor"]),
        means=tuple(row["mean"] for row in table["bands"].values()),
        deviations=tuple(row["std"] for row in table["bands"].values()),
    )


class Normalised(nn.Module):
    """A network that takes reflectance and normalises it itself; pixels without data count as 0."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, table: Normalisation | None) -> None:
        super().__init__()
        self.network = network
        per_dn = 1.0 if table is None else STORED_SCALE * table.divisor
        mean, deviation = ([0.0], [1.0]) if table is None else (table.means, table.deviations)
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1) * per_dn)
        self.register_buffer("deviation", torch.tensor(deviation).view(1, -1, 1, 1) * per_dn)

    def forward(self, reflectance: Tensor) -> Tensor:
        """Give logits ``(batch, class, y, x)``."""
        logits: Tensor = self.network((reflectance.clamp(min=0.0) - self.mean) / self.deviation)
        return logits


class OneCloud(nn.Module):
    """A network of clear, cloud and cloud shadow whose logits stand for the four classes.

    Cloud is shared by thick and thin cloud half and half, so that losses, figures and exports of four classes hold.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, reflectance: Tensor) -> Tensor:
        """Give logits ``(batch, class, y, x)``, one class more than the network has."""
        logits = self.network(reflectance)
        half = logits[:, 1:2] - math.log(2.0)
        return torch.cat([logits[:, :1], half, half, logits[:, 2:]], dim=1)


def _convolution(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution and batch normalisation."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    )


class Excitation(nn.Module):
    """Weigh each channel by what the whole map holds."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(squeezed, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        out: Tensor = x * self.weigh(x)
        return out


class Block(nn.Module):
    """RegNetY's block: 1 x 1, 3 x 3 in groups, excitation, 1 x 1, beside a short cut."""

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            *_convolution(inputs, outputs, 1),
            nn.ReLU(inplace=True),
            *_convolution(outputs, outputs, 3, stride=stride, groups=outputs // GROUP),
            nn.ReLU(inplace=True),
            Excitation(outputs, round(inputs * SQUEEZE)),
            *_convolution(outputs, outputs, 1),
        )
        changes = stride > 1 or inputs != outputs
        self.short_cut = _convolution(inputs, outputs, 1, stride=stride) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Give ``(batch, outputs, y, x)``."""
        return torch.relu(self.path(x) + self.short_cut(x))


class RegNetY(nn.Module):
    """RegNetY-006 without its classifier."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_convolution(bands, STEM, 3, stride=2), nn.ReLU(inplace=True))
        self.stages = nn.ModuleList(
            nn.Sequential(Block(before, width, stride=2), *(Block(width, width, stride=1) for _ in range(depth - 1)))
            for (before, width), depth in zip(itertools.pairwise((STEM, *WIDTHS)), DEPTHS, strict=True)
        )
        self.channels = (STEM, *WIDTHS)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Give feature maps from shallow to deep, at 1/2 to 1/32."""
        seen = [self.stem(x)]
        for stage in self.stages:
            seen.append(stage(seen[-1]))
        return seen


def regnety_unet(bands: int, classes: int) -> nn.Module:
    """Build a U-Net on RegNetY-006. Sides must be multiples of 32.

    With 13 bands these are Sentinel-2's, B01 to B12 in the order of level 1C, normalised by CloudS2Mask's table; with
    another number reflectance goes in as it is.
    """
    encoder = RegNetY(bands)
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
    network = Segmenter(encoder, UNetDecoder(encoder.channels, 1.0), classes, kernel=3, factor=1)
    table = clouds2mask_normalisation()
    return Normalised(network, table if bands == len(table.bands) else None)


def unet_mobv2(bands: int, classes: int) -> nn.Module:
    """Build UNetMobV2, which takes reflectance as it is. Sides must be multiples of 32."""
    return Normalised(vgt_network("unet", bands, classes), None)


def _one_cloud(make: Callable[[int, int], nn.Module], bands: int, classes: int) -> nn.Module:
    """Build a network of one class less, whose cloud stands for thick and thin cloud."""
    return OneCloud(make(bands, classes - 1))


_NETWORKS: dict[str, Callable[[int, int], nn.Module]] = {"regnety-unet": regnety_unet, "unetmobv2": unet_mobv2}

ONE_CLOUD = "-one-cloud"
"""Ending of architectures whose thick and thin cloud are one class: the first stage of training in two stages."""

SENTINEL2_ARCHITECTURES: dict[str, Callable[[int, int], nn.Module]] = {
    **_NETWORKS,
    **{f"{name}{ONE_CLOUD}": partial(_one_cloud, make) for name, make in _NETWORKS.items()},
}
"""Name -> function of the numbers of bands and classes."""


def with_body_of(network: nn.Module, other: nn.Module) -> nn.Module:
    """Give a network the weights of another one's encoder and decoder; its head stays new.

    Args:
        network: Of ``regnety_unet`` or ``unet_mobv2``; changed.
        other: The same with another number of classes, or ``OneCloud`` of it.
    """
    source = other.network if isinstance(other, OneCloud) else other
    body = {key: value for key, value in source.state_dict().items() if ".segmentation_head." not in key}
    network.load_state_dict({**network.state_dict(), **body})
    return network
