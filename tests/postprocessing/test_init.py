"""Class maps are cleaned in metres, strip by strip as all at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undercast.errors import UsageError
from undercast.grids import Grid
from undercast.postprocessing import PostProcessing, postprocess
from undercast.prediction import ModelIdentity, PredictionHeader, PredictionStream, Strip
from undercast.scene import SunAngles
from undercast.types import Float32, UInt8
from undercast.windows import Window

METRES_10 = (10.0, 0.0, 5e5, 0.0, -10.0, 5e6)


def stream_of(class_map: UInt8, *, height: int | None = None, crs: str | None = "EPSG:32632") -> PredictionStream:
    header = PredictionHeader(
        scene="scene",
        grid=Grid(shape=(class_map.shape[0], class_map.shape[1]), transform=METRES_10, crs=crs),
        model=ModelIdentity(id="m", version="1"),
    )

    def strips() -> Iterator[Strip]:
        step = height or len(class_map)
        for row in range(0, len(class_map), step):
            part = class_map[row : row + step]
            zeros = np.zeros(part.shape, np.float32)
            yield Strip(row=row, class_map=part, probabilities=np.stack([zeros] * 4), uncertainty=zeros)

    return PredictionStream(header=header, strips=strips())


def cleaned(class_map: UInt8, options: PostProcessing, *, height: int | None = None) -> UInt8:
    strips = postprocess(stream_of(class_map, height=height), options).strips
    return np.concatenate([strip.class_map for strip in strips])


def clouds(seed: int, shape: tuple[int, int] = (60, 40)) -> UInt8:
    """Draw smooth blobs of all classes."""
    rng = np.random.default_rng(seed)
    noise = np.cumsum(np.cumsum(rng.normal(size=shape), axis=0), axis=1)
    class_map = np.digitize(noise - np.median(noise), np.quantile(noise - np.median(noise), [0.5, 0.7, 0.85]))
    class_map[rng.random(shape) < 0.05] = rng.integers(0, 4)
    class_map[:, -3:] = 255
    return class_map.astype(np.uint8)


def test_a_buffer_grows_over_clear_pixels_alone_thick_before_thin_before_shadow() -> None:
    class_map = np.array([[1, 0, 0, 0, 2, 0, 3, 0, 0, 255]], np.uint8)
    got = cleaned(class_map, PostProcessing(buffer_m=20.0))
    assert got.tolist() == [[1, 1, 1, 2, 2, 2, 3, 3, 3, 255]]


def test_2000_square_metres_are_20_pixels_of_10_m() -> None:
    class_map = np.zeros((12, 12), np.uint8)
    class_map[1:5, 1:6] = 1
    class_map[7:10, 7:10] = 3
    got = cleaned(class_map, PostProcessing(min_size_m2=2000.0))
    assert (got[1:5, 1:6] == 1).all()
    assert got.sum() == 20
    assert not cleaned(class_map, PostProcessing(min_size_m2=2000.1)).any()


def test_the_steps_follow_each_other() -> None:
    class_map = np.zeros((30, 30), np.uint8)
    class_map[5:15, 5:15] = 1
    class_map[9, 9] = 0  # a hole, which is filled
    class_map[10, 15:25] = 1  # a line, which the opening takes
    class_map[25, 25] = 1  # a speck, which is too small for a buffer to grow around it
    got = cleaned(class_map, PostProcessing(opening_m=10.0, min_size_m2=500.0, fill_holes_m2=2000.0, buffer_m=10.0))
    assert got[9, 9] == 1
    assert not got[:, 17:].any()
    assert (got[4:16, 8:12] == 1).all()


def test_a_shadow_without_a_cloud_towards_the_sun_becomes_clear() -> None:
    class_map = np.zeros((200, 200), np.uint8)
    class_map[100, 100] = 3
    sun = SunAngles(zenith=2.0, azimuth=180.0)
    assert not cleaned(class_map, PostProcessing(check_shadows=True, sun=sun)).any()
    class_map[120, 100] = 1
    assert cleaned(class_map, PostProcessing(check_shadows=True, sun=sun))[100, 100] == 3


def test_the_ground_is_asked_for_the_rows_in_view() -> None:
    asked = []

    def ground(window: Window) -> Float32:
        asked.append((window.row, window.height, window.width))
        return np.zeros(window.shape, np.float32)

    sun = SunAngles(zenith=0.1, azimuth=180.0)
    stream = postprocess(stream_of(clouds(0), height=20), PostProcessing(check_shadows=True, sun=sun), ground=ground)
    rows = sum(len(strip.class_map) for strip in stream.strips)
    assert rows == 60
    assert asked == [(0, 44, 40), (0, 60, 40), (19, 41, 40)]


@settings(max_examples=40)
@given(
    seed=st.integers(0, 1000),
    height=st.integers(1, 25),
    opening=st.sampled_from([0.0, 10.0, 20.0]),
    size=st.sampled_from([0.0, 500.0, 1500.0]),
    hole=st.sampled_from([0.0, 300.0, 1200.0]),
    buffer=st.sampled_from([0.0, 15.0, 40.0]),
    sun=st.none() | st.tuples(st.floats(0.0, 0.8), st.floats(0.0, 360.0)),
)
def test_strips_give_what_the_whole_scene_at_once_gives(
    seed: int,
    height: int,
    opening: float,
    size: float,
    hole: float,
    buffer: float,
    sun: tuple[float, float] | None,
) -> None:
    options = PostProcessing(
        check_shadows=sun is not None,
        opening_m=opening,
        min_size_m2=size,
        fill_holes_m2=hole,
        buffer_m=buffer,
        sun=None if sun is None else SunAngles(zenith=sun[0], azimuth=sun[1]),
    )
    class_map = clouds(seed)
    whole = cleaned(class_map, options)
    np.testing.assert_array_equal(cleaned(class_map, options, height=height), whole)
    np.testing.assert_array_equal(whole == 255, class_map == 255)


def test_what_was_done_is_told_and_nothing_is_done_unasked() -> None:
    stream = stream_of(clouds(0))
    assert postprocess(stream, PostProcessing()) is stream
    told = postprocess(stream, PostProcessing(buffer_m=60, min_size_m2=2000)).header.postprocessing
    assert told == {"min_size_m2": "2000", "buffer_m": "60"}


def test_probabilities_stay_as_the_model_gave_them() -> None:
    (strip,) = postprocess(stream_of(clouds(0)), PostProcessing(buffer_m=60)).strips
    assert not strip.probabilities.any()


def test_a_scene_without_georeference_needs_the_pixels_size() -> None:
    stream = stream_of(clouds(0), crs=None)
    with pytest.raises(UsageError, match=r"expected a georeferenced scene.* --gsd"):
        postprocess(stream, PostProcessing(buffer_m=60))
    (strip,) = postprocess(stream, PostProcessing(buffer_m=60, gsd=10.0)).strips
    (same,) = postprocess(stream_of(clouds(0)), PostProcessing(buffer_m=60)).strips
    np.testing.assert_array_equal(strip.class_map, same.class_map)


def test_the_shadow_check_needs_the_sun() -> None:
    with pytest.raises(UsageError, match="--sun ZENITH,AZIMUTH"):
        postprocess(stream_of(clouds(0)), PostProcessing(check_shadows=True))


def test_sizes_that_are_none_are_refused() -> None:
    with pytest.raises(UsageError, match="buffer_m"):
        PostProcessing(buffer_m=-1.0)
    with pytest.raises(UsageError, match="min_size_m2"):
        PostProcessing(min_size_m2=float("nan"))
    with pytest.raises(UsageError, match="gsd"):
        PostProcessing(gsd=0.0)
