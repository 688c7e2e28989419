"""`undercast doctor`: what is installed, what runs where, and whether it works."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING, Any

import click

from undercast.cli.app import describe, describe_defect, version
from undercast.cli.printing import print_json, print_pairs, yes_no
from undercast.errors import UndercastError

if TYPE_CHECKING:
    from undercast.loading import Model

DRIVERS = ("COG", "JP2OpenJPEG", "HDF5", "netCDF", "HDF4", "Zarr")
"""GDAL's drivers of interest: the output format, and formats that products come in."""
OPTIONAL = ("openvino", "torch", "safetensors", "xarray", "rioxarray", "distributed")
"""Distributions that undercast uses where they are installed."""
KINDS = ("onnx", "pt2", "safetensors")
"""Kinds of weights."""
TEST_SIZE = 64
"""Side of the array of the self-test, in pixels."""


@click.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> None:
    """Say what is installed, what runs where, and whether it works; exit status 1 if the self-test fails."""
    told = examine()
    if as_json:
        print_json(told)
    else:
        print_findings(told)
    if not told["works"]:
        raise click.exceptions.Exit(1)


def examine() -> dict[str, Any]:
    """Look at everything.

    Returns:
        Findings, as plain values; ``works``: whether the self-test passed.
    """
    test = self_test()
    return {
        "undercast": version(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processors": processors(),
        "numpy": distribution("numpy"),
        **gdal(),
        **runtimes(),
        "optional": {name: distribution(name) for name in OPTIONAL},
        "model": embedded_model(),
        "self_test": test,
        "works": test["passed"],
    }


def distribution(name: str) -> str | None:
    """Give the version of an installed distribution without importing it; None where it is not installed."""
    try:
        return installed_version(name)
    except PackageNotFoundError:
        return None


def processors() -> int:
    """Count the processors that this process may use."""
    from undercast.inference.processor import processors

    return processors()


def gdal() -> dict[str, Any]:
    """Look at GDAL and its drivers."""
    import rasterio
    from rasterio.env import Env

    with Env() as env:
        known = set(env.drivers())
    return {
        "rasterio": rasterio.__version__,
        "gdal": rasterio.__gdal_version__,
        "drivers": {name: name in known for name in DRIVERS},
    }


def runtimes() -> dict[str, Any]:
    """Look at the runtimes: ONNX Runtime's providers, what each backend can use, and which would be chosen."""
    import onnxruntime

    from undercast.inference.backends import backend_names

    return {
        "onnxruntime": onnxruntime.__version__,
        "providers": list(onnxruntime.get_available_providers()),
        "backends": {name: available(name) for name in backend_names()},
        "choices": {kind: choice(kind) for kind in KINDS},
    }


def available(name: str) -> dict[str, list[str]] | str:
    """Give a backend's devices with the precisions that it computes with; a line where it cannot be used."""
    from undercast.inference.backends import load_backend

    try:
        backend = load_backend(name)
    except UndercastError as error:
        return describe(error)
    return {device: list(backend.precisions(device)) for device in backend.devices()}


def choice(kind: str) -> dict[str, str] | str:
    """Give the backend that would run a kind of weights, and why; a line where none would."""
    from undercast.inference.backends import choose_backend

    try:
        chosen = choose_backend(kind)
    except UndercastError as error:
        return describe(error)
    device = chosen.devices[0]
    precision = chosen.backend.precisions(device)[0]
    return {"backend": chosen.name, "device": device, "precision": precision, "reason": chosen.reason}


def embedded_model() -> dict[str, Any]:
    """Look at the model that comes with undercast, and compare its weights with their checksums."""
    from undercast.models.package import DEFAULT_MODEL, find_package, read_package
    from undercast.models.trust.weights import verified_bytes

    try:
        package = read_package(find_package(DEFAULT_MODEL))
        for member in package.members:
            verified_bytes(member)
    except UndercastError as error:
        return {"name": DEFAULT_MODEL, "verified": False, "error": describe(error)}
    spec = package.spec
    return {
        "name": DEFAULT_MODEL,
        "id": spec.id,
        "version": spec.version,
        "verified": True,
        "item": str(package.item),
    }


def self_test() -> dict[str, Any]:
    """Mask a small array with the embedded model; a failure is told, not raised."""
    from dataclasses import replace

    import numpy as np

    from undercast.loading import load_model
    from undercast.masking import predict
    from undercast.scene import scene_from_array

    began = time.perf_counter()
    try:
        model = load_model()
        bands = [wanted.band for wanted in model.spec.bands]
        ramp = np.linspace(0.02, 0.6, TEST_SIZE, dtype=np.float32)
        values = np.broadcast_to(ramp, (len(bands), TEST_SIZE, TEST_SIZE))
        scene = scene_from_array(values, bands, name="self-test", level=model.spec.levels[0])
        # A ramp is no scene to judge a precision by.
        prediction = predict(scene, replace(model, proof=None))
    except UndercastError as error:
        return {"passed": False, "error": describe(error)}
    except Exception as error:  # noqa: BLE001 (a doctor tells every illness)
        return {"passed": False, "error": describe_defect(error)}
    return {
        "passed": bool(prediction.valid.all()),
        "backend": model.backend,
        "device": model.device,
        "precision": prediction.header.precision,
        "agreement": agreement(model),
        "seconds": round(time.perf_counter() - began, 3),
    }


def agreement(model: Model) -> dict[str, float | bool] | None:
    """Give what earlier scenes have said of a precision below f32; None where there is none or nothing was compared."""
    found = model.agreement
    if found is None:
        return None
    return {"share": found.share, "pixels": found.pixels, "settled": model.proof is None}


def why_this_precision(test: Mapping[str, Any]) -> str:
    """Say in words why the embedded model runs in the precision that it runs in."""
    precision, found = test["precision"], test["agreement"]
    if found is None:
        exact = precision == "f32"
        return precision if exact else f"{precision}, which the first scenes are to show to be as good as f32"
    of_pixels = f"{100 * found['share']:.3f} % of {found['pixels']} pixels had the class of f32"
    if found["settled"]:
        return f"{precision}: {of_pixels}" + (" with less" if precision == "f32" else "")
    return f"{precision}: so far {of_pixels}; further scenes are compared"


def print_findings(told: Mapping[str, Any]) -> None:
    """Put the findings in words."""
    model, test = told["model"], told["self_test"]
    backends = {
        name: found if isinstance(found, str) else "; ".join(f"{one} ({', '.join(by)})" for one, by in found.items())
        for name, found in told["backends"].items()
    }
    choices = {
        kind: found if isinstance(found, str) else "{backend} on {device} with {precision}: {reason}".format(**found)
        for kind, found in told["choices"].items()
    }
    print_pairs(
        [
            ("undercast", told["undercast"]),
            ("python", f"{told['python']} on {told['system']}, {told['processors']} processors"),
            ("numpy", told["numpy"] or "not installed"),
            ("rasterio", f"{told['rasterio']} with GDAL {told['gdal']}"),
            ("drivers", ", ".join(f"{name} {yes_no(there)}" for name, there in told["drivers"].items())),
            ("onnxruntime", f"{told['onnxruntime']} with {', '.join(told['providers'])}"),
            *((f"backend {name}", text) for name, text in backends.items()),
            *((f"{kind} weights", text) for kind, text in choices.items()),
            *((name, found or "not installed") for name, found in told["optional"].items()),
            *((("precision", why_this_precision(test)),) if "precision" in test else ()),
            ("model", f"{model['id']} {model['version']}, verified" if model["verified"] else model["error"]),
            (
                "self-test",
                f"passed in {test['seconds']:.2f} s ({test['backend']}, {test['device']}, {test['precision']})"
                if test["passed"]
                else f"FAILED: {test.get('error', 'the prediction has pixels without a class')}",
            ),
        ]
    )
