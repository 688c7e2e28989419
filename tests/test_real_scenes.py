"""The embedded model on real scenes that it was not trained on: the floor below which no release falls."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def landsat7(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Mask the real Landsat-7 scene as a person would; give the class map and the reference."""
    out = tmp_path_factory.mktemp("landsat7")
    scene = real_data / "products" / "geotiff" / "landsat7_toa_6band.tif"
    command = [sys.executable, "-m", "undercast", "mask", str(scene), "-o", str(out), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    path = json.loads(done.stdout)["class_map"]
    with pytest.warns(NotGeoreferencedWarning), rasterio.open(path) as dataset:
        class_map = dataset.read(1)
    with np.load(real_data / "val" / "ukis_csmask__landsat7.npz", allow_pickle=False) as arrays:
        reference = arrays["mask"]
    return class_map, reference


def test_clouds_of_the_real_landsat7_scene_are_found(landsat7: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
    class_map, reference = landsat7
    judged = (reference != 255) & (class_map != 255)
    found, wanted = np.isin(class_map, (1, 2))[judged], np.isin(reference, (1, 2))[judged]
    f1 = 2 * (found & wanted).sum() / (found.sum() + wanted.sum())
    assert f1 >= 0.80


def test_clear_cloud_and_shadow_of_the_real_landsat7_scene_agree_beyond_chance(
    landsat7: tuple[NDArray[np.uint8], NDArray[np.uint8]],
) -> None:
    class_map, reference = landsat7
    judged = (reference != 255) & (class_map != 255)
    merged = np.array([0, 1, 1, 2], np.uint8)
    found, wanted = merged[class_map[judged]], merged[reference[judged]]
    table = np.bincount(3 * wanted + found, minlength=9).reshape(3, 3) / wanted.size
    by_chance = float(table.sum(axis=0) @ table.sum(axis=1))
    kappa = (np.trace(table) - by_chance) / (1 - by_chance)
    assert kappa >= 0.60
