"""Hub folders in the published layout are loaded, saved and loaded again with the same logits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from undercast.classifier_spec import CHANNEL_ORDERS
from undercast.errors import ModelError
from undercast.scene_labels import load_nomenclature
from undercast.training.bigearthnet.hub import HubModel, load_classifier, save_classifier
from undercast.training.bigearthnet.hub_config import HubConfig
from undercast.training.bigearthnet.module import SceneClassifier
from undercast.training.bigearthnet.networks import SMALL, backbone

FIELDS: dict[str, Any] = {"class_names": [str(number) for number in range(19)], "classes": 19, "image_size": 120}
FIELDS |= {"network_type": 0, "fusion_in": 512, "_fusion_method": "torch.mul", "custom_fusion_method": None}


def patches(channels: int) -> Tensor:
    return torch.randn(2, channels, 120, 120, generator=torch.Generator().manual_seed(1))


def published(folder: Path, network: str, channels: int, **changed: Any) -> torch.nn.Module:
    """Write a folder as the publisher's code does, with random weights, and give its network."""
    torch.manual_seed(7)
    made = backbone(HubConfig(timm_model_name=network, channels=channels, drop_rate=0.15)).eval()
    folder.mkdir(parents=True)
    config = FIELDS | {"timm_model_name": network, "channels": channels, "drop_rate": 0.15} | changed
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    save_file({f"model.vision_encoder.{name}": value for name, value in made.state_dict().items()}, weights(folder))
    return made


def weights(folder: Path) -> Path:
    return folder / "model.safetensors"


def logits(model: HubModel | torch.nn.Module, channels: int) -> Tensor:
    with torch.no_grad():
        given: Tensor = (model.classifier if isinstance(model, HubModel) else model)(patches(channels))
    return given


@pytest.mark.parametrize("network", [SMALL, "resnet18", "mobilevit_s"])
@pytest.mark.parametrize(("order", "configuration"), [("v0.1.1", "all"), ("v0.2.0", "s2")])
def test_a_published_folder_goes_round_with_the_same_logits(
    network: str, order: Any, configuration: str, tmp_path: Path
) -> None:
    if network != SMALL:
        pytest.importorskip("timm", reason="timm needs a torchvision built for the same torch", exc_type=ImportError)
    layers = CHANNEL_ORDERS[order][configuration]
    extra = {} if order == "v0.1.1" else {"drop_path_rate": 0.15}
    folder = tmp_path / f"{network}-{configuration}-{order}"
    original = published(folder, network, len(layers), **extra)
    loaded = load_classifier(str(folder))
    assert (loaded.channel_order, loaded.layers) == (order, layers)
    assert loaded.labels == load_nomenclature().labels
    torch.testing.assert_close(logits(loaded, len(layers)), logits(original, len(layers)), rtol=0, atol=0)
    again = tmp_path / "again" / folder.name
    save_classifier(loaded.classifier, again, card="# A card")
    assert load_file(weights(again)).keys() == load_file(weights(folder)).keys()
    second = load_classifier(str(again))
    torch.testing.assert_close(logits(second, len(layers)), logits(original, len(layers)), rtol=0, atol=0)
    assert (again / "README.md").read_text("utf-8") == "# A card"


def test_from_pretrained_of_the_mixin_gives_the_same(tmp_path: Path) -> None:
    original = published(tmp_path / "scene-small-rgb-v0.2.0", SMALL, 3)
    loaded: Any = SceneClassifier.from_pretrained(str(tmp_path / "scene-small-rgb-v0.2.0"))
    assert not loaded.training
    torch.testing.assert_close(logits(loaded, 3), logits(original, 3), rtol=0, atol=0)


def test_our_config_says_what_the_channels_are(tmp_path: Path) -> None:
    config = HubConfig(timm_model_name=SMALL, channels=2, band_configuration="s1", channel_order="v0.1.1")
    save_classifier(SceneClassifier(config), tmp_path / "mine", card="")
    assert load_classifier(str(tmp_path / "mine")).layers == ("VH", "VV")
    with pytest.raises(ModelError, match="order of channels is contradicted"):
        load_classifier(str(tmp_path / "mine"), channel_order="v0.2.0")


def test_a_model_of_the_hub_is_fetched_by_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published(tmp_path / "snapshot", SMALL, 10)
    asked = []

    def fetch(source: str, *, allow_patterns: list[str]) -> str:
        asked.append((source, *allow_patterns))
        return str(tmp_path / "snapshot")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    loaded = load_classifier("BIFOLD-BigEarthNetv2-0/scene-small-s2-v0.1.1")
    assert loaded.layers == CHANNEL_ORDERS["v0.1.1"]["s2"]
    assert asked == [("BIFOLD-BigEarthNetv2-0/scene-small-s2-v0.1.1", "config.json", "model.safetensors")]


def test_a_checkpoint_of_another_class_count_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "scene-small-rgb-v0.2.0"
    published(folder, SMALL, 3)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    names = [f"label {number}" for number in range(43)]
    (folder / "config.json").write_text(json.dumps(config | {"classes": 43, "class_names": names}), "utf-8")
    with pytest.raises(ModelError, match=r"classifier\.\w+: expected shape \(43, ?\d*\) .* got \(19, ?\d*\)"):
        load_classifier(str(folder))


def test_a_folder_without_config_or_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty-rgb-v0.2.0").mkdir()
    for load in (load_classifier, SceneClassifier.from_pretrained):
        with pytest.raises(ModelError, match=r"expected config\.json"):
            load(str(tmp_path / "empty-rgb-v0.2.0"))
    folder = tmp_path / "scene-small-rgb-v0.2.0"
    published(folder, SMALL, 3)
    weights(folder).unlink()
    with pytest.raises(ModelError, match=r"model\.safetensors cannot be read: No such file"):
        load_classifier(str(folder))
