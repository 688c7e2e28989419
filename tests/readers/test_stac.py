from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from undercast.errors import BandError, GridError, SceneError
from undercast.radiometry import Scaling
from undercast.readers import open_scene
from undercast.readers.stac import accepts
from undercast.readers.stac_documents import resolve
from undercast.scene import Scene

NAMES = ("blue", "green", "red", "nir")


def names(scene: Scene) -> list[str]:
    return [band.common_name for band in scene.bands]


def bare_item(folder: Path, make: SimpleNamespace, **properties: Any) -> dict[str, Any]:
    """An item of unscaled files, without scale, offset and nodata."""
    for place, name in enumerate(NAMES):
        make.write(folder / f"{name}.tif", make.numbers(4)[place : place + 1])
    item: dict[str, Any] = make.item_1_0({name: f"{name}.tif" for name in NAMES}, **properties)
    for asset in item["assets"].values():
        del asset["raster:bands"]
    return item


def save(folder: Path, item: object) -> Path:
    path = folder / "item.json"
    path.write_text(json.dumps(item), "utf-8")
    return path


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_item_of_either_version_is_one_scene(rasters: Path, make: SimpleNamespace, version: str) -> None:
    scene = open_scene(rasters / f"item-{version}.json")
    assert scene.name == "scene-1"
    assert names(scene) == list(NAMES)
    assert scene.acquired == datetime(2024, 3, 5, 10, 48, 19, tzinfo=UTC)
    assert scene.provenance["bands_from"] == "STAC item"
    assert scene.provenance["scaling_from"] == "STAC item"
    np.testing.assert_allclose(scene.read(), make.numbers(4) * 1e-4 - 0.1, atol=1e-6)


def test_the_caller_chooses_and_orders_bands_by_any_of_their_names(rasters: Path) -> None:
    assert names(open_scene(rasters / "item-1.0.json", bands="nir,-,Red")) == ["nir", "red"]
    with pytest.raises(BandError, match=r"'swir16' is not in it\. It has blue, green, red, nir"):
        open_scene(rasters / "item-1.0.json", bands="red,swir16")


def test_sensor_level_and_sun_come_from_the_properties(tmp_path: Path, make: SimpleNamespace) -> None:
    properties = {"platform": "Sentinel-2B", "instruments": ["msi"], "processing:level": "L1C"}
    angles = {"view:sun_elevation": 35.0, "view:sun_azimuth": 160.5}
    scene = open_scene(save(tmp_path, bare_item(tmp_path, make, **properties, **angles)))
    assert scene.sensor == "sentinel-2b-msi"
    assert scene.level == "toa"
    assert scene.sun is not None
    assert (scene.sun.zenith, scene.sun.azimuth) == (55.0, 160.5)
    assert scene.bands[3].center_wavelength == pytest.approx(0.8329, abs=0.002)


def test_a_platform_with_two_instruments_needs_the_instrument(tmp_path: Path, make: SimpleNamespace) -> None:
    item = bare_item(tmp_path, make, platform="spot-4")
    assert open_scene(save(tmp_path, item)).sensor is None
    item["properties"]["instruments"] = ["VEGETATION"]
    assert open_scene(save(tmp_path, item)).sensor == "spot-vgt-1"


@pytest.mark.parametrize(
    ("properties", "level"),
    [
        ({"processing:level": "L2A"}, "surface"),
        ({"processing:level": "l1tp"}, "toa"),
        ({"landsat:correction": "L2SP"}, "surface"),
        ({"s2:product_type": "S2MSI1C"}, "toa"),
        ({"platform": "sentinel-2a"}, None),
    ],
)
def test_product_levels_are_known_by_their_names(
    tmp_path: Path, make: SimpleNamespace, properties: dict[str, str], level: str | None
) -> None:
    assert open_scene(save(tmp_path, bare_item(tmp_path, make, **properties))).level == level


@pytest.mark.parametrize(
    ("identity", "level"),
    [
        ({"collection": "sentinel-2-l2a"}, "surface"),
        ({"collection": "landsat-c2l2-sr"}, "surface"),
        ({"id": "S2A_MSIL1C_20240120T105341"}, "toa"),
        ({"id": "S2B_31TCJ_20240305_0_L2A"}, "surface"),
    ],
)
def test_product_levels_are_read_from_collection_and_id(
    tmp_path: Path, make: SimpleNamespace, identity: dict[str, str], level: str
) -> None:
    assert open_scene(save(tmp_path, bare_item(tmp_path, make) | identity)).level == level


