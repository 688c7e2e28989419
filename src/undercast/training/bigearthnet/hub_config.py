"""Hub config: what config.json of a published model says, and in which order of channels it was trained."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from undercast.classifier_spec import CHANNEL_ORDERS, ChannelOrder
from undercast.errors import ModelError
from undercast.scene_labels import load_nomenclature

CONFIG = "config.json"
"""Name of the file."""
LARGEST_CONFIG = 1024**2
"""Size of it, at most, in bytes."""
CLASSIFICATION = 0
"""``network_type`` of image classification."""

_NAME = re.compile(r"(?P<network>.+)-(?P<configuration>[a-z0-9_]+)-(?P<order>v[0-9]+\.[0-9]+\.[0-9]+)")


@dataclass(frozen=True, kw_only=True)
class HubConfig:
    """The fields of ConfigILM's configuration that a classifier has, and two of our own that say what its channels are.

    ConfigILM leaves out fields that it does not know, so that it opens our folders, and so do we with its.
    """

    timm_model_name: str
    """Name of the network."""
    image_size: int = 120
    """Side of a patch, in pixels."""
    channels: int
    """Layers that go in."""
    classes: int = 19
    """Labels that come out."""
    class_names: tuple[str, ...] | None = None
    """Numbers as texts in published folders, where the labels are BigEarthNet's in lexicographic order."""
    network_type: int = CLASSIFICATION
    """0: image classification."""
    drop_rate: float | None = 0.2
    """Share of features that training drops before the last layer."""
    drop_path_rate: float | None = None
    """Share of blocks that training goes around."""
    band_configuration: str | None = None
    """Ours: name of the band configuration; None in published folders."""
    channel_order: str | None = None
    """Ours: version whose order of channels it was trained with; None in published folders."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels, in the order of the output."""
        named = self.class_names or ()
        return load_nomenclature().labels if all(name.isdecimal() for name in named) else named


def read_config(folder: Path) -> HubConfig:
    """Read the config of a hub folder.

    Raises:
        ModelError: If there is none, it is no JSON object, or a value is of a wrong kind.
    """
    path = folder / CONFIG
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_CONFIG + 1)
        table = json.loads(text) if len(text) <= LARGEST_CONFIG else None
    except OSError as error:
        msg = f"hub folder {folder}: expected {CONFIG}, got: {error.strerror}. Without it the network is not known."
        raise ModelError(msg) from error
    except (ValueError, RecursionError) as error:
        msg = f"{path} is not JSON: {error}."
        raise ModelError(msg) from error
    return config_from_dict(table, origin=str(path))


def config_from_dict(table: Any, *, origin: str) -> HubConfig:
    """Make a config of JSON values; keys that are not ours are left out.

    Raises:
        ModelError: If it is no object, lacks a key, or a value is of a wrong kind.
    """
    kinds: dict[str, tuple[type, ...]] = {
        "timm_model_name": (str,),
        "image_size": (int,),
        "channels": (int,),
        "classes": (int,),
        "class_names": (list, type(None)),
        "network_type": (int,),
        "drop_rate": (int, float, type(None)),
        "drop_path_rate": (int, float, type(None)),
        "band_configuration": (str, type(None)),
        "channel_order": (str, type(None)),
    }
    if not isinstance(table, dict) or not {"timm_model_name", "channels"} <= set(table):
        msg = f"{origin}: expected an object with timm_model_name and channels, as ConfigILM writes it."
        raise ModelError(msg)
    values = {field.name: table[field.name] for field in fields(HubConfig) if field.name in table}
    for name, value in values.items():
        if not isinstance(value, kinds[name]) or isinstance(value, bool):
            msg = f"{origin}: {name}: expected {' or '.join(kind.__name__ for kind in kinds[name])}, got {value!r}."
            raise ModelError(msg)
    names = values.get("class_names")
    config = HubConfig(**values | {"class_names": None if names is None else tuple(map(str, names))})
    _check(config, origin)
    return config


def _check(config: HubConfig, origin: str) -> None:
    if config.network_type != CLASSIFICATION:
        msg = f"{origin}: expected network_type {CLASSIFICATION} (image classification), got {config.network_type}."
        raise ModelError(msg)
    if not (0 < config.channels <= 64 and 0 < config.image_size <= 1024 and 0 < config.classes <= 1000):
        got = f"{config.channels} channels, {config.classes} classes, {config.image_size} px"
        msg = f"{origin}: expected 1 to 64 channels, 1 to 1000 classes and 1 to 1024 px, got {got}."
        raise ModelError(msg)
    if len(config.labels) != config.classes:
        msg = f"{origin}: expected a label for each of {config.classes} classes, got {len(config.labels)}."
        raise ModelError(msg)


def channels_of(
    config: HubConfig, source: str, *, configuration: str | None = None, order: str | None = None
) -> tuple[str, ChannelOrder]:
    """Say which band configuration and order of channels a model has: told by the config, its published name, or you.

    Nothing is guessed from the number of channels: the two orders have the same.

    Args:
        config: Its config.
        source: Its id on the hub, or its folder, such as ``resnet50-all-v0.2.0``.
        configuration: What you know of its band configuration.
        order: What you know of its order of channels.

    Raises:
        ModelError: If nobody tells, they contradict each other, or the configuration has another number of channels.
    """
    named = _NAME.fullmatch(source.rstrip("/").rsplit("/", maxsplit=1)[-1])
    configuration = _agreed(
        "band configuration", source, config.band_configuration, named and named["configuration"], configuration
    )
    order = _agreed("order of channels", source, config.channel_order, named and named["order"], order)
    known = {str(version): orders for version, orders in CHANNEL_ORDERS.items()}
    if order not in known or configuration not in known[order]:
        told = "; ".join(f"{version}: {', '.join(orders)}" for version, orders in known.items())
        msg = f"{source}: band configuration {configuration!r} in the order of {order!r} is not known. Known: {told}."
        raise ModelError(msg)
    layers = known[order][configuration]
    if len(layers) != config.channels:
        msg = (
            f"{source}: expected {len(layers)} channels ({configuration}, {order}: {', '.join(layers)}),"
            f" got {config.channels}."
        )
        raise ModelError(msg)
    return configuration, "v0.1.1" if order == "v0.1.1" else "v0.2.0"


def _agreed(what: str, source: str, *told: str | None) -> str:
    """Give the one thing that all who tell say."""
    by = dict(zip((CONFIG, "its name", "you"), told, strict=True))
    said = {who: value for who, value in by.items() if value}
    if not said:
        msg = (
            f"{source}: its {what} is told neither by {CONFIG} nor by its name. Declare the one it was trained with:"
            f" a wrong one gives wrong scores without an error."
        )
        raise ModelError(msg)
    if len(set(said.values())) > 1:
        both = ", ".join(f"{who} says {value!r}" for who, value in said.items())
        msg = f"{source}: its {what} is contradicted: {both}."
        raise ModelError(msg)
    return next(iter(said.values()))
