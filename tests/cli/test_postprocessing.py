"""`undercast mask --buffer` and the like: class maps are cleaned in metres."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import rasterio
from click.testing import Result

Cli = Callable[..., Result]


@pytest.mark.usefixtures("embedded")
def test_every_step_can_be_asked_for(cli: Cli, scene: Path, tmp_path: Path) -> None:
    steps = ["--buffer", 60, "--min-size", 2000, "--fill-holes", 900, "--opening", 15, "--check-shadows"]
    result = cli("mask", scene, "-o", tmp_path, *steps, "--sun", "35,150", "--gsd", 10)
    assert result.exit_code == 0, result.output
    with rasterio.open(tmp_path / "scene_class_map.tif") as raster:
        assert raster.tags()["UNDERCAST_POSTPROCESSING"] == (
            "check_shadows=yes,opening_m=15,min_size_m2=2000,fill_holes_m2=900,buffer_m=60"
        )
        row = raster.read(1)[30]
    assert (row[: 32 + 6] == 1).all()
    assert not row[38:].any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--buffer", "-1"), "'--buffer': -1.0 is not in the range x>=0"),
        (("--check-shadows",), "Try --sun ZENITH,AZIMUTH"),
        (("--check-shadows", "--sun", "95,10"), "expected a zenith angle from 0 to below 90 degrees"),
        (("--sun", "95"), "expected --sun ZENITH,AZIMUTH with that many numbers"),
        (("--min-size", "10", "--gsd", "0"), "'--gsd': 0.0 is not in the range x>0"),
    ],
)
@pytest.mark.usefixtures("embedded")
def test_impossible_steps_are_refused_in_one_line(
    cli: Cli, scene: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = cli("mask", scene, "-o", tmp_path / "out", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
