"""Writing: a trained classifier becomes a package whose card says what its record says, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from undercast.classification.classifier import Classifier, try_network
from undercast.classification.package import PICTURE, ClassifierDetails, package_properties, write_package
from undercast.classifier_spec import ClassifierSpec
from undercast.errors import ModelError
from undercast.models.card.fields import CardSource, build_card
from undercast.models.card.lint import lint_card
from undercast.models.card.scene_fields import picture_layers
from undercast.types import Float32, UInt8
from undercast.writers.quicklook import png, stretch

LARGEST_DIFFERENCE = 1e-3
"""Largest difference between the scores of the example on record and those of the network that is packed."""

ENLARGED = 3
"""Times that the example picture is enlarged."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedClassifier:
    """What a training hands over."""

    onnx: bytes
    """Network: normalised windows ``(window, layer, y, x)`` -> logits ``(window, label)``, float32."""
    record: Mapping[str, Any]
    """Evaluation record, JSON values only: ``scores``, ``per_label``, ``baseline``, ``data``, ``training``..."""
    created: datetime
    """When the weights were made, with time zone."""
    description: str
    """What the model does, in a sentence or more."""
    example: Float32 | None = None
    """Example window ``(layer, y, x)``, the spec's layers in its order, in their units."""
    license: str = "Apache-2.0"
    """SPDX identifier of the weights' licence."""
    total_parameters: int | None = None
    """Parameters of the network."""


def write_classifier(folder: str | Path, spec: ClassifierSpec, trained: TrainedClassifier) -> Path:
    """Write the package of a trained classifier: item, ONNX, evaluation record, card and example picture.

    Args:
        folder: Folder to make; it must not exist.
        spec: What the classifier takes and which labels it scores.
        trained: Network, record and example.

    Raises:
        ModelError: If network or record do not fit the spec, or the card that they lead to does not hold.
        OutputExistsError: If the folder exists.
        OutputError: If its place cannot be written.
    """
    classifier = try_network(spec, trained.onnx)
    _check_record(spec, trained.record)
    record = _with_example(classifier, trained)
    details = ClassifierDetails(
        created=trained.created,
        description=trained.description,
        card="",
        record=record,
        license=trained.license,
        picture=None if trained.example is None else example_picture(spec, trained.example),
        total_parameters=trained.total_parameters,
    )
    return write_package(folder, spec, trained.onnx, replace(details, card=_card(spec, details)))


def example_picture(spec: ClassifierSpec, window: Float32) -> bytes:
    """Draw a window as PNG: natural colour where its layers allow it, else false colour, else grey."""
    places = [spec.layers.index(name) for name in picture_layers(spec.layers)]
    layers = [stretch(window[place], np.isfinite(window[place])) for place in places]
    picture: UInt8 = np.stack(layers, axis=-1).repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)
    return png(picture)


def _check_record(spec: ClassifierSpec, record: Mapping[str, Any]) -> None:
    """Refuse the record of another model."""
    per_label = record.get("per_label")
    if isinstance(per_label, Mapping) and set(per_label) != set(spec.labels):
        msg = (
            f"evaluation record of {spec.id!r}: expected scores for the {len(spec.labels)} labels of the model, got"
            f" {len(per_label)}: {', '.join(sorted(set(per_label) ^ set(spec.labels)))[:200]} differ."
        )
        raise ModelError(msg)


def _with_example(classifier: Classifier, trained: TrainedClassifier) -> dict[str, Any]:
    """Put the example's scores on record; where they are, hold them against those of the network that is packed."""
    record = dict(trained.record)
    if trained.example is None:
        return record
    scores = classifier.scores(trained.example[np.newaxis])[0]
    about = dict(record.get("example") or {})
    known = about.get("scores")
    if known:
        differences = [abs(float(known[label]) - float(score)) for label, score in _named(classifier, scores).items()]
        if max(differences) > LARGEST_DIFFERENCE:
            msg = (
                f"classifier {classifier.spec.id!r}: expected the example's scores of the record, the network to be"
                f" packed differs by up to {max(differences):.4f}. Are they of one training?"
            )
            raise ModelError(msg)
        return record
    return {**record, "example": {**about, "scores": _named(classifier, scores)}}


def _named(classifier: Classifier, scores: Float32) -> dict[str, float]:
    return {label: round(float(score), 6) for label, score in zip(classifier.spec.labels, scores, strict=True)}


def _card(spec: ClassifierSpec, details: ClassifierDetails) -> str:
    """Build the card, and refuse it where it does not hold."""
    properties = package_properties(spec, details)
    picture = None if details.picture is None else PICTURE
    card = build_card(CardSource(properties=properties, record=details.record, picture=picture))
    if faults := lint_card(card, [properties, details.record]):
        msg = f"card of {spec.id!r}, line {faults[0].line}: {faults[0].message}."
        raise ModelError(msg)
    return card
