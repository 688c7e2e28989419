"""A classifier's package is written whole and read strictly."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from undercast.classification.package import open_classifier, read_classifier
from undercast.errors import ModelError, TrustError, UnknownModelError
from undercast.models.package import read_package
from undercast.models.trust.checksums import file_multihash


def test_a_package_holds_item_weights_record_card_and_picture(package: Path, make: SimpleNamespace) -> None:
    names = {path.name for path in package.iterdir()}
    assert names == {"item.json", "classifier.onnx", "evaluation.json", "card.md", "example.png"}
    read = open_classifier(package)
    assert read.spec == make.tiny_spec()
    assert read.identity.checksums == (file_multihash(package / "classifier.onnx"),)
    assets = json.loads((package / "item.json").read_text("utf-8"))["assets"]
    assert {Path(one["href"]).name: one["file:checksum"] for one in assets.values()} == {
        name: file_multihash(package / name) for name in names - {"item.json"}
    }


def test_it_opens_by_its_folder_as_text(package: Path) -> None:
    assert open_classifier(str(package)) == read_classifier(package)


def test_a_hub_folder_says_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", "utf-8")
    with pytest.raises(ModelError, match=r"got a hub folder for PyTorch \(config.json\)\. Make a package of it"):
        open_classifier(tmp_path)


def test_a_folder_without_config_and_item_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"neither item.json nor config.json"):
        open_classifier(tmp_path)


def test_a_name_that_is_nothing_is_refused() -> None:
    with pytest.raises(UnknownModelError, match="'no-such-model' is not known"):
        open_classifier("no-such-model")


def test_a_cloud_model_takes_no_classifier_and_the_other_way_round(package: Path, make: SimpleNamespace) -> None:
    with pytest.raises(ModelError, match="undercast classify --model"):
        read_package(package)
    with pytest.raises(ModelError, match="a scene classifier that undercast packed"):
        open_classifier("embedded")


def test_a_newer_package_is_refused(package: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(package, tmp_path / "copy"))
    item = json.loads((folder / "item.json").read_text("utf-8"))
    item["properties"]["undercast:package_version"] = 99
    (folder / "item.json").write_text(json.dumps(item), "utf-8")
    with pytest.raises(ModelError, match="package version 99"):
        read_classifier(folder)


def test_weights_outside_the_folder_are_refused(package: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(package, tmp_path / "copy"))
    item = json.loads((folder / "item.json").read_text("utf-8"))
    item["assets"]["classifier"]["href"] = "../other.onnx"
    (folder / "item.json").write_text(json.dumps(item), "utf-8")
    with pytest.raises(TrustError, match="inside the package folder"):
        read_classifier(folder)
