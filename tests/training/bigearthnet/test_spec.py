"""A spec has the layers of its configuration with their statistics, in the order of its version."""

from __future__ import annotations

from typing import Any

import pytest

from undercast.errors import UsageError
from undercast.scene_labels import load_nomenclature
from undercast.training.bigearthnet.spec import make_bands, make_spec


def test_the_two_orders_of_all_bands() -> None:
    assert [band.name for band in make_bands("all", "v0.2.0")][:3] == ["VV", "VH", "B02"]
    assert [band.name for band in make_bands("all", "v0.1.1")][-2:] == ["VH", "VV"]
    assert {band.name for band in make_bands("all", "v0.1.1")} == {band.name for band in make_bands("all", "v0.2.0")}


def test_statistics_and_wavelengths_stand_with_their_layers() -> None:
    radar, blue = make_bands("10m_s1", "v0.2.0")[1:3]
    assert (radar.name, radar.band, radar.mean) == ("VH", None, -19.352558135986328)
    assert (blue.name, blue.mean) == ("B02", 438.3720703125)
    assert blue.band is not None
    assert blue.band.common_name == "blue"


def test_the_labels_are_in_lexicographic_order() -> None:
    assert make_spec("rgb", "v0.2.0", id="x", version="1").labels == load_nomenclature().labels


def test_unknown_configurations_are_refused() -> None:
    wrong: Any = "v0.3.0"
    pairs: tuple[tuple[str, Any], ...] = (("most", "v0.2.0"), ("all", wrong))
    for configuration, order in pairs:
        with pytest.raises(UsageError, match=r"is not known\. Known: v0\.1\.1: s1"):
            make_bands(configuration, order)
