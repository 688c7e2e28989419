"""Backends: runtimes that turn verified bytes into a network, found by name or by the kind of weights."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Protocol, TypeAlias

from undercast.errors import BackendError
from undercast.types import Float32

log = logging.getLogger(__name__)

Network: TypeAlias = Callable[[Float32], Float32]
"""Input as the spec says ``(batch, band, y, x)`` -> probabilities in [0, 1] ``(batch, layer, y, x)``."""

AUTO = "auto"
"""Stands for "the best that is there", for backends and for devices."""

ENTRY_POINTS = "undercast.backends"
"""Group of entry points by which other distributions add backends: name = "module:Class"."""

BUILT_IN: dict[str, str] = {"onnxruntime": "undercast.inference.onnx:OnnxRuntime"}
"""Backends that come with undercast, best first: name -> ``module:Class``, imported when it is needed."""


class Backend(Protocol):
    """A runtime; made without arguments."""

    kinds: tuple[str, ...]
    """Kinds of weights that it loads, such as ``onnx``."""

    def devices(self) -> tuple[str, ...]:
        """List the devices that this runtime was built for and can see, best first."""
        ...

    def load(self, weights: bytes, *, device: str) -> Network:
        """Make a network of weights whose checksum has been compared.

        Bytes, not a path: nothing can be exchanged between the check and the use.

        Raises:
            BackendError: If the weights are wrong, or the device cannot be used.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BackendChoice:
    """Which backend runs, and where."""

    name: str
    """Name in the registry."""
    backend: Backend
    """The runtime."""
    devices: tuple[str, ...]
    """Devices to try, best first; one where a person asked for it by name."""

    def load(self, weights: bytes) -> tuple[Network, str]:
        """Load weights on the first device that takes them.

        Returns:
            The network and its device.

        Raises:
            BackendError: If no device takes them; the message is that of the last.
        """
        for device in self.devices[:-1]:
            try:
                return self.backend.load(weights, device=device), device
            except BackendError as error:
                log.warning("%s", error)
        last = self.devices[-1]
        return self.backend.load(weights, device=last), last


def backend_names() -> tuple[str, ...]:
    """List the backends: those of undercast first, then those of other distributions."""
    return tuple(_registry())


def load_backend(name: str) -> Backend:
    """Make a backend by its name.

    Raises:
        BackendError: If there is none of this name.
        MissingDependencyError: If what it needs is not installed.
    """
    registry = _registry()
    if name not in registry:
        msg = f"backend {name!r} is not known. Known: {', '.join(registry)}"
        raise BackendError(msg)
    module, _, attribute = registry[name].partition(":")
    backend: Backend = getattr(importlib.import_module(module), attribute)()
    return backend


def choose_backend(kind: str, name: str = AUTO, device: str = AUTO) -> BackendChoice:
    """Choose the runtime for a kind of weights.

    Args:
        kind: Kind of weights, such as ``onnx``.
        name: Backend, or ``auto``: the first that loads this kind.
        device: Device, or ``auto``: the best that works.

    Raises:
        BackendError: If no backend fits, or it has no such device; the message lists what there is.
    """
    for candidate in backend_names() if name == AUTO else (name,):
        backend = load_backend(candidate)
        if kind in backend.kinds:
            return BackendChoice(name=candidate, backend=backend, devices=_devices(candidate, backend, device))
    asked = "no backend" if name == AUTO else f"backend {name!r} does not load"
    verb = " loads" if name == AUTO else ""
    msg = f"{asked}{verb} weights of kind {kind!r}. Backends here: {', '.join(backend_names())}"
    raise BackendError(msg)


def _devices(name: str, backend: Backend, device: str) -> tuple[str, ...]:
    devices = backend.devices()
    if device == AUTO:
        return devices
    if device not in devices:
        available = ", ".join((*devices, AUTO))
        msg = f"device {device!r} is not available with backend {name}. Available: {available}"
        raise BackendError(msg)
    return (device,)


def _registry() -> dict[str, str]:
    added = {point.name: point.value for point in metadata.entry_points(group=ENTRY_POINTS)}
    return {**BUILT_IN, **{name: value for name, value in added.items() if name not in BUILT_IN}}
