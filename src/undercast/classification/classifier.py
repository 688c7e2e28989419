"""Classifier: a package's network, verified and loaded; windows in, scores out. ONNX Runtime alone, no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from undercast.classification.package import ClassifierPackage
from undercast.classifier_spec import ClassifierSpec, normalised
from undercast.errors import ModelError
from undercast.inference.backends import AUTO, Network, Weights, choose_backend
from undercast.models.trust.scan import CHECKS, scanned_bytes
from undercast.prediction import ModelIdentity
from undercast.types import Float32

RUNTIME = "onnxruntime"
"""Backend of classifiers: the one that ships."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Classifier:
    """A scene classifier that is ready to run."""

    spec: ClassifierSpec
    """What it takes and which labels it scores."""
    identity: ModelIdentity
    """Which model it is."""
    network: Network
    """Normalised windows -> logits."""
    device: str
    """Where it runs."""

    def scores(self, windows: Float32) -> Float32:
        """Score windows.

        Args:
            windows: ``(window, layer, y, x)``, the spec's layers in its order, in their units; NaN where there is no
                data.

        Returns:
            ``(window, label)``, in [0, 1]; several labels can hold at once.

        Raises:
            BandError: If the windows are not of the spec's layers and side.
            ModelError: If the network does not give one number per label.
            BackendError: If the network fails.
        """
        logits = self.network(normalised(self.spec, windows))
        check_logits(self.spec, logits, len(windows))
        return np.asarray(1.0 / (1.0 + np.exp(-logits.astype(np.float64))), np.float32)


def load_classifier(package: ClassifierPackage, *, device: str = AUTO) -> Classifier:
    """Load a classifier: its weights are verified and scanned, then tried on an empty window.

    Args:
        package: From ``open_classifier``.
        device: Device, or ``auto``: the best that works.

    Raises:
        ModelError: If the network does not fit the spec, e.g. in the number of its classes.
        TrustError: If the weights differ from what the package declares.
        BackendError: If the network cannot be loaded or run.
    """
    return _load(package.spec, package.identity, scanned_bytes(package.member), device)


def try_network(spec: ClassifierSpec, onnx: bytes) -> Classifier:
    """Load a network that is about to be packed, and try it on an empty window.

    Raises:
        ModelError: If it does not fit the spec, e.g. in the number of its classes.
        TrustError: If the bytes are no ONNX file that stands alone.
        BackendError: If it cannot be loaded or run.
    """
    CHECKS["onnx"](onnx, origin=f"network of {spec.id}")
    return _load(spec, ModelIdentity(id=spec.id, version=spec.version), onnx, AUTO)


def _load(spec: ClassifierSpec, identity: ModelIdentity, onnx: bytes, device: str) -> Classifier:
    loaded = choose_backend("onnx", RUNTIME, device).load(Weights(data=onnx, kind="onnx"))
    classifier = Classifier(spec=spec, identity=identity, network=loaded.network, device=loaded.device)
    classifier.scores(np.zeros((1, len(spec.bands), spec.side_px, spec.side_px), np.float32))
    return classifier


def check_logits(spec: ClassifierSpec, logits: Float32, windows: int) -> None:
    """Refuse logits that are not one number per label.

    Raises:
        ModelError: If they have another shape, or are not finite.
    """
    if logits.shape != (windows, len(spec.labels)):
        msg = (
            f"classifier {spec.id!r}: expected one logit for each of {len(spec.labels)} labels, the network gives an"
            f" array of shape {logits.shape} for {windows} windows. Its labels are those of another model."
        )
        raise ModelError(msg)
    if not np.isfinite(logits).all():
        msg = f"classifier {spec.id!r}: the network gives logits that are not finite."
        raise ModelError(msg)
