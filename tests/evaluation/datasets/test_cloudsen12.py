"""CloudSEN12 is read from folders per product and from one file per band."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from undercast.errors import EvaluationError
from undercast.evaluation.datasets import cloudsen12
from undercast.evaluation.references import ReferenceScene

Read = Callable[[Path], list[ReferenceScene]]


def test_a_patch_has_13_bands_and_four_classes(make: SimpleNamespace, read: Read, tmp_path: Path) -> None:
    (one,) = read(make.cloudsen12(tmp_path, make.columns((0, 1, 2, 3))))
    assert [band.name for band in one.scene.bands][:3] == ["B01", "B02", "B03"]
    assert len(one.scene.bands) == 13
    np.testing.assert_array_equal(one.possible[0, ::4], [1, 2, 4, 8])
    np.testing.assert_allclose(one.scene.read()[1, 0, ::4], [0.201, 0.801, 0.401, 0.031], atol=1e-6)
    assert one.strata["source"] == "cloudsen12"
    assert one.gsd == 10.0
    assert one.scene.grid.crs is not None


def test_scribbles_are_read_as_the_four_classes_and_99_is_ignored(
    make: SimpleNamespace, read: Read, tmp_path: Path
) -> None:
    codes = make.columns((0, 1, 2, 3, 4, 5, 6, 99))
    (one,) = read(make.cloudsen12(tmp_path, codes, kind="manual_sc"))
    np.testing.assert_array_equal(one.possible[0, ::2], [1, 2, 2, 4, 4, 8, 8, 0])
    assert one.strata["labels"] == "human, scribble"


def test_one_file_per_band_holds_all_patches_and_padding_is_ignored(
    make: SimpleNamespace, read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloudsen12, "SIDE", 16)
    make.cloudsen12_split(tmp_path / "val", [make.columns((0, 1)), make.columns((3, 2))])
    first, second = read(tmp_path)
    assert (first.name, second.name) == ("val_00000", "val_00001")
    np.testing.assert_array_equal(second.possible[0, ::8], [8, 4])
    assert not second.possible[-2:].any()
    assert np.isnan(second.scene.read()[:, -2:]).all()
    np.testing.assert_allclose(second.scene.read()[12, 0, ::8], [0.042, 0.412], atol=1e-6)


@pytest.mark.parametrize("file", ["L1C_B8A.dat", "LABEL_manual_hq.dat"])
def test_a_file_cut_short_is_told(
    make: SimpleNamespace, read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    monkeypatch.setattr(cloudsen12, "SIDE", 16)
    folder = make.cloudsen12_split(tmp_path, [make.columns((0, 1))] * 2)
    (folder / file).write_bytes((folder / file).read_bytes()[:-1])
    with pytest.raises(EvaluationError, match=rf"{file}: expected patches of \d+ bytes"):
        read(folder)
    (folder / "L1C_B8A.dat").unlink()
    with pytest.raises(EvaluationError, match="truncated or missing"):
        read(folder)


def test_bands_of_other_patches_than_the_labels_are_refused(
    make: SimpleNamespace, read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloudsen12, "SIDE", 16)
    folder = make.cloudsen12_split(tmp_path, [make.columns((0, 1))] * 2)
    (folder / "L1C_B4.dat").write_bytes((folder / "L1C_B4.dat").read_bytes()[: 16 * 16 * 2])
    with pytest.raises(EvaluationError, match=r"L1C_B4\.dat: expected 2 patches"):
        read(folder)


def test_wrong_codes_and_a_truncated_image_are_refused(make: SimpleNamespace, read: Read, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"expected codes of CloudSEN12 .* got 7"):
        read(make.cloudsen12(tmp_path / "a", make.columns((0, 7))))
    with pytest.raises(EvaluationError, match="codes of a scribble"):
        read(make.cloudsen12(tmp_path / "b", make.columns((0, 7)), kind="manual_sc"))
    make.cloudsen12(tmp_path / "c", make.columns((0, 1)))
    (image,) = (tmp_path / "c").rglob("S2L1C.tif")
    image.write_bytes(image.read_bytes()[:100])
    with pytest.raises(EvaluationError, match=r"S2L1C\.tif cannot be read"):
        read(tmp_path / "c")


def test_an_image_of_other_bands_is_refused(make: SimpleNamespace, read: Read, tmp_path: Path) -> None:
    make.cloudsen12(tmp_path, make.columns((0, 1)))
    (image,) = tmp_path.rglob("S2L1C.tif")
    make.write_tif(image, np.ones((12, 16, 16), np.uint16))
    with pytest.raises(EvaluationError, match="expected 13 layers, got 12"):
        read(tmp_path)
