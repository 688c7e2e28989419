"""The record of a training says on what conditions its data came, and what its model cannot do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from undercast.training.card import told_on_card
from undercast.training.recipe import Recipe

RECORD: dict[str, Any] = {"data_sha256": {"human.npz": "00", "clear.npz": "01"}}


def test_sources_of_training_chips_stand_with_their_licences(recipe: Recipe, chips: Path) -> None:
    told = told_on_card(recipe, chips, RECORD)
    assert told["licences"] == {"drawn_clear": ["CC-BY-4.0"], "drawn_l8": ["CC0-1.0"]}


def test_limits_say_what_thresholds_were_chosen_on(recipe: Recipe, chips: Path) -> None:
    assert told_on_card(recipe, chips, RECORD)["limits"][0].endswith("chosen on labelled training chips.")
    folded = replace(recipe, data=replace(recipe.data, folds=2))
    assert "held out of the training, fold by fold" in told_on_card(folded, chips, RECORD)["limits"][0]
