"""A classifier of the hub becomes a package that gives the same scores without PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from undercast.classification.classifier import load_classifier as load_package
from undercast.classification.package import read_classifier
from undercast.classifier_spec import normalised
from undercast.errors import ModelError, OutputExistsError
from undercast.training.bigearthnet.hub import save_classifier
from undercast.training.bigearthnet.hub_config import HubConfig
from undercast.training.bigearthnet.hub_package import pack_hub_classifier
from undercast.training.bigearthnet.module import SceneClassifier


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    classifier = SceneClassifier(HubConfig(timm_model_name="scene-small", channels=3)).eval()
    save_classifier(classifier, tmp_path / "scene-small-rgb-v0.1.1", card="")
    return tmp_path / "scene-small-rgb-v0.1.1"


def test_the_package_gives_the_scores_of_the_hub_model(folder: Path, tmp_path: Path) -> None:
    package = load_package(read_classifier(pack_hub_classifier(str(folder), tmp_path / "packed")))
    assert (package.spec.id, package.spec.version, package.spec.layers) == (
        "scene-small-rgb",
        "0.1.1",
        ("B04", "B03", "B02"),
    )
    windows = np.random.default_rng(0).uniform(0, 4000, (2, 3, 120, 120)).astype(np.float32)
    with torch.no_grad():
        logits = SceneClassifier.from_pretrained(str(folder))(torch.from_numpy(normalised(package.spec, windows)))
    assert package.scores(windows) == pytest.approx(torch.sigmoid(logits).numpy(), abs=1e-5)
    card = (tmp_path / "packed" / "card.md").read_text("utf-8")
    assert "Its figures were not measured here" in card


def test_nothing_is_written_where_the_order_of_channels_is_not_told(folder: Path, tmp_path: Path) -> None:
    folder.rename(tmp_path / "mine")
    with pytest.raises(ModelError, match="is told neither"):
        pack_hub_classifier(str(tmp_path / "mine"), tmp_path / "packed")
    assert not (tmp_path / "packed").exists()


def test_an_existing_package_is_not_touched(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputExistsError, match="exists already"):
        pack_hub_classifier(str(folder), tmp_path)
