"""`undercast info`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

if TYPE_CHECKING:
    from click.testing import Result


def write(path: Path, values: NDArray[np.float32]) -> Path:
    with rasterio.open(path, "w", driver="GTiff", count=3, height=64, width=64, dtype=values.dtype.name) as raster:
        raster.write(values)
        for number, name in enumerate(("blue", "green", "red"), start=1):
            raster.set_band_description(number, name)
    return path


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    ("value", "verdict", "said"),
    [
        (0.2, "plausible", None),
        (0.001, "doubtful", "very dark"),
        (2000.0, "refused", "--scale 0.0001"),
        (np.nan, "no data", "no pixel"),
    ],
)
def test_the_radiometry_guard_gives_its_verdict(
    cli: Callable[..., Result], tmp_path: Path, value: float, verdict: str, said: str | None
) -> None:
    path = write(tmp_path / "flat.tif", np.full((3, 64, 64), value, np.float32))
    result = cli("info", path, "--json")
    told = json.loads(result.stdout)["radiometry"]

    assert result.exit_code == 0
    assert told["verdict"] == verdict
    assert (said is None) == (told["messages"] == [])
    assert said is None or said in told["messages"][0]
    assert verdict in cli("info", path).stdout


def test_bands_grid_scaling_and_percentiles_are_told(cli: Callable[..., Result], scene: Path, package: Path) -> None:
    told = json.loads(cli("info", scene, "--model", package, "--level", "toa", "--json").stdout)

    assert (told["height"], told["width"], told["crs"], told["gsd"]) == (64, 64, "EPSG:32631", 10.0)
    assert [band["common_name"] for band in told["bands"]] == ["blue", "green", "red"]
    assert told["bands"][0]["scaling"] == {"scale": 0.0001, "offset": 0.0}
    assert told["bands"][0]["observed"] == {"p1": 0.15, "p50": 0.525, "p99": 0.9}
    assert told["level"] == "toa"
    assert told["valid_percent_of_sample"] == 100.0


def test_each_model_says_which_band_stands_for_which_at_which_distance(
    cli: Callable[..., Result], scene: Path, package: Path
) -> None:
    model = json.loads(cli("info", scene, "--model", package, "--json").stdout)["models"][0]

    assert model["fits"] is True
    assert model["bands"][0] == {"wanted": "blue", "band": "blue", "distance_um": 0.0}


def test_a_model_that_does_not_fit_says_why(cli: Callable[..., Result], scene: Path, package: Path) -> None:
    result = cli("info", scene, "--model", package, "--bands", "red,nir,swir16", "--json")
    model = json.loads(result.stdout)["models"][0]

    assert result.exit_code == 0
    assert model["fits"] is False
    assert "needs blue, green, red" in model["error"]


def test_words_for_people_name_every_part(cli: Callable[..., Result], scene: Path, package: Path) -> None:
    words = cli("info", scene, "--model", package).stdout

    for part in ("64 x 64 px", "EPSG:32631", "10 m", "plausible", "blue", "0.000 um away"):
        assert part in words


def test_models_that_come_with_undercast_are_matched_unless_one_is_named(
    cli: Callable[..., Result], scene: Path, embedded: Path
) -> None:
    assert [m["name"] for m in json.loads(cli("info", scene, "--json").stdout)["models"]] == ["embedded"]


def test_a_missing_file_is_one_line(cli: Callable[..., Result], tmp_path: Path) -> None:
    result = cli("info", tmp_path / "missing.tif", "--json")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("SceneError: ")
    assert result.stderr.count("\n") == 1
