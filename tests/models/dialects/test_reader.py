"""Items that undercast did not write are read, and what they do not say is assumed and told."""

from __future__ import annotations

import copy
import json
import runpy
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from undercast.bands import BandMatch
from undercast.errors import ModelError, TrustError, UndercastError
from undercast.model_spec import network_input
from undercast.models.applicability import Applicability, levels_in
from undercast.models.package import ModelPackage, find_package, read_package
from undercast.models.trust.weights import verified_bytes

make = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "data" / "models" / "make_dialects.py")))

Edit = Callable[[dict[str, Any]], object]


def written(folder: Path, item: dict[str, Any], name: str = "item.json") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(item))
    (folder / "network.onnx").write_bytes(b"weights")
    return folder


def read_plain(tmp_path: Path, **model_input: object) -> ModelPackage:
    return read_package(written(tmp_path / "plain", make.plain_item(**model_input)))


def test_the_layout_of_fdr4vgt_is_read(tmp_path: Path) -> None:
    package = read_package(written(tmp_path / "vgt", make.fdr4vgt_item()))
    spec = package.spec
    assert [(wanted.band.name, wanted.band.common_name, wanted.band.center_wavelength) for wanted in spec.bands] == [
        ("B0", "blue", 0.45),
        ("B2", "red", 0.645),
        ("B3", "nir", 0.835),
        ("MIR", "swir16", 1.665),
    ]
    assert (spec.classes, spec.levels, spec.scale, spec.fill) == (("cloud",), ("surface",), 10000.0, 0.0)
    assert (spec.window, spec.multiple, spec.overlap) == (512, 512, 64)
    assert (spec.aggregation, spec.uncertainty) == ("mean", "std")
    assert spec.presets == {"recommended": {"cloud": 0.4}, "standard": {"cloud": 0.5}}
    assert spec.thresholds == {"cloud": 0.4}
    assert [member.kind for member in package.members] == ["pt2"] * 3
    assert [member.path.name for member in package.members] == ["first.pt2", "second.pt2", "third.pt2"]
    assert not package.identity.verified


def test_the_layout_of_fdr4vgt_says_where_it_applies(tmp_path: Path) -> None:
    package = read_package(written(tmp_path / "vgt", make.fdr4vgt_item()))
    assert package.applicability == Applicability(
        sensors=("spot-vgt-1", "spot-vgt-2", "proba-v"),
        start=datetime(1998, 3, 1, tzinfo=UTC),
        gsd=1000.0,
        levels=("surface",),
        accelerator="cuda",
        batch_size=4,
    )


def test_each_assumption_is_told(tmp_path: Path) -> None:
    told = read_package(written(tmp_path / "vgt", make.fdr4vgt_item())).assumptions
    for words in (
        "centre wavelengths are taken from the bands' names: blue 0.45 um",
        "widths of bands are not stated, assumed of spot-vgt-1",
        "norm is no field of MLM",
        "have no version",
        "surface reflectance is assumed (the model card of huggingface.co/isp-uv-es/FDR4VGT-CLOUD says toa)",
        "the network gets 0",
        "mean is assumed, from the output's description (mlstac takes max)",
        "3 of 3 members have no checksum",
    ):
        assert sum(words in line for line in told) == 1, words
    assert len(told) == 8


def test_weights_without_a_checksum_are_not_opened_as_verified(tmp_path: Path) -> None:
    item = make.plain_item()
    del item["assets"]["weights"]["file:checksum"]
    member = read_package(written(tmp_path / "plain", item)).members[0]
    with pytest.raises(TrustError, match=r"declares no checksum"):
        verified_bytes(member)


def test_an_item_that_says_everything_leaves_little_to_assume(tmp_path: Path) -> None:
    package = read_plain(tmp_path)
    assert package.spec.classes == ("clear", "thick_cloud", "thin_cloud", "cloud_shadow")
    assert package.spec.version == "3.1"
    assert package.spec.levels == ("toa",)
    assert package.identity.verified
    assert len(package.assumptions) == 4
    assert {line.split(":")[0] for line in package.assumptions} == {
        "the window's side is free",
        "the overlap of windows is not stated",
        "the output's range is not stated",
        "the value of pixels without data is not stated",
    }


