"""`undercast models optimize`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from undercast import optimizing
from undercast.optimizing import MemberGain

if TYPE_CHECKING:
    from click.testing import Result


@pytest.fixture
def gains(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool, bool]]:
    """Stand in for the conversion; gives what was asked for."""
    asked: list[tuple[str, bool, bool]] = []

    def optimize(
        name: str, *, again: bool, allow_unverified: bool, progress: Callable[[str], None]
    ) -> tuple[MemberGain, ...]:
        asked.append((name, again, allow_unverified))
        progress("unet")
        made = MemberGain(
            name="unet",
            path=Path("unet.onnx"),
            made=True,
            difference=2e-6,
            seconds=(2.0, 0.25),
            runtime="openvino, bf16",
        )
        return (made, MemberGain(name="plain", path=None, runtime="openvino, bf16"))

    monkeypatch.setattr(optimizing, "optimize", optimize)
    return asked


def test_each_member_is_told_with_its_gain(cli: Callable[..., Result], gains: list[tuple[str, bool, bool]]) -> None:
    result = cli("models", "optimize", "some")
    assert (result.exit_code, gains) == (0, [("some", False, False)])
    assert result.stderr == "unet ...\n"
    assert [line.split() for line in result.stdout.splitlines()[-2:]] == [
        ["unet", "converted", "2.0e-06", "2.00", "0.25", "openvino,", "bf16"],
        ["plain", "runs", "as", "it", "is", "openvino,", "bf16"],
    ]


def test_json_holds_plain_values(cli: Callable[..., Result], gains: list[tuple[str, bool, bool]]) -> None:
    told = json.loads(cli("models", "optimize", "some", "--again", "--allow-unverified", "--json").stdout)
    assert gains == [("some", True, True)]
    assert told["members"][0]["seconds_after"] == 0.25
    assert told["members"][1] == {
        "name": "plain",
        "status": "runs as it is",
        "path": None,
        "difference": None,
        "seconds_before": None,
        "seconds_after": None,
        "runtime": "openvino, bf16",
    }


def test_a_package_of_onnx_members_has_nothing_to_convert(cli: Callable[..., Result], package: Path) -> None:
    told = json.loads(cli("models", "optimize", package, "--json").stdout)
    assert [member["status"] for member in told["members"]] == ["runs as it is"]
