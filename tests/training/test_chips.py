"""Chips are read with what their labels can tell, and no more."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from undercast.bands import band_from_name
from undercast.errors import TrainingError
from undercast.training.chips import (
    STORED_NODATA,
    arrange,
    file_hash,
    kind_of_labels,
    level_of,
    read_chips,
    read_clear_images,
    read_manifest,
    to_stored,
)
from undercast.types import Float32

WANT = tuple(band_from_name(name) for name in ("blue", "red", "nir", "swir16"))
CLEAR, THICK, THIN, SHADOW = 1, 2, 4, 8


@given(arrays.arrays(np.float32, (2, 3), elements=st.floats(-1, 3, width=32)))
def test_reflectance_survives_storage_to_half_a_step(reflectance: Float32) -> None:
    np.testing.assert_allclose(to_stored(reflectance) * 1e-4, reflectance, atol=0.51e-4)


def test_missing_reflectance_is_stored_as_nodata_and_bright_one_is_clipped() -> None:
    stored = to_stored(np.array([np.nan, 0.25, 9.0], np.float32))
    assert stored.tolist() == [STORED_NODATA, 2500, 32767]


def test_layers_are_arranged_by_wavelength_and_absent_ones_marked() -> None:
    stored = np.arange(2, dtype=np.int16)[:, None, None] + np.zeros((2, 1, 1), np.int16)
    got = arrange(stored, [band_from_name("nir"), band_from_name("red")], WANT)
    assert got.ravel().tolist() == [STORED_NODATA, 1, 0, STORED_NODATA]


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"use": "clear-negative (x)", "labels": "none"}, "clear"),
        ({"labels": "weak"}, "weak"),
        ({"labels": "none"}, None),
        ({"labels": "human", "shadow_labelled": False}, "human, shadow not labelled"),
        ({"labels": "human", "shadow_labelled": None, "mask_counts": {"0": 3, "1": 2}}, "human, cloud only"),
        ({"labels": "human", "shadow_labelled": None, "mask_counts": {"0": 3, "3": 2}}, "human"),
        ({"labels": "human", "shadow_labelled": True, "mask_counts": {"0": 3}}, "human"),
    ],
)
def test_the_manifest_tells_how_labels_are_read(row: dict[str, object], kind: str | None) -> None:
    assert kind_of_labels(row) == kind


@pytest.mark.parametrize(
    ("text", "level"), [("L2A (sen2cor)", "surface"), ("L2A BOA", "surface"), ("L1C TOA", "toa"), ("", "toa")]
)
def test_the_level_is_read_from_free_text(text: str, level: str) -> None:
    assert level_of({"level": text}) == level


def test_masks_become_sets_of_what_their_labels_can_tell(chips: Path) -> None:
    read = {chip.name: chip for chip in read_chips(chips, WANT)}
    assert set(read) == {
        "human.npz",
        "no_shadow.npz",
        "cloud_only.npz",
        "weak.npz",
        "clear.npz",
        "holed.npz",
    }
    corners = {
        name: [int(chip.possible[spot]) for spot in ((0, 0), (23, 0), (-1, -1), (-1, 0), (0, -1))]
        for name, chip in read.items()
    }
    assert corners["human.npz"] == [THICK, THIN, SHADOW, CLEAR, 0]
    assert corners["no_shadow.npz"] == [THICK, THIN, SHADOW, CLEAR | SHADOW, 0]
    assert corners["cloud_only.npz"][0] == THICK | THIN
    assert corners["cloud_only.npz"][3] == CLEAR | SHADOW
    assert corners["weak.npz"] == [THICK | THIN, THICK | THIN, SHADOW, CLEAR | SHADOW, 0]
    assert set(np.unique(read["clear.npz"].possible)) == {CLEAR}
    assert read["human.npz"].weight > read["cloud_only.npz"].weight > read["weak.npz"].weight > 0


def test_pixels_that_a_band_misses_are_ignored(chips: Path) -> None:
    (chip,) = (chip for chip in read_chips(chips, WANT) if chip.name == "holed.npz")
    assert not chip.possible[:3].any()
    assert (chip.possible[3:] == CLEAR).all()


def test_sources_and_files_can_be_left_out(chips: Path) -> None:
    names = {chip.name for chip in read_chips(chips, WANT, leave_out=("drawn_l8", "clear.npz"))}
    assert names == {"cloud_only.npz", "weak.npz", "holed.npz"}
    images = read_clear_images(chips, size=64, leave_out=("drawn_clear",))
    assert [image.name for image in images] == ["holed.npz"]


def test_clear_images_are_mirrored_to_size_and_know_their_bands(chips: Path) -> None:
    images = {image.name: image for image in read_clear_images(chips, size=64)}
    assert set(images) == {"clear.npz", "holed.npz"}
    image = images["clear.npz"]
    reflectance = image.background.reflectance
    assert reflectance.shape == (4, 64, 64)
    assert reflectance.dtype == np.float32
    np.testing.assert_array_equal(reflectance[:, 48:], reflectance[:, 32:48][:, ::-1])
    assert float(reflectance.mean()) == pytest.approx(0.1, abs=0.01)
    assert [band.common_name for band in image.sensor.bands] == ["blue", "green", "red", "nir"]
    assert (image.gsd, image.background.level) == (10.0, "surface")
    assert image.background.clear is not None
    assert image.background.clear.all()


def test_pixels_without_data_of_a_clear_image_are_nan_and_not_clear(chips: Path) -> None:
    (image,) = (image for image in read_clear_images(chips, size=48) if image.name == "holed.npz")
    assert image.background.clear is not None
    assert not image.background.clear[:3].any()
    assert np.isnan(image.background.reflectance[1, :3]).all()
    assert np.isfinite(image.background.reflectance[:, 3:]).all()


def test_a_hash_is_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_hash(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_folder_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"expected .*manifest\.json \(a list of chips.*No such file"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(("text", "told"), [("[", "is not JSON"), ("{}", "list of objects"), ("[{}]", "key 'file'")])
def test_a_wrong_manifest_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "manifest.json").write_text(text, "utf-8")
    with pytest.raises(TrainingError, match=told):
        read_manifest(tmp_path)


def damage(chips: Path, folder: Path, content: bytes | None) -> Path:
    """Copy the chips and spoil the first one."""
    shutil.copytree(chips, folder)
    row = json.loads((folder / "manifest.json").read_text("utf-8"))[0]
    if content is None:
        (folder / row["file"]).unlink()
    else:
        (folder / row["file"]).write_bytes(content)
    return folder


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 broken", b"no zip at all"])
def test_a_missing_or_broken_chip_is_named(chips: Path, tmp_path: Path, content: bytes | None) -> None:
    folder = damage(chips, tmp_path / "copy", content)
    with pytest.raises(TrainingError, match=r"chip .*human\.npz cannot be read") as caught:
        read_chips(folder, WANT)
    assert "\n" not in str(caught.value)


def test_a_chip_whose_compressed_bytes_are_scrambled_is_named(
    chips: Path, tmp_path: Path, make: SimpleNamespace
) -> None:
    folder = damage(chips, tmp_path / "copy", None)
    values = np.random.default_rng(0).integers(0, 9999, (4, 64, 64)).astype(np.int16)
    np.savez_compressed(folder / "human.npz", bands=values)
    data = bytearray((folder / "human.npz").read_bytes())
    data[60:400] = bytes(340)
    (folder / "human.npz").write_bytes(bytes(data))
    with pytest.raises(TrainingError, match=r"chip .*human\.npz cannot be read"):
        read_chips(folder, WANT)


@pytest.mark.parametrize("read", [partial(read_clear_images, size=32), partial(read_chips, want=WANT, terrain=True)])
def test_a_size_of_pixels_that_is_none_is_told_with_its_file(
    chips: Path, tmp_path: Path, read: Callable[[Path], object]
) -> None:
    shutil.copytree(chips, tmp_path / "copy")
    rows = json.loads((tmp_path / "copy" / "manifest.json").read_text("utf-8"))
    for row in rows:
        row["gsd_m"] = "ten"
    (tmp_path / "copy" / "manifest.json").write_text(json.dumps(rows), "utf-8")
    with pytest.raises(TrainingError, match="expected gsd_m in metres above 0"):
        read(tmp_path / "copy")


def test_a_chip_without_bands_or_with_other_shapes_is_refused(
    chips: Path, tmp_path: Path, make: SimpleNamespace
) -> None:
    folder = damage(chips, tmp_path / "copy", None)
    np.savez(folder / "human.npz", mask=np.zeros((4, 4), np.uint8))
    with pytest.raises(TrainingError, match=r"cannot be read.*bands"):
        read_chips(folder, WANT)
    make.write_chip(folder / "human.npz", np.zeros((4, 8, 8), np.int16), make.SENTINEL2, mask=make.mask())
    with pytest.raises(TrainingError, match=r"expected int16 bands \(4, y, x\) and a uint8 mask"):
        read_chips(folder, WANT)
    make.write_chip(folder / "human.npz", np.zeros((4, 8, 8), np.float32), make.SENTINEL2)
    with pytest.raises(TrainingError, match=r"got float32 \(4, 8, 8\)"):
        read_clear_images(folder, size=32)


def test_stored_possible_sets_take_the_masks_place(chips: Path, tmp_path: Path, make: SimpleNamespace) -> None:
    folder = damage(chips, tmp_path / "copy", None)
    sets = np.where(make.mask() == 1, THICK | THIN, CLEAR | THIN).astype(np.uint8)
    sets[0] = 0b1111
    stored = make.layers(4, cloudy=True, seed=0)
    make.write_chip(folder / "human.npz", stored, make.LANDSAT8, mask=make.mask(), possible=sets)
    chip = next(chip for chip in read_chips(folder, WANT) if chip.name == "human.npz")
    assert not chip.possible[0].any()
    np.testing.assert_array_equal(chip.possible[1:], sets[1:])
    make.write_chip(folder / "human.npz", stored, make.LANDSAT8, mask=make.mask(), possible=sets + 1)
    with pytest.raises(TrainingError, match=r"expected possible sets \(uint8, 0 to 15\)"):
        read_chips(folder, WANT)


def test_the_real_training_chips_can_be_read(real_data: Path) -> None:
    read = read_chips(real_data / "train", WANT)
    assert len(read) > 100
    for chip in read:
        assert chip.stored.shape == (len(WANT), *chip.possible.shape)
        assert chip.possible.max() <= 0b1111


def test_a_stored_elevation_becomes_terrain_and_one_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    arrays_of: dict[str, Any] = {
        "bands": np.full((2, 8, 8), 1000, np.int16),
        "band_names": np.array(["red", "nir"]),
        "common_names": np.array(["red", "nir"]),
        "wavelength_nm": np.array([660.0, 850.0], np.float32),
        "mask": np.zeros((8, 8), np.uint8),
        "sza": np.float32(30.0),
        "saa": np.float32(90.0),
    }
    dem = np.repeat(np.arange(8, dtype=np.float32)[None] * 3, 8, axis=0)
    row = {"file": "a.npz", "labels": "human", "gsd_m": 30, "shadow_labelled": True}
    (tmp_path / "manifest.json").write_text(json.dumps([row]), "utf-8")
    np.savez(tmp_path / "a.npz", **arrays_of, dem=dem)
    (chip,) = read_chips(tmp_path, WANT, terrain=True)
    assert chip.terrain is not None
    np.testing.assert_allclose(chip.terrain[1].astype(np.float32), 0.1, atol=1e-3)
    cosine = (np.cos(np.radians(30)) - np.sin(np.radians(30)) * 0.1) / np.sqrt(1.01)
    np.testing.assert_allclose(chip.terrain[2].astype(np.float32), cosine, atol=1e-3)
    assert read_chips(tmp_path, WANT)[0].terrain is None
    np.savez(tmp_path / "a.npz", **arrays_of, dem=np.full((8, 8), np.nan, np.float32))
    assert read_chips(tmp_path, WANT, terrain=True)[0].terrain is None
    np.savez(tmp_path / "a.npz", **arrays_of, dem=dem[:4])
    with pytest.raises(TrainingError, match="expected dem of shape"):
        read_chips(tmp_path, WANT, terrain=True)
