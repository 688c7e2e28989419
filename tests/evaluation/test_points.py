from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.errors import EvaluationError
from undercast.evaluation.points import burn, column_and_row
from undercast.evaluation.sources import read_references
from undercast.grids import Grid

CLEAR, THICK, THIN, SHADOW = 1, 2, 4, 8


def write(folder: Path, drawn: SimpleNamespace, rows: str, columns: str = "scene,x,y,class") -> Path:
    drawn.write_pair(folder, "one", drawn.stripes())
    path = folder / "points.csv"
    path.write_text(f"{columns}\n{rows}")
    return path


def test_points_are_burnt_where_they_lie(tmp_path: Path, drawn: SimpleNamespace) -> None:
    rows = "one.tif,500005,4599995,clear\none.tif,500315,4599685,1\none.tif,500100,4599900,3\n"
    (reference,) = read_references(write(tmp_path, drawn, rows))
    assert reference.possible[0, 0] == CLEAR
    assert reference.possible[31, 31] == THICK
    assert reference.possible[10, 10] == SHADOW
    assert (reference.possible > 0).sum() == 3
    assert reference.strata["labels"] == "points"
    assert reference.stated is None


def test_points_in_degrees_are_brought_to_the_scenes_crs(tmp_path: Path, drawn: SimpleNamespace) -> None:
    path = write(tmp_path, drawn, "one.tif,9.0018,41.5504,clear,EPSG:4326\n", "scene,x,y,class,crs")
    (reference,) = read_references(path)
    assert (reference.possible > 0).sum() == 1


def test_points_that_contradict_each_other_are_kept_as_stated() -> None:
    possible, stated = burn({(0, 0): [THICK, SHADOW], (0, 1): [CLEAR, CLEAR], (1, 0): [THICK | THIN, SHADOW]}, (2, 2))
    np.testing.assert_array_equal(possible, [[THICK | SHADOW, CLEAR], [THICK | THIN | SHADOW, 0]])
    np.testing.assert_array_equal(stated, [[THICK | SHADOW, 0], [0, 0]])


@given(st.floats(1, 100), st.floats(-100, -1), st.floats(-0.5, 0.5), st.floats(0, 50), st.floats(0, 50))
def test_column_and_row_undo_the_transform(a: float, e: float, b: float, col: float, row: float) -> None:
    grid = Grid(shape=(8, 8), transform=(a, b, 1000.0, b, e, 2000.0))
    found = column_and_row(grid, a * col + b * row + 1000.0, b * col + e * row + 2000.0)
    assert found == pytest.approx((col, row), abs=1e-6)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("one.tif,0,0,clear\n", "lies outside"),
        ("one.tif,500005,4599995,fog\n", "class 'fog' is not in scheme undercast"),
        ("one.tif,east,4599995,clear\n", "expected numbers"),
        ("one.tif,500005,4599995,\n", "got no class"),
    ],
)
def test_wrong_points_are_refused(tmp_path: Path, drawn: SimpleNamespace, rows: str, told: str) -> None:
    with pytest.raises(EvaluationError, match=told):
        list(read_references(write(tmp_path, drawn, rows)))


def test_an_unknown_crs_is_refused(tmp_path: Path, drawn: SimpleNamespace) -> None:
    path = write(tmp_path, drawn, "one.tif,9,41,clear,EPSG:0\n", "scene,x,y,class,crs")
    with pytest.raises(EvaluationError, match="Try EPSG:4326"):
        list(read_references(path))
