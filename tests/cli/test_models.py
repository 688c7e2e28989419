"""`undercast models`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from click.testing import Result


def test_list_gives_each_model_with_its_bands(cli: Callable[..., Result], embedded: Path) -> None:
    listed = json.loads(cli("models", "list", "--json").stdout)

    assert [model["name"] for model in listed] == ["embedded"]
    assert [band["common_name"] for band in listed[0]["bands"]] == ["blue", "green", "red"]
    assert "embedded" in cli("models", "list").stdout


def test_list_keeps_models_that_work_with_the_bands(cli: Callable[..., Result], embedded: Path) -> None:
    fitting = json.loads(cli("models", "list", "--bands", "blue,green,red,nir", "--json").stdout)
    others = cli("models", "list", "--bands", "red,nir")

    assert len(fitting) == 1
    assert (others.exit_code, others.stdout) == (0, "")
    assert others.stderr == "No model works with red,nir.\n"


def test_list_refuses_a_band_that_is_none(cli: Callable[..., Result], embedded: Path) -> None:
    result = cli("models", "list", "--bands", "purple")

    assert result.exit_code == 2
    assert result.stderr.startswith("BandError: band 'purple' is not a known common name.")


def test_show_gives_spec_members_and_card(cli: Callable[..., Result], embedded: Path) -> None:
    shown = json.loads(cli("models", "show", "embedded", "--json").stdout)

    assert (shown["id"], shown["version"], shown["window"]) == ("tiny", "1.0.0", 32)
    assert [member["name"] for member in shown["members"]] == ["member_1", "member_2"]
    assert shown["members"][0]["checksum"].startswith("1220")
    assert shown["verified"] is True
    assert shown["card"] == str(embedded / "card.md")


def test_show_takes_the_folder_of_a_package(cli: Callable[..., Result], package: Path) -> None:
    words = cli("models", "show", package).stdout

    for part in ("tiny 1.0.0", "the most probable class", "member_1", "pointwise convolution", "card.md"):
        assert part in words


def test_show_says_when_weights_are_not_those_that_were_packed(
    cli: Callable[..., Result], package: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(package, copy)
    weights = copy / "member_1.onnx"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    shown = json.loads(cli("models", "show", copy, "--json").stdout)

    assert shown["verified"] is False
    assert "not the ones that the package declares" in shown["members"][0]["error"]


def test_an_unknown_model_is_a_usage_error(cli: Callable[..., Result], embedded: Path) -> None:
    result = cli("models", "show", "oracle")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("UnknownModelError: model 'oracle' is not known. Known: embedded;")
