"""`undercast labels`."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from click.testing import Result

Cli = Callable[..., Result]
DRAWN = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "weak_labels" / "make.py")))
SHAPE = (20, 30)


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    """A mask of Fmask: cloud on the left, shadow beside it."""
    path: Path = DRAWN.write_raster(tmp_path / "fmask.tif", DRAWN.fmask_codes(SHAPE))
    return path


def test_a_mask_becomes_possible_sets(cli: Cli, tmp_path: Path, mask: Path) -> None:
    result = cli(
        "labels", "import", mask, "--processor", "fmask", "--erode", 10, "--leave-open", "thin-cloud",
        "-o", tmp_path / "out.tif", "--json",
    )  # fmt: skip
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["made_by"] == "fmask"
    assert told["pixels"]["clear or thin_cloud"] == 20 * 15
    with rasterio.open(tmp_path / "out.tif") as raster:
        assert raster.read(1)[0, :16].tolist() == [6] * 9 + [0, 0, 8, 8, 0, 0, 5]


def test_words_for_people_give_percentages(cli: Cli, tmp_path: Path, mask: Path) -> None:
    words = cli("labels", "import", mask, "--processor", "fmask", "-o", tmp_path / "out.tif").stdout
    assert "out.tif  (fmask)" in words
    assert "thick cloud or thin cloud  33.3 %" in words


def test_a_consensus_tells_how_far_its_sources_agree(cli: Cli, tmp_path: Path, mask: Path) -> None:
    maja = np.zeros(SHAPE, np.uint8)
    maja[:, :12] = 0b111
    other = DRAWN.write_raster(tmp_path / "clm.tif", maja)
    cli("labels", "import", mask, "--processor", "fmask", "-o", tmp_path / "a.tif")
    cli("labels", "import", other, "--processor", "maja-clm", "-o", tmp_path / "b.tif")
    command = ("labels", "consensus", tmp_path / "a.tif", tmp_path / "b.tif", "-o", tmp_path / "c.tif")
    words = cli(*command).stdout
    assert "fmask / maja-clm" in words
    told = json.loads(cli(*command, "--overwrite", "--json").stdout)
    assert told == json.loads((tmp_path / "c.json").read_text("utf-8"))
    # 12 columns of cloud against 10 of cloud and 4 of shadow, two of which lie under cloud.
    assert told["pixels"] == {"ignored": 80, "clear": 320, "thick_cloud or thin_cloud": 200}
    assert told["agreement"][0]["compatible"] == pytest.approx(26 / 30, abs=1e-6)
    majority = cli(*command, "--overwrite", "--json", "--rule", "majority")
    assert json.loads(majority.stdout)["rule"] == "majority"


def test_the_processors_and_their_failings_are_listed(cli: Cli) -> None:
    words = cli("labels", "processors").stdout
    assert "qa-pixel" in words
    assert "mountains under dry air" in words
    listed = {row["id"]: row for row in json.loads(cli("labels", "processors", "--json").stdout)}
    assert [failing["id"] for failing in listed["maja-cld"]["failings"]] == ["high-ground", "outside-shadow"]


@pytest.mark.parametrize(
    ("options", "status", "told"),
    [
        (("--processor", "idepix"), 2, "SchemeError: processor mask 'idepix' is not known."),
        (("--processor", "scl", "--leave-open", "thin-cloud"), 2, "UsageError: Sentinel-2 scene classification"),
        (("--processor", "s2cloudless-byte", "--band", "2"), 1, "SceneError: expected a raster with a mask in band 2"),
        (("--processor", "python-fmask"), 0, ""),
        (("--processor", "fmask", "--ignore", "none.tif"), 1, "SceneError: none.tif cannot be read"),
        (("--processor", "fmask", "--erode", "1e9"), 2, "UsageError: expected an erosion below the mask's diagonal"),
    ],
)
def test_what_cannot_be_imported_is_one_line(
    cli: Cli, tmp_path: Path, mask: Path, options: tuple[str, ...], status: int, told: str
) -> None:
    result = cli("labels", "import", mask, *options, "-o", tmp_path / "out" / "out.tif")
    assert result.exit_code == status
    assert result.stderr.startswith(told)
    assert result.stderr.count("\n") == (1 if status else 0)
    assert (tmp_path / "out").exists() == (status == 0)


@pytest.mark.parametrize("name", ["out.json", "out.img", "out"])
def test_an_output_that_is_no_geotiff_is_refused(cli: Cli, tmp_path: Path, mask: Path, name: str) -> None:
    result = cli("labels", "import", mask, "--processor", "fmask", "-o", tmp_path / name)
    assert result.exit_code == 2
    assert result.stderr.startswith("UsageError: expected an output that ends in .tif or .tiff, got ")
    assert result.stderr.endswith("Try out.tif\n")
    assert [path.name for path in tmp_path.iterdir()] == ["fmask.tif"]


def test_an_output_that_is_its_input_is_refused(cli: Cli, tmp_path: Path, mask: Path) -> None:
    before = mask.read_bytes()
    result = cli("labels", "import", mask, "--processor", "fmask", "-o", mask, "--overwrite")
    assert result.exit_code == 2
    assert "expected an output other than its input" in result.stderr
    assert mask.read_bytes() == before

    zone = tmp_path / "zone.json"
    zone.write_text("{}", "utf-8")
    arguments = ("labels", "import", mask, "--processor", "fmask", "--ignore", zone, "--overwrite")
    assert "expected an output other than its input" in cli(*arguments, "-o", tmp_path / "zone.tif").stderr
    assert zone.read_text("utf-8") == "{}"


def test_a_mask_itself_is_no_labels(cli: Cli, tmp_path: Path, mask: Path) -> None:
    result = cli("labels", "consensus", mask, mask, "-o", tmp_path / "out.tif")
    assert result.exit_code == 1
    assert "Make them with `undercast labels import`; `undercast chips make --scheme ID` takes" in result.stderr
