"""`undercast mask --bounds` and `--geometry`: only a part of a scene."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import rasterio
from click.testing import Result
from rasterio.warp import transform_bounds

Cli = Callable[..., Result]


def part_of(scene: Path) -> tuple[float, ...]:
    """Give the bounds of a scene's upper left quarter, in degrees."""
    with rasterio.open(scene) as raster:
        west, south, east, north = raster.bounds
        inner = (west + 1, (south + north) / 2 + 1, (west + east) / 2 - 1, north - 1)
        return tuple(transform_bounds(raster.crs, "EPSG:4326", *inner))


@pytest.mark.usefixtures("embedded")
def test_bounds_and_a_geometry_of_the_same_place_give_the_same_grid(cli: Cli, scene: Path, tmp_path: Path) -> None:
    west, south, east, north = part_of(scene)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}), "utf-8")
    first = cli("mask", scene, "-o", tmp_path / "one", "--bounds", f"{west},{south},{east},{north}")
    second = cli("mask", scene, "-o", tmp_path / "two", "--geometry", tmp_path / "a.geojson")
    assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
    with (
        rasterio.open(tmp_path / "one" / "scene_class_map.tif") as one,
        rasterio.open(tmp_path / "two" / "scene_class_map.tif") as two,
        rasterio.open(scene) as whole,
    ):
        assert one.shape == two.shape
        assert one.transform == two.transform
        assert 30 <= one.height <= 33
        assert whole.height == 64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--bounds", "1,2,3"), "expected --bounds W,S,E,N with that many numbers, got '1,2,3'"),
        (("--bounds", "5,2,3,4"), "expected west < east"),
        (("--bounds", "1,2,3,4", "--geometry", "a.geojson"), "give --bounds or --geometry, not both"),
    ],
)
def test_impossible_areas_are_refused_in_one_line(
    cli: Cli, scene: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = cli("mask", scene, "-o", tmp_path / "out", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.usefixtures("embedded")
def test_an_area_elsewhere_and_a_missing_file_fail_in_one_line(cli: Cli, scene: Path, tmp_path: Path) -> None:
    for arguments in (("--bounds", "-1,-1,0,0"), ("--geometry", tmp_path / "none.geojson")):
        result = cli("mask", scene, "-o", tmp_path / "out", *arguments)
        assert result.exit_code == 1
        assert len(result.stderr.strip().splitlines()) == 1
        assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())
