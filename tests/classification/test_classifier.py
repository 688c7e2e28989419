"""A network is verified, fits its labels, and scores windows as its formula says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from undercast.classification.classifier import Classifier, load_classifier, try_network
from undercast.classification.package import read_classifier
from undercast.errors import BandError, ModelError, TrustError


def test_a_score_is_the_sigmoid_of_the_logit(classifier: Classifier) -> None:
    windows = np.full((2, 4, 120, 120), 1000.0, np.float32)
    windows[1] += 500.0
    scores = classifier.scores(windows)
    assert scores.shape == (2, 19)
    assert scores[0, 0] == 0.5
    assert np.isclose(scores[1, 0], 1 / (1 + np.exp(-1.0)))
    assert np.allclose(scores[:, 1:], 1 / (1 + np.exp(1.0)))


def test_another_number_of_classes_is_refused(make: SimpleNamespace) -> None:
    with pytest.raises(ModelError, match=r"one logit for each of 19 labels, .* array of shape \(1, 10\)"):
        try_network(make.tiny_spec(), make.mean_network(4, 10))


def test_a_network_without_finite_logits_is_refused(make: SimpleNamespace) -> None:
    bad = make.network(np.full((4, 19), np.nan, np.float32), np.zeros(19, np.float32))
    with pytest.raises(ModelError, match="not finite"):
        try_network(make.tiny_spec(), bad)


def test_no_onnx_is_refused(make: SimpleNamespace) -> None:
    with pytest.raises(TrustError):
        try_network(make.tiny_spec(), b"not a network")


def test_changed_weights_are_refused(package: Path, tmp_path: Path, make: SimpleNamespace) -> None:
    folder = Path(shutil.copytree(package, tmp_path / "copy"))
    size = (folder / "classifier.onnx").stat().st_size
    (folder / "classifier.onnx").write_bytes(make.random_network(4)[:size].ljust(size, b"\0"))
    with pytest.raises(TrustError, match="not the ones that the package declares"):
        load_classifier(read_classifier(folder))


def test_windows_with_other_layers_are_refused(classifier: Classifier) -> None:
    with pytest.raises(BandError, match="4 layers"):
        classifier.scores(np.zeros((1, 3, 120, 120), np.float32))


def test_classifying_needs_no_torch(package: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from undercast.classification import classify, classifier, files, package\n"
        f"print(classifier.load_classifier(package.read_classifier({str(package)!r})).device)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
