"""The first architecture of the embedded model: a pixel-wise spectral branch beside a U-Net at half resolution."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

WIDTHS = (32, 48, 64, 80, 112)
"""Features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the resolution."""
DARKEST = 0.02
"""Added to reflectance before its logarithm."""
ROOTS = 10
"""Square roots that stand for a logarithm, which they differ from by .008 at most: processors that compute in bfloat16
round before a logarithm and after it, and roots in a row only at their end."""
OFFSET, OFFSET_BEFORE = 1.3, 1.8
"""What is added to the logarithm, now and in weights that do not say. bfloat16 is finest near 0, which is where
reflectance lies that may be cloud or ground."""
SHARP = 1e4
"""Slope of the step from absent to present: a product is cheaper than a comparison on the processors meant."""
AROUND = (7, 15, 31)
"""Sides of the squares in which light and reflectance are held against each other, in pixels of half the resolution
(undercast's choice)."""
DARKEST_SLOPE = 0.1
"""Added to the sun's cosine before its logarithm: the sky lights slopes that the sun does not (assumption)."""
HEIGHT = 10.0
"""Factor on heights in kilometres: what hills differ by is then about 1."""
FAINT = 1e-3
"""Variance, and share of known pixels, that count as none."""


class Conv(nn.Sequential):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1, kernel: int = 3) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=(kernel - 1) // 2, bias=False),
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


class Merge(nn.Module):
    """Brings coarse features to the resolution of the finer ones and joins both."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        self.narrow = Conv(coarse, fine, kernel=1)
        self.join = Conv(2 * fine, fine)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """Give ``(batch, fine, y, x)`` at the finer resolution."""
        grown = nn.functional.interpolate(self.narrow(coarse), scale_factor=2.0, mode="nearest")
        joined: Tensor = self.join(torch.cat([grown, fine], dim=1))
        return joined


class GroundSeen(nn.Module):
    """How far the shape of the ground shows in each band, around each pixel, at half the resolution.

    The light that the sun casts on slopes shows on ground and not through cloud; fog goes along with low ground, and
    cumulus with high. The idea is that of topographic correction, which fits reflectance by the sun's angle on the
    ground (Teillet, Guindon and Goodenough 1982).
    """

    def __init__(self, sides: Sequence[int] = AROUND) -> None:
        super().__init__()
        self.around = nn.ModuleList(
            # One axis after the other costs less.
            nn.Sequential(
                nn.AvgPool2d((side, 1), stride=1, padding=(side // 2, 0)),
                nn.AvgPool2d((1, side), stride=1, padding=(0, side // 2)),
            )
            for side in sides
        )

    def features(self, bands: int) -> int:
        """Count the features that ``forward`` gives."""
        return len(self.around) * (3 * bands + 2)

    def forward(self, shape: Tensor, values: Tensor, present: Tensor) -> Tensor:
        """Give what a number that describes the ground explains of each band, and what it leaves.

        For each square: correlation and slope of the bands on the number, the bands as if it were the same everywhere,
        the number less its mean, and its spread. Takes the number ``(batch, 1, y, x)``, the bands, brighter where
        larger, ``(batch, band, y, x)``, and where both are known ``(batch, 1, y, x)``.
        """
        found = []
        for around in self.around:
            share = around(present) + FAINT
            # What is left of the mean: products of it are precise in bfloat16, differences of large squares are not.
            left = (shape - around(shape * present) / share) * present
            seen = (values - around(values * present) / share) * present
            both = around(left * seen) / share
            of_shape, of_bands = around(left * left) / share + FAINT, around(seen * seen) / share + FAINT
            slope = both / of_shape
            found += [both * torch.rsqrt(of_shape * of_bands), slope, values - slope * left, left, torch.sqrt(of_shape)]
        return torch.cat(found, dim=1)

    def beside(self, terrain: Tensor, values: Tensor, present: Tensor) -> Tensor:
        """Bring terrain to half the resolution, beside what its light and its height explain of the bands.

        Takes terrain ``(batch, layer, y, x)`` whose first layer is the elevation in kilometres and whose last is the
        sun's cosine, the bands and where they are there.
        """
        known = (terrain > -0.5).to(terrain.dtype)
        ground = terrain * known
        half = partial(nn.functional.avg_pool2d, kernel_size=2)
        light = torch.log(half(ground[:, -1:]).clamp(min=0.0) + DARKEST_SLOPE)
        seen = half(known[:, -1:] * present.amax(dim=1, keepdim=True))
        bands = half(values)
        told = [self(light, bands, seen), self(HEIGHT * half(ground[:, :1]), bands, seen)]
        return torch.cat([nn.functional.pixel_unshuffle(ground, 2), half(known), *told], dim=1)

    def width(self, layers: int, bands: int) -> int:
        """Count the features that ``beside`` gives."""
        return 5 * layers + 2 * self.features(bands)


class TerrainBranch(nn.Module):
    """What the shape of the ground says, joined late; it changes nothing until it is trained."""

    def __init__(self, layers: int, width: int, spectral: int, bands: int) -> None:
        super().__init__()
        self.ground = GroundSeen()
        self.look = nn.Sequential(Conv(self.ground.width(layers, bands), width), Residual(width))
        self.join = nn.Sequential(Conv(2 * width, width), Residual(width))
        self.spatial = silent(nn.Conv2d(width, width, 1))
        self.pixel = nn.Sequential(
            nn.Conv2d(2 * layers, 16, 1), nn.ReLU(inplace=True), silent(nn.Conv2d(16, spectral, 1))
        )

    def forward(
        self, terrain: Tensor, spatial: Tensor, pixel: Tensor, bands: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Give the features at half resolution, and those per pixel, that know of the ground."""
        seen = self.look(self.ground.beside(terrain, *bands))
        spatial = spatial + self.spatial(self.join(torch.cat([spatial, seen], dim=1)))
        present = (terrain > -0.5).to(terrain.dtype)
        return spatial, pixel + self.pixel(torch.cat([terrain * present, present], dim=1))


