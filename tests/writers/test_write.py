"""Writing all outputs of a scene together."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.errors import NotGeoreferencedWarning
from rio_cogeo.cogeo import cog_validate

from undercast import writers
from undercast.classes import load_scheme
from undercast.errors import OutputError, OutputExistsError, SceneError
from undercast.prediction import Prediction, PredictionStream, Strip
from undercast.scene import Scene
from undercast.writers import OutputOptions, planned, write

Make = Callable[..., tuple[Prediction, Scene]]
Cut = Callable[..., PredictionStream]


def names(folder: Path) -> set[str]:
    """Name everything in a folder, hidden or not."""
    return {path.name for path in folder.iterdir()}


def failing(prediction: Prediction, error: BaseException) -> PredictionStream:
    """Give some rows, then fail."""

    def strips() -> Iterator[Strip]:
        yield Strip(
            row=0,
            class_map=prediction.class_map[:10],
            probabilities=prediction.probabilities[:, :10],
            uncertainty=prediction.uncertainty[:10],
        )
        raise error

    return PredictionStream(header=prediction.header, strips=strips())


def test_everything_that_is_asked_for_is_written_and_nothing_else(make: Make, everything: OutputOptions) -> None:
    prediction, scene = make()
    outputs = write(prediction.stream(), scene, everything)
    assert names(everything.folder) == {
        "tiny_class_map.tif",
        "tiny_probabilities.tif",
        "tiny_uncertainty.tif",
        "tiny_class_map.qml",
        "tiny_quicklook.png",
        "tiny_mask.json",
    }
    assert list(outputs.named()) == list(planned(everything, "tiny").named())
    assert outputs.percent == prediction.percent
    assert outputs.valid_percent == pytest.approx(100 * prediction.valid.mean())
    assert outputs.partly_valid == 3
    for path in everything.folder.glob("*.tif"):
        assert cog_validate(path, strict=True) == (True, [], [])
    with rasterio.open(outputs.class_map) as source:
        np.testing.assert_array_equal(source.read(1), prediction.class_map)
        assert source.tags()["UNDERCAST_MODEL"] == "starter 1.2"
    with rasterio.open(outputs.probabilities) as source:
        np.testing.assert_array_equal(source.read(), prediction.probabilities)
        assert source.descriptions == ("clear", "thick_cloud", "thin_cloud", "cloud_shadow")
    with rasterio.open(outputs.uncertainty) as source:
        np.testing.assert_array_equal(source.read(1), prediction.uncertainty)
        assert source.descriptions == ("uncertainty (entropy)",)


def test_the_least_is_a_class_map_alone(make: Make, options: OutputOptions) -> None:
    prediction, scene = make()
    bare = replace(options, item=False, qml=False, quicklook=False)
    outputs = write(prediction.stream(), scene, bare)
    assert list(bare.folder.iterdir()) == [outputs.class_map]
    assert (outputs.item, outputs.style, outputs.quicklook, outputs.probabilities) == (None,) * 4


@settings(max_examples=15)
@given(
    shape=st.tuples(st.integers(8, 70), st.integers(8, 70)),
    cuts=st.lists(st.integers(1, 69), max_size=6),
    seed=st.integers(0, 99),
)
def test_one_strip_and_many_give_the_same_bytes(
    make: Make,
    cut: Cut,
    tmp_path_factory: pytest.TempPathFactory,
    shape: tuple[int, int],
    cuts: list[int],
    seed: int,
) -> None:
    prediction, scene = make(shape, seed=seed)
    inside = [row for row in cuts if row < shape[0]]
    written = []
    for stream in (prediction.stream(), cut(prediction, inside)):
        options = OutputOptions(
            folder=tmp_path_factory.mktemp("out"), scheme=load_scheme(), probabilities=True, quicklook=False
        )
        outputs = write(stream, scene, options)
        assert outputs.probabilities is not None
        written.append((outputs.class_map.read_bytes(), outputs.probabilities.read_bytes()))
    assert written[0] == written[1]


def test_a_class_map_is_written_in_the_scheme_that_is_asked_for(make: Make, options: OutputOptions) -> None:
    prediction, scene = make(class_map=np.tile(np.array([0, 1, 2, 3, 255], np.uint8), (8, 2)))
    outputs = write(prediction.stream(), scene, replace(options, scheme=load_scheme("scl")))
    with rasterio.open(outputs.class_map) as source:
        assert source.read(1)[0, :5].tolist() == [5, 9, 10, 3, 0]
        assert source.nodata == 0
    assert outputs.percent == dict.fromkeys(prediction.percent, 25.0)


def test_nodata_that_is_a_class_too_hides_no_clear_pixel(make: Make, options: OutputOptions) -> None:
    prediction, scene = make()
    outputs = write(prediction.stream(), scene, replace(options, scheme=load_scheme("omnicloudmask")))
    with rasterio.open(outputs.class_map) as source:
        assert source.nodata is None


def test_a_scene_without_a_valid_pixel_is_written_too(make: Make, everything: OutputOptions) -> None:
    prediction, scene = make(class_map=np.full((16, 16), 255, np.uint8), georeferenced=False)
    outputs = write(prediction.stream(), scene, everything)
    assert outputs.valid_percent == 0.0
    assert outputs.item is not None
    assert "eo:cloud_cover" not in json.loads(outputs.item.read_text())["properties"]


def test_an_output_that_exists_is_refused_before_a_strip_is_made(make: Make, options: OutputOptions) -> None:
    prediction, scene = make()
    options.folder.mkdir()
    (options.folder / "tiny_mask.json").write_text("mine")
    stream = prediction.stream()
    with pytest.raises(OutputExistsError):
        write(stream, scene, options)
    assert len(list(stream.strips)) == 1
    assert names(options.folder) == {"tiny_mask.json"}


def test_an_output_that_appears_meanwhile_is_not_replaced(make: Make, options: OutputOptions) -> None:
    prediction, scene = make()

    def strips() -> Iterator[Strip]:
        yield from prediction.stream().strips
        (options.folder / "tiny_class_map.tif").write_text("theirs")

    with pytest.raises(OutputExistsError):
        write(PredictionStream(header=prediction.header, strips=strips()), scene, options)
    assert (options.folder / "tiny_class_map.tif").read_text() == "theirs"
    assert names(options.folder) == {"tiny_class_map.tif"}


def test_overwriting_replaces_the_outputs(make: Make, options: OutputOptions) -> None:
    for seed in (0, 1):
        prediction, scene = make(seed=seed)
        outputs = write(prediction.stream(), scene, replace(options, overwrite=True))
    with rasterio.open(outputs.class_map) as source:
        np.testing.assert_array_equal(source.read(1), prediction.class_map)
    assert not list(options.folder.glob(".*"))


def test_a_picture_made_beside_files_without_a_place_warns_of_nothing(
    make: Make, options: OutputOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads that change and restore the filters of warnings in turns would let one of them warn now and then."""

    def png(_picture: Any) -> bytes:
        warnings.warn("no place", NotGeoreferencedWarning, stacklevel=1)
        return b"a picture"

    monkeypatch.setattr(writers, "png", png)
    prediction, scene = make(seed=0)
    outputs = write(prediction.stream(), scene, options)
    assert outputs.quicklook is not None
    assert outputs.quicklook.read_bytes() == b"a picture"
    with pytest.warns(NotGeoreferencedWarning):
        png(None)


