"""VGT networks: the six architectures of FDR4VGT-CLOUD, a MobileNetV2 encoder under four kinds of decoder.

What is proven: with 4 bands, 1 class and width 1 the numbers of parameters of ``unet`` (6,629,233), ``unetpp``
(6,825,009), ``1dpwunetpp`` (6,826,322) and ``1dpwdeeplabv3`` (12,649,538) are those of the published weights. The
modules carry the names of segmentation-models-pytorch 0.6, so that weights go from one to the other. They are written
out here because that library needs a torchvision built for the same PyTorch, and because it has no narrow MobileNetV2.

What is inferred: the layers of the pixel-wise branch (the one natural MLP with the 1,313 parameters that are left
over), that its logits are added to those of the decoder (no parameters are left for anything else), and that
``1dpwseg``, of which nothing is published, has SegFormer's decoder.

References: Sandler et al. 2018 (MobileNetV2), Ronneberger et al. 2015 (U-Net), Zhou et al. 2018 (U-Net++), Chen et al.
2017 (DeepLabV3), Xie et al. 2021 (SegFormer).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

DIVISOR = 8
"""Numbers of channels are multiples of this."""
BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels, repeats and stride of MobileNetV2's inverted residuals (Sandler et al. 2018, table 2)."""
STEM, LAST = 32, 1280
"""Channels of the encoder's first and last layer."""
STAGES = (2, 4, 7, 14, 19)
"""Where in the list of layers the feature maps at 1/2, 1/4, 1/8, 1/16 and 1/32 end."""
DECODER = (256, 128, 64, 32, 16)
"""Channels of U-Net's decoder, from deep to shallow."""
HEAD = 256
"""Channels of DeepLabV3's and SegFormer's decoders."""
RATES = (12, 24, 36)
"""Dilations of DeepLabV3's pyramid, for windows of 512 px."""
SMALL_RATES = (2, 4, 6)
"""The same for small architectures, which are trained on small windows: what lies beyond them would never be learnt."""
SMALL = 0.2
"""Width of the architectures whose name ends in ``-small``."""
STORED_SCALE = 1e-4
"""Reflectance per number that a shipped network takes."""
BRIGHTEST = 2.0
"""Reflectance above which all is the same to a shipped network."""


