"""A package's card says what its record says, and a record of another model is refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio

from undercast.classification.writing import example_picture
from undercast.errors import ModelError, OutputExistsError
from undercast.models.card.package import card_faults


def test_the_examples_scores_are_those_of_the_packed_network(package: Path) -> None:
    scores = json.loads((package / "evaluation.json").read_text("utf-8"))["example"]["scores"]
    assert scores["Agro-forestry areas"] == round(1 / (1 + np.exp(-1.0)), 6)
    assert len(scores) == 19
    assert card_faults(package / "item.json") == ()


def test_scores_of_another_training_are_refused(make: SimpleNamespace, tmp_path: Path) -> None:
    record = make.record(example={"scores": dict.fromkeys(make.LABELS, 0.5)})
    with pytest.raises(ModelError, match=r"differs by up to 0\.23.*one training"):
        make.tiny_classifier(tmp_path / "package", record=record)
    assert list(tmp_path.iterdir()) == []


def test_the_record_of_another_model_is_refused(make: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="scores for the 19 labels of the model, got 1"):
        make.tiny_classifier(tmp_path / "package", record=make.record(per_label={"Clouds": {}}))


def test_without_an_example_the_card_says_so(make: SimpleNamespace, tmp_path: Path) -> None:
    folder = make.tiny_classifier(tmp_path / "package", example=None)
    card = (folder / "card.md").read_text("utf-8")
    assert "none (the evaluation record has no example)" in card
    assert "widget" not in card
    assert not (folder / "example.png").exists()


def test_a_package_is_never_replaced(package: Path, make: SimpleNamespace) -> None:
    with pytest.raises(OutputExistsError, match="exists already"):
        make.tiny_classifier(package)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_the_picture_is_natural_colour_by_name_not_by_place(make: SimpleNamespace) -> None:
    spec = make.tiny_spec("10m_s1")
    window = np.zeros((6, 120, 120), np.float32)
    window[spec.layers.index("B04"), :, 60:] = 2000.0
    with rasterio.MemoryFile(example_picture(spec, window)) as memory, memory.open() as picture:
        red, green, blue = picture.read()
    assert red[:, 200:].min() == 255
    assert red[:, :150].max() == green.max() == blue.max() == 0
