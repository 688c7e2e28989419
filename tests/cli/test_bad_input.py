"""Bad input: the right exit status, one line on standard error, no traceback, and nothing left behind."""

from __future__ import annotations

import runpy
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from rasterio.transform import Affine

if TYPE_CHECKING:
    from click.testing import Result

SCENES = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "scenes" / "make.py")))
GRID = SCENES.GRID
half_cloudy = SCENES.half_cloudy
write_raster = SCENES.write_raster

DN = (half_cloudy() * 10_000).astype(np.uint16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way to get it wrong."""

    name: str
    given: Callable[[Path], list[object]]
    """Makes the input in a folder; returns the arguments after ``undercast mask``."""
    status: int
    says: str
    """How the line begins."""
    way_out: str
    """What the line holds further on."""


def good(folder: Path) -> Path:
    path: Path = write_raster(folder / "scene.tif", DN, scale=1e-4, nodata=0)
    return path


def not_a_raster(folder: Path) -> list[object]:
    path = folder / "notes.tif"
    path.write_text("cumulus, then stratus\n")
    return [path]


def truncated(folder: Path) -> list[object]:
    noise = np.random.default_rng(0).integers(1, 9_000, (3, 512, 512)).astype(np.uint16)
    path = write_raster(folder / "long.tif", noise, scale=1e-4, tiled=True, blockxsize=256, blockysize=256)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return [path]


def empty_file(folder: Path) -> list[object]:
    path = folder / "empty.tif"
    path.touch()
    return [path]


def folder_without_product(folder: Path) -> list[object]:
    place = folder / "holiday"
    place.mkdir()
    (place / "readme.txt").write_text("no raster here")
    return [place]


def band_files(folder: Path, *, other: Affine = GRID, size: int = 64) -> list[Path]:
    first = write_raster(folder / "parts" / "x_blue.tif", DN[:1], names=["blue"], scale=1e-4)
    second = write_raster(
        folder / "parts" / "x_green.tif", DN[:1, :size, :size], names=["green"], scale=1e-4, transform=other
    )
    third = write_raster(folder / "parts" / "x_red.tif", DN[:1], names=["red"], scale=1e-4)
    return [first, second, third]


def bands_on_two_grids(folder: Path) -> list[object]:
    band_files(folder, other=Affine(20.0, 0.0, 500_000.0, 0.0, -20.0, 5_000_000.0))
    return [folder / "parts"]


def bands_of_two_sizes(folder: Path) -> list[object]:
    return [",".join(str(path) for path in band_files(folder, size=32))]


def without_names(folder: Path) -> list[object]:
    return [write_raster(folder / "plain.tif", DN, names=None, scale=1e-4)]


def without_blue(folder: Path) -> list[object]:
    return [write_raster(folder / "noblue.tif", DN, names=("green", "red", "nir"), scale=1e-4)]


def digital_numbers(folder: Path) -> list[object]:
    return [write_raster(folder / "dn.tif", DN)]


def all_nodata(folder: Path) -> list[object]:
    return [write_raster(folder / "void.tif", np.zeros_like(DN), scale=1e-4, nodata=0)]


def all_nan(folder: Path) -> list[object]:
    return [write_raster(folder / "nan.tif", np.full((3, 64, 64), np.nan, np.float32))]


def seven_pixels(folder: Path) -> list[object]:
    return [write_raster(folder / "stamp.tif", DN[:, :7, :64], scale=1e-4)]


def wrong_table(folder: Path) -> list[object]:
    path = folder / "mine.toml"
    path.write_text('id = "mine"\ngsd = 10.0\n[[bands]]\nname = "red"\n')
    return [good(folder), "--sensor", path]


def below_a_file(folder: Path) -> list[object]:
    place = folder / "file"
    place.write_text("not a folder")
    return [good(folder), "-o", place / "out"]


def out_is_a_file(folder: Path) -> list[object]:
    place = folder / "file"
    place.write_text("not a folder")
    return [good(folder), "-o", place]


CASES = [
    Case(
        name="a file that is not there",
        given=lambda folder: [folder / "missing.tif"],
        status=1,
        says="SceneError: ",
        way_out="missing.tif",
    ),
    Case(name="a text file", given=not_a_raster, status=1, says="SceneError: ", way_out="notes.tif"),
    Case(name="a truncated raster", given=truncated, status=1, says="SceneError: ", way_out="truncated"),
    Case(name="an empty file", given=empty_file, status=1, says="SceneError: ", way_out="empty.tif"),
    Case(
        name="a folder without a product",
        given=folder_without_product,
        status=1,
        says="SceneError: ",
        way_out="readme.txt",
    ),
    Case(name="an empty name", given=lambda _: [""], status=2, says="UsageError: ", way_out="Is a variable not set?"),
    Case(
        name="a band that nobody knows",
        given=lambda folder: [good(folder), "--bands", "blue,green,purple"],
        status=2,
        says="BandError: ",
        way_out="'purple'",
    ),
    Case(
        name="more names than layers",
        given=lambda folder: [good(folder), "--bands", "blue,green,red,nir"],
        status=2,
        says="BandError: ",
        way_out="4 names for 3 layers",
    ),
    Case(
        name="one band twice",
        given=lambda folder: [good(folder), "--bands", "blue,blue,red"],
        status=2,
        says="BandError: ",
        way_out="both called blue",
    ),
    Case(name="bands without names", given=without_names, status=2, says="BandError: ", way_out="--bands"),
    Case(
        name="a band that the model needs is missing",
        given=without_blue,
        status=2,
        says="BandError: model 'tiny' needs blue, green, red; this scene has green, red, nir.",
        way_out="undercast models list",
    ),
    Case(
        name="bands on two grids",
        given=bands_on_two_grids,
        status=1,
        says="GridError: ",
        way_out="transforms",
    ),
    Case(name="bands of two sizes", given=bands_of_two_sizes, status=1, says="GridError: ", way_out="shapes"),
    Case(
        name="digital numbers without scale",
        given=digital_numbers,
        status=1,
        says="RadiometryError: ",
        way_out="--scale 0.0001",
    ),
    Case(name="nodata everywhere", given=all_nodata, status=1, says="SceneError: ", way_out="no valid pixel"),
    Case(name="NaN everywhere", given=all_nan, status=1, says="SceneError: ", way_out="no valid pixel"),
    Case(name="7 px", given=seven_pixels, status=1, says="SceneError: ", way_out="8 x 8 px, got 7 x 64"),
    Case(
        name="an unknown model",
        given=lambda folder: [good(folder), "--model", "oracle"],
        status=2,
        says="UnknownModelError: model 'oracle' is not known.",
        way_out="Known: ",
    ),
    Case(
        name="an unknown sensor",
        given=lambda folder: [good(folder), "--sensor", "sputnik"],
        status=2,
        says="SensorError: sensor 'sputnik' is not known.",
        way_out="landsat-8-oli",
    ),
    Case(
        name="a wrong sensor table",
        given=wrong_table,
        status=2,
        says="SensorError: sensor table ",
        way_out="center_wavelength",
    ),
    Case(
        name="an unknown scheme",
        given=lambda folder: [good(folder), "--scheme", "cirrus7"],
        status=2,
        says="SchemeError: class scheme 'cirrus7' is not known.",
        way_out="fmask",
    ),
    Case(
        name="an unknown backend",
        given=lambda folder: [good(folder), "--backend", "abacus"],
        status=1,
        says="BackendError: backend 'abacus' is not known.",
        way_out="onnxruntime",
    ),
    Case(
        name="an unknown device",
        given=lambda folder: [good(folder), "--device", "quantum"],
        status=1,
        says="BackendError: device 'quantum' is not available",
        way_out="cpu",
    ),
    Case(
        name="an unknown preset",
        given=lambda folder: [good(folder), "--preset", "lucky"],
        status=2,
        says="UsageError: preset 'lucky' is not known",
        way_out="argmax",
    ),
    Case(
        name="an unknown aggregation",
        given=lambda folder: [good(folder), "--aggregate", "dice"],
        status=2,
        says="UsageError: Invalid value for '--aggregate'",
        way_out="undercast mask --help",
    ),
    Case(
        name="a threshold above 1",
        given=lambda folder: [good(folder), "--threshold", "cloud=40"],
        status=2,
        says="UsageError: threshold cloud=40 must lie in (0, 1).",
        way_out="cloud=0.5",
    ),
    Case(
        name="thresholds and a preset",
        given=lambda folder: [good(folder), "--threshold", "cloud=0.4", "--preset", "argmax"],
        status=2,
        says="UsageError: give --threshold or --preset",
        way_out="not both",
    ),
    Case(
        name="overwrite and skip",
        given=lambda folder: [good(folder), "--overwrite", "--skip-existing"],
        status=2,
        says="UsageError: give --overwrite or --skip-existing",
        way_out="not both",
    ),
    Case(
        name="an offset without scale",
        given=lambda folder: [good(folder), "--offset", "-0.1"],
        status=2,
        says="UsageError: --offset needs --scale",
        way_out="--scale 0.0001 --offset -0.1",
    ),
    Case(
        name="a window that the model cannot take",
        given=lambda folder: [good(folder), "--window", "33"],
        status=1,
        says="WindowError: window must be a multiple of 8",
        way_out="32",
    ),
    Case(
        name="an overlap as large as the window",
        given=lambda folder: [good(folder), "--window", "32", "--overlap", "32"],
        status=1,
        says="WindowError: overlap must be in [0, 32)",
        way_out="Try ",
    ),
    Case(
        name="an output folder below a file",
        given=below_a_file,
        status=1,
        says="OutputError: ",
        way_out="another output folder",
    ),
    Case(
        name="an output folder that is a file",
        given=out_is_a_file,
        status=1,
        says="OutputError: ",
        way_out="another output folder",
    ),
]


def test_the_good_scene_of_these_tests_is_good(cli: Callable[..., Result], tmp_path: Path, package: Path) -> None:
    assert cli("mask", good(tmp_path), "-o", tmp_path / "out", "--model", package).exit_code == 0


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_one_line_and_leaves_nothing(
    cli: Callable[..., Result], tmp_path: Path, package: Path, capfd: pytest.CaptureFixture[str], case: Case
) -> None:
    arguments = case.given(tmp_path)
    before = set(tmp_path.rglob("*"))
    options = ["-o", tmp_path / "out"] if "-o" not in arguments else []
    options += ["--model", package] if "--model" not in arguments else []
    result = cli("mask", *options, *arguments)

    assert (result.exit_code, result.stdout) == (case.status, "")
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(case.says)
    assert case.way_out in result.stderr
    assert "Traceback" not in result.stderr
    assert set(tmp_path.rglob("*")) == before
    assert capfd.readouterr() == ("", "")


def test_a_scene_smaller_than_a_window_works(cli: Callable[..., Result], tmp_path: Path, package: Path) -> None:
    path = write_raster(tmp_path / "small.tif", DN[:, :8, 28:37], scale=1e-4, nodata=0)
    result = cli("mask", path, "-o", tmp_path / "out", "--model", package)

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("small: clear 55.6 %, thick cloud 44.4 %")


def test_nan_in_a_part_of_the_scene_is_nodata_and_no_failure(
    cli: Callable[..., Result], tmp_path: Path, package: Path
) -> None:
    values = half_cloudy()
    values[0, :, :16] = np.nan
    path = write_raster(tmp_path / "part.tif", values)
    result = cli("mask", path, "-o", tmp_path / "out", "--model", package)

    assert result.exit_code == 0
    assert "valid      75.0 %" in result.stdout


def test_digital_numbers_are_masked_once_the_scale_is_said(
    cli: Callable[..., Result], tmp_path: Path, package: Path
) -> None:
    path = digital_numbers(tmp_path)[0]
    result = cli("mask", path, "-o", tmp_path / "out", "--model", package, "--scale", "0.0001")

    assert (result.exit_code, result.stderr) == (0, "")


def test_radiometry_that_cannot_be_is_a_warning_for_those_who_insist(
    cli: Callable[..., Result], tmp_path: Path, package: Path
) -> None:
    path = digital_numbers(tmp_path)[0]
    result = cli("mask", path, "-o", tmp_path / "out", "--model", package, "--radiometry", "warn")

    assert result.exit_code == 0
    assert result.stderr.startswith("WARNING: dn: expected reflectance of about 0 to 1")


def test_an_existing_output_stays_as_it_is(cli: Callable[..., Result], tmp_path: Path, package: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "scene_mask.json").write_text("mine")
    result = cli("mask", good(tmp_path), "-o", out, "--model", package)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("OutputExistsError: ")
    assert "--overwrite" in result.stderr
    assert result.stderr.count("\n") == 1
    assert [path.read_text() for path in out.iterdir()] == ["mine"]


@pytest.mark.parametrize("damage", ["changed", "shorter", "gone"])
def test_a_tampered_weight_is_refused(cli: Callable[..., Result], tmp_path: Path, package: Path, damage: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(package, copy)
    weights = copy / "member_1.onnx"
    content = weights.read_bytes()
    if damage == "gone":
        weights.unlink()
    else:
        weights.write_bytes(content[:-1] + (b"!" if damage == "changed" else b""))
    result = cli("mask", good(tmp_path), "-o", tmp_path / "out", "--model", copy)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("ModelError: " if damage == "gone" else "TrustError: ")
    assert "nstall the model package again" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("room", [100, 3_000, 20_000, 70_000])
def test_a_full_disk_is_one_line_and_leaves_nothing(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path, package: Path, room: int
) -> None:
    scene = write_raster(tmp_path / "scene.tif", (half_cloudy(256, 256) * 10_000).astype(np.uint16), scale=1e-4)
    # A file that may not grow stands for a disk that is full: the same call fails, with EFBIG for ENOSPC.
    full = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))"
    options = ("-o", tmp_path / "out", "--model", package, "--probabilities", "--uncertainty", "entropy")
    process = start("mask", scene, *options, first=full)
    stdout, stderr = process.communicate(timeout=120)

    assert (process.returncode, stdout) == (1, "")
    assert stderr.startswith("OutputError: cannot write to ")
    assert stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
