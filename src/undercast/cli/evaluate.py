"""`undercast evaluate`: hold a predictor against references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from undercast.cli.judging import (
    NO_VALUE,
    bands_option,
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
    with_interval,
)
from undercast.cli.printing import print_json, print_pairs, print_table, progress_bar
from undercast.destinations import check_folder, check_new_package
from undercast.errors import OutputExistsError, UsageError

if TYPE_CHECKING:
    from undercast.evaluation.evaluate import Evaluation
    from undercast.evaluation.packages import PackagePredictor
    from undercast.evaluation.predictors import Predictor
    from undercast.evaluation.report import Report

FILES = ("report.json", "report.md", "report.html")
"""Files that a report consists of."""
KEYS = ("source", "sensor", "surface", "gsd", "labels")
"""Keys by which figures are given."""


@click.command(name="evaluate")
@click.argument("model")
@data_option
@protocol_option
@scheme_option
@click.option("--by", type=click.Choice(KEYS), default="source", show_default=True, help="Strata that are printed.")
@click.option("--preset", metavar="NAME", help="Operating point of the model, or argmax: the most probable class.")
@replicates_option
@seed_option
@bands_option
@unfit_option
@click.option("--stress", is_flag=True, help="Repeat the evaluation on degraded images.")
@json_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="REPORT",
    help=f"Folder for {', '.join(FILES)}.",
)
@click.option("--overwrite", is_flag=True, help="Replace a report that exists.")
@click.option(
    "--package",
    type=click.Path(path_type=Path),
    metavar="NEW",
    help="Write MODEL again as this package, with the report in its record and card.",
)
def command(
    model: str,
    data: str | None,
    protocol: str,
    scheme: str,
    bands: str | None,
    by: str,
    preset: str | None,
    replicates: int,
    seed: int,
    skip_unfit: bool,
    stress: bool,
    as_json: bool,
    output: Path | None,
    overwrite: bool,
    package: Path | None,
) -> None:
    """Hold a model, a peer or a processor against references.

    It gives precision, recall, F1, F2, IoU and more, with intervals over the scenes.

    MODEL is a model package (a name of `undercast models list`, or a folder), a peer that is installed (ukis-csmask,
    s2cloudless, omnicloudmask), or a processor and the folder with its masks (scl=FOLDER).
    """
    from undercast.evaluation.evaluate import evaluate
    from undercast.evaluation.protocols import load_protocol
    from undercast.masking import MaskOptions

    check_free(output, overwrite=overwrite)
    rules = load_protocol(protocol)
    predictor = open_predictor(model, MaskOptions(preset=preset))
    packed = None if package is None else check_package(predictor, package)
    references = read_data(data, scheme, bands)
    options = evaluate_options(predictor, interval_options(replicates, seed), skip_unfit=skip_unfit)
    with progress_bar("evaluating") as progress:
        evaluation = evaluate(predictor, references, rules, options, progress=progress)
    if stress:
        from undercast.evaluation.stress import stress as put_under_stress

        with progress_bar("putting under stress") as progress:
            rows = put_under_stress(predictor, references, rules, progress=progress)
        evaluation = replace(evaluation, report=replace(evaluation.report, stress=rows))
    if output is not None:
        write_files(evaluation, output)
    if packed is not None and package is not None:
        write_record(packed, evaluation.report, package)
    if as_json:
        print_json(evaluation.report.to_dict())
        return
    print_report(evaluation.report, by)
    if report_stress := evaluation.report.stress:
        click.echo()
        print_stress(report_stress)
    if output is not None:
        click.echo()
        print_pairs([(name, str(output / name)) for name in FILES])


def check_package(predictor: Predictor, folder: Path) -> PackagePredictor:
    """Refuse to write a package that is none, or where it cannot be written, before anything is computed.

    Raises:
        UsageError: If the predictor is no model package.
        OutputError: If the new package exists, or cannot be written.
    """
    from undercast.evaluation.packages import PackagePredictor

    if not isinstance(predictor, PackagePredictor):
        msg = f"--package: expected a model package, got {predictor.identity['id']}. Leave --package away."
        raise UsageError(msg)
    check_new_package(folder)
    return predictor


def write_record(predictor: PackagePredictor, report: Report, folder: Path) -> None:
    """Write a model package again with a report in its record and card."""
    from undercast.evaluation.packages import Additions, record_of_report, write_again
    from undercast.reports.markdown import card_section

    additions = Additions(record=record_of_report(predictor.model.package, report), section=card_section(report))
    write_again(predictor.model.package, folder, additions=additions)


def print_stress(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print what degradations cost, in the figures most often asked for."""
    names = ("cloud_f1", "cloud_f2", "shadow_f1")
    print_table(
        ("degradation", "severity", *(f"loss of {name.replace('_', ' ')}" for name in names)),
        [
            (
                str(row["degradation"]),
                f"{row['severity']:g} {row['unit']}",
                *(NO_VALUE if (loss := row["loss"].get(name)) is None else f"{loss:+.3f}" for name in names),
            )
            for row in rows
        ],
    )


def check_free(output: Path | None, *, overwrite: bool) -> None:
    """Refuse to replace a report before anything is computed.

    Raises:
        OutputExistsError: If one of its files exists.
        OutputError: If its folder cannot be written.
    """
    if output is None:
        return
    for name in FILES:
        if not overwrite and (output / name).exists():
            msg = f"{output / name} exists already. Take another folder, or --overwrite."
            raise OutputExistsError(msg)
    check_folder(output)


def write_files(evaluation: Evaluation, folder: Path) -> None:
    """Write a report as JSON, Markdown and a page.

    Raises:
        OutputError: If the folder cannot be written.
    """
    from undercast.evaluation.report import write_report
    from undercast.reports.evaluation_page import write_page
    from undercast.reports.markdown import write_markdown
    from undercast.reports.pictures import make_example

    examples = [make_example(judged) for judged in evaluation.examples]
    write_report(evaluation.report, folder / FILES[0])
    write_markdown(evaluation.report, folder / FILES[1])
    write_page(evaluation.report, examples, folder / FILES[2])


def print_report(report: Report, by: str) -> None:
    """Print the figures that the protocol leads with, overall and by stratum."""
    predictor, names = report.predictor, list(report.protocol["headline"])
    interval = report.interval
    print_pairs(
        [
            ("predictor", f"{predictor['id']} {predictor['version']}".strip()),
            ("protocol", f"{report.protocol['id']}: {report.protocol['title']}"),
            ("data", f"{report.data['name']}, {report.data['scenes']} scenes"),
            ("intervals", f"{100 * interval['level']:g} %, over scenes, {interval['replicates']} resamples"),
        ]
    )
    click.echo()
    rows = [
        ("overall", report.data["scenes"], report.overall.values),
        *((name, stratum.scenes, stratum.figures.values) for name, stratum in report.strata[by].items()),
    ]
    print_table(
        (by, "scenes", *(name.replace("_", " ") for name in names)),
        [(name, str(scenes), *(with_interval(values.get(key)) for key in names)) for name, scenes, values in rows],
    )
