"""Fetch: a package arrives whole, is pinned, is never fetched twice, and leads nowhere else."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from undercast.errors import DownloadError, ModelError, OutputError, TrustError, UsageError
from undercast.loading import load_model
from undercast.models.fetch import pull as fetch
from undercast.models.fetch.pins import LOCK_FILE, read_pins
from undercast.models.fetch.pull import PullOptions, local_item, open_package, pull
from undercast.models.fetch.transport import Patience
from undercast.models.package import find_package
from undercast.models.trust.checksums import multihash

DATA = Path(__file__).parents[2] / "data"
SERVER = SimpleNamespace(**runpy.run_path(str(DATA / "server" / "make.py")))
MODELS = SimpleNamespace(**runpy.run_path(str(DATA / "models" / "make.py")))
SCENES = SimpleNamespace(**runpy.run_path(str(DATA / "scenes" / "make.py")))

QUICK = PullOptions(patience=Patience(attempts=2, timeout_s=0.5, backoff_s=0.01))
ITEM = "/m/item.json"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNDERCAST_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = MODELS.tiny_package(tmp_path_factory.mktemp("published") / "tiny", members=2)
    return made


@pytest.fixture
def site(folder: Path) -> Iterator[Any]:
    with SERVER.serving() as running:
        for path in folder.iterdir():
            running.routes[f"/m/{path.name}"] = path.read_bytes()
        yield running


def change_item(site: Any, change: Callable[[dict[str, Any]], object]) -> None:
    item = json.loads(site.routes[ITEM])
    change(item)
    site.routes[ITEM] = json.dumps(item).encode()


def without_checksums(item: dict[str, Any]) -> None:
    """Make it an item of another software, without checksums."""
    for key in ("undercast:package_version", "undercast:version"):
        item["properties"].pop(key)
    for asset in item["assets"].values():
        asset.pop("file:checksum", None)
        asset.pop("file:size", None)


def test_a_package_arrives_whole_and_is_pinned(site: Any, folder: Path, cache: Path) -> None:
    pulled = pull(f"{site.url}/m", QUICK)
    assert {path.name for path in pulled.item.parent.iterdir()} == {path.name for path in folder.iterdir()}
    assert pulled.url == f"{site.url}{ITEM}"
    assert set(pulled.fetched) == {"item.json", "member_1.onnx", "member_2.onnx", "card.md"}
    pin = read_pins(cache)[f"{site.url}/m"]
    assert pin.files["item.json"] == multihash(site.routes[ITEM])
    assert sorted(path.name for path in cache.iterdir()) == ["locks", LOCK_FILE, "packages"]
    assert len(list((cache / "packages").iterdir())) == 1


def test_a_model_is_loaded_by_its_reference_and_fetched_once(site: Any) -> None:
    reference = f"{site.url}{ITEM}"
    first = load_model(reference)
    asked = len(site.asked)
    second = load_model(reference)
    assert len(site.asked) == asked
    assert first.identity == second.identity
    assert first.identity.verified
    assert first.identity.href == reference
    scene = np.full((1, 3, 32, 32), 0.5, np.float32)
    np.testing.assert_array_equal(first.networks[0](scene), second.networks[0](scene))


def test_equal_members_are_fetched_once(site: Any) -> None:
    pull(f"{site.url}/m", QUICK)
    assert (
        json.loads(site.routes[ITEM])["assets"]["member_1"]["file:checksum"]
        == (json.loads(site.routes[ITEM])["assets"]["member_2"]["file:checksum"])
    )
    assert len({path for path in site.paths if path.endswith(".onnx")}) == 1


def test_a_hub_s_package_is_fetched_at_its_revision(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    site.routes = {path.replace("/m/", "/a/b/resolve/v1/"): body for path, body in site.routes.items()}
    assert open_package("hf:a/b@v1", QUICK).spec.id == "tiny"
    assert site.paths[0] == "/a/b/resolve/v1/item.json"


def test_the_item_of_mlstac_is_found_where_there_is_no_other(site: Any) -> None:
    site.routes["/m/mlm.json"] = site.routes.pop(ITEM)
    assert pull(f"{site.url}/m", QUICK).url == f"{site.url}/m/mlm.json"


def test_a_bucket_s_package_is_fetched(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", site.url)
    assert open_package("s3://m/item.json", QUICK).spec.id == "tiny"


def test_offline_what_was_fetched_is_used_and_nothing_is_asked(
    site: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERCAST_OFFLINE", "1")
    with pytest.raises(DownloadError, match=r"UNDERCAST_OFFLINE forbids the network"):
        load_model(f"{site.url}/m")
    monkeypatch.delenv("UNDERCAST_OFFLINE")
    pull(f"{site.url}/m", QUICK)
    asked = len(site.asked)
    monkeypatch.setenv("UNDERCAST_OFFLINE", "1")
    moved = cache.with_name("moved")
    cache.rename(moved)
    monkeypatch.setenv("UNDERCAST_CACHE", str(moved))
    assert load_model(f"{site.url}/m").spec.id == "tiny"
    assert len(site.asked) == asked


def test_pulling_again_fetches_the_item_alone(site: Any) -> None:
    pull(f"{site.url}/m", QUICK)
    site.asked.clear()
    assert pull(f"{site.url}/m", QUICK).fetched == ()
    assert site.paths == [ITEM]


def test_a_damaged_file_is_fetched_again(site: Any) -> None:
    pulled = pull(f"{site.url}/m", QUICK)
    card = pulled.item.with_name("card.md")
    card.unlink()
    card.write_text("other", "utf-8")
    assert "card.md" in pull(f"{site.url}/m", QUICK).fetched
    assert card.read_bytes() == site.routes["/m/card.md"]


def test_a_later_change_is_refused_with_the_way_out(site: Any) -> None:
    reference = f"{site.url}/m"
    first = pull(reference, QUICK)
    change_item(site, lambda item: item["properties"].update({"undercast:title": "Other"}))
    with pytest.raises(TrustError, match=rf"its item changed .* undercast models pull --update {reference}") as caught:
        pull(reference, QUICK)
    assert "\n" not in str(caught.value)
    assert local_item(reference, QUICK)[0] == first.item

    site.asked.clear()
    second = pull(reference, replace(QUICK, update=True))
    assert second.item != first.item
    assert open_package(reference).spec.title == "Other"
    assert not [path for path in site.paths if path.endswith(".onnx")], "members that did not change were there"


def test_a_member_that_changes_behind_an_item_without_checksums_is_refused(site: Any) -> None:
    change_item(site, without_checksums)
    taking = replace(QUICK, allow_unverified=True)
    pulled = pull(f"{site.url}/m", taking)
    pulled.item.with_name("member_1.onnx").unlink()
    site.routes["/m/member_1.onnx"] = MODELS.network_bytes(3, 4, seed=7)
    with pytest.raises(TrustError, match=r"member_1.onnx changed since it was first fetched"):
        pull(f"{site.url}/m", taking)
    assert pull(f"{site.url}/m", replace(taking, update=True)).fetched


def test_a_member_that_changes_in_the_cache_is_refused(site: Any) -> None:
    change_item(site, without_checksums)
    pulled = pull(f"{site.url}/m", replace(QUICK, allow_unverified=True))
    pulled.item.with_name("member_1.onnx").write_bytes(MODELS.network_bytes(3, 4, seed=7))
    with pytest.raises(TrustError, match=r"member_1.onnx in the cache changed"):
        load_model(f"{site.url}/m", allow_unverified=True)


def test_a_package_without_checksums_needs_a_word_and_is_marked(site: Any) -> None:
    change_item(site, without_checksums)
    with pytest.raises(TrustError, match=r"2 assets with weights declare no checksum.*--allow-unverified"):
        load_model(f"{site.url}/m")
    assert site.paths == [ITEM]
    model = load_model(f"{site.url}/m", allow_unverified=True)
    assert not model.identity.verified
    assert model.identity.checksums == (multihash(site.routes["/m/member_1.onnx"]),) * 2
    with pytest.raises(TrustError, match=r"declares no checksum.*--allow-unverified"):
        load_model(f"{site.url}/m")


def test_code_is_not_fetched_and_said_to_be_left(site: Any) -> None:
    change_item(site, lambda item: item["assets"].update(load={"href": f"{site.url}/load.py", "roles": ["code"]}))
    site.routes["/load.py"] = b"raise SystemExit"
    assert pull(f"{site.url}/m", QUICK).left == ("load",)
    assert "/load.py" not in site.paths


def test_another_item_of_the_package_is_left(site: Any) -> None:
    """A package in FDR4VGT's layout that undercast made has two items, and each names all files of the folder."""

    def name_other(item: dict[str, Any]) -> None:
        item["assets"]["item.json"] = {"href": "./item.json", "roles": ["metadata"]}

    change_item(site, name_other)
    site.routes["/m/mlm.json"] = site.routes[ITEM]
    pulled = pull(f"{site.url}/m/mlm.json", QUICK)
    assert pulled.left == ("item.json",)
    assert pulled.item.read_bytes() == site.routes["/m/mlm.json"]


