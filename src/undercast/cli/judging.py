"""What is judged: options and look-ups that `evaluate`, `compare` and `calibrate` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from undercast.bands import band_from_name
from undercast.classes import scheme_ids
from undercast.errors import UsageError
from undercast.evaluation.protocols import DEFAULT_PROTOCOL, protocol_ids

if TYPE_CHECKING:
    from undercast.evaluation.evaluate import EvaluateOptions
    from undercast.evaluation.intervals import IntervalOptions
    from undercast.evaluation.predictors import Predictor
    from undercast.evaluation.references import References
    from undercast.evaluation.statistics import Figure
    from undercast.masking import MaskOptions

NO_VALUE = "-"
"""What stands for an undefined figure."""

data_option = click.option(
    "--data",
    metavar="DATA",
    help="References: a folder with manifest.json or collection.json, or a .csv of pairs or points.",
)
protocol_option = click.option(
    "--protocol",
    default=DEFAULT_PROTOCOL,
    show_default=True,
    metavar="ID",
    help=f"Which pixels are scored on which tasks: {', '.join(protocol_ids())}, or your own .toml.",
)
scheme_option = click.option(
    "--scheme",
    default="undercast",
    show_default=True,
    metavar="ID",
    help=f"Class scheme of references that name none: {', '.join(scheme_ids())}.",
)
replicates_option = click.option(
    "--replicates", default=1000, show_default=True, type=click.IntRange(min=1), help="Resamples of the intervals."
)
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the intervals."
)
unfit_option = click.option(
    "--skip-unfit", is_flag=True, help="Leave out scenes whose bands or values the predictor cannot work with."
)
bands_option = click.option(
    "--bands", metavar="NAMES", help="Show these bands of the references alone, e.g. green,red,nir."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def interval_options(replicates: int, seed: int) -> IntervalOptions:
    """Make one value of the options of intervals."""
    from undercast.evaluation.intervals import IntervalOptions

    return IntervalOptions(replicates=replicates, seed=seed)


def open_predictor(name: str, options: MaskOptions | None = None) -> Predictor:
    """Find what a MODEL argument names: a model package, a peer, or a processor as PROCESSOR=FOLDER.

    Raises:
        UsageError: If options are given for something that is not a model package.
        UndercastError: If nothing answers to the name, or it cannot be loaded.
    """
    from undercast.evaluation.packages import open_package
    from undercast.evaluation.peers import PEERS, open_peer

    processor, separator, folder = name.partition("=")
    if not separator and name not in PEERS:
        return open_package(name, options)
    if options is not None and (options.preset is not None or options.thresholds is not None):
        msg = f"--preset and --threshold are for model packages, {name!r} is none."
        raise UsageError(msg)
    if not separator:
        return open_peer(name)
    from undercast.evaluation.processors import ProcessorPredictor
    from undercast.weak_labels.processors import find_processor

    return ProcessorPredictor(product=find_processor(processor), masks=Path(folder))


def evaluate_options(predictor: Predictor, intervals: IntervalOptions, *, skip_unfit: bool) -> EvaluateOptions:
    """Make one value of the options; a package is held against the data that it has met."""
    from undercast.evaluation.evaluate import EvaluateOptions
    from undercast.evaluation.packages import Met, PackagePredictor, met_data

    met = met_data(predictor.model.package) if isinstance(predictor, PackagePredictor) else Met()
    return EvaluateOptions(intervals=intervals, met=met, unfit="skip" if skip_unfit else "refuse")


def with_interval(figure: Figure | None) -> str:
    """Give a figure with its interval: ``0.894 [0.851, 0.930]``."""
    if figure is None or figure.value is None:
        return NO_VALUE
    if figure.low is None or figure.high is None:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


def read_data(data: str | None, scheme: str, bands: str | None = None) -> References:
    """Read the references that the options name.

    Raises:
        UsageError: If there are none.
        UndercastError: If they are wrong, or a band is unknown.
    """
    from undercast.evaluation.references import with_bands
    from undercast.evaluation.sources import read_references

    references = read_references(needs_data(data), scheme=scheme)
    if bands is None:
        return references
    return with_bands(references, [band_from_name(name) for name in bands.split(",")])


def needs_data(data: str | None) -> str:
    """Give the data, or refuse.

    Raises:
        UsageError: If there is none.
    """
    if data is None:
        msg = "expected --data DATA with references, got none."
        raise UsageError(msg)
    return data
