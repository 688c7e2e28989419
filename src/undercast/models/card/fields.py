"""Fields: what a card says, taken from a package's item and its evaluation record; a field without a value says why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from undercast.models.card.cloud_fields import cloud_fields
from undercast.models.card.scene_fields import scene_fields
from undercast.models.card.template import default_template, fill
from undercast.models.card.wording import cell, mapping, none, rows, told

SCENE_CLASSIFICATION = "scene-classification"
"""MLM's name of the task of classifiers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSource:
    """What a card is made of: every figure on it comes from here."""

    properties: Mapping[str, Any]
    """Properties of the package's item."""
    record: Mapping[str, Any] = field(default_factory=dict)
    """Evaluation record of the package."""
    picture: str | None = None
    """Name of the example picture beside the card; None: there is none."""


def build_card(source: CardSource, template: str | None = None) -> str:
    """Build a card: every placeholder of the template is filled from the item and the record.

    Args:
        source: The item's properties and the evaluation record.
        template: Markdown with placeholders; undercast's own unless given.

    Raises:
        ModelError: If the template has a placeholder that is not known.
    """
    return fill(default_template() if template is None else template, card_fields(source))


def card_fields(source: CardSource) -> dict[str, str]:
    """Give every field that a template may name, with its text."""
    properties, record = source.properties, source.record
    tasks = properties.get("mlm:tasks")
    is_scene = isinstance(tasks, list) and SCENE_CLASSIFICATION in tasks
    made = scene_fields(properties, record, source.picture) if is_scene else cloud_fields(properties, record)
    common = {
        "TITLE": cell(str(properties.get("title") or properties.get("mlm:name", ""))),
        "VERSION": told(properties.get("undercast:version") or properties.get("version"), "the item states no version"),
        "DESCRIPTION": str(properties.get("description") or none("the item has no description")),
        "LICENSE": told(properties.get("license"), "the item states no licence"),
        "ARCHITECTURE": told(properties.get("mlm:architecture"), "the item states no architecture"),
        "PARAMETERS": told(properties.get("mlm:total_parameters"), "the item does not count them"),
        "CREATED": told(properties.get("created"), "the item states no time"),
        "SOFTWARE": told(record.get("made_with")),
        "TASK": told(properties.get("mlm:tasks"), "the item states no task"),
        "SEED": told(_seed(record)),
    }
    facts = {
        "task": common["TASK"],
        **made.facts,
        "architecture": common["ARCHITECTURE"],
        "parameters": common["PARAMETERS"],
        "licence": common["LICENSE"],
        "made": common["CREATED"],
        "made with": common["SOFTWARE"],
        "seed": common["SEED"],
    }
    front = {"license": str(properties.get("license", "")).lower(), "tags": [*made.tags, "earth-observation"]}
    front_matter = "\n".join(["---", *(f"{key}: {json.dumps(value)}" for key, value in front.items()), *made.widget])
    return {**common, **made.fields, "FACTS": rows(facts), "FRONT_MATTER": f"{front_matter}\n---"}


def _seed(record: Mapping[str, Any]) -> Any:
    return record.get("seed", mapping(mapping(record.get("recipe")).get("optimise")).get("seed"))