def test_an_https_item_names_no_files_over_http(site: Any) -> None:
    change_item(site, lambda item: item["assets"]["member_1"].update(href="http://a.example/w.onnx"))
    with pytest.raises(TrustError, match=r"member_1: href: expected an https URL, as the item's own, got 'http:"):
        fetch._plan(site.routes[ITEM], "https://b.example/item.json", QUICK)


def test_what_opens_a_file_is_not_written_into_outputs(site: Any) -> None:
    model = load_model(f"{site.url}{ITEM}?signature=secret")
    assert model.identity.href == f"{site.url}{ITEM}"


def test_an_item_that_changes_in_the_cache_is_refused(site: Any) -> None:
    pulled = pull(f"{site.url}/m", QUICK)
    pulled.item.write_bytes(site.routes[ITEM] + b" ")
    with pytest.raises(TrustError, match=r"item.json in the cache changed since it was first fetched"):
        load_model(f"{site.url}/m")


def test_assets_of_another_server_lie_beside_the_item(site: Any) -> None:
    with SERVER.serving() as other:
        other.routes["/deep/far.onnx"] = site.routes.pop("/m/member_1.onnx")

        def move(item: dict[str, Any]) -> None:
            for key in ("undercast:package_version", "undercast:version"):
                item["properties"].pop(key)
            item["assets"]["member_1"]["href"] = f"{other.url}/deep/far.onnx"

        change_item(site, move)
        assert len(load_model(f"{site.url}/m").networks) == 2
        assert other.paths == ["/deep/far.onnx"]


