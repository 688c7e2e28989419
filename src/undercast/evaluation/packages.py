"""Packages: a model package as a predictor, and which data it has met before."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from undercast import loading, masking
from undercast.classes import CLASS_NAMES
from undercast.errors import EvaluationError, ModelError
from undercast.evaluation.predictors import Predicted
from undercast.evaluation.references import ReferenceScene
from undercast.evaluation.report import KIND, Report
from undercast.loading import Model
from undercast.masking import MOST_PROBABLE, MaskOptions
from undercast.model_spec import ModelSpec
from undercast.models.item import spec_properties
from undercast.models.package import DEFAULT_MODEL, ModelPackage
from undercast.models.publish.write import PackageDetails, write_package
from undercast.models.trust.weights import verified_bytes
from undercast.prediction import Prediction
from undercast.types import Float32

EVALUATION = "evaluation.json"
"""Evaluation record of a package."""
REPORT_KEY = "report"
"""Key of the record under which ``calibrate`` and a release keep the report."""
EARLIER_KEY = "earlier_reports"
"""Key of the record under which reports are kept that another one has replaced."""
CALIBRATION_KEY = "calibration"
"""Key of the record under which ``calibrate`` keeps what it did."""
TRAINING_KEY = "data_sha256"
"""Key of the record under which training keeps file name -> SHA-256 of the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """Which data a package has met, by content hash or file hash."""

    trained: frozenset[str] = field(default_factory=frozenset)
    """Files that its weights were trained on."""
    calibrated: frozenset[str] = field(default_factory=frozenset)
    """Scenes that its thresholds were tuned on."""
    evaluated: frozenset[str] = field(default_factory=frozenset)
    """Scenes that it was evaluated on."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PackagePredictor:
    """A model package as a predictor."""

    model: Model
    """The model, loaded."""
    options: MaskOptions = field(default_factory=MaskOptions)
    """How it masks; what is None is the model's own choice."""

    @property
    def identity(self) -> dict[str, Any]:
        """Which model and operating point it is, for the report."""
        spec = self.model.spec
        return {
            "id": spec.id,
            "version": spec.version,
            "kind": "package",
            "checksums": list(self.model.identity.checksums),
            "options": {
                "thresholds": dict(operating_point(spec, self.options)),
                "aggregation": self.options.aggregation or spec.aggregation,
                "uncertainty": self.options.uncertainty or spec.uncertainty,
            },
            "classes": list(spec.classes),
        }

    def predict(self, reference: ReferenceScene) -> Predicted:
        """Mask a reference's scene.

        Raises:
            UndercastError: As ``masking.predict`` does.
        """
        return predicted(masking.predict(reference.scene, self.model, self.options, terrain=reference.terrain))


def open_package(name: str | Path = DEFAULT_MODEL, options: MaskOptions | None = None) -> PackagePredictor:
    """Load a model package as a predictor, in single precision: its figures are the same on every machine.

    Raises:
        UndercastError: As ``loading.load_model`` does.
    """
    return PackagePredictor(model=loading.load_model(name, precision="f32"), options=options or MaskOptions())


def operating_point(spec: ModelSpec, options: MaskOptions) -> Mapping[str, float]:
    """Give the thresholds that masking takes; empty: the most probable class."""
    if options.thresholds is not None:
        return options.thresholds
    if options.preset is not None:
        return {} if options.preset == MOST_PROBABLE else spec.presets.get(options.preset, {})
    return spec.thresholds


def predicted(prediction: Prediction) -> Predicted:
    """Arrange a prediction in undercast's four classes; classes that the model does not tell are NaN."""
    return Predicted(
        class_map=prediction.class_map,
        probabilities=four_layers(prediction.probabilities, prediction.header.classes),
        uncertainty=prediction.uncertainty,
    )


def four_layers(probabilities: Float32, names: tuple[str, ...]) -> Float32:
    """Arrange probability layers ``(layer, y, x)`` as ``CLASS_NAMES``; cloud of unknown kind counts as thick."""
    out = np.full((len(CLASS_NAMES), *probabilities.shape[1:]), np.nan, np.float32)
    for layer, name in zip(probabilities, names, strict=True):
        out[CLASS_NAMES.index("thick_cloud" if name == "cloud" else name)] = layer
    return out