@pytest.mark.parametrize(
    ("model_input", "expected"),
    [
        ({}, (0.2, 0.4, 0.6)),
        ({"value_scaling": [{"type": "scale", "value": 0.5}]}, (0.4, 0.8, 1.2)),
        ({"value_scaling": [{"type": "offset", "value": 0.1}]}, (0.1, 0.3, 0.5)),
        ({"value_scaling": [{"type": "min-max", "minimum": 0.0, "maximum": 2.0}]}, (0.1, 0.2, 0.3)),
        (
            {"value_scaling": [{"type": "z-score", "mean": 0.1 * n, "stddev": 0.1} for n in (1, 2, 3)]},
            (1.0, 2.0, 3.0),
        ),
        ({"description": None, "value_scaling": [{"type": "z-score", "mean": 1000, "stddev": 500}]}, (2.0, 6.0, 10.0)),
        ({"description": "Reflectance scaled by 10000"}, (2000.0, 4000.0, 6000.0)),
        ({"description": "Patches of 256x256 px, reflectance x 10000"}, (2000.0, 4000.0, 6000.0)),
        ({"description": "Windows of 128 x 128, or 512 px x 512 px, of unitless reflectance"}, (0.2, 0.4, 0.6)),
        (
            {"norm_type": "z-score", "statistics": [{"mean": 0.1, "stddev": 0.2}] * 3, "norm_by_channel": True},
            (0.5, 1.5, 2.5),
        ),
    ],
)
def test_reflectance_becomes_the_input_that_the_item_describes(
    tmp_path: Path, model_input: dict[str, Any], expected: tuple[float, ...]
) -> None:
    item = make.plain_item(**model_input)
    if model_input.get("description", "") is None:
        del item["properties"]["mlm:input"][0]["description"]
    spec = read_package(written(tmp_path / "plain", item)).spec
    matches = [BandMatch(wanted=wanted.band, index=i, distance_um=0.0) for i, wanted in enumerate(spec.bands)]
    reflectance = np.array([0.2, 0.4, 0.6], np.float32)[:, None, None]
    np.testing.assert_allclose(network_input(spec, matches, reflectance)[:, 0, 0], expected, rtol=1e-5)


def test_raster_bands_say_what_the_numbers_are(tmp_path: Path) -> None:
    item = make.plain_item()
    item["assets"]["weights"]["raster:bands"] = [
        {"name": name, "scale": 0.0001, "offset": -0.1} for name in ("B03", "B04", "B8A")
    ]
    spec = read_package(written(tmp_path / "plain", item)).spec
    assert {(wanted.gain, wanted.offset) for wanted in spec.bands} == {(10000.0, 1000.0)}


def test_an_item_of_mlm_1_4_is_read_as_one_of_1_5(tmp_path: Path) -> None:
    item = make.plain_item()
    item["stac_extensions"][0] = "https://stac-extensions.github.io/mlm/v1.4.0/schema.json"
    assert read_package(written(tmp_path / "old", item)).spec == read_plain(tmp_path).spec


def test_a_folder_of_mlstac_is_found_by_its_item(tmp_path: Path) -> None:
    folder = written(tmp_path / "mlstac", make.fdr4vgt_item(), "mlm.json")
    assert find_package(folder) == folder / "mlm.json"
    assert read_package(folder) == read_package(folder / "mlm.json")


def test_a_list_of_pt2_files_is_an_ensemble_of_fdr4vgts_kind(tmp_path: Path) -> None:
    for name in ("b.pt2", "a.pt2"):
        (tmp_path / name).write_bytes(b"")
    package = read_package([tmp_path / "b.pt2", tmp_path / "a.pt2"])
    assert [member.name for member in package.members] == ["model_1_a", "model_2_b"]
    assert package.spec.scale == 10000.0
    assert package.spec.thresholds == {"cloud": 0.4}
    assert package.assumptions[0].startswith("2 .pt2 files without an item")
    assert read_package(find_package(tmp_path)) == package
    assert package.root == tmp_path


@pytest.mark.parametrize("files", [[], ["a.onnx"], ["a.pt2", "deep/b.pt2"]])
def test_a_list_of_anything_else_is_refused(tmp_path: Path, files: list[str]) -> None:
    with pytest.raises(ModelError, match=r"expected .pt2 files of one folder"):
        read_package([tmp_path / name for name in files])


