"""Members are the assets with the role of weights, each of a kind that runs no code when it is read."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from undercast.errors import ModelError, TrustError
from undercast.models.members import kind_of, local_name
from undercast.models.package import read_package

make = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "models" / "make.py")))


@pytest.mark.parametrize(
    ("artifact", "name", "kind"),
    [
        ("onnx", "a.onnx", "onnx"),
        ("torch.export.pt2", "a.pt2", "pt2"),
        ("torch.export.save", "a.bin", "pt2"),
        ("safetensors.torch.save_file", "a.safetensors", "safetensors"),
        (None, "a.safetensor", "safetensors"),
        (None, "A.ONNX", "onnx"),
    ],
)
def test_the_kind_is_told_by_the_artifact_type_or_else_by_the_name(artifact: str | None, name: str, kind: str) -> None:
    assert kind_of(artifact, name, origin="x") == kind


@pytest.mark.parametrize(
    ("artifact", "name", "words"),
    [
        ("torch.jit.save", "a.pt", r"TorchScript, which can run any code. Export the network with torch.export.save"),
        ("torch.save", "a.pt2", "a pickle, which runs code when it is opened"),
        (None, "a.pth", "a pickle"),
        ("tf.saved_model.save", "a", "of a kind that undercast does not read. It reads onnx, pt2, safetensors"),
        (None, "load.py", "of a kind that undercast does not read"),
    ],
)
def test_what_can_run_code_is_refused_with_the_way_out(artifact: str | None, name: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        kind_of(artifact, name, origin="x")


def test_a_remote_file_lies_beside_its_item_under_its_last_name() -> None:
    assert local_name("https://host/deep/a.pt2?download=true#x", origin="x") == "a.pt2"
    assert local_name("s3://bucket/a.onnx", origin="x") == "a.onnx"


@pytest.mark.parametrize("href", ["https://host", "https://host/", "gopher://host/a", "https:a.pt2", "https://[/a"])
def test_an_address_that_names_no_file_is_refused(href: str) -> None:
    with pytest.raises(TrustError, match=r"expected a file inside the package folder, or a URL"):
        local_name(href, origin="x")


def edited(folder: Path, **member: Any) -> Path:
    make.tiny_package(folder, members=2)
    item = json.loads((folder / "item.json").read_text())
    item["assets"]["member_2"] |= member
    (folder / "item.json").write_text(json.dumps(item))
    return folder


def test_a_member_of_a_strict_package_may_have_a_window_of_its_own(tmp_path: Path) -> None:
    own = {"undercast:window": {"size": 64, "multiple": 8, "overlap": 8}}
    package = read_package(edited(tmp_path / "model", **{"undercast:member": own}))
    assert [package.spec_of(member).window for member in package.members] == [32, 64]
    assert package.members[0].spec is None


def test_members_that_tell_other_classes_are_refused(tmp_path: Path) -> None:
    folder = edited(tmp_path / "model", **{"undercast:member": {"undercast:layers": ["cloud"]}})
    with pytest.raises(ModelError, match=r"undercast:member: expected the package's own name, version and classes"):
        read_package(folder)
