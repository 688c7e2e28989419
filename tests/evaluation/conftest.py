"""Fixtures of the evaluation's tests: small references, tiny model packages, and a predictor that knows the labels."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from undercast.evaluation.predictors import Predicted
from undercast.evaluation.references import ReferenceScene

DATA = Path(__file__).parents[1] / "data"


class Oracle:
    """A predictor that gives the reference back, with a share of its pixels changed to clear."""

    def __init__(self, wrong: float = 0.0, *, name: str = "oracle", seed: int = 0) -> None:
        self.wrong = wrong
        self.name = name
        self.seed = seed

    @property
    def identity(self) -> dict[str, Any]:
        return {"id": self.name, "version": "1", "kind": "processor", "checksums": [], "options": {}}

    def predict(self, reference: ReferenceScene) -> Predicted:
        class_map = np.select([(reference.possible & 1 << value) > 0 for value in range(4)], range(4), 255)
        rng = np.random.default_rng([self.seed, int(reference.hash[:8], 16)])
        class_map[(rng.random(class_map.shape) < self.wrong) & (class_map < 4)] = 0
        return Predicted(class_map=class_map.astype(np.uint8))


@pytest.fixture(scope="session")
def drawn() -> SimpleNamespace:
    """Give the functions that make references."""
    return SimpleNamespace(**runpy.run_path(str(DATA / "references" / "make.py")))


@pytest.fixture(scope="session")
def models() -> SimpleNamespace:
    """Give the functions that make model packages."""
    return SimpleNamespace(**runpy.run_path(str(DATA / "models" / "make.py")))


@pytest.fixture
def oracle() -> Callable[..., Oracle]:
    """Make predictors that know the reference."""
    return Oracle


@pytest.fixture
def folder(tmp_path: Path, drawn: SimpleNamespace) -> Path:
    """Write a folder with six scenes of clear, cloud and shadow."""
    masks = {f"scene_{number}": drawn.stripes(codes=(0, 1, 3)[: 2 + number % 2]) for number in range(6)}
    return Path(drawn.write_folder(tmp_path / "data", masks))
