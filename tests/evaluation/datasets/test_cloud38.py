"""38-Cloud is read from its folders of single bands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from undercast.errors import EvaluationError
from undercast.evaluation.references import ReferenceScene

Read = Callable[[Path], list[ReferenceScene]]


def test_four_bands_and_cloud_of_any_thickness(make: SimpleNamespace, read: Read, tmp_path: Path) -> None:
    (one,) = read(make.cloud38(tmp_path, make.columns((0, 255))))
    assert [band.common_name for band in one.scene.bands] == ["blue", "green", "red", "nir08"]
    np.testing.assert_array_equal(one.possible[1, ::8], [9, 6])
    assert not one.possible[0].any()
    np.testing.assert_allclose(one.scene.read()[3, 1, ::8], [0.203, 0.803], atol=1e-4)
    assert one.name.startswith("patch_1_1_by_1_LC08")


def test_the_training_folder_itself_may_be_named(make: SimpleNamespace, read: Read, tmp_path: Path) -> None:
    folder = make.cloud38(tmp_path, make.columns((0, 255)))
    assert len(read(folder / "38-Cloud_training")) == 1


def test_wrong_files_are_refused(make: SimpleNamespace, read: Read, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"expected codes of 38-Cloud .* got 1"):
        read(make.cloud38(tmp_path / "codes", make.columns((0, 1))))
    folder = make.cloud38(tmp_path / "bands", make.columns((0, 255)))
    (path,) = folder.rglob("nir_*.TIF")
    make.write_tif(path, np.ones((1, 8, 8), np.uint16), crs=None)
    with pytest.raises(EvaluationError, match="expected one layer of"):
        read(folder)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(EvaluationError, match="cannot be read"):
        read(folder)
