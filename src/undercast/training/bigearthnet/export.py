"""Export: a classifier becomes ONNX, checked against the original."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from undercast.errors import TrainingError
from undercast.training.bigearthnet.module import SceneClassifier
from undercast.training.export import quiet

INPUT, OUTPUT = "patches", "logits"
"""Names in the graph: normalised patches ``(batch, channel, y, x)``, and logits ``(batch, label)``."""
LARGEST_DIFFERENCE = 1e-3
"""Largest difference of a logit between the exported network and the original."""


def to_onnx(classifier: SceneClassifier) -> bytes:
    """Export a classifier; it takes any number of patches of its side.

    Raises:
        TrainingError: If ONNX Runtime's answers differ from the original's.
    """
    network, config = classifier.model.eval(), classifier.config
    side = config.image_size
    example = torch.randn(2, config.channels, side, side, generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder, quiet():
        path = Path(folder) / "network.onnx"
        torch.onnx.export(
            network,
            (example,),
            path,
            dynamo=True,
            external_data=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=4096)},),
            verbose=False,
        )
        weights = path.read_bytes()
    session = onnxruntime.InferenceSession(weights, providers=["CPUExecutionProvider"])
    several = torch.cat([example, -example, example[:1]])
    with torch.no_grad():
        wanted = network(several).numpy()
    (got,) = session.run(None, {INPUT: several.numpy()})
    difference = float(np.abs(got - wanted).max()) if got.shape == wanted.shape else float("inf")
    if not difference <= LARGEST_DIFFERENCE:
        msg = f"the exported network differs by {difference:.2g} in a logit, more than {LARGEST_DIFFERENCE:g}."
        raise TrainingError(msg)
    return weights
