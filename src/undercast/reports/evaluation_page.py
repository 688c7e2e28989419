"""The evaluation page: one HTML file that needs nothing but itself, for a screen or for paper."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from undercast.evaluation.intervals import FEW_SCENES
from undercast.evaluation.report import Report
from undercast.evaluation.statistics import lower_is_better
from undercast.reports import content
from undercast.reports.charts import abstention_chart, interval_bar, reliability_chart, stress_chart
from undercast.reports.files import write_text
from undercast.reports.markup import Markup, element, join
from undercast.reports.pictures import (
    Example,
    class_legend,
    data_uri,
    error_share,
    panels,
    set_color,
    verdict_legend,
)
from undercast.reports.wording import (
    FEW,
    UNDEFINED,
    Notes,
    change,
    figure_wording,
    interval,
    number,
    plain,
    share,
    short,
    whole,
)

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""Content security policy of the page: nothing is loaded and no script runs."""

MOST_SHADE = 0.55
"""Opacity of the darkest cell of a table."""

Row = Mapping[str, Any]
"""A part of a report."""

CURVES = (("cloud_f1", "cloud"), ("shadow_f1", "shadow"))
"""Figures whose loss under stress is plotted, with the class of their curve."""


def write_page(report: Report | Mapping[str, Any], examples: Sequence[Example], path: str | Path) -> Path:
    """Write an evaluation as one HTML page.

    Args:
        report: The report, or its dict.
        examples: Scenes of the gallery, worst first.
        path: Where to; an older file is replaced once the new one is complete.

    Returns:
        The path.

    Raises:
        EvaluationError: If the dict is not a report.
        OutputError: If the file cannot be written.
    """
    return write_text(page(report, examples), path)


def page(report: Report | Mapping[str, Any], examples: Sequence[Example] = ()) -> str:
    """Give an evaluation as the text of one HTML page.

    Raises:
        EvaluationError: If the dict is not a report.
    """
    table = content.as_dict(report)
    style = (resources.files("undercast.reports") / "evaluation_page.css").read_text("utf-8")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", content.title(table)),
        element("style", Markup(style)),
    )
    sections = [section for section in _sections(table, examples) if section is not None]
    links = [element("a", name, href=f"#{anchor}") for anchor, name, _ in sections]
    body = element(
        "main",
        _header(table),
        element("nav", *links, aria_label="Sections"),
        _warnings(table),
        *(_section(anchor, name, parts) for anchor, name, parts in sections),
        _footer(table),
    )
    return "<!DOCTYPE html>\n" + element("html", head, element("body", body), lang="en") + "\n"


Section = tuple[str, str, Sequence[str | None]]
"""Anchor, title and content."""


def _sections(report: Row, examples: Sequence[Example]) -> Iterator[Section | None]:
    yield ("figures", "Key figures", (_cards(report), _classes(report)))
    yield ("strata", "By stratum", _strata(report))
    yield ("confusion", "Confusion", _confusion(report))
    yield ("calibration", "Calibration and abstention", _calibration(report))
    yield ("stress", "Stress", _stress(report)) if report["stress"] else None
    yield ("gallery", "Worst scenes", _gallery(report, examples)) if examples else None
    yield ("scenes", "Scenes", _scenes(report))


def _section(anchor: str, title: str, parts: Sequence[str | None]) -> Markup:
    return element("section", element("h2", title), *parts, id=anchor)


def _header(report: Row) -> Markup:
    groups = [element("section", element("h2", title), _pairs(pairs)) for title, pairs in content.facts(report).items()]
    return element(
        "header",
        element("h1", content.title(report), class_="user"),
        element("p", content.lead(report), class_="lead user"),
        element("div", *groups, class_="facts"),
    )


def _pairs(pairs: Iterable[tuple[str, str]]) -> Markup:
    parts: list[str] = []
    for name, value in pairs:
        parts += [element("dt", name), element("dd", value, class_="code" if name in content.CODES else None)]
    return element("dl", *parts)


def _warnings(report: Row) -> Markup | None:
    if not report["warnings"]:
        return None
    lines = [element("li", str(warning), class_="user") for warning in report["warnings"]]
    return element("div", element("strong", "Warnings"), element("ul", *lines), class_="warnings", role="note")


# ---------------------------------------------------------------------------------------------------------- figures


