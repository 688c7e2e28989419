"""L8 Biome is read from the products' bands and the ENVI masks beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from undercast.errors import EvaluationError, GridError
from undercast.evaluation.references import ReferenceScene

Read = Callable[[Path], list[ReferenceScene]]


def test_codes_become_possible_sets_and_dn_reflectance(make: SimpleNamespace, read: Read, tmp_path: Path) -> None:
    (one,) = read(make.l8_biome(tmp_path, make.columns((0, 64, 128, 192, 255, 128, 128, 128))))
    np.testing.assert_array_equal(one.possible[0, :10:2], [0, 8, 1, 4, 2])
    np.testing.assert_allclose(one.scene.read()[7, 0, [2, 4, 8]], [0.037, 0.207, 0.807], atol=1e-4)
    assert np.isnan(one.scene.read()[:, :, :2]).all()
    assert one.strata == {
        "source": "l8-biome",
        "sensor": "landsat-8-oli",
        "surface": "GrassCrops",
        "gsd": "30 m",
        "labels": "human",
    }


def test_where_no_shadow_is_labelled_clear_may_be_shadow(make: SimpleNamespace, read: Read, tmp_path: Path) -> None:
    (one,) = read(make.l8_biome(tmp_path, make.columns((128, 255))))
    assert set(np.unique(one.possible)) == {9, 2}
    assert one.strata["labels"] == "human, shadow not labelled"


def test_wrong_files_are_refused(make: SimpleNamespace, read: Read, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"expected codes of L8 Biome .* got 1"):
        read(make.l8_biome(tmp_path / "codes", make.columns((128, 1))))
    folder = make.l8_biome(tmp_path / "bands", make.columns((128, 255)))
    (path,) = folder.rglob("*_B5.TIF")
    (mtl,) = folder.rglob("*_MTL.txt")
    text = mtl.read_text("ascii")
    make.write_tif(path, np.ones((1, 8, 16), np.uint16))
    mtl.write_text(text, "ascii")  # GDAL removes it with the file that it replaces
    with pytest.raises(GridError, match="expected all bands on one grid"):
        read(folder)
    path.unlink()
    with pytest.raises(EvaluationError, match=r"_B5\.TIF does not exist"):
        read(folder)
    mtl.write_text("", "ascii")
    with pytest.raises(EvaluationError, match="expected metadata up to END"):
        read(folder)


def test_a_mask_cut_short_is_refused(make: SimpleNamespace, read: Read, tmp_path: Path) -> None:
    folder = make.l8_biome(tmp_path, make.columns((128, 255)))
    (header,) = folder.rglob("*_fixedmask.hdr")
    header.write_text("ENVI\nsamples = x\n", "ascii")
    with pytest.raises(EvaluationError, match=r"fixedmask\.img cannot be read"):
        read(folder)
