"""Bands are named by people and matched by wavelength."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undercast.bands import (
    COMMON_WAVELENGTHS,
    SYNONYMS,
    Band,
    band_from_name,
    canonical_name,
    match_bands,
    response_weights,
    tolerance_um,
)
from undercast.errors import BandError
from undercast.sensors import load_sensor

EMBEDDED = ("blue", "green", "red", "nir", "swir16", "swir22", "cirrus")


def band(name: str, center: float, width: float = 0.05) -> Band:
    return Band(name=name, common_name=name, center_wavelength=center, full_width_half_max=width)


bands = st.builds(
    band,
    st.sampled_from(list(COMMON_WAVELENGTHS)),
    st.floats(0.4, 2.4),
    st.floats(0.01, 0.2),
)
lists = st.lists(bands, max_size=8)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("red", "red"),
        (" NIR ", "nir"),
        ("nir-08", "nir08"),
        ("SWIR 1", "swir16"),
        ("swir_22", "swir22"),
        ("R", "red"),
        ("B04", None),
        ("", None),
    ],
)
def test_a_name_is_recognised_whatever_its_spelling(text: str, name: str | None) -> None:
    assert canonical_name(text) == name


def test_every_synonym_leads_to_a_common_name() -> None:
    assert set(SYNONYMS.values()) <= set(COMMON_WAVELENGTHS)
    assert all(canonical_name(text) == name for text, name in SYNONYMS.items())


def test_a_band_made_of_a_name_has_the_typical_wavelength() -> None:
    made = band_from_name("SWIR1", gsd=20.0)
    assert (made.name, made.common_name, made.center_wavelength, made.gsd) == ("SWIR1", "swir16", 1.61, 20.0)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BandError, match=r"band 'B04' is not a known common name\. Known: coastal, blue"):
        band_from_name("B04")


def test_a_common_name_wins_over_a_nearer_wavelength() -> None:
    (match,) = match_bands([band("nir", 0.84, 0.11)], [band("nir08", 0.842), band("nir", 0.81)])
    assert match.index == 1
    assert match.distance_um == pytest.approx(0.03)


def test_the_nearest_wavelength_wins_where_no_name_agrees() -> None:
    (match,) = match_bands([band("nir", 0.84, 0.11)], [band("x", 0.80), band("y", 0.85), band("z", 0.90)])
    assert match.index == 1
    assert match.distance_um == pytest.approx(0.01)


def test_a_band_is_used_once_even_where_two_want_it() -> None:
    first, second = match_bands([band("nir", 0.84, 0.11), band("nir08", 0.865, 0.03)], [band("nir08", 0.865)])
    assert (first.index, second.index) == (None, 0)


def test_a_name_alone_does_not_bridge_a_wrong_wavelength() -> None:
    (match,) = match_bands([band_from_name("red")], [band("red", 1.6)])
    assert match.index is None
    assert match.distance_um == 0.0


def test_blue_takes_the_green_band_of_no_sensor() -> None:
    for name in ("sentinel-2a-msi", "landsat-8-oli", "spot-5-hrg", "spot-4-hrvir", "pleiades-hiri"):
        greens = [have for have in load_sensor(name).bands if have.common_name == "green"]
        assert len(greens) == 1
        assert match_bands([band_from_name("blue")], greens)[0].index is None


@pytest.mark.parametrize(
    ("sensor", "names"),
    [
        ("sentinel-2a-msi", "B02 B03 B04 B08 B11 B12 B10"),
        ("sentinel-2b-msi", "B02 B03 B04 B08 B11 B12 B10"),
        ("sentinel-2c-msi", "B02 B03 B04 B08 B11 B12 B10"),
        ("landsat-8-oli", "B2 B3 B4 B5 B6 B7 B9"),
        ("landsat-9-oli", "B2 B3 B4 B5 B6 B7 B9"),
        ("landsat-7-etm", "B1 B2 B3 B4 B5 B7 -"),
        ("landsat-5-tm", "B1 B2 B3 B4 B5 B7 -"),
        ("landsat-4-tm", "B1 B2 B3 B4 B5 B7 -"),
        ("spot-vgt-1", "B0 - B2 B3 MIR - -"),
        ("spot-vgt-2", "B0 - B2 B3 MIR - -"),
        ("proba-v", "BLUE - RED NIR SWIR - -"),
        ("spot-4-hrvir", "- XS1 XS2 XS3 SWIR - -"),
        ("spot-5-hrg", "- XS1 XS2 XS3 SWIR - -"),
        ("pleiades-hiri", "B0 B1 B2 B3 - - -"),
    ],
)
def test_a_sensor_gives_the_embedded_model_the_bands_that_an_expert_would(sensor: str, names: str) -> None:
    offered = load_sensor(sensor).bands
    matches = match_bands([band_from_name(name) for name in EMBEDDED], offered)
    given_names = ["-" if match.index is None else offered[match.index].name for match in matches]
    assert given_names == names.split()


@given(lists, lists)
def test_matches_keep_the_order_lie_within_tolerance_and_never_share_a_band(
    wanted: list[Band], offered: list[Band]
) -> None:
    matches = match_bands(wanted, offered)
    assert [match.wanted for match in matches] == wanted
    used = [match.index for match in matches if match.index is not None]
    assert len(used) == len(set(used))
    for match in matches:
        if match.index is not None:
            distance = abs(match.wanted.center_wavelength - offered[match.index].center_wavelength)
            assert match.distance_um == distance <= tolerance_um(match.wanted)


@given(st.lists(bands, max_size=8, unique_by=lambda value: (value.name, value.center_wavelength)))
def test_a_sensor_with_the_wanted_bands_gives_each_band_itself(wanted: list[Band]) -> None:
    assert all(match.distance_um == 0.0 and match.index is not None for match in match_bands(wanted, wanted))


@given(
    st.lists(st.tuples(st.floats(0.45, 2.3), st.floats(0.01, 0.3)), max_size=8),
    st.sampled_from(sorted(COMMON_WAVELENGTHS)),
)
def test_response_weights_are_shares_of_bands_that_are_near(offered: list[tuple[float, float]], name: str) -> None:
    wanted = band_from_name(name)
    bands = [
        Band(name=str(place), common_name="", center_wavelength=center, full_width_half_max=width)
        for place, (center, width) in enumerate(offered)
    ]
    weights = response_weights(wanted, bands)
    near = [abs(band.center_wavelength - wanted.center_wavelength) <= tolerance_um(wanted) for band in bands]
    assert (weights >= 0).all()
    assert not weights[~np.array(near, bool)].any()
    assert weights.sum() == pytest.approx(float(any(near)))


def test_two_halves_of_a_band_stand_for_it_together_and_the_band_itself_alone() -> None:
    nir = band_from_name("nir")
    halves = [replace(nir, center_wavelength=center, full_width_half_max=0.055) for center in (0.81, 0.87)]
    assert response_weights(nir, halves) == pytest.approx([0.5, 0.5], abs=0.02)
    assert response_weights(nir, [*halves, nir]) == pytest.approx([0.0, 0.0, 1.0])
