from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from undercast.errors import BandError, EvaluationError, GridError, SchemeError
from undercast.evaluation.pairs import corner_distance_px
from undercast.evaluation.sources import read_references
from undercast.grids import Grid


@pytest.fixture
def listed(tmp_path: Path, drawn: SimpleNamespace) -> Callable[..., Path]:
    """Write a scene, its mask and a list of both."""

    def write(mask: np.ndarray | None = None, columns: str = "", values: str = "", **changes: Any) -> Path:
        drawn.write_pair(tmp_path, "one", drawn.stripes() if mask is None else mask, **changes)
        path = tmp_path / "pairs.csv"
        path.write_text(f"scene,reference{columns}\none.tif,one_reference.tif{values}\n")
        return path

    return write


def test_a_pair_gives_a_georeferenced_scene_with_what_the_list_tells(listed: Callable[..., Path]) -> None:
    path = listed(columns=",source,surface,labels,sensor", values=",drawn,forest,human,sentinel-2a")
    references = read_references(path)
    (reference,) = references
    assert references.name == "pairs"
    assert reference.name == "one"
    assert reference.strata["sensor"] == "sentinel-2a-msi"
    assert reference.strata["surface"] == "forest"
    assert reference.strata["gsd"] == "10 m"
    assert set(np.unique(reference.possible)) == {1, 2, 8}


def test_the_scheme_of_a_row_wins_over_that_of_the_run(listed: Callable[..., Path], drawn: SimpleNamespace) -> None:
    mask = drawn.stripes(codes=(4, 9))
    (reference,) = read_references(listed(mask, ",scheme", ",scl"), scheme="undercast")
    assert set(np.unique(reference.possible)) == {1, 6}
    with pytest.raises(SchemeError, match="nonsense"):
        read_references(listed(mask, ",scheme", ",nonsense"))


def test_codes_that_the_scheme_does_not_know_are_refused(listed: Callable[..., Path], drawn: SimpleNamespace) -> None:
    with pytest.raises(EvaluationError, match=r"expected codes of scheme undercast .* got 77"):
        list(read_references(listed(drawn.stripes(codes=(0, 77)))))


def test_a_mask_of_nodata_alone_is_refused(listed: Callable[..., Path], drawn: SimpleNamespace) -> None:
    with pytest.raises(EvaluationError, match="got none: every pixel"):
        list(read_references(listed(drawn.stripes(codes=(255,)))))


def test_a_mask_of_another_shape_is_refused(
    listed: Callable[..., Path], drawn: SimpleNamespace, tmp_path: Path
) -> None:
    path = listed()
    drawn.write_raster(tmp_path / "one_reference.tif", drawn.stripes(16, 16)[None])
    with pytest.raises(GridError, match="Warp the reference"):
        list(read_references(path))


@pytest.mark.parametrize(
    ("changes", "told"), [({"origin": (500005.0, 4600000.0)}, "0.50 px off"), ({"crs": "EPSG:32633"}, "scene's CRS")]
)
def test_a_mask_on_another_grid_is_refused(
    listed: Callable[..., Path], drawn: SimpleNamespace, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    path = listed()
    drawn.write_raster(tmp_path / "one_reference.tif", drawn.stripes()[None], **changes)
    with pytest.raises(GridError, match=told):
        list(read_references(path))


def test_codes_beyond_a_byte_are_refused(listed: Callable[..., Path], drawn: SimpleNamespace, tmp_path: Path) -> None:
    path = listed()
    drawn.write_raster(tmp_path / "one_reference.tif", np.full((1, 32, 32), 300, np.int16))
    with pytest.raises(EvaluationError, match="0 to 255, got 300"):
        list(read_references(path))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("scene,reference\none.tif,\n", "got no reference"),
        ("scene,reference\n", "at least one row"),
        ("a,b\n1,2\n", "expected the columns"),
        ("scene,reference,gsd\na.tif,b.tif,-3\n", "metres above 0"),
        ("scene,reference,level\na.tif,b.tif,l2a\n", "level: expected one of toa, surface"),
    ],
)
def test_a_wrong_list_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    with pytest.raises(EvaluationError, match=told):
        read_references(path)


def test_a_missing_mask_is_refused(listed: Callable[..., Path], tmp_path: Path) -> None:
    path = listed()
    (tmp_path / "one_reference.tif").unlink()
    with pytest.raises(EvaluationError, match="cannot be read"):
        list(read_references(path))


def test_wrong_bands_of_a_row_are_refused(listed: Callable[..., Path]) -> None:
    with pytest.raises(BandError):
        list(read_references(listed(columns=",bands", values=",red nir")))


def test_the_distance_of_grids_is_that_of_their_farthest_corners() -> None:
    one = Grid(shape=(10, 10), transform=(10.0, 0.0, 0.0, 0.0, -10.0, 0.0))
    stretched = Grid(shape=(10, 10), transform=(11.0, 0.0, 0.0, 0.0, -10.0, 0.0))
    assert corner_distance_px(one, stretched) == pytest.approx(1.0)


def collection_of(folder: Path, drawn: SimpleNamespace, *, role: str = "reference") -> Path:
    drawn.write_pair(folder, "one", drawn.stripes())
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": "one",
        "collection": "drawn",
        "geometry": None,
        "links": [],
        "properties": {"datetime": "2024-01-02T03:04:05Z", "undercast:surface": "sea"},
        "assets": {
            "image": {
                "href": "./one.tif",
                "roles": ["reflectance"],
                "bands": [{"name": name, "eo:common_name": name} for name in drawn.NAMES],
            },
            "mask": {"href": "./one_reference.tif", "roles": [role]},
        },
    }
    (folder / "one.json").write_text(json.dumps(item))
    collection = {"type": "Collection", "id": "drawn", "links": [{"rel": "item", "href": "./one.json"}]}
    (folder / "collection.json").write_text(json.dumps(collection))
    return folder


def test_a_collection_gives_each_items_scene_with_its_reference(tmp_path: Path, drawn: SimpleNamespace) -> None:
    for source in (collection_of(tmp_path, drawn), tmp_path / "collection.json"):
        (reference,) = read_references(source)
        assert reference.name == "one"
        assert (reference.source, reference.strata["surface"]) == ("drawn", "sea")
        assert set(np.unique(reference.possible)) == {1, 2, 8}
        assert len(reference.scene.bands) == 3


def test_an_item_without_reference_is_refused(tmp_path: Path, drawn: SimpleNamespace) -> None:
    with pytest.raises(EvaluationError, match="one asset with the role 'reference', got 0 of 2"):
        read_references(collection_of(tmp_path, drawn, role="data"))


def test_a_collection_without_items_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "collection.json"
    path.write_text(json.dumps({"type": "Collection", "links": []}))
    with pytest.raises(EvaluationError, match="links to items"):
        read_references(path)
