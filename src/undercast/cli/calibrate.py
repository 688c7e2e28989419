"""`undercast calibrate`: tune a package's operating points and write a new version of it."""

from __future__ import annotations

from pathlib import Path

import click

from undercast.cli.judging import data_option, json_option, read_data, scheme_option
from undercast.cli.printing import print_json, print_pairs, print_table, progress_bar
from undercast.destinations import check_new_package


@click.command(name="calibrate")
@click.argument("model")
@data_option
@scheme_option
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder of the new package.")
@click.option(
    "--preset",
    "presets",
    multiple=True,
    metavar="NAME",
    help="balanced, f2 (any f<beta>), recall=0.95 (any share); may be repeated. [these three]",
)
@click.option("--recommend", metavar="NAME", help="Operating point that the new package recommends [as before].")
@click.option("--version", metavar="V", help="Version of the new package; the next patch version unless given.")
@json_option
def command(
    model: str,
    data: str | None,
    scheme: str,
    output: Path,
    presets: tuple[str, ...],
    recommend: str | None,
    version: str | None,
    as_json: bool,
) -> None:
    """Tune a model's operating points and write a new version of it.

    The new version has the same weights and new presets. Data that the package was evaluated on are refused.
    """
    from undercast.evaluation.calibrate import PRESETS, calibrate, write_calibrated
    from undercast.evaluation.packages import open_package

    check_new_package(output)
    references = read_data(data, scheme)
    predictor = open_package(model)
    with progress_bar("calibrating") as progress:
        calibration = calibrate(predictor, references, presets or PRESETS, progress=progress)
    folder = write_calibrated(predictor.model.package, calibration, output, version=version, preset=recommend)
    if as_json:
        print_json({"package": str(folder), **calibration.to_dict()})
        return
    print_table(
        ("preset", "thresholds", "reached on these data"),
        [
            (
                name,
                ", ".join(f"{key}={value:.3f}" for key, value in point.thresholds.items()),
                ", ".join(f"{key.replace('_', ' ')} {value:.3f}" for key, value in point.figures.items()),
            )
            for name, point in calibration.points.items()
        ],
    )
    losses = f"loss {calibration.loss_before:.4f} -> {calibration.loss_after:.4f}"
    print_pairs(
        [
            ("temperature", f"{calibration.temperature:.3f} ({losses})"),
            ("package", str(folder)),
        ]
    )
