"""Fixtures of the data sets' tests: the functions that make them, and one way to read them."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from undercast.evaluation.references import ReferenceScene
from undercast.evaluation.sources import read_references


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """Give the functions that make data sets."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "data" / "datasets" / "make.py")))


@pytest.fixture
def read() -> Callable[[Path], list[ReferenceScene]]:
    """Read all references of a folder as the evaluation does."""
    return lambda folder: list(read_references(folder))
