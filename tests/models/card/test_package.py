"""The card of a package's folder is built from what lies in it, and held against it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from undercast.errors import ModelError
from undercast.models.card.package import card_faults, card_source, package_card


@pytest.fixture
def folder(make: SimpleNamespace, tmp_path: Path) -> Path:
    made: Path = make.tiny_classifier(tmp_path / "package")
    return made


def test_the_card_of_a_package_is_what_its_folder_leads_to(folder: Path) -> None:
    assert package_card(folder / "item.json") == (folder / "card.md").read_text("utf-8")
    assert card_faults(folder / "item.json") == ()


def test_a_figure_that_was_changed_is_found(folder: Path) -> None:
    value = json.loads((folder / "evaluation.json").read_text("utf-8"))["scores"]["AP_macro"]["value"]
    text = (folder / "card.md").read_text("utf-8")
    (folder / "card.md").write_text(text.replace(f"{value:.4f}", f"{value + 0.0123:.4f}"), "utf-8")
    assert {fault.code for fault in card_faults(folder / "item.json")} == {"untraceable-figure"}


def test_a_precision_row_that_repeats_ap_is_found(folder: Path) -> None:
    lines = (folder / "card.md").read_text("utf-8").splitlines()
    row = next(line for line in lines if line.startswith("| AP |"))
    changed = [row.replace("| AP |", "| precision |") if line.startswith("| precision |") else line for line in lines]
    (folder / "other.md").write_text("\n".join(changed), "utf-8")
    assert [fault.code for fault in card_faults(folder / "item.json", folder / "other.md")] == ["precision-repeats-ap"]


def test_a_package_without_record_has_nothing_to_hold_a_card_against(folder: Path) -> None:
    (folder / "evaluation.json").unlink()
    assert card_source(folder / "item.json").record == {}
    with pytest.raises(ModelError, match="expected an evaluation record"):
        card_faults(folder / "item.json")
