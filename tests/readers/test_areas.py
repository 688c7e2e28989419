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
from undercast.readers.areas import Area, _geometry_on, outside, read_area, window_of, with_context
from undercast.windows import Window

UTM = Grid(shape=(400, 300), transform=(10.0, 0.0, 500000.0, 0.0, -10.0, 5000000.0), crs="EPSG:32632")
DEGREES = Grid(shape=(100, 200), transform=(0.01, 0.0, 9.0, 0.0, -0.01, 46.0), crs="EPSG:4326", geographic=True)


def area_of(window: Window, grid: Grid) -> Area:
    """Give the area whose bounds are those of a window."""
    a, _, c, _, e, f = grid.part(window).transform
    bounds = transform_bounds(grid.crs, "EPSG:4326", c, f + e * window.height, c + a * window.width, f)
    return Area(bounds=bounds)


def polygon(*places: tuple[Any, Any]) -> dict[str, Any]:
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


UTM_1 = Grid(shape=(20, 80), transform=(2000.0, 0.0, 160000.0, 0.0, -2000.0, 5000000.0), crs="EPSG:32601")
"""From 178.7 degrees east to 179.3 degrees west."""
POLAR = Grid(shape=(30, 30), transform=(10000.0, 0.0, -150000.0, 0.0, -10000.0, 150000.0), crs="EPSG:3995")
NORTH = Grid(shape=(20, 200), transform=(1.8, 0.0, 0.0, 0.0, -1.8, 90.0), crs="EPSG:4326", geographic=True)
"""The north from 0 to 360 degrees."""


@pytest.mark.parametrize("grid", [UTM, DEGREES, UTM_1, POLAR, NORTH])
@pytest.mark.parametrize("bounds", [(-180, -90, 180, 90), (-180, 40, 180, 90), (-179.999, -80, 179.999, 89.999)])
def test_the_whole_earth_is_the_whole_scene(grid: Grid, bounds: tuple[float, float, float, float]) -> None:
    assert window_of(Area(bounds=bounds), grid, name="s") == grid.full
    west, south, east, north = bounds
    around = polygon((west, south), (east, south), (east, north), (west, north))
    assert not outside(Area(bounds=bounds, geometry=around), grid, grid.full).any()


def test_an_area_is_found_on_both_sides_of_the_date_line() -> None:
    east = window_of(Area(bounds=(178, 40, 180, 50)), UTM_1, name="s")
    west = window_of(Area(bounds=(-180, 40, -179, 50)), UTM_1, name="s")
    assert (east.col, west.col + west.width) == (0, UTM_1.shape[1])
    assert 40 < west.col <= east.width < 60
    around = polygon((-180, 40), (-179, 40), (-179, 50), (-180, 50))
    away = outside(Area(bounds=(-180, 40, -179, 50), geometry=around), UTM_1, UTM_1.full)
    assert away[:, : west.col].all()
    assert not away[:, east.width :].any()


def test_a_pixel_that_lies_over_the_date_line_does_not_make_an_area_as_wide_as_the_earth() -> None:
    earth = Grid(shape=(180, 360), transform=(1.0, 0.0, -180.01, 0.0, -1.0, 90.0), crs="EPSG:4326", geographic=True)
    assert window_of(Area(bounds=(170, 0, 180, 10)), earth, name="s") == Window(row=80, col=350, height=10, width=10)


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


def test_long_edges_follow_the_parallel_and_not_the_chord() -> None:
    # Between 6 and 12 degrees the parallel bends by 1.8 km in UTM zone 32.
    edges = polygon((6, 40), (12, 40), (12, 45.15), (6, 45.15))
    middle = Grid(shape=(100, 10), transform=(100.0, 0.0, 500000.0, 0.0, -100.0, 5005000.0), crs="EPSG:32632")
    away = outside(Area(bounds=(6, 40, 12, 45.15), geometry=edges), middle, middle.full)
    parallel = transform_bounds("EPSG:4326", "EPSG:32632", 9, 40, 9.01, 45.15)[3]
    assert away.all(axis=1).sum() == pytest.approx((5005000 - parallel) / 100, abs=1)


def test_the_far_side_of_the_earth_has_no_place_in_the_view_of_one_side() -> None:
    view = Grid(shape=(9, 9), transform=(14e5, 0, -63e5, 0, -14e5, 63e5), crs="+proj=ortho +lat_0=45 +lon_0=9")
    earth = polygon((-180, -90), (180, -90), (180, 90), (-180, 90))
    area = Area(bounds=(-180, -90, 180, 90), geometry=earth)
    with pytest.raises(SceneError, match="s: the area has no place in the scene's CRS"):
        window_of(area, view, name="s")
    with pytest.raises(SceneError, match="the area has no place in the scene's CRS"):
        outside(area, view, view.full)


