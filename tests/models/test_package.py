"""Model packages are read strictly, and found by name or path."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.bands import Band, band_from_name
from undercast.errors import ModelError, TrustError, UnknownModelError
from undercast.model_spec import ModelBand, ModelSpec
from undercast.models import documents
from undercast.models import package as package_module
from undercast.models.item import COMMON_NAMES, read_spec, spec_properties
from undercast.models.package import find_package, list_packages, read_package
from undercast.models.publish.write import write_package
from undercast.models.table import Table
from undercast.models.trust.checksums import multihash
from undercast.models.trust.weights import verified_bytes
from undercast.sensors import load_sensor

make = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "models" / "make.py")))

WEIGHTS = {"first": b"one", "second": b"three"}


def full_spec() -> ModelSpec:
    spec: ModelSpec = make.tiny_spec(
        bands=(
            ModelBand(band=band_from_name("green", gsd=10.0)),
            ModelBand(
                band=Band(name="B8", common_name="nir", center_wavelength=0.833, full_width_half_max=0.106, gsd=None),
                required=False,
            ),
        ),
        classes=("clear", "cloud", "cloud_shadow"),
        levels=("toa",),
        scale=2.5,
        fill=-3.0,
        window=256,
        multiple=64,
        overlap=16,
        aggregation="median",
        uncertainty="mutual_information",
        presets={"balanced": {"cloud": 0.4, "cloud_shadow": 0.3}, "f2": {"cloud": 0.2}},
        preset="balanced",
    )
    return spec


def edited(folder: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    """Write a package and change its item."""
    make.tiny_package(folder)
    item = json.loads((folder / "item.json").read_text())
    edit(item)
    (folder / "item.json").write_text(json.dumps(item))
    return folder


def test_a_package_is_read_as_it_was_written(tmp_path: Path) -> None:
    details = make.tiny_details(
        evaluation={"cloud_f1": 0.9},
        total_parameters=7,
        hyperparameters={"lr": 0.1},
        extra={"recipe": "starter"},
    )
    folder = write_package(tmp_path / "deep" / "model", full_spec(), WEIGHTS, details)
    package = read_package(folder)
    assert package.spec == full_spec()
    assert [member.name for member in package.members] == ["first", "second"]
    assert [verified_bytes(member) for member in package.members] == [b"one", b"three"]
    assert {member.kind for member in package.members} == {"onnx"}
    assert package.root == folder
    assert package.identity.checksums == (multihash(b"one"), multihash(b"three"))
    assert package.identity.href == str(folder / "item.json")
    assert package.properties["undercast:recipe"] == "starter"
    assert sorted(path.name for path in folder.iterdir()) == [
        "card.md",
        "evaluation.json",
        "first.onnx",
        "item.json",
        "second.onnx",
    ]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["model"]
    assert read_package(folder / "item.json") == package


@given(
    scale=st.sampled_from([1.0, 10.0, 1e-4, 10000.0, 49.0, 3.0, 0.3]),
    fill=st.floats(-10, 10),
    layers=st.sampled_from([("cloud",), ("clear", "thick_cloud"), ("cloud_shadow", "clear", "thin_cloud")]),
    sides=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    preset=st.none() | st.just("p"),
)
def test_every_spec_survives_its_item(
    scale: float, fill: float, layers: tuple[str, ...], sides: tuple[int, int], preset: str | None
) -> None:
    spec = make.tiny_spec(
        scale=scale,
        fill=fill,
        classes=layers,
        window=8 * sides[0] * sides[1],
        multiple=8 * sides[0],
        presets={"p": {"cloud": 0.25}},
        preset=preset,
        overlap=3,
    )
    values = json.loads(json.dumps(spec_properties(spec)))
    assert read_spec(Table(values=values, origin="item")) == spec


def spec_of_sensor(sensor: str) -> ModelSpec:
    spec: ModelSpec = make.tiny_spec(bands=tuple(ModelBand(band=band) for band in load_sensor(sensor).bands))
    return spec


@pytest.mark.parametrize("sensor", ["sentinel-2a-msi", "planetscope-superdove"])
def test_common_names_that_eo_does_not_know_survive_beside_those_that_it_knows(sensor: str) -> None:
    spec = spec_of_sensor(sensor)
    values = json.loads(json.dumps(spec_properties(spec)))
    assert {band["common_name"] for band in values["eo:bands"]} <= set(COMMON_NAMES)
    assert read_spec(Table(values=values, origin="item")) == spec
    for band in values["eo:bands"]:
        if (exact := band.pop("undercast:common_name", None)) is not None:
            band["common_name"] = exact
    assert read_spec(Table(values=values, origin="item")) == spec  # as items were written before


@pytest.mark.real_data
@pytest.mark.parametrize(
    "spec",
    [
        full_spec(),
        make.tiny_spec(classes=("cloud",)),
        make.tiny_spec(),
        spec_of_sensor("sentinel-2a-msi"),
        spec_of_sensor("planetscope-superdove"),
    ],
)
def test_the_item_validates_against_the_schemas(
    tmp_path: Path, validate: Callable[[dict[str, Any]], list[str]], spec: ModelSpec
) -> None:
    details = make.tiny_details(evaluation={"cloud_f1": 0.9}, total_parameters=7, hyperparameters={"lr": 0.1})
    write_package(tmp_path / "model", spec, WEIGHTS, details)
    assert validate(json.loads((tmp_path / "model" / "item.json").read_text())) == []


def test_unknown_fields_are_left_alone(tmp_path: Path) -> None:
    def edit(item: dict[str, Any]) -> None:
        item["properties"]["custom:anything"] = {"a": [1]}
        item["properties"]["undercast:not_yet_known"] = 5
        item["assets"]["load"] = {"href": "https://example.com/load.py", "roles": ["mlm:source_code"]}
        item["assets"]["bare"] = {"href": "../elsewhere"}

    package = read_package(edited(tmp_path / "model", edit))
    assert package.spec == make.tiny_spec()
    assert len(package.members) == 1


def test_fields_with_a_usual_value_may_be_absent(tmp_path: Path) -> None:
    def edit(item: dict[str, Any]) -> None:
        for key in [key for key in item["properties"] if key.startswith("undercast:")]:
            if key != "undercast:version":
                del item["properties"][key]
        del item["properties"]["mlm:input"][0]["value_scaling"]

    spec = read_package(edited(tmp_path / "model", edit)).spec
    assert spec == ModelSpec(id="tiny", version="1.0.0", bands=make.tiny_spec().bands)


def _set(*keys: str | int, to: object) -> Callable[[dict[str, Any]], None]:
    def edit(item: dict[str, Any]) -> None:
        place: Any = item
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = to

    return edit


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda item: item.pop("assets"), "item.json: assets is missing"),
        (lambda item: item["properties"].pop("mlm:name"), "properties: mlm:name is missing"),
        (lambda item: item["properties"].pop("undercast:version"), "undercast:version is missing"),
        (lambda item: item["assets"]["member_1"].pop("file:checksum"), "member_1: file:checksum is missing"),
        (lambda item: item["assets"]["member_1"].pop("file:size"), "member_1: file:size is missing"),
        (_set("properties", to=[]), "properties: expected an object"),
        (_set("assets", to={}), "at least one asset with role mlm:model"),
        (_set("assets", "member_1", "href", to="./gone.onnx"), r"weights .*gone.onnx are missing"),
        (
            _set("properties", "undercast:package_version", to=2),
            "package version 2, this undercast reads up to 1",
        ),
        (_set("properties", "undercast:fill", to="0"), "undercast:fill: expected a number, got '0'"),
        (_set("properties", "undercast:levels", to=["boa"]), "expected some of toa, surface"),
        (
            _set("properties", "undercast:aggregation", to="mode"),
            "undercast:aggregation: expected one of mean",
        ),
        (_set("properties", "undercast:uncertainty", to=1), "undercast:uncertainty: expected one of std"),
        (
            _set("properties", "undercast:layers", to=["fog"]),
            "undercast:layers: expected one class, or clear",
        ),
        (_set("properties", "undercast:layers", to=["clear"]), "undercast:layers: expected"),
        (_set("properties", "undercast:layers", to=[]), "undercast:layers: expected"),
        (_set("properties", "undercast:layers", to=["cloud", "thin_cloud"]), "undercast:layers: expected"),
        (
            _set("properties", "undercast:layers", to=["clear", "cloud", "cloud"]),
            "undercast:layers: expected",
        ),
        (_set("properties", "undercast:preset", to="f2"), "undercast:preset: expected"),
        (
            _set("properties", "undercast:presets", to={"a": {"cloud": 2}}),
            "undercast:presets: expected thresholds",
        ),
        (
            _set("properties", "undercast:presets", to={"a": {"fog": 0.5}}),
            "undercast:presets: expected thresholds",
        ),
        (_set("properties", "undercast:window", "size", to=33), "undercast:window: expected a size"),
        (_set("properties", "undercast:window", "multiple", to=0), "undercast:window: expected a size"),
        (_set("properties", "undercast:window", "overlap", to=32), "undercast:window: expected a size"),
        (_set("properties", "mlm:input", to=[]), "mlm:input: expected a list of one object"),
        (_set("properties", "mlm:input", 0, "bands", to=[]), "mlm:input: expected bands"),
        (_set("properties", "mlm:input", 0, "bands", to=["blue", "blue"]), "mlm:input: expected bands"),
        (_set("properties", "mlm:input", 0, "bands", to=["blue", "b9"]), "mlm:input: expected bands"),
        (_set("properties", "undercast:optional_bands", to=["b9"]), "mlm:input: expected bands"),
        (
            _set("properties", "mlm:input", 0, "value_scaling", to=[{"type": "clip-min", "minimum": 0}]),
            "value_scaling of scale",
        ),
        (
            _set("properties", "mlm:input", 0, "value_scaling", to=[{"type": "scale", "value": 0}]),
            "value_scaling of scale",
        ),
        (
            _set("properties", "eo:bands", 0, "center_wavelength", to=None),
            r"eo:bands\[0\]: center_wavelength",
        ),
    ],
)
def test_a_wrong_item_is_refused_by_file_and_key(
    tmp_path: Path, edit: Callable[[dict[str, Any]], object], words: str
) -> None:
    folder = edited(tmp_path / "model", edit)
    with pytest.raises(ModelError, match=words) as caught:
        read_package(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("href", ["../one.onnx", "/etc/passwd", "https://example.com/one.onnx"])
def test_weights_outside_the_folder_are_refused(tmp_path: Path, href: str) -> None:
    folder = edited(tmp_path / "model", _set("assets", "member_1", "href", to=href))
    with pytest.raises(TrustError, match=r"member_1: href: expected a file inside the package folder"):
        read_package(folder)


def test_a_checksum_that_is_none_is_refused(tmp_path: Path) -> None:
    folder = edited(tmp_path / "model", _set("assets", "member_1", "file:checksum", to="abc"))
    with pytest.raises(TrustError, match=r"file:checksum: expected a SHA-256 multihash"):
        read_package(folder)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"type": "Feature", "prop', "is not JSON"),
        (b"", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "expected a JSON object, got list"),
        (b" " * (documents.LARGEST_ITEM + 1), "at most"),
    ],
)
def test_a_file_that_is_no_item_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    make.tiny_package(tmp_path / "model")
    (tmp_path / "model" / "item.json").write_bytes(data)
    with pytest.raises(ModelError, match=words) as caught:
        read_package(tmp_path / "model")
    assert "item.json" in str(caught.value)


def test_a_folder_without_an_item_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"item.json cannot be read: No such file"):
        read_package(tmp_path)


def test_a_package_is_found_by_name_folder_or_item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_module, "_models_folder", lambda: tmp_path)
    (tmp_path / "notes").mkdir()
    make.tiny_package(tmp_path / "embedded")
    item = tmp_path / "embedded" / "item.json"
    assert list_packages() == ("embedded",)
    assert find_package() == item
    assert find_package(tmp_path / "embedded") == item
    assert find_package(str(item)) == item


@pytest.mark.parametrize("name", ["nothing", "./no/such/folder", "../embedded", ""])
def test_an_unknown_model_is_answered_with_the_known_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(package_module, "_models_folder", lambda: tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownModelError, match=r"is not known. Known: none"):
        find_package(name)
    make.tiny_package(tmp_path / "models" / "starter")
    with pytest.raises(UnknownModelError, match=r"is not known. Known: starter; or give the path"):
        find_package(name)


def test_an_identity_changes_with_the_weights(tmp_path: Path) -> None:
    one = read_package(make.tiny_package(tmp_path / "a"))
    spec = replace(one.spec)
    other = read_package(write_package(tmp_path / "b", spec, {"member_1": b"x"}, make.tiny_details()))
    assert one.spec == other.spec
    assert one.identity.checksums != other.identity.checksums


def test_scene_classifiers_are_found_by_name_and_are_no_cloud_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifiers = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "classifiers" / "make.py")))
    classifiers.tiny_classifier(tmp_path / "labels")
    monkeypatch.setattr("undercast.models.package._models_folder", lambda: tmp_path)
    assert list_packages() == ()
    assert find_package("labels") == tmp_path / "labels" / "item.json"
    with pytest.raises(ModelError, match="got a scene classifier"):
        read_package(find_package("labels"))
