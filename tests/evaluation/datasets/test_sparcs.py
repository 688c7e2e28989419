"""SPARCS is read from its stacks of bands, with the scene's metadata."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from undercast.errors import EvaluationError
from undercast.evaluation.references import ReferenceScene

Read = Callable[[Path], list[ReferenceScene]]


@pytest.mark.parametrize("labels", ["_labels.tif", "_mask.png"])
def test_seven_codes_become_possible_sets_and_dn_reflectance(
    make: SimpleNamespace, read: Read, tmp_path: Path, labels: str
) -> None:
    (one,) = read(make.sparcs(tmp_path, make.columns((0, 1, 2, 3, 4, 5, 6, 4)), labels=labels))
    np.testing.assert_array_equal(one.possible[0, ::2], [8, 8, 1, 1, 1, 6, 1, 1])
    assert [band.name for band in one.scene.bands] == ["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B9"]
    # (dn * 2e-5 - 0.1) / sin(30 degrees)
    np.testing.assert_allclose(one.scene.read()[7, 0, [0, 10]], [0.037, 0.807], atol=1e-4)
    assert one.name == "LC80010812013365LGN00_18"


def test_wrong_files_are_refused(make: SimpleNamespace, read: Read, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"expected codes of SPARCS .* got 9"):
        read(make.sparcs(tmp_path / "codes", make.columns((0, 9))))
    folder = make.sparcs(tmp_path / "mtl", make.columns((4, 5)))
    (path,) = folder.glob("*_mtl.txt")
    text = path.read_text("ascii")
    path.write_text(text.replace("SUN_ELEVATION = 30.0", "SUN_ELEVATION = -5"), "ascii")
    with pytest.raises(EvaluationError, match="expected SUN_ELEVATION above 0"):
        read(folder)
    path.write_text(text.replace("MULT_BAND_9", "MULT_BAND_99"), "ascii")
    with pytest.raises(EvaluationError, match="REFLECTANCE_MULT_BAND_9"):
        read(folder)
    path.unlink()
    with pytest.raises(EvaluationError, match=r"mtl\.txt cannot be read"):
        read(folder)


def test_an_image_cut_short_or_of_other_layers_is_refused(make: SimpleNamespace, read: Read, tmp_path: Path) -> None:
    folder = make.sparcs(tmp_path, make.columns((4, 5)))
    (path,) = folder.glob("*_data.tif")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EvaluationError, match=r"_data\.tif cannot be read"):
        read(folder)
    make.write_tif(path, np.ones((3, 16, 16), np.uint16))
    with pytest.raises(EvaluationError, match="expected 10 layers, got 3"):
        read(folder)