def _cards(report: Row) -> Markup:
    notes = Notes()
    cards = [_card(name, report, notes) for name in content.KEY_FIGURES if name in report["overall"]]
    return join((_explain(content.INTERVALS_EXPLAINED), element("div", *cards, class_="cards"), _notes(notes)))


def _card(name: str, report: Row, notes: Notes) -> Markup:
    figure = report["overall"][name]
    wording = figure_wording(name)
    return element(
        "div",
        element("div", wording.title, class_="name"),
        element("div", *_value(name, figure, report["undefined"], notes), class_="value"),
        element("div", interval(name, figure), class_="between"),
        interval_bar(figure) if wording.bar and figure["value"] is not None else None,
        class_="card",
    )


def _value(name: str, figure: Row, undefined: Row, notes: Notes) -> tuple[str, ...]:
    """Write a figure; what is undefined gets the letter of its reason."""
    if figure["value"] is not None:
        return (number(name, figure["value"]),)
    return (UNDEFINED, element("sup", notes.letter(undefined.get(name))))


def _cell(name: str, figures: Row, undefined: Row, notes: Notes) -> Markup:
    """Write a figure with its interval as a cell; empty where the report has not this figure."""
    if name not in figures:
        return element("td")
    figure = figures[name]
    between = interval(name, figure)
    return element("td", *_value(name, figure, undefined, notes), element("small", between) if between else None)


def _classes(report: Row) -> Markup:
    notes = Notes()
    kinds = [
        kind for kind in content.CLASSES if any(f"{kind}_{figure}" in report["overall"] for figure in content.OF_CLASS)
    ]
    rows = [
        element(
            "tr",
            element("th", title, class_="text", scope="row"),
            *(_cell(f"{kind}_{figure}", report["overall"], report["undefined"], notes) for figure in content.OF_CLASS),
        )
        for kind, title in ((kind, content.CLASSES[kind]) for kind in kinds)
    ]
    heads = [
        element("th", "Class", class_="text"),
        *(element("th", head, scope="col") for head in content.OF_CLASS.values()),
    ]
    return join((element("h3", "By class"), _table(heads, [element("tbody", *rows)]), _notes(notes)))


def _strata(report: Row) -> Sequence[str | None]:
    notes = Notes()
    names = content.columns(report)
    whole_row = {"scenes": report["data"]["scenes"], "pixels": content.pixels(report), "figures": report["overall"]}
    bodies = [element("tbody", _stratum("All scenes", {**whole_row, "undefined": report["undefined"]}, report, notes))]
    for kind, strata in report["strata"].items():
        label = element("th", f"By {plain(kind)}", colspan=len(names) + 4, scope="colgroup")
        rows = [_stratum(name, row, report, notes) for name, row in strata.items()]
        bodies.append(element("tbody", element("tr", label, class_="group"), *rows))
    heads = [
        element("th", "Stratum", class_="text"),
        *(element("th", head, scope="col") for head in ("Scenes", "Pixels")),
        *(element("th", figure_wording(name).title, scope="col") for name in names),
        element("th", f"{figure_wording(names[0]).title}, 0 to 1", class_="plot", scope="col"),
    ]
    few = f"{FEW} fewer than {FEW_SCENES} scenes: these intervals say little." if content.any_few(report) else None
    return (
        _explain(content.STRATA_EXPLAINED.format(figure=figure_wording(names[0]).title)),
        _table(heads, bodies),
        _notes(notes, few),
    )


def _stratum(name: str, row: Row, report: Row, notes: Notes) -> Markup:
    names = content.columns(report)
    few = element("span", f"{FEW} ", class_="few", title="few scenes") if row["scenes"] < FEW_SCENES else None
    plot = interval_bar(row["figures"][names[0]], reference=report["overall"][names[0]]["value"])
    return element(
        "tr",
        element("th", name, class_="text", scope="row"),
        element("td", few, whole(row["scenes"])),
        element("td", whole(row["pixels"])),
        *(_cell(figure, row["figures"], row["undefined"], notes) for figure in names),
        element("td", plot, class_="plot"),
        class_="total" if row["figures"] is report["overall"] else None,
    )


# -------------------------------------------------------------------------------------------------------- confusion