def channels(count: int, width: float) -> int:
    """Scale a number of channels to the next multiple of 8, never more than 10 % below (Sandler et al. 2018)."""
    wanted = count * width
    rounded = max(DIVISOR, int(wanted + DIVISOR / 2) // DIVISOR * DIVISOR)
    return rounded + DIVISOR if rounded < 0.9 * wanted else rounded


def _convolution(inputs: int, outputs: int, kernel: int = 3, **more: int) -> nn.Sequential:
    """Convolution, batch normalisation and ReLU; the side is kept at stride 1."""
    padding = kernel // 2 * more.get("dilation", 1)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=False, **more),  # type: ignore[arg-type]
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _convolution6(inputs: int, outputs: int, kernel: int, **more: int) -> nn.Sequential:
    """Convolution, batch normalisation and ReLU that ends at 6."""
    layers = _convolution(inputs, outputs, kernel, **more)
    return nn.Sequential(layers[0], layers[1], nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow; beside a short cut where the shape is kept."""

    def __init__(self, inputs: int, outputs: int, *, expansion: int, stride: int, dilation: int) -> None:
        super().__init__()
        inside = inputs * expansion
        self.short_cut = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            *([_convolution6(inputs, inside, 1)] if expansion > 1 else []),
            _convolution6(inside, inside, 3, stride=stride, groups=inside, dilation=dilation),
            nn.Conv2d(inside, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Give ``(batch, outputs, y, x)``."""
        out: Tensor = self.conv(x)
        return x + out if self.short_cut else out


class Encoder(nn.Module):
    """MobileNetV2 without its classifier.

    Args:
        bands: Bands of the image.
        width: Factor on the numbers of channels.
        dilated: Keep 1/8 of the resolution from there on, and widen the filters' reach instead.
    """

    def __init__(self, bands: int, width: float, *, dilated: bool = False) -> None:
        super().__init__()
        before = channels(STEM, width)
        layers: list[nn.Module] = [_convolution6(bands, before, 3, stride=2)]
        for expansion, count, repeats, stride in BLOCKS:
            outputs = channels(count, width)
            for repeat in range(repeats):
                rate = _dilation(len(layers)) if dilated else 1
                step = stride if repeat == 0 and rate == 1 else 1
                layers.append(InvertedResidual(before, outputs, expansion=expansion, stride=step, dilation=rate))
                before = outputs
        layers.append(_convolution6(before, channels(LAST, width), 1))
        self.features = nn.Sequential(*layers)
        maps = [channels(count, width) for count in (16, 24, 32, 96)]
        self.channels = (*maps, channels(LAST, width))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Give feature maps from shallow to deep."""
        seen = []
        for position, layer in enumerate(self.features, start=1):
            x = layer(x)
            if position in STAGES:
                seen.append(x)
        return seen


def _dilation(layer: int) -> int:
    """Give the dilation of a layer of a dilated encoder: 2 from 1/16 on, 4 from 1/32 on."""
    return 1 if layer < STAGES[2] else 2 if layer < STAGES[3] else 4


class Up(nn.Module):
    """Double the side, join what was seen at that resolution, filter twice."""

    def __init__(self, inputs: int, skips: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = _convolution(inputs + skips, outputs)
        self.conv2 = _convolution(outputs, outputs)

    def forward(self, x: Tensor, *skips: Tensor) -> Tensor:
        """Give ``(batch, outputs, 2 y, 2 x)``."""
        x = torch.cat([interpolate(x, scale_factor=2.0, mode="nearest"), *skips], dim=1)
        out: Tensor = self.conv2(self.conv1(x))
        return out


class UNetDecoder(nn.Module):
    """U-Net: one way up."""

    def __init__(self, seen: Sequence[int], width: float) -> None:
        super().__init__()
        outputs = [channels(count, width) for count in DECODER]
        inputs = [seen[-1], *outputs[:-1]]
        skips = [*reversed(seen[:-1]), 0]
        self.blocks = nn.ModuleList([Up(*sizes) for sizes in zip(inputs, skips, outputs, strict=True)])
        self.outputs = outputs[-1]

    def forward(self, seen: Sequence[Tensor]) -> Tensor:
        """Give ``(batch, outputs, y, x)`` at full resolution."""
        x = seen[-1]
        for number, block in enumerate(self.blocks, start=2):
            x = block(x, *seen[-number : -number + 1])
        return x


class UNetPlusPlusDecoder(nn.Module):
    """U-Net++: a way up from every depth, each joined to all those before it at its resolution.

    Block ``x_<start>_<end>`` doubles the side of the map that began at depth ``start`` and has come up to ``end``;
    depth 0 is the deepest.
    """

    def __init__(self, seen: Sequence[int], width: float) -> None:
        super().__init__()
        deep = tuple(reversed(seen))
        outputs = [channels(count, width) for count in DECODER]
        self.levels = len(deep) - 1
        blocks: dict[str, nn.Module] = {}
        for end in range(self.levels):
            skip = deep[end + 1]
            for start in range(end + 1):
                first = start == 0
                inputs = (deep[0], *outputs)[end] if first else deep[end]
                blocks[f"x_{start}_{end}"] = Up(inputs, skip * (end + 1 - start), outputs[end] if first else skip)
        blocks[f"x_0_{self.levels}"] = Up(outputs[-2], 0, outputs[-1])
        self.blocks = nn.ModuleDict(blocks)
        self.outputs = outputs[-1]

    def forward(self, seen: Sequence[Tensor]) -> Tensor:
        """Give ``(batch, outputs, y, x)`` at full resolution."""
        deep = tuple(reversed(seen))
        made: dict[tuple[int, int], Tensor] = {}
        for length in range(self.levels):
            for start in range(self.levels - length):
                end = start + length
                below = deep[start] if length == 0 else made[start, end - 1]
                beside = [made[later, end] for later in range(start + 1, end + 1)]
                made[start, end] = self.blocks[f"x_{start}_{end}"](below, *beside, deep[end + 1])
        out: Tensor = self.blocks[f"x_0_{self.levels}"](made[0, self.levels - 1])
        return out


class Pooling(nn.Sequential):
    """The mean over the whole map, everywhere."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(1), *_convolution(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Give ``(batch, outputs, y, x)``, constant over the map."""
        mean: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return mean.expand(-1, -1, x.shape[-2], x.shape[-1])


class Pyramid(nn.Module):
    """Filters of several reaches beside each other."""

    def __init__(self, inputs: int, outputs: int, rates: Sequence[int]) -> None:
        super().__init__()
        reaching = [_convolution(inputs, outputs, dilation=rate) for rate in rates]
        self.convs = nn.ModuleList([_convolution(inputs, outputs, 1), *reaching, Pooling(inputs, outputs)])
        self.project = nn.Sequential(*_convolution(len(self.convs) * outputs, outputs, 1), nn.Dropout(0.5))

    def forward(self, x: Tensor) -> Tensor:
        """Give ``(batch, outputs, y, x)``."""
        out: Tensor = self.project(torch.cat([conv(x) for conv in self.convs], dim=1))
        return out


class DeepLabV3Decoder(nn.Module):
    """DeepLabV3: the deepest map alone."""

    def __init__(self, seen: Sequence[int], width: float) -> None:
        super().__init__()
        self.outputs = channels(HEAD, width)
        self.aspp = Pyramid(seen[-1], self.outputs, RATES if width >= 1.0 else SMALL_RATES)
        self.conv, self.bn, self.relu = _convolution(self.outputs, self.outputs)

    def forward(self, seen: Sequence[Tensor]) -> Tensor:
        """Give ``(batch, outputs, y / 8, x / 8)``."""
        out: Tensor = self.relu(self.bn(self.conv(self.aspp(seen[-1]))))
        return out


class Linear(nn.Module):
    """The same linear map at every pixel."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Give ``(batch, outputs, y, x)``."""
        weight = self.linear.weight[:, :, None, None]
        return nn.functional.conv2d(x, weight, self.linear.bias)


class SegFormerDecoder(nn.Module):
    """SegFormer: all maps at a quarter of the resolution, each through a linear map."""

    def __init__(self, seen: Sequence[int], width: float) -> None:
        super().__init__()
        self.outputs = channels(HEAD, width)
        self.mlp_stage = nn.ModuleList([Linear(count, self.outputs) for count in reversed(seen)])
        self.fuse_stage = _convolution(len(seen) * self.outputs, self.outputs, 1)

    def forward(self, seen: Sequence[Tensor]) -> Tensor:
        """Give ``(batch, outputs, y / 4, x / 4)``."""
        size = seen[1].shape[-2:]
        maps = [stage(one) for stage, one in zip(self.mlp_stage, reversed(seen), strict=True)]
        maps = [interpolate(one, size=size, mode="bilinear", align_corners=False) for one in maps]
        out: Tensor = self.fuse_stage(torch.cat(maps, dim=1))
        return out


class Segmenter(nn.Module):
    """An encoder, a decoder and a head that gives logits at full resolution. Sides must be multiples of 32."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, classes: int, *, kernel: int, factor: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        head: list[nn.Module] = [nn.Conv2d(int(decoder.outputs), classes, kernel, padding=kernel // 2)]  # type: ignore[arg-type]
        if factor > 1:
            head.append(nn.UpsamplingBilinear2d(scale_factor=factor))
        self.segmentation_head = nn.Sequential(*head)

    def forward(self, x: Tensor) -> Tensor:
        """Give logits ``(batch, class, y, x)``."""
        logits: Tensor = self.segmentation_head(self.decoder(self.encoder(x)))
        return logits


class PixelWise(nn.Module):
    """Every pixel's spectrum through the same small network: the "1DPW" of FDR4VGT-CLOUD, inferred."""

    def __init__(self, bands: int, classes: int, inside: int = 32) -> None:
        super().__init__()
        self.net = nn.Sequential(
            *_convolution(bands, inside, 1), *_convolution(inside, inside, 1), nn.Conv2d(inside, classes, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Give logits ``(batch, class, y, x)``."""
        logits: Tensor = self.net(x)
        return logits


class WithPixelWise(nn.Module):
    """A segmenter beside a pixel-wise branch; their logits are added."""

    def __init__(self, segmenter: nn.Module, pixel_wise: PixelWise) -> None:
        super().__init__()
        self.seg = segmenter
        self.pw = pixel_wise

    def forward(self, x: Tensor) -> Tensor:
        """Give logits ``(batch, class, y, x)``."""
        logits: Tensor = self.seg(x) + self.pw(x)
        return logits


class CloudProbability(nn.Module):
    """A network of one logit as it is shipped: reflectance times 10000 in, the probability of cloud out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, reflectance: Tensor) -> Tensor:
        """Give probabilities ``(batch, 1, y, x)``; pixels without data hold 0."""
        return torch.sigmoid(self.network((reflectance * STORED_SCALE).clamp(0.0, BRIGHTEST)))


def _u_net(bands: int, classes: int, width: float) -> Segmenter:
    encoder = Encoder(bands, width)
    return Segmenter(encoder, UNetDecoder(encoder.channels, width), classes, kernel=3, factor=1)


def _u_net_plus_plus(bands: int, classes: int, width: float) -> Segmenter:
    encoder = Encoder(bands, width)
    return Segmenter(encoder, UNetPlusPlusDecoder(encoder.channels, width), classes, kernel=3, factor=1)


def _deeplab_v3(bands: int, classes: int, width: float) -> Segmenter:
    encoder = Encoder(bands, width, dilated=True)
    return Segmenter(encoder, DeepLabV3Decoder(encoder.channels, width), classes, kernel=1, factor=8)


def _segformer(bands: int, classes: int, width: float) -> Segmenter:
    encoder = Encoder(bands, width)
    return Segmenter(encoder, SegFormerDecoder(encoder.channels, width), classes, kernel=1, factor=4)


SEGMENTERS: dict[str, tuple[Callable[[int, int, float], Segmenter], bool]] = {
    "1dpwdeeplabv3": (_deeplab_v3, True),
    "1dpwunetpp": (_u_net_plus_plus, True),
    "1dpwseg": (_segformer, True),
    "1dpwunet": (_u_net, True),
    "unet": (_u_net, False),
    "unetpp": (_u_net_plus_plus, False),
}
"""Name in FDR4VGT-CLOUD, in its order -> segmenter, and whether it has a pixel-wise branch."""


def vgt_network(name: str, bands: int, classes: int, *, width: float = 1.0) -> nn.Module:
    """Build one of the six architectures with random weights.

    Args:
        name: One of ``SEGMENTERS``.
        bands: Bands of the image.
        classes: Logits.
        width: Factor on the numbers of channels of encoder and decoder; 1 as published.
    """
    make, pixel_wise = SEGMENTERS[name]
    segmenter = make(bands, classes, width)
    for module in segmenter.encoder.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
    return WithPixelWise(segmenter, PixelWise(bands, classes)) if pixel_wise else segmenter


VGT_ARCHITECTURES: dict[str, Callable[[int, int], nn.Module]] = {
    f"{name}{ending}": partial(vgt_network, name, width=width)
    for ending, width in (("", 1.0), ("-small", SMALL))
    for name in SEGMENTERS
}
"""Name -> function of the numbers of bands and classes; ``-small``: narrow, not published."""
