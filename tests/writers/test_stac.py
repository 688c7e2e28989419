"""The STAC item of a mask."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from undercast.grids import Grid
from undercast.prediction import Prediction
from undercast.scene import Scene
from undercast.writers import OutputOptions, write
from undercast.writers.stac import EXTENSIONS, footprint, without_secrets

Make = Callable[..., tuple[Prediction, Scene]]

CORE = "https://schemas.stacspec.org/v1.1.0/item-spec/json-schema/item.json"
COMMON = "https://schemas.stacspec.org/v1.1.0/item-spec/json-schema/common.json"


@pytest.fixture(scope="module")
def schemas(real_data: Path) -> Registry[Any]:
    """Collect the published schemas that lie beside the real data."""
    folder = real_data.parent / "mlm"
    found = []
    for path in (*folder.glob("stac/**/*.json"), *folder.glob("ext/*/*.json")):
        schema = json.loads(path.read_text("utf-8"))
        if "$id" not in schema:  # an example
            continue
        name = schema["$id"].rstrip("#")
        # The published common.json misses a dot in its own name.
        schema["$id"] = name = COMMON if name.endswith("/commonjson") else name
        found.append((name, Resource.from_contents(schema, default_specification=DRAFT7)))
    assert found, f"no schemas in {folder}"
    registry: Registry[Any] = Registry()
    return registry.with_resources(found)


def item_of(prediction: Prediction, scene: Scene, options: OutputOptions) -> dict[str, Any]:
    path = write(prediction.stream(), scene, options).item
    assert path is not None
    item: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return item


@pytest.mark.real_data
@pytest.mark.parametrize("georeferenced", [True, False])
@pytest.mark.parametrize("empty", [True, False])
def test_an_item_keeps_the_schemas(
    make: Make, everything: OutputOptions, schemas: Registry[Any], *, georeferenced: bool, empty: bool
) -> None:
    class_map = np.full((20, 20), 255, np.uint8) if empty else None
    item = item_of(*make(georeferenced=georeferenced, class_map=class_map), everything)
    for schema in (CORE, *EXTENSIONS):
        errors = list(Draft7Validator({"$ref": schema}, registry=schemas).iter_errors(item))
        assert not errors, (schema, errors)
    item["properties"]["eo:cloud_cover"] = 101
    assert list(Draft7Validator({"$ref": EXTENSIONS[1]}, registry=schemas).iter_errors(item))


def test_size_and_checksum_are_those_of_the_files(make: Make, everything: OutputOptions) -> None:
    item = item_of(*make(), everything)
    assert set(item["assets"]) == {"class_map", "probabilities", "uncertainty", "quicklook", "style"}
    for asset in item["assets"].values():
        content = (everything.folder / asset["href"]).read_bytes()
        assert asset["file:size"] == len(content)
        assert asset["file:checksum"] == "1220" + hashlib.sha256(content).hexdigest()


def test_an_item_says_what_and_with_what(make: Make, everything: OutputOptions) -> None:
    class_map = np.repeat(np.array([0, 1, 2, 255], np.uint8), 4)[None].repeat(8, axis=0)
    prediction, scene = make(class_map=class_map)
    item = item_of(prediction, scene, everything)
    properties = item["properties"]
    assert item["id"] == "tiny_mask"
    assert item["stac_version"] == "1.1.0"
    assert properties["eo:cloud_cover"] == pytest.approx(66.6667)
    assert properties["undercast:valid_percent"] == 75.0
    assert properties["proj:code"] == "EPSG:32631"
    assert properties["proj:shape"] == [8, 16]
    assert properties["gsd"] == 30.0
    assert properties["processing:lineage"] == "undercast mask tiny.tif -o out"
    assert properties["undercast:model"]["checksums"] == ["1220aa", "1220bb"]
    assert item["assets"]["class_map"]["classification:classes"][1] == {
        "value": 1,
        "name": "thick_cloud",
        "description": "Thick cloud",
        "color_hint": "0072B2",
    }
    assert item["assets"]["class_map"]["roles"] == ["data", "cloud", "cloud-shadow"]


def test_the_time_is_that_of_acquisition_or_the_item_says_that_it_is_not(make: Make, options: OutputOptions) -> None:
    prediction, scene = make()
    acquired = datetime(2024, 1, 20, 10, 53, 41, tzinfo=UTC)
    item = item_of(prediction, replace(scene, acquired=acquired), options)
    assert item["properties"]["datetime"] == "2024-01-20T10:53:41Z"
    assert "time of processing" not in item["properties"]["description"]
    item = item_of(prediction, scene, replace(options, overwrite=True))
    assert "time of processing" in item["properties"]["description"]


def test_a_model_that_is_not_verified_is_named_so(make: Make, options: OutputOptions) -> None:
    prediction, scene = make()
    model = replace(prediction.header.model, verified=False, assumptions=("x 10000",))
    header = replace(prediction.header, model=model)
    item = item_of(replace(prediction, header=header), scene, options)
    assert "not verified" in item["properties"]["description"]
    assert item["properties"]["undercast:model"]["verified"] is False
    assert item["properties"]["undercast:model"]["assumptions"] == ["x 10000"]


def test_scene_and_model_are_linked(make: Make, options: OutputOptions, tmp_path: Path) -> None:
    prediction, scene = make()
    source = tmp_path / "in" / "a scene.tif"
    source.parent.mkdir()
    source.touch()
    item = item_of(prediction, replace(scene, provenance={"source": str(source)}), options)
    links = [(link["rel"], link["href"]) for link in item["links"]]
    assert links == [
        ("derived_from", "../in/a%20scene.tif"),
        ("derived_from", "https://example.org/starter.json"),
    ]


def test_a_scene_that_is_an_array_has_no_link(make: Make, options: OutputOptions) -> None:
    item = item_of(*make(), options)
    assert [link["title"] for link in item["links"]] == ["Model starter 1.2"]


def test_other_software_reads_the_item(make: Make, everything: OutputOptions) -> None:
    item_of(*make(), everything)
    item = pystac.Item.from_file(str(everything.folder / "tiny_mask.json"))
    assert Path(item.assets["class_map"].get_absolute_href() or "").is_file()


def test_secrets_stay_out() -> None:
    signed = "https://me:pass@host.org/a.tif?sv=1&sig=abc&X-Amz-Signature=q"
    assert without_secrets(signed) == "https://host.org/a.tif?sv=1"
    assert without_secrets("https://host.org/a.tif?access_token=q") == "https://host.org/a.tif"
    assert without_secrets("s3://bucket/a.tif") == "s3://bucket/a.tif"


def test_no_reference_system_no_footprint() -> None:
    assert footprint(Grid(shape=(9, 9))) == (None, None)


def test_a_footprint_is_the_outline_of_the_corners() -> None:
    grid = Grid(shape=(10, 20), transform=(0.1, 0.0, 5.0, 0.0, -0.1, 50.0), crs="EPSG:4326", geographic=True)
    geometry, bbox = footprint(grid)
    assert bbox == [5.0, 49.0, 7.0, 50.0]
    assert geometry == {
        "type": "Polygon",
        "coordinates": [[[5.0, 50.0], [5.0, 49.0], [7.0, 49.0], [7.0, 50.0], [5.0, 50.0]]],
    }


def test_a_footprint_is_cut_at_the_antimeridian() -> None:
    grid = Grid(shape=(100, 100), transform=(1000.0, 0.0, 790_000.0, 0.0, -1000.0, 1e6), crs="EPSG:32660")
    geometry, bbox = footprint(grid)
    assert geometry is not None
    assert bbox is not None
    assert bbox[0] > bbox[2]
    assert geometry["type"] == "MultiPolygon"
    lons = [[lon for lon, _ in polygon[0]] for polygon in geometry["coordinates"]]
    assert max(lons[0]) == 180.0
    assert min(lons[1]) == -180.0


@pytest.mark.parametrize(
    ("west", "width", "expected"),
    [
        (170.0, 20.0, [170.0, -170.0]),
        (-190.0, 20.0, [170.0, -170.0]),
        (180.0, 20.0, [-180.0, -160.0]),
        (190.0, 10.0, [-170.0, -160.0]),
        (0.0, 360.0, [-180.0, 180.0]),
        (-180.05, 360.0, [-180.0, 180.0]),
    ],
)
def test_a_geographic_grid_beyond_180_degrees_is_told_within_them(
    west: float, width: float, expected: list[float]
) -> None:
    step = width / 100
    grid = Grid(shape=(10, 100), transform=(step, 0, west, 0, -step, 50), crs="EPSG:4326", geographic=True)
    geometry, bbox = footprint(grid)
    assert geometry is not None
    assert bbox is not None
    assert bbox[::2] == pytest.approx(expected)
    assert geometry["type"] == ("MultiPolygon" if expected[0] > expected[1] else "Polygon")
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    lons = [lon for (ring,) in polygons for lon, _ in ring]
    assert (min(lons), max(lons)) == ((-180.0, 180.0) if len(polygons) == 2 else pytest.approx(tuple(expected)))


def test_a_footprint_around_a_pole_is_a_box() -> None:
    grid = Grid(shape=(20, 20), transform=(1e5, 0.0, -1e6, 0.0, -1e5, 1e6), crs="EPSG:3995")
    geometry, bbox = footprint(grid)
    assert geometry is not None
    assert bbox is not None
    assert bbox[3] == pytest.approx(90.0)
    assert bbox[2] - bbox[0] == pytest.approx(360.0)


@given(
    zone=st.integers(32601, 32660),
    east=st.floats(3e5, 6e5),
    north=st.floats(1e5, 8e6),
    turn=st.floats(-0.5, 0.5),
    step=st.sampled_from([-30.0, 30.0]),
)
def test_every_ring_is_closed_and_turns_left(zone: int, east: float, north: float, turn: float, step: float) -> None:
    grid = Grid(shape=(90, 70), transform=(30.0, turn, east, turn, step, north), crs=f"EPSG:{zone}")
    geometry, bbox = footprint(grid)
    assert geometry is not None
    assert bbox is not None
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    for (ring,) in polygons:
        assert ring[0] == ring[-1]
        area = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairwise(ring))
        assert area > 0
        assert all(bbox[1] - 1e-6 <= lat <= bbox[3] + 1e-6 for _, lat in ring)