def met_data(package: ModelPackage) -> Met:
    """Read from a package's evaluation record which data it has met.

    Raises:
        ModelError: If the record is there and cannot be read.
    """
    record = evaluation_record(package)
    reports = [part for part in _objects(record) if part.get("kind") == KIND]
    calibrations = [part for part in _objects(record) if part.get("kind") == "undercast-calibration"]
    trained = record.get(TRAINING_KEY, {})
    if not isinstance(trained, Mapping):
        got = type(trained).__name__
        msg = f"{package.root / EVALUATION}: {TRAINING_KEY}: expected file names with hashes, got {got}."
        raise ModelError(msg)
    return Met(
        trained=frozenset(str(value) for value in trained.values()),
        calibrated=frozenset(str(value) for part in calibrations for value in part.get("hashes", ())),
        evaluated=frozenset(str(scene["hash"]) for part in reports for scene in part.get("scenes", ())),
    )


def evaluation_record(package: ModelPackage) -> dict[str, Any]:
    """Read a package's evaluation record; empty where there is none.

    Raises:
        ModelError: If it cannot be read.
    """
    path = package.root / EVALUATION
    if not path.exists():
        return {}
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be read: {error}. Install the model package again."
        raise ModelError(msg) from error
    if not isinstance(record, dict):
        msg = f"{path}: expected a JSON object, got {type(record).__name__}."
        raise ModelError(msg)
    return record


def record_of_report(package: ModelPackage, report: Report) -> dict[str, Any]:
    """Give what a report adds to a package's record.

    An earlier report is kept: its figures stand in the card, and its scenes must not tune the package.

    Raises:
        ModelError: If the record is there and cannot be read.
    """
    record = evaluation_record(package)
    earlier = [*record.get(EARLIER_KEY, ()), *([record[REPORT_KEY]] if REPORT_KEY in record else ())]
    return {REPORT_KEY: report.to_dict()} | ({EARLIER_KEY: earlier} if earlier else {})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Additions:
    """What is added to a package that is written again."""

    record: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the evaluation record; they replace those of the same name."""
    section: str = ""
    """Section of the card, as Markdown."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Properties of the item, written as ``undercast:<key>``; they replace those of the same name."""


def write_again(
    package: ModelPackage, folder: Path, *, spec: ModelSpec | None = None, additions: Additions | None = None
) -> Path:
    """Write a package again under another name: the same weights, with additions.

    Args:
        package: The package.
        folder: Folder to make; it must not exist.
        spec: Its new spec; as before unless given.
        additions: What is added to record, card and item.

    Returns:
        The folder.

    Raises:
        OutputExistsError: If the folder exists.
        OutputError: If its place cannot be written.
        TrustError: If the weights do not match their checksums.
    """
    spec, added = spec or package.spec, additions or Additions()
    properties = package.properties
    own = {*spec_properties(spec), "undercast:package_version"}
    kept = {
        key.removeprefix("undercast:"): value
        for key, value in properties.items()
        if key.startswith("undercast:") and key not in own
    }
    card = package.root / "card.md"
    text = card.read_text("utf-8") if card.is_file() else f"# {spec.title}\n"
    details = PackageDetails(
        architecture=str(properties["mlm:architecture"]),
        created=_created(properties),
        description=str(properties.get("description", "")),
        card=text + (f"\n{added.section.strip()}\n" if added.section else ""),
        license=str(properties.get("license", "Apache-2.0")),
        evaluation={**evaluation_record(package), **added.record},
        total_parameters=properties.get("mlm:total_parameters"),
        hyperparameters=properties.get("mlm:hyperparameters", {}),
        extra={**kept, **added.extra},
    )
    weights = {member.name: verified_bytes(member) for member in package.members}
    return write_package(folder, spec, weights, details)


def _created(properties: Mapping[str, Any]) -> datetime:
    try:
        return datetime.fromisoformat(str(properties["created"]))
    except (KeyError, ValueError):
        return datetime.now(tz=UTC)


def refuse_met(reference: ReferenceScene, met: Met) -> None:
    """Refuse to judge a package on data that its weights or thresholds were made with.

    Raises:
        EvaluationError: If it was trained or calibrated on the scene.
    """
    for hashes, what in ((met.trained, "trained"), (met.calibrated, "calibrated")):
        if {reference.hash, reference.file_hash} & hashes:
            msg = (
                f"{reference.name}: the model was {what} on this very scene (same content hash), so it cannot be"
                " judged by it. Give data that it has not met."
            )
            raise EvaluationError(msg)


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """Go through every JSON object inside a value, itself included."""
    if isinstance(value, Mapping):
        yield value
        for part in value.values():
            yield from _objects(part)
    elif isinstance(value, list):
        for part in value:
            yield from _objects(part)
