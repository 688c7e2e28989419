"""CloudS2Mask's functions on undercast's models."""

from __future__ import annotations

import inspect
import runpy
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

from undercast.compat.clouds2mask import L1C_BANDS, batch_process_scenes, create_settings
from undercast.errors import BandError, SceneError, UnknownModelError, UsageError

SCRIPT = """
import sys
from pathlib import Path

from clouds2mask import batch_process_scenes, create_settings

folders = sorted(Path(sys.argv[1]).glob("*.SAFE"))
settings = create_settings(
    sent_safe_dirs=folders,
    output_dir=Path(sys.argv[2]),
    processing_res=20,
    batch_size=2,
)
masks = batch_process_scenes(settings)
accurate = create_settings(
    sent_safe_dirs=[str(folder) for folder in folders],
    output_dir=Path(sys.argv[2]),
    batch_size=32,
    tta_max_depth=7,
    processing_res=10,
    model_ensembling=True,
    output_compression=None,
    export_confidence=True,
    quiet=True,
)
confident = batch_process_scenes(accurate)
"""
"""A script as CloudS2Mask's documentation has them: fast, then accurate."""

SAFE = runpy.run_path(str(Path(__file__).parents[1] / "data" / "safe" / "make.py"))
"""The functions that make Sentinel-2 products."""
NAMES = [f"S2{letter}_MSIL1C_20200101T000000_N0208_R001_T31TFJ_20200101T000000.SAFE" for letter in "AB"]
PIXEL_SIZES = {10: ("B02", "B03", "B04", "B08"), 60: ("B01", "B09", "B10")}
SIDE_M = 960


def band_size(name: str) -> int:
    return next((size for size, names in PIXEL_SIZES.items() if name in names), 20)