def test_overwriting_takes_away_outputs_of_an_earlier_run_that_are_not_asked_for_now(
    make: Make, everything: OutputOptions
) -> None:
    prediction, scene = make(seed=0)
    write(prediction.stream(), scene, everything)
    (everything.folder / "tiny_notes.txt").write_text("theirs")
    prediction, scene = make(seed=1)
    less = replace(everything, probabilities=False, uncertainty=False, item=False, overwrite=True)
    with pytest.raises(RuntimeError):
        write(failing(prediction, RuntimeError()), scene, less)
    assert len(names(everything.folder)) == 7
    write(prediction.stream(), scene, less)
    kept = {"tiny_class_map.tif", "tiny_class_map.qml", "tiny_quicklook.png", "tiny_notes.txt"}
    assert names(everything.folder) == kept


@pytest.mark.parametrize("error", [SceneError("truncated"), OSError("network"), KeyboardInterrupt()])
def test_what_fails_while_the_strips_are_made_passes_as_it_is_and_leaves_nothing(
    make: Make, everything: OutputOptions, error: BaseException
) -> None:
    prediction, scene = make()
    with pytest.raises(type(error)) as caught:
        write(failing(prediction, error), scene, everything)
    assert caught.value is error
    assert not everything.folder.exists()


def test_a_failure_leaves_the_outputs_of_an_earlier_run(make: Make, options: OutputOptions) -> None:
    prediction, scene = make()
    again = replace(options, overwrite=True)
    before = write(prediction.stream(), scene, again).class_map.read_bytes()
    with pytest.raises(RuntimeError):
        write(failing(prediction, RuntimeError()), scene, again)
    assert (options.folder / "tiny_class_map.tif").read_bytes() == before
    assert len(names(options.folder)) == 4


