"""A repaired item is valid, reads as the broken one did, and says what was assumed."""

from __future__ import annotations

import copy
import json
import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undercast.errors import ModelError, OutputError, OutputExistsError, UndercastError
from undercast.models.lint.defects import lint
from undercast.models.package import read_package
from undercast.models.repair import repaired as module
from undercast.models.repair.repaired import repair, repair_file
from undercast.models.trust.checksums import multihash
from undercast.models.trust.weights import verified_bytes

make = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "data" / "models" / "make_dialects.py")))

Validate = Callable[[dict[str, Any]], list[str]]


def written(folder: Path, item: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "item.json"
    path.write_text(json.dumps(item))
    return path


def weights_beside(path: Path) -> None:
    for name in ("first.pt2", "second.pt2", "third.pt2", "load.py"):
        (path.parent / name).write_bytes(name.encode())


def test_the_layout_of_fdr4vgt_is_repaired_and_only_what_nobody_here_knows_is_left() -> None:
    repaired = repair(make.fdr4vgt_item())
    assert [defect.code for defect in repaired.left] == ["no-checksum", "license-conflict", "level-conflict"]
    assert [line.split(":")[0] for line in repaired.log.assumptions] == ["mlm", "mlm", "mlm", "undercast", "license"]
    assert len(repaired.log.changes) == 11


@pytest.mark.real_data
@pytest.mark.parametrize("version", ["1.5.0", "1.5.2"])
def test_the_published_item_is_repaired_to_no_errors(
    tmp_path: Path, schemas: Path, validate: Validate, version: str
) -> None:
    repaired = repair_file(schemas / "fdr4vgt_item.json", tmp_path / "item.json", version=version)
    item = json.loads((tmp_path / "item.json").read_text())
    assert item == repaired.item
    assert f"https://stac-extensions.github.io/mlm/v{version}/schema.json" in item["stac_extensions"]
    assert len(item["stac_extensions"]) == 4
    assert validate(item) == []
    before, after = (read_package(path) for path in (schemas / "fdr4vgt_item.json", tmp_path / "item.json"))
    assert after.spec == before.spec
    assert after.applicability == before.applicability


def test_files_beside_the_item_get_size_and_checksum(tmp_path: Path) -> None:
    path = written(tmp_path / "vgt", make.fdr4vgt_item())
    weights_beside(path)
    repair_file(path, path.with_name("repaired.json"))
    package = read_package(path.with_name("repaired.json"))
    assert package.identity.checksums == tuple(
        multihash(name.encode()) for name in ("first.pt2", "second.pt2", "third.pt2")
    )
    assert [verified_bytes(member) for member in package.members] == [b"first.pt2", b"second.pt2", b"third.pt2"]
    assert any(line.startswith("file:checksum: taken of the files as they lie here") for line in package.assumptions)


def test_a_repaired_item_reads_as_the_broken_one_did_and_keeps_what_was_assumed(tmp_path: Path) -> None:
    path = written(tmp_path / "vgt", make.fdr4vgt_item())
    repaired = repair_file(path, path.with_name("repaired.json"))
    before, after = read_package(path), read_package(path.with_name("repaired.json"))
    assert after.spec == before.spec
    assert [replace(member) for member in after.members] == list(before.members)
    assert after.applicability == before.applicability
    assert set(repaired.log.assumptions) < set(after.assumptions)


def test_what_is_valid_stays_as_it_is() -> None:
    item = make.plain_item()
    repaired = repair(item)
    assert repaired.item == item
    assert (repaired.log.changes, repaired.log.assumptions, repaired.left) == ([], [], ())


def test_a_second_repair_changes_nothing() -> None:
    once = repair(make.fdr4vgt_item()).item
    assert repair(once).item == once


def test_the_item_that_is_given_is_not_changed() -> None:
    item = make.fdr4vgt_item()
    repair(item)
    assert item == make.fdr4vgt_item()


def test_an_item_of_mlm_1_4_becomes_one_of_1_5() -> None:
    item = make.plain_item(norm_type="z-score", statistics=[{"mean": 0.1, "stddev": 0.2}] * 3, norm_by_channel=True)
    item["stac_extensions"][0] = "https://stac-extensions.github.io/mlm/v1.4.0/schema.json"
    repaired = repair(item)
    assert repaired.left == ()
    assert repaired.item["stac_extensions"][0].endswith("mlm/v1.5.0/schema.json")
    assert "norm_type" not in repaired.item["properties"]["mlm:input"][0]


def test_the_scaling_of_mlm_1_4_means_the_same_after_a_repair(tmp_path: Path) -> None:
    item = make.plain_item(norm_type="z-score", statistics=[{"mean": 0.1, "stddev": 0.2}] * 3, norm_by_channel=True)
    path = written(tmp_path / "old", item)
    (path.parent / "network.onnx").write_bytes(b"weights")
    repair_file(path, path.with_name("repaired.json"))
    assert read_package(path.with_name("repaired.json")).spec == read_package(path).spec


@pytest.mark.parametrize(
    ("color", "expected"),
    [("00000000", "000000"), ("#FFFF00", "FFFF00"), ([0, 255, 16], "00FF10"), ("red", None), (None, None)],
)
def test_a_colour_is_written_as_six_digits_or_left_out(color: object, expected: str | None) -> None:
    item = make.plain_item()
    classes = item["properties"]["mlm:output"][0]["classification:classes"]
    classes[0]["color_hint"] = color
    repaired = repair(item).item["properties"]["mlm:output"][0]["classification:classes"][0]
    assert repaired.get("color_hint") == expected


def test_assets_that_stay_behind_are_told(tmp_path: Path) -> None:
    path = written(tmp_path / "plain", make.plain_item())
    repaired = repair_file(path, tmp_path / "new.json")
    assert repaired.log.changes == [f"assets: their files lie in {path.parent}, and belong beside the new item"]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    path = written(tmp_path, make.fdr4vgt_item())
    weights_beside(path)
    monkeypatch.setattr(module, "file_multihash", refuse)
    with pytest.raises(ModelError, match=r"cannot be read: Permission denied"):
        repair_file(path, tmp_path / "new.json")


def test_what_cannot_be_repaired_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    item = make.plain_item()
    del item["properties"]["mlm:output"], item["geometry"]
    path = written(tmp_path / "plain", item)
    with pytest.raises(ModelError, match=r"3 defects cannot be repaired; the first, item: expected the field geometry"):
        repair_file(path, tmp_path / "new.json")
    assert not (tmp_path / "new.json").exists()


def test_an_existing_file_is_never_replaced(tmp_path: Path) -> None:
    path = written(tmp_path / "plain", make.plain_item())
    with pytest.raises(OutputExistsError, match=r"exists already"):
        repair_file(path, path)


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    path = written(tmp_path / "plain", make.plain_item())
    with pytest.raises(OutputError, match=r"cannot be written"):
        repair_file(path, tmp_path / "no" / "new.json")


JUNK: tuple[Any, ...] = (None, "", "x y", -2, 1.5, True, [], {}, ["a", "a"], {"a": 1}, 10**400, "\ud800")


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, entry in inner for place in places(entry, (*path, key)))]


@settings(max_examples=100)
@given(place=st.sampled_from(places(make.fdr4vgt_item())[1:]), junk=st.sampled_from(JUNK))
def test_any_item_is_repaired_to_a_valid_one_or_refused(place: tuple[str | int, ...], junk: object) -> None:
    item = make.fdr4vgt_item()
    inner: Any = item
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = copy.deepcopy(junk)
    defects: list[str] = []
    try:
        defects = [defect.severity for defect in lint(repair(item).item)]
    except UndercastError as error:
        defects = ["error"] if "\n" in str(error) else []
    assert "error" not in defects
