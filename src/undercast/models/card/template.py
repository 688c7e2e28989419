"""Template: a card with placeholders, each filled exactly once and none left over."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from undercast.errors import ModelError
from undercast.models.documents import LARGEST_ITEM

PLACEHOLDER = re.compile(r"<([A-Z][A-Z0-9_]*)>")
"""A placeholder, such as ``<AP_MACRO>``."""


def default_template() -> str:
    """Give the template that comes with undercast."""
    return (resources.files("undercast") / "data" / "cards" / "model_card.md").read_text("utf-8")


def read_template(path: Path) -> str:
    """Read a card, or a person's own template of one.

    Raises:
        ModelError: If it cannot be read, is too large or is no text.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_ITEM + 1)
        if len(data) <= LARGEST_ITEM:
            return data.decode("utf-8")
    except OSError as error:
        msg = f"card {path} cannot be read: {error.strerror or error}."
        raise ModelError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"card {path}: expected text in UTF-8, got {error}."
        raise ModelError(msg) from error
    msg = f"card {path}: expected at most {LARGEST_ITEM} bytes."
    raise ModelError(msg)


def fill(template: str, fields: Mapping[str, str]) -> str:
    """Put fields in the places of their placeholders, in one pass: a field's own text is never filled again.

    Args:
        template: Markdown with placeholders.
        fields: Placeholder -> text; angle brackets that would look like a placeholder are escaped.

    Raises:
        ModelError: If the template has a placeholder that is no field; the message lists the known ones.
    """
    unknown = sorted(set(PLACEHOLDER.findall(template)) - set(fields))
    if unknown:
        known = ", ".join(name for name in fields if not name[-1].isdigit())
        msg = (
            f"card template: placeholders {', '.join(f'<{name}>' for name in unknown)} are not known."
            f" Known: {known}, LABEL_1, SCORE_1, LABEL_2 and so on."
        )
        raise ModelError(msg)
    return PLACEHOLDER.sub(lambda found: _safe(fields[found[1]]), template)


def _safe(text: str) -> str:
    return PLACEHOLDER.sub(lambda found: f"&lt;{found[1]}&gt;", text)
