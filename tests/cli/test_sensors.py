"""`undercast sensors`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from undercast.sensors import sensor_ids

if TYPE_CHECKING:
    from click.testing import Result


def test_list_names_every_sensor(cli: Callable[..., Result]) -> None:
    result = cli("sensors", "list")

    assert [line.split()[0] for line in result.stdout.splitlines()[2:]] == list(sensor_ids())


def test_list_as_json_is_one_line(cli: Callable[..., Result]) -> None:
    result = cli("sensors", "list", "--json")

    assert result.stdout.count("\n") == 1
    assert [sensor["id"] for sensor in json.loads(result.stdout)] == list(sensor_ids())


def test_show_takes_an_alias_and_gives_bands_with_wavelengths(cli: Callable[..., Result]) -> None:
    shown = json.loads(cli("sensors", "show", "S2", "--json").stdout)

    assert shown["id"] == "sentinel-2a-msi"
    assert shown["scaling"] == {"scale": 0.0001, "offset": -0.1}
    assert {"name": "B04", "common_name": "red", "center_wavelength": 0.6646}.items() <= shown["bands"][3].items()


def test_show_in_words_says_the_scaling_and_each_band(cli: Callable[..., Result]) -> None:
    words = cli("sensors", "show", "landsat-8-oli").stdout

    assert "Landsat-8" in words
    assert "swir22" in words


def test_show_takes_a_table_of_ones_own(cli: Callable[..., Result], tmp_path: Path) -> None:
    table = tmp_path / "mine.toml"
    table.write_text(
        'id = "mine"\ngsd = 5\n[[bands]]\nname = "A"\ncenter_wavelength = 0.66\nfull_width_half_max = 0.05\n'
    )

    assert json.loads(cli("sensors", "show", table, "--json").stdout)["bands"][0]["common_name"] == "red"
    assert "depends on the product" in cli("sensors", "show", table).stdout


def test_an_unknown_sensor_is_told_what_is_known(cli: Callable[..., Result]) -> None:
    result = cli("sensors", "show", "sputnik")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("SensorError: sensor 'sputnik' is not known. Known: landsat-4-tm, ")
