"""Fixtures: a tiny classifier, the cloud model of the tests, and georeferenced scenes."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from undercast.classification.classifier import Classifier, load_classifier
from undercast.classification.package import read_classifier
from undercast.grids import Grid
from undercast.loading import Model, load_model
from undercast.scene import Scene, scene_from_array

DATA = Path(__file__).parents[1] / "data"

MakeScene = Callable[..., Scene]


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The functions of ``tests/data/classifiers/make.py``."""
    return SimpleNamespace(**runpy.run_path(str(DATA / "classifiers" / "make.py")))


@pytest.fixture(scope="session")
def package(make: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier's package; label 0 is the brightness of blue. Not to be changed."""
    folder: Path = make.tiny_classifier(tmp_path_factory.mktemp("classifiers") / "tiny")
    return folder


@pytest.fixture(scope="session")
def classifier(package: Path) -> Classifier:
    return load_classifier(read_classifier(package))


@pytest.fixture(scope="session")
def cloud_model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Bright is thick cloud, dark is shadow."""
    models = SimpleNamespace(**runpy.run_path(str(DATA / "models" / "make.py")))
    return load_model(models.tiny_package(tmp_path_factory.mktemp("models") / "clouds"))


@pytest.fixture(scope="session")
def make_scene() -> MakeScene:
    """Make a scene of reflectance 0.15 (clear to the cloud model) with pixels of ``gsd`` metres."""

    def scene(height: int = 240, width: int = 240, gsd: float = 10.0, *, crs: str | None = "EPSG:32633") -> Scene:
        values = np.full((4, height, width), 0.15, np.float32)
        transform = (gsd, 0.0, 390000.0, 0.0, -gsd, 5348400.0)
        grid = Grid(shape=(height, width), transform=transform, crs=crs)
        return scene_from_array(values, ["blue", "green", "red", "nir"], name="drawn", grid=grid, level="surface")

    return scene