def test_an_asset_that_is_not_needed_may_be_missing(site: Any, caplog: pytest.LogCaptureFixture) -> None:
    site.routes["/m/card.md"] = SERVER.status(404)
    pulled = pull(f"{site.url}/m", QUICK)
    assert pulled.left == ("card.md",)
    assert "card.md is left out" in caplog.text
    assert not pulled.item.with_name("card.md").exists()


def test_nothing_is_left_of_an_asset_that_broke_off(site: Any) -> None:
    card = site.routes["/m/card.md"]
    site.routes["/m/card.md"] = SERVER.cut(card, len(card) // 2)
    pulled = pull(f"{site.url}/m", QUICK)
    assert pulled.left == ("card.md",)
    assert not list(pulled.item.parent.glob("*.part"))


@pytest.mark.parametrize(
    ("href", "told"),
    [
        ("../../etc/passwd", "expected a file below"),
        ("/etc/passwd", "expected a file below"),
        ("%2e%2e/secret", "expected a file below"),
        ("file:///etc/passwd", "expected a file inside the package folder, or a URL"),
        ("ftp://a.example/w.onnx", "expected a file inside the package folder, or a URL"),
        ("https://", "expected a file inside the package folder, or a URL"),
        ("https://a.example/..", "expected a file inside the package folder, got '..'"),
        ("hf://a/b", "expected https://"),
        ("item.json", "a file of its own for each asset"),
        ("ITEM.json", "a file of its own for each asset"),
        ("card.md", "a file of its own for each asset"),
    ],
)
def test_an_asset_that_leads_elsewhere_is_refused_before_anything_is_fetched(site: Any, href: str, told: str) -> None:
    change_item(site, lambda item: item["assets"]["member_1"].update(href=href))
    with pytest.raises(ModelError, match=told) as caught:
        pull(f"{site.url}/m", QUICK)
    assert "\n" not in str(caught.value)
    assert site.paths == [ITEM]


@pytest.mark.parametrize(
    ("route", "told"),
    [
        (SERVER.status(404), "there is no"),
        (SERVER.status(500), "HTTP status 500"),
        (SERVER.stalled(MODELS.brightness_network(), 10), "timed out"),
        (SERVER.as_if(b"x", 10**12), "declares"),
        (SERVER.endless(), "expected at most"),
        (SERVER.status(302, Location="file:///etc/passwd"), "redirects to 'file:///etc/passwd'"),
        (b"other bytes", "declares"),
    ],
    ids=["404", "500", "stall", "size lie", "endless", "file redirect", "other bytes"],
)
def test_a_member_that_does_not_come_leaves_no_package(site: Any, cache: Path, route: Any, told: str) -> None:
    site.routes["/m/member_1.onnx"] = route
    with pytest.raises((DownloadError, TrustError), match=told) as caught:
        pull(f"{site.url}/m", QUICK)
    assert "\n" not in str(caught.value)
    assert read_pins(cache) == {}
    assert not [path for path in (cache / "packages").iterdir() if not path.name.startswith(".")]


def test_what_an_interrupted_pull_left_is_not_fetched_again(site: Any) -> None:
    body = site.routes["/m/card.md"]
    site.routes["/m/member_1.onnx"], kept = SERVER.status(500), site.routes["/m/member_1.onnx"]
    with pytest.raises(DownloadError):
        pull(f"{site.url}/m", QUICK)
    site.routes["/m/member_1.onnx"] = SERVER.in_turn(SERVER.cut(kept, 50), SERVER.status(500))
    with pytest.raises(DownloadError):
        pull(f"{site.url}/m", QUICK)
    site.routes["/m/member_1.onnx"] = kept
    site.asked.clear()
    pulled = pull(f"{site.url}/m", QUICK)
    assert pulled.item.with_name("card.md").read_bytes() == body
    ranges = [headers.get("Range") for path, headers in site.asked if path == "/m/member_1.onnx"]
    assert ranges == ["bytes=50-"]


@pytest.mark.parametrize("item", [b"", b"[]", b"{", b"[" * 10_000, b"\xff", b'{"assets": {}}', b" " * 5_000_000])
def test_an_item_that_is_none_is_refused(site: Any, item: bytes) -> None:
    site.routes[ITEM] = item
    with pytest.raises(ModelError, match=r"not JSON|expected|nests") as caught:
        pull(f"{site.url}{ITEM}", QUICK)
    assert "\n" not in str(caught.value)


def test_more_files_than_the_limit_are_not_begun(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "LARGEST_PACKAGE", 100)
    with pytest.raises(ModelError, match=r"100 bytes or less"):
        pull(f"{site.url}/m", QUICK)
    assert site.paths == [ITEM]


def test_a_cache_that_cannot_be_written_is_told(site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x", "utf-8")
    monkeypatch.setenv("UNDERCAST_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match=r"cannot write to the cache .*UNDERCAST_CACHE"):
        pull(f"{site.url}/m", QUICK)


def test_a_name_is_no_reference(site: Any) -> None:
    with pytest.raises(UsageError, match=r"expected a reference"):
        pull("embedded")


def test_a_folder_of_this_machine_is_taken_as_it_is(folder: Path) -> None:
    assert local_item(folder) == (find_package(folder), None)


def test_two_references_to_one_package_at_once_make_one_folder(site: Any) -> None:
    site.routes["/m/mlm.json"] = site.routes.pop(ITEM)
    with ThreadPoolExecutor(2) as pool:
        pulled = list(pool.map(lambda text: pull(text, QUICK), [f"{site.url}/m", f"{site.url}/m/mlm.json"]))
    assert pulled[0].item == pulled[1].item
    assert len(load_model(f"{site.url}/m").networks) == 2


def test_two_processes_at_once_fetch_every_file_once(site: Any, cache: Path) -> None:
    slow = site.routes["/m/card.md"]
    site.routes["/m/card.md"] = SERVER.dripping(slow, 0.01)
    code = f"""
from undercast.models.fetch.pull import local_item
print(local_item({f"{site.url}/m"!r})[0])
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    both = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=60)[0].strip() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert told[0] == told[1]
    assert Path(told[0]).is_file()
    files = [path for path in site.paths if path != ITEM]
    assert len(files) == len(set(files))
