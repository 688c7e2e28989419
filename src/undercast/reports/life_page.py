"""The page of a model's life: its ledger as a timeline, in one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

from undercast.reports.charts import Frame, Scale, picture
from undercast.reports.content import shortened
from undercast.reports.evaluation_page import POLICY
from undercast.reports.files import write_text
from undercast.reports.markup import Markup, element, join
from undercast.reports.wording import UNDEFINED, plain, short, whole

Row = Mapping[str, Any]
"""An entry of a ledger, or a part of one, as its line has it."""

Place = tuple[float, float]
"""From the left and from the top, in pixels."""

LANES = ("MONITORING", "PRODUCTION", "COMMISSIONING", "DEVELOPMENT")
"""States, from top to bottom."""
EVENTS: Mapping[str, str] = {
    "begun": "Begun",
    "promoted": "Promoted",
    "refused": "Refused by its gate",
    "monitored": "Monitored",
    "opened": "Retraining opened",
    "retrained": "Retrained",
}
"""What happened -> how it is written."""
DRIFT: Mapping[str, str] = {
    "band_psi": "Population stability index, worst band",
    "band_distance": "Wasserstein distance, worst band (reflectance)",
    "cloud_fraction_change": "Change of the cloud fraction",
    "uncertainty_change": "Change of the uncertainty",
}
"""Figures of drift -> how they are written."""
MOST_ROWS = 200
"""Rows of a table; the newest are shown, the others are in the ledger."""
HASH_LENGTH = 10
"""Digits of a hash that the table of entries shows; the ledger has them all."""
LANE_PX = 46
"""Height of a lane."""
STEP_PX = 54
"""Distance between two entries, along the timeline."""

TIMELINE_EXPLAINED = (
    "Each mark is an entry of the ledger, in its order: a dot passed, a square did not pass its gate, and a diamond "
    "opens a retraining. The line is the state that the model was in; the version below is the one from there on."
)
DRIFT_EXPLAINED = (
    "New scenes against those that were recorded when monitoring began. The population stability index compares "
    "shares of pixels in tenths of the reference (rule of thumb: below 0.1 stable, above 0.25 another population); the "
    "Wasserstein distance is the mean distance between quantiles of equal rank. Pixels of a scene are not independent "
    "of each other, so neither is a test."
)
GATES_EXPLAINED = "What was found for each rule that a step was held against, over the entries and as a table."
SAMPLES_EXPLAINED = "Samples that a retraining was opened with, known by their SHA-256. Errors: share of wrong pixels."
ENTRIES_EXPLAINED = (
    "Each entry holds the SHA-256 of the one before. The last hash stands for the whole ledger: keep it elsewhere, "
    "and nothing can be cut off at the end unseen."
)


def write_life_page(entries: Sequence[Row], path: str | Path, *, needs: Sequence[str] = ()) -> Path:
    """Write a model's life as one HTML page.

    Args:
        entries: Entries of a ledger whose chain holds, as its lines have them; at least one.
        path: Where to; an older file is replaced once the new one is complete.
        needs: What the next step needs, one line each.

    Returns:
        The path.

    Raises:
        OutputError: If the file cannot be written.
    """
    return write_text(life_page(entries, needs=needs), path)


def life_page(entries: Sequence[Row], *, needs: Sequence[str] = ()) -> str:
    """Give a model's life as the text of one HTML page."""
    folder = resources.files("undercast.reports")
    style = "\n".join((folder / name).read_text("utf-8") for name in ("evaluation_page.css", "life_page.css"))
    title = f"The life of {_model(entries).get('id', UNDEFINED)}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Markup(style)),
    )
    sections = list(_sections(entries))
    links = [element("a", name, href=f"#{anchor}") for anchor, name, _ in sections]
    body = element(
        "main",
        _header(title, entries, needs),
        element("nav", *links, aria_label="Sections"),
        *(element("section", element("h2", name), *parts, id=anchor) for anchor, name, parts in sections),
    )
    return "<!DOCTYPE html>\n" + element("html", head, element("body", body), lang="en") + "\n"


def _sections(entries: Sequence[Row]) -> Iterator[tuple[str, str, Sequence[Markup]]]:
    """Give anchor, title and content of each section that has something to say."""
    yield "timeline", "Timeline", (_explain(TIMELINE_EXPLAINED), _timeline(entries))
    watched = [entry for entry in entries if entry["event"] == "monitored"]
    if watched:
        yield "drift", "Drift", (_explain(DRIFT_EXPLAINED), _drift_charts(watched), _bands(watched[-1]))
    if any(_rules(entry) for entry in entries):
        yield "gates", "Gates", (_explain(GATES_EXPLAINED), _gate_charts(entries), _gates(entries))
    opened = [entry for entry in entries if entry["event"] == "opened"]
    if opened:
        yield "samples", "Retrainings", (_explain(SAMPLES_EXPLAINED), _samples(opened))
    yield "entries", "Entries", (_explain(ENTRIES_EXPLAINED), _entries(entries))


