"""The card says what the record of the training says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from undercast.training.card import write_card
from undercast.training.recipe import Recipe

RECORD: dict[str, Any] = {
    "made_with": {"undercast": "0.9"},
    "presets": {"balanced": {"cloud": 0.3}, "f2": {"cloud": 0.15}},
    "calibration": {"temperature": 1.25, "cloud": 0.5},
    "chips": {"simulated": 6},
    "data_sha256": {"human.npz": "00", "clear.npz": "01"},
    "validation_on_simulated": {"simulated_cloud_f1": 0.9, "simulated_shadow_f1": 0.5},
    "held_out": {},
}


def test_the_card_names_sources_licences_thresholds_and_calibration(recipe: Recipe, chips: Path) -> None:
    card = write_card(recipe, chips, RECORD)
    fitted = "temperature +1.25, cloud +0.50"
    for said in ("| drawn_l8 | CC0-1.0 |", "| drawn_clear | CC-BY-4.0 |", "`f2` 0.15", fitted, "0.500"):
        assert said in card
    assert "drawn_weak" not in card
    assert "held-out" not in card


def test_figures_on_held_out_chips_are_told_where_there_are_folds(recipe: Recipe, chips: Path) -> None:
    figures = {"cloud_f1": 0.91, "cloud_f2": 0.93, "cloud_ece": 0.05, "shadow_f1": None}
    clear = {"scenes": 3, "false_cloud": 0.0123, "worst": {"a.npz": 0.25, "b.npz": 0.01}}
    found = {"labelled": {"drawn_l8: all": figures}, "clear": clear}
    folded = replace(
        recipe, data=replace(recipe.data, folds=2), optimise=replace(recipe.optimise, pretrain_steps=7, steps=9)
    )
    card = write_card(folded, chips, RECORD | {"held_out": {"f2": found}})
    assert "threshold `f2`" in card
    assert "| drawn_l8: all | 0.910 | 0.930 | 0.050 | - |" in card
    assert "1.23 % of the pixels;\n25.0 % of the worst scene" in card
    assert "7 steps on simulated chips alone, then 9 steps" in card