@pytest.mark.parametrize(
    ("properties", "offset"),
    [
        ({"s2:processing_baseline": "03.01"}, 0.0),
        ({"s2:processing_baseline": "05.10", "datetime": "2019-01-01T00:00:00Z"}, -0.1),
        ({"datetime": "2024-01-01T00:00:00Z"}, -0.1),
    ],
)
def test_sentinel2_without_scaling_is_scaled_by_its_baseline(
    tmp_path: Path, make: SimpleNamespace, properties: dict[str, str], offset: float
) -> None:
    scene = open_scene(save(tmp_path, bare_item(tmp_path, make, platform="sentinel-2a", **properties)))
    np.testing.assert_allclose(scene.read(), make.numbers(4) * 1e-4 + offset, atol=1e-6)


def test_sentinel2_of_unknown_baseline_stays_in_digital_numbers(tmp_path: Path, make: SimpleNamespace) -> None:
    item = bare_item(tmp_path, make, platform="sentinel-2a", datetime="2019-01-01T00:00:00Z")
    scene = open_scene(save(tmp_path, item))
    assert scene.provenance["scaling_from"] == "none"
    np.testing.assert_array_equal(scene.read(), make.numbers(4).astype(np.float32))


def test_an_offset_that_the_provider_took_out_is_not_applied_again(
    tmp_path: Path, rasters: Path, make: SimpleNamespace
) -> None:
    hrefs = {name: str(rasters / "bands" / f"{name}.tif") for name in NAMES}
    item = make.item_1_0(hrefs, **{"earthsearch:boa_offset_applied": True})
    np.testing.assert_allclose(open_scene(save(tmp_path, item)).read(), make.numbers(4) * 1e-4, atol=1e-6)


def test_nor_is_the_usual_offset_of_a_baseline(tmp_path: Path, make: SimpleNamespace) -> None:
    properties = {"platform": "sentinel-2b", "s2:processing_baseline": "05.09"}
    item = bare_item(tmp_path, make, datetime="2023-06-01T00:00:00Z", **properties)
    with_offset = open_scene(save(tmp_path, item)).read()
    item["properties"]["sentinel:boa_offset_applied"] = True
    np.testing.assert_allclose(open_scene(save(tmp_path, item)).read(), with_offset + 0.1, atol=1e-6)


def test_the_callers_scaling_wins_over_the_items(rasters: Path, make: SimpleNamespace) -> None:
    scene = open_scene(rasters / "item-1.0.json", scaling=Scaling(scale=1e-3))
    np.testing.assert_allclose(scene.read(), make.numbers(4) * 1e-3, rtol=1e-6)


def test_nodata_of_the_item_is_honoured(tmp_path: Path, make: SimpleNamespace) -> None:
    values = make.numbers(1)
    values[0, 0, 0] = 0
    make.write(tmp_path / "red.tif", values)
    scene = open_scene(save(tmp_path, make.item_1_1({"red": "red.tif"})))
    assert scene.valid().sum() == values.size - 1


def test_pictures_quality_layers_and_thermal_bands_are_left_out(tmp_path: Path, make: SimpleNamespace) -> None:
    item = bare_item(tmp_path, make)
    red = item["assets"]["red"]
    thermal = {"name": "B10", "common_name": "lwir11", "center_wavelength": 10.9, "full_width_half_max": 0.6}
    item["assets"] = {
        "visual": red | {"roles": ["visual"], "eo:bands": [{"name": "red"}, {"name": "green"}, {"name": "blue"}]},
        "thumbnail": red | {"type": "image/png"},
        "red-jp2": red | {"type": "image/jp2", "href": "missing.jp2"},
        "lwir": red | {"eo:bands": [thermal]},
        "scl": red | {"eo:bands": [], "roles": ["data"]},
        "metadata": {"href": "x.xml", "type": "application/xml", "roles": ["metadata"]},
        **item["assets"],
    }
    scene = open_scene(save(tmp_path, item))
    assert names(scene) == list(NAMES)


def test_wavelengths_of_the_item_make_bands_of_their_own(tmp_path: Path, make: SimpleNamespace) -> None:
    item = bare_item(tmp_path, make)
    item["assets"]["red"]["eo:bands"] = [{"name": "Oa08", "center_wavelength": 0.665, "full_width_half_max": 0.01}]
    band = open_scene(save(tmp_path, item), bands="Oa08").bands[0]
    assert (band.name, band.common_name, band.center_wavelength) == ("Oa08", "red", 0.665)
    item["assets"]["red"]["eo:bands"] = [{"name": "M08", "center_wavelength": 1.24, "full_width_half_max": 0.02}]
    assert open_scene(save(tmp_path, item), bands="M08").bands[0].common_name == "m08"


