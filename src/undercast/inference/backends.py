"""Backends: runtimes that turn verified bytes into a network, found by name or by the kind of weights."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Literal, Protocol, TypeAlias

from undercast.errors import BackendError, MissingDependencyError, UndercastError
from undercast.types import Float32, Precision

log = logging.getLogger(__name__)

Network: TypeAlias = Callable[[Float32], Float32]
"""Input as the spec says ``(batch, band, y, x)`` -> probabilities in [0, 1] ``(batch, layer, y, x)``."""

WINDOWS_ON_CUDA = 4
"""Windows that the backends here take at once on CUDA."""

AUTO: Literal["auto"] = "auto"
"""Stands for "the best that is there", for backends, devices and precisions."""

ENTRY_POINTS = "undercast.backends"
"""Group of entry points by which other distributions add backends: name = "module:Class"."""

BUILT_IN: dict[str, str] = {
    "onnxruntime": "undercast.inference.onnx:OnnxRuntime",
    "openvino": "undercast.inference.openvino:OpenVino",
    "torch": "undercast.inference.torch:Torch",
}
"""Backends that come with undercast: name -> ``module:Class``, imported when it is needed. Of several that load a
kind of weights the first with an advantage runs, else the first."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weights:
    """Weights of one network whose checksum has been compared."""

    data: bytes
    """The file. Bytes, not a path: nothing can be exchanged between the check and the use."""
    kind: str
    """Kind of weights: ``onnx``, ``pt2``, ``safetensors``."""
    architecture: str | None = None
    """Name of the architecture, for kinds that hold weights without a graph."""
    bands: int = 0
    """Bands that the network takes, for the same kinds."""
    terrain: int = 0
    """Layers of terrain that it takes after them, for the same kinds."""
    layers: int = 0
    """Layers that the network gives, for the same kinds."""


class Backend(Protocol):
    """A runtime; made without arguments, which fails with MissingDependencyError where it is not installed.

    Its module must import without the runtime.
    """

    kinds: tuple[str, ...]
    """Kinds of weights that it loads, such as ``onnx``."""

    def devices(self) -> tuple[str, ...]:
        """List the devices that this runtime was built for and can see, best first."""
        ...

    def precisions(self, device: str) -> tuple[Precision, ...]:
        """List the precisions that it computes with on a device; the one that is taken unasked comes first."""
        ...

    def advantage(self, device: str) -> str | None:
        """Say why to prefer this runtime on a device to those before it; None where nothing speaks for it."""
        ...

    def windows(self, device: str) -> int:
        """Count the windows that it works on at once on a device; a batch of fewer leaves a part of it idle."""
        ...

    def load(self, weights: Weights, *, device: str, precision: Precision) -> Network:
        """Make a network of weights.

        Raises:
            BackendError: If the weights are wrong, or device or precision cannot be used.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Loaded:
    """A network, and how it runs."""

    network: Network
    """The network."""
    device: str
    """Where it runs."""
    precision: Precision
    """What it computes with."""
    windows: int = 1
    """Windows that it works on at once."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BackendChoice:
    """Which backend runs, where, how, and why."""

    name: str
    """Name in the registry."""
    backend: Backend
    """The runtime."""
    devices: tuple[str, ...]
    """Devices to try, best first; one where a person asked for it by name."""
    precision: Precision | None = None
    """What it computes with; None: what the backend takes unasked."""
    reason: str = "asked for"
    """Why it was chosen."""

    def load(self, weights: Weights) -> Loaded:
        """Load weights on the first device that takes them.

        Raises:
            BackendError: If no device takes them; the message is that of the last.
        """
        for device in self.devices[:-1]:
            try:
                return self._load(weights, device)
            except BackendError as error:
                log.warning("%s", error)
        return self._load(weights, self.devices[-1])

    def _load(self, weights: Weights, device: str) -> Loaded:
        precision = self.precision or self.backend.precisions(device)[0]
        network = self.backend.load(weights, device=device, precision=precision)
        return Loaded(network=network, device=device, precision=precision, windows=self.backend.windows(device))


