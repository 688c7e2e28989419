"""Run: from the recipe of a scene classifier to its package: patches, training, judgement, export, hub folder."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from undercast.classification.writing import TrainedClassifier, write_classifier
from undercast.classifier_spec import ClassifierSpec
from undercast.destinations import check_new_package
from undercast.evaluation.intervals import IntervalOptions
from undercast.evaluation.packages import TRAINING_KEY
from undercast.scene_labels import load_nomenclature
from undercast.training.bigearthnet.data import PatchSet, SplitPatches, make_sets
from undercast.training.bigearthnet.export import to_onnx
from undercast.training.bigearthnet.fit import Fitted, fit, logits_of
from undercast.training.bigearthnet.hub import save_classifier
from undercast.training.bigearthnet.judge import Logits, frequency_baseline, judge
from undercast.training.bigearthnet.metrics import THRESHOLD
from undercast.training.bigearthnet.recipe import ClassifierRecipe
from undercast.training.bigearthnet.records import SPLITS
from undercast.training.bigearthnet.spec import make_spec

KIND = "scene-classification"
"""Kind of the evaluation record."""
HUB = "hub"
"""Folder in the work folder with the same classifier as the hub has it, for PyTorch."""
VERSION = 1
"""Version of it."""
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done and how much there is."""


def run_classifier(
    recipe: ClassifierRecipe,
    data: Path,
    out: Path,
    *,
    work: Path | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Path:
    """Train the scene classifier of a recipe and write its package.

    Args:
        recipe: What to train.
        data: Folder with the patches.
        out: Folder of the package, which must not exist.
        work: Folder for the log, the checkpoint and the hub folder; beside ``out`` unless given.
        device: Device of PyTorch.
        progress: Called now and then.

    Returns:
        The package's folder.

    Raises:
        TrainingError: If the data or the recipe are wrong.
        LabelError: If a label is not known.
        OutputExistsError: If ``out`` exists.
    """
    check_new_package(out)
    tell = progress or (lambda _what, _done, _total: None)
    work = work or out.with_name(f"{out.name}.work")
    spec = spec_of(recipe)
    found = make_sets(recipe, data, spec)
    fitted = fit(
        recipe,
        found.sets["train"],
        found.sets["validation"],
        work,
        device=device,
        progress=lambda done, total: tell("training", done, total),
    )
    tell("judging", 0, 1)
    record = evaluate(recipe, found, fitted)
    tell("judging", 1, 1)
    test = found.sets["test"]
    trained = TrainedClassifier(
        onnx=to_onnx(fitted.classifier),
        record=record,
        created=datetime.fromisoformat(record["created"]),
        description=describe(spec),
        example=test.values(0),
        total_parameters=record["model"]["parameters"],
    )
    package = write_classifier(out, spec, trained)
    save_classifier(fitted.classifier, work / HUB, card=(package / "card.md").read_text("utf-8"))
    return package


def spec_of(recipe: ClassifierRecipe) -> ClassifierSpec:
    """Give the spec of a recipe's classifier."""
    model = recipe.classifier
    return make_spec(
        model.configuration,
        recipe.channel_order,
        recipe.interpolation,
        id=model.id,
        version=model.version,
        title=model.title,
        architecture=model.network,
        threshold=THRESHOLD,
    )


def evaluate(recipe: ClassifierRecipe, found: SplitPatches, fitted: Fitted) -> dict[str, Any]:
    """Judge a trained classifier on the patches of the test split, and say all that its weights depend on.

    Returns:
        The evaluation record, as JSON values.
    """
    options = IntervalOptions()
    test, labels = found.sets["test"], load_nomenclature().labels
    logits = logits_of(fitted.classifier, test, recipe)
    baseline = frequency_baseline(found.sets["train"].truth(), len(test))
    judged = judge(logits, test.truth(), labels, baseline, options)
    for name, row in judged["per_label"].items():
        for split in ("train", "validation"):
            row[f"{split}_support"] = sum(name in record.labels for record in found.sets[split].records)
    plan = recipe.optimise
    record = {
        "version": VERSION,
        "kind": KIND,
        "created": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "made_with": made_with(),
        "model": asdict(recipe.classifier) | {"parameters": _parameters(fitted)},
        "limits": list(recipe.classifier.limits),
        "nomenclature": load_nomenclature().name,
        "labels": labels,
        "threshold": THRESHOLD,
        "data": _data(recipe, found),
        TRAINING_KEY: _trained_on(found),
        "seed": plan.seed,
        "interval": options.to_dict() | {"unit": "patch"},
        **judged,
        "training": asdict(plan)
        | {
            "network": recipe.classifier.network,
            "optimiser": "AdamW",
            "loss": "binary cross-entropy with logits",
            "schedule": "linear warm-up, then cosine, by step; a tenth of the highest rate at both ends",
            "augmentation": ["flip left to right", "flip upside down"],
            "stopped_by": "macro average precision on the validation patches",
            "steps": fitted.schedule.steps,
            "warmup": fitted.schedule.warmup,
            "epochs_run": fitted.epochs,
            "best_epoch": fitted.best_epoch,
            "best_validation_AP_macro": round(fitted.best, 6),
            "seconds": round(fitted.seconds, 1),
        },
        "example": _example(test, logits, found.hashes),
    }
    plain: dict[str, Any] = json.loads(json.dumps(record))
    return plain


def describe(spec: ClassifierSpec) -> str:
    """Say in a sentence what a classifier does."""
    sensors = "Sentinel-1 and Sentinel-2" if spec.needs_radar and spec.optical else "Sentinel-2"
    sensors = sensors if spec.optical else "Sentinel-1"
    return (
        f"Which of {len(spec.labels)} kinds of land cover a window of {spec.window_m:g} m in {sensors} imagery holds."
    )


def _data(recipe: ClassifierRecipe, found: SplitPatches) -> dict[str, Any]:
    """Say which patches were used for what."""
    return {
        "name": "BigEarthNet v2 (reBEN)",
        "note": recipe.patches.note,
        "licences": found.licences,
        "kind": recipe.patches.kind,
        "split_by": str(recipe.blocks) if recipe.patches.kind == "chips" else "the data set's own split",
        "counts": {split: len(found.sets[split]) for split in SPLITS},
        "sha256": found.hashes,
    }


def _trained_on(found: SplitPatches) -> dict[str, str]:
    """Give the hashes of the files that the weights depend on: of chips those of training and validation."""
    held = {record.patch_id for record in found.sets["test"].records}
    return {name: value for name, value in found.hashes.items() if name not in held}


def _example(test: PatchSet, logits: Logits, hashes: Mapping[str, str]) -> dict[str, Any]:
    """Give the scores of one patch: the first of those that are judged."""
    import torch

    record, labels = test.records[0], load_nomenclature().labels
    values = torch.sigmoid(torch.from_numpy(logits[0])).tolist()
    return {
        "file": record.patch_id,
        "sha256": hashes.get(record.patch_id),
        "split": record.split,
        "labels": list(record.labels),
        "scores": {label: round(value, 6) for label, value in zip(labels, values, strict=True)},
    }


def _parameters(fitted: Fitted) -> int:
    return sum(value.numel() for value in fitted.classifier.parameters())


def made_with() -> dict[str, str]:
    """Give the versions of what a classifier was made with."""
    names = ("undercast", "torch", "lightning", "torchmetrics", "numpy")
    return {name: _version(name) for name in names} | {
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def _version(name: str) -> str:
    """Give the version of a distribution; ``0+unknown`` in a source tree that was never installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "0+unknown"
