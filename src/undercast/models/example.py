"""Example data: an image that travels with a model package, and what its makers' networks said about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from undercast._optional import require
from undercast.errors import ModelError, TrustError
from undercast.models.documents import load_json
from undercast.models.members import local_name
from undercast.models.package import ModelPackage
from undercast.models.table import Table
from undercast.models.trust.checksums import check_multihash, multihash
from undercast.models.trust.paths import confined_path
from undercast.models.trust.safetensors_header import check_safetensors
from undercast.types import Float32

EXAMPLE_ROLE = "mlm:example_data"
"""Role of the asset that is example data."""

IMAGE_NAMES = ("example_data", "input", "image", "x")
"""Names of the tensor that is the image, where there is more than one; the first is FDR4VGT's."""

PROBABILITIES = "probabilities"
"""Name of the tensor with the probabilities of all members together."""

UNCERTAINTY = "uncertainty"
"""Name of the tensor with their uncertainty."""

LARGEST_EXAMPLE = 256 * 1024**2
"""Largest example data that are read, in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Example:
    """What a package's example data hold."""

    image: Float32
    """As the networks take it, ``(band, y, x)``; the package's fill where there is no data."""
    recorded: Mapping[str, Float32]
    """Name -> what was recorded, ``(layer, y, x)``: a member's name or that of its file without ending, or
    ``probabilities`` or ``uncertainty`` for all members together."""


def read_example(package: ModelPackage) -> Example:
    """Read the example data of a package (the asset with role ``mlm:example_data``, in safetensors).

    Raises:
        ModelError: If there are none, or they are not what the package's networks take.
        TrustError: If they lie outside the package folder, are damaged, or differ from a declared checksum.
        MissingDependencyError: If what reads safetensors is not installed.
    """
    values = load_json(package.item) if package.item.is_file() else {}
    assets = Table(values=values, origin=str(package.item)).table("assets", default={})
    rows = [assets.table(name) for name in assets.values]
    found = next((row for row in rows if EXAMPLE_ROLE in row.texts("roles", default=())), None)
    if found is None:
        msg = f"{package.item}: expected an asset with role {EXAMPLE_ROLE}, got none. Pack the model with example data."
        raise ModelError(msg)
    library = require("safetensors.numpy", extra="torch", purpose="read example data")
    tensors: dict[str, Float32] = library.load(_bytes(found, package))
    places = {name: _place(name, values) for name, values in tensors.items() if values.dtype == np.float32}
    image = next((name for name in IMAGE_NAMES if name in places), None)
    image = next(iter(places), None) if image is None and len(places) == 1 else image
    if image is None or places[image].shape[0] != len(package.spec.bands):
        expected = f"float32 {' or '.join(IMAGE_NAMES)} of {len(package.spec.bands)} bands"
        got = ", ".join(f"{name} {values.dtype} {values.shape}" for name, values in tensors.items()) or "nothing"
        raise found.wrong(key="href", expected=expected, got=got)
    return Example(image=places[image], recorded={name: values for name, values in places.items() if name != image})


def _place(name: str, values: Float32) -> Float32:
    """Take the batch axis off.

    Raises:
        ModelError: If the tensor is not one image.
    """
    image = values[0] if values.ndim == 4 and values.shape[0] == 1 else values
    if image.ndim != 3 or not image.size:
        msg = f"example data {name!r}: expected one image (layer, y, x), got shape {values.shape}."
        raise ModelError(msg)
    return image


def _bytes(asset: Table, package: ModelPackage) -> bytes:
    href, origin = asset.text("href"), f"{asset.origin}: href"
    path = confined_path(local_name(href, origin=origin) if "://" in href else href, package.root, origin=origin)
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_EXAMPLE + 1)
    except OSError as error:
        msg = f"example data {path} cannot be read: {error.strerror or error}. Install the model package again."
        raise ModelError(msg) from error
    if len(data) > LARGEST_EXAMPLE:
        msg = f"{path}: example data have at most {LARGEST_EXAMPLE} bytes."
        raise TrustError(msg)
    declared = asset.optional_text("file:checksum")
    if declared is not None and check_multihash(declared, origin=f"{asset.origin}: file:checksum") != multihash(data):
        msg = f"example data {path} are not the ones that the package declares. Install the model package again."
        raise TrustError(msg)
    check_safetensors(data, origin=str(path))
    return data
