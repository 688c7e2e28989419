"""The page of a model's life shows its ledger and needs nothing but itself."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from undercast.reports import life_page as module
from undercast.reports.life_page import life_page, write_life_page

if TYPE_CHECKING:
    import pytest

HOSTILE = '<script>alert(1)</script> & "quoted" \x00 \ud800 http://evil.example/x'
RULE = {"rule": "cloud_f2 >= 0.9", "found": 0.8123, "where": "overall", "reason": "the threshold is not kept"}


def entry(number: int, event: str, state: str, **facts: Any) -> dict[str, Any]:
    model = {"id": "tiny", "version": "1.0.0", "weights": {"one": "1220ab"}, "training": {"files": 7}}
    return {
        "entry": number,
        "at": f"2024-01-{number:02}T00:00:00+00:00",
        "by": "Ada",
        "event": event,
        "state": state,
        "hash": f"{number:064x}",
        "facts": {"model": model, **facts},
    }


def life() -> list[dict[str, Any]]:
    drift = {
        "bands": {"red": {"psi": 0.3141, "distance": 0.0123}, "nir": {"psi": None, "distance": None}},
        "cloud_fraction": {"before": 0.2, "now": 0.4},
        "uncertainty": {"before": 0.1, "now": 0.2},
        "figures": {"band_psi": 0.3141, "band_distance": None, "cloud_fraction_change": 0.2},
    }
    failed = {"passed": False, "sha256": "cd" * 32, "rules": [{**RULE, "passed": False}]}
    samples = [{"name": "scene_a", "sha256": "ef" * 32, "labelled": True, "errors": 0.25}]
    return [
        entry(1, "begun", "DEVELOPMENT"),
        entry(2, "promoted", "COMMISSIONING", report={"sha256": "ab" * 32, "data": {"hash": "12" * 32}}),
        entry(3, "refused", "COMMISSIONING", gate=failed),
        entry(4, "promoted", "PRODUCTION"),
        entry(5, "promoted", "MONITORING"),
        entry(6, "monitored", "MONITORING", gate=failed, drift=drift),
        entry(7, "opened", "MONITORING", samples=samples),
    ]


class Tags(HTMLParser):
    """Collects opened elements, and checks that each is closed in its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 (the parser's signature)
        self.seen.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 (the parser's signature)
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_every_entry_is_a_dot_and_a_row_and_every_state_a_lane() -> None:
    page = life_page(life(), needs=["a retrained package"])
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    assert len(re.findall('class="step ', page)) == 7
    assert len(re.findall('class="step failed', page)) == 2
    assert len(re.findall('class="step opened', page)) == 1
    for text in (
        "COMMISSIONING",
        "Refused by its gate",
        "Retraining opened",
        "scene_a",
        "0.3141",
        "a retrained package",
    ):
        assert text in page
    assert (
        page.index("<h2>Timeline") < page.index("<h2>Drift") < page.index("<h2>Gates") < page.index("<h2>Retrainings")
    )


def test_a_young_life_has_no_empty_sections() -> None:
    page = life_page(life()[:1])
    assert "<h2>Timeline" in page
    assert not re.search("<h2>(Drift|Gates|Retrainings|Next step)", page)


def test_nothing_is_loaded_and_hostile_texts_stay_texts(tmp_path: Path) -> None:
    entries = life()
    entries[0]["by"] = HOSTILE
    entries[5]["facts"]["gate"]["rules"][0]["rule"] = HOSTILE
    entries[6]["facts"]["samples"] = [{"name": HOSTILE}, "no sample"]
    entries[6]["facts"]["model"]["id"] = HOSTILE
    page = write_life_page(entries, tmp_path / "life.html", needs=[HOSTILE]).read_text("utf-8")
    assert "<script" not in page
    assert "default-src &#x27;none&#x27;" in page
    assert not re.search(r'(?:src|href)="(?!#)', page)


def test_parts_that_are_missing_or_of_another_kind_are_dashes() -> None:
    entries = [entry(1, "begun", "DEVELOPMENT"), entry(2, "monitored", "MONITORING", gate=[], drift=5, report="x")]
    entries[0]["facts"] = {}
    assert "<h2>Drift" in life_page(entries)


def test_of_a_long_life_the_newest_rows_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 3)
    assert "4 older rows are in the ledger." in life_page(life())
