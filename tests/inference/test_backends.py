"""Choosing a runtime and a device."""

from __future__ import annotations

import numpy as np
import pytest

from undercast.errors import BackendError
from undercast.inference import backends
from undercast.inference.backends import BackendChoice, Network, backend_names, choose_backend, load_backend
from undercast.types import Float32


class Picky:
    """A backend whose first device never works."""

    kinds: tuple[str, ...] = ("picky",)

    def devices(self) -> tuple[str, ...]:
        return ("fast", "slow")

    def load(self, weights: bytes, *, device: str) -> Network:
        if device == "fast":
            msg = "fast is broken"
            raise BackendError(msg)

        def run(batch: Float32) -> Float32:
            return batch * np.float32(len(weights))

        return run


def test_onnx_weights_are_run_by_onnx_runtime() -> None:
    choice = choose_backend("onnx")
    assert choice.name == "onnxruntime"
    assert "cpu" in choice.devices


def test_an_unknown_backend_is_answered_with_the_known_ones() -> None:
    with pytest.raises(BackendError, match=r"'tpu' is not known. Known: onnxruntime"):
        load_backend("tpu")


def test_an_unknown_device_is_answered_with_the_available_ones() -> None:
    with pytest.raises(BackendError, match=r"device 'quantum' is not available.*Available: .*cpu"):
        choose_backend("onnx", device="quantum")


@pytest.mark.parametrize("name", ["auto", "onnxruntime"])
def test_weights_of_an_unknown_kind_are_answered_with_the_backends(name: str) -> None:
    with pytest.raises(BackendError, match=r"weights of kind 'pickle'. Backends here: onnxruntime"):
        choose_backend("pickle", name)


def test_another_distribution_adds_a_backend_and_cannot_replace_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        def __init__(self, name: str) -> None:
            self.name = name
            self.value = f"{__name__}:Picky"

    def entry_points(*, group: str) -> list[Point]:
        assert group == "undercast.backends"
        return [Point("picky"), Point("onnxruntime")]

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
    assert backend_names() == ("onnxruntime", "picky")
    assert backends._registry()["onnxruntime"] == "undercast.inference.onnx:OnnxRuntime"
    assert backends._registry()["picky"] == f"{__name__}:Picky"


def test_a_device_that_fails_is_told_and_the_next_is_tried(caplog: pytest.LogCaptureFixture) -> None:
    choice = BackendChoice(name="picky", backend=Picky(), devices=("fast", "slow"))
    network, device = choice.load(b"123")
    assert device == "slow"
    assert network(np.ones((1, 1, 1, 1), np.float32))[0, 0, 0, 0] == 3
    assert "fast is broken" in caplog.text


def test_a_device_that_a_person_asked_for_is_never_exchanged() -> None:
    choice = BackendChoice(name="picky", backend=Picky(), devices=("fast",))
    with pytest.raises(BackendError, match=r"fast is broken"):
        choice.load(b"123")
