"""Fixtures: a classifier's record, and the properties of its item."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from undercast.classification.item import spec_properties


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The functions of ``tests/data/classifiers/make.py``."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "data" / "classifiers" / "make.py")))


@pytest.fixture
def record(make: SimpleNamespace) -> dict[str, Any]:
    """An evaluation record with an example."""
    scores = {label: round(0.99 - 0.05 * place, 6) for place, label in enumerate(make.LABELS)}
    found: dict[str, Any] = make.record(
        example={"file": "a.npz", "split": "held", "labels": list(make.LABELS[:2]), "scores": scores}
    )
    return found


@pytest.fixture
def properties(make: SimpleNamespace) -> dict[str, Any]:
    """Properties of a classifier's item."""
    return {
        **spec_properties(make.tiny_spec("10m_s1")),
        "title": "Tiny classifier",
        "description": "For tests.",
        "license": "Apache-2.0",
        "created": "2024-01-02T03:04:05Z",
        "mlm:total_parameters": 12345,
    }
