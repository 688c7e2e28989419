from __future__ import annotations

import numpy as np
import pytest
from rasterio.io import MemoryFile

from undercast.bands import band_from_name
from undercast.types import UInt8
from undercast.viewer.pictures import confidence_picture, label_picture, view_picture, views

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def decoded(picture: bytes) -> UInt8:
    with MemoryFile(picture) as memory, memory.open() as source:
        return np.moveaxis(np.asarray(source.read(), np.uint8), 0, -1)


def test_views_are_the_composites_that_bands_allow_and_every_band() -> None:
    bands = [band_from_name(name) for name in ("green", "red", "nir08", "swir16")]
    titles = [title for title, _ in views(bands)]
    assert titles[:2] == ["False colour (near infrared)", "False colour (short-wave infrared)"]
    assert titles[2:] == [f"Band {name} ({name})" for name in ("green", "red", "nir08", "swir16")]
    assert dict(views(bands))["False colour (near infrared)"] == (2, 1, 0)


def test_a_view_is_stretched_and_grey_without_data() -> None:
    values = np.linspace(0, 1, 60, dtype=np.float32).reshape(5, 6, 2)
    values[0, 0] = np.nan
    drawn = decoded(view_picture(values, (0,)))
    assert drawn.shape == (5, 6, 3)
    assert (drawn[0, 0] == 64).all()
    assert drawn[-1, -1].tolist() == [255, 255, 255]


def test_labels_are_drawn_in_alcds_colours_and_transparent_where_there_are_none() -> None:
    drawn = decoded(label_picture(np.array([[2, 6], [0, 4]], np.uint8)))
    assert drawn.tolist() == [[[210, 210, 210, 255], [0, 142, 208, 255]], [[0, 0, 0, 0], [10, 10, 10, 255]]]


def test_what_is_unsure_is_opaque_and_what_is_sure_or_unknown_is_not() -> None:
    drawn = decoded(confidence_picture(np.array([[1.0, 0.75, 0.5, 0.2, np.nan]], np.float32)))
    assert drawn[0, :, 3].tolist() == [0, 128, 255, 255, 0]