def terrain_in(given: Tensor, bands: int, layers: int) -> Tensor:
    """Give what follows the bands: layers of terrain, absent (-1) where there are bands alone."""
    terrain = given[:, bands:]
    return terrain if terrain.shape[1] else torch.full_like(given[:, :1], -1.0).expand(-1, layers, -1, -1)


def present_in(reflectance: Tensor) -> Tensor:
    """Tell which values are there: 1, or 0 where reflectance is -1."""
    return ((reflectance + 0.5) * SHARP).clamp(0.0, 1.0)


def logarithm(reflectance: Tensor) -> Tensor:
    """Give the logarithm of reflectance plus ``DARKEST``, as the limit of roots."""
    values = reflectance.clamp(0.0, 2.0) + DARKEST
    for _ in range(ROOTS):
        values = torch.sqrt(values)
    return (values - 1.0) * 2.0**ROOTS


def silent(convolution: nn.Conv2d) -> nn.Conv2d:
    """Let a convolution begin with 0."""
    nn.init.zeros_(convolution.weight)
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
    return convolution


class SpectralSpatial(nn.Module):
    """A pixel-wise spectral branch beside a U-Net that works at half resolution and less.

    Takes reflectance ``(batch, band, y, x)`` with -1 where a band is absent or a pixel has no data, and tells itself
    which values are there; after the bands may come layers of terrain, with -1 where they are absent. Sides must be
    multiples of 32. The pixel-wise branch beside a spatial one is the idea of the
    "1DPW" networks of FDR4VGT-CLOUD.
    """

    encoder_parts = ("levels", "deep")
    """Modules that see shapes, whatever the bands."""

    def __init__(self, bands: int, classes: int, widths: Sequence[int] = WIDTHS, terrain: int = 0) -> None:
        super().__init__()
        spectral = 16
        self.register_buffer("offset", torch.tensor(OFFSET))
        self.register_load_state_dict_pre_hook(  # type: ignore[no-untyped-call]
            lambda _, weights, prefix, *_rest: self.upgrade(weights, prefix)
        )
        self.bands = bands
        self.layers = terrain
        self.pixel = nn.Sequential(
            nn.Conv2d(2 * bands, 32, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, spectral, 1),
            nn.ReLU(inplace=True),
        )
        self.stem = Conv(5 * bands, widths[0])
        self.levels = nn.ModuleList([Conv(widths[0], widths[0])])
        for above, below in itertools.pairwise(widths):
            self.levels.append(nn.Sequential(Conv(above, below, stride=2), Residual(below)))
        self.deep = Residual(widths[-1])
        self.merge = nn.ModuleList([Merge(below, above) for above, below in itertools.pairwise(widths)])
        self.spread = nn.Conv2d(widths[0], spectral, 1)
        self.head = nn.Sequential(nn.Conv2d(2 * spectral, 24, 1), nn.ReLU(inplace=True), nn.Conv2d(24, classes, 1))
        self.terrain = TerrainBranch(terrain, widths[0], spectral, bands) if terrain else None

    @property
    def last(self) -> nn.Module:
        """The convolution that gives the logits."""
        return self.head[-1]

    @staticmethod
    def upgrade(weights: dict[str, Any], prefix: str = "") -> None:
        """Complete weights that an earlier version stored, in place."""
        weights.setdefault(f"{prefix}offset", torch.tensor(OFFSET_BEFORE))

    def forward(self, reflectance: Tensor) -> Tensor:
        """Give logits ``(batch, class, y, x)``; bands alone stand for bands with absent terrain."""
        given = reflectance
        if self.terrain is not None:
            reflectance = given[:, : self.bands]
        present = present_in(reflectance)
        values = (logarithm(reflectance) + cast("Tensor", self.offset)) * present
        pixel = self.pixel(torch.cat([values, present], dim=1))
        halved = [nn.functional.pixel_unshuffle(values, 2), nn.functional.avg_pool2d(present, 2)]
        x = self.stem(torch.cat(halved, dim=1))
        seen = []
        for level in self.levels:
            x = level(x)
            seen.append(x)
        x = self.deep(x)
        for merge, above in zip(reversed(self.merge), reversed(seen[:-1]), strict=True):
            x = merge(x, above)
        if self.terrain is not None:
            x, pixel = self.terrain(terrain_in(given, self.bands, self.layers), x, pixel, (values, present))
        spatial = nn.functional.interpolate(self.spread(x), scale_factor=2.0, mode="bilinear", align_corners=False)
        logits: Tensor = self.head(torch.cat([pixel, spatial], dim=1))
        return logits