@pytest.mark.parametrize("rows", [slice(1, None), slice(None, 50)])
def test_strips_that_do_not_cover_the_scene_are_refused(make: Make, options: OutputOptions, rows: slice) -> None:
    prediction, scene = make((60, 40))
    strip = Strip(
        row=rows.start or 0,
        class_map=prediction.class_map[rows],
        probabilities=prediction.probabilities[:, rows],
        uncertainty=prediction.uncertainty[rows],
    )
    with pytest.raises(OutputError, match="expected"):
        write(PredictionStream(header=prediction.header, strips=iter([strip])), scene, options)
    assert not options.folder.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device that is always full")
def test_a_full_disk_is_one_line_and_leaves_nothing(
    make: Make, everything: OutputOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    prediction, scene = make()
    opened = Path.open

    def open_full(path: Path, mode: str = "r") -> IO[Any]:
        return opened(Path("/dev/full") if path.suffix == ".rows" else path, mode)

    monkeypatch.setattr(Path, "open", open_full)
    with pytest.raises(OutputError, match="No space left on device") as caught:
        write(prediction.stream(), scene, everything)
    assert "\n" not in str(caught.value)
    assert not everything.folder.exists()


KILLED = """
import sys, time
from pathlib import Path
from typing import IO, Any
import numpy as np
from undercast.classes import load_scheme
from undercast.prediction import ModelIdentity, PredictionHeader, PredictionStream, Strip
from undercast.scene import scene_from_array
from undercast.writers import OutputOptions, write

scene = scene_from_array(np.zeros((1, 16, 16)), ["red"], name="tiny")
header = PredictionHeader(scene="tiny", grid=scene.grid, model=ModelIdentity(id="m", version="1"))

def strips():
    yield Strip(row=0, class_map=np.zeros((8, 16), np.uint8), probabilities=np.zeros((4, 8, 16), np.float32),
                uncertainty=np.zeros((8, 16), np.float32))
    print("ready", flush=True)
    time.sleep(60)

write(PredictionStream(header=header, strips=strips()), scene,
      OutputOptions(folder=Path(sys.argv[1]), scheme=load_scheme()))
"""


@pytest.mark.parametrize(("how", "left"), [(signal.SIGKILL, 1), (signal.SIGINT, 0)])
def test_a_run_that_is_stopped_leaves_no_output_and_disturbs_no_later_run(
    make: Make, options: OutputOptions, how: signal.Signals, left: int
) -> None:
    options.folder.mkdir()
    command = [sys.executable, "-c", KILLED, str(options.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
        run.send_signal(how)
        assert run.wait(timeout=30) != 0
    assert len(list(options.folder.glob(".undercast-tiny-*"))) == left
    assert not list(options.folder.glob("[!.]*"))
    prediction, scene = make()
    write(prediction.stream(), scene, options)
    assert len(list(options.folder.glob("[!.]*"))) == 4
