"""KappaSet is read from NetCDF-4 files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from undercast.errors import EvaluationError
from undercast.evaluation.references import ReferenceScene

Read = Callable[[Path], list[ReferenceScene]]


def test_a_sub_tile_is_read_from_north_to_south(make: SimpleNamespace, read: Read, tmp_path: Path) -> None:
    codes = make.columns((0, 1, 2, 3, 4, 1, 1, 1))
    codes[0] = 4
    make.kappaset(tmp_path / "July", codes)
    (one,) = read(tmp_path)
    assert one.name == "July_T35VME_tile_3_5"
    np.testing.assert_array_equal(one.possible[1, :10:2], [0, 1, 8, 4, 2])
    assert (one.possible[0] == 2).all()
    np.testing.assert_allclose(one.scene.read()[2, 0], 0.802, atol=1e-4)
    np.testing.assert_allclose(one.scene.read()[2, 5, 4], 0.032, atol=1e-4)


def test_missing_pixels_are_neither_scene_nor_label(make: SimpleNamespace, read: Read, tmp_path: Path) -> None:
    make.kappaset(tmp_path, make.columns((1, 5)))
    (one,) = read(tmp_path)
    assert not one.possible[:, 8:].any()
    assert np.isnan(one.scene.read()[:, :, 8:]).all()


def test_a_truncated_file_wrong_codes_and_a_missing_label_are_refused(
    make: SimpleNamespace, read: Read, tmp_path: Path
) -> None:
    path = make.kappaset(tmp_path / "cut", make.columns((1, 4)))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(EvaluationError, match="cannot be read"):
        read(tmp_path / "cut")
    make.kappaset(tmp_path / "wrong", make.columns((1, 129)))
    with pytest.raises(EvaluationError, match=r"expected codes of KappaSet .* got 129"):
        read(tmp_path / "wrong")
    make.kappaset(tmp_path / "none", make.columns((1, 4)), label="Mask")
    with pytest.raises(EvaluationError, match="expected Label with two dimensions"):
        read(tmp_path / "none")


def test_bands_that_are_digital_numbers_are_refused(make: SimpleNamespace, read: Read, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = make.kappaset(tmp_path, make.columns((1, 4)))
    with h5py.File(path, "r+") as file:
        file["B04"][...] = 2000.0
    with pytest.raises(EvaluationError, match="expected bands of 0 to 1"):
        read(tmp_path)
