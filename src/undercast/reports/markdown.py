"""Markdown: an evaluation as a text that reads well in a terminal, a merge request or a model card."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from undercast.evaluation.intervals import FEW_SCENES
from undercast.evaluation.report import Report
from undercast.reports import content
from undercast.reports.files import write_text
from undercast.reports.pictures import error_share
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

SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$])")
"""Characters that Markdown gives a meaning."""

UNSEEN = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+")
"""White space, control characters and marks of direction: in names they become one space."""

Row = Mapping[str, Any]
"""A part of a report."""


def write_markdown(report: Report | Mapping[str, Any], path: str | Path) -> Path:
    """Write an evaluation as Markdown.

    Args:
        report: The report, or its dict.
        path: Where to; an older file is replaced once the new one is complete.

    Raises:
        EvaluationError: If the dict is not a report.
        OutputError: If the file cannot be written.
    """
    return write_text(markdown(report), path)


def markdown(report: Report | Mapping[str, Any]) -> str:
    """Give an evaluation as Markdown (tables as on GitHub).

    Raises:
        EvaluationError: If the dict is not a report.
    """
    table = content.as_dict(report)
    blocks = [
        f"# {escape(content.title(table))}",
        escape(content.lead(table)),
        _warnings(table),
        *_facts(table),
        "## Key figures",
        content.INTERVALS_EXPLAINED,
        *_key_figures(table),
        "## By stratum",
        *_strata(table),
        "## Confusion",
        content.CONFUSION_EXPLAINED,
        _matrix(content.merged_matrix(table["confusion"])),
        _matrix(content.set_matrix(table["confusion"])),
        *_calibration(table),
        *stress_blocks(table),
        "## Scenes",
        content.SCENES_EXPLAINED,
        *_scenes(table),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def escape(text: str) -> str:
    """Escape a text for a line or a cell: it stays on its line and starts no markup."""
    return SPECIAL.sub(r"\\\1", UNSEEN.sub(" ", text).strip())


def card_section(report: Report | Mapping[str, Any]) -> str:
    """Give what a model card says of an evaluation: key figures, strata and stress.

    Raises:
        EvaluationError: If the dict is not a report.
    """
    table = content.as_dict(report)
    data, protocol = table["data"], table["protocol"]
    blocks = [
        f"## Evaluation on {escape(str(data['name']))}, protocol {escape(str(protocol['id']))}",
        f"{whole(data['scenes'])} scenes that it was not trained on; data hash `{data['hash'][:16]}`.",
        content.INTERVALS_EXPLAINED,
        *_key_figures(table),
        *_strata(table),
        *(block.replace("## ", "### ") if block.startswith("## ") else block for block in stress_blocks(table)),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def stress_blocks(report: Row) -> list[str]:
    """Give the stress table with its title, as blocks; nothing where there was no stress (also for model cards)."""
    if not report["stress"]:
        return []
    heads = ["Degradation", "Severity"]
    for name in content.STRESSED:
        heads += [figure_wording(name).title, "loss"]
    rows = [
        _stress_row(content.degradation_label(name, group), row)
        for name, group in content.stress_groups(report["stress"]).items()
        for row in group
    ]
    table = _table([*heads, "Refused scenes"], rows, left=1)
    return ["## Stress", content.STRESS_EXPLAINED, table, content.UNDEFINED_EXPLAINED]


def _stress_row(label: str, row: Row) -> list[str]:
    cells = [escape(label), short(row["severity"])]
    for name in content.STRESSED:
        cells += [number(name, row["figures"].get(name)), change(name, row["loss"].get(name))]
    return [*cells, whole(row.get("refused", 0))]


def _warnings(report: Row) -> str:
    lines = "\n".join(f"> - {escape(str(warning))}" for warning in report["warnings"])
    return f"> **Warnings**\n>\n{lines}" if lines else ""


def _facts(report: Row) -> list[str]:
    lines = []
    for group, pairs in content.facts(report).items():
        text = "; ".join(f"{name.lower()}: {escape(value)}" for name, value in pairs)
        lines.append(f"- **{group}** - {text}")
    return ["\n".join(lines)]


def _key_figures(report: Row) -> list[str]:
    notes = Notes()
    names = [name for name in content.KEY_FIGURES if name in report["overall"]]
    rows = [
        [figure_wording(name).title, _figure(name, report["overall"], report["undefined"], notes)] for name in names
    ]
    return [_table(["Figure", "Value"], rows, left=1), _notes(notes)]


def _figure(name: str, figures: Row, undefined: Row, notes: Notes) -> str:
    """Write a figure with its interval in brackets; what is undefined gets the letter of its reason."""
    if name not in figures:
        return ""
    figure = figures[name]
    if figure["value"] is None:
        return f"{UNDEFINED} ({notes.letter(undefined.get(name))})"
    between = interval(name, figure)
    return number(name, figure["value"]) + (f" [{between}]" if between else "")


def _strata(report: Row) -> list[str]:
    notes = Notes()
    names = content.columns(report)
    rows = [
        _stratum(plain(kind), name, row, names, notes)
        for kind, strata in report["strata"].items()
        for name, row in strata.items()
    ]
    heads = ["By", "Stratum", "Scenes", "Pixels", *(figure_wording(name).title for name in names)]
    few = f"{FEW} fewer than {FEW_SCENES} scenes: these intervals say little." if content.any_few(report) else ""
    return [_table(heads, rows, left=2), few, _notes(notes)]


def _stratum(kind: str, name: str, row: Row, names: Sequence[str], notes: Notes) -> list[str]:
    few = f"{FEW} " if row["scenes"] < FEW_SCENES else ""
    figures = [_figure(figure, row["figures"], row["undefined"], notes) for figure in names]
    return [escape(kind), escape(name), few + whole(row["scenes"]), whole(row["pixels"]), *figures]


def _matrix(matrix: content.Matrix) -> str:
    rows = []
    for possible, counts in zip(matrix.rows, matrix.counts, strict=True):
        cells = [
            f"**{whole(count)}**" if agrees else whole(count)
            for count, agrees in zip(counts, matrix.agrees(possible), strict=True)
        ]
        rows.append([matrix.name(possible), *cells, whole(sum(counts))])
    return _table([content.MATRIX_HEAD, *matrix.columns, "Pixels"], rows, left=1)


def _calibration(report: Row) -> list[str]:
    blocks = []
    for kind, bins in report["reliability"].items():
        rows = [
            [
                f"{entry['low']:g}{UNDEFINED}{entry['high']:g}",
                f"{entry['mean_probability']:.3f}",
                f"{entry['frequency']:.3f}",
                whole(entry["pixels"]),
            ]
            for entry in bins
            if entry["pixels"]
        ]
        if rows:
            heads = ["Probability", "Mean probability", "Observed frequency", "Pixels"]
            blocks += [f"### Reliability: {escape(kind)}", _table(heads, rows, left=1)]
    points = [
        [f"{100 * point['kept']:.0f} %", f"{100 * point['error']:.2f} %"]
        for point in report["abstention"]
        if point["error"] is not None
    ]
    if points:
        blocks += ["### Abstention", _table(["Pixels kept", "Error rate"], points, left=0)]
    return ["## Calibration and abstention", content.CALIBRATION_EXPLAINED, *blocks] if blocks else []


def _scenes(report: Row) -> list[str]:
    names = content.scene_columns(report)
    listed = sorted(report["scenes"], key=lambda scene: (-error_share(scene["counts"]), scene["name"]))
    rows = [_scene(scene, names) for scene in listed[: content.MOST_SCENES]]
    heads = ["Scene", "Source", "Scored pixels", "Errors", *(figure_wording(name).title for name in names)]
    left = len(listed) - len(rows)
    rest = f"{whole(left)} more scenes with fewer errors are in the JSON report." if left > 0 else ""
    return [_table(heads, rows, left=2), rest, content.UNDEFINED_EXPLAINED]


def _scene(scene: Row, names: Sequence[str]) -> list[str]:
    known = [escape(scene["name"]), escape(scene["source"]), whole(scene["scored"])]
    return [
        *known,
        share(error_share(scene["counts"]), 1),
        *(number(name, scene["figures"].get(name)) for name in names),
    ]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, left: int) -> str:
    """Write a table whose first ``left`` columns are aligned left and whose others are aligned right."""
    rule = ["---" if place < left else "---:" for place in range(len(heads))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))


def _notes(notes: Notes) -> str:
    return "\n".join(f"- ({letter}) undefined: {escape(reason)}" for letter, reason in notes.lettered())
