"""`undercast classify`: scenes in, labelled windows out, clouds first."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
from click.testing import Result
from rasterio.transform import Affine

from undercast.classification.classify import CLOUD_HANDLINGS
from undercast.classification.files import VECTOR_FORMATS
from undercast.cli import classify as verb

Cli = Callable[..., Result]

CLASSIFIERS = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "classifiers" / "make.py")))
PRODUCT = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP"


def write(path: Path, values: np.ndarray, names: tuple[str, ...]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = values.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": values.dtype.name}
    place = Affine(10.0, 0.0, 390000.0, 0.0, -10.0, 5348400.0)
    with rasterio.open(path, "w", crs="EPSG:32633", transform=place, **profile) as raster:
        raster.write(values)
        for number, name in enumerate(names, start=1):
            raster.set_band_description(number, name)
    return path


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = CLASSIFIERS.tiny_classifier(tmp_path_factory.mktemp("classifiers") / "tiny")
    return folder


@pytest.fixture
def half_cloudy(tmp_path: Path, embedded: Path) -> Path:
    """Two windows, the second under cloud."""
    values = np.full((4, 120, 240), 0.15, np.float32)
    values[:, :, 120:] = 0.8
    return write(tmp_path / "scene.tif", values, ("blue", "green", "red", "nir"))


def write_patch(root: Path, number: int, brightness: int) -> str:
    """Write a BigEarthNet patch of both sensors; its name comes back."""
    name = f"{PRODUCT}_{number}_43"
    for band in ("B02", "B03", "B04", "B08"):
        path = root / "BigEarthNet-S2" / PRODUCT / name / f"{name}_{band}.tif"
        write(path, np.full((1, 120, 120), brightness, np.uint16), ())
    radar = f"S1A_IW_GRDH_1SDV_20170613T165043_33UUP_{number}_48"
    for layer in ("VV", "VH"):
        path = root / "BigEarthNet-S1" / "S1A_IW_GRDH_1SDV_20170613T165043" / radar / f"{radar}_{layer}.tif"
        write(path, np.full((1, 120, 120), -10.0, np.float32), ())
    return name


def write_metadata(path: Path, rows: dict[str, bool]) -> Path:
    table = pa.table(
        {
            "patch_id": list(rows),
            "labels": [["Pastures"]] * len(rows),
            "split": ["test"] * len(rows),
            "country": ["Austria"] * len(rows),
            "s1_name": [f"S1A_IW_GRDH_1SDV_20170613T165043_33UUP_{name.split('_')[-2]}_48" for name in rows],
            "s2v1_name": list(rows),
            "contains_seasonal_snow": [False] * len(rows),
            "contains_cloud_or_shadow": list(rows.values()),
        }
    )
    pq.write_table(table, path)
    return path


def test_the_closed_sets_are_those_of_the_package() -> None:
    assert verb.CLOUDS == CLOUD_HANDLINGS
    assert verb.FORMATS == VECTOR_FORMATS


def test_windows_under_cloud_are_flagged_and_left_out(
    cli: Cli, half_cloudy: Path, classifier: Path, tmp_path: Path
) -> None:
    result = cli("classify", half_cloudy, "--model", classifier, "-o", tmp_path / "out", "--level", "surface", "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    (scene,) = told["scenes"]
    assert (scene["windows"], scene["scored"], scene["cloudy"], scene["contains_cloud_or_shadow"]) == (2, 1, 1, 1)
    assert scene["mean_scores"]["Agro-forestry areas"] == pytest.approx(1 / (1 + np.exp(-1.0)), abs=1e-6)
    rows = pq.read_table(told["windows"]).to_pylist()
    assert [(row["status"], row["contains_cloud_or_shadow"]) for row in rows] == [("scored", False), ("cloudy", True)]
    assert Path(told["table"]).read_text("utf-8").count("\n") == 3


def test_words_name_the_best_labels_and_the_files(
    cli: Cli, half_cloudy: Path, classifier: Path, tmp_path: Path
) -> None:
    options = ("--format", "geojson", "--name", "mine", "--clouds", "weight")
    result = cli("classify", half_cloudy, "--model", classifier, "-o", tmp_path / "out", *options)
    assert result.exit_code == 0, result.stderr
    assert "scene: 2 windows, 2 scored, 0 under cloud or shadow, 0 without data" in result.stdout
    assert "0.731  Agro-forestry areas" in result.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"mine_labels.geojson", "mine_labels.csv"}


def test_a_folder_of_patches_is_one_table_and_flags_are_compared(cli: Cli, embedded: Path, tmp_path: Path) -> None:
    names = [write_patch(tmp_path, 75, 1500), write_patch(tmp_path, 76, 8000), write_patch(tmp_path, 77, 8000)]
    metadata = write_metadata(tmp_path / "metadata.parquet", dict(zip(names, (False, True, False), strict=True)))
    model = CLASSIFIERS.tiny_classifier(tmp_path / "model", CLASSIFIERS.tiny_spec("10m_s1"))
    radar = ("--sentinel1", tmp_path / "BigEarthNet-S1", "--metadata", metadata)
    result = cli(*("classify", tmp_path / "BigEarthNet-S2", "--model", model, "-o", tmp_path / "out", "--json", *radar))
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["flags"] == {
        "both": 1,
        "mask_only": 1,
        "stated_only": 0,
        "neither": 1,
        "not_stated": 0,
        "agreement": pytest.approx(2 / 3),
    }
    rows = pq.read_table(told["windows"]).to_pylist()
    assert [(row["scene"], row["status"]) for row in rows] == list(
        zip(names, ("scored", "cloudy", "cloudy"), strict=True)
    )
    assert Path(told["windows"]).name == "BigEarthNet-S2_labels.parquet"


def test_one_patch_that_fails_does_not_stop_the_others(
    cli: Cli, embedded: Path, classifier: Path, tmp_path: Path
) -> None:
    write_patch(tmp_path, 75, 1500)
    broken = write_patch(tmp_path, 76, 1500)
    (tmp_path / "BigEarthNet-S2" / PRODUCT / broken / f"{broken}_B08.tif").unlink()
    result = cli("classify", tmp_path / "BigEarthNet-S2", "--model", classifier, "-o", tmp_path / "out", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert len(told["scenes"]) == len(told["failed"]) == 1
    assert "nothing in the scene stands for B08" in told["failed"][0]["error"]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--max-cloud", "1.5"), 2, "UsageError: expected a largest share of cloud in [0, 1)"),
        (("--model", "embedded"), 1, "a scene classifier that undercast packed"),
        (("--sentinel1", "nowhere"), 1, "expected a Sentinel-1 raster"),
        (("--name", "a/b"), 1, "can begin a file name"),
    ],
)
def test_bad_input_is_one_line(
    cli: Cli, half_cloudy: Path, classifier: Path, tmp_path: Path, arguments: tuple[str, ...], status: int, said: str
) -> None:
    result = cli("classify", half_cloudy, "--model", classifier, "-o", tmp_path / "out", *arguments)
    assert result.exit_code == status
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_missing_band_is_one_line(cli: Cli, embedded: Path, classifier: Path, tmp_path: Path) -> None:
    scene = write(tmp_path / "rgb.tif", np.full((3, 120, 120), 0.15, np.float32), ("blue", "green", "red"))
    result = cli("classify", scene, "--model", classifier, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert result.stderr.startswith("BandError: rgb: classifier 'tiny-classifier' needs B02, B03, B04, B08")


def test_metadata_that_are_not_there_are_told_first(cli: Cli, tmp_path: Path) -> None:
    missing = tmp_path / "none.parquet"
    result = cli("classify", "a.tif", "--model", "no-such-model", "-o", tmp_path / "out", "--metadata", missing)
    assert result.exit_code == 2
    assert f"'--metadata': Path '{missing}' does not exist" in result.stderr


def test_several_scenes_with_radar_need_metadata(cli: Cli, half_cloudy: Path, classifier: Path, tmp_path: Path) -> None:
    result = cli(
        *("classify", half_cloudy, half_cloudy, "--model", classifier, "-o", tmp_path, "--sentinel1", tmp_path)
    )
    assert result.exit_code == 2
    assert "expected --metadata beside --sentinel1" in result.stderr
