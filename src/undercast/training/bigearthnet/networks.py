"""Networks: backbones that give one logit for each label, timm's by their names and a small one of our own."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import torch
from torch import Tensor, nn

from undercast.errors import MissingDependencyError, UsageError
from undercast.training.bigearthnet.hub_config import HubConfig

logger = logging.getLogger(__name__)

SMALL = "scene-small"
"""Name of our own network."""
WIDTHS = (16, 24, 32, 48)
"""Channels of its stages, each at half the resolution of the one before."""


class Stage(nn.Module):
    """Halve the resolution, then filter each channel beside a short cut that is taken alone now and then."""

    def __init__(self, inputs: int, outputs: int, drop_path: float) -> None:
        super().__init__()
        self.drop_path = drop_path
        self.halve = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )
        self.path = nn.Sequential(
            nn.Conv2d(outputs, outputs, 3, padding=1, groups=outputs, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Give ``(batch, outputs, y / 2, x / 2)``."""
        short = self.halve(x)
        path = self.path(short)
        if self.training and self.drop_path > 0.0:
            kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.drop_path
            path = path * kept / (1.0 - self.drop_path)
        return torch.relu(short + path)


class SceneSmall(nn.Module):
    """Four stages; the mean and the spread of what the last one sees in the window give the logits."""

    def __init__(self, config: HubConfig) -> None:
        super().__init__()
        pairs = itertools.pairwise((config.channels, *WIDTHS))
        self.stages = nn.Sequential(
            *(Stage(inputs, outputs, config.drop_path_rate or 0.0) for inputs, outputs in pairs)
        )
        self.drop = nn.Dropout(config.drop_rate or 0.0)
        self.classifier = nn.Linear(2 * WIDTHS[-1], config.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Give logits ``(batch, label)`` of ``(batch, channel, y, x)``."""
        seen = self.stages(x).flatten(2)
        mean = seen.mean(-1, keepdim=True)
        spread = (seen - mean).square().mean(-1).add(1e-6).sqrt()
        logits: Tensor = self.classifier(self.drop(torch.cat([mean.squeeze(-1), spread], dim=1)))
        return logits


def backbone(config: HubConfig) -> nn.Module:
    """Build the network that a config names, with random weights.

    Raises:
        UsageError: If timm has no such model.
        MissingDependencyError: If timm, or the torchvision that it needs, cannot be imported.
    """
    return SceneSmall(config) if config.timm_model_name == SMALL else _of_timm(config)


def _of_timm(config: HubConfig) -> nn.Module:
    timm = _timm()
    name = config.timm_model_name
    if not timm.is_model(name):
        msg = f"network {name!r} is not known. Known: {SMALL}, and the models of timm: timm.list_models()"
        raise UsageError(msg)
    options = {
        "img_size": config.image_size,
        "drop_rate": config.drop_rate,
        "drop_path_rate": config.drop_path_rate,
    }
    while True:
        try:
            network: nn.Module = timm.create_model(
                name, pretrained=False, num_classes=config.classes, in_chans=config.channels, **options
            )
        except TypeError as error:
            # Published models were built in the same way: what an architecture has no option for is left out.
            unknown = [option for option in options if f"'{option}'" in str(error)]
            if not unknown:
                raise
            logger.info("%s of timm has no option %s", name, unknown[0])
            del options[unknown[0]]
        else:
            return network


def _timm() -> Any:
    try:
        import timm
    except (ImportError, RuntimeError) as error:
        msg = (
            f"timm, and a torchvision built for the same PyTorch, are needed to build this network: {error}."
            f" Try: pip install 'undercast[backbones]', or take the network {SMALL!r}."
        )
        raise MissingDependencyError(msg) from error
    return timm
