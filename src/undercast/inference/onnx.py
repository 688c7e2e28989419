"""ONNX Runtime: the backend that ships."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort

from undercast.errors import BackendError
from undercast.inference.backends import WINDOWS_ON_CUDA, Network, Weights
from undercast.inference.processor import processors
from undercast.types import Float32, Precision

PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}
"""Device -> ONNX Runtime's execution provider, best first."""

ONLY_FATAL = 4
"""ONNX Runtime's log level: what goes wrong is raised here, not printed by the library."""


class OnnxRuntime:
    """Networks in ONNX format on processors, and on CUDA where the provider is installed."""

    kinds: tuple[str, ...] = ("onnx",)
    """Kinds of weights that it loads."""

    def devices(self) -> tuple[str, ...]:
        """List the devices that the installed ONNX Runtime was built for, best first."""
        available = ort.get_available_providers()
        return tuple(device for device, provider in PROVIDERS.items() if provider in available)

    def precisions(self, device: str) -> tuple[Precision, ...]:  # noqa: ARG002 (the same on every device)
        """List the one precision that the networks are exported in."""
        return ("f32",)

    def advantage(self, device: str) -> str | None:
        """Say that it runs on CUDA, where it does."""
        return "CUDA" if device == "cuda" else None

    def windows(self, device: str) -> int:
        """Count one on a processor: more at once are no faster there."""
        return WINDOWS_ON_CUDA if device == "cuda" else 1

    def load(self, weights: Weights, *, device: str, precision: Precision) -> Network:  # noqa: ARG002 (one there is)
        """Make a network of ONNX bytes.

        Raises:
            BackendError: If the bytes are no usable network, or the device cannot be used.
        """
        if device not in self.devices():
            available = ", ".join(self.devices())
            msg = f"device {device!r} is not available with ONNX Runtime. Available: {available}"
            raise BackendError(msg)
        provider = PROVIDERS[device]
        try:
            session = ort.InferenceSession(weights.data, sess_options=_options(), providers=[provider])
        except Exception as error:  # its errors share no base class below Exception
            msg = f"ONNX Runtime cannot load the network: {_first_line(error)}"
            raise BackendError(msg) from error
        if session.get_providers()[0] != provider:
            msg = f"ONNX Runtime cannot use {device} here (driver or libraries are missing). Try --device cpu"
            raise BackendError(msg)
        return _network(session)


def _options() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = processors()
    options.inter_op_num_threads = 1
    options.log_severity_level = ONLY_FATAL
    return options


def _network(session: ort.InferenceSession) -> Network:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    types = [node.type for node in (*inputs, *outputs)]
    if types != ["tensor(float)"] * 2:
        msg = f"a network must have one float32 input and one float32 output, got {', '.join(types)}."
        raise BackendError(msg)
    name = inputs[0].name

    def run(batch: Float32) -> Float32:
        try:
            return np.asarray(session.run(None, {name: np.ascontiguousarray(batch)})[0], np.float32)
        except Exception as error:  # its errors share no base class below Exception
            msg = f"ONNX Runtime failed on a batch of shape {batch.shape}: {_first_line(error)}"
            raise BackendError(msg) from error

    return run


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
