"""Choosing a runtime, a device and a precision."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest

from undercast.errors import BackendError, MissingDependencyError
from undercast.inference import backends
from undercast.inference.backends import BackendChoice, Network, Weights, backend_names, choose_backend, load_backend
from undercast.types import Float32, Precision


class Picky:
    """A backend whose first device never works."""

    kinds: tuple[str, ...] = ("picky", "onnx")

    def devices(self) -> tuple[str, ...]:
        return ("fast", "slow")

    def precisions(self, device: str) -> tuple[Precision, ...]:
        return ("f16", "f32") if device == "fast" else ("f32",)

    def advantage(self, device: str) -> str | None:
        return f"{device} it is"

    def windows(self, device: str) -> int:
        return 8 if device == "fast" else 2

    def load(self, weights: Weights, *, device: str, precision: Precision) -> Network:
        assert precision in self.precisions(device)
        if device == "fast":
            msg = "fast is broken"
            raise BackendError(msg)

        def run(batch: Float32) -> Float32:
            return batch * np.float32(len(weights.data))

        return run


class Plain(Picky):
    """A backend for which nothing speaks."""

    def advantage(self, device: str) -> str | None:
        assert device in self.devices()
        return None


class Absent(Picky):
    """A backend that is not installed."""

    def __init__(self) -> None:
        msg = "absent is not installed. Try: pip install absent"
        raise MissingDependencyError(msg)


WEIGHTS = Weights(data=b"123", kind="picky")

Only = Callable[..., None]


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Only:
    """Leave these backends alone in the registry, in this order."""

    def leave(*classes: type) -> None:
        monkeypatch.setattr(
            backends, "BUILT_IN", {one.__name__.lower(): f"{__name__}:{one.__name__}" for one in classes}
        )
        monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: [])
        monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or sys.modules[Picky.__module__])

    return leave


def test_onnx_weights_have_a_runtime_on_every_machine() -> None:
    choice = choose_backend("onnx")
    assert choice.name in {"onnxruntime", "openvino"}
    assert "cpu" in choice.devices


def test_a_runtime_with_an_advantage_runs_and_says_why(only: Only) -> None:
    only(Plain, Picky)
    choice = choose_backend("onnx")
    assert (choice.name, choice.reason) == ("picky", "fast it is")


def test_without_an_advantage_the_first_runs(only: Only) -> None:
    only(Absent, Plain)
    choice = choose_backend("onnx")
    assert (choice.name, choice.reason) == ("plain", "the first that loads onnx")


def test_what_a_person_asks_for_runs_whatever_its_advantage(only: Only) -> None:
    only(Plain, Picky)
    assert choose_backend("onnx", "plain").reason == "asked for"


def test_a_precision_leaves_the_devices_that_compute_with_it(only: Only) -> None:
    only(Picky)
    assert choose_backend("picky", precision="f16").devices == ("fast",)
    assert choose_backend("picky", precision="f32").devices == ("fast", "slow")


def test_a_precision_that_nothing_computes_with_is_answered_with_those_there_are(only: Only) -> None:
    only(Picky)
    with pytest.raises(
        BackendError, match=r"picky does not compute with bf16 on fast, slow here. Available: f16, f32, auto"
    ):
        choose_backend("picky", precision="bf16")


def test_what_is_not_installed_is_answered_with_its_pip_line_where_nothing_else_loads_the_kind(only: Only) -> None:
    only(Absent)
    with pytest.raises(MissingDependencyError, match=r"pip install absent"):
        choose_backend("picky")


def test_the_backends_that_come_with_undercast_are_known_without_their_runtimes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'undercast\[torch\]'"):
        choose_backend("pt2")


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
    assert backend_names() == (*backends.BUILT_IN, "picky")
    assert backends._registry()["onnxruntime"] == "undercast.inference.onnx:OnnxRuntime"
    assert backends._registry()["picky"] == f"{__name__}:Picky"


def test_a_device_that_fails_is_told_and_the_next_is_tried(caplog: pytest.LogCaptureFixture) -> None:
    choice = BackendChoice(name="picky", backend=Picky(), devices=("fast", "slow"))
    loaded = choice.load(WEIGHTS)
    assert (loaded.device, loaded.precision, loaded.windows) == ("slow", "f32", 2)
    assert loaded.network(np.ones((1, 1, 1, 1), np.float32))[0, 0, 0, 0] == 3
    assert "fast is broken" in caplog.text


def test_a_device_that_a_person_asked_for_is_never_exchanged() -> None:
    choice = BackendChoice(name="picky", backend=Picky(), devices=("fast",))
    with pytest.raises(BackendError, match=r"fast is broken"):
        choice.load(WEIGHTS)
