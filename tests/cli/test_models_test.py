"""`undercast models test`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import save

if TYPE_CHECKING:
    from click.testing import Result


@pytest.fixture
def exemplary(make: SimpleNamespace, tmp_path: Path) -> Callable[[float], Path]:
    """Write a package with example data in which the probability of thick cloud is recorded as this."""

    def write(recorded: float) -> Path:
        image = np.full((3, 16, 16), 0.9, np.float32)
        layers = np.zeros((4, 16, 16), np.float32)
        layers[1] = recorded
        details = replace(
            make.tiny_details(), examples={"example_data.safetensor": save({"example_data": image, "member_1": layers})}
        )
        folder: Path = make.write_package(
            tmp_path / "m", make.tiny_spec(), {"member_1": make.brightness_network()}, details
        )
        return folder

    return write


def test_a_package_that_answers_as_recorded_passes(
    cli: Callable[..., Result], exemplary: Callable[[float], Path]
) -> None:
    result = cli("models", "test", exemplary(1.0), "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["passed"], told["precision"]) == (0, True, "f32")
    assert told["members"][0]["difference"] < 1e-3


def test_a_package_that_answers_otherwise_fails_by_name(
    cli: Callable[..., Result], exemplary: Callable[[float], Path]
) -> None:
    result = cli("models", "test", exemplary(0.5))
    assert result.exit_code == 1
    assert "FAILED: member_1: differs from what was recorded by 0.5" in result.stdout


def test_a_package_without_example_data_is_one_line(cli: Callable[..., Result], package: Path) -> None:
    result = cli("models", "test", package)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "expected an asset with role mlm:example_data" in result.stderr
