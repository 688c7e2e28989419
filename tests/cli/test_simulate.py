"""`undercast simulate`."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio

from undercast.readers import open_scene
from undercast.simulation.scenes import Simulated, simulate

if TYPE_CHECKING:
    import pytest
    from click.testing import Result

OPTIONS = ("--sensor", "spot-5-hrg", "--size", "32")


def test_each_scene_is_three_rasters_and_an_entry_of_the_manifest(cli: Callable[..., Result], tmp_path: Path) -> None:
    result = cli("simulate", *OPTIONS, "-n", "2", "--seed", "7", "-o", tmp_path, "--json")
    told = [json.loads(line) for line in result.stdout.splitlines()]
    manifest = json.loads((tmp_path / "manifest.json").read_text())

    assert result.exit_code == 0
    assert [scene["seed"] for scene in told] == [7, 8]
    assert [scene["name"] for scene in manifest["scenes"]] == [scene["name"] for scene in told]
    assert all(Path(scene[key]).is_file() for scene in told for key in ("scene", "reference", "elevation"))
    assert len(list(tmp_path.iterdir())) == 7


def test_the_same_seed_gives_the_same_pixels(cli: Callable[..., Result], tmp_path: Path) -> None:
    for folder in ("one", "two"):
        cli("simulate", *OPTIONS, "--seed", "3", "-o", tmp_path / folder)
    first, second = sorted(tmp_path.rglob("*seed3.tif"))

    with rasterio.open(first) as one, rasterio.open(second) as two:
        np.testing.assert_array_equal(one.read(), two.read())


def test_level_and_gsd_are_obeyed(cli: Callable[..., Result], tmp_path: Path) -> None:
    result = cli("simulate", *OPTIONS, "--level", "surface", "--gsd", "25", "-o", tmp_path, "--json")
    told = json.loads(result.stdout)

    assert (told["level"], told["gsd"]) == ("surface", 25.0)
    with rasterio.open(told["scene"]) as raster:
        assert raster.res == (25.0, 25.0)


def test_words_for_people_name_the_files(cli: Callable[..., Result], tmp_path: Path) -> None:
    words = cli("simulate", *OPTIONS, "-o", tmp_path).stdout

    assert str(tmp_path / "spot-5-hrg_32px_seed0.tif") in words
    assert str(tmp_path / "manifest.json") in words


def test_existing_files_are_refused_unless_they_may_be_replaced(cli: Callable[..., Result], tmp_path: Path) -> None:
    cli("simulate", *OPTIONS, "-o", tmp_path)
    again = cli("simulate", *OPTIONS, "-o", tmp_path)

    assert again.exit_code == 2
    assert again.stderr.startswith("OutputExistsError: ")
    assert again.stderr.count("\n") == 1
    assert cli("simulate", *OPTIONS, "-o", tmp_path, "--overwrite").exit_code == 0


def test_an_unknown_sensor_leaves_nothing_behind(cli: Callable[..., Result], tmp_path: Path) -> None:
    result = cli("simulate", "--sensor", "sputnik", "-o", tmp_path / "out")

    assert result.exit_code == 2
    assert result.stderr.startswith("SensorError: sensor 'sputnik' is not known.")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_one_line(cli: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = cli("simulate", *OPTIONS, "-o", tmp_path / "file" / "out")

    assert result.exit_code == 1
    assert result.stderr.startswith("OutputError: cannot write to ")
    assert result.stderr.count("\n") == 1


def test_ctrl_c_leaves_nothing_half_written(
    cli: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("simulate", *OPTIONS, "-o", tmp_path / "there")
    before = {path.name: path.read_bytes() for path in (tmp_path / "there").iterdir()}

    def interrupted(*arguments: Any, seed: int, **options: Any) -> Simulated:
        if seed == 2:
            raise KeyboardInterrupt
        return simulate(*arguments, seed=seed, **options)

    monkeypatch.setattr("undercast.simulation.scenes.simulate", interrupted)
    result = cli("simulate", *OPTIONS, "-n", "3", "-o", tmp_path / "new")
    assert (result.exit_code, result.stdout) == (130, "")
    assert not (tmp_path / "new").exists()

    assert cli("simulate", *OPTIONS, "-n", "3", "-o", tmp_path / "there", "--overwrite").exit_code == 130
    assert {path.name: path.read_bytes() for path in (tmp_path / "there").iterdir()} == before


def test_a_simulated_scene_can_be_masked_and_described(
    cli: Callable[..., Result], tmp_path: Path, make: SimpleNamespace
) -> None:
    spec = make.tiny_spec(bands=make.tiny_spec().bands[1:])
    model = make.tiny_package(tmp_path / "model", spec=spec)
    told = json.loads(cli("simulate", *OPTIONS, "-o", tmp_path, "--json").stdout)
    options = ("--sensor", "spot-5-hrg", "--model", model, "--json")

    assert json.loads(cli("info", told["scene"], *options).stdout)["radiometry"]["verdict"] == "plausible"
    assert json.loads(cli("mask", told["scene"], "-o", tmp_path, *options).stdout)["valid_percent"] == 100.0


def test_a_simulated_scene_says_its_sensor_and_level_itself(cli: Callable[..., Result], tmp_path: Path) -> None:
    words = ("--sensor", "sentinel-2a-msi", "--size", "32", "--level", "surface", "-o", tmp_path, "--json")
    path = json.loads(cli("simulate", *words).stdout)["scene"]
    found = open_scene(path)
    assert (found.sensor, found.level, len(found.bands)) == ("sentinel-2a-msi", "surface", 13)
    assert open_scene(path, level="toa").level == "toa"
    assert open_scene(path, sensor="sentinel-2b-msi").sensor == "sentinel-2b-msi"
    assert open_scene(path, bands=["red", "nir", *"-" * 11]).sensor is None


def test_real_chips_are_shown_as_the_sensor_sees_them(cli: Callable[..., Result], tmp_path: Path) -> None:
    make = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "chips" / "make.py")))
    make.write_folder(tmp_path / "from")
    arguments = ("simulate", "--from", tmp_path / "from", "--to", "spot-5-hrg", "-o", tmp_path / "to")
    assert "leave out --size, --overwrite" in cli(*arguments, "--size", "64", "--overwrite").stderr
    result = cli(*arguments)
    assert result.exit_code == 1
    assert "expected a chip with the bands of spot-5-hrg, got none" in result.stderr

    make.write_coarse_folder(tmp_path / "coarse")
    result = cli("simulate", "--from", tmp_path / "coarse", "--to", "proba-v", "-o", tmp_path / "to", "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 0, result.stderr
    assert told["made"]
    assert {path.name for path in (tmp_path / "to").iterdir()} == {*told["made"], "manifest.json"}