def _confusion(report: Row) -> Sequence[str | None]:
    merged = content.merged_matrix(report["confusion"])
    return (
        _explain(content.CONFUSION_EXPLAINED),
        element(
            "div",
            element("div", element("h3", "Clear, cloud and shadow"), _matrix(merged)),
            element(
                "div", element("h3", "Possible sets of the reference"), _matrix(content.set_matrix(report["confusion"]))
            ),
            class_="pair",
        ),
    )


def _matrix(matrix: content.Matrix) -> Markup:
    rows = []
    for possible, counts in zip(matrix.rows, matrix.counts, strict=True):
        total = sum(counts)
        cells = [
            _count(count, total, agrees=agrees) for count, agrees in zip(counts, matrix.agrees(possible), strict=True)
        ]
        label = element("th", _swatch(set_color(possible)), matrix.name(possible), class_="text", scope="row")
        rows.append(element("tr", label, *cells, element("td", whole(total), class_="sum")))
    heads = [element("th", content.MATRIX_HEAD, class_="text"), *(element("th", head) for head in matrix.columns)]
    return _table([*heads, element("th", "Pixels")], [element("tbody", *rows)], class_="matrix")


def _count(count: int, total: int, *, agrees: bool | None) -> Markup:
    """Write a count of a matrix, shaded by its share of the row; None: neither right nor wrong."""
    strength = MOST_SHADE * (count / total if total else 0.0)
    color = None if agrees is None else f"background: rgba(var(--{'right' if agrees else 'wrong'}), {strength:.3f})"
    kind = "agrees" if agrees else None
    return element("td", whole(count), element("small", share(count, total)), class_=kind, style=color)


# ------------------------------------------------------------------------------------------- calibration and stress


def _calibration(report: Row) -> Sequence[str | None]:
    charts = []
    for kind, bins in report["reliability"].items():
        if any(entry["pixels"] for entry in bins):
            chart = reliability_chart(bins, title=f"Reliability of {kind}", style=kind)
            charts.append(element("figure", element("h3", f"Reliability: {kind}"), chart))
    points = [point for point in report["abstention"] if point["error"] is not None]
    if points:
        charts.append(
            element("figure", element("h3", "Abstention"), abstention_chart(points, title="Abstention curve"))
        )
    if not charts:
        return (_explain("The predictor tells no probabilities and no uncertainty: there is nothing to plot."),)
    return (_explain(content.CALIBRATION_EXPLAINED), element("div", *charts, class_="charts"))


def _stress(report: Row) -> Sequence[str | None]:
    groups = content.stress_groups(report["stress"])
    losses = content.loss_range(report["stress"], [name for name, _ in CURVES])
    charts = [
        stress_chart(
            {style: content.loss_curve(rows, name) for name, style in CURVES},
            title=content.degradation_title(name),
            unit=f"severity ({rows[0]['unit']})",
            losses=losses,
        )
        for name, rows in groups.items()
    ]
    legend = [element("span", _key(style), f"loss of {figure_wording(name).title}") for name, style in CURVES]
    return (
        _explain(content.STRESS_EXPLAINED),
        element("div", *legend, class_="legend"),
        element("div", *(element("figure", chart) for chart in charts), class_="charts"),
        *_stress_table(groups),
    )


def _stress_table(groups: Mapping[str, Sequence[Row]]) -> tuple[Markup | None, ...]:
    bodies = []
    for name, rows in groups.items():
        title = element(
            "th", content.degradation_label(name, rows), colspan=2 + 2 * len(content.STRESSED), scope="colgroup"
        )
        bodies.append(element("tbody", element("tr", title, class_="group"), *(_stress_row(row) for row in rows)))
    heads = [element("th", "Severity", class_="text")]
    for name in content.STRESSED:
        heads += [element("th", figure_wording(name).title), element("th", "loss", class_="loss")]
    heads.append(element("th", "Refused scenes"))
    return (_table(heads, bodies), _notes(Notes(), content.UNDEFINED_EXPLAINED))


def _stress_row(row: Row) -> Markup:
    cells: list[str] = []
    for name in content.STRESSED:
        cells += [element("td", number(name, row["figures"].get(name))), _loss(name, row["loss"].get(name))]
    return element(
        "tr",
        element("th", short(row["severity"]), class_="text", scope="row"),
        *cells,
        element("td", whole(row.get("refused", 0))),
    )


