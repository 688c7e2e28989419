"""Areas are found in the scene's grid, grown by context, and refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.warp import transform_bounds

from undercast.errors import GridError, SceneError, UsageError
from undercast.grids import Grid
from undercast.readers.areas import Area, outside, read_area, window_of, with_context
from undercast.windows import Window

UTM = Grid(shape=(400, 300), transform=(10.0, 0.0, 500000.0, 0.0, -10.0, 5000000.0), crs="EPSG:32632")
DEGREES = Grid(shape=(100, 200), transform=(0.01, 0.0, 9.0, 0.0, -0.01, 46.0), crs="EPSG:4326", geographic=True)


def area_of(window: Window, grid: Grid) -> Area:
    """Give the area whose bounds are those of a window."""
    a, _, c, _, e, f = grid.part(window).transform
    bounds = transform_bounds(grid.crs, "EPSG:4326", c, f + e * window.height, c + a * window.width, f)
    return Area(bounds=bounds)


def polygon(*places: tuple[float, float]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [[*places, places[0]]]}


def written(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), "utf-8")
    return path


def test_bounds_in_degrees_are_cells_of_a_geographic_grid() -> None:
    window = window_of(Area(bounds=(9.5, 45.5, 9.75, 45.755)), DEGREES, name="s")
    assert (window.col, window.width) == (50, 25)
    assert (window.row, window.height) == (24, 26)


@given(row=st.integers(0, 350), col=st.integers(0, 250), height=st.integers(1, 50), width=st.integers(1, 50))
def test_the_window_covers_the_area_and_little_more(row: int, col: int, height: int, width: int) -> None:
    window = Window(row=row, col=col, height=height, width=width)
    found = window_of(area_of(window, UTM), UTM, name="s")
    assert found.row <= row
    assert found.row + found.height >= row + height
    assert found.col <= col
    assert found.col + found.width >= col + width
    # The edges of a rectangle in UTM are no parallels and meridians.
    assert found.height <= height + 8
    assert found.width <= width + 8


def test_an_area_over_the_edge_is_cut_and_one_outside_is_refused() -> None:
    window = window_of(Area(bounds=(8.5, 45.9, 9.1, 46.5)), DEGREES, name="s")
    assert window == Window(row=0, col=0, height=10, width=10)
    with pytest.raises(SceneError, match=r"s: expected an area inside the scene, which covers 9\.0000,45\.0000,11"):
        window_of(Area(bounds=(8.0, 45.9, 8.5, 46.5)), DEGREES, name="s")


def test_a_scene_without_crs_has_no_areas() -> None:
    with pytest.raises(GridError, match="expected a georeferenced scene"):
        window_of(Area(bounds=(8.0, 45.9, 8.5, 46.5)), Grid(shape=(9, 9)), name="s")


@pytest.mark.parametrize(
    "bounds", [(1, 0, 0, 1), (0, 1, 1, 1), (-181, 0, 1, 1), (0, 0, 1, 91), (float("nan"), 0, 1, 1)]
)
def test_bounds_that_are_none_are_refused(bounds: tuple[float, float, float, float]) -> None:
    with pytest.raises(UsageError, match="expected west < east"):
        Area(bounds=bounds)


def test_a_small_area_is_seen_with_a_kilometre_around_and_a_large_one_with_its_context() -> None:
    assert with_context(Window(row=200, col=150, height=10, width=10), UTM, 4).shape == (100, 100)
    assert with_context(Window(row=100, col=100, height=150, width=120), UTM, 4) == Window(
        row=96, col=96, height=158, width=128
    )
    assert with_context(Window(row=0, col=290, height=10, width=10), UTM, 4) == Window(
        row=0, col=245, height=55, width=55
    )


def test_outside_is_what_the_polygon_does_not_touch(tmp_path: Path) -> None:
    triangle = polygon((9.0, 46.0), (10.0, 46.0), (9.0, 45.0))
    area = read_area(written(tmp_path / "a.geojson", {"type": "Feature", "properties": {}, "geometry": triangle}))
    window = window_of(area, DEGREES, name="s")
    away = outside(area, DEGREES, window)
    rows, cols = np.indices(away.shape)
    assert not away[rows + cols < 99].any()
    assert away[rows + cols > 100].all()
    part = Window(row=50, col=20, height=10, width=10)
    np.testing.assert_array_equal(outside(area, DEGREES, part), away[50:60, 20:30])
    assert not outside(Area(bounds=area.bounds), DEGREES, part).any()


def test_the_polygons_of_a_collection_are_one_area(tmp_path: Path) -> None:
    squares = [polygon((x, 45.0), (x + 0.1, 45.0), (x + 0.1, 45.1), (x, 45.1)) for x in (9.0, 9.5)]
    several = {"type": "MultiPolygon", "coordinates": [square["coordinates"] for square in squares]}
    features = [{"type": "Feature", "geometry": square} for square in squares]
    for number, value in enumerate(
        (
            several,
            {"type": "FeatureCollection", "features": features},
            {"type": "GeometryCollection", "geometries": squares},
        )
    ):
        assert read_area(written(tmp_path / f"{number}.json", value)).bounds == pytest.approx((9.0, 45.0, 9.6, 45.1))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"type": "Point", "coordinates": [9, 45]}, "got none"),
        ({"type": "Polygon", "coordinates": [[[9, 45], [10, 45], [10, 46], [9, 46]]]}, "not closed"),
        ({"type": "Polygon", "coordinates": []}, "without a ring"),
        (polygon((500000, 5e6), (500100, 5e6), (500100, 5000100)), "-180 to 180"),
        ({"type": "Feature", "geometry": None}, "expected GeoJSON"),
        ([1, 2], "expected GeoJSON"),
        ({"type": "FeatureCollection"}, "expected GeoJSON"),
    ],
)
def test_a_file_without_polygons_in_degrees_is_refused_in_one_line(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(SceneError, match=message) as caught:
        read_area(written(tmp_path / "a.geojson", value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"type": "Polygon", "coordinates": [[["a", 1]]]}'])
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.geojson"
    path.write_text(text, "utf-8")
    with pytest.raises(SceneError, match=r"a\.geojson"):
        read_area(path)


def test_a_missing_file_is_told() -> None:
    with pytest.raises(SceneError, match=r"nothing\.geojson cannot be read"):
        read_area(Path("nothing.geojson"))


@given(
    st.recursive(
        st.none() | st.floats() | st.text(max_size=3),
        lambda kids: (
            st.lists(kids, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "coordinates", "features", "geometry", "Polygon"]), kids, max_size=3
            )
        ),
        max_leaves=12,
    )
)
def test_strange_json_is_never_met_with_another_error(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    path = tmp_path_factory.mktemp("areas") / "a.json"
    path.write_text(json.dumps(value), "utf-8")
    with pytest.raises(SceneError):
        read_area(path)
