"""VGT packages: a package in FDR4VGT's layout, which undercast and mlstac load to the same numbers.

One folder holds two items: ``item.json`` is undercast's and names the members as ONNX; ``mlm.json`` has the layout of
FDR4VGT-CLOUD and names them as ``.pt2``, with ``load.py`` and an example, as mlstac expects it.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import nn
from torch.fx.experimental import _config

from undercast._optional import require
from undercast.destinations import check_new_package
from undercast.errors import OutputError, TrainingError
from undercast.inference.ensemble import aggregate, uncertainty
from undercast.model_spec import ModelSpec
from undercast.models.documents import dump_json
from undercast.models.publish.write import EXTENSIONS, PackageDetails, write_package
from undercast.models.trust.checksums import multihash
from undercast.training.export import as_onnx, free_shapes
from undercast.types import Float32

MLM_ITEM = "mlm.json"
"""The item in FDR4VGT's layout; mlstac looks for this name."""
LOADER = "load.py"
"""Code that mlstac runs; undercast never does."""
LARGEST_DIFFERENCE = 1e-4
"""Largest difference in probability between a member as it was trained and as it is stored."""
EXAMPLE = "example_data.safetensor"
"""Example image; the name is FDR4VGT's."""
PT2_MEDIA_TYPE = "application/octet-stream; framework=pytorch; profile=ExportedProgram"
"""Media type of ``.pt2`` weights, as MLM recommends it."""
SENSORS = ("VGT-1", "VGT-2", "PROBA-V")
"""Sensors that the item names."""
FIRST_DATE = "1998-03-01T00:00:00Z"
"""Begin of SPOT-VGT 1's operation, as the item of FDR4VGT states it."""


def to_pt2(module: nn.Module, bands: int) -> bytes:
    """Export a module in evaluation mode with torch.export; any batch, and any sides that are multiples of 32."""
    example = torch.zeros(2, bands, 64, 96)
    buffer = io.BytesIO()
    # Without "oblivious" the exporter forbids deepest maps of one pixel, though nothing depends on that.
    with warnings.catch_warnings(), _config.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
        warnings.simplefilter("ignore")
        program = torch.export.export(module, (example,), dynamic_shapes=(free_shapes(),))
        torch.export.save(program, buffer)
    return buffer.getvalue()


