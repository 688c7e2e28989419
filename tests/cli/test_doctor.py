"""`undercast doctor`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import pytest

from undercast import masking
from undercast.cli import doctor
from undercast.models import package as packages

if TYPE_CHECKING:
    from click.testing import Result


def test_a_healthy_installation_passes(cli: Callable[..., Result], embedded: Path) -> None:
    result = cli("doctor", "--json")
    told = json.loads(result.stdout)

    assert (result.exit_code, result.stdout.count("\n")) == (0, 1)
    assert told["works"] is True
    assert told["numpy"] == np.__version__
    assert told["drivers"]["COG"] is True
    assert set(told["drivers"]) == {"COG", "JP2OpenJPEG", "HDF5", "netCDF", "HDF4", "Zarr"}
    assert told["backends"]["onnxruntime"]["cpu"] == ["f32"]
    assert told["choices"]["onnx"]["reason"]
    assert told["model"]["verified"] is True
    assert told["self_test"]["seconds"] > 0


def test_words_for_people_say_that_it_works(cli: Callable[..., Result], embedded: Path) -> None:
    words = cli("doctor").stdout

    assert "tiny 1.0.0, verified" in words
    assert "self-test" in words
    assert "passed in" in words


def test_a_runtime_that_is_not_installed_is_answered_with_its_pip_line(
    cli: Callable[..., Result], embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    words = cli("doctor").stdout

    assert "onnx weights" in words
    assert words.count("pip install 'undercast[torch]'") == 3  # the backend, and two kinds that nothing else loads


def test_a_changed_weight_is_found(cli: Callable[..., Result], embedded: Path) -> None:
    weights = embedded / "member_1.onnx"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    result = cli("doctor")

    assert result.exit_code == 1
    assert "TrustError" in result.stdout
    assert "FAILED" in result.stdout


def test_a_missing_model_is_found(cli: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_models_folder", lambda: tmp_path)
    told = json.loads(cli("doctor", "--json").stdout)

    assert (told["works"], told["model"]["verified"]) == (False, False)


def test_a_defect_in_the_self_test_is_told(embedded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> NoReturn:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(masking, "predict", fail)

    assert doctor.self_test()["error"].startswith("UnexpectedError: ZeroDivisionError")


@pytest.mark.parametrize(("name", "there"), [("numpy", True), ("no-such-distribution", False)])
def test_versions_come_from_the_installed_distributions(name: str, there: bool) -> None:
    assert (doctor.distribution(name) is not None) == there


@pytest.mark.parametrize(
    ("precision", "agreement", "words"),
    [
        ("f32", None, "f32"),
        ("bf16", None, "bf16, which the first scenes are to show to be as good as f32"),
        (
            "bf16",
            {"share": 0.9995, "pixels": 70_000, "settled": True},
            "bf16: 99.950 % of 70000 pixels had the class of f32",
        ),
        (
            "f32",
            {"share": 0.99, "pixels": 70_000, "settled": True},
            "f32: 99.000 % of 70000 pixels had the class of f32 with less",
        ),
        (
            "bf16",
            {"share": 1.0, "pixels": 9, "settled": False},
            "bf16: so far 100.000 % of 9 pixels had the class of f32; further scenes are compared",
        ),
    ],
)
def test_why_the_model_runs_in_its_precision_is_said(
    precision: str, agreement: dict[str, object] | None, words: str
) -> None:
    assert doctor.why_this_precision({"precision": precision, "agreement": agreement}) == words


def test_the_self_test_is_no_comparison_of_precisions(
    embedded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERCAST_CACHE", str(tmp_path / "cache"))
    assert doctor.self_test()["agreement"] is None
    assert not (tmp_path / "cache" / "precision").exists()
