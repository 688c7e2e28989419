"""What a GeoTIFF says about the run that made it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from undercast.grids import Grid
from undercast.prediction import ModelIdentity, PredictionHeader
from undercast.writers import OutputOptions
from undercast.writers.tags import dataset_tags, one_line
from undercast.writers.tally import Tally


@pytest.fixture
def header() -> PredictionHeader:
    model = ModelIdentity(id="starter", version="1.2", checksums=("1220aa", "1220bb"))
    return PredictionHeader(scene="tiny", grid=Grid(shape=(8, 8)), model=model, thresholds={"cloud": 0.4})


def test_the_model_and_the_operating_point_are_named(header: PredictionHeader, options: OutputOptions) -> None:
    tags = dataset_tags(header, Tally(), options)
    assert tags["UNDERCAST_MODEL"] == "starter 1.2"
    assert tags["UNDERCAST_CHECKSUMS"] == "1220aa,1220bb"
    assert tags["UNDERCAST_THRESHOLDS"] == "cloud=0.4"
    assert tags["UNDERCAST_AGGREGATION"] == "mean"


def test_a_model_that_is_not_verified_is_marked(header: PredictionHeader, options: OutputOptions) -> None:
    assert "UNDERCAST_UNVERIFIED" not in dataset_tags(header, Tally(), options)
    doubtful = replace(header, model=replace(header.model, verified=False))
    assert dataset_tags(doubtful, Tally(), options)["UNDERCAST_UNVERIFIED"] == "YES"


def test_what_was_assumed_of_the_model_is_named(header: PredictionHeader, options: OutputOptions) -> None:
    assert "UNDERCAST_ASSUMPTIONS" not in dataset_tags(header, Tally(), options)
    assumed = replace(header, model=replace(header.model, assumptions=("blue is 0.45 um", "x 10000")))
    assert dataset_tags(assumed, Tally(), options)["UNDERCAST_ASSUMPTIONS"] == "blue is 0.45 um | x 10000"


def test_without_a_valid_pixel_there_is_no_percentage_of_a_class(
    header: PredictionHeader, options: OutputOptions
) -> None:
    tags = dataset_tags(header, Tally(), options)
    assert not [key for key in tags if key.startswith("UNDERCAST_PERCENT")]
    tally = Tally()
    tally.counts[[1, 255]] = 1, 3
    tags = dataset_tags(header, tally, options)
    assert tags["UNDERCAST_PERCENT_THICK_CLOUD"] == "100.0000"
    assert tags["UNDERCAST_VALID_PERCENT"] == "25.0000"


def test_tags_are_lines() -> None:
    assert one_line("a\nb\x00c\x1bd é") == "a b c d é"
