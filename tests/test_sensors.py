"""Sensors are tables; a wrong table of a person's own is answered in one clear line."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.bands import COMMON_WAVELENGTHS
from undercast.errors import SensorError
from undercast.radiometry import Scaling
from undercast.sensors import (
    Optics,
    Sensor,
    load_sensor,
    load_sensors,
    nearest_common_name,
    parse_sensor,
    read_sensor,
    sensor_ids,
)

OWN = """
id = "my-cam"
gsd = 5
platforms = ["My-Sat"]
aliases = ["cam"]
[radiometry]
scale = 0.0001
offset = -0.1
level = "toa"
[simulation]
snr = 90
bits = 10
[[bands]]
name = "R"
common_name = "red"
center_wavelength = 0.66
full_width_half_max = 0.06
[[bands]]
name = "N"
center_wavelength = 0.84
full_width_half_max = 0.1
gsd = 10
"""

every_sensor = pytest.mark.parametrize("sensor", load_sensors(), ids=lambda sensor: sensor.id)


@every_sensor
def test_a_shipped_table_is_sound(sensor: Sensor) -> None:
    assert sensor.id in sensor_ids()
    assert load_sensor(sensor.id) == sensor
    assert sensor.title
    assert 0.5 <= sensor.gsd <= 1200
    assert (sensor.scaling is None) is (sensor.level is None)
    for band in sensor.bands:
        assert 0.4 <= band.center_wavelength <= 2.4
        assert 0.01 <= band.full_width_half_max <= 0.4
        assert band.gsd is not None


@every_sensor
def test_common_names_agree_with_wavelengths(sensor: Sensor) -> None:
    ranges = {  # of the STAC eo extension 1.1
        "coastal": (0.40, 0.45),
        "blue": (0.45, 0.53),
        "green05": (0.51, 0.55),
        "green": (0.51, 0.60),
        "yellow": (0.585, 0.625),
        "red": (0.62, 0.69),
        "pan": (0.40, 1.0),
        "rededge": (0.69, 0.79),
        "rededge071": (0.69, 0.73),
        "rededge075": (0.73, 0.76),
        "rededge078": (0.76, 0.80),
        "nir": (0.76, 1.0),
        "nir08": (0.78, 0.90),
        "nir09": (0.93, 0.96),
        "cirrus": (1.35, 1.40),
        "swir16": (1.55, 1.75),
        "swir22": (2.08, 2.35),
    }
    for band in sensor.bands:
        low, high = ranges[band.common_name]
        assert low <= band.center_wavelength <= high, band.name


def test_names_of_sensors_are_not_shared() -> None:
    seen: dict[str, str] = {}
    for sensor in load_sensors():
        for name in {sensor.id, *sensor.aliases}:
            assert name not in seen, f"{name}: {sensor.id} and {seen[name]}"
            seen[name] = sensor.id


@pytest.mark.parametrize(
    ("name", "sensor_id"),
    [
        ("sentinel-2", "sentinel-2a-msi"),
        (" S2B ", "sentinel-2b-msi"),
        ("LANDSAT-8", "landsat-8-oli"),
        ("proba-v", "proba-v"),
        ("spot-5", "spot-5-hrg"),
        ("phr1a", "pleiades-hiri"),
    ],
)
def test_a_sensor_answers_to_its_id_aliases_and_platforms(name: str, sensor_id: str) -> None:
    assert load_sensor(name).id == sensor_id


def test_an_unknown_sensor_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SensorError, match=r"^sensor 'modis' is not known\. Known: landsat-4-tm, .*your own \.toml"):
        load_sensor("modis")


@pytest.mark.parametrize(
    ("name", "found"), [("B08", "B08"), ("b8", "B08"), ("B8A", "B8A"), ("nir08", "B8A"), ("red", "B04"), ("X", None)]
)
def test_a_band_answers_to_the_providers_name_and_to_its_common_name(name: str, found: str | None) -> None:
    band = load_sensor("sentinel-2").band(name)
    assert (band.name if band else None) == found


def test_a_persons_own_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(OWN, "utf-8")
    sensor = load_sensor(str(path))
    assert sensor == load_sensor(path) == read_sensor(path)
    assert (sensor.id, sensor.title, sensor.gsd, sensor.instrument) == ("my-cam", "my-cam", 5.0, "")
    assert (sensor.platforms, sensor.aliases) == (("my-sat",), ("cam",))
    assert (sensor.scaling, sensor.level) == (Scaling(scale=1e-4, offset=-0.1), "toa")
    assert sensor.optics == Optics(snr=90.0, bits=10)
    assert [(band.common_name, band.gsd) for band in sensor.bands] == [("red", 5.0), ("nir", 10.0)]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('id = "my-cam"', "", "id is missing"),
        ('id = "my-cam"', "id = 7", "id must be a text, got 7"),
        ('id = "my-cam"', 'id = "my/cam"', "id must be letters, digits"),
        ("gsd = 5", "", "gsd is missing"),
        ("gsd = 5", "gsd = 0", "gsd must be greater than 0, got 0"),
        ("gsd = 5", 'gsd = "5 m"', "gsd must be a finite number, got '5 m'"),
        ("gsd = 5", "gsd = nan", "gsd must be a finite number, got nan"),
        ("gsd = 5", "gsd = true", "gsd must be a finite number, got True"),
        ("gsd = 5", 'gsd = 5\ncolour = "red"', "the table has unknown keys: colour. Known: id, title"),
        ('aliases = ["cam"]', 'aliases = "cam"', "aliases must be a list of texts"),
        ('platforms = ["My-Sat"]', "platforms = [1]", "platforms must be a list of texts"),
        ("[radiometry]\nscale = 0.0001", "[radiometry]", "radiometry.scale is missing"),
        ("scale = 0.0001", "scale = 0", "radiometry.scale must be greater than 0, got 0"),
        ("offset = -0.1\n", "", "radiometry.offset is missing"),
        ('level = "toa"\n', "", "radiometry.level must be one of toa, surface, got None"),
        ('level = "toa"', 'level = "L1C"', "radiometry.level must be one of toa, surface, got 'L1C'"),
        ('level = "toa"', 'level = "toa"\ngain = 1', "[radiometry] has unknown keys: gain. Known: scale, offset"),
        ("snr = 90", "noise = 90", "[simulation] has unknown keys: noise. Known: psf_sigma_px, psf_scale, snr, bits"),
        ("snr = 90", "snr = 0", "simulation.snr must be greater than 0, got 0"),
        ("snr = 90", "psf_sigma_px = -1", "simulation.psf_sigma_px must not be negative, got -1"),
        ("snr = 90", "psf_scale = [1, 2, 3, 4, 5, 6, 7]", "simulation.psf_scale must be a list of "),
        ("snr = 90", "psf_scale = 2", "numbers above 0, one per band, got 2"),
        ("bits = 10", "bits = 10.5", "simulation.bits must be a whole number from 1 to 32, got 10.5"),
        ('name = "R"\n', "", "each band's name is missing"),
        ("center_wavelength = 0.66\n", "", "band R: center_wavelength is missing"),
        ("center_wavelength = 0.66", "center_wavelength = 660", "0.3 to 15 micrometres, got 660 (nanometres?)"),
        ("full_width_half_max = 0.06\n", "", "band R: full_width_half_max is missing"),
        ("full_width_half_max = 0.06", "full_width_half_max = 60", "band R: full_width_half_max must be in (0, 0.66)"),
        ('common_name = "red"', "common_name = 1", "band R: common_name must be a text, got 1"),
        ('common_name = "red"', 'colour = "red"', "band R has unknown keys: colour. Known: name, common_name"),
        ('common_name = "red"', 'common_name = "swir16"', "'swir16' stands for 1.55 to 1.75 micrometres, got center_"),
        ('common_name = "red"', 'common_name = "swir16"', "got center_wavelength 0.66; correct it, or write 'red'"),
        ("wavelength = 0.66", "wavelength = 1.24", "got center_wavelength 1.24; correct it, or leave common_name out"),
        ('common_name = "red"', 'common_name = "purple"', "common_name must be one of pan, coastal, blue, "),
        ("gsd = 10", "gsd = -10", "band N: gsd must be greater than 0, got -10"),
        ('name = "N"', 'name = "R"', "band names must be unique, got R, R"),
        ("[[bands]]", "[[band]]", "unknown keys: band"),
        ("gsd = 5", "gsd = ", "is not TOML"),
    ],
)
def test_each_wrong_key_or_value_gives_one_line_that_names_it(old: str, new: str, told: str) -> None:
    assert OWN.count(old) >= 1
    with pytest.raises(SensorError) as caught:
        parse_sensor(OWN.replace(old, new), origin="mine.toml")
    line = str(caught.value)
    assert line.startswith("sensor table mine.toml")
    assert told in line
    assert "\n" not in line


@pytest.mark.parametrize("bands", ["", "bands = []", "bands = [1]", "bands = 3", 'bands = "red"'])
def test_a_table_without_bands_is_refused(bands: str) -> None:
    with pytest.raises(SensorError, match=r"^sensor table x: bands (is missing|must be at least one table)"):
        parse_sensor(f'id = "x"\ngsd = 1\n{bands}\n', origin="x")


@pytest.mark.parametrize("key", ["radiometry", "simulation"])
def test_a_value_where_a_table_belongs_is_refused(key: str) -> None:
    head, bands = OWN.split("[radiometry]", maxsplit=1)[0], OWN[OWN.index("[[bands]]") :]
    with pytest.raises(SensorError, match=rf"{key} must be a table \[{key}\], got 3"):
        parse_sensor(f"{head}\n{key} = 3\n{bands}", origin="x")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SensorError, match=r"gone\.toml cannot be read: No such file"):
        load_sensor(tmp_path / "gone.toml")


def test_a_binary_file_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "picture.toml"
    path.write_bytes(b"\xff\xd8\xff")
    with pytest.raises(SensorError, match="is not text"):
        load_sensor(path)


@given(st.text(alphabet=string.printable, max_size=60))
def test_any_text_gives_a_sensor_or_a_sensor_error(text: str) -> None:
    with pytest.raises(SensorError, match=r"^sensor table x"):
        parse_sensor(text, origin="x")


@given(st.floats(0.3, 15.0))
def test_a_band_without_a_name_gets_the_nearest_one_that_may_stand_for_it(center: float) -> None:
    name = nearest_common_name(center)
    distances = {other: abs(wavelengths[0] - center) for other, wavelengths in COMMON_WAVELENGTHS.items()}
    if name is not None:
        assert distances[name] == min(distances.values())
        assert distances[name] <= 0.25


@pytest.mark.parametrize(
    ("center", "name"),
    [
        *((0.4125, "coastal"), (0.61, "yellow"), (0.754, "rededge075"), (1.02, "nir09"), (2.25, "swir22")),
        *((0.35, None), (1.24, None), (1.9, None), (3.75, None), (10.9, None)),
    ],
)
def test_where_no_band_has_a_common_name_there_is_none(center: float, name: str | None) -> None:
    assert nearest_common_name(center) == name


def test_a_band_far_from_every_common_name_is_called_as_its_provider_calls_it() -> None:
    sensor = parse_sensor(OWN.replace("0.84", "10.9"), origin="mine.toml")
    assert [band.common_name for band in sensor.bands] == ["red", "n"]


@pytest.mark.parametrize(("stated", "name"), [("RED", "red"), ("r", "red"), ("pan", "pan"), ("", "red")])
def test_a_stated_common_name_may_be_spelled_as_people_do(stated: str, name: str) -> None:
    sensor = parse_sensor(OWN.replace('"red"', f'"{stated}"'), origin="mine.toml")
    assert sensor.bands[0].common_name == name
