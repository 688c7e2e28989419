"""Fixtures of the tests of many scenes: a tiny model, and files of tiny scenes."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

DATA = Path(__file__).parents[1] / "data"
MODELS = SimpleNamespace(**runpy.run_path(str(DATA / "models" / "make.py")))
SCENES = SimpleNamespace(**runpy.run_path(str(DATA / "scenes" / "make.py")))


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model package that takes blue, green and red; bright is thick cloud."""
    folder: Path = MODELS.tiny_package(tmp_path_factory.mktemp("models") / "tiny")
    return folder


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Ten scenes of 64 x 64 px, their left halves under cloud."""
    dn = np.round(SCENES.half_cloudy() * 10_000).astype(np.uint16)
    return [SCENES.write_raster(tmp_path / "in" / f"scene{number}.tif", dn, scale=1e-4) for number in range(10)]
