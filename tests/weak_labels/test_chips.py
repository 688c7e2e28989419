"""Chips are cut from scenes with their labels, split by place, and read by evaluation and training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.bands import band_from_name
from undercast.errors import GridError, LabelError, OutputExistsError, UsageError, WindowError
from undercast.evaluation.manifest import manifest_references
from undercast.grids import Grid
from undercast.readers import open_scene
from undercast.readers.elevation import Elevation
from undercast.scene import SunAngles, scene_from_array
from undercast.training.chips import read_chips
from undercast.types import UInt8
from undercast.weak_labels.chips import ChipOptions, ChipScene, chip_windows, make_chips
from undercast.weak_labels.importing import ImportOptions, import_file, import_mask
from undercast.weak_labels.label_files import LabelFile, open_labels
from undercast.weak_labels.places import SIDES, Split
from undercast.windows import Window

CLEAR, CLOUD, SHADOW = 1, 6, 8
ALL_TRAIN = Split(shares=(1.0, 0.0, 0.0))
SMALL = ChipOptions(size=32, split=ALL_TRAIN)


def read_all(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def rows_of(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((folder / "manifest.json").read_text("utf-8"))
    return rows


@pytest.fixture
def cloudy(tmp_path: Path, make: SimpleNamespace, write_sets: Callable[..., LabelFile]) -> Callable[..., ChipScene]:
    """Write a scene that is cloudy on its left, with its labels."""

    def write(name: str = "one", shape: tuple[int, int] = (70, 100), **changes: Any) -> ChipScene:
        place = {key: changes.pop(key) for key in ("corner",) if key in changes}
        path = make.write_scene(tmp_path / f"{name}.tif", shape, seed=len(name), **place)
        scene = open_scene(path, level="toa")
        labels = write_sets(tmp_path / f"{name}_labels.tif", import_mask(make.fmask_codes(shape), "fmask"), **place)
        made = ChipScene(
            scene=scene,
            labels=lambda window: labels.read(window, scene.grid),
            label_provenance="fmask",
            source="drawn",
            licence="CC0-1.0",
        )
        return replace(made, **changes)

    return write


def test_chips_are_windows_of_the_scene_with_labels_and_records(
    tmp_path: Path, cloudy: Callable[..., ChipScene]
) -> None:
    source = cloudy()
    made = make_chips([source], tmp_path / "out", SMALL, software="test 1")
    assert made.chips == {"train": 6, "val": 0, "test": 0}
    rows = rows_of(tmp_path / "out" / "train")
    assert [row["window"] for row in rows] == [[r, c, 32, 32] for r in (3, 35) for c in (2, 34, 66)]
    for row in rows:
        path = tmp_path / "out" / "train" / row["file"]
        assert row["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        window = Window(row=row["window"][0], col=row["window"][1], height=32, width=32)
        with np.load(path) as arrays:
            np.testing.assert_allclose(arrays["bands"] * 1e-4, source.scene.read(window), atol=0.51e-4)
            np.testing.assert_array_equal(arrays["possible"], source.labels(window))
            assert arrays["common_names"].tolist() == ["green", "red", "nir"]
            assert "dem" not in arrays
            assert "sza" not in arrays
    first = rows[0]
    assert (first["labels"], first["label_provenance"], first["licence_data"]) == ("weak", "fmask", "CC0-1.0")
    assert (first["source"], first["scene"], first["gsd_m"], first["level"]) == ("drawn", "one", 10.0, "toa")
    assert first["location"] == pytest.approx([45.15, 3.0], abs=0.01)
    record = json.loads((tmp_path / "out" / "chips.json").read_text("utf-8"))
    assert record["software"] == "test 1"
    assert record["chips"]["train"] == 6
    assert record["options"]["split"]["shares"] == [1.0, 0.0, 0.0]


def test_evaluation_and_training_read_the_possible_sets(tmp_path: Path, cloudy: Callable[..., ChipScene]) -> None:
    make_chips([cloudy(), cloudy("two", kind="human")], tmp_path / "out", SMALL)
    folder = tmp_path / "out" / "train"
    references = {reference.name: reference for reference in manifest_references(folder)}
    chips = {chip.name.removesuffix(".npz"): chip for chip in read_chips(folder, [band_from_name("red")])}
    assert references.keys() == chips.keys()
    assert len(chips) == 12
    for name, reference in references.items():
        with np.load(folder / f"{name}.npz") as arrays:
            np.testing.assert_array_equal(reference.possible, arrays["possible"])
            np.testing.assert_array_equal(chips[name].possible, arrays["possible"])
    assert set(np.unique([chip.possible for chip in chips.values()])) == {CLEAR, CLOUD, SHADOW}
    weights = {name.split("_")[0]: chip.weight for name, chip in chips.items()}
    assert weights == {"one": 0.2, "two": 1.0}


def test_the_same_scenes_give_the_same_bytes(tmp_path: Path, cloudy: Callable[..., ChipScene]) -> None:
    source = cloudy()
    for name in ("a", "b"):
        make_chips([source], tmp_path / name, SMALL)
    assert read_all(tmp_path / "a") == read_all(tmp_path / "b")


def test_elevation_and_sun_are_stored_where_they_are_known(
    tmp_path: Path, make: SimpleNamespace, cloudy: Callable[..., ChipScene]
) -> None:
    metres = np.tile(np.arange(60, dtype=np.float32), (40, 1))
    metres[:, 50:] = -1
    dem = make.write_raster(tmp_path / "dem.tif", metres, gsd=20.0, nodata=-1)
    plain = cloudy()
    source = replace(
        plain,
        scene=replace(plain.scene, sun=SunAngles(zenith=35.0, azimuth=150.0)),
        elevation=Elevation(source=str(dem), grid=plain.scene.grid),
    )
    make_chips([source], tmp_path / "out", SMALL)
    row = rows_of(tmp_path / "out" / "train")[2]
    with np.load(tmp_path / "out" / "train" / row["file"]) as arrays:
        assert (arrays["sza"], arrays["saa"]) == (35.0, 150.0)
        assert arrays["dem"].dtype == np.float32
        assert np.isfinite(arrays["dem"]).all()
        # Columns of 10 m in a raster of 20 m: half a metre more each.
        np.testing.assert_allclose(np.diff(arrays["dem"][5, 2:-2]), 0.5, atol=0.01)
    assert row["dem_missing"] == 0.0


def test_an_elevation_of_another_place_is_refused_and_holes_are_counted(
    tmp_path: Path, make: SimpleNamespace, cloudy: Callable[..., ChipScene]
) -> None:
    source = cloudy()
    far = make.write_raster(tmp_path / "far.tif", np.ones((9, 9), np.float32), corner=(700_000.0, 5_000_000.0))
    away = replace(source, elevation=Elevation(source=str(far), grid=source.scene.grid))
    with pytest.raises(GridError, match="expected an elevation of the scene's ground, got none of it"):
        make_chips([away], tmp_path / "out", SMALL)
    assert not (tmp_path / "out").exists()
    half = make.write_raster(tmp_path / "half.tif", np.ones((70, 50), np.float32))
    part = replace(source, elevation=Elevation(source=str(half), grid=source.scene.grid))
    make_chips([part], tmp_path / "out", SMALL)
    missing = [row["dem_missing"] for row in rows_of(tmp_path / "out" / "train")]
    assert missing == [0.0, 0.5, 1.0] * 2


def test_windows_without_data_or_labels_become_no_chips(tmp_path: Path) -> None:
    reflectance = np.full((2, 32, 96), 0.2, np.float32)
    reflectance[0, :10, :32] = np.nan
    sets = np.full((32, 96), CLEAR, np.uint8)
    sets[:, 64:] = 15
    source = ChipScene(
        scene=scene_from_array(reflectance, ["red", "nir"]),
        labels=lambda window: sets[window.rows, window.cols],
        label_provenance="drawn",
        source="drawn",
        licence="CC0-1.0",
        place="here",
    )
    made = make_chips([source], tmp_path / "out", SMALL)
    assert made.chips["train"] == 1
    assert made.dropped == {"no data": 1, "not labelled": 1}
    made = make_chips([source], tmp_path / "more", replace(SMALL, most_nodata=0.4))
    assert made.chips["train"] == 2
    nothing = replace(source, labels=lambda window: np.zeros(window.shape, np.uint8))
    with pytest.raises(LabelError, match="no chip could be made; windows left out: not labelled: 3"):
        make_chips([nothing], tmp_path / "none", SMALL)


def test_two_acquisitions_of_a_place_fall_on_one_side(tmp_path: Path, cloudy: Callable[..., ChipScene]) -> None:
    split = Split(block_m=200.0, gap_m=0.0, shares=(0.4, 0.3, 0.3))
    first = cloudy("first", (80, 80))
    second = cloudy("second", (80, 80), corner=(500_050.0, 4_999_970.0))
    options = ChipOptions(size=8, split=split)
    made = make_chips([first, second], tmp_path / "out", options)
    assert all(made.chips.values())
    assert made.dropped["between places"] > 0
    seen: dict[tuple[int, int], set[str]] = {}
    for side in SIDES:
        for row in rows_of(tmp_path / "out" / side):
            grid = (first if row["scene"] == "first" else second).scene.grid
            top, left = row["window"][:2]
            x, y = grid.transform[2] + 10 * left, grid.transform[5] - 10 * top
            cells = {(int(x // 10) + i, int(y // 10) + j) for i in range(8) for j in range(8)}
            for cell in cells:
                seen.setdefault(cell, set()).add(side)
    assert max(len(sides) for sides in seen.values()) == 1


def test_an_error_on_the_way_leaves_nothing_behind(tmp_path: Path, cloudy: Callable[..., ChipScene]) -> None:
    def damaged(window: Window) -> UInt8:
        raise LabelError("damaged")

    before = set(tmp_path.iterdir())
    sources = [cloudy(), replace(cloudy("two"), labels=damaged)]
    made = {path for path in tmp_path.iterdir() if path.suffix in {".tif", ".json"}}
    with pytest.raises(LabelError, match="damaged"):
        make_chips(sources, tmp_path / "new" / "out", SMALL)
    assert set(tmp_path.iterdir()) == before | made


def test_existing_folders_small_scenes_and_impossible_options_are_refused(
    tmp_path: Path, cloudy: Callable[..., ChipScene]
) -> None:
    source = cloudy()
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputExistsError, match="exists already"):
        make_chips([source], tmp_path / "out", SMALL)
    with pytest.raises(WindowError, match="one: expected a scene of 128 px or more on each side, got 70 x 100"):
        make_chips([source], tmp_path / "new", ChipOptions(size=128))
    with pytest.raises(UsageError, match="chips of 8 px or more"):
        ChipOptions(size=4)
    with pytest.raises(UsageError, match="a share of nodata"):
        ChipOptions(most_nodata=1.0)


def test_scenes_of_one_name_and_names_unfit_for_files_are_kept_apart(
    tmp_path: Path, cloudy: Callable[..., ChipScene]
) -> None:
    source = cloudy()
    named = [replace(source, scene=replace(source.scene, name=name)) for name in ("../a b", "../a b", "")]
    make_chips(named, tmp_path / "out", SMALL)
    assert {row["scene"] for row in rows_of(tmp_path / "out" / "train")} == {"a_b", "a_b~2", "scene"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"train", "chips.json"}


@given(st.integers(8, 200), st.integers(8, 200), st.integers(8, 64))
def test_windows_lie_in_the_scene_and_never_overlap(height: int, width: int, size: int) -> None:
    seen = np.zeros((height, width), int)
    windows = list(chip_windows(Grid(shape=(height, width)), size))
    for window in windows:
        assert window.shape == (size, size)
        assert seen[window.rows, window.cols].shape == (size, size)
        seen[window.rows, window.cols] += 1
    assert seen.max(initial=0) <= 1
    assert len(windows) == (height // size) * (width // size)


@pytest.mark.real_data
def test_a_real_landsat_scene_becomes_chips_with_the_labels_of_its_bqa(tmp_path: Path, real_data: Path) -> None:
    name = "LC80200392015216LGN00"
    product = real_data / "products" / "landsat8_l1" / name
    bqa = product / f"{name}_BQA.TIF"
    import_file(str(bqa), tmp_path / "labels.tif", "bqa-pre", ImportOptions(failings=("high-ground",), erode_m=60))
    labels, scene = open_labels(tmp_path / "labels.tif"), open_scene(product)
    source = ChipScene(
        scene=scene,
        labels=lambda window: labels.read(window, scene.grid),
        label_provenance=labels.made_by,
        source="landsat",
        licence="public domain",
    )
    options = ChipOptions(size=96, split=Split(block_m=5_000.0, gap_m=0.0, shares=(0.5, 0.25, 0.25)))
    made = make_chips([source], tmp_path / "out", options)
    assert sum(made.chips.values()) + made.dropped["between places"] == 36
    side = max(made.chips, key=lambda each: made.chips[each])
    chips = read_chips(tmp_path / "out" / side, [band_from_name("red"), band_from_name("swir16")])
    assert len(chips) == made.chips[side] > 0
    assert rows_of(tmp_path / "out" / side)[0]["date"].startswith("2015-08-04")
    with np.load(tmp_path / "out" / side / chips[0].name) as arrays:
        assert 15 < float(arrays["sza"]) < 60