def test_members_may_differ_in_bands_scaling_and_windows(tmp_path: Path) -> None:
    item = make.fdr4vgt_item()
    other = copy.deepcopy(item["properties"]["mlm:input"])
    other[0]["bands"] = other[0]["bands"][:3]
    other[0]["input"]["shape"] = [-1, 3, 256, 256]
    other[0]["norm"]["range"] = [0, 1]
    item["assets"]["model_02_second"]["undercast:member"] = {"mlm:input": other}
    package = read_package(written(tmp_path / "vgt", item))
    assert [member.spec is None for member in package.members] == [True, False, True]
    spec = package.spec_of(package.members[1])
    assert (len(spec.bands), spec.window, spec.scale) == (3, 256, 1.0)
    assert package.spec_of(package.members[0]) is package.spec


def test_an_ensemble_that_is_fused_is_one_member(tmp_path: Path) -> None:
    item = make.fdr4vgt_item(members=("fused",))
    item["properties"] |= {"custom:ensemble_fused": True, "custom:ensemble_size": 2}
    package = read_package(written(tmp_path / "vgt", item))
    assert (len(package.members), package.spec.uncertainty) == (1, "entropy")


def test_assets_of_several_kinds_are_one_model_in_several_formats(tmp_path: Path) -> None:
    item = make.plain_item()
    item["assets"]["exported"] = {
        "href": "https://host/network.pt2",
        "roles": ["mlm:model"],
        "mlm:artifact_type": "torch.export.save",
    }
    package = read_package(written(tmp_path / "plain", item))
    assert [member.name for member in package.members] == ["weights"]
    assert any("several formats: weights, not exported" in line for line in package.assumptions)


def test_safetensors_need_the_name_of_their_architecture(tmp_path: Path) -> None:
    item = make.plain_item()
    item["assets"]["weights"] |= {"href": "https://host/a.safetensors", "mlm:artifact_type": "safetensors"}
    assert read_package(written(tmp_path / "plain", item)).members[0].architecture == "U-Net"
    item["assets"]["weights"]["mlm:architecture"] = "spectral-spatial"
    assert read_package(written(tmp_path / "plain", item)).members[0].architecture == "spectral-spatial"
    del item["assets"]["weights"]["mlm:architecture"], item["properties"]["mlm:architecture"]
    with pytest.raises(ModelError, match=r"mlm:architecture is missing"):
        read_package(written(tmp_path / "plain", item))


def _set(*keys: str | int, to: object) -> Edit:
    def edit(item: dict[str, Any]) -> None:
        place: Any = item
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = to

    return edit


