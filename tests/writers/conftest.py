"""Made-up scenes and predictions for the tests of the writers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from undercast.classes import load_scheme
from undercast.grids import Grid
from undercast.prediction import ModelIdentity, Prediction, PredictionHeader, PredictionStream, Strip
from undercast.scene import Scene, scene_from_array
from undercast.types import UInt8
from undercast.writers import OutputOptions

UTM = "EPSG:32631"
TRANSFORM = (30.0, 0.0, 500_000.0, 0.0, -30.0, 4_600_000.0)

Make = Callable[..., tuple[Prediction, Scene]]
Cut = Callable[[Prediction, Sequence[int]], PredictionStream]


def make_pair(
    shape: tuple[int, int] = (60, 40),
    *,
    seed: int = 0,
    georeferenced: bool = True,
    class_map: UInt8 | None = None,
    name: str = "tiny",
) -> tuple[Prediction, Scene]:
    """Make a prediction of noise, with some nodata, and the scene under it."""
    rng = np.random.default_rng(seed)
    if class_map is None:
        class_map = rng.choice(np.array([0, 1, 2, 3, 255], np.uint8), shape)
    shape = class_map.shape[0], class_map.shape[1]
    gone = class_map == 255
    raw = rng.random((4, *shape), np.float32)
    probabilities = np.where(gone, np.float32(np.nan), raw / raw.sum(axis=0))
    uncertainty = np.where(gone, np.float32(np.nan), rng.random(shape, np.float32))
    grid = Grid(shape=shape, transform=TRANSFORM, crs=UTM) if georeferenced else Grid(shape=shape)
    reflectance = np.where(gone, np.float32(np.nan), rng.random((4, *shape), np.float32))
    scene = scene_from_array(reflectance, ["blue", "green", "red", "nir"], name=name, level="toa", grid=grid)
    model = ModelIdentity(
        id="starter", version="1.2", checksums=("1220aa", "1220bb"), href="https://example.org/starter.json"
    )
    header = PredictionHeader(
        scene=name, grid=grid, model=model, thresholds={"cloud": 0.4}, bands={"red": "B4"}, absent=("swir16",)
    )
    prediction = Prediction(
        header=header,
        class_map=class_map,
        probabilities=probabilities,
        uncertainty=uncertainty,
        partly_valid=3,
    )
    return prediction, scene


def cut_stream(prediction: Prediction, cuts: Sequence[int]) -> PredictionStream:
    """Cut a prediction into strips at some rows."""
    edges = [0, *sorted(set(cuts)), prediction.class_map.shape[0]]

    def strips() -> Iterator[Strip]:
        for first, last in pairwise(edges):
            yield Strip(
                row=first,
                class_map=prediction.class_map[first:last],
                probabilities=prediction.probabilities[:, first:last],
                uncertainty=prediction.uncertainty[first:last],
                partly_valid=prediction.partly_valid if first == 0 else 0,
            )

    return PredictionStream(header=prediction.header, strips=strips())


@pytest.fixture(scope="session")
def make() -> Make:
    return make_pair


@pytest.fixture(scope="session")
def cut() -> Cut:
    return cut_stream


@pytest.fixture
def options(tmp_path: Path) -> OutputOptions:
    return OutputOptions(folder=tmp_path / "out", scheme=load_scheme())


@pytest.fixture
def everything(options: OutputOptions) -> OutputOptions:
    return replace(options, probabilities=True, uncertainty=True, command="undercast mask tiny.tif -o out")
