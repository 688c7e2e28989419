from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from undercast.errors import MissingDependencyError, SceneError
from undercast.readers import list_scenes, open_scene, stac_documents
from undercast.readers.stac_documents import resolve


def save(path: Path, document: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), "utf-8")
    return path


def collection(*links: tuple[str, str], kind: str = "Collection") -> dict[str, Any]:
    return {"type": kind, "links": [{"rel": relation, "href": href} for relation, href in links]}


def item(make: SimpleNamespace, identity: str, **properties: Any) -> dict[str, Any]:
    hrefs = {name: f"./bands/{name}.tif" for name in ("red", "nir")}
    found: dict[str, Any] = make.item_1_0(hrefs, **properties)
    return found | {"id": identity}


@pytest.fixture
def folder(tmp_path: Path, rasters: Path, make: SimpleNamespace) -> Path:
    """A collection of three items, one of which is damaged, and an item collection of two."""
    shutil.copytree(rasters / "bands", tmp_path / "bands")
    for name in ("one", "two"):
        save(tmp_path / f"{name}.json", item(make, name))
    (tmp_path / "broken.json").write_text('{"type": "Feature", "assets": ', "utf-8")
    links = [("root", "./collection.json"), *(("item", f"./{name}.json") for name in ("one", "broken", "two"))]
    save(tmp_path / "collection.json", collection(*links))
    features = [item(make, "three"), item(make, "four")]
    save(tmp_path / "search.json", {"type": "FeatureCollection", "features": features})
    return tmp_path


def outcomes(sources: list[Any]) -> list[str]:
    """Names of scenes that can be read, and errors of the others."""
    told = []
    for source in sources:
        try:
            scene = open_scene(source)
            scene.read()
            told.append(scene.name)
        except SceneError as error:
            told.append(str(error))
    return told


def test_of_a_collection_with_one_broken_item_the_others_finish(folder: Path) -> None:
    sources = list_scenes(folder / "collection.json")
    one, broken, two = outcomes(sources)
    assert (one, two) == ("one", "two")
    assert "not JSON" in broken
    assert "\n" not in broken


def test_items_inside_an_item_collection_are_opened_by_their_ids(folder: Path) -> None:
    sources = list_scenes(folder / "search.json")
    assert [str(source).rpartition("#")[2] for source in sources] == ["three", "four"]
    assert outcomes(sources) == ["three", "four"]
    with pytest.raises(SceneError, match="expected an item 'five' in it"):
        open_scene(f"{folder / 'search.json'}#five")


def test_items_without_ids_and_what_is_no_item_are_opened_by_their_places(folder: Path) -> None:
    save(folder / "search.json", {"type": "FeatureCollection", "features": [5, {"type": "Feature"}]})
    first, second = outcomes(list_scenes(folder / "search.json"))
    assert "expected an item '0' in it" in first
    assert "expected a STAC item" in second


def test_catalogs_inside_each_other_are_followed_and_circles_end(folder: Path) -> None:
    inner = collection(("item", "../two.json"), ("child", "../catalog.json"), kind="Catalog")
    save(folder / "inner" / "catalog.json", inner)
    links = [("child", "./inner/catalog.json"), ("child", "./missing.json"), ("item", "./one.json")]
    save(folder / "catalog.json", collection(*links, kind="Catalog"))
    missing, one, two = outcomes(list_scenes(folder / "catalog.json"))
    assert (one, two) == ("one", "two")
    assert "missing.json does not exist" in missing


def test_pages_of_an_api_are_followed(folder: Path, serve: Callable[[Path], str], make: SimpleNamespace) -> None:
    pages = [item(make, f"p{number}") for number in range(3)]
    for number, feature in enumerate(pages):
        page = collection(*([("next", f"./page{number + 1}.json")] if number < 2 else []), kind="FeatureCollection")
        save(folder / f"page{number}.json", page | {"features": [feature]})
    save(folder / "api.json", collection(("items", "./page0.json")))
    assert outcomes(list_scenes(f"{serve(folder)}/api.json")) == ["p0", "p1", "p2"]


def test_a_collection_from_the_network_never_leads_to_files_here(folder: Path, serve: Callable[[Path], str]) -> None:
    save(folder / "trap.json", collection(("item", "file:///etc/hosts"), ("item", "./one.json"), ("child", "x:///y")))
    bad, one, worse = outcomes(list_scenes(f"{serve(folder)}/trap.json"))
    assert "file:///etc/hosts leads from the network to file:, which is refused" in bad
    assert one == "one"
    assert "refused" in worse


def test_too_large_collections_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stac_documents, "LARGEST_COLLECTION", 2)
    with pytest.raises(SceneError, match="expected at most 2 items, got more"):
        list_scenes(folder / "collection.json")


def test_a_collection_itself_is_no_scene(folder: Path) -> None:
    with pytest.raises(SceneError, match=r"got Collection\. Give one of its items, or mask them all"):
        open_scene(folder / "collection.json")
    assert list_scenes(folder / "one.json") == [str(folder / "one.json")]
    with pytest.raises(SceneError, match="does not exist"):
        list_scenes(folder / "no.json")


def test_collections_and_assets_on_s3_are_read(
    folder: Path, serve: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("s3fs", reason="an extra")
    root = folder.parent / "store"
    shutil.copytree(folder, root / "bucket")
    address = serve(root)
    settings = {"AWS_ENDPOINT_URL": address, "AWS_S3_ENDPOINT": address.removeprefix("http://"), "AWS_HTTPS": "NO"}
    for name, value in (settings | {"AWS_VIRTUAL_HOSTING": "FALSE", "AWS_NO_SIGN_REQUEST": "YES"}).items():
        monkeypatch.setenv(name, value)
    one, broken, two = outcomes(list_scenes("s3://bucket/collection.json"))
    assert (one, two) == ("one", "two")
    assert "not JSON" in broken
    np.testing.assert_array_equal(open_scene("s3://bucket/one.json").read(), open_scene(folder / "one.json").read())
    with pytest.raises(SceneError, match="AWS_NO_SIGN_REQUEST=YES"):
        open_scene("s3://bucket/nothing.json")


def test_without_s3fs_its_pip_line_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'undercast\[s3\]'"):
        open_scene("s3://bucket/item.json")


@pytest.mark.parametrize(
    ("href", "base", "absolute"),
    [
        ("./B04.tif", "s3://bucket/a/item.json", "s3://bucket/a/B04.tif"),
        ("../B04.tif", "gs://bucket/a/item.json", "gs://bucket/B04.tif"),
        ("//other/B04.tif", "https://host/a/item.json", "https://other/B04.tif"),
    ],
)
def test_addresses_of_stores_are_resolved_like_those_of_the_web(href: str, base: str, absolute: str) -> None:
    assert resolve(href, base) == absolute


def test_addresses_that_are_none_are_refused() -> None:
    with pytest.raises(SceneError, match="expected an address"):
        resolve("http://[x", "https://host/item.json")


def test_json_nested_without_end_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "item.json").write_text("[" * 100_000, "utf-8")
    with pytest.raises(SceneError, match="not JSON"):
        open_scene(tmp_path / "item.json")


def test_damaged_collections_give_our_errors_only(folder: Path, fuzzing: SimpleNamespace) -> None:
    path = folder / "collection.json"

    def open_bytes(data: bytes) -> None:
        path.write_bytes(data)
        for source in list_scenes(path):
            fuzzing.only_our_errors(lambda _, source=source: open_scene(source), b"")

    fuzzing.fuzz(open_bytes, path.read_bytes())