def test_where_polygons_overlap_the_area_has_no_hole() -> None:
    squares = [polygon((x, 45.2), (x + 0.4, 45.2), (x + 0.4, 45.8), (x, 45.8))["coordinates"] for x in (9.2, 9.4)]
    both = {"type": "MultiPolygon", "coordinates": squares}
    away = outside(Area(bounds=(9.2, 45.2, 9.8, 45.8), geometry=both), DEGREES, DEGREES.full)
    assert not away[30:70, 25:75].any()


def test_a_hole_of_a_polygon_that_reaches_beyond_the_scene_stays_one() -> None:
    ring = [[0.0, 40.0], [30.0, 40.0], [30.0, 50.0], [0.0, 50.0], [0.0, 40.0]]
    hole = [[10.0, 44.0], [10.0, 47.0], [29.0, 47.0], [29.0, 44.0], [10.0, 44.0]]
    geometry = {"type": "Polygon", "coordinates": [ring, hole]}
    away = outside(Area(bounds=(0, 40, 30, 50), geometry=geometry), DEGREES, DEGREES.full)
    assert not away[:, :99].any()
    assert away[:, 101:].all()
    # The second one touches the line along which polygons are cut around this scene.
    for elsewhere in (polygon((20, 40), (30, 40), (30, 50)), polygon((11.2, 45.5), (12, 45), (12, 46))):
        assert outside(Area(bounds=(11, 40, 30, 50), geometry=elsewhere), DEGREES, DEGREES.full).all()


def test_what_is_inserted_on_edges_is_bounded() -> None:
    saw = [((x, 40.0), (x + 0.5, 50.0)) for x in np.linspace(0, 30, 2000).tolist()]
    area = Area(bounds=(0, 40, 31, 50), geometry=polygon(*(place for places in saw for place in places)))
    geometry = _geometry_on(area, DEGREES)
    assert geometry is not None
    places = sum(len(ring) for rings in geometry["coordinates"] for ring in rings)
    assert 30_000 < places < 110_000


def test_features_without_a_place_are_passed_over(tmp_path: Path) -> None:
    square = polygon((9.0, 45.0), (9.1, 45.0), (9.1, 45.1), (9.0, 45.1))
    features = [{"type": "Feature", "geometry": None}, {"type": "Feature", "geometry": square}]
    area = read_area(written(tmp_path / "a.json", {"type": "FeatureCollection", "features": features}))
    assert area.bounds == pytest.approx((9.0, 45.0, 9.1, 45.1))


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
        ({"type": "Feature", "geometry": None}, "expected GeoJSON with a Polygon or MultiPolygon, got none"),
        ([1, 2], r"got \[1, 2\] where an object with a type belongs"),
        ({"type": ["Polygon"]}, "where an object with a type belongs"),
        ({"type": "FeatureCollection"}, "got a FeatureCollection with features null"),
        ({"type": "FeatureCollection", "features": [7]}, "got 7 where an object with a type belongs"),
        ({"type": "GeometryCollection", "geometries": {}}, r"got a GeometryCollection with geometries \{\}"),
        ({"type": "GeometryCollection", "geometries": []}, "got none"),
        ({"type": "Polygon", "coordinates": None}, "got a Polygon with coordinates null"),
        ({"type": "Polygon", "coordinates": [None]}, "got null where a ring belongs"),
        ({"type": "Polygon", "coordinates": [[]]}, "got a ring of 0 places"),
        ({"type": "Polygon", "coordinates": [[9, 45]]}, "got 9 where a longitude and a latitude belong"),
        ({"type": "Polygon", "coordinates": "9 45"}, "got a Polygon with coordinates '9 45'"),
        ({"type": "MultiPolygon", "coordinates": [[]]}, "a polygon without a ring"),
        ({"type": "MultiPolygon", "coordinates": []}, "got none"),
        (
            polygon(("9", "45"), ("10", "45"), ("10", "46")),
            r"got \['9', '45'\] where a longitude and a latitude belong",
        ),
        (polygon((9, None), (10, 45), (10, 46)), r"got \[9, None\] where a longitude"),
        (polygon((9, 10**400), (10, 45), (10, 46)), "where a longitude"),
        (polygon((9, float("nan")), (10, 45), (10, 46)), "where a longitude"),
    ],
)
def test_a_file_without_polygons_in_degrees_is_refused_in_one_line(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(SceneError, match=message) as caught:
        read_area(written(tmp_path / "a.geojson", value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", r"no JSON \(line 1, column 1\)"),
        (b"{\n{", r"no JSON \(line 2, column 1\)"),
        (b"[" * 100_000, "without end"),
        (b'"\xff"', "got what is no JSON"),
        (b"1" * 5000, "got what is no JSON"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, text: bytes, told: str) -> None:
    path = tmp_path / "a.geojson"
    path.write_bytes(text)
    with pytest.raises(SceneError, match=told) as caught:
        read_area(path)
    assert str(caught.value).startswith(f"{path}: expected GeoJSON")
    assert "\n" not in str(caught.value)


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
