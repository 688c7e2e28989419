from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

from undercast.errors import GridError, SceneError
from undercast.evaluation.processors import ProcessorPredictor
from undercast.evaluation.references import ReferenceScene, reference_scene
from undercast.scene import scene_from_array
from undercast.weak_labels.mask_files import read_mask
from undercast.weak_labels.processors import PROCESSORS


def reference(name: str, shape: tuple[int, int]) -> ReferenceScene:
    scene = scene_from_array(np.full((1, *shape), 0.1, np.float32), ["red"], name=name)
    return reference_scene(scene, np.ones(shape, np.uint8), {})


def write(path: Path, stored: NDArray[Any], *, nodata: int | None = None) -> Path:
    height, width = stored.shape
    with (
        pytest.warns(NotGeoreferencedWarning),
        rasterio.open(
            path, "w", driver="GTiff", height=height, width=width, count=1, dtype=stored.dtype, nodata=nodata
        ) as raster,
    ):
        raster.write(stored, 1)
    return path


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_the_predictor_reads_the_raster_named_as_the_scene(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", np.array([[4, 9], [3, 0]], np.uint8))
    predictor = ProcessorPredictor(product=PROCESSORS["scl"], masks=tmp_path)
    predicted = predictor.predict(reference("a", (2, 2)))
    assert predicted.class_map.tolist() == [[0, 1], [3, 255]]
    assert predicted.probabilities is None
    assert predictor.identity["kind"] == "processor"
    assert predictor.identity["id"] == "scl"


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_what_the_file_declares_as_nodata_is_no_prediction(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", np.array([[4, 99]], np.uint8), nodata=99)
    predictor = ProcessorPredictor(product=PROCESSORS["scl"], masks=tmp_path)
    assert predictor.predict(reference("a", (1, 2))).class_map.tolist() == [[0, 255]]


def test_the_predictor_takes_arrays() -> None:
    predictor = ProcessorPredictor(product=PROCESSORS["maja-clm"], masks={"a": np.array([[0, 7]])})
    assert predictor.predict(reference("a", (1, 2))).class_map.tolist() == [[0, 1]]
    with pytest.raises(SceneError, match="got none for b"):
        predictor.predict(reference("b", (1, 2)))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_missing_damaged_or_wrongly_sized_mask_is_one_clear_error(tmp_path: Path) -> None:
    predictor = ProcessorPredictor(product=PROCESSORS["scl"], masks=tmp_path)
    with pytest.raises(SceneError, match="Name masks as the scenes"):
        predictor.predict(reference("a", (1, 2)))
    (tmp_path / "a.tif").write_bytes(b"no raster")
    with pytest.raises(SceneError, match="expected a raster with a mask in band 1"):
        predictor.predict(reference("a", (1, 2)))
    write(tmp_path / "b.tif", np.zeros((3, 3), np.uint8))
    with pytest.raises(GridError, match=r"expected shape \(1, 2\), got \(3, 3\)"):
        predictor.predict(reference("b", (1, 2)))
    with pytest.raises(SceneError, match="in band 2"):
        read_mask(tmp_path / "b.tif", band=2)
