"""The light architecture: a spectral branch of 2 x 2 pixels beside a U-Net at a quarter of the resolution.

Everything is computed at half resolution or less, where four pixels are one: what is left at full resolution on a
processor is the reading of the input and the writing of the classes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from undercast.training.spectral_spatial import Conv, GroundSeen, Merge, Residual, present_in, silent, terrain_in

WIDTHS = (32, 64, 96, 144)
"""Features at 1/4, 1/8, 1/16 and 1/32 of the resolution."""
SPECTRAL = 32
"""Features of a block of 2 x 2 pixels."""
HALF = 16
"""Features of shape at half resolution."""
DARKEST = 0.0004
"""Added to reflectance before its fourth root, so that an absent value, which gives 0, differs from a black one."""
OFFSET, OFFSET_BEFORE = 2.375, 2.4
"""What is taken from four times that root, now and in weights that do not say. An absent value is that alone, and
bfloat16 holds the first exactly."""


class TerrainBranch(nn.Module):
    """What the shape of the ground says, joined late; it changes nothing until it is trained."""

    def __init__(self, layers: int, bands: int) -> None:
        super().__init__()
        self.ground = GroundSeen()
        self.look = nn.Sequential(Conv(self.ground.width(layers, bands), HALF), Residual(HALF))
        self.join = nn.Sequential(Conv(2 * HALF, HALF), Residual(HALF))
        self.spatial = silent(nn.Conv2d(HALF, HALF, 1))
        self.spectral = silent(nn.Conv2d(HALF, SPECTRAL, 1))

    def forward(
        self, terrain: Tensor, spatial: Tensor, spectral: Tensor, bands: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Give both kinds of features, ``(batch, feature, y / 2, x / 2)``, knowing of the ground."""
        seen = self.look(self.ground.beside(terrain, *bands))
        return spatial + self.spatial(self.join(torch.cat([spatial, seen], dim=1))), spectral + self.spectral(seen)


class SpectralSpatialLight(nn.Module):
    """A spectral branch of blocks of 2 x 2 pixels beside a U-Net that works at a quarter of the resolution and less.

    Takes reflectance ``(batch, band, y, x)`` with -1 where a band is absent or a pixel has no data, and tells itself
    which values are there; after the bands may come layers of terrain, with -1 where they are absent. Sides must be
    multiples of 32. The spectral branch beside a spatial one is the idea of the "1DPW" networks of FDR4VGT-CLOUD.
    """

    encoder_parts = ("levels", "deep")
    """Modules that see shapes, whatever the bands."""

    def __init__(self, bands: int, classes: int, widths: Sequence[int] = WIDTHS, terrain: int = 0) -> None:
        super().__init__()
        self.register_buffer("offset", torch.tensor(OFFSET))
        self.register_load_state_dict_pre_hook(  # type: ignore[no-untyped-call]
            lambda _, weights, prefix, *_rest: self.upgrade(weights, prefix)
        )
        self.bands = bands
        self.layers = terrain
        self.spectral = Conv(2 * bands, SPECTRAL, kernel=2, stride=2)
        self.stem = nn.Sequential(Conv(SPECTRAL, HALF, kernel=1), Conv(HALF, HALF))
        self.levels = nn.ModuleList()
        for above, below in itertools.pairwise((HALF, *widths)):
            second = Residual(below) if self.levels else Conv(below, below)
            self.levels.append(nn.Sequential(Conv(above, below, stride=2), second))
        self.deep = nn.Sequential(Residual(widths[-1]), Residual(widths[-1]))
        self.merge = nn.ModuleList([Merge(below, above) for above, below in itertools.pairwise(widths)])
        self.grow = Conv(widths[0], HALF, kernel=1)
        self.keep = nn.Conv2d(HALF, HALF, 1)
        self.mix = Conv(SPECTRAL + HALF, SPECTRAL, kernel=1)
        self.head = nn.Conv2d(SPECTRAL, 4 * classes, 1)
        self.terrain = TerrainBranch(terrain, bands) if terrain else None

    @property
    def last(self) -> nn.Module:
        """The convolution that gives the logits, four pixels side by side."""
        return self.head

    @staticmethod
    def upgrade(weights: dict[str, Any], prefix: str = "") -> None:
        """Bring weights that an earlier version stored, as a product with blocks laid side by side, into place."""
        weights.setdefault(f"{prefix}offset", torch.tensor(OFFSET_BEFORE))
        name = f"{prefix}spectral.0.weight"
        found = weights.get(name)
        if found is not None and found.shape[-1] == 1:
            bands = found.shape[1] // 5
            values = found[:, : 4 * bands].reshape(len(found), bands, 2, 2)
            present = found.new_zeros(values.shape)
            present[:, :, 0, 0] = found[:, 4 * bands :, 0, 0]
            weights[name] = torch.cat([values, present], dim=1)

    def forward(self, reflectance: Tensor) -> Tensor:
        """Give logits ``(batch, class, y, x)``; bands alone stand for bands with absent terrain."""
        given = reflectance
        if self.terrain is not None:
            reflectance = given[:, : self.bands]
        values = torch.sqrt(torch.sqrt(reflectance.clamp(-DARKEST, 2.0) + DARKEST)) * 4 - cast("Tensor", self.offset)
        present = present_in(reflectance)
        spectral = self.spectral(torch.cat([values, present], dim=1))
        fine = self.stem(spectral)
        x, seen = fine, []
        for level in self.levels:
            x = level(x)
            seen.append(x)
        x = self.deep(x)
        for merge, above in zip(reversed(self.merge), reversed(seen[:-1]), strict=True):
            x = merge(x, above)
        grown = nn.functional.interpolate(self.grow(x), scale_factor=2.0, mode="nearest")
        x = torch.relu(grown + self.keep(fine))
        if self.terrain is not None:
            x, spectral = self.terrain(terrain_in(given, self.bands, self.layers), x, spectral, (values, present))
        blocks = self.head(self.mix(torch.cat([spectral, x], dim=1)))
        logits: Tensor = nn.functional.pixel_shuffle(blocks, 2)
        return logits
