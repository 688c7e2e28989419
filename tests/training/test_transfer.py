"""Labelled images of one sensor as another one sees them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from undercast.bands import band_from_name
from undercast.errors import BandError, EvaluationError, GridError, OutputExistsError, TrainingError
from undercast.evaluation.manifest import file_hash, manifest_references
from undercast.sensors import Sensor, load_sensor, parse_sensor
from undercast.training.chips import read_chips
from undercast.training.recipe import Recipe
from undercast.training.transfer import as_seen, coarser_sets, transfer

BANDS = tuple(band_from_name(name) for name in ("red", "nir", "swir16"))


def sensor(gsd: float, *names: str) -> Sensor:
    """Give a sensor with quiet optics."""
    rows = "".join(
        f'[[bands]]\nname = "{band.name}"\ncenter_wavelength = {band.center_wavelength}\nfull_width_half_max = 0.05\n'
        for band in map(band_from_name, names)
    )
    return parse_sensor(
        f'id = "quiet"\ngsd = {gsd}\n{rows}[simulation]\npsf_sigma_px = 0.1\nsnr = 5000.0\nbits = 16', origin="test"
    )


def test_a_coarser_pixel_has_the_set_that_most_of_it_has() -> None:
    possible = np.array([[1, 1, 2, 2], [1, 2, 2, 0], [8, 8, 0, 0], [8, 9, 0, 2]], np.uint8)
    np.testing.assert_array_equal(coarser_sets(possible, 2), [[1, 0], [8, 0]])


@given(hnp.arrays(np.uint8, (8, 8), elements=st.sampled_from([0, 1, 2, 8])), st.sampled_from([1, 2, 4]))
def test_no_label_appears_that_was_not_there(possible: np.ndarray, factor: int) -> None:
    coarser = coarser_sets(possible, factor)
    assert coarser.shape == (8 // factor, 8 // factor)
    assert set(np.unique(coarser)) <= {*np.unique(possible).tolist(), 0}


def test_the_sensor_sees_its_own_bands_and_nothing_where_there_is_nothing() -> None:
    image = np.stack([np.full((32, 32), value, np.float32) for value in (0.1, 0.3, 0.2)])
    image[:, :4] = np.nan
    seen = as_seen(sensor(30.0, "nir", "red"), image, BANDS, 1, np.random.default_rng(3))
    assert np.isnan(seen[:, :4]).all()
    assert np.median(seen[:, 8:], axis=(1, 2)) == pytest.approx([0.3, 0.1], abs=0.02)


def test_a_band_that_nothing_is_near_is_refused() -> None:
    with pytest.raises(BandError, match="expected something near blue, got red, nir, swir16"):
        as_seen(sensor(30.0, "blue", "red"), np.zeros((3, 8, 8), np.float32), BANDS, 1, np.random.default_rng(0))


def test_a_folder_becomes_a_folder_that_training_and_evaluation_read(
    make: SimpleNamespace, recipe: Recipe, chips: Path, tmp_path: Path
) -> None:
    made = transfer(chips, sensor(60.0, "red", "nir08"), tmp_path / "a")
    rows = json.loads((made.folder / "manifest.json").read_text("utf-8"))
    assert {row["file"] for row in rows} == set(made.made)
    human = next(row for row in rows if row["file"] == "human.npz")
    assert (human["sensor"], human["gsd_m"]) == ("quiet", 60.0)
    assert len(human["made_from"]["sha256"]) == 64
    assert human["sha256"] == file_hash(made.folder / "human.npz")
    assert human["common_names"] == ["red", "nir08"]
    read = {chip.name: chip for chip in read_chips(made.folder, recipe.bands)}
    assert read["human.npz"].possible.shape == tuple(side // 2 for side in make.mask().shape)
    assert (read["human.npz"].possible == 2).any()
    assert len(list(manifest_references(made.folder))) == len(read)
    assert transfer(chips, sensor(60.0, "red", "nir08"), tmp_path / "b").made == made.made
    for name in made.made:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_elevation_and_sun_go_along(chips: Path, tmp_path: Path) -> None:
    shutil.copytree(chips, tmp_path / "from")
    with np.load(chips / "human.npz") as stored:
        arrays = dict(stored)
    dem = np.repeat(np.arange(arrays["bands"].shape[2], dtype=np.float32)[None], arrays["bands"].shape[1], axis=0)
    np.savez(tmp_path / "from" / "human.npz", **arrays, dem=dem, sza=np.float32(30.0), saa=np.float32(150.0))
    made = transfer(tmp_path / "from", sensor(60.0, "red", "nir08"), tmp_path / "to")
    with np.load(made.folder / "human.npz") as seen:
        assert (float(seen["sza"]), float(seen["saa"])) == (30.0, 150.0)
        np.testing.assert_allclose(seen["dem"][0, :3], [0.5, 2.5, 4.5])


def test_what_lacks_a_band_is_left_out_and_named(chips: Path, tmp_path: Path) -> None:
    made = transfer(chips, sensor(30.0, "red", "swir16"), tmp_path / "a")
    assert "human.npz" in made.made
    assert any(line.startswith("clear.npz: expected something near swir16") for line in made.left_out)
    with pytest.raises(TrainingError, match="expected a chip with the bands of landsat-8-oli, got none"):
        transfer(chips, load_sensor("landsat-8-oli"), tmp_path / "b")
    assert not (tmp_path / "b" / "manifest.json").exists()
    with pytest.raises(OutputExistsError, match="exists already"):
        transfer(chips, sensor(30.0, "red"), tmp_path / "a")


def test_an_interruption_leaves_nothing_half_written(
    chips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transfer(chips, sensor(60.0, "red", "nir08"), tmp_path / "new", progress=interrupt)
    assert not (tmp_path / "new").exists()


def cut_short(folder: Path) -> None:
    path = folder / "human.npz"
    path.write_bytes(path.read_bytes()[:300])


def scrambled(folder: Path) -> None:
    path = folder / "human.npz"
    with np.load(path) as stored:
        np.savez_compressed(path, **dict(stored))
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)


def with_mask(mask: np.ndarray) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with np.load(folder / "human.npz") as stored:
            np.savez(folder / "human.npz", **{**stored, "mask": mask})

    return change


def with_row(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        rows = json.loads((folder / "manifest.json").read_text("utf-8"))
        changed = [row | changes if row["file"] == "human.npz" else row for row in rows]
        (folder / "manifest.json").write_text(json.dumps(changed), "utf-8")

    return change


@pytest.mark.parametrize(
    ("damage", "error", "told"),
    [
        (lambda folder: (folder / "human.npz").unlink(), EvaluationError, "human.npz cannot be read: No such file"),
        (cut_short, EvaluationError, r"human.npz is not a file of NumPy arrays \(truncated\?\)"),
        (scrambled, EvaluationError, r"human.npz is not a file of NumPy arrays \(truncated\?\)"),
        (with_mask(np.zeros((2, 3), np.uint8)), GridError, "expected a mask of"),
        (with_row(gsd_m="ten"), EvaluationError, "human.npz: expected gsd_m in metres above 0, or null, got 'ten'"),
        (with_row(gsd_m=-10), EvaluationError, "expected gsd_m in metres above 0, or null, got -10"),
        (with_row(cover=float("nan")), EvaluationError, "human.npz: expected finite numbers, got NaN or infinity"),
        (with_row(file="x/clear.npz"), EvaluationError, "expected files of different names, got clear.npz twice"),
    ],
    ids=["missing", "cut short", "scrambled", "another mask", "a text", "a negative gsd", "NaN", "one name twice"],
)
def test_a_wrong_folder_is_refused_and_leaves_nothing(
    chips: Path, tmp_path: Path, damage: Callable[[Path], None], error: type[Exception], told: str
) -> None:
    shutil.copytree(chips, tmp_path / "from")
    damage(tmp_path / "from")
    with pytest.raises(error, match=told):
        transfer(tmp_path / "from", sensor(60.0, "red", "nir08"), tmp_path / "to")
    assert not (tmp_path / "to").exists()