def _loss(name: str, loss: float | None) -> Markup:
    """Write a loss, shaded by how much worse the figure got."""
    if loss is None:
        return element("td", UNDEFINED, class_="loss")
    worse = min(max(-loss if lower_is_better(name) else loss, 0.0), MOST_SHADE)
    return element("td", change(name, loss), class_="loss", style=f"background: rgba(var(--wrong), {worse:.3f})")


# ---------------------------------------------------------------------------------------------------------- scenes


def _gallery(report: Row, examples: Sequence[Example]) -> Sequence[str | None]:
    records = {scene["name"]: scene for scene in report["scenes"]}
    return (
        _explain(content.GALLERY_EXPLAINED),
        _legend("Classes", class_legend(examples)),
        _legend("Disagreement", verdict_legend(examples)),
        *(_example(example, records.get(example.name)) for example in examples),
    )


def _example(example: Example, record: Row | None) -> Markup:
    pictures = []
    for name, picture in panels(example):
        caption = f"{name} ({example.bands})" if name == "scene" else name
        pictures.append(
            element(
                "figure",
                element("img", src=data_uri(picture), alt=f"{name} of {example.name}"),
                element("figcaption", caption),
            )
        )
    return element(
        "div",
        element("h3", example.name, class_="user"),
        element("p", content.about_scene(record)) if record else None,
        element("div", *pictures, class_="panels"),
        class_="example",
    )


def _legend(title: str, entries: Iterable[tuple[str, str]]) -> Markup:
    spans = [element("span", _swatch(color), name) for name, color in entries]
    return element("div", element("b", title), *spans, class_="legend")


def _scenes(report: Row) -> Sequence[str | None]:
    names = content.scene_columns(report)
    listed = sorted(report["scenes"], key=lambda scene: (-error_share(scene["counts"]), scene["name"]))
    rows = [_scene(scene, names) for scene in listed[: content.MOST_SCENES]]
    heads = [
        *(element("th", head, class_="text") for head in ("Scene", "Source", "Sensor")),
        *(element("th", head) for head in ("Scored pixels", "Errors")),
        *(element("th", figure_wording(name).title) for name in names),
        element("th", "Seconds"),
    ]
    left = len(listed) - len(rows)
    rest = f"{whole(left)} more scenes with fewer errors are in the JSON report." if left > 0 else None
    notes = _notes(Notes(), rest, content.UNDEFINED_EXPLAINED)
    return (_explain(content.SCENES_EXPLAINED), _table(heads, [element("tbody", *rows)]), notes)


def _scene(scene: Row, names: Sequence[str]) -> Markup:
    return element(
        "tr",
        element("th", scene["name"], class_="text", scope="row"),
        *(element("td", text, class_="text") for text in (scene["source"], scene["strata"].get("sensor", UNDEFINED))),
        element("td", whole(scene["scored"])),
        element("td", share(error_share(scene["counts"]), 1)),
        *(element("td", number(name, scene["figures"].get(name))) for name in names),
        element("td", f"{scene['seconds']:.2f}"),
    )


# ----------------------------------------------------------------------------------------------------------- pieces


def _table(heads: Sequence[str], bodies: Sequence[str], *, class_: str = "wide") -> Markup:
    head = element("thead", element("tr", *heads))
    return element("div", element("table", head, *bodies, class_=class_), class_="scroll")


def _explain(text: str) -> Markup:
    return element("p", text, class_="explain")


def _notes(notes: Notes, *more: str | None) -> Markup | None:
    lines = [element("li", element("b", letter), f"undefined: {reason}") for letter, reason in notes.lettered()]
    lines += [element("li", text) for text in more if text]
    return element("ul", *lines, class_="notes user") if lines else None


def _swatch(color: str) -> Markup:
    return element("span", class_="swatch", style=f"background: {color}")


def _key(style: str) -> Markup:
    """Draw a piece of a curve for a legend."""
    stroke = element("line", class_=f"line {style}", x1=0, x2=26, y1=3, y2=3)
    return element("svg", stroke, class_="key", width=26, height=6, aria_hidden="true")


def _footer(report: Row) -> Markup:
    entries = [
        element("div", element("dt", figure_wording(name).title), element("dd", figure_wording(name).meaning + "."))
        for name in content.explained(report)
    ]
    made = (
        f"Made by undercast {report['undercast']}, {report['created']}. The same figures as numbers: the JSON report."
    )
    return element("footer", element("p", made), element("dl", *entries))
