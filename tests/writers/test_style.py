"""Colours of class schemes."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from undercast.classes import load_scheme, scheme_ids
from undercast.writers.style import color_table, qml, rgb, stored_nodata


def test_a_colour_is_three_numbers() -> None:
    assert rgb("#0072b2") == (0, 114, 178)


@pytest.mark.parametrize("scheme", scheme_ids())
def test_every_class_has_its_colour_and_nodata_is_transparent(scheme: str) -> None:
    loaded = load_scheme(scheme)
    table = color_table(loaded)
    for entry in loaded.classes:
        assert tuple(table[entry.value]) == (*rgb(entry.color), 255)
    nodata = stored_nodata(loaded)
    if nodata is not None:
        assert table[nodata].tolist() == [0, 0, 0, 0]


def test_nodata_that_is_a_class_too_is_not_declared() -> None:
    assert stored_nodata(load_scheme("omnicloudmask")) is None
    assert stored_nodata(load_scheme("undercast")) == 255
    assert stored_nodata(load_scheme("scl")) == 0


@pytest.mark.parametrize("scheme", scheme_ids())
def test_the_qgis_style_lists_the_classes(scheme: str) -> None:
    loaded = load_scheme(scheme)
    root = ET.fromstring(qml(loaded))  # noqa: S314 (our own text)
    renderer = root.find("pipe/rasterrenderer")
    assert renderer is not None
    assert renderer.get("type") == "paletted"
    entries = [(entry.get("value"), entry.get("label"), entry.get("color")) for entry in root.iter("paletteEntry")]
    assert entries == [(str(entry.value), entry.title, entry.color) for entry in loaded.classes]
    nodata = stored_nodata(loaded)
    hidden = [entry.get("min") for entry in root.iter("pixelListEntry")]
    assert hidden == ([] if nodata is None else [str(nodata)])
