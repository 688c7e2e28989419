"""`undercast compare`: is one predictor better than another, or is it noise?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from undercast.cli.judging import (
    NO_VALUE,
    data_option,
    evaluate_options,
    interval_options,
    json_option,
    open_predictor,
    protocol_option,
    read_data,
    replicates_option,
    scheme_option,
    seed_option,
    unfit_option,
)
from undercast.cli.printing import print_json, print_table, progress_bar
from undercast.errors import UsageError

if TYPE_CHECKING:
    from undercast.evaluation.compare import Comparison, Difference
    from undercast.evaluation.intervals import IntervalOptions
    from undercast.evaluation.predictors import Predictor
    from undercast.evaluation.report import Report

FEWEST = 2
"""Predictors that a comparison takes at least."""


@click.command(name="compare")
@click.argument("models", nargs=-1, required=True, metavar="A B...")
@data_option
@protocol_option
@scheme_option
@replicates_option
@seed_option
@unfit_option
@json_option
@click.option("--all", "everything", is_flag=True, help="Print every figure, not only those the protocol leads with.")
def command(
    models: tuple[str, ...],
    data: str | None,
    protocol: str,
    scheme: str,
    replicates: int,
    seed: int,
    skip_unfit: bool,
    as_json: bool,
    everything: bool,
) -> None:
    """Say whether one is better than another, or whether it is noise.

    Each of B... is held against A on the same scenes. Each is a model package, a peer, a processor as
    PROCESSOR=FOLDER, or a report (.json, or its folder).
    """
    from undercast.evaluation.compare import compare

    if len(models) < FEWEST:
        msg = f"expected two or more to compare, got {models[0]} alone."
        raise UsageError(msg)
    intervals = interval_options(replicates, seed)
    sides = [open_side(name) for name in models]
    reports = [
        report_of(side, name, data, protocol, scheme, intervals, skip_unfit=skip_unfit)
        for name, side in zip(models, sides, strict=True)
    ]
    comparisons = [compare(reports[0], report, intervals=intervals) for report in reports[1:]]
    if as_json:
        print_json([comparison.to_dict() for comparison in comparisons])
        return
    for comparison in comparisons:
        print_comparison(comparison, None if everything else list(reports[0].protocol["headline"]))


def open_side(name: str) -> Report | Predictor:
    """Open the report or the predictor that an argument names; one that is not there is told before any evaluation."""
    from undercast.evaluation.report import read_report

    path = Path(name) / "report.json" if (Path(name) / "report.json").is_file() else Path(name)
    if path.name != "item.json" and path.suffix == ".json":
        return read_report(path)
    return open_predictor(name)


def report_of(
    side: Report | Predictor,
    name: str,
    data: str | None,
    protocol: str,
    scheme: str,
    intervals: IntervalOptions,
    *,
    skip_unfit: bool,
) -> Report:
    """Give a report as it is; evaluate a predictor."""
    from undercast.evaluation.evaluate import evaluate
    from undercast.evaluation.protocols import load_protocol
    from undercast.evaluation.report import Report

    if isinstance(side, Report):
        return side
    references = read_data(data, scheme)
    options = evaluate_options(side, intervals, skip_unfit=skip_unfit)
    with progress_bar(name) as progress:
        return evaluate(side, references, load_protocol(protocol), options, progress=progress).report


def print_comparison(comparison: Comparison, names: list[str] | None) -> None:
    """Print a comparison, overall and by source; only some figures where they are named."""
    first, second = (str(side["id"]) for side in (comparison.first, comparison.second))
    click.echo(f"{second} against {first}, protocol {comparison.protocol}")
    places = [("overall", comparison.overall)]
    places += [(name, rows) for name, rows in comparison.strata.get("source", {}).items()]
    print_table(
        ("where", "figure", "scenes", first, second, "difference", "verdict"),
        [_row(place, row) for place, rows in places for row in rows if names is None or row.name in names],
    )
    for line in comparison.warnings:
        click.echo(f"WARNING: {line}", err=True)


def _row(place: str, row: Difference) -> tuple[str, ...]:
    difference = NO_VALUE if row.difference is None else f"{row.difference:+.3f}"
    if row.low is not None and row.high is not None:
        difference += f" [{row.low:+.3f}, {row.high:+.3f}]"
    values = (NO_VALUE if value is None else f"{value:.3f}" for value in (row.first, row.second))
    return (place, row.name.replace("_", " "), str(row.scenes), *values, difference, row.verdict)
