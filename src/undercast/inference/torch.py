"""PyTorch: exported programs (``.pt2``), and safetensors of architectures that undercast knows."""

from __future__ import annotations

import ctypes
import importlib
import io
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from undercast._optional import require
from undercast.errors import BackendError, MissingDependencyError
from undercast.inference.backends import WINDOWS_ON_CUDA, Network, Weights
from undercast.types import Float32, Precision

if TYPE_CHECKING:
    import torch

NETWORKS = "undercast.training.networks"
"""Module that builds architectures by name. It is looked up when safetensors are loaded, as a plug-in would be: it lies
floors above, with training, and nothing else here needs it."""

VIEWS = ("aten.view.default", "aten._unsafe_view.default")
"""Operations of an exported program that fix the order of its numbers in memory."""


class Torch:
    """Networks on processors and on CUDA, channels last where the network allows it."""

    kinds: tuple[str, ...] = ("pt2", "safetensors")
    """Kinds of weights that it loads."""

    def __init__(self) -> None:
        """Import the runtime.

        Raises:
            MissingDependencyError: If it is not installed.
        """
        self._torch = require("torch", extra="torch", purpose="run networks of kind pt2 or safetensors")

    def devices(self) -> tuple[str, ...]:
        """List the devices that PyTorch sees, best first."""
        return ("cuda", "cpu") if self._torch.cuda.is_available() else ("cpu",)

    def precisions(self, device: str) -> tuple[Precision, ...]:
        """List f32, and what is taken only on request."""
        return ("f32", "bf16", "f16") if device == "cuda" else ("f32", "bf16")

    def advantage(self, device: str) -> str | None:
        """Say that it runs on CUDA, where it does."""
        return "CUDA" if device == "cuda" else None

    def windows(self, device: str) -> int:
        """Count one on a processor: more at once are no faster there."""
        return WINDOWS_ON_CUDA if device == "cuda" else 1

    def load(self, weights: Weights, *, device: str, precision: Precision) -> Network:
        """Make a network of an exported program, or of the weights of a known architecture.

        An exported program can hold code: its archive must have been scanned (``models.trust.scan``).

        Raises:
            BackendError: If the bytes are no usable network, or device or precision cannot be used.
            MissingDependencyError: If what reads safetensors is not installed.
        """
        if device not in self.devices() or precision not in self.precisions(device):
            available = "; ".join(f"{one} with {', '.join(self.precisions(one))}" for one in self.devices())
            msg = f"PyTorch cannot use {device} with {precision} here. Available: {available}"
            raise BackendError(msg)
        keep_freed_memory()
        make = _exported if weights.kind == "pt2" else _of_architecture
        try:
            module, channels_last = make(weights, device)
        except MissingDependencyError:
            raise
        except Exception as error:  # its errors share no base class below Exception
            msg = f"PyTorch cannot load the network: {_first_line(error)}"
            raise BackendError(msg) from error
        return self._network(module, device, precision, channels_last=channels_last)

    def _network(self, module: Any, device: str, precision: Precision, *, channels_last: bool) -> Network:
        torch = self._torch
        half = {"bf16": torch.bfloat16, "f16": torch.float16}.get(precision)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        if channels_last:
            module = module.to(memory_format=layout)

        def run(batch: Float32) -> Float32:
            try:
                given = torch.from_numpy(np.ascontiguousarray(batch)).to(device).contiguous(memory_format=layout)
                with torch.inference_mode(), torch.autocast(device, dtype=half, enabled=half is not None):
                    out = module(given)
                return np.ascontiguousarray(out.float().cpu().numpy())
            except Exception as error:  # its errors share no base class below Exception
                msg = f"PyTorch failed on a batch of shape {batch.shape}: {_first_line(error)}"
                raise BackendError(msg) from error

        return run


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory; on some machines page faults take most of the time otherwise."""
    m_trim_threshold, m_top_pad, m_mmap_threshold = -1, -2, -3
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        for parameter, value in (
            (m_mmap_threshold, 2**31 - 1),
            (m_trim_threshold, 2**31 - 1),
            (m_top_pad, 2**28),
        ):
            libc.mallopt(parameter, value)


def read_program(data: bytes, device: str = "cpu") -> torch.export.ExportedProgram:
    """Read an exported program whose archive has been scanned, and move it to a device."""
    import torch
    from torch.export.passes import move_to_device_pass

    program = torch.export.load(io.BytesIO(data))
    return move_to_device_pass(program, device)


def _exported(weights: Weights, device: str) -> tuple[Any, bool]:
    program = read_program(weights.data, device)
    fixed = any(str(node.target) in VIEWS for node in program.graph.nodes)
    return program.module(), not fixed


def _of_architecture(weights: Weights, device: str) -> tuple[Any, bool]:
    networks = importlib.import_module(NETWORKS)
    reader = require("safetensors.torch", extra="torch", purpose="read safetensors")
    network = networks.build(weights.architecture, bands=weights.bands, classes=weights.layers, terrain=weights.terrain)
    network.load_state_dict(reader.load(weights.data))
    return networks.WithProbabilities(network).eval().to(device), True


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
