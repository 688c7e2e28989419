"""The Sentinel-2 Cloud Mask Catalogue is read from its arrays and its list of tags."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from undercast.errors import EvaluationError
from undercast.evaluation.references import ReferenceScene

Read = Callable[[Path], list[ReferenceScene]]


def test_shadow_is_told_only_where_it_was_marked(make: SimpleNamespace, read: Read, tmp_path: Path) -> None:
    codes = make.columns((0, 1, 2, 9))
    make.s2_catalogue(tmp_path, {"marked": (codes, 1), "unmarked": (codes[::-1, ::-1], 0)})
    first, second = read(tmp_path)
    np.testing.assert_array_equal(first.possible[0, ::4], [1, 6, 8, 0])
    np.testing.assert_array_equal(second.possible[0, ::-4], [9, 6, 8, 0])
    assert first.gsd == 20.0
    assert [one.strata["labels"] for one in (first, second)] == ["human, thickness not told", "human, cloud only"]
    np.testing.assert_allclose(first.scene.read()[12, 0, ::4], [0.212, 0.812, 0.042, 0.212], atol=1e-6)


def test_damaged_arrays_are_refused(make: SimpleNamespace, read: Read, tmp_path: Path) -> None:
    make.s2_catalogue(tmp_path, {"one": (make.columns((0, 1)), 1)})
    mask, image = tmp_path / "masks" / "one.npy", tmp_path / "subscenes" / "one.npy"
    whole = image.read_bytes()
    image.write_bytes(whole[:-100])
    with pytest.raises(EvaluationError, match=r"one\.npy cannot be read; it may be truncated"):
        read(tmp_path)
    image.write_bytes(whole)
    np.save(mask, np.ones((16, 16, 3), np.bool_))
    with pytest.raises(EvaluationError, match="expected one class per pixel"):
        read(tmp_path)
    np.save(mask, np.ones((16, 16, 3), np.uint8))
    with pytest.raises(EvaluationError, match=r"expected booleans \(y, x, 3\)"):
        read(tmp_path)
    np.save(mask, np.array([None]), allow_pickle=True)
    with pytest.raises(EvaluationError, match="cannot be read"):
        read(tmp_path)
    mask.unlink()
    with pytest.raises(EvaluationError, match="truncated or missing"):
        read(tmp_path)


@pytest.mark.parametrize("row", [{"scene": "../one", "shadows_marked": 1}, {"scene": "one", "shadows_marked": "yes"}])
def test_a_list_with_strange_rows_is_refused(
    make: SimpleNamespace, read: Read, tmp_path: Path, row: dict[str, object]
) -> None:
    make.write_csv(tmp_path / "classification_tags.csv", [row])
    with pytest.raises(EvaluationError, match="expected the columns scene and shadows_marked"):
        read(tmp_path)
