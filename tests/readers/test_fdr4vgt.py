from __future__ import annotations

import runpy
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from undercast.errors import SceneError
from undercast.readers import fdr4vgt, open_scene
from undercast.readers.base import OpenOptions
from undercast.scene import SunAngles


@pytest.fixture(scope="module")
def fdr() -> SimpleNamespace:
    """The functions of ``tests/data/fdr4vgt/make.py``."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "fdr4vgt" / "make.py")))


@pytest.mark.parametrize("coding", [False, True])
def test_a_product_comes_back_as_it_was_written(tmp_path: Path, fdr: SimpleNamespace, coding: bool) -> None:
    scene = open_scene(fdr.write(tmp_path / fdr.NAME, coding=coding))
    np.testing.assert_allclose(scene.read(), fdr.reflectance(), atol=1e-6)
    assert (scene.sensor, scene.level, scene.name) == ("spot-vgt-1", "toa", fdr.NAME)
    assert [band.common_name for band in scene.bands] == ["blue", "red", "nir", "swir16"]
    assert scene.acquired == datetime(1999, 4, 5, 10, 58, 33, tzinfo=UTC)
    assert scene.sun == SunAngles(zenith=35.0, azimuth=100.0)
    step = fdr.STEP
    assert scene.grid.transform == pytest.approx((step, 0.0, -step / 2, 0.0, -step, 55.0 + step / 2))


def test_proba_v_is_known_by_the_name(tmp_path: Path, fdr: SimpleNamespace) -> None:
    scene = open_scene(fdr.write(tmp_path / fdr.PROBA_V_NAME), bands="nir,red")
    assert (scene.sensor, [band.name for band in scene.bands]) == ("proba-v", ["NIR", "RED"])
    assert scene.acquired == datetime(2020, 4, 2, 9, 2, 58, tzinfo=UTC)


def test_the_status_map_becomes_a_quality_map(tmp_path: Path, fdr: SimpleNamespace) -> None:
    status = np.full(fdr.SHAPE, 8)
    status[0, :3] = [8, 9, 0]
    classes = fdr4vgt.quality(str(fdr.write(tmp_path / fdr.NAME, status=status)))
    assert list(classes[0, :4]) == [0, 1, 255, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"SCALE": -1}, "expected attribute SCALE above 0"),
        ({"OFFSET": None}, "expected a number as attribute OFFSET, got none"),
        ({"CODING": np.array([2000.0])}, "expected attribute CODING with slope and offset"),
        ({"MAPPING": None}, "expected attribute MAPPING"),
    ],
)
def test_a_wrong_attribute_is_one_clear_line(
    tmp_path: Path, fdr: SimpleNamespace, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(SceneError, match=message):
        open_scene(fdr.write(tmp_path / fdr.NAME, **changes))


def test_missing_and_truncated_files_are_one_clear_line(tmp_path: Path, fdr: SimpleNamespace) -> None:
    folder = fdr.write(tmp_path / fdr.NAME)
    path = folder / f"{fdr.NAME}_RED_TOA.hdf"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(SceneError, match="truncated"):
        open_scene(folder).read()
    path.unlink()
    with pytest.raises(SceneError, match="expected one file of RED_TOA, got none"):
        open_scene(folder)
    (folder / f"{fdr.NAME}_SM.hdf").unlink()
    with pytest.raises(SceneError, match="expected one file of SM, got none"):
        fdr4vgt.quality(str(folder))


def test_damaged_files_give_our_errors_only(tmp_path: Path, fdr: SimpleNamespace, fuzzing: SimpleNamespace) -> None:
    folder = fdr.write(tmp_path / fdr.NAME)
    path = folder / f"{fdr.NAME}_BLUE_TOA.hdf"

    def open_bytes(data: bytes) -> None:
        path.write_bytes(data)
        fdr4vgt.open(str(folder), OpenOptions()).read()

    fuzzing.fuzz(open_bytes, path.read_bytes())
