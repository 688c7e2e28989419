"""Pack: a TOML file and weights become a package that reads back as what was said."""

from __future__ import annotations

import json
import runpy
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from undercast.errors import ModelError, OutputExistsError, TrustError
from undercast.loading import load_model
from undercast.models.package import read_package
from undercast.models.publish.pack import pack, read_plan

DATA = Path(__file__).parents[2] / "data"
MODELS = SimpleNamespace(**runpy.run_path(str(DATA / "models" / "make.py")))
HOSTILE = SimpleNamespace(**runpy.run_path(str(DATA / "hostile" / "make.py")))

PLAN = """
[model]
id = "mine"
version = "2.0.0"
title = "Mine"
bands = ["blue", "green", "red"]
optional_bands = ["blue"]
classes = ["cloud"]
levels = ["surface"]
scale = 10000
fill = 0
window = { size = 64, multiple = 8, overlap = 16 }
aggregation = "median"
uncertainty = "std"
preset = "f2"
presets.f2.cloud = 0.4

[package]
architecture = "unet"
description = "Clouds for tests."
license = "CC-BY-4.0"
created = 2024-05-01T12:00:00Z
total_parameters = 8
evaluation = "report.json"
examples = ["example.safetensors"]

[package.properties]
gsd = 1000
start_datetime = 1998-03-01T00:00:00Z
"""


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    (tmp_path / "report.json").write_text('{"f2": 0.9}', "utf-8")
    (tmp_path / "example.safetensors").write_bytes(b"example")
    path = tmp_path / "plan.toml"
    path.write_text(PLAN, "utf-8")
    return path


@pytest.fixture
def weights(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "one.onnx", tmp_path / "two.onnx"]
    for seed, path in enumerate(paths):
        path.write_bytes(MODELS.network_bytes(3, 1, seed=seed, end="Sigmoid"))
    return paths


def test_what_was_said_reads_back(plan: Path, weights: list[Path], tmp_path: Path) -> None:
    package = read_package(pack(weights, plan, tmp_path / "out"))
    assert package.spec == read_plan(plan).spec
    spec = package.spec
    assert (spec.id, spec.version, spec.scale, spec.window, spec.overlap) == ("mine", "2.0.0", 10000.0, 64, 16)
    assert [wanted.required for wanted in spec.bands] == [False, True, True]
    assert (spec.thresholds, spec.levels, spec.aggregation) == ({"cloud": 0.4}, ("surface",), "median")
    assert [member.name for member in package.members] == ["one", "two"]
    assert package.applicability.start == datetime(1998, 3, 1, tzinfo=UTC)
    assert (package.applicability.gsd, package.properties["license"]) == (1000.0, "CC-BY-4.0")
    assert sorted(path.name for path in package.root.iterdir()) == [
        "card.md", "evaluation.json", "example.safetensors", "item.json", "one.onnx", "two.onnx",
    ]  # fmt: skip
    assert len(load_model(package.root).networks) == 2


def test_every_file_has_size_and_checksum(plan: Path, weights: list[Path], tmp_path: Path) -> None:
    item = json.loads((pack(weights, plan, tmp_path / "out") / "item.json").read_text("utf-8"))
    assert set(item["assets"]) == {"one", "two", "card", "evaluation", "example"}
    for asset in item["assets"].values():
        assert asset["file:size"] == (tmp_path / "out" / asset["href"]).stat().st_size
        assert asset["file:checksum"].startswith("1220")
    assert item["assets"]["example"]["roles"] == ["mlm:example_data", "data"]


def test_exported_programs_are_packed_as_what_they_are(plan: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    path.write_bytes(HOSTILE.exported())
    package = read_package(pack([path], plan, tmp_path / "out"))
    assert [(member.kind, member.path.name) for member in package.members] == [("pt2", "net.pt2")]
    assert package.properties["mlm:framework"] == "PyTorch"


def test_bands_of_a_sensor_are_named_as_the_sensor_names_them(plan: Path) -> None:
    text = PLAN.replace('bands = ["blue", "green", "red"]', 'sensor = "msi"\nbands = ["B03", "B8A"]')
    plan.write_text(text.replace('optional_bands = ["blue"]\n', ""), "utf-8")
    bands = [wanted.band for wanted in read_plan(plan).spec.bands]
    assert [(band.name, band.common_name) for band in bands] == [("B03", "green"), ("B8A", "nir08")]


def test_hostile_weights_are_not_packed(plan: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    path.write_bytes(HOSTILE.saved({"a": 1}))
    with pytest.raises(TrustError, match=r"net.pt2 are refused"):
        pack([path], plan, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[model]", "[modle]", "model is missing"),
        ("[model]", "[other]\n[model]", "unknown keys other"),
        ("aggregation", "agregation", "unknown keys agregation"),
        ('license = "CC-BY-4.0"', "", "license is missing"),
        ('"median"', '"best"', "expected one of"),
        ('"green"', '"purple"', "band 'purple' is not a known"),
        ("scale = 10000", "scale = 0", "expected a number other than 0"),
        ("created = 2024-05-01T12:00:00Z", 'created = "May"', "expected a date and time"),
        ("report.json", "none.json", "none.json cannot be read"),
        ("example.safetensors", "none", "none cannot be read"),
        ("gsd = 1000", "gsd = nan", "finite numbers"),
        ("overlap = 16", "overlap = 64", "above 'overlap'"),
        ("[model]", "[model", "is not TOML"),
    ],
)
def test_a_plan_that_is_wrong_is_told_in_one_line(
    plan: Path, weights: list[Path], tmp_path: Path, old: str, new: str, told: str
) -> None:
    plan.write_text(PLAN.replace(old, new, 1), "utf-8")
    with pytest.raises(ModelError, match=told) as caught:
        pack(weights, plan, tmp_path / "out")
    assert str(plan.parent) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_plan_that_is_not_there_is_told_once(weights: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.toml cannot be read: No such file or directory\.$") as caught:
        pack(weights, tmp_path / "none.toml", tmp_path / "out")
    assert "TOML" not in str(caught.value)


@pytest.mark.parametrize("name", ["one.pth", "one"])
def test_weights_of_no_known_ending_are_refused(plan: Path, weights: list[Path], tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ModelError, match=r"expected a name of its own that ends in .onnx"):
        pack([tmp_path / name], plan, tmp_path / "out")


def test_one_name_twice_and_a_folder_that_exists_are_refused(plan: Path, weights: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"a name of its own"):
        pack([weights[0], weights[0]], plan, tmp_path / "out")
    with pytest.raises(OutputExistsError):
        pack(weights, plan, tmp_path)


def test_a_card_is_built_where_none_is_given(plan: Path, weights: list[Path], tmp_path: Path) -> None:
    card = (pack(weights, plan, tmp_path / "mine") / "card.md").read_text("utf-8")
    assert "\n# Mine, 2.0.0\n\nClouds for tests.\n" in card
    assert "| needs | green, red |" in card
