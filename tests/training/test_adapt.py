"""A model learns the bands of another sensor."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from undercast.errors import OutputExistsError, SensorError, TrainingError, UsageError
from undercast.masking import predict
from undercast.models.package import read_package
from undercast.scene import scene_from_array
from undercast.sensors import load_sensor
from undercast.training import loop
from undercast.training.adapt import Adaptation, AdaptOptions, _both, _hold_out, adapt, recipe_of
from undercast.training.adaptation import plan_adaptation
from undercast.training.chips import Chip
from undercast.training.loop import Pools
from undercast.training.recipe import Recipe
from undercast.training.run import Places, run
from undercast.types import TERRAIN_LAYERS

QUICK = AdaptOptions(steps=3, frozen_steps=1, simulated=2, on_real=1, scenes=4, batch=2, workers=1, size=64)


@pytest.fixture(scope="module")
def starter(recipe: Recipe, chips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a tiny model of green, red, near and short-wave infrared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "VALIDATION_CHIPS", 4)
        return run(recipe, chips, Places(package=tmp_path_factory.mktemp("starter") / "tiny"))


@pytest.fixture(scope="module")
def adapted(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Adaptation:
    """Adapt it to SPOT-5 once."""
    return adapt(starter, "spot-5-hrg", tmp_path_factory.mktemp("adapted") / "spot", options=QUICK)


def test_the_package_takes_the_bands_of_the_sensor_and_masks_a_scene_of_it(adapted: Adaptation) -> None:
    package = read_package(adapted.package)
    assert [band.band.name for band in package.spec.bands] == ["XS1", "XS2", "XS3", "SWIR"][: len(package.spec.bands)]
    assert package.spec.id == "tiny-spot-5-hrg"
    bands = load_sensor("spot-5-hrg").bands
    image = np.random.default_rng(0).uniform(0, 0.6, (len(bands), 70, 50)).astype(np.float32)
    prediction = predict(scene_from_array(image, bands, level="toa"), str(adapted.package))
    assert prediction.class_map.shape == (70, 50)


def test_card_and_record_say_how_the_bands_were_matched_and_what_it_costs(adapted: Adaptation) -> None:
    record = json.loads((adapted.package / "evaluation.json").read_text("utf-8"))
    assert [row["choice"] for row in record["bands"]] == [row.choice for row in adapted.plan.bands]
    assert set(record["held_out_simulated"]["cloud_f2"]) == {"original", "matched", "adapted"}
    card = (adapted.package / "card.md").read_text("utf-8")
    assert "| green | 1.00 XS1 | subset | 0.015 |" in card
    assert "Lost by the bands:" in card


def test_without_steps_the_bands_are_matched_and_no_more(starter: Path, tmp_path: Path) -> None:
    figures = adapt(starter, "spot-5-hrg", tmp_path / "a", options=AdaptOptions(steps=0, scenes=4, size=64)).figures
    assert figures["cloud_f2"]["matched"] == figures["cloud_f2"]["adapted"]
    assert figures["gain"]["value"] == 0.0


def test_real_chips_are_used_where_they_have_the_bands(
    starter: Path, chips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "VALIDATION_CHIPS", 2)
    table = tmp_path / "s.toml"
    rows = (("r", 0.655), ("n", 0.865), ("s", 1.61))
    table.write_text(
        'id = "own"\ngsd = 30.0\n'
        + "".join(
            f'[[bands]]\nname = "{name}"\ncenter_wavelength = {center}\nfull_width_half_max = 0.06\n'
            for name, center in rows
        ),
        "utf-8",
    )
    made = adapt(starter, str(table), tmp_path / "own", data=chips, options=QUICK)
    record = json.loads((made.package / "evaluation.json").read_text("utf-8"))
    before = json.loads((starter / "evaluation.json").read_text("utf-8"))["data_sha256"]
    assert record["data_sha256"].items() >= before.items()
    assert "human.npz" in record["data_sha256"]
    with pytest.raises(TrainingError, match="expected a labelled chip with green, red, nir, swir16, got none"):
        adapt(starter, "spot-5-hrg", tmp_path / "none", data=chips, options=QUICK)


def test_a_sensor_with_a_band_that_nothing_is_near_is_judged_by_the_bands_that_are_used(
    starter: Path, tmp_path: Path
) -> None:
    made = adapt(starter, "landsat-8-oli", tmp_path / "a", options=AdaptOptions(steps=0, scenes=4, size=64))
    assert "pan" in {band.common_name for band in made.plan.sensor.bands}
    assert made.figures["scenes"] == 2


def test_what_was_adapted_is_not_adapted_again(adapted: Adaptation, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="was adapted from tiny already"):
        adapt(adapted.package, "spot-4-hrvir", tmp_path / "b", options=QUICK)


def test_every_fourth_trusted_scene_with_clouds_is_calibrated_on_and_not_trained_on() -> None:
    stored, cloud, clear = np.zeros((1, 2, 2), np.int16), np.full((2, 2), 2, np.uint8), np.ones((2, 2), np.uint8)
    cloudy = [Chip(name=f"c{number}", source="a", stored=stored, possible=cloud) for number in range(8)]
    others = [
        Chip(name="clear", source="a", stored=stored, possible=clear),
        Chip(name="weak", source="b", stored=stored, possible=cloud, weight=0.2),
    ]
    ground = Chip(name="0:1:c0", source="simulated on real", stored=stored, possible=cloud)
    pools = Pools(real=[*cloudy, *others], on_real=[ground], simulated=[], validation=[], hashes={"c0": "1"})
    kept, held = _hold_out(pools)
    assert [chip.name for chip in held] == ["c0", "c4"]
    assert {chip.name for chip in kept.real} == {chip.name for chip in (*cloudy, *others)} - {"c0", "c4"}
    assert kept.on_real == []
    assert kept.hashes == pools.hashes  # a calibration has met them, too
    few = replace(pools, real=cloudy[:3])
    assert _hold_out(few) == (few, [])


def test_files_of_one_name_that_were_met_stay_two() -> None:
    assert _both({"a.npz": "1" * 64}, {"a.npz": "2" * 64, "b.npz": "3" * 64}) == {
        "a.npz": "1" * 64,
        "a.npz#22222222": "2" * 64,
        "b.npz": "3" * 64,
    }


def test_an_existing_package_and_an_unknown_sensor_are_refused_first(starter: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputExistsError, match="exists already"):
        adapt(starter, "spot-5-hrg", tmp_path)
    with pytest.raises(SensorError, match="is not known"):
        adapt(starter, "spot-99", tmp_path / "new")


def test_with_dem_the_model_learns_to_take_terrain_and_still_works_without(starter: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="1 step or more"):
        adapt(starter, "spot-5-hrg", tmp_path / "none", options=replace(QUICK, steps=0, terrain=True))
    made = adapt(starter, "spot-5-hrg", tmp_path / "dem", options=replace(QUICK, terrain=True))
    package = read_package(made.package)
    assert package.spec.terrain == TERRAIN_LAYERS
    assert set(made.figures["cloud_f2"]) == {"original", "matched", "adapted", "adapted_with_dem"}
    assert "told the terrain" in (made.package / "card.md").read_text("utf-8")
    bands = load_sensor("spot-5-hrg").bands
    image = np.random.default_rng(0).uniform(0, 0.6, (len(bands), 64, 64)).astype(np.float32)
    header = predict(scene_from_array(image, bands, level="toa"), str(made.package)).header
    assert header.absent[-3:] == TERRAIN_LAYERS
    plan = plan_adaptation(package.spec, load_sensor("spot-5-hrg"))
    assert recipe_of(package, plan, QUICK, "spot-5-hrg").model.terrain == TERRAIN_LAYERS, "it goes on to"