def _header(title: str, entries: Sequence[Row], needs: Sequence[str]) -> Markup:
    last, model = entries[-1], _model(entries)
    groups = {
        "Model": [
            ("Version", str(model.get("version", UNDEFINED))),
            *((f"Weights {name}", shortened(str(value))) for name, value in _part(model, "weights").items()),
            ("Trained on", f"{plain(_part(model, 'training').get('files'))} files"),
        ],
        "Ledger": [
            ("Entries", whole(len(entries))),
            ("From", str(entries[0]["at"])),
            ("To", str(last["at"])),
            ("Last hash", str(last["hash"])),
        ],
        "Next step": [(str(number), line) for number, line in enumerate(needs, start=1)],
    }
    return element(
        "header",
        element("h1", title, class_="user"),
        element("p", "State ", element("span", str(last["state"]), class_="state"), class_="lead"),
        element("div", *(_facts(name, pairs) for name, pairs in groups.items() if pairs), class_="facts"),
    )


def _facts(title: str, pairs: Iterable[tuple[str, str]]) -> Markup:
    parts = [part for name, value in pairs for part in (element("dt", name), element("dd", value))]
    return element("section", element("h2", title), element("dl", *parts))


def _timeline(entries: Sequence[Row]) -> Markup:
    """Draw the states as lanes, with a dot for every entry."""
    left, top = 120, 24
    bottom = top + LANE_PX * (len(LANES) - 1)
    places = [(left + STEP_PX * (index + 0.5), _lane(entry, top)) for index, entry in enumerate(entries)]
    width = left + STEP_PX * len(entries)
    parts = []
    for index, name in enumerate(LANES):
        line = top + LANE_PX * index
        parts += [
            element("text", name, class_="lane", x=0, y=line + 4),
            element("line", class_="grid", x1=left, x2=width, y1=line, y2=line),
        ]
    corners = (corner for before, here in pairwise(places) for corner in ((here[0], before[1]), here))
    stairs = [places[0], *corners]
    parts.append(element("polyline", class_="path", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in stairs)))
    told_before: tuple[str, str] = ("", "")
    for index, (entry, (x, y)) in enumerate(zip(entries, places, strict=True), start=1):
        model = _model(entries[:index])
        told = f"{entry['entry']}: {_event(entry)}, {model.get('version', '')}, {entry['at']}, {entry['by']}"
        parts.append(element("g", element("title", told), _mark(entry, x, y)))
        labels = str(entry["at"])[:10], str(model.get("version", ""))
        shown = (
            str(entry["entry"]),
            *(new if new != old else "" for new, old in zip(labels, told_before, strict=True)),
        )
        told_before = labels
        for line, text in enumerate(shown):
            parts.append(element("text", text, x=x, y=bottom + 24 + 16 * line, text_anchor="middle"))
    drawn = picture(join(parts), (width, bottom + 64), title="States of the model, entry by entry")
    return element("div", drawn, class_="scroll")


def _lane(entry: Row, top: int) -> float:
    return float(top + LANE_PX * LANES.index(str(entry["state"])))


def _mark(entry: Row, x: float, y: float) -> Markup:
    """Draw an entry as a dot, a square or a diamond."""
    verdict = _verdict(entry)
    if verdict == "passed":
        return element("circle", class_="step passed", cx=x, cy=y, r=6)
    turn = f"rotate(45 {x:.1f} {y:.1f})" if verdict == "opened" else None
    return element("rect", class_=f"step {verdict}", x=x - 5, y=y - 5, width=10, height=10, transform=turn)


def _drift_charts(watched: Sequence[Row]) -> Markup:
    charts = []
    for name, title in DRIFT.items():
        found = [(entry, _part(_part(entry["facts"], "drift"), "figures").get(name)) for entry in watched]
        charts.append(_chart(title, found))
    return element("div", *charts, class_="charts")


def _gate_charts(entries: Sequence[Row]) -> Markup:
    """Plot what was found for each rule that more than one step was held against; drift has its own section."""
    found: dict[str, list[tuple[Row, object]]] = {}
    for entry in entries:
        for rule in _rules(entry):
            found.setdefault(str(rule.get("rule")), []).append((entry, rule.get("found")))
    charts = [
        _chart(rule, points) for rule, points in found.items() if len(points) > 1 and rule.split(" ")[0] not in DRIFT
    ]
    return element("div", *charts, class_="charts")


def _chart(title: str, found: Sequence[tuple[Row, object]]) -> Markup:
    """Plot a figure over the entries; nothing is drawn where it is undefined."""
    numbers = [float(entry["entry"]) for entry, _ in found]
    points = [(float(entry["entry"]), number) for entry, value in found if (number := _number(value)) is not None]
    low, high = min((value for _, value in points), default=0.0), max((value for _, value in points), default=0.0)
    frame = Frame(
        x=Scale(low=min(numbers) - 0.5, high=max(numbers) + 0.5, start=44, end=314),
        y=Scale(low=min(0.0, low), high=1.1 * high if high > 0 else 1.0, start=140, end=22),
        x_title="entry",
        y_title="",
        write_x=lambda value: short(value) if value.is_integer() else "",
    )
    heading = element("text", title, class_="name", x=frame.x.start, y=12)
    return picture(join((heading, frame.axes(), frame.line(points, "cloud"))), (330, 178), title=title)