def backend_names() -> tuple[str, ...]:
    """List the backends: those of undercast first, then those of other distributions."""
    return tuple(_registry())


def load_backend(name: str) -> Backend:
    """Make a backend by its name.

    Raises:
        BackendError: If there is none of this name.
        MissingDependencyError: If what it needs is not installed.
    """
    return _backend_class(name, _registry())()


def choose_backend(
    kind: str, name: str = AUTO, device: str = AUTO, precision: Precision | Literal["auto"] = AUTO
) -> BackendChoice:
    """Choose the runtime for a kind of weights.

    Args:
        kind: Kind of weights, such as ``onnx``.
        name: Backend, or ``auto``: of those that are installed and load this kind, on this device and with this
            precision where they are named, the first with an advantage, else the first.
        device: Device, or ``auto``: the best that works.
        precision: Precision, or ``auto``: what the backend takes unasked.

    Raises:
        BackendError: If no backend fits, or it has no such device or precision; the message lists what there is.
        MissingDependencyError: If all that would load the kind, or the one that is named, is not installed.
    """
    asked = None if precision == AUTO else precision
    fitting: list[BackendChoice] = []
    problem: UndercastError | None = None
    # Once: it takes a look at every distribution that is installed.
    registry = _registry()
    for candidate in registry if name == AUTO else (name,):
        made = _backend_class(candidate, registry)
        if kind not in made.kinds:
            continue
        try:
            backend = made()
            devices = _devices(candidate, backend, device, asked)
        except (BackendError, MissingDependencyError) as error:
            problem = problem or error
            continue
        fitting.append(BackendChoice(name=candidate, backend=backend, devices=devices, precision=asked))
    if not fitting:
        raise problem or _no_backend(kind, name)
    if name != AUTO:
        return fitting[0]
    for choice in fitting:
        advantage = choice.backend.advantage(choice.devices[0])
        if advantage is not None:
            return replace(choice, reason=advantage)
    return replace(fitting[0], reason=f"the first that loads {kind}")


def _no_backend(kind: str, name: str) -> BackendError:
    asked = "no backend loads" if name == AUTO else f"backend {name!r} does not load"
    return BackendError(f"{asked} weights of kind {kind!r}. Backends here: {', '.join(backend_names())}")


def _devices(name: str, backend: Backend, device: str, precision: Precision | None) -> tuple[str, ...]:
    """Give the devices to try that compute with a precision.

    Raises:
        BackendError: If there is no such device, or none computes with the precision.
    """
    devices = backend.devices()
    if device != AUTO:
        if device not in devices:
            available = ", ".join((*devices, AUTO))
            msg = f"device {device!r} is not available with backend {name}. Available: {available}"
            raise BackendError(msg)
        devices = (device,)
    fitting = tuple(one for one in devices if precision is None or precision in backend.precisions(one))
    if not fitting:
        offered = ", ".join(dict.fromkeys(known for one in devices for known in backend.precisions(one)))
        msg = (
            f"backend {name} does not compute with {precision} on {', '.join(devices)} here. Available: {offered}, auto"
        )
        raise BackendError(msg)
    return fitting


def _backend_class(name: str, registry: Mapping[str, str]) -> type[Backend]:
    if name not in registry:
        msg = f"backend {name!r} is not known. Known: {', '.join(registry)}"
        raise BackendError(msg)
    module, _, attribute = registry[name].partition(":")
    found: type[Backend] = getattr(importlib.import_module(module), attribute)
    return found


def _registry() -> dict[str, str]:
    added = {point.name: point.value for point in metadata.entry_points(group=ENTRY_POINTS)}
    return {**BUILT_IN, **{name: value for name, value in added.items() if name not in BUILT_IN}}
