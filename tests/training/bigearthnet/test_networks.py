"""Backbones give a logit for each label, timm's and our own; what cannot be built says why."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest
import torch

from undercast.errors import MissingDependencyError, UsageError
from undercast.training.bigearthnet.hub_config import HubConfig
from undercast.training.bigearthnet.networks import SMALL, Stage, backbone

CONFIG = HubConfig(timm_model_name=SMALL, channels=5, drop_path_rate=0.15)


def timm() -> Any:
    return pytest.importorskip("timm", reason="timm needs a torchvision built for the same torch", exc_type=ImportError)


@pytest.mark.parametrize("name", [SMALL, "resnet18", "mobilevit_s", "convmixer_768_32", "vit_base_patch8_224"])
def test_there_is_a_logit_for_each_label(name: str) -> None:
    if name != SMALL:
        timm()
    network = backbone(replace(CONFIG, timm_model_name=name, classes=19)).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 5, 120, 120)).shape == (1, 19)


def test_a_window_that_is_shifted_gives_nearly_the_same() -> None:
    network = backbone(CONFIG).eval()
    window = torch.randn(1, 5, 120, 120, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(network(window), network(window.roll(16, dims=-1)), rtol=0.1, atol=0.1)


def test_blocks_are_gone_around_in_training_alone() -> None:
    torch.manual_seed(0)
    stage = Stage(3, 4, 0.5)
    same = torch.rand(1, 3, 8, 8).expand(64, -1, -1, -1)
    kept = stage.train()(same)
    assert len({tuple(row.flatten().tolist()) for row in kept.detach()}) == 2
    alone = stage.eval()(same)
    torch.testing.assert_close(alone[0], alone[1])


def test_without_timm_the_pip_line_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(
        MissingDependencyError, match=r"pip install 'undercast\[backbones\]', or take the network 'scene"
    ):
        backbone(replace(CONFIG, timm_model_name="resnet18"))


def test_an_unknown_model_of_timm_is_refused() -> None:
    timm()
    with pytest.raises(UsageError, match="network 'resnet1000' is not known"):
        backbone(replace(CONFIG, timm_model_name="resnet1000"))