def test_the_grid_with_the_main_bands_is_taken_and_the_rest_named(
    tmp_path: Path, make: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    item = bare_item(tmp_path, make)
    for name in ("swir16", "swir22", "rededge071", "nir08", "coastal"):
        make.write(tmp_path / f"{name}.tif", make.numbers(1, shape=(24, 20)))
        item["assets"][name] = item["assets"]["red"] | {"href": f"{name}.tif", "eo:bands": [{"common_name": name}]}
    path = save(tmp_path, item)
    scene = open_scene(path)
    assert names(scene) == list(NAMES)
    assert "swir16" in scene.provenance["skipped"]
    assert "on another grid" in caplog.text
    with pytest.raises(GridError, match="shapes"):
        open_scene(path, bands="red,swir16")


def test_with_a_resolution_bands_of_all_grids_are_resampled_to_it(tmp_path: Path, make: SimpleNamespace) -> None:
    item = bare_item(tmp_path, make, platform="sentinel-2a", **{"s2:processing_baseline": "03.01"})
    coarse = make.numbers(1, shape=(24, 20))
    make.write(tmp_path / "swir16.tif", coarse, transform=make.TRANSFORM * make.TRANSFORM.scale(2))
    item["assets"]["swir16"] = item["assets"]["red"] | {"href": "swir16.tif", "eo:bands": [{"common_name": "swir16"}]}
    path = save(tmp_path, item)
    fine, half = open_scene(path, resolution=10.0), open_scene(path, resolution=20.0)
    assert (fine.grid.shape, half.grid.shape) == ((48, 40), (24, 20))
    assert names(half) == [*NAMES, "swir16"]
    np.testing.assert_allclose(half.read(bands=[4])[0], coarse[0] * 1e-4, atol=1e-6)
    np.testing.assert_allclose(fine.read(bands=[4])[0], np.kron(coarse[0], np.ones((2, 2))) * 1e-4, atol=1e-6)
    blocks = make.numbers(4)[0].reshape(24, 2, 20, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(half.read(bands=[0])[0], blocks * 1e-4, atol=6e-5)
    with pytest.raises(GridError, match="do not make whole pixels of 7 m"):
        open_scene(path, resolution=7.0)


def test_layers_of_one_asset_are_bands(tmp_path: Path, make: SimpleNamespace) -> None:
    make.write(tmp_path / "all.tif", make.numbers(3))
    item = make.item_1_1({"analytic": "all.tif"})
    item["assets"]["analytic"]["bands"] = [{"name": name, "eo:common_name": name} for name in ("nir", "qa", "red")]
    scene = open_scene(save(tmp_path, item))
    assert names(scene) == ["nir", "red"]
    np.testing.assert_allclose(scene.read(), make.numbers(3)[[0, 2]] * 1e-4 - 0.1, atol=1e-6)
    item["assets"]["analytic"]["bands"] = [{"eo:common_name": name} for name in (*NAMES, "swir16")]
    with pytest.raises(BandError, match="analytic has 3 layers"):
        open_scene(save(tmp_path, item))


def test_an_item_is_read_over_http_with_its_relative_assets(served: str, rasters: Path) -> None:
    scene = open_scene(f"{served}/item-1.0.json")
    np.testing.assert_array_equal(scene.read(), open_scene(rasters / "item-1.0.json").read())


def test_a_missing_item_is_one_clear_line(served: str, tmp_path: Path) -> None:
    with pytest.raises(SceneError, match=r"no\.json cannot be read: File not found"):
        open_scene(f"{served}/no.json")
    with pytest.raises(SceneError, match="does not exist"):
        open_scene(tmp_path / "no.json")


@pytest.mark.parametrize("angles", [(95.0, 160.0), (35.0, 1e9)])
def test_a_sun_at_an_impossible_angle_is_refused(
    tmp_path: Path, make: SimpleNamespace, angles: tuple[float, float]
) -> None:
    properties = dict(zip(("view:sun_elevation", "view:sun_azimuth"), angles, strict=True))
    with pytest.raises(SceneError, match="expected the sun's elevation and azimuth"):
        open_scene(save(tmp_path, bare_item(tmp_path, make, **properties)))


@pytest.mark.parametrize("href", ["file:///etc/hosts", "FILE:///etc/hosts", "NETCDF:/etc/hosts:red", "vrt:///x.tif"])
def test_an_item_from_the_network_never_leads_to_a_file_here(href: str) -> None:
    with pytest.raises(SceneError, match="refused"):
        resolve(href, "https://host/collection/item.json")


@pytest.mark.parametrize(
    ("href", "base", "absolute"),
    [
        ("./B04.tif", "https://host/a/item.json", "https://host/a/B04.tif"),
        ("/etc/hosts", "https://host/a/item.json", "https://host/etc/hosts"),
        ("s3://bucket/B04.tif", "https://host/a/item.json", "s3://bucket/B04.tif"),
        ("../B04.tif", "/data/a/item.json", "/data/a/../B04.tif"),
        ("file:///data/my%20B04.tif", "/data/a/item.json", "/data/my B04.tif"),
        ("https://host/B04.tif", "/data/a/item.json", "https://host/B04.tif"),
    ],
)
def test_addresses_are_resolved_against_the_item(href: str, base: str, absolute: str) -> None:
    assert resolve(href, base) == absolute


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clouds", "not JSON"),
        ('{"type": "Feature", "assets": {"red": {"href"', "not JSON"),
        ("[1]", "got list"),
        ('{"type": "Collection"}', "got Collection. Give one of its items"),
        ('{"type": "Feature", "assets": []}', "Feature with assets"),
        ('{"type": "Feature", "id": "x", "assets": {"a": {"href": "a.tif"}}}', "expected assets with bands"),
        ('{"type": "Feature", "assets": {"a": {"href": 1, "bands": "red"}}}', "expected assets with bands"),
    ],
)
def test_what_is_no_item_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "item.json").write_text(text, "utf-8")
    with pytest.raises((SceneError, BandError), match=message) as caught:
        open_scene(tmp_path / "item.json")
    assert "\n" not in str(caught.value)


