"""Example data of a package."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save

from undercast.errors import ModelError, TrustError
from undercast.models.example import LARGEST_EXAMPLE, read_example
from undercast.models.package import ModelPackage, read_package
from undercast.types import Float32

make = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "models" / "make.py")))

Packed = Callable[..., ModelPackage]


def image(*shape: int) -> Float32:
    return np.random.default_rng(0).random(shape, np.float32)


@pytest.fixture
def packed(tmp_path: Path) -> Packed:
    """Write a package with these tensors as example data."""

    def write(**tensors: Float32) -> ModelPackage:
        details = replace(make.tiny_details(), examples={"example_data.safetensor": save(tensors)})
        weights = {"member_1": make.brightness_network()}
        return read_package(make.write_package(tmp_path / "m", make.tiny_spec(), weights, details))

    return write


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 3, 8, 8)])
def test_the_image_is_read_with_what_was_recorded(packed: Packed, shape: tuple[int, ...]) -> None:
    example = read_example(packed(example_data=image(*shape), member_1=image(1, 4, 8, 8), uncertainty=image(1, 8, 8)))
    np.testing.assert_array_equal(example.image, image(*shape).reshape(3, 8, 8))
    assert {name: values.shape for name, values in example.recorded.items()} == {
        "member_1": (4, 8, 8),
        "uncertainty": (1, 8, 8),
    }


def test_the_only_tensor_is_the_image_whatever_its_name(packed: Packed) -> None:
    assert read_example(packed(pixels=image(3, 8, 8))).image.shape == (3, 8, 8)


@pytest.mark.parametrize(
    "tensors",
    [
        {"example_data": image(4, 8, 8)},
        {"one": image(3, 8, 8), "two": image(3, 8, 8)},
        {"example_data": image(3, 8, 8).astype(np.float64)},
        {"example_data": image(2, 3, 8, 8)},
        {"example_data": image(8, 8)},
    ],
)
def test_what_the_networks_do_not_take_is_refused(packed: Packed, tensors: dict[str, Float32]) -> None:
    with pytest.raises(ModelError, match=r"expected (float32|one image)"):
        read_example(packed(**tensors))


def test_a_package_without_example_data_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"expected an asset with role mlm:example_data, got none"):
        read_example(read_package(make.tiny_package(tmp_path / "m")))


def test_example_data_that_were_changed_are_refused(packed: Packed) -> None:
    package = packed(example_data=image(3, 8, 8))
    (package.root / "example_data.safetensor").write_bytes(save({"example_data": image(3, 8, 8) + 1}))
    with pytest.raises(TrustError, match=r"are not the ones that the package declares"):
        read_example(package)


@pytest.mark.parametrize("href", ["../other.safetensor", "/etc/passwd", "file:///etc/passwd"])
def test_a_reference_out_of_the_folder_is_refused(packed: Packed, href: str) -> None:
    package = packed(example_data=image(3, 8, 8))
    item = json.loads(package.item.read_text())
    item["assets"]["example_data"]["href"] = href
    package.item.write_text(json.dumps(item))
    with pytest.raises(TrustError):
        read_example(package)


def test_damaged_or_missing_or_huge_example_data_are_refused(packed: Packed) -> None:
    package = packed(example_data=image(3, 8, 8))
    item = json.loads(package.item.read_text())
    del item["assets"]["example_data"]["file:checksum"]
    package.item.write_text(json.dumps(item))
    path = package.root / "example_data.safetensor"
    path.write_bytes(b"\xff" * 64)
    with pytest.raises(TrustError):
        read_example(package)
    with path.open("wb") as file:
        file.truncate(LARGEST_EXAMPLE + 1)
    with pytest.raises(TrustError, match=r"at most"):
        read_example(package)
    path.unlink()
    with pytest.raises(ModelError, match=r"cannot be read"):
        read_example(package)
