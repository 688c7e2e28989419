"""A config is read as ConfigILM writes it; the order of channels is told, never guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.classifier_spec import CHANNEL_ORDERS
from undercast.errors import ModelError
from undercast.scene_labels import load_nomenclature
from undercast.training.bigearthnet.hub_config import HubConfig, channels_of, config_from_dict, read_config

PUBLISHED: dict[str, Any] = {
    "_fusion_activation": "nn.Tanh()",
    "_fusion_method": "torch.mul",
    "channels": 12,
    "class_names": [str(number) for number in range(19)],
    "classes": 19,
    "custom_fusion_activation": None,
    "custom_fusion_method": None,
    "drop_path_rate": 0.15,
    "drop_rate": 0.15,
    "fusion_dropout_rate": 0.25,
    "fusion_hidden": 256,
    "fusion_in": 512,
    "fusion_out": 512,
    "hf_model_name": None,
    "image_size": 120,
    "load_pretrained_hf_if_available": True,
    "load_pretrained_timm_if_available": False,
    "max_sequence_length": 32,
    "network_type": 0,
    "t_dropout_rate": 0.25,
    "timm_model_name": "resnet50",
    "use_pooler_output": True,
    "v_dropout_rate": 0.25,
    "visual_features_out": 512,
}


def test_a_published_config_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(PUBLISHED), "utf-8")
    config = read_config(tmp_path)
    assert (config.timm_model_name, config.channels, config.classes, config.drop_rate) == ("resnet50", 12, 19, 0.15)
    assert config.labels == load_nomenclature().labels


def test_labels_of_its_own_are_kept() -> None:
    names = [f"label {number}" for number in range(3)]
    assert config_from_dict(PUBLISHED | {"classes": 3, "class_names": names}, origin="here").labels == tuple(names)


@pytest.mark.parametrize("order", ["v0.1.1", "v0.2.0"])
def test_the_published_name_tells_configuration_and_order(order: Any) -> None:
    config = config_from_dict(PUBLISHED, origin="here")
    assert channels_of(config, f"BIFOLD-BigEarthNetv2-0/resnet50-all-{order}") == ("all", order)
    assert channels_of(config, f"/models/resnet50-all-{order}/") == ("all", order)


def test_a_name_that_tells_nothing_is_not_guessed_at() -> None:
    config = config_from_dict(PUBLISHED, origin="here")
    with pytest.raises(ModelError, match=r"band configuration is told neither by config\.json nor by its name"):
        channels_of(config, "models/mine")
    with pytest.raises(ModelError, match="order of channels is told neither"):
        channels_of(config, "models/mine", configuration="all")
    assert channels_of(config, "models/mine", configuration="all", order="v0.1.1") == ("all", "v0.1.1")


def test_a_wrong_order_is_refused_where_something_else_tells() -> None:
    config = config_from_dict(PUBLISHED, origin="here")
    with pytest.raises(ModelError, match=r"contradicted: its name says 'v0\.2\.0', you says 'v0\.1\.1'"):
        channels_of(config, "x/resnet50-all-v0.2.0", order="v0.1.1")
    ours = config_from_dict(PUBLISHED | {"channel_order": "v0.1.1", "band_configuration": "all"}, origin="here")
    with pytest.raises(ModelError, match=r"config\.json says 'v0\.1\.1', its name says 'v0\.2\.0'"):
        channels_of(ours, "x/resnet50-all-v0.2.0")


def test_another_number_of_channels_is_refused() -> None:
    with pytest.raises(ModelError, match=r"expected 2 channels \(s1, v0\.1\.1: VH, VV\), got 12"):
        channels_of(config_from_dict(PUBLISHED, origin="here"), "x/resnet50-s1-v0.1.1")


def test_unknown_orders_and_configurations_are_refused() -> None:
    config = config_from_dict(PUBLISHED, origin="here")
    for name in ("x/resnet50-all-v9.9.9", "x/resnet50-most-v0.2.0"):
        with pytest.raises(ModelError, match=r"is not known\. Known: "):
            channels_of(config, name)


@given(st.sampled_from([(order, name) for order, known in CHANNEL_ORDERS.items() for name in known]))
def test_every_configuration_is_found_by_its_name(pair: Any) -> None:
    order, name = pair
    config = HubConfig(timm_model_name="resnet18", channels=len(CHANNEL_ORDERS[order][name]))
    assert channels_of(config, f"x/resnet18-{name}-{order}") == (name, order)


def test_a_folder_without_a_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"expected config\.json, got: No such file"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is not JSON"),
        ("[1]", "expected an object with timm_model_name and channels"),
        (json.dumps({"channels": 3}), "expected an object with timm_model_name"),
        (json.dumps(PUBLISHED | {"channels": "12"}), "channels: expected int, got '12'"),
        (json.dumps(PUBLISHED | {"channels": True}), "channels: expected int, got True"),
        (json.dumps(PUBLISHED | {"channels": 10**9}), "expected 1 to 64 channels"),
        (json.dumps(PUBLISHED | {"network_type": 1}), "expected network_type 0"),
        (json.dumps(PUBLISHED | {"classes": 43}), "expected a label for each of 43 classes, got 19"),
        ("[" * 100_000, "is not JSON"),
        (" " * 2**20 + "{}", "expected an object with timm_model_name"),
    ],
)
def test_wrong_configs_are_refused(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text, "utf-8")
    with pytest.raises(ModelError) as error:
        read_config(tmp_path)
    assert told in str(error.value)
    assert "\n" not in str(error.value)
