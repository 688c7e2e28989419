"""A cloud model's card says operating points, held-out figures and licences, and what the record lacks."""

from __future__ import annotations

from typing import Any

from undercast.models.card.cloud_fields import cloud_fields

FIGURES = {"cloud_f1": 0.91, "cloud_f2": 0.93, "cloud_ece": 0.05, "shadow_f1": None}
CLEAR = {"scenes": 3, "false_cloud": 0.0123, "worst": {"a.npz": 0.25, "b.npz": 0.01}}
RECORD: dict[str, Any] = {
    "held_out": {"f2": {"labelled": {"drawn_l8: all": FIGURES}, "clear": CLEAR}},
    "chips": {"drawn_l8": 4, "simulated": 6},
    "licences": {"drawn_l8": ["CC0-1.0"]},
    "calibration": {"temperature": 1.25},
    "limits": ["Thin cloud counts as clear."],
}
PROPERTIES: dict[str, Any] = {
    "eo:bands": [{"name": "red"}, {"name": "nir"}],
    "undercast:optional_bands": ["nir"],
    "undercast:presets": {"f2": {"cloud": 0.15}},
}


def test_facts_name_bands_points_and_calibration() -> None:
    facts = cloud_fields(PROPERTIES, RECORD).facts
    assert (facts["needs"], facts["is better with"]) == ("red", "nir")
    assert facts["thresholds"] == "`f2` cloud 0.15"
    assert facts["calibration"] == "temperature 1.25"


def test_a_calibration_is_told_without_its_scenes_and_with_the_one_before() -> None:
    found = {
        "kind": "undercast-calibration",
        "temperature": 0.9,
        "presets": {"f2": {"thresholds": {"cloud": 0.5}}},
        "data": {"name": "tune", "hash": "ab12", "scenes": 3},
        "hashes": ["cd34"],
        "before": {"temperature": 1.25, "cloud": 0.5},
    }
    facts = cloud_fields(PROPERTIES, RECORD | {"calibration": found}).facts
    assert facts["calibration"] == "temperature 0.9; on 3 scenes of tune; before that: temperature 1.25, cloud 0.5"


def test_figures_on_references_stand_with_their_intervals() -> None:
    report = {
        "overall": {"cloud_f1": {"value": 0.9, "low": 0.8, "high": 0.95}, "shadow_f1": {"value": None}},
        "undefined": {"shadow_f1": "no reference tells it"},
        "data": {"name": "val", "scenes": 11},
        "protocol": {"id": "pixel"},
        "interval": {"level": 0.95},
    }
    told = cloud_fields(PROPERTIES, RECORD | {"report": report}).fields["SCORES"]
    assert "On 11 scenes of val that it was not trained on; protocol pixel, intervals of 0.95." in told
    assert "| cloud f1 | 0.900 [0.800 to 0.950] |" in told
    assert "| shadow f1 | none (no reference tells it) |" in told


def test_held_out_figures_stand_at_their_threshold() -> None:
    told = cloud_fields(PROPERTIES, RECORD).fields["SCORES_BY_CLASS"]
    assert "At the threshold `f2`:" in told
    assert "| drawn_l8: all | 0.910 | 0.930 | 0.050 | none (no reference tells it) |" in told
    assert "1.23 % of the pixels; 25.0 % of the worst scene." in told


def test_records_of_older_versions_have_one_table() -> None:
    told = cloud_fields(PROPERTIES, RECORD | {"held_out": RECORD["held_out"]["f2"]}).fields["SCORES_BY_CLASS"]
    assert "At the threshold" not in told
    assert "0.910" in told


def test_licences_stand_beside_their_sources() -> None:
    data = cloud_fields(PROPERTIES, RECORD).fields["DATA"]
    assert "| drawn_l8 | 4 | CC0-1.0 |" in data
    assert "| simulated | 6 | none (simulated) |" in data


def test_an_empty_record_says_so_everywhere() -> None:
    fields = cloud_fields({}, {}).fields
    assert fields["DATA"] == fields["TRAINING"] == "none (not in the evaluation record)"
    assert fields["SCORES"].startswith("On references: none (the package was not evaluated")
    assert fields["SCORES_BY_CLASS"] == "none (the evaluation record has no held-out chips)"
    assert fields["LIMITS"].startswith("- Few real scenes")