def _bands(entry: Row) -> Markup:
    """Give drift band by band at the last monitoring."""
    drift = _part(entry["facts"], "drift")
    bands = _part(drift, "bands")
    rows = [
        (str(name), _written(_part(bands, name).get("psi")), _written(_part(bands, name).get("distance")))
        for name in bands
    ]
    cloud, uncertainty = _part(drift, "cloud_fraction"), _part(drift, "uncertainty")
    told = (
        f"At entry {entry['entry']}, before and now: cloud fraction {_written(cloud.get('before'))} and"
        f" {_written(cloud.get('now'))}, uncertainty {_written(uncertainty.get('before'))} and"
        f" {_written(uncertainty.get('now'))}."
    )
    return join((_explain(told), _table(("Band", "Stability index", "Wasserstein distance"), rows)))


def _gates(entries: Sequence[Row]) -> Markup:
    rows = [
        (
            str(entry["entry"]),
            _event(entry),
            str(rule.get("rule")),
            _written(rule.get("found")),
            str(rule.get("where")),
            "passed" if rule.get("passed") else "FAILED",
            str(rule.get("reason")),
        )
        for entry in reversed(entries)
        for rule in _rules(entry)
    ]
    return _table(("Entry", "Step", "Rule", "Found", "Where", "Verdict", "Why"), rows)


def _samples(opened: Sequence[Row]) -> Markup:
    rows = [
        (
            str(entry["entry"]),
            str(sample.get("name")),
            "yes" if sample.get("labelled") else "to be labelled",
            _written(sample.get("errors")),
            str(sample.get("sha256")),
        )
        for entry in reversed(opened)
        for sample in _list(entry["facts"], "samples")
    ]
    return _table(("Entry", "Sample", "Labelled", "Errors", "SHA-256"), rows)


def _entries(entries: Sequence[Row]) -> Markup:
    rows = []
    for entry in reversed(entries):
        facts = entry["facts"]
        report, gate = _part(facts, "report"), _part(facts, "gate")
        rows.append(
            (
                str(entry["entry"]),
                str(entry["at"])[:16].replace("T", " "),
                str(entry["by"]),
                _event(entry),
                str(entry["state"]),
                str(_part(facts, "model").get("version", UNDEFINED)),
                _hash(report.get("sha256")),
                _hash(_part(report, "data").get("hash")),
                _hash(gate.get("sha256")),
                _hash(entry["hash"]),
            )
        )
    return _table(("Entry", "When", "Who", "Step", "State", "Version", "Report", "Data", "Gate", "Hash"), rows)


# ----------------------------------------------------------------------------------------------------------- pieces


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    body = [
        element("tr", *(element("td", cell, class_="text failed" if cell == "FAILED" else "text") for cell in row))
        for row in rows[:MOST_ROWS]
    ]
    head = element("thead", element("tr", *(element("th", name, class_="text") for name in heads)))
    table = element("div", element("table", head, element("tbody", *body), class_="wide"), class_="scroll")
    left_out = len(rows) - len(body)
    note = _explain(f"{whole(left_out)} older rows are in the ledger.") if left_out > 0 else None
    return join((table, note))


def _explain(text: str) -> Markup:
    return element("p", text, class_="explain")


def _event(entry: Row) -> str:
    return EVENTS.get(str(entry["event"]), str(entry["event"]))


def _verdict(entry: Row) -> str:
    """Give the class of an entry's dot."""
    if entry["event"] == "opened":
        return "opened"
    return "passed" if _part(entry["facts"], "gate").get("passed", True) else "failed"


def _model(entries: Sequence[Row]) -> Row:
    """Give the model of the newest of some entries that names one which is in its life, not one that was refused."""
    named = [entry for entry in entries if entry["event"] != "refused"] or entries
    return _part(named[-1]["facts"], "model")


def _rules(entry: Row) -> list[Row]:
    return _list(_part(entry["facts"], "gate"), "rules")


def _part(row: Row, key: str) -> Row:
    """Give an object inside another; an empty one where there is none."""
    part = row.get(key)
    return part if isinstance(part, Mapping) else {}


def _list(row: Row, key: str) -> list[Row]:
    part = row.get(key)
    return [one for one in part if isinstance(one, Mapping)] if isinstance(part, list) else []


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _written(value: object) -> str:
    number = _number(value)
    return UNDEFINED if number is None else f"{number:.4f}"


def _hash(value: object) -> str:
    return value[:HASH_LENGTH] if isinstance(value, str) else UNDEFINED