def make_product(folder: Path, *, seed: int = 0) -> Path:
    """Write the bands of a product of before baseline 04.00: cloud left, clear right, no data above."""
    images = folder / "GRANULE" / "L1C_T31TFJ_A000000_20200101T000000" / "IMG_DATA"
    images.mkdir(parents=True)
    said: dict[str, Any] = {"letter": folder.name[2], "baseline": "02.08"}
    (folder / "MTD_MSIL1C.xml").write_text(SAFE["product_xml"](offset=None, **said), "utf-8")
    (images.parent / "MTD_TL.xml").write_text(SAFE["granule_xml"](side=SIDE_M // 10, **said), "utf-8")
    for name in L1C_BANDS:
        size = band_size(name)
        side = SIDE_M // size
        dn = np.full((side, side), 1500, np.uint16)
        dn[:, : side // 2] = 9000
        dn[: 240 // size] = 0
        if name == "B10":
            dn += np.random.default_rng(seed).integers(0, 1 + 500 * seed, dn.shape, np.uint16)
        profile = {"driver": "JP2OpenJPEG", "count": 1, "height": side, "width": side, "dtype": "uint16"}
        place = {
            "crs": "EPSG:32631",
            "transform": from_origin(300_000, 4_900_020, size, size),
            "QUALITY": 100,
            "REVERSIBLE": "YES",
        }
        with rasterio.open(images / f"T31TFJ_20200101T000000_{name}.jp2", "w", **profile, **place) as raster:
            raster.write(dn, 1)
    return folder


@pytest.fixture
def products(tmp_path: Path, models: Path) -> list[Path]:
    return [make_product(tmp_path / "products" / name, seed=seed) for seed, name in enumerate(NAMES)]


def read(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as raster:
        values: NDArray[Any] = raster.read()
    return values


def test_the_parameters_are_those_of_clouds2mask_with_its_defaults() -> None:
    parameters = inspect.signature(create_settings).parameters
    defaults = {name: parameter.default for name, parameter in parameters.items()}

    assert list(parameters)[:2] == ["output_dir", "sent_safe_dirs"]
    assert list(parameters)[-2:] == ["nodata", "model"]
    assert {
        "output_compression": "LZW",
        "batch_size": 10,
        "processing_threads": 2,
        "required_bands": L1C_BANDS,
        "keep_vrt": True,
        "make_qml_files": True,
        "tta_max_depth": 0,
        "processing_res": 10,
        "export_confidence": False,
        "quiet": False,
        "model_ensembling": False,
        "patch_size": 500,
        "fp16_mode": None,
        "patch_overlap_px": 128,
        "optimise_scene_order": True,
    }.items() <= defaults.items()


def test_a_script_for_clouds2mask_runs_with_its_import_changed(
    tmp_path: Path, products: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr("sys.argv", ["script", str(products[0].parent), str(out)])
    said: dict[str, Any] = {}
    changed = SCRIPT.replace("from clouds2mask import", "from undercast.compat.clouds2mask import")
    exec(compile(changed, "script", "exec"), said)  # noqa: S102 (our own text)

    # Of the two, the second has the larger band B10, and comes first.
    assert said["masks"] == [
        out / "CloudS2Mask 20m" / name / f"{name}_CloudS2Mask.tif" for name in (NAMES[1], NAMES[0])
    ]
    fast = read(said["masks"][0])
    assert fast.shape == (1, 48, 48)
    np.testing.assert_array_equal(fast[0, 12:, :24], 1)
    np.testing.assert_array_equal(fast[0, 12:, 24:], 0)
    np.testing.assert_array_equal(fast[0, :12], 255)
    with rasterio.open(said["masks"][0]) as raster:
        assert (raster.nodata, raster.compression.value, raster.crs.to_epsg()) == (255, "LZW", 32631)

    folder = out / "CloudS2Mask 10m model ensembling ATTA 7" / NAMES[0]
    assert {path.name for path in folder.iterdir()} == {
        f"{NAMES[0]}_CloudS2Mask.tif",
        f"{NAMES[0]}_CloudS2Mask.qml",
        f"{NAMES[0]}.vrt",
    }
    accurate = read(folder / f"{NAMES[0]}_CloudS2Mask.tif")
    assert accurate.shape == (5, 96, 96)
    np.testing.assert_array_equal(accurate[1:, 24:].argmax(axis=0), accurate[0, 24:])
    assert not accurate[1:, :24].any()
    with rasterio.open(folder / f"{NAMES[0]}_CloudS2Mask.tif") as raster:
        assert raster.nodata is None
        assert raster.compression is None
        assert raster.tags()["UNDERCAST_TTA"] == "depth 7"


def test_the_virtual_raster_shows_every_band_on_the_grid_of_the_mask(tmp_path: Path, products: list[Path]) -> None:
    (one,) = create_settings(tmp_path, products[:1], processing_res=20)
    batch_process_scenes([one])
    with rasterio.open(one.vrt_path) as raster:
        assert raster.descriptions == L1C_BANDS
        assert (raster.shape, raster.transform.a, raster.crs.to_epsg()) == ((48, 48), 20, 32631)
        pixels = raster.read()
    assert (pixels[:, 40, 3] == 9000).all()
    assert (pixels[:, 3, 3] == 0).all()


def test_the_style_of_classes_has_the_colours_of_clouds2mask(tmp_path: Path, products: list[Path]) -> None:
    plain, confident = (
        create_settings(tmp_path / str(flag), products[:1], export_confidence=flag, keep_vrt=False)[0]
        for flag in (False, True)
    )
    batch_process_scenes([plain, confident])
    text = plain.cloud_mask_path.with_suffix(".qml").read_text()
    assert all(color in text for color in ("#cfd940", "#03fcf8", "#ff5ffb", "#f2ff00"))
    renderer = ET.parse(confident.cloud_mask_path.with_suffix(".qml")).find(".//rasterrenderer")  # noqa: S314 (ours)
    assert renderer is not None
    assert [renderer.get(f"{color}Band") for color in ("red", "green", "blue")] == ["2", "3", "4"]
    assert not plain.vrt_path.exists()


def test_pixels_without_data_are_clear_only_where_the_old_0_is_asked_for(tmp_path: Path, products: list[Path]) -> None:
    (one,) = create_settings(tmp_path, products[:1], nodata=0, keep_vrt=False, make_qml_files=False)
    (path,) = batch_process_scenes([one])
    assert set(np.unique(read(path))) == {0, 1}
    with rasterio.open(path) as raster:
        assert raster.nodata is None
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_scene_that_fails_does_not_stop_the_others(tmp_path: Path, products: list[Path]) -> None:
    for file in products[1].rglob("*_B0[348].jp2"):
        file.write_bytes(b"not a picture")
    settings = create_settings(tmp_path / "out", products)
    with pytest.raises(SceneError, match=f"1 of 2 scenes failed; {NAMES[1]}: "):
        batch_process_scenes(settings)
    written = {one.scene_name: one.cloud_mask_path.exists() for one in settings}
    assert written == {NAMES[0]: True, NAMES[1]: False}
    assert not list((tmp_path / "out").rglob(".undercast-*"))


def test_one_product_in_two_folders_is_refused(tmp_path: Path, products: list[Path]) -> None:
    settings = create_settings(tmp_path / "out", [products[0], tmp_path / "copy" / products[0].name])
    with pytest.raises(UsageError, match="scenes of different names"):
        batch_process_scenes(settings)
    assert not (tmp_path / "out").exists()


def test_files_of_an_earlier_run_are_replaced(tmp_path: Path, products: list[Path]) -> None:
    (one,) = create_settings(tmp_path, products[:1])
    one.mask_output_dir.mkdir(parents=True)
    one.cloud_mask_path.write_text("old")
    batch_process_scenes([one])
    assert read(one.cloud_mask_path).shape == (1, 96, 96)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"processing_res": 60}, UsageError, "processing_res must be 10 or 20, got 60"),
        ({"sent_safe_dirs": []}, UsageError, "got none"),
        ({"tta_max_depth": 8}, UsageError, r"tta_max_depth must lie in \[0, 7\], got 8"),
        ({"tta_max_depth": -1}, UsageError, "got -1"),
        ({"patch_overlap_px": 500}, UsageError, "got 500"),
        ({"patch_overlap_px": -1}, UsageError, "got -1"),
        ({"output_compression": "JPEG"}, UsageError, "output_compression must be one of"),
        ({"sent_safe_dirs": ["S2A_MSIL2A_20200101.SAFE"]}, UsageError, "expected a Sentinel-2 L1C product"),
        ({"sent_safe_dirs": ["somewhere"]}, UsageError, "expected a Sentinel-2 L1C product"),
        ({"required_bands": ["B13"]}, BandError, "'B13' is none of B01"),
        ({"nodata": 1}, UsageError, "nodata must be 255, or 0"),
        ({"model": "none-such"}, UnknownModelError, "Known: embedded"),
    ],
)
@pytest.mark.usefixtures("models")
def test_settings_that_make_no_sense_are_refused(arguments: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        create_settings(**{"output_dir": "out", "sent_safe_dirs": [NAMES[0]], **arguments})


@pytest.mark.usefixtures("models")
def test_a_small_patch_is_warned_of_and_nothing_to_do_is_an_error() -> None:
    with pytest.warns(UserWarning, match="patch_size 128 is small"):
        create_settings("out", [NAMES[0]], patch_size=128, patch_overlap_px=16)
    with pytest.raises(UsageError, match="got none"):
        batch_process_scenes([])


@pytest.mark.real_data
@pytest.mark.usefixtures("models")
def test_real_products_are_masked_by_their_own_reader(tmp_path: Path, real_data: Path) -> None:
    products = sorted((real_data / "products" / "sentinel2_l1c_safe").glob("*.SAFE"))
    settings = create_settings(tmp_path, products, processing_res=20)
    assert [one.b10_size for one in settings] == sorted((one.b10_size for one in settings), reverse=True)
    assert settings[-1].b10_size > 0

    for path in batch_process_scenes(settings):
        with rasterio.open(path) as mask, rasterio.open(path.parent / f"{path.parent.name}.vrt") as bands:
            assert (mask.transform, mask.shape, mask.crs) == (bands.transform, bands.shape, bands.crs)
            assert mask.transform.a == 20
            assert bands.count == 13
            assert set(np.unique(mask.read(1))) <= {0, 1, 3}
