"""`undercast models pull`, `pack` and `push`, and a model that is named by its URL."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import rasterio

if TYPE_CHECKING:
    from click.testing import Result

DATA = Path(__file__).parents[1] / "data"
SERVER = SimpleNamespace(**runpy.run_path(str(DATA / "server" / "make.py")))

PLAN = """
[model]
id = "mine"
version = "2.0.0"
bands = ["blue", "green", "red"]
window = { size = 32, multiple = 8, overlap = 8 }

[package]
architecture = "pointwise convolution"
description = "Clouds for tests."
license = "CC0-1.0"
"""


@pytest.fixture
def site(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("UNDERCAST_CACHE", str(tmp_path / "cache"))
    with SERVER.serving() as running:
        for path in package.iterdir():
            running.routes[f"/m/{path.name}"] = path.read_bytes()
        yield running


def without_checksums(site: Any) -> None:
    item = json.loads(site.routes["/m/item.json"])
    for key in ("undercast:package_version", "undercast:version"):
        item["properties"].pop(key)
    for asset in item["assets"].values():
        asset.pop("file:checksum")
    site.routes["/m/item.json"] = json.dumps(item).encode()


def test_pull_fetches_once_and_says_so(cli: Callable[..., Result], site: Any) -> None:
    first = json.loads(cli("models", "pull", f"{site.url}/m", "--json").stdout)
    assert (first["id"], first["members"], first["verified"]) == ("tiny", 1, True)
    assert "member_1.onnx" in first["fetched"]
    assert Path(first["item"]).is_file()
    again = cli("models", "pull", f"{site.url}/m").stdout
    assert "nothing: it was there, unchanged" in again


def test_pull_refuses_a_change_in_one_line(cli: Callable[..., Result], site: Any) -> None:
    cli("models", "pull", f"{site.url}/m")
    site.routes["/m/item.json"] = site.routes["/m/item.json"].replace(b"Tiny", b"Tony")
    result = cli("models", "pull", f"{site.url}/m")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("TrustError: model http")
    assert result.stderr.count("\n") == 1
    assert cli("models", "pull", "--update", f"{site.url}/m").exit_code == 0


@pytest.mark.parametrize(("reference", "status"), [("hf:x", 2), ("ftp://a/b", 2), ("here", 2)])
def test_pull_refuses_what_is_no_reference(cli: Callable[..., Result], reference: str, status: int) -> None:
    result = cli("models", "pull", reference)
    assert (result.exit_code, result.stderr.count("\n")) == (status, 1)
    assert result.stderr.startswith("UsageError: ")


def test_show_takes_a_reference(cli: Callable[..., Result], site: Any) -> None:
    shown = json.loads(cli("models", "show", f"{site.url}/m", "--json").stdout)
    assert (shown["id"], shown["verified"]) == ("tiny", True)


def test_mask_takes_a_reference_and_refers_to_it(
    cli: Callable[..., Result], site: Any, scene: Path, tmp_path: Path
) -> None:
    told = json.loads(cli("mask", scene, "-o", tmp_path / "out", "--model", f"{site.url}/m", "--json").stdout)
    assert told["model"]["verified"] is True
    item = json.loads(Path(told["item"]).read_text("utf-8"))
    assert f"{site.url}/m/item.json" in [link["href"] for link in item["links"]]


def test_an_unverified_model_needs_a_word_and_marks_its_outputs(
    cli: Callable[..., Result], site: Any, scene: Path, tmp_path: Path
) -> None:
    without_checksums(site)
    arguments = ("mask", scene, "-o", tmp_path / "out", "--model", f"{site.url}/m", "--json")
    refused = cli(*arguments)
    assert refused.exit_code == 1
    assert "--allow-unverified" in refused.stderr

    told = json.loads(cli(*arguments, "--allow-unverified").stdout)
    assert told["model"]["verified"] is False
    item = json.loads(Path(told["item"]).read_text("utf-8"))
    assert item["properties"]["undercast:model"]["verified"] is False
    assert len(item["properties"]["undercast:model"]["checksums"][0]) == 68
    assert "not verified" in item["properties"]["description"]
    with rasterio.open(told["class_map"]) as dataset:
        assert dataset.tags()["UNDERCAST_UNVERIFIED"] == "YES"


def test_pull_takes_an_unverified_model_with_a_word(cli: Callable[..., Result], site: Any) -> None:
    without_checksums(site)
    assert "--allow-unverified" in cli("models", "pull", f"{site.url}/m").stderr
    told = json.loads(cli("models", "pull", f"{site.url}/m", "--allow-unverified", "--json").stdout)
    assert told["verified"] is False


def test_test_takes_an_unverified_model_with_a_word(cli: Callable[..., Result], site: Any) -> None:
    without_checksums(site)
    assert "--allow-unverified" in cli("models", "test", f"{site.url}/m").stderr
    assert "--allow-unverified" not in cli("models", "test", f"{site.url}/m", "--allow-unverified").stderr


def test_pack_then_push_without_sending_then_mask(
    cli: Callable[..., Result], package: Path, scene: Path, tmp_path: Path
) -> None:
    (tmp_path / "plan.toml").write_text(PLAN, "utf-8")
    packed = cli("models", "pack", package / "member_1.onnx", "--spec", tmp_path / "plan.toml", "-o", tmp_path / "mine")
    assert packed.stdout == f"{tmp_path / 'mine'}: mine 2.0.0 (card.md, item.json, member_1.onnx)\n"

    shown = cli("models", "push", tmp_path / "mine", "hf:a/b", "--dry-run").stdout
    assert "member_1.onnx" in shown
    assert "bytes would go to https://huggingface.co/a/b (main)" in shown
    told = json.loads(cli("models", "push", tmp_path / "mine", "hf:a/b", "--dry-run", "--json").stdout)
    assert (told["repo"], told["commit"], len(told["files"])) == ("a/b", None, 3)

    assert cli("mask", scene, "-o", tmp_path / "out", "--model", tmp_path / "mine").exit_code == 0


def test_a_scene_classifier_is_pulled_and_opened_by_its_reference(
    cli: Callable[..., Result], site: Any, tmp_path: Path
) -> None:
    from undercast.classification.package import open_classifier

    classifiers = SimpleNamespace(**runpy.run_path(str(DATA / "classifiers" / "make.py")))
    for path in classifiers.tiny_classifier(tmp_path / "labels").iterdir():
        site.routes[f"/labels/{path.name}"] = path.read_bytes()
    pulled = json.loads(cli("models", "pull", f"{site.url}/labels", "--json").stdout)
    assert (pulled["id"], pulled["members"], pulled["verified"]) == ("tiny-classifier", 1, True)
    package = open_classifier(f"{site.url}/labels")
    assert package.identity.href == f"{site.url}/labels/item.json"
    assert (package.item.parent / "example.png").is_file()
