"""Weights fit their network to the last tensor or are refused; what is neither folder nor model is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import save_file
from torch import nn

from undercast.errors import DownloadError, ModelError, TrustError
from undercast.training.bigearthnet.hub_files import fill, hub_folder


def network() -> nn.Module:
    return nn.Linear(2, 3)


def test_weights_are_taken_as_they_are(tmp_path: Path) -> None:
    save_file({"weight": torch.full((3, 2), 2.0), "bias": torch.zeros(3)}, tmp_path / "model.safetensors")
    model = network().train()
    fill(model, tmp_path / "model.safetensors")
    assert not model.training
    assert model(torch.ones(1, 2)).tolist() == [[4.0, 4.0, 4.0]]


@pytest.mark.parametrize(
    ("tensors", "told"),
    [
        ({"weight": torch.zeros(3, 2)}, r"got no bias \(1 in all\)"),
        ({"weight": torch.zeros(3, 2), "bias": torch.zeros(3), "more": torch.zeros(1)}, "got also more"),
        ({"weight": torch.zeros(4, 2), "bias": torch.zeros(3)}, r"weight: expected shape \(3, 2\) .*got \(4, 2\)"),
    ],
)
def test_weights_of_another_network_are_refused(tensors: Any, told: str, tmp_path: Path) -> None:
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=told):
        fill(network(), tmp_path / "model.safetensors")


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x04 a pickle, say")
    with pytest.raises(TrustError):
        fill(network(), tmp_path / "model.safetensors")


def test_what_is_neither_a_folder_nor_on_the_hub_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(source: str, **options: Any) -> str:
        raise LocalEntryNotFoundError("offline")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    with pytest.raises(DownloadError, match="'nobody/nothing' is no folder, and the hub gives no model of this id"):
        hub_folder("nobody/nothing")
    assert hub_folder(".") == Path()
