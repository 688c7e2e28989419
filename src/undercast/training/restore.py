"""Restore: the weights of a model package become a network that can be trained further."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from undercast.errors import TrainingError
from undercast.models.package import ModelPackage
from undercast.models.trust.weights import verified_bytes
from undercast.training.light import SpectralSpatialLight
from undercast.training.networks import ARCHITECTURES, build
from undercast.training.spectral_spatial import SpectralSpatial
from undercast.types import TERRAIN_LAYERS

_WRAPPED = re.compile(r"^(network\.)+")


def restore(package: ModelPackage, *, terrain: bool = False) -> nn.Module:
    """Make a network of a package's first member; it gives logits.

    Batch normalisation has been folded into the convolutions before it, as it is in the package, and stays there.

    Args:
        package: The package.
        terrain: Whether the network can be taught to take terrain where the package's does not; it says the same until
            it is.

    Raises:
        TrainingError: If its architecture is not known here, or its weights do not fit it.
        UsageError: If terrain is wanted and the architecture takes none.
    """
    name = str(package.properties.get("mlm:architecture") or "")
    member = package.members[0]
    if name not in ARCHITECTURES or member.kind != "onnx":
        msg = (
            f"model {package.spec.id!r}: expected ONNX weights of a known architecture ({', '.join(ARCHITECTURES)}),"
            f" got {member.kind} of {name or 'none'}. Train from a recipe instead: undercast train"
        )
        raise TrainingError(msg)
    spec = package.spec_of(member)
    layers = len(TERRAIN_LAYERS) if terrain else len(spec.terrain)
    network = folded(build(name, bands=len(spec.bands), classes=len(spec.classes), terrain=layers).eval())
    stored = _stored(verified_bytes(member))
    if isinstance(network, SpectralSpatial | SpectralSpatialLight):
        network.upgrade(stored)
    new = terrain and not spec.terrain
    weights = {
        key: value if new and key.startswith("terrain.") else _found(key, value, stored, package.spec.id)
        for key, value in network.state_dict().items()
    }
    network.load_state_dict(weights)
    return network


def folded(network: nn.Module) -> nn.Module:
    """Fold each batch normalisation into the convolution before it, in place, as it works in evaluation mode."""
    for module in list(network.modules()):
        names = [name for name, _ in module.named_children()]
        for first, second in itertools.pairwise(names):
            convolution, normalisation = getattr(module, first), getattr(module, second)
            if isinstance(convolution, nn.Conv2d) and isinstance(normalisation, nn.BatchNorm2d):
                setattr(module, first, fuse_conv_bn_eval(convolution, normalisation))
                setattr(module, second, nn.Identity())
    return network


def _stored(data: bytes) -> dict[str, Tensor]:
    """Read an exported network's weights by the names that they had in training."""
    graph = onnx.load_model_from_string(data).graph
    values = {}
    for tensor in graph.initializer:
        name = _WRAPPED.sub("", tensor.name).removesuffix(".half")
        found = torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float32))
        values[name.replace(".weight_bias", ".bias")] = found
    return values


def _found(key: str, wanted: Tensor, stored: Mapping[str, Tensor], model: str) -> Tensor:
    value = stored.get(key)
    if value is None or value.shape != wanted.shape:
        got = "none" if value is None else str(tuple(value.shape))
        msg = (
            f"model {model!r}: expected weights {key} of shape {tuple(wanted.shape)}, got {got}. Is it of this version?"
        )
        raise TrainingError(msg)
    return value
