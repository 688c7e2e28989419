"""OpenVINO as a backend, held against ONNX Runtime."""

from __future__ import annotations

import runpy
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from undercast.errors import BackendError
from undercast.inference import openvino
from undercast.inference.backends import Network, Weights, choose_backend
from undercast.inference.onnx import OnnxRuntime
from undercast.inference.openvino import OpenVino
from undercast.types import Float32, Precision

make = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "models" / "make.py")))

EXACT = 1e-5
"""Largest difference in probability between two runtimes that compute with f32."""


def load(weights: bytes, precision: Precision = "f32") -> Network:
    return OpenVino().load(Weights(data=weights, kind="onnx"), device="cpu", precision=precision)


def pixels(*shape: int) -> Float32:
    return np.random.default_rng(0).random(shape, np.float32)


RACE = """
import os, sys, threading
from undercast.inference.openvino import OpenVino
OpenVino()
import openvino
sys.setswitchinterval(1e-6)
gate = threading.Barrier(8)
def first():
    gate.wait()
    openvino.Type.f32.to_dtype()
threads = [threading.Thread(target=first, daemon=True) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(20)
os._exit(sum(thread.is_alive() for thread in threads))
"""
"""Threads that are first to hand over an array; without what loading does before, they wait for each other for ever."""


def test_threads_that_run_the_first_windows_do_not_lock_each_other_out() -> None:
    # A process that hangs in this way holds the interpreter: only a limit from outside ends it.
    assert subprocess.run([sys.executable, "-c", RACE], check=False, timeout=60).returncode == 0


@pytest.fixture
def capable(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the processor be capable of what stands in this list, and have no flags."""
    told: list[str] = []

    class Core:
        def get_property(self, device: str, name: str) -> list[str]:
            assert (device, name) == ("CPU", "OPTIMIZATION_CAPABILITIES")
            return told

    monkeypatch.setattr(openvino, "_core", Core)
    monkeypatch.setattr(openvino, "processor_flags", frozenset)
    return told


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (3, 3, 40, 24), (9, 3, 16, 16)])
def test_f32_gives_what_onnx_runtime_gives(shape: tuple[int, ...]) -> None:
    weights = make.network_bytes(3, 4, kernel=3)
    exact = OnnxRuntime().load(Weights(data=weights, kind="onnx"), device="cpu", precision="f32")
    out = load(weights)(pixels(*shape))
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, exact(pixels(*shape)), atol=EXACT)


def test_one_batch_does_not_change_the_answer_to_another() -> None:
    network = load(make.network_bytes(3, 4))
    first = network(pixels(1, 3, 8, 8))
    kept = first.copy()
    network(np.zeros((1, 3, 8, 8), np.float32))
    np.testing.assert_array_equal(first, kept)


def test_threads_that_share_a_network_get_their_own_answers() -> None:
    network = load(make.network_bytes(3, 4, kernel=3))
    batches = [pixels(1, 3, 64, 64) * np.float32(scale) for scale in range(1, 5)]
    alone = [network(batch) for batch in batches]
    together: dict[int, Float32] = {}
    threads = [
        threading.Thread(target=lambda i=i, batch=batch: together.__setitem__(i, network(batch)))
        for i, batch in enumerate(batches)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, expected in enumerate(alone):
        np.testing.assert_array_equal(together[i], expected)


def test_bf16_is_offered_first_where_the_processor_has_it(capable: list[str]) -> None:
    capable += ["FP32", "BF16"]
    assert OpenVino().precisions("cpu") == ("bf16", "f32")
    assert OpenVino().advantage("cpu") == "the processor computes with bf16"


def test_an_ordinary_processor_has_f32_and_no_advantage(capable: list[str]) -> None:
    capable += ["FP32", "INT8"]
    assert OpenVino().precisions("cpu") == ("f32",)
    assert OpenVino().advantage("cpu") is None


def test_a_processor_with_avx_512_has_an_advantage(capable: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "processor_flags", lambda: frozenset({"avx2", "avx512f"}))
    assert OpenVino().advantage("cpu") == "the processor has AVX-512"


def test_a_precision_that_the_processor_lacks_is_refused(capable: list[str]) -> None:
    with pytest.raises(BackendError, match=r"runs on cpu with f32 here, not on cpu with bf16"):
        load(make.network_bytes(3, 4), "bf16")


@pytest.mark.skipif("bf16" not in OpenVino().precisions("cpu"), reason="the processor does not compute with bf16")
def test_bf16_gives_nearly_what_f32_gives() -> None:
    weights = make.network_bytes(3, 4, kernel=3)
    difference = np.abs(load(weights, "bf16")(pixels(1, 3, 64, 64)) - load(weights)(pixels(1, 3, 64, 64)))
    assert 0.0 < difference.max() < 0.2  # eight bits of mantissa; logits of up to about 30


@pytest.mark.parametrize("weights", [b"", b"no network at all"])
def test_bytes_that_are_no_network_are_refused_in_one_line(weights: bytes) -> None:
    with pytest.raises(BackendError, match=r"OpenVINO cannot load the network: Unable to read the model") as caught:
        load(weights)
    assert "\n" not in str(caught.value)


def test_a_batch_with_the_wrong_bands_is_refused_in_one_line() -> None:
    with pytest.raises(BackendError, match=r"OpenVINO failed on a batch of shape \(1, 2, 8, 8\)") as caught:
        load(make.network_bytes(3, 4))(np.zeros((1, 2, 8, 8), np.float32))
    assert "\n" not in str(caught.value)


def test_as_many_windows_as_processors_are_worked_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "processors", lambda: 2)
    assert OpenVino().windows("cpu") == 2
    monkeypatch.setattr(openvino, "processors", lambda: 64)
    assert OpenVino().windows("cpu") == openvino.MOST_STREAMS


def test_it_is_found_by_name() -> None:
    choice = choose_backend("onnx", "openvino")
    assert (choice.name, choice.devices) == ("openvino", ("cpu",))
