"""Package: the card of a package's folder, built anew or checked as it lies there."""

from __future__ import annotations

from pathlib import Path

from undercast.errors import ModelError
from undercast.models.card.fields import CardSource, build_card
from undercast.models.card.lint import CardFault, lint_card
from undercast.models.card.template import read_template
from undercast.models.documents import load_json
from undercast.models.table import Table

RECORD = "evaluation.json"
"""Evaluation record of a package."""
CARD = "card.md"
"""Model card of a package."""
PICTURE = "example.png"
"""Example picture of a package."""


def card_source(item: Path) -> CardSource:
    """Read what the card of a package is made of.

    Args:
        item: The package's item; the evaluation record and the example picture lie beside it, where it has them.

    Raises:
        ModelError: If the item or the record cannot be read.
    """
    table = Table(values=load_json(item), origin=str(item))
    record = item.parent / RECORD
    return CardSource(
        properties=table.table("properties").values,
        record=load_json(record) if record.is_file() else {},
        picture=PICTURE if (item.parent / PICTURE).is_file() else None,
    )


def package_card(item: Path, template: str | None = None) -> str:
    """Build the card of a package from its item and its evaluation record.

    Args:
        item: The package's item.
        template: Markdown with placeholders; undercast's own unless given.

    Raises:
        ModelError: If the template has a placeholder that is not known, or the item or the record cannot be read.
    """
    return build_card(card_source(item), template)


def card_faults(item: Path, card: Path | None = None) -> tuple[CardFault, ...]:
    """Hold a card against the item and the evaluation record of its package.

    Args:
        item: The package's item.
        card: The card; the package's own unless given.

    Raises:
        ModelError: If the card, the item or the record cannot be read; a package without record has no figures.
    """
    source = card_source(item)
    if not source.record:
        msg = f"{item.parent}: expected an evaluation record ({RECORD}) to hold the card against, found none."
        raise ModelError(msg)
    return lint_card(read_template(card or item.parent / CARD), [source.properties, source.record])
