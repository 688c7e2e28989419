"""Devices that PyTorch can train on, by all of their names."""

from __future__ import annotations

import pytest
import torch

from undercast.errors import UsageError
from undercast.training.devices import check_device, devices


def test_the_processor_is_always_there() -> None:
    assert devices()[0] == "cpu"
    check_device("cpu")


def test_cuda_is_there_where_pytorch_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name in ("cuda", "cuda:0", "cuda:1"):
        check_device(name)
    with pytest.raises(UsageError, match=r"cuda, cuda:0, cuda:1.*; got 'cuda:2'"):
        check_device("cuda:2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UsageError, match=r"got 'cuda'\. Try --device cpu"):
        check_device("cuda")
