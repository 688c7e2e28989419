"""Publishers: what is said of a model beside its item: in its card, in its links, on its publisher's page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from undercast.models.applicability import levels_in
from undercast.types import ProductLevel

LICENSES = {
    r"creativecommons\.org/licenses/by/4\.0|cc[- ]by[- ]4\.0": "CC-BY-4.0",
    r"creativecommons\.org/licenses/by-sa/4\.0|cc[- ]by[- ]sa[- ]4\.0": "CC-BY-SA-4.0",
    r"creativecommons\.org/publicdomain/zero|cc0": "CC0-1.0",
    r"apache\.org/licenses|apache[- ]2\.0": "Apache-2.0",
    r"opensource\.org/licenses?/mit|\bmit\b": "MIT",
}
"""Words or address of a licence, as a regular expression -> SPDX identifier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a publisher's own page says of a model."""

    license: str | None
    """SPDX identifier."""
    levels: tuple[ProductLevel, ...]
    """Product levels that the model was made for."""
    source: str
    """Where that stands."""


KNOWN = {
    "huggingface.co/isp-uv-es/FDR4VGT-CLOUD": Published(
        license="CC0-1.0", levels=("toa",), source="the model card of huggingface.co/isp-uv-es/FDR4VGT-CLOUD"
    )
}
"""Begin of the addresses of assets -> what the publisher's page said in November 2026."""


def published(item: Mapping[str, Any], card: str = "") -> Published | None:
    """Find what the publisher says elsewhere: in the card beside the item, else on a page that is known here."""
    if card:
        found = re.search(r"^license:\s*['\"]?([\w.+-]+)", card, re.MULTILINE)
        return Published(
            license=spdx(found.group(1)) if found else None,
            levels=levels_in(card),
            source="the card beside the item",
        )
    addresses = [str(json_object(asset).get("href", "")) for asset in json_object(item.get("assets")).values()]
    for place, said in KNOWN.items():
        if any(place in address for address in addresses):
            return said
    return None


def spdx(text: str) -> str:
    """Give the SPDX identifier of a licence by its words or address; other text as it is."""
    return next((name for words, name in LICENSES.items() if re.search(words, text, re.IGNORECASE)), text)


def link_license(item: Mapping[str, Any]) -> str | None:
    """Give the licence that an item's link says; None where there is no link."""
    links = item.get("links")
    rows = [row for row in links if isinstance(row, dict)] if isinstance(links, list) else []
    found = next((row for row in rows if row.get("rel") == "license"), None)
    return None if found is None else spdx(f"{found.get('href', '')} {found.get('title', '')}")


def json_object(value: object) -> dict[str, Any]:
    """Give a JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}
