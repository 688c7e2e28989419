"""OpenVINO: faster than the runtime that ships where the processor computes with bf16 or AVX-512."""

from __future__ import annotations

import queue
import sys
import threading
from collections import deque
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np

from undercast._optional import require
from undercast.errors import BackendError
from undercast.inference.backends import Network, Weights
from undercast.inference.processor import processor_flags, processors
from undercast.types import Float32, Precision

MOST_STREAMS = 4
"""Windows that are worked on at once at most; each needs memory for a network's inner values."""


_MAKING = threading.Lock()


class OpenVino:
    """Networks in ONNX format on processors."""

    kinds: tuple[str, ...] = ("onnx",)
    """Kinds of weights that it loads."""

    def __init__(self) -> None:
        """Import the runtime.

        Raises:
            MissingDependencyError: If it is not installed.
        """
        self._core = _core()

    def devices(self) -> tuple[str, ...]:
        """List the one device that undercast uses it on."""
        return ("cpu",)

    def precisions(self, device: str) -> tuple[Precision, ...]:  # noqa: ARG002 (there is one device)
        """List f32, after bf16 where the processor has instructions for it."""
        return ("bf16", "f32") if "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else ("f32",)

    def advantage(self, device: str) -> str | None:
        """Say which of the processor's instructions it uses better than ONNX Runtime."""
        if "bf16" in self.precisions(device):
            return "the processor computes with bf16"
        return "the processor has AVX-512" if "avx512f" in processor_flags() else None

    def windows(self, device: str) -> int:  # noqa: ARG002 (there is one device)
        """Count one per stream: cores that work on windows of their own wait less than cores that share one."""
        return min(processors(), MOST_STREAMS)

    def load(self, weights: Weights, *, device: str, precision: Precision) -> Network:
        """Make a network of ONNX bytes; f32 means f32, whatever the runtime takes by default.

        Raises:
            BackendError: If the bytes are no usable network, or device or precision cannot be used.
        """
        if device not in self.devices() or precision not in self.precisions(device):
            msg = (
                f"OpenVINO runs on cpu with {', '.join(self.precisions('cpu'))} here, not on {device} with {precision}."
            )
            raise BackendError(msg)
        hints = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": self.windows(device),
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": processors(),
            # Pinned threads of two processes would share one core and leave the other idle.
            "ENABLE_CPU_PINNING": False,
        }
        try:
            compiled = self._core.compile_model(self._core.read_model(model=weights.data), "CPU", hints)
        except Exception as error:  # its errors share no base class below Exception
            msg = f"OpenVINO cannot load the network: {_first_line(error)}"
            raise BackendError(msg) from error
        return _network(compiled, self.windows(device))


def _core() -> Any:
    """Make the runtime's core, which is costly, once."""
    with _MAKING:
        return _made()


@cache
def _made() -> Any:
    # OpenVINO tells a server of its use while it is imported, unless this library is away; a mask is nobody's business.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    openvino = require("openvino", extra="openvino", purpose="run networks with OpenVINO")
    # Its first call fills a table, and two threads that make it at once (the first windows of a scene) wait for each
    # other for ever: OpenVINO 2026.4.
    openvino.Type.f32.to_dtype()
    return openvino.Core()


def _network(compiled: Any, streams: int) -> Network:
    types = [port.get_element_type().get_type_name() for port in (*compiled.inputs, *compiled.outputs)]
    if types != ["f32"] * 2:
        msg = f"a network must have one float32 input and one float32 output, got {', '.join(types)}."
        raise BackendError(msg)
    idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for _ in range(streams):
        idle.put(compiled.create_infer_request())

    def run(batch: Float32) -> Float32:
        try:
            return _in_streams(idle, np.ascontiguousarray(batch))
        except Exception as error:  # its errors share no base class below Exception
            msg = f"OpenVINO failed on a batch of shape {batch.shape}: {_first_line(error)}"
            raise BackendError(msg) from error

    return run


def _in_streams(idle: queue.SimpleQueue[Any], batch: Float32) -> Float32:
    """Run each window of a batch in a stream of its own as soon as one is idle; threads share the streams."""
    answers: list[Float32] = []
    working: deque[Any] = deque()
    try:
        for window in batch:
            working.append(_idle_stream(idle, working, answers))
            working[-1].start_async({0: window[np.newaxis]}, share_inputs=True)
        while working:
            _finish(idle, working, answers)
    finally:
        for request in working:
            with suppress(Exception):  # another one's is raised already
                request.wait()
            idle.put(request)
    return answers[0] if len(answers) == 1 else np.concatenate(answers)


def _idle_stream(idle: queue.SimpleQueue[Any], working: deque[Any], answers: list[Float32]) -> Any:
    """Take an idle stream; who has one at work finishes that, instead of waiting for one that another thread has."""
    while True:
        try:
            return idle.get_nowait()
        except queue.Empty:
            if not working:
                return idle.get()
            _finish(idle, working, answers)


def _finish(idle: queue.SimpleQueue[Any], working: deque[Any], answers: list[Float32]) -> None:
    """Wait for the stream that began first and keep what it says: a copy, which the next window does not overwrite."""
    working[0].wait()
    answers.append(np.array(working[0].get_output_tensor().data, np.float32))
    idle.put(working.popleft())


def _first_line(error: Exception) -> str:
    """Give the line of OpenVINO's message that says what is wrong; the first ones name its source files."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("Exception from", "Check '"))]
    return (told or lines or [type(error).__name__])[0]
