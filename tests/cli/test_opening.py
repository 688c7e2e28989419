"""Options that say what a scene does not say itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from undercast.cli.opening import open_options, split_source
from undercast.errors import SensorError, UsageError
from undercast.radiometry import Scaling

NOTHING: dict[str, Any] = {
    "bands": None,
    "sensor": None,
    "scale": None,
    "offset": None,
    "level": None,
    "nodata": None,
}


def test_options_become_one_value() -> None:
    options = open_options(bands="red, nir,-", sensor="s2", scale=1e-4, offset=-0.1, level="toa", nodata=-9999.0)

    assert options.bands == ("red", "nir", "-")
    assert options.sensor is not None
    assert options.sensor.id == "sentinel-2a-msi"
    assert options.scaling == Scaling(scale=1e-4, offset=-0.1)
    assert (options.level, options.nodata) == ("toa", -9999.0)


def test_nothing_given_is_nothing_said() -> None:
    options = open_options(**NOTHING)

    assert (options.bands, options.sensor, options.scaling, options.level, options.nodata) == (None,) * 5


def test_a_scale_alone_has_offset_0() -> None:
    assert open_options(**{**NOTHING, "scale": 0.0001}).scaling == Scaling(scale=0.0001, offset=0.0)


@pytest.mark.parametrize(
    "given",
    [{"offset": -0.1}, {"scale": 0.0}, {"scale": float("nan")}, {"scale": 1.0, "offset": float("inf")}],
)
def test_an_impossible_scaling_is_refused_with_the_formula(given: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"reflectance = stored value \* scale \+ offset"):
        open_options(**{**NOTHING, **given})


def test_an_unknown_sensor_is_refused() -> None:
    with pytest.raises(SensorError, match="sputnik"):
        open_options(**{**NOTHING, "sensor": "sputnik"})


@pytest.mark.parametrize(
    ("argument", "source"),
    [
        ("scene.tif", "scene.tif"),
        ("red.tif,nir.tif", ("red.tif", "nir.tif")),
        ("red.tif, nir.tif,", ("red.tif", "nir.tif")),
        ("https://host/a.tif?bbox=1,2,3,4", "https://host/a.tif?bbox=1,2,3,4"),
        ("https://host/a.tif,https://host/b.tif", ("https://host/a.tif", "https://host/b.tif")),
        ("/vsizip/a.zip/r.tif,/vsizip/a.zip/n.tif", ("/vsizip/a.zip/r.tif", "/vsizip/a.zip/n.tif")),
    ],
)
def test_commas_part_the_files_of_one_scene(argument: str, source: object) -> None:
    assert split_source(argument) == source


def test_a_comma_in_the_name_of_an_existing_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a,b.tif"
    path.write_text("")

    assert split_source(str(path)) == str(path)


@pytest.mark.parametrize(("written", "metres"), [(None, None), ("native", None), ("20", 20.0)])
def test_a_resolution_is_a_number_of_metres_or_native(written: str | None, metres: float | None) -> None:
    assert open_options(**{**NOTHING, "resolution": written}).resolution == metres


@pytest.mark.parametrize("written", ["x", "0", "-10", "10,20"])
def test_an_impossible_resolution_is_refused(written: str) -> None:
    with pytest.raises(UsageError, match="--resolution"):
        open_options(**{**NOTHING, "resolution": written})
