from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from undercast.annotation.points import written_classes
from undercast.errors import OutputError
from undercast.evaluation.pairs import pair_references
from undercast.grids import Grid
from undercast.prediction import collect
from undercast.readers import open_scene
from undercast.scene import ArrayPixels
from undercast.sensors import load_sensor
from undercast.simulation.files import write_simulated
from undercast.simulation.scenes import simulate
from undercast.viewer.desk import Desk
from undercast.viewer.saving import Reference, stream

MakeDesk = Callable[..., Desk]

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def test_mask_points_and_history_are_saved_together(pointed: Desk, tmp_path: Path) -> None:
    pointed.train()
    saved = pointed.save()
    with rasterio.open(saved.outputs.class_map) as source:
        class_map, tags = source.read(1), source.tags()
    assert pointed.labelled is not None
    np.testing.assert_array_equal(class_map, written_classes(pointed.labelled.labels))
    assert tags["UNDERCAST_MODEL"].startswith("alcd-annotator")
    stored = json.loads(saved.points.read_text("utf-8"))
    assert len(stored["points"]) == 18
    assert stored["rounds"][0]["points"] == {"low_clouds": 6, "land": 6, "water": 6}
    assert stored["more"]["features"] == ["blue", "green", "red", "nir", "NDVI", "NDWI"]
    assert stored["more"]["cross_validated_share_of_points"] == 1.0
    assert saved.references is None
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_a_second_save_replaces_the_first(pointed: Desk) -> None:
    pointed.train()
    pointed.save()
    pointed.add(0, 0, 6)
    pointed.train()
    assert len(json.loads(pointed.save().points.read_text("utf-8"))["points"]) == 19


def test_the_list_is_one_that_evaluate_takes(make_desk: MakeDesk, tmp_path: Path) -> None:
    made = simulate(load_sensor("spot-5-hrg"), size=32, seed=1, gsd=60.0, level="toa")
    write_simulated(made, tmp_path, name="small", seed=1, software="test")
    path = tmp_path / "small.tif"
    desk = make_desk(open_scene(path), source=str(path))
    for number in range(4):
        desk.add(4 * number, 3, 5)
        desk.add(4 * number, 20, 2)
    desk.train()
    saved = desk.save()
    assert saved.references is not None
    (reference,) = pair_references(saved.references, scheme="undercast")
    assert desk.labelled is not None
    np.testing.assert_array_equal(reference.possible, 1 << written_classes(desk.labelled.labels).astype(np.uint8))
    with saved.references.open(encoding="utf-8", newline="") as file:
        assert next(csv.DictReader(file))["labels"] == "human"


def test_labels_of_squares_come_back_on_the_scenes_own_grid(make_desk: MakeDesk, pointed: Desk) -> None:
    desk = make_desk(replace(pointed.scene, name="coarse"), largest=200)
    assert desk.step == 2
    for point in pointed.session.points:
        desk.add(point.row // 2, point.col // 2, point.label)
    desk.train()
    assert desk.labelled is not None
    cut = replace(desk.scene, grid=Grid(shape=(23, 29)))
    reference = Reference(
        scene=cut, step=2, labelled=desk.labelled, session=desk.session, notice=desk.notice, records={}
    )
    written = collect(stream(reference))
    wanted = written_classes(desk.labelled.labels).repeat(2, axis=0).repeat(2, axis=1)[:23, :29]
    np.testing.assert_array_equal(written.class_map, wanted)
    assert written.probabilities.shape == (4, 23, 29)
    assert "squares of 2 x 2" in written.header.warnings[0]


@pytest.mark.parametrize(("largest", "step"), [(10_000, 1), (200, 2)])
def test_pixels_without_data_are_nodata_also_inside_a_square(
    make_desk: MakeDesk, pointed: Desk, largest: int, step: int
) -> None:
    reflectance = pointed.scene.read().copy()
    reflectance[0, ::5, 3::5] = np.nan
    holed = replace(pointed.scene, name="holed", pixels=ArrayPixels(reflectance=reflectance))
    desk = make_desk(holed, largest=largest)
    assert desk.step == step
    for point in pointed.session.points:
        if np.isfinite(desk.features[point.row // step, point.col // step]).all():
            desk.add(point.row // step, point.col // step, point.label)
    desk.train()
    saved = desk.save()
    valid = np.isfinite(reflectance).all(axis=0)
    with rasterio.open(saved.outputs.class_map) as source:
        np.testing.assert_array_equal(source.read(1) != 255, valid)
    assert saved.outputs.uncertainty is not None
    with rasterio.open(saved.outputs.uncertainty) as source:
        np.testing.assert_array_equal(np.isfinite(source.read(1)), valid)


def test_a_folder_that_cannot_be_written_is_an_output_error(pointed: Desk, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file", "utf-8")
    with pytest.raises(OutputError):
        pointed.train()
