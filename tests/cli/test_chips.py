"""`undercast chips`."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import Result

from undercast.readers import open_scene
from undercast.scene import SunAngles

Cli = Callable[..., Result]
DRAWN = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "data" / "weak_labels" / "make.py")))
ALL_TRAIN = ("--shares", "1,0,0", "--licence", "CC0-1.0", "--size", "32")


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A scene of 64 x 96 px with a cloud."""
    path: Path = DRAWN.write_scene(tmp_path / "scene.tif", (64, 96))
    return path


@pytest.fixture
def labels(cli: Cli, tmp_path: Path, scene: Path) -> Path:
    """Its labels."""
    mask = DRAWN.write_raster(tmp_path / "mask.tif", DRAWN.fmask_codes((64, 96)))
    assert cli("labels", "import", mask, "--processor", "fmask", "-o", tmp_path / "labels.tif").exit_code == 0
    return tmp_path / "labels.tif"


def test_chips_are_made_and_counted(cli: Cli, tmp_path: Path, scene: Path, labels: Path) -> None:
    result = cli("chips", "make", scene, "--labels", labels, "-o", tmp_path / "out", *ALL_TRAIN, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["chips"] == {"train": 6, "val": 0, "test": 0}
    rows = json.loads((tmp_path / "out" / "train" / "manifest.json").read_text("utf-8"))
    assert {(row["source"], row["label_provenance"]) for row in rows} == {("out", "fmask")}


def test_words_for_people_name_the_folder_and_the_sides_without_chips(
    cli: Cli, tmp_path: Path, scene: Path, labels: Path
) -> None:
    options = ("--licence", "CC0-1.0", "--size", "32", "--split", "scene", "--shares", "0.5,0.5,0")
    result = cli("chips", "make", scene, "--labels", labels, "-o", tmp_path / "out", *options)
    assert "6 chips" in result.stdout
    assert result.stderr.count("no chips for") == 1


def test_a_licence_without_words_is_refused(cli: Cli, tmp_path: Path) -> None:
    result = cli("chips", "make", "a.tif", "--labels", "b.tif", "--licence", " ", "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "expected a value after --licence, got an empty text" in result.stderr


def test_simulated_scenes_lie_at_places_of_their_own(cli: Cli, tmp_path: Path) -> None:
    cli("simulate", "--sensor", "spot-5-hrg", "--size", 32, "-n", 12, "-o", tmp_path)
    names = [f"spot-5-hrg_32px_seed{seed}" for seed in range(12)]
    scenes = [tmp_path / f"{name}.tif" for name in names]
    options = [("--labels", tmp_path / f"{name}_reference.tif") for name in names]
    ground = [("--dem", tmp_path / f"{name}_elevation.tif") for name in names]
    given = [word for pair in (*options, *ground) for word in pair]
    shares = ("--shares", "0.4,0.3,0.3", "--licence", "CC0-1.0", "--size", "32")
    result = cli(
        "chips", "make", *scenes, *given, "--scheme", "undercast", "--kind", "human", "-o", tmp_path / "out", *shares,
        "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    made = json.loads(result.stdout)
    assert all(made["chips"].values())
    rows = json.loads((tmp_path / "out" / "test" / "manifest.json").read_text("utf-8"))
    assert all(row["place"].startswith("simulated ") and row["labels"] == "human" for row in rows)
    with np.load(tmp_path / "out" / "test" / rows[0]["file"]) as arrays:
        assert np.isfinite(arrays["dem"]).all()


@pytest.mark.parametrize(
    ("options", "status", "told"),
    [
        (("--shares", "1,0"), 2, "UsageError: expected --shares TRAIN,VAL,TEST"),
        (("--shares", "1,1,1"), 2, "UsageError: expected three shares"),
        (("--size", "500"), 1, "WindowError: scene: expected a scene of 500 px or more"),
        (("--labels", "again.tif"), 2, "UsageError: expected --labels for each of 1 scenes, got 2."),
        (("--dem", "a.tif", "--dem", "b.tif"), 2, "UsageError: expected one --dem, or one for each of 1 scenes"),
        (("--dem", "none.tif"), 1, "SceneError: elevation none.tif cannot be read"),
        (("--sun", "35,150", "--sun", "40,150"), 2, "UsageError: expected one --sun, or one for each of 1 scenes"),
        (("--sun", "35"), 2, "UsageError: expected --sun ZENITH,AZIMUTH with that many numbers"),
        (("--sun", "95,10"), 2, "UsageError: --sun: expected a zenith angle from 0 to below 90 degrees"),
        (("--block", "1e-6"), 2, "UsageError: expected at most 1000000 blocks under a window"),
        (("--block", "1e-6", "--split", "scene"), 2, "UsageError: expected at most 1000000 blocks under a window"),
        (("--block", "5000", "--gap", "1e9"), 2, "UsageError: expected at most 1000000 blocks under a window"),
        (
            ("--block", "319", "--shares", "0.8,0.2,0"),
            2,
            "UsageError: scene: expected blocks of 320 m or more, a chip's side on the ground, got 319 m. Use a larger",
        ),
    ],
)
def test_what_cannot_be_cut_is_one_line_and_leaves_nothing_behind(
    cli: Cli, tmp_path: Path, scene: Path, labels: Path, options: tuple[str, ...], status: int, told: str
) -> None:
    result = cli("chips", "make", scene, "--labels", labels, "-o", tmp_path / "out", *ALL_TRAIN, *options)
    assert result.exit_code == status
    assert result.stderr.startswith(told)
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_suns_angles_are_stored_where_the_scene_does_not_say_them(
    cli: Cli, tmp_path: Path, scene: Path, labels: Path
) -> None:
    result = cli(
        "chips", "make", scene, "--labels", labels, "-o", tmp_path / "out", *ALL_TRAIN, "--sun", "35,150"
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    for path in (tmp_path / "out" / "train").glob("*.npz"):
        with np.load(path) as arrays:
            assert (float(arrays["sza"]), float(arrays["saa"])) == (35.0, 150.0)


def test_the_suns_angles_that_a_scene_says_are_kept(
    cli: Cli, tmp_path: Path, scene: Path, labels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = replace(open_scene(scene), sun=SunAngles(zenith=20.0, azimuth=140.0))
    monkeypatch.setattr("undercast.readers.open_scene", lambda *_: own)
    options = (*ALL_TRAIN, "--sun", "35,150")
    assert cli("chips", "make", scene, "--labels", labels, "-o", tmp_path / "out", *options).exit_code == 0
    with np.load(next((tmp_path / "out" / "train").glob("*.npz"))) as arrays:
        assert (float(arrays["sza"]), float(arrays["saa"])) == (20.0, 140.0)


def test_a_processors_mask_is_not_taken_for_labels(cli: Cli, tmp_path: Path, scene: Path, labels: Path) -> None:
    result = cli("chips", "make", scene, "--labels", tmp_path / "mask.tif", "-o", tmp_path / "out", *ALL_TRAIN)
    assert result.exit_code == 1
    assert "expected possible sets, got another raster" in result.stderr
