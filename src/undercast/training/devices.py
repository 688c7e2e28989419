"""Devices: where PyTorch trains on this machine."""

from __future__ import annotations

import torch

from undercast.errors import UsageError


def devices() -> tuple[str, ...]:
    """List the devices that PyTorch can train on here; the first of a kind goes by the kind's name, too."""
    found = ["cpu"]
    for kind, count in (("cuda", torch.cuda.device_count()), ("mps", int(torch.backends.mps.is_available()))):
        found += [kind, *(f"{kind}:{index}" for index in range(count))] if count else []
    return tuple(found)


def check_device(name: str) -> None:
    """Refuse a device that PyTorch cannot train on here.

    Raises:
        UsageError: If it is none.
    """
    known = devices()
    if name not in known:
        msg = f"--device: expected one that PyTorch sees here, {', '.join(known)}; got {name!r}. Try --device cpu"
        raise UsageError(msg)
