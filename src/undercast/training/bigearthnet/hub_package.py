"""Hub package: a classifier of the hub becomes a package, which runs without PyTorch."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from undercast.classification.writing import TrainedClassifier, write_classifier
from undercast.destinations import check_new_package
from undercast.training.bigearthnet.export import to_onnx
from undercast.training.bigearthnet.hub import load_classifier
from undercast.training.bigearthnet.run import KIND, describe, made_with
from undercast.training.bigearthnet.spec import make_spec

SEPARATOR = "-v"
"""What stands before the version in a published name."""


def pack_hub_classifier(
    source: str, out: Path, *, configuration: str | None = None, channel_order: str | None = None
) -> Path:
    """Make a package of a classifier of the hub. Its figures are not known here: the card says so.

    Args:
        source: As ``load_classifier`` takes it.
        out: Folder of the package, which must not exist.
        configuration: As ``load_classifier`` takes it.
        channel_order: As ``load_classifier`` takes it.

    Returns:
        The package's folder.

    Raises:
        UndercastError: As ``load_classifier`` and ``write_classifier`` do.
        OutputExistsError: If ``out`` exists.
    """
    check_new_package(out)
    model = load_classifier(source, configuration=configuration, channel_order=channel_order)
    name = source.rstrip("/").rsplit("/", maxsplit=1)[-1]
    spec = make_spec(
        model.configuration,
        model.channel_order,
        id=name.rsplit(SEPARATOR, maxsplit=1)[0],
        version=model.channel_order.removeprefix("v"),
        title=name,
        architecture=model.classifier.config.timm_model_name,
        labels=model.labels,
        side_px=model.classifier.config.image_size,
    )
    parameters = sum(value.numel() for value in model.classifier.parameters())
    record = {
        "kind": KIND,
        "made_with": made_with(),
        "model": {"source": source, "parameters": parameters},
        "labels": list(model.labels),
        "limits": ["Its figures were not measured here: see the card of its publisher."],
    }
    trained = TrainedClassifier(
        onnx=to_onnx(model.classifier),
        record=record,
        created=datetime.now(tz=UTC),
        description=describe(spec),
        total_parameters=parameters,
    )
    return write_classifier(out, spec, trained)
