"""Example data through every member and through all of them together."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save

from undercast.inference.ensemble import largest_std
from undercast.loading import Model, load_model
from undercast.models.example import Example
from undercast.trials import example_scene, run_trial
from undercast.types import Float32

make = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "data" / "models" / "make.py")))

Packed = Callable[..., Model]


def image() -> Float32:
    """As the networks take it: reflectance x 10000, 0 where there is no data."""
    values = 1e4 * np.random.default_rng(0).random((3, 20, 24), np.float32)
    values[:, :3, :4] = 0.0
    return values


def network(seed: int) -> bytes:
    """A network whose probabilities of cloud vary, for reflectance x 10000."""
    weights = np.random.default_rng(seed).normal(0, 4e-4, (1, 3, 1, 1)).astype(np.float32)
    data: bytes = make.convolution(weights, np.zeros(1, np.float32), end="Sigmoid")
    return data


@pytest.fixture
def packed(tmp_path: Path) -> Packed:
    """Write and load an ensemble with these tensors as example data."""

    def write(members: int = 3, **tensors: Float32) -> Model:
        spec = make.tiny_spec(classes=("cloud",), scale=1e4, fill=0.0, uncertainty="std" if members > 1 else "entropy")
        details = replace(make.tiny_details(), examples={"example_data.safetensor": save(tensors)})
        weights = {f"member_{seed}": network(seed) for seed in range(members)}
        return load_model(make.write_package(tmp_path / "m", spec, weights, details), precision="f32")

    return write


def answers(members: int = 3) -> Float32:
    weights = [np.random.default_rng(seed).normal(0, 4e-4, (1, 3, 1, 1)).astype(np.float32) for seed in range(members)]
    logits = np.stack([np.tensordot(one[0, :, 0, 0], image(), axes=1) for one in weights])
    return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def test_every_member_and_every_aggregation_is_told(packed: Packed) -> None:
    trial = run_trial(packed(example_data=image()))
    assert (trial.passed, trial.shape) == (True, (20, 24))
    assert [outcome.name for outcome in trial.members] == ["member_0", "member_1", "member_2"]
    assert [outcome.name for outcome in trial.together] == ["mean", "median", "max", "min", "vote", "std"]
    data = np.ones((20, 24), bool)
    data[:3, :4] = False
    for outcome, expected in zip(trial.members, answers(), strict=True):
        assert outcome.mean == pytest.approx(expected[data].mean(), abs=1e-4)
    told = {outcome.name: outcome.mean for outcome in trial.together}
    assert told["min"] < told["mean"] < told["max"]
    assert told["mean"] == pytest.approx(answers().mean(axis=0)[data].mean(), abs=1e-4)
    assert told["std"] == pytest.approx((answers().std(axis=0) / largest_std(3))[data].mean(), abs=1e-4)
    assert all(outcome.difference is None for outcome in (*trial.members, *trial.together))


def test_answers_are_compared_with_what_was_recorded(packed: Packed) -> None:
    spread = answers().std(axis=0, keepdims=True) / np.float32(largest_std(3))
    mean = answers().mean(axis=0, keepdims=True)
    recorded = {"member_1": answers()[1:2], "probabilities": mean, "uncertainty": spread}
    trial = run_trial(packed(example_data=image(), **recorded))
    assert trial.passed
    compared = [outcome.name for outcome in (*trial.members, *trial.together) if outcome.difference is not None]
    assert compared == ["member_1", "mean", "std"]


def test_an_answer_that_differs_is_a_problem_by_name(packed: Packed) -> None:
    trial = run_trial(packed(example_data=image(), member_1=answers()[1:2] + np.float32(0.01)))
    assert trial.problems == ("member_1: differs from what was recorded by 0.01, more than 0.001",)


def test_a_record_of_another_shape_is_a_problem_and_no_number_of_json(packed: Packed) -> None:
    trial = run_trial(packed(example_data=image(), member_1=answers()[:2]))
    assert trial.problems == ("member_1: differs from what was recorded by inf, more than 0.001",)
    assert trial.to_dict()["members"][1]["difference"] is None


def test_one_member_has_one_aggregation_and_its_own_uncertainty(packed: Packed) -> None:
    trial = run_trial(packed(members=1, example_data=image()))
    assert [outcome.name for outcome in trial.together] == ["mean", "entropy"]


def test_an_image_as_networks_take_it_becomes_reflectance(packed: Packed) -> None:
    model = packed(example_data=image())
    scene = example_scene(Example(image=image(), recorded={}), model.spec)
    np.testing.assert_allclose(scene.read()[:, 5, 5], image()[:, 5, 5] / 1e4, rtol=1e-5)
    assert not scene.valid()[:3, :4].any()