def export_member(module: nn.Module, bands: int) -> tuple[bytes, bytes]:
    """Export a network as it is shipped, reflectance x 10000 in, probability of cloud out.

    Returns:
        ONNX and ``.pt2``.

    Raises:
        TrainingError: If either gives other numbers than the module.
    """
    module = module.eval()
    module.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    onnx, pt2 = as_onnx(module, bands), to_pt2(module, bands)
    program = torch.export.load(io.BytesIO(pt2)).module()
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    for shape in ((1, bands, 32, 160), (3, bands, 128, 96)):
        image = 10_000.0 * torch.rand(shape, generator=torch.Generator().manual_seed(0))
        image[..., :8] = 0.0
        with torch.no_grad():
            wanted, given = module(image).numpy(), program(image).numpy()
        (got,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
        for kind, answer in (("ONNX", got), (".pt2", given)):
            difference = float(np.abs(answer - wanted).max()) if answer.shape == wanted.shape else float("inf")
            if not difference <= LARGEST_DIFFERENCE:
                msg = (
                    f"the network as {kind} differs by {difference:.2g} in probability,"
                    f" more than {LARGEST_DIFFERENCE:g}. Try another version of PyTorch."
                )
                raise TrainingError(msg)
    return onnx, pt2


def write_vgt_package(
    folder: Path,
    spec: ModelSpec,
    members: Mapping[str, tuple[bytes, bytes]],
    details: PackageDetails,
    example: Float32,
) -> Path:
    """Write a package in FDR4VGT's layout: all of it under its name, or nothing.

    Args:
        folder: Folder to make; it must not exist.
        spec: What the ensemble expects and returns.
        members: Architecture -> ONNX and ``.pt2``, in the members' order.
        details: What else the package says.
        example: Reflectance x 10000, ``(4, y, x)``, all of it data; sides are multiples of 32, at most a window. It is
            written with what every member and the ensemble say about it.

    Returns:
        The folder.

    Raises:
        OutputExistsError: If the folder exists.
        OutputError: If its place cannot be written.
    """
    check_new_package(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        msg = f"model package {folder} cannot be written: {error.strerror or error}."
        raise OutputError(msg) from error
    try:
        weights = {name: pair[0] for name, pair in members.items()}
        examples = {EXAMPLE: _safetensors(example, weights, spec)}
        made = write_package(temporary / "package", spec, weights, replace(details, examples=examples))
        files = {f"{name}.pt2": pt2 for name, (_, pt2) in members.items()}
        files[LOADER] = Path(__file__).with_name("vgt_load.py").read_bytes()
        files[MLM_ITEM] = dump_json(_item(spec, details, files, made))
        for name, data in files.items():
            (made / name).write_bytes(data)
        made.rename(folder)
    except OSError as error:
        msg = f"model package {folder} cannot be written: {error.strerror or error}."
        raise OutputError(msg) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _safetensors(example: Float32, weights: Mapping[str, bytes], spec: ModelSpec) -> bytes:
    """Store the example, what each member says about it, and what all of them do."""
    library = require("safetensors.numpy", extra="torch", purpose="write example data")
    image = np.ascontiguousarray(example[None], np.float32)
    tensors = {"example_data": image}
    for name, onnx in weights.items():
        session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
        (tensors[name],) = session.run(None, {session.get_inputs()[0].name: image})
    members = np.concatenate([tensors[name] for name in weights])
    together = aggregate(members, spec.aggregation, spec.classes)
    tensors["probabilities"] = np.ascontiguousarray(together[None, 1:])
    if len(weights) > 1:
        tensors["uncertainty"] = uncertainty(members, together, spec.uncertainty, spec.classes)[None, None]
    data: bytes = library.save(tensors)
    return data


def _item(spec: ModelSpec, details: PackageDetails, files: Mapping[str, bytes], made: Path) -> dict[str, Any]:
    """Describe the ``.pt2`` members as FDR4VGT's item does, where its schema allows that."""
    west, south, east, north = -180.0, -90.0, 180.0, 90.0
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": list(EXTENSIONS),
        "id": f"{spec.id}-{spec.version}",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [west, south, east, north],
        "properties": _properties(spec, details, [name[:-4] for name in files if name.endswith(".pt2")]),
        "links": [
            {"rel": "about", "href": "./card.md", "type": "text/markdown", "title": "Model card"},
            {"rel": "alternate", "href": "./item.json", "type": "application/geo+json", "title": "The members as ONNX"},
        ],
        "assets": _assets(spec, files, made),
    }


def _properties(spec: ModelSpec, details: PackageDetails, members: list[str]) -> dict[str, Any]:
    created = details.created.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    recommended = float(spec.thresholds.get("cloud", 0.5))
    properties: dict[str, Any] = {
        "datetime": created,
        "created": created,
        "updated": created,
        "title": spec.title or spec.id,
        "description": details.description,
        "license": details.license,
        "version": spec.version,
        "mlm:name": spec.id,
        "mlm:architecture": f"Flexible ensemble (mean, median, max or min, and uncertainty): {', '.join(members)}",
        "mlm:tasks": ["semantic-segmentation", "regression"],
        "mlm:framework": "PyTorch",
        "mlm:framework_version": torch.__version__,
        "mlm:accelerator": None,
        "mlm:accelerator_constrained": False,
        "mlm:batch_size_suggestion": 4,
        "mlm:pretrained": True,
        "mlm:input": [_input(spec)],
        "mlm:output": [_cloud(recommended), _uncertainty(spec)],
        "eo:bands": _bands(spec),
        "undercast:levels": list(spec.levels),
        "undercast:fill": spec.fill,
        "custom:export_format": "torch.export.pt2",
        "custom:has_sigmoid": True,
        "custom:sigmoid_location": "built-in wrapper",
        "custom:sensors": list(SENSORS),
        "custom:sensor_notes": "Trained at 333 m and 1 km",
        "custom:tile_size": spec.window,
        "custom:recommended_overlap": spec.overlap,
        "custom:applicable_start": FIRST_DATE,
        "custom:applicable_end": None,
        "dependencies": ["torch>=2.5", "safetensors>=0.4", "numpy>=2.0"],
        "custom:ensemble_size": len(members),
        "custom:ensemble_members": members,
        "custom:ensemble_strategy": "Members are loaded apart and aggregated at run time, with an uncertainty",
        "custom:ensemble_fused": False,
        "custom:returns_tuple": True,
        "custom:tuple_format": "(probabilities, uncertainty)",
    }
    if details.total_parameters is not None:
        properties["mlm:total_parameters"] = details.total_parameters
    return properties


def _input(spec: ModelSpec) -> dict[str, Any]:
    return {
        "name": "VGT_PROBA_reflectance",
        "description": "Top-of-atmosphere or surface reflectance scaled by 10000, passed raw; 0 where there is no data",
        "bands": [wanted.band.name for wanted in spec.bands],
        "input": {
            "shape": [-1, len(spec.bands), -1, -1],
            "dim_order": ["batch", "bands", "height", "width"],
            "data_type": "float32",
        },
        "value_scaling": None,
        "pre_processing_function": None,
    }


def _cloud(recommended: float) -> dict[str, Any]:
    return {
        "name": "cloud_probability",
        "description": "Probability of cloud by pixel, the mean over the members unless told otherwise.",
        "tasks": ["semantic-segmentation"],
        "result": _layer(),
        "classification:classes": [
            {"value": 0, "name": "clear", "description": "Clear sky, cloud shadow included", "color_hint": "000000"},
            {"value": 1, "name": "cloud", "description": "Cloud", "color_hint": "FFFF00"},
        ],
        "post_processing_function": {"format": "python", "expression": f"probabilities >= {recommended:g}"},
        "standard_threshold": 0.5,
        "recommended_threshold": recommended,
        "value_range": [0.0, 1.0],
    }


def _uncertainty(spec: ModelSpec) -> dict[str, Any]:
    return {
        "name": "prediction_uncertainty",
        "description": (
            "Population standard deviation over the members divided by the largest that so many can have;"
            f" undercast's uncertainty {spec.uncertainty!r}."
        ),
        "tasks": ["regression"],
        "result": _layer(),
        "value_range": [0.0, 1.0],
    }


def _layer() -> dict[str, Any]:
    order = ["batch", "channel", "height", "width"]
    return {"shape": [-1, 1, -1, -1], "dim_order": order, "data_type": "float32"}


def _bands(spec: ModelSpec) -> list[dict[str, Any]]:
    return [
        {
            "name": wanted.band.name,
            "common_name": wanted.band.common_name,
            "center_wavelength": wanted.band.center_wavelength,
            "full_width_half_max": wanted.band.full_width_half_max,
        }
        for wanted in spec.bands
    ]


def _assets(spec: ModelSpec, files: Mapping[str, bytes], made: Path) -> dict[str, Any]:
    """Describe every file of the folder, so that what is fetched by this item is the whole package."""
    assets: dict[str, Any] = {
        "load": {
            "type": "text/x-python",
            "title": "Loader for mlstac",
            "roles": ["mlm:source_code", "code"],
            "mlm:entrypoint": "load.py:compiled_model",
            **_file(LOADER, files[LOADER]),
        },
        "example_data": {
            "type": "application/octet-stream; application=safetensors",
            "title": "Example image, simulated",
            "roles": ["mlm:example_data", "data"],
            **_file(EXAMPLE, (made / EXAMPLE).read_bytes()),
        },
    }
    members = [name for name in files if name.endswith(".pt2")]
    for number, name in enumerate(members, start=1):
        assets[f"model_{number:02d}_{name[:-4]}"] = {
            "type": PT2_MEDIA_TYPE,
            "title": f"Model {number}: {name[:-4]}",
            "roles": ["mlm:model", "mlm:weights", "data"],
            "mlm:artifact_type": "torch.export.save",
            "mlm:compile_method": "aot",
            "eo:bands": _bands(spec),
            **_file(name, files[name]),
        }
    for path in sorted(made.iterdir()):
        if path.suffix not in _MEDIA_TYPES:
            continue
        title = "The same weights as ONNX" if path.suffix == ".onnx" else "Part of the package"
        assets[path.name] = {
            "type": _MEDIA_TYPES[path.suffix],
            "title": title,
            "roles": ["data" if path.suffix == ".onnx" else "metadata"],
            **_file(path.name, path.read_bytes()),
        }
    return assets


_MEDIA_TYPES = {
    ".onnx": "application/octet-stream; application=onnx",
    ".json": "application/json",
    ".md": "text/markdown",
}


def _file(name: str, data: bytes) -> dict[str, Any]:
    return {"href": f"./{name}", "file:size": len(data), "file:checksum": multihash(data)}