def test_binary_files_are_no_items(tmp_path: Path) -> None:
    (tmp_path / "item.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SceneError, match="not text"):
        open_scene(tmp_path / "item.json")


def test_items_of_other_stores_say_the_way_out() -> None:
    with pytest.raises(SceneError, match="https address"):
        open_scene("gs://bucket/item.json")


def test_assets_named_by_common_names_are_bands(tmp_path: Path, make: SimpleNamespace) -> None:
    item = bare_item(tmp_path, make)
    for name, asset in item["assets"].items():
        item["assets"][name] = {"href": asset["href"], "type": asset["type"]}
    item["assets"]["QA_PIXEL"] = item["assets"]["red"]
    assert names(open_scene(save(tmp_path, item))) == list(NAMES)


def test_an_asset_may_carry_its_one_band_itself(tmp_path: Path, make: SimpleNamespace) -> None:
    item = bare_item(tmp_path, make)
    red = {"href": item["assets"]["red"]["href"], "eo:common_name": "red", "raster:scale": 0.001, "roles": ["x"]}
    item["assets"] = {"measurement": red}
    scene = open_scene(save(tmp_path, item))
    assert names(scene) == ["red"]
    assert scene.provenance["scaling_from"] == "STAC item"


def test_damaged_items_give_our_errors_only(tmp_path: Path, make: SimpleNamespace, fuzzing: SimpleNamespace) -> None:
    path = save(tmp_path, bare_item(tmp_path, make, platform="sentinel-2a", instruments=["msi"]))

    def open_bytes(data: bytes) -> None:
        path.write_bytes(data)
        open_scene(path).read()

    fuzzing.fuzz(open_bytes, path.read_bytes())


@pytest.mark.parametrize("key", ["roles", "eo:bands", "href", "type", "title"])
@pytest.mark.parametrize("value", [5, None, {"a": 1}, ["x", 1], "http://[x", "a\nb.tif"])
def test_fields_of_other_types_give_our_errors_only(
    tmp_path: Path, make: SimpleNamespace, fuzzing: SimpleNamespace, key: str, value: object
) -> None:
    item = bare_item(tmp_path, make)
    item["assets"]["red"][key] = value
    item["properties"] |= {"instruments": value, "platform": value, "datetime": value}
    text = json.dumps(item).encode()
    fuzzing.only_our_errors(lambda data: open_scene(save(tmp_path, json.loads(data))).read(), text)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a/item.json", True),
        ("https://host/item.json?token=1", True),
        ("https://host/v1/collections/c/items/S2A_1", True),
        ("https://host/v1/collections/c", True),
        ("https://host/v1/search?limit=3", True),
        ("s3://bucket/items.json#scene-1", True),
        ("https://host/items/scene.tif/x.tif", False),
        ("/vsizip/a.zip/item.json", False),
        ("a/LC08_MTL.json", False),
        ("a/scene.tif", False),
    ],
)
def test_items_are_known_by_their_address(source: str, expected: bool) -> None:
    assert accepts(source) is expected
