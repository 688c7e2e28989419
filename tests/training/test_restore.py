"""The weights of a package can be trained further."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from undercast.errors import TrainingError
from undercast.models.package import find_package, read_package
from undercast.models.trust.weights import verified_bytes
from undercast.training.export import to_onnx
from undercast.training.networks import build
from undercast.training.restore import _stored, folded, normalised, restore


def test_the_restored_embedded_model_ranks_classes_as_the_package_does() -> None:
    package = read_package(find_package("embedded"))
    session = onnxruntime.InferenceSession(verified_bytes(package.members[0]), providers=["CPUExecutionProvider"])
    image = torch.rand((1, len(package.spec.bands), 64, 96), generator=torch.Generator().manual_seed(0)) * 0.7
    with torch.no_grad():
        logits = restore(package).eval()(image)[0].flatten(1).numpy()
    (wanted,) = session.run(None, {"reflectance": image.numpy()})
    # Calibration divides logits by a number and adds one per class: what is left of their difference is linear.
    wanted = np.log(np.maximum(wanted[0].reshape(4, -1), 1e-12))
    for value in (1, 3):
        ours, theirs = logits[value] - logits[0], wanted[value] - wanted[0]
        sure = np.abs(theirs) < 8
        assert np.corrcoef(ours[sure], theirs[sure])[0, 1] > 0.99999


def test_folding_batch_normalisation_changes_no_answer() -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3), nn.ReLU())
    for _ in range(3):
        network(torch.rand(4, 2, 8, 8))
    network.eval()
    image = torch.rand(1, 2, 8, 8)
    with torch.no_grad():
        wanted = network(image).numpy()
        np.testing.assert_allclose(folded(network)(image).numpy(), wanted, atol=1e-5)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def test_a_network_with_new_normalisation_says_the_same_and_normalises_what_it_sees() -> None:
    network = restore(read_package(find_package("embedded"))).eval()
    image = torch.rand((2, 7, 64, 64), generator=torch.Generator().manual_seed(0)) * 0.7
    with torch.no_grad():
        wanted = network(image).numpy()
        again = normalised(network, [image])
        np.testing.assert_allclose(again(image).numpy(), wanted, atol=2e-3)
    layers = [module for module in again.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(layers) == sum(
        isinstance(module, nn.BatchNorm2d) for module in build("spectral-spatial", bands=7, classes=4).modules()
    )
    # In training mode each normalises by what it sees, which is what it has been told: the answer stays.
    with torch.no_grad():
        np.testing.assert_allclose(again.train()(image).numpy(), wanted, atol=2e-2)


def test_an_architecture_that_is_not_known_and_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    package = read_package(find_package("embedded"))
    with pytest.raises(TrainingError, match="expected ONNX weights of a known architecture"):
        restore(replace(package, properties={**package.properties, "mlm:architecture": "u-network"}))
    with pytest.raises(TrainingError, match=r"expected weights .* got "):
        restore(replace(package, properties={**package.properties, "mlm:architecture": "spectral-spatial-small"}))


def test_weights_with_terrain_come_back_and_others_can_be_given_a_branch_that_says_nothing() -> None:
    torch.manual_seed(0)
    network = build("spectral-spatial-small", bands=3, classes=4, terrain=3)
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(0.01 * torch.randn_like(weights))
    stored = _stored(to_onnx(network.eval(), 6))
    for key, value in folded(network).state_dict().items():
        np.testing.assert_allclose(stored[key].reshape(value.shape), value.numpy(), atol=1e-3)
    package = read_package(find_package("embedded"))
    taught, image = restore(package, terrain=True).eval(), torch.rand(1, len(package.spec.bands), 64, 64)
    with torch.no_grad():
        given = torch.cat([image, torch.rand(1, 3, 64, 64)], dim=1)
        torch.testing.assert_close(taught(given), restore(package).eval()(image))
