"""The package's face: small, lazy and light."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import undercast

HEAVY = {
    "torch",
    "dask",
    "matplotlib",
    "rasterio",
    "onnxruntime",
    "numpy",
    "xarray",
    "click",
    "rich",
    "pystac",
}
LOOK = "import json, sys; import undercast; print(json.dumps(sorted(sys.modules)))"
CLOCK = "import sys, time; began = time.perf_counter(); import undercast; print(time.perf_counter() - began);"


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_importing_undercast_loads_no_heavy_library() -> None:
    loaded = {name.split(".")[0] for name in json.loads(python(LOOK))}
    assert not loaded & HEAVY


def test_importing_undercast_takes_less_than_a_fifth_of_a_second() -> None:
    assert min(float(python(CLOCK)) for _ in range(3)) < 0.2


@pytest.mark.parametrize("name", sorted(set(undercast.__all__) - {"__version__"}))
def test_every_public_name_can_be_loaded(name: str) -> None:
    assert getattr(undercast, name).__name__ == name


def test_dir_lists_the_public_names() -> None:
    assert set(dir(undercast)) == set(undercast.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'masc'"):
        undercast.masc  # noqa: B018 (looking it up is the test)
