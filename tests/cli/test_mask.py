"""`undercast mask` where things go well, and where one of several scenes does not."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

from undercast import masking
from undercast.cli.mask import loading_already, looking_already
from undercast.cli.mask_options import parse_thresholds, record_of
from undercast.errors import UsageError
from undercast.loading import ModelChoice
from undercast.masking import predict
from undercast.readers.base import OpenOptions
from undercast.readers.layers import LayerPixels
from undercast.scaling.looks import EarlyPixels
from undercast.scene import Scene, scene_from_array

if TYPE_CHECKING:
    from click.testing import Result

KEYS = {
    "scene",
    "source",
    "status",
    "class_map",
    "probabilities",
    "uncertainty",
    "quicklook",
    "style",
    "item",
    "percent",
    "valid_percent",
    "partly_valid",
    "model",
    "backend",
    "precision",
    "device",
    "seconds",
    "warnings",
}


def read(path: str | Path) -> NDArray[Any]:
    with rasterio.open(path) as raster:
        values: NDArray[Any] = raster.read()
    return values


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_a_scene_becomes_a_class_map_and_what_goes_with_it(
    cli: Callable[..., Result], scene: Path, package: Path, out: Path
) -> None:
    result = cli("mask", scene, "-o", out, "--model", package, "--json")
    told = json.loads(result.stdout)

    assert (result.exit_code, result.stderr) == (0, "")
    assert set(told) == KEYS
    assert told["status"] == "done"
    assert told["percent"] == {"clear": 50.0, "thick_cloud": 50.0, "thin_cloud": 0.0, "cloud_shadow": 0.0}
    assert told["model"] == {"id": "tiny", "version": "1.0.0", "verified": True}
    assert (told["probabilities"], told["uncertainty"]) == (None, None)
    assert {Path(told[name]) for name in ("class_map", "quicklook", "style", "item")} == set(out.iterdir())
    np.testing.assert_array_equal(read(told["class_map"])[0, :, :24], 1)


def test_the_model_that_comes_with_undercast_is_loaded_while_scenes_are_opened(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def load(name: str | Path, **_given: Any) -> str | Path:
        threads.append(threading.current_thread())
        return name

    monkeypatch.setattr("undercast.loading.load_model", load)
    early, late = (loading_already(ModelChoice(name=name)) for name in ("embedded", package))
    assert [str(early()), str(late())] == ["embedded", str(package)]
    assert [thread is threading.main_thread() for thread in threads] == [False, True]


def test_of_one_raster_its_first_rows_are_read_while_the_model_is_loaded(
    scene: Path, package: Path, tmp_path: Path
) -> None:
    own, options = ModelChoice(name="embedded"), OpenOptions()
    early = looking_already([str(scene)], options, own)
    assert early is not None
    found = early().scene
    assert isinstance(found, Scene)
    assert isinstance(found.pixels, EarlyPixels | LayerPixels)
    for arguments, choice in (
        ([str(scene), str(scene)], own),
        ([str(tmp_path)], own),
        ([str(tmp_path / "none.tif")], own),
        ([str(scene)], ModelChoice(name=package)),
    ):
        assert looking_already(arguments, options, choice) is None


@pytest.mark.parametrize("sides", [(70, 90), (200, 131)])
def test_what_is_read_early_changes_no_class(
    cli: Callable[..., Result], tmp_path: Path, out: Path, sides: tuple[int, int]
) -> None:
    values = np.random.default_rng(0).uniform(200, 6000, (4, *sides)).astype(np.uint16)
    path, bands = tmp_path / "one.tif", ("nir", "red", "green", "blue")
    shape = {"height": sides[0], "width": sides[1], "count": 4, "dtype": "uint16"}
    place = {"crs": "EPSG:32631", "transform": from_origin(500_000, 5_000_000, 20, 20)}
    with rasterio.open(path, "w", driver="GTiff", **shape, **place) as file:
        file.write(values)
    told = json.loads(cli("mask", path, "-o", out, "--bands", ",".join(bands), "--scale", 1e-4, "--json").stdout)
    expected = predict(scene_from_array(values * np.float32(1e-4), bands, name="one"), "embedded")
    np.testing.assert_array_equal(read(told["class_map"])[0], expected.class_map)


def test_the_summary_for_people_says_percentages_files_and_model(
    cli: Callable[..., Result], scene: Path, package: Path, out: Path
) -> None:
    words = cli("mask", scene, "-o", out, "--model", package).stdout

    assert words.startswith("scene: clear 50.0 %, thick cloud 50.0 %, thin cloud 0.0 %, cloud shadow 0.0 %\n")
    assert str(out / "scene_class_map.tif") in words
    assert "tiny 1.0.0 (" in words


def test_probabilities_and_a_named_uncertainty_are_written_when_asked_for(
    cli: Callable[..., Result], scene: Path, package: Path, out: Path
) -> None:
    told = json.loads(
        cli(
            *("mask", scene, "-o", out, "--model", package, "--json", "--no-quicklook"),
            *("--probabilities", "--uncertainty", "entropy"),
        ).stdout
    )

    assert read(told["probabilities"]).shape == (4, 64, 64)
    assert read(told["uncertainty"]).shape == (1, 64, 64)
    assert told["quicklook"] is None


def test_standard_output_holds_one_line_of_json_per_scene_and_nothing_else(
    start: Callable[..., subprocess.Popen[str]], scene: Path, package: Path, out: Path
) -> None:
    second = scene.with_name("second.tif")
    shutil.copy(scene, second)
    process = start("-vv", "mask", scene, second, "-o", out, "--model", package, "--json")
    stdout, stderr = process.communicate(timeout=120)

    assert sorted(json.loads(line)["scene"] for line in stdout.splitlines()) == ["scene", "second"]
    assert "INFO: " in stderr
    assert "2 scenes: 2 done, 0 skipped, 0 failed." in stderr


def test_a_failing_scene_does_not_stop_the_others(
    cli: Callable[..., Result], scene: Path, package: Path, out: Path
) -> None:
    missing = scene.with_name("missing.tif")
    result = cli("mask", missing, scene, "-o", out, "--model", package, "--json")
    first, second = map(json.loads, result.stdout.splitlines())

    assert result.exit_code == 1
    assert first["status"] == "failed"
    assert first["error"].startswith("SceneError: ")
    assert second["status"] == "done"
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == [str(missing), "2 scenes"]


def test_of_a_collection_with_one_broken_item_the_others_are_masked(
    cli: Callable[..., Result], scene: Path, package: Path, out: Path, tmp_path: Path
) -> None:
    hrefs = []
    for name in ("first", "broken", "second"):
        bands = [{"name": text, "common_name": text} for text in ("blue", "green", "red")]
        asset = {"href": scene.name if name != "broken" else "gone.tif", "type": "image/tiff", "eo:bands": bands}
        item = {"type": "Feature", "id": name, "properties": {}, "assets": {"data": asset}}
        (scene.parent / f"{name}.json").write_text(json.dumps(item), "utf-8")
        hrefs.append({"rel": "item", "href": f"./{name}.json"})
    collection = scene.parent / "collection.json"
    collection.write_text(json.dumps({"type": "Collection", "links": hrefs}), "utf-8")

    result = cli("mask", collection, "-o", out, "--model", package, "--json")

    told = {line["scene"]: line["status"] for line in map(json.loads, result.stdout.splitlines())}
    assert result.exit_code == 1
    assert told == {"first": "done", "second": "done", str(scene.parent / "broken.json"): "failed"}
    assert "3 scenes: 2 done, 0 skipped, 1 failed." in result.stderr


def test_a_defect_in_one_scene_does_not_stop_the_others(
    cli: Callable[..., Result], scene: Path, package: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = scene.with_name("second.tif")
    shutil.copy(scene, second)
    whole = masking.mask

    def sometimes(opened: Scene, *arguments: Any, **options: Any) -> masking.MaskResult:
        if opened.name == "scene":
            raise ZeroDivisionError("by zero")
        return whole(opened, *arguments, **options)

    monkeypatch.setattr(masking, "mask", sometimes)
    result = cli("mask", scene, second, "-o", out, "--model", package)

    assert result.exit_code == 1
    assert f"{scene}: UnexpectedError: ZeroDivisionError: by zero." in result.stderr
    assert (out / "second_class_map.tif").exists()


def test_the_only_scene_that_fails_is_told_as_json_and_as_one_line(
    cli: Callable[..., Result], scene: Path, package: Path, out: Path
) -> None:
    result = cli("mask", scene, "-o", out, "--model", package, "--bands", "red,nir,swir16", "--json")

    assert result.exit_code == 2
    assert json.loads(result.stdout)["status"] == "failed"
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("BandError: model 'tiny' needs blue, green, red")


def test_scenes_of_one_name_are_refused_before_anything_is_written(
    cli: Callable[..., Result], scene: Path, package: Path, out: Path
) -> None:
    other = scene.parent / "elsewhere" / "scene.tif"
    other.parent.mkdir()
    shutil.copy(scene, other)
    result = cli("mask", scene, other, "-o", out, "--model", package)

    assert result.exit_code == 2
    assert result.stderr.startswith("UsageError: expected scenes of different names, got 'scene' twice: ")
    assert not out.exists()


def test_skip_existing_leaves_finished_scenes_alone_and_does_the_rest(
    cli: Callable[..., Result], scene: Path, package: Path, out: Path
) -> None:
    options = ("-o", out, "--model", package, "--json", "--skip-existing")
    cli("mask", scene, *options)
    before = (out / "scene_class_map.tif").stat().st_mtime_ns
    second = scene.with_name("second.tif")
    shutil.copy(scene, second)
    result = cli("mask", scene, second, *options)
    first, other = map(json.loads, result.stdout.splitlines())

    assert result.exit_code == 0
    assert (first["status"], other["status"]) == ("skipped", "done")
    assert first["class_map"] == str(out / "scene_class_map.tif")
    assert (out / "scene_class_map.tif").stat().st_mtime_ns == before
    assert "scene: skipped" in cli("mask", scene, "-o", out, "--model", package, "--skip-existing").stdout


def test_overwrite_replaces_what_is_there(cli: Callable[..., Result], scene: Path, package: Path, out: Path) -> None:
    out.mkdir()
    (out / "scene_class_map.tif").write_text("old")
    result = cli("mask", scene, "-o", out, "--model", package, "--overwrite")

    assert result.exit_code == 0
    assert read(out / "scene_class_map.tif").shape == (1, 64, 64)


def test_the_scheme_translates_the_class_map(cli: Callable[..., Result], scene: Path, package: Path, out: Path) -> None:
    told = json.loads(cli("mask", scene, "-o", out, "--model", package, "--scheme", "fmask", "--json").stdout)

    assert set(np.unique(read(told["class_map"]))) == {0, 4}


def test_a_threshold_moves_the_operating_point(
    cli: Callable[..., Result], scene: Path, package: Path, out: Path
) -> None:
    told = json.loads(
        cli("mask", scene, "-o", out, "--model", package, "--threshold", "cloud=0.999999", "--json").stdout
    )

    assert told["percent"]["thick_cloud"] == 0.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cloud", "expected CLASS=P, got 'cloud'"),
        ("cloud=many", "expected CLASS=P, got 'cloud=many'"),
        ("fog=0.5", "threshold on 'fog'"),
        ("cloud=1.5", "must lie in"),
        ("cloud=nan", "must lie in"),
    ],
)
def test_a_threshold_that_makes_no_sense_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_thresholds([text])


def test_a_threshold_that_is_given_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="each class once, got 'cloud' twice"):
        parse_thresholds(["cloud=0.3", "shadow=0.2", "cloud = 0.4"])


def test_a_place_of_logs_that_cannot_be_written_is_told_first(
    cli: Callable[..., Result], scene: Path, package: Path, out: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    result = cli("mask", scene, "-o", out, "--model", package, "--logs", tmp_path / "file" / "logs")
    assert result.exit_code == 1
    assert result.stderr.startswith("OutputError: expected a folder at ")
    assert not out.exists()


def test_files_with_one_band_each_are_one_scene_with_commas_between_them(
    cli: Callable[..., Result], scene: Path, package: Path, out: Path
) -> None:
    files = []
    for number, name in enumerate(("red", "green", "blue"), start=1):
        with rasterio.open(scene) as whole:
            profile = {**whole.profile, "count": 1}
            files.append(str(scene.with_name(f"parts_{name}.tif")))
            with rasterio.open(files[-1], "w", **profile) as raster:
                raster.write(whole.read(4 - number), 1)
                raster.scales = (1e-4,)
    told = json.loads(cli("mask", ",".join(files), "-o", out, "--model", package, "--json").stdout)

    assert told["percent"]["thick_cloud"] == 50.0


@pytest.mark.parametrize(
    ("word", "kept"),
    [
        ("my scene?.tif", "'my scene?.tif'"),
        ("https://host/a.tif?sig=1,2&token=secret", "https://host/a.tif"),
        ("https://me:secret@host/a.tif", "https://host/a.tif"),
        ("https://host/a.tif?secret,https://host/b.tif?secret", "https://host/a.tif,https://host/b.tif"),
        ("/vsicurl/https://host/a.tif?secret", "/vsicurl/https://host/a.tif"),
    ],
)
def test_the_record_of_a_run_holds_no_secret_of_a_url(word: str, kept: str) -> None:
    assert record_of(("mask", word, "-o", "out")) == f"undercast mask {kept} -o out"


def test_the_class_map_tells_the_command_that_made_it(
    cli: Callable[..., Result], scene: Path, package: Path, out: Path
) -> None:
    cli("mask", scene, "-o", out, "--model", package)
    with rasterio.open(out / "scene_class_map.tif") as raster:
        assert raster.tags()["UNDERCAST_COMMAND"] == f"undercast mask {scene} -o {out} --model {package}"


def test_a_model_that_cannot_be_loaded_ends_the_run_with_one_line(
    cli: Callable[..., Result], scene: Path, package: Path, out: Path
) -> None:
    second = scene.with_name("second.tif")
    shutil.copy(scene, second)
    result = cli("mask", scene, second, "-o", out, "--model", package, "--device", "quantum", "--json")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("BackendError: device 'quantum' is not available")
    assert result.stderr.count("\n") == 1


def test_the_model_is_not_loaded_where_every_scene_is_skipped(
    cli: Callable[..., Result], scene: Path, package: Path, out: Path
) -> None:
    cli("mask", scene, "-o", out, "--model", package)
    result = cli("mask", scene, "-o", out, "--model", "none-such", "--skip-existing", "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout)["status"] == "skipped"
