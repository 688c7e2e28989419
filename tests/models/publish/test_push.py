"""Push: what the item names goes to a hub in one commit, after it has been verified; a dry run sends nothing."""

from __future__ import annotations

import json
import runpy
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from undercast.errors import DownloadError, ModelError, TrustError, UsageError
from undercast.models.fetch.pull import open_package
from undercast.models.publish.push import plan_push, push

DATA = Path(__file__).parents[2] / "data"
SERVER = SimpleNamespace(**runpy.run_path(str(DATA / "server" / "make.py")))
MODELS = SimpleNamespace(**runpy.run_path(str(DATA / "models" / "make.py")))

OLD_CALL = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
"""huggingface_hub 2.4 calls its own HTTP library in a way that this one discourages."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made: Path = MODELS.tiny_package(tmp_path / "tiny", members=2)
    (made / "notes.txt").write_text("mine", "utf-8")
    return made


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("UNDERCAST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_TOKEN", "secret")
    # Not by its variable: the library reads that once, and another test may have imported it.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    with SERVER.serving() as site:
        monkeypatch.setenv("HF_ENDPOINT", site.url)
        yield site


def test_a_plan_names_the_item_and_its_files_and_nothing_else(folder: Path) -> None:
    plan = plan_push(folder, "hf:a/b/deep@dev")
    assert plan.files == ("item.json", "member_1.onnx", "member_2.onnx", "card.md")
    assert plan.sizes == tuple((folder / name).stat().st_size for name in plan.files)
    assert (plan.repo, plan.path, plan.revision, plan.title) == ("a/b", "deep", "dev", "tiny 1.0.0")


@OLD_CALL
def test_what_was_pushed_is_pulled_again(hub: Any, folder: Path) -> None:
    stored = SERVER.stand_in_for_hub(hub, "a/b")
    url = push(plan_push(folder, "hf:a/b"))
    assert url == f"{hub.url}/a/b/commit/1"
    assert stored.pop("commit") == b"tiny 1.0.0, packed by undercast"
    assert stored == {name: (folder / name).read_bytes() for name in plan_push(folder, "hf:a/b").files}
    asked = dict(hub.asked)
    assert asked["/api/models/a/b/commit/main"]["Authorization"] == "Bearer secret"

    hub.routes |= {f"/a/b/resolve/main/{name}": data for name, data in stored.items()}
    assert open_package("hf:a/b").identity.checksums == open_package(folder).identity.checksums


@OLD_CALL
def test_a_folder_and_a_branch_of_a_repository_can_be_named(hub: Any, folder: Path) -> None:
    stored = SERVER.stand_in_for_hub(hub, "a/b", branch="dev")
    push(plan_push(folder, "hf:a/b/deep@dev"))
    assert {name for name in stored if name != "commit"} == {
        f"deep/{name}" for name in ("item.json", "member_1.onnx", "member_2.onnx", "card.md")
    }


def test_a_hub_that_refuses_is_told_in_one_line(hub: Any, folder: Path) -> None:
    hub.routes["/api/repos/create"] = SERVER.status(403)
    with pytest.raises(DownloadError, match=rf"{hub.url} refuses a/b: .*403.*Is there a login") as caught:
        push(plan_push(folder, "hf:a/b"))
    assert "\n" not in str(caught.value)


def test_offline_nothing_is_pushed(hub: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERCAST_OFFLINE", "1")
    with pytest.raises(DownloadError, match=r"UNDERCAST_OFFLINE forbids the network"):
        push(plan_push(folder, "hf:a/b"))
    assert hub.asked == []


@pytest.mark.parametrize("reference", ["https://a.example/b", "a/b", "hf:a", "hf:a/../b/c"])
def test_what_is_no_repository_is_refused(folder: Path, reference: str) -> None:
    with pytest.raises(UsageError, match=r"expected hf:owner/name"):
        plan_push(folder, reference)


def test_weights_that_changed_are_not_pushed(folder: Path) -> None:
    (folder / "member_2.onnx").write_bytes(b"other")
    with pytest.raises(TrustError, match=r"not the ones that the package declares"):
        plan_push(folder, "hf:a/b")


@pytest.mark.parametrize("change", ["changed", "missing"])
def test_a_card_that_is_not_the_one_packed_is_not_pushed(folder: Path, change: str) -> None:
    card = folder / "card.md"
    card.write_text("other", "utf-8") if change == "changed" else card.unlink()
    with pytest.raises(ModelError, match=r"expected a file with the checksum 1220"):
        plan_push(folder, "hf:a/b")


def test_a_package_whose_files_lie_elsewhere_is_not_pushed(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    item = json.loads((copy / "item.json").read_text("utf-8"))
    for key in ("undercast:package_version", "undercast:version"):
        item["properties"].pop(key)
    for asset in item["assets"].values():
        asset["href"] = f"https://a.example/{asset['href'].removeprefix('./')}"
    (copy / "item.json").write_text(json.dumps(item), "utf-8")
    with pytest.raises(ModelError, match=r"expected files beside the item, got none"):
        plan_push(copy, "hf:a/b")


def test_a_scene_classifiers_package_is_planned_too(tmp_path: Path) -> None:
    classifiers = SimpleNamespace(**runpy.run_path(str(DATA / "classifiers" / "make.py")))
    plan = plan_push(classifiers.tiny_classifier(tmp_path / "labels"), "hf:a/b")
    assert plan.files == ("item.json", "classifier.onnx", "card.md", "evaluation.json", "example.png")
    assert plan.title == "tiny-classifier 1.0.0"
