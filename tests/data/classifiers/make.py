"""Make tiny scene classifiers: the mean of each layer times a matrix, as an ONNX network, and its package."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from undercast.classification.writing import TrainedClassifier, write_classifier
from undercast.classifier_spec import CHANNEL_ORDERS, RADAR, ChannelOrder, ClassifierBand, ClassifierSpec
from undercast.scene_labels import load_nomenclature
from undercast.sensors import load_sensor

LABELS = load_nomenclature().labels
CREATED = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


def band(name: str) -> ClassifierBand:
    """Give a layer with round statistics."""
    if name in RADAR:
        return ClassifierBand(name=name, band=None, mean=-15.0, std=5.0)
    return ClassifierBand(name=name, band=load_sensor("sentinel-2a-msi").band(name), mean=1000.0, std=500.0)


def tiny_spec(configuration: str = "10m", order: ChannelOrder = "v0.2.0", **changes: Any) -> ClassifierSpec:
    """Give the spec of a band configuration."""
    values: dict[str, Any] = {
        "id": "tiny-classifier",
        "version": "1.0.0",
        "title": "Tiny classifier",
        "bands": tuple(band(name) for name in CHANNEL_ORDERS[order][configuration]),
        "configuration": configuration,
        "channel_order": order,
        "labels": LABELS,
        "architecture": "linear",
    }
    return ClassifierSpec(**{**values, **changes})


def mean_network(layers: int, labels: int = len(LABELS), *, layer: int = 0, scale: float = 1.0) -> bytes:
    """Make a network whose logit of label 0 is the mean of one normalised layer, times a scale; the others are -1."""
    weights = np.zeros((layers, labels), np.float32)
    weights[layer, 0] = scale
    bias = np.full(labels, -1.0, np.float32)
    bias[0] = 0.0
    return network(weights, bias)


def random_network(layers: int, labels: int = len(LABELS), *, seed: int = 0) -> bytes:
    """Make a network with random weights."""
    random = np.random.default_rng(seed)
    return network(random.normal(0, 1, (layers, labels)).astype(np.float32), random.normal(0, 1, labels).astype("f4"))


def network(weights: np.ndarray, bias: np.ndarray) -> bytes:
    """Make an ONNX network: the mean of each layer, times a matrix, plus a bias."""
    layers, labels = weights.shape
    nodes = [
        helper.make_node("GlobalAveragePool", ["patches"], ["means"]),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w", "b"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("patches", TensorProto.FLOAT, ["n", layers, 120, 120])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", labels])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(bias, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def record(**changes: Any) -> dict[str, Any]:
    """Give an evaluation record with invented figures, every one of them different."""
    kinds = ("AP", "AUROC", "accuracy", "F1", "F2", "precision", "recall", "specificity")
    figures = np.random.default_rng(7).uniform(0.1, 0.9, 200).round(6).tolist()
    averages = {"AP": ("macro", "micro"), "AUROC": ("macro", "micro")}
    keys = [f"{kind}_{one}" for kind in kinds for one in averages.get(kind, ("macro", "micro", "sample"))]

    def scores() -> dict[str, dict[str, float]]:
        middle = [figures.pop() for _ in keys]
        return {
            key: {"value": value, "low": round(value - 0.05, 6), "high": round(value + 0.05, 6)}
            for key, value in zip(keys, middle, strict=True)
        }

    per_label: dict[str, dict[str, Any]] = {
        label: {"support": place, "train_support": 2 * place, "AP": figures.pop(), "F1": figures.pop()}
        for place, label in enumerate(LABELS)
    }
    per_label[LABELS[0]] |= {"AP": None, "F1": None}
    values = {
        "version": 1,
        "kind": "scene-classification",
        "made_with": {"undercast": "0.9", "torch": "2.13.0+cpu"},
        "labels": list(LABELS),
        "threshold": 0.5,
        "data": {
            "name": "Invented",
            "note": "nothing was measured",
            "counts": {"train": 45, "held": 36},
            "sha256": {"a.npz": "aa", "b.npz": "bb"},
        },
        "seed": 42,
        "interval": {"level": 0.95, "unit": "scene"},
        "scores": scores(),
        "scored_labels": list(LABELS[1:]),
        "per_label": per_label,
        "baseline": {"name": "label frequency", "scores": scores()},
        "training": {"learning_rate": 0.001, "warmup_steps": None, "batch": 16, "epochs_run": 23, "dropout": 0.15},
        "limits": ["Tiny: 45 patches."],
    }
    return {**values, **changes}


def tiny_classifier(folder: Path, spec: ClassifierSpec | None = None, **changes: Any) -> Path:
    """Write a package; label 0 is the brightness of the first layer."""
    wanted = spec or tiny_spec()
    example = np.full((len(wanted.bands), 120, 120), 1000.0, np.float32)
    example[:, :60] = 2000.0
    values: dict[str, Any] = {
        "onnx": mean_network(len(wanted.bands), len(wanted.labels)),
        "record": record(),
        "created": CREATED,
        "description": "A network for tests.",
        "example": example,
    }
    return write_classifier(folder, wanted, TrainedClassifier(**{**values, **changes}))