_IN, _OUT, _ASSET = ("properties", "mlm:input", 0), ("properties", "mlm:output", 0), ("assets", "model_02_second")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (_set("assets", to={}), "at least one asset with role mlm:model"),
        (lambda item: item["assets"].pop("model_02_second"), "expected 3 members, as custom:ensemble_size"),
        (_set(*_ASSET, "href", to="gone.pt2"), "gone.pt2 are missing"),
        (_set(*_ASSET, "href", to="https://host/first.pt2"), "a file of its own for each member"),
        (_set(*_ASSET, "mlm:artifact_type", to="torch.jit.script"), "TorchScript, which can run any code"),
        (_set(*_ASSET, "mlm:artifact_type", to="torch.save"), "a pickle, which runs code"),
        (_set(*_ASSET, "mlm:artifact_type", to="tf.keras.Model.save"), "a kind that undercast does not read"),
        (
            _set(*_ASSET, "undercast:member", to={"mlm:output": make.plain_item()["properties"]["mlm:output"]}),
            r"the package's own name, version and classes \(cloud\)",
        ),
        (_set(*_IN, "input", "shape", to=[-1, 4, 512.0, 512]), "a list of whole numbers"),
        (_set(*_IN, "input", "shape", to=[-1, 4, 10**12, 10**12]), "a side of 8 to 8192 px"),
        (_set(*_IN, "input", "shape", to=[-1, 5, 512, 512]), r"expected \[-1, 4, side, side\]"),
        (_set(*_IN, "input", "shape", to=[3, 4, 512, 512]), r"expected \[-1, 4, side, side\]"),
        (_set(*_IN, "input", "shape", to=[]), "batch, bands, height, width"),
        (_set(*_IN, "input", "dim_order", to=["batch", "height", "width", "channel"]), "batch, bands, height"),
        (_set(*_IN, "bands", to=["blue", "blue", "red", "nir"]), "1 to 64 bands, each once"),
        (_set(*_IN, "bands", to=["a", "b", "c", "d"]), "a wavelength for each band"),
        (_set(*_IN, "bands", to=[{"name": "NDVI", "expression": "B8-B4"}]), "an expression for 'NDVI'"),
        (_set(*_IN, "norm", "range", to=[0, 0]), r"norm: expected type raw and range \[0, number\]"),
        (_set(*_IN, "norm", "type", to="clahe"), "norm: expected type raw"),
        (_set(*_IN, "value_scaling", to=[{"type": "clip", "minimum": 0, "maximum": 1}]), "value_scaling of scale"),
        (_set(*_IN, "value_scaling", to=[{"type": "scale", "value": 1e-320}]), "value_scaling of scale"),
        (_set("properties", "mlm:input", to=[]), "expected one input, an image"),
        (_set(*_OUT, "tasks", to=["regression"]), "an output with task semantic-segmentation"),
        (_set(*_OUT, "classification:classes", to=[{"value": 0, "name": "city"}]), "cloud alone, or clear"),
        (_set(*_OUT, "recommended_threshold", to=4), r"a threshold in \(0, 1\)"),
        (_set("properties", "custom:has_sigmoid", to=False), "ends in sigmoid or softmax"),
        (_set("properties", "custom:recommended_overlap", to=512), "less than 512 px"),
        (_set("properties", "custom:applicable_start", to="yesterday"), "a date as in ISO 8601"),
        (_set("properties", "custom:spatial_resolution", to="near"), "a length such as 1km"),
        (_set("properties", "custom:ensemble_size", to=-1), "a whole number of 0 or more"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(tmp_path: Path, edit: Edit, words: str) -> None:
    item = make.fdr4vgt_item()
    edit(item)
    with pytest.raises(ModelError, match=words) as caught:
        read_package(written(tmp_path / "vgt", item))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "href",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "file:///etc/passwd",
        "https://host/",
        "https://host/..",
        "ftp://host/a.pt2",
        "https:///a.pt2",
        "C:\\a.pt2",
        "javascript://x/a.pt2",
        "https://[/a.pt2",
        "a" * 256,
        "\ud800",
    ],
)
def test_hostile_references_are_refused(tmp_path: Path, href: str) -> None:
    item = make.fdr4vgt_item()
    item["assets"]["model_02_second"]["href"] = href
    with pytest.raises(TrustError, match=r"model_02_second: href: expected a file inside the package folder"):
        read_package(written(tmp_path / "vgt", item))


def test_a_sensors_name_is_never_opened_as_a_file(tmp_path: Path) -> None:
    item = make.fdr4vgt_item()
    (tmp_path / "mine.toml").write_text("id = 'mine'")
    item["properties"]["custom:sensors"] = [str(tmp_path / "mine.toml")]
    package = read_package(written(tmp_path / "vgt", item))
    assert package.applicability.sensors == (str(tmp_path / "mine.toml"),)
    assert any("typical of their names" in line for line in package.assumptions)


JUNK: tuple[Any, ...] = (
    None,
    "",
    "x y",
    -2,
    1.5,
    True,
    [],
    {},
    ["a", "a"],
    {"a": 1},
    10**30,
    10**400,
    "\ud800",
    "9" * 400,
)


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, entry in inner for place in places(entry, (*path, key)))]


PLACES = places(make.fdr4vgt_item())[1:]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(place=st.sampled_from(PLACES), junk=st.sampled_from(JUNK))
def test_any_broken_item_is_read_or_refused_in_one_line(
    tmp_path: Path, place: tuple[str | int, ...], junk: object
) -> None:
    item = make.fdr4vgt_item()
    _set(*place, to=junk)(item)
    message = ""
    try:
        read_package(written(tmp_path / "vgt", item))
    except UndercastError as error:
        message = str(error)
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("VGT_PROBA_TOC_reflectance", ("surface",)),
        ("Sentinel-2 L1C, top-of-atmosphere", ("toa",)),
        ("TOA and L2A", ("toa", "surface")),
        ("stock market", ()),
    ],
)
def test_product_levels_are_known_by_their_words(text: str, levels: tuple[str, ...]) -> None:
    assert levels_in(text) == levels


@pytest.mark.real_data
def test_the_published_item_is_read(schemas: Path) -> None:
    package = read_package(schemas / "fdr4vgt_item.json")
    assert len(package.members) == 6
    assert [wanted.band.name for wanted in package.spec.bands] == ["B0", "B2", "B3", "MIR"]
    assert package.applicability.sensors == ("spot-vgt-1", "spot-vgt-2", "proba-v")
