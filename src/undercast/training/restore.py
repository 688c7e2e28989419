"""Restore: the weights of a model package become a network that can be trained further."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

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


def normalised(network: nn.Module, images: Sequence[Tensor]) -> nn.Module:
    """Give each convolution that lost its batch normalisation a new one, in place: it says the same, and learns better.

    Args:
        network: A network as ``restore`` gives it, in evaluation mode.
        images: Batches of what it sees, for the mean and spread of what its convolutions give.

    Returns:
        The network.
    """
    found: list[tuple[nn.Module, str, nn.Conv2d]] = []
    for module in network.modules():
        for (_, before), (name, after) in itertools.pairwise(module.named_children()):
            if isinstance(before, nn.Conv2d) and isinstance(after, nn.Identity):
                found.append((module, name, before))
    sums = [torch.zeros(3, convolution.out_channels, dtype=torch.float64) for _, _, convolution in found]

    def watch(number: int, _module: nn.Module, _given: Any, out: Tensor) -> None:
        values = out.detach().double().transpose(0, 1).flatten(1)
        ones = torch.full_like(values[:, 0], values.shape[1])
        sums[number] += torch.stack([ones, values.sum(dim=1), (values * values).sum(dim=1)])

    hooks = [
        convolution.register_forward_hook(partial(watch, number)) for number, (_, _, convolution) in enumerate(found)
    ]
    with torch.no_grad():
        for image in images:
            network(image)
    for hook in hooks:
        hook.remove()
    for (module, name, convolution), (count, total, squares) in zip(found, sums, strict=True):
        mean = total / count
        layer = nn.BatchNorm2d(convolution.out_channels)
        layer.running_mean = mean.float()
        layer.running_var = (squares / count - mean**2).clamp(min=0.0).float()
        with torch.no_grad():
            layer.weight.copy_(torch.sqrt(layer.running_var + layer.eps))
            layer.bias.copy_(mean)
        setattr(module, name, layer.eval())
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
