"""Hub: load and save classifiers as folders of the Hugging Face hub, as those of BIFOLD-BigEarthNetv2-0 are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from undercast.classifier_spec import CHANNEL_ORDERS, ChannelOrder
from undercast.training.bigearthnet.hub_config import channels_of, read_config
from undercast.training.bigearthnet.hub_files import WEIGHTS, fill, hub_folder
from undercast.training.bigearthnet.module import SceneClassifier


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HubModel:
    """A classifier from a hub folder, and what its channels and outputs are."""

    classifier: SceneClassifier
    """The classifier, in evaluation mode."""
    configuration: str
    """Name of its band configuration."""
    channel_order: ChannelOrder
    """Order of its channels."""
    layers: tuple[str, ...]
    """Names of its channels, in the order of its input."""
    labels: tuple[str, ...]
    """Labels, in the order of its output."""


def load_classifier(source: str, *, configuration: str | None = None, channel_order: str | None = None) -> HubModel:
    """Load a classifier from a folder, or from the hub by its id.

    Args:
        source: Folder with ``config.json`` and ``model.safetensors``, or an id such as
            ``BIFOLD-BigEarthNetv2-0/resnet50-all-v0.2.0``.
        configuration: Its band configuration, where neither config nor name tell.
        channel_order: The order of channels it was trained with, where neither config nor name tell.

    Raises:
        ModelError: If the folder lacks a part, its parts do not fit, or its channels are told by nobody or in two ways.
        DownloadError: If there is no such folder, and no such model on the hub.
        MissingDependencyError: If what builds its network is not installed.
    """
    folder = hub_folder(source)
    config = read_config(folder)
    named = str(folder.resolve()) if Path(source).is_dir() else source
    found, order = channels_of(config, named, configuration=configuration, order=channel_order)
    classifier = SceneClassifier(config)
    fill(classifier, folder / WEIGHTS)
    return HubModel(
        classifier=classifier,
        configuration=found,
        channel_order=order,
        layers=CHANNEL_ORDERS[order][found],
        labels=config.labels,
    )


def save_classifier(classifier: SceneClassifier, folder: Path, *, card: str) -> None:
    """Write a classifier as a hub folder: ``config.json``, ``model.safetensors`` and ``README.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(card, "utf-8")
    classifier.save_pretrained(folder)
