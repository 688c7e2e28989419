"""Fixtures of the weak labels' tests: rasters of codes and of labels."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from undercast.readers.layers import read_header
from undercast.weak_labels.label_files import LabelFile, LabelTarget, open_labels, write_labels
from undercast.weak_labels.on_grid import CodesOnGrid

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """Give the functions that draw rasters."""
    return SimpleNamespace(**runpy.run_path(str(DATA / "weak_labels" / "make.py")))


@pytest.fixture
def write_sets(make: SimpleNamespace) -> Callable[..., LabelFile]:
    """Write possible sets as labels that `undercast labels` would have written."""

    def write(path: Path, sets: NDArray[np.uint8], *, made_by: str = "test", **place: Any) -> LabelFile:
        codes = make.write_raster(path.with_name(f"codes_{path.name}"), sets, **place)
        grid = read_header(str(codes)).grid
        read, _ = CodesOnGrid(source=codes, grid=grid)(grid.full)
        target = LabelTarget(path=path, grid=grid, made_by=made_by, software="test")
        write_labels(target, [read], dict)
        return open_labels(path)

    return write
