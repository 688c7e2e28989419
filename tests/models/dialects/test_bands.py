"""Bands are understood by what a person wrote for them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from undercast.errors import ModelError
from undercast.models.dialects.bands import describe_bands, read_bands, read_prose
from undercast.models.table import Table
from undercast.sensors import load_sensor


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Blue (B0, ~450nm)", ("blue", "B0", 0.45)),
        ("Near-Infrared (B3, ~835nm)", ("nir", "B3", 0.835)),
        ("red 0.66 um", (None, None, 0.66)),
        ("B8A", (None, None, None)),
        ("red" + 300 * " " + "660 nm", (None, None, None)),
        ("SWIR (1.6 um)", ("swir16", None, 1.6)),
    ],
)
def test_a_bands_name_in_prose_is_read(name: str, expected: tuple[object, ...]) -> None:
    prose = read_prose(name)
    assert (prose.common_name, prose.code, prose.center_wavelength) == expected


def item(**properties: object) -> Table:
    return Table(values={"properties": properties, "assets": {}}, origin="item")


def bands(names: list[str], *sensors: str, **properties: object) -> tuple[list[tuple[str, str, float]], list[str]]:
    notes: list[str] = []
    model_input = Table(values={"bands": names}, origin="input")
    found = read_bands(item(**properties), model_input, sensors, notes)
    return [(band.name, band.common_name, band.center_wavelength) for band in found], notes


def test_a_sensors_table_fills_in_what_an_item_does_not_say() -> None:
    found, notes = bands(["B04", "B8A"], "sentinel-2a-msi")
    assert [common for _, common, _ in found] == ["red", "nir08"]
    assert [center for _, _, center in found] == pytest.approx([0.6646, 0.8647], abs=1e-3)
    assert [note.split(":")[0] for note in notes] == [
        "centre wavelengths are not stated, assumed of sentinel-2a-msi",
        "widths of bands are not stated, assumed of sentinel-2a-msi",
    ]


def test_bands_without_a_typical_wavelength_keep_their_names() -> None:
    assert bands(["B8"], "landsat-8-oli")[0] == [("B8", "pan", 0.5917)]
    rows = [{"name": "a", "common_name": "pan"}, {"name": "b", "common_name": "lwir11", "center_wavelength": 10.9}]
    assert bands(["a", "b"], **{"eo:bands": rows})[0] == [("a", "pan", 0.7), ("b", "lwir11", 10.9)]
    far = [{"name": "a", "common_name": "pan", "center_wavelength": 1.6}]
    assert bands(["a"], **{"eo:bands": far})[0] == [("a", "swir16", 1.6)]


def test_a_sensors_own_name_far_from_all_common_names_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    known = load_sensor("landsat-8-oli")
    far = replace(known.bands[0], name="M8", common_name="m8", center_wavelength=1.24)
    monkeypatch.setattr("undercast.models.dialects.bands.find_sensor", lambda _: replace(known, bands=(far,)))
    assert bands(["M8"], "own")[0] == [("M8", "m8", 1.24)]
    rows = [{"name": "M8", "center_wavelength": 0.66}]
    assert bands(["M8"], "own", **{"eo:bands": rows})[0] == [("M8", "red", 0.66)]


def test_fields_of_eo_2_are_read_as_those_of_eo_1() -> None:
    rows = [{"name": "x", "eo:common_name": "red", "eo:center_wavelength": 0.65, "eo:full_width_half_max": 0.03}]
    assert bands(["x"], bands=rows) == ([("x", "red", 0.65)], [])


def test_a_wavelength_wins_over_a_name_that_contradicts_it() -> None:
    rows = [{"name": "SWIR", "center_wavelength": 2.2, "full_width_half_max": 0.1}]
    assert bands(["SWIR"], **{"eo:bands": rows})[0] == [("SWIR", "swir22", 2.2)]


def test_nanometres_where_micrometres_stand_are_refused() -> None:
    with pytest.raises(ModelError, match=r"center_wavelength: expected micrometres, got 650"):
        bands(["red"], **{"eo:bands": [{"name": "red", "center_wavelength": 650}]})


def test_descriptions_in_several_places_are_put_together() -> None:
    rows = {"eo:bands": [{"name": "a", "common_name": "red"}], "bands": [{"name": "a", "gsd": 10}, {"gsd": 5}]}
    described = describe_bands(item(**rows))
    assert {name: dict(row.values) for name, row in described.items()} == {
        "a": {"name": "a", "common_name": "red", "gsd": 10}
    }
