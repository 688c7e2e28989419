"""Where finished files go: folders and stores tell and take the same."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest

from undercast.errors import MissingDependencyError, OutputError, OutputExistsError, UsageError
from undercast.writers import OutputOptions, write
from undercast.writers.places import Folder, Place, Store, place_of


@pytest.fixture
def store() -> Iterator[Store]:
    """A folder of fsspec's store in memory."""
    found = Store(url="memory://bucket/masks")
    yield found
    found.clear("")


@pytest.fixture(params=["folder", "store"])
def place(request: pytest.FixtureRequest, tmp_path: Path, store: Store) -> Place:
    return Folder(path=tmp_path / "out") if request.param == "folder" else store


def test_what_is_written_is_there_as_large_as_it_was(place: Place) -> None:
    place.write("a", b"123")
    place.write("folder/b", b"")
    assert place.sizes(["a", "folder/b", "c"]) == [3, 0, None]
    assert place.read("a") == b"123"


def test_a_folder_is_cleared_and_nothing_beside_it(place: Place) -> None:
    place.write("a", b"1")
    place.write("folder/b", b"2")
    place.clear("folder")
    place.clear("folder")
    assert place.sizes(["a", "folder/b"]) == [1, None]


def test_what_cannot_be_read_is_told_in_one_line(place: Place) -> None:
    with pytest.raises(OutputError, match=r"^cannot read .*none: .*Check the address, its rights and your credentials"):
        place.read("none")


def test_files_are_delivered_in_order_and_the_last_never_stands_beside_those_of_another_run(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [tmp_path / name for name in ("a.tif", "a.json")]
    for path in files:
        path.write_text(path.name)
    store.deliver(files)
    assert store.sizes(["a.tif", "a.json"]) == [5, 6]

    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError("Access Denied")

    system, _ = fsspec.core.url_to_fs(store.url)
    monkeypatch.setattr(type(system), "put_file", refuse)
    with pytest.raises(OutputError, match=r"cannot write to memory://bucket/masks: Access Denied. Check"):
        store.deliver(files)
    assert store.sizes(["a.tif", "a.json"]) == [5, None]


@pytest.mark.parametrize(
    ("url", "error", "said"),
    [
        ("nothing://x/y", UsageError, "got 'nothing://x/y' "),
        ("file:///tmp/x", UsageError, "Give the folder itself"),
        ("abfs://x/y", MissingDependencyError, "abfs:// needs a library that is not installed. "),
    ],
)
def test_a_store_that_cannot_be_reached_is_told_with_the_way_out(url: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        place_of(Path("unused"), url).sizes(["a"])


def test_without_its_library_the_pip_line_of_s3_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.setattr(sys.modules["fsspec.registry"], "_registry", {})
    with pytest.raises(MissingDependencyError, match=r"s3:// needs .*pip install 'undercast\[s3\]'"):
        Store(url="s3://bucket").sizes(["a"])


def test_outputs_in_a_store_are_whole_and_are_not_replaced_unasked(
    make: Callable[..., Any], options: OutputOptions, store: Store
) -> None:
    prediction, scene = make()
    there = replace(options, store=store.url + "/", quicklook=False)
    outputs = write(prediction.stream(), scene, there)
    names = ["tiny_class_map.tif", "tiny_class_map.qml", "tiny_mask.json"]
    item = json.loads(store.read("tiny_mask.json"))
    told = {asset["href"].removeprefix("./"): asset["file:size"] for asset in item["assets"].values()}

    assert outputs.addresses()["class_map"] == "memory://bucket/masks/tiny_class_map.tif"
    assert dict(zip(names[:2], store.sizes(names[:2]), strict=True)) == told
    assert not options.folder.exists()
    with pytest.raises(OutputExistsError, match=r"memory://bucket/masks/tiny_class_map.tif exists already"):
        write(prediction.stream(), scene, there)
    write(prediction.stream(), scene, replace(there, overwrite=True, qml=False))
    assert [size is not None for size in store.sizes(names)] == [True, False, True]


def test_an_item_in_a_store_refers_to_files_of_this_machine_by_their_whole_path(
    make: Callable[..., Any], options: OutputOptions, store: Store, tmp_path: Path
) -> None:
    source = tmp_path / "scene.tif"
    source.write_text("pixels")
    prediction, scene = make()
    there = replace(scene, provenance={"source": str(source)})
    write(prediction.stream(), there, replace(options, store=store.url, quicklook=False))
    links = json.loads(store.read("tiny_mask.json"))["links"]
    assert [link["href"] for link in links if "Scene" in link["title"]] == [source.as_uri()]
