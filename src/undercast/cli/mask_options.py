"""What a person says about how scenes are masked: groups of options, and the values that they make."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from undercast.classes import load_scheme, scheme_ids
from undercast.cli.areas import AREA_OPTIONS, take_area
from undercast.cli.postprocessing import POSTPROCESSING_OPTIONS, take_postprocessing
from undercast.errors import UsageError
from undercast.model_spec import check_thresholds
from undercast.types import AGGREGATIONS, COMPRESSIONS, PRECISIONS, UNCERTAINTY_KINDS

if TYPE_CHECKING:
    from undercast.loading import ModelChoice
    from undercast.masking import MaskOptions
    from undercast.writers import OutputOptions

_URL = re.compile(r"://|^/vsi", re.IGNORECASE)
_SECRET = re.compile(r"\?.*?(?=,[a-z0-9+.-]+://|,/vsi|$)|(?<=://)[^/@?]*@", re.IGNORECASE | re.DOTALL)

RUNTIME_OPTIONS = (
    click.option("--device", default="auto", show_default=True, metavar="D", help="Device, such as cpu or cuda."),
    click.option("--backend", default="auto", show_default=True, metavar="B", help="Runtime; see `undercast doctor`."),
    click.option(
        "--precision",
        type=click.Choice(("auto", *PRECISIONS)),
        default="auto",
        show_default=True,
        help="Numbers to compute with; auto takes less than f32 only where the classes stay the same.",
    ),
)
"""Where and how networks run."""

_OPTIONS = (
    click.option(
        "--model", metavar="M", help="Name of `undercast models list`, a package's folder, or its URL or hf:owner/name."
    ),
    click.option(
        "--allow-unverified", is_flag=True, help="Take a model without checksums; the outputs say that it is one."
    ),
    click.option("--ensemble", is_flag=True, help="Ask several networks instead of one; slower."),
    click.option(
        "--tta",
        type=click.IntRange(0, 7),
        default=0,
        metavar="N",
        help="Look again, turned and mirrored, up to N times where classes are scattered (test-time augmentation).",
    ),
    click.option(
        "--tta-budget",
        type=click.FloatRange(min=0, min_open=True),
        metavar="F",
        help="Look again at the most uncertain windows instead, F times per window on average; with --tta.",
    ),
    click.option(
        "--strict", is_flag=True, help="Refuse scenes that are not what the model is for, instead of warning."
    ),
    click.option(
        "--scheme",
        default="undercast",
        show_default=True,
        metavar="ID",
        help=f"Class scheme: {', '.join(scheme_ids())}.",
    ),
    click.option(
        "--threshold",
        "thresholds",
        multiple=True,
        metavar="CLASS=P",
        help="Probability from which a class is chosen, e.g. cloud=0.4; may be repeated.",
    ),
    click.option("--preset", metavar="NAME", help="Operating point of the model, or argmax: the most probable class."),
    click.option("--aggregate", type=click.Choice(AGGREGATIONS), help="How the members become one."),
    click.option("--probabilities", is_flag=True, help="Write the class probabilities, too."),
    click.option("--uncertainty", type=click.Choice(UNCERTAINTY_KINDS), help="Write this uncertainty, too."),
    *RUNTIME_OPTIONS,
    click.option(
        "--window", type=click.IntRange(min=1), metavar="PX", help="Side of a window; the model's own unless given."
    ),
    click.option("--memory", metavar="SIZE", help="Fit windows to this memory instead of 790MB, e.g. 1GB."),
    click.option("--overlap", type=click.IntRange(min=0), metavar="PX", help="Pixels that neighbouring windows share."),
    click.option(
        "--radiometry",
        type=click.Choice(("refuse", "warn")),
        default="refuse",
        show_default=True,
        help="What happens to a scene whose values cannot be reflectance.",
    ),
    click.option(
        "--compress",
        type=click.Choice(COMPRESSIONS),
        default="deflate",
        show_default=True,
        help="Compression of the GeoTIFFs; the pixels stay as they are.",
    ),
    *AREA_OPTIONS,
    *POSTPROCESSING_OPTIONS,
    click.option("--overwrite", is_flag=True, help="Replace outputs that exist."),
    click.option("--quicklook/--no-quicklook", default=True, help="Write a picture of the scene beside its class map."),
)


def masking_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options to a command; the functions below take theirs out of what comes in."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def runtime_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of where and how networks run; they go to ``load_model`` as they come."""
    for option in reversed(RUNTIME_OPTIONS):
        command = option(command)
    return command


def take_output(given: dict[str, Any], output: str, words: Sequence[str]) -> OutputOptions:
    """Take out what is written, where to (a folder or an object store), and the command line for the records.

    Raises:
        SchemeError: If the class scheme is unknown.
    """
    scheme = load_scheme(given.pop("scheme"))
    from undercast.writers import OutputOptions

    remote = "://" in output
    return OutputOptions(
        folder=Path(tempfile.gettempdir() if remote else output),
        store=output if remote else None,
        scheme=scheme,
        probabilities=given.pop("probabilities"),
        # Which uncertainty is an option of masking.
        uncertainty=given["uncertainty"] is not None,
        quicklook=given.pop("quicklook"),
        overwrite=given.pop("overwrite"),
        compress=given.pop("compress"),
        command=record_of(words),
    )


def take_options(given: dict[str, Any]) -> MaskOptions:
    """Take out how scenes are masked.

    Raises:
        UsageError: If options contradict each other or make no sense.
    """
    points, preset = parse_thresholds(given.pop("thresholds")), given.pop("preset")
    if points and preset is not None:
        msg = f"give --threshold or --preset, not both; got --preset {preset}."
        raise UsageError(msg)
    tta, budget = given.pop("tta"), given.pop("tta_budget")
    if budget is not None and not tta:
        msg = (
            f"--tta-budget needs --tta, got --tta-budget {budget:g} alone. Try --tta 4 --tta-budget {min(budget, 4):g}"
        )
        raise UsageError(msg)
    from undercast.inference.augmentation import Augmentation
    from undercast.inference.memory import parse_bytes
    from undercast.masking import MaskOptions

    memory = given.pop("memory")

    return MaskOptions(
        thresholds=points or None,
        preset=preset,
        aggregation=given.pop("aggregate"),
        uncertainty=given.pop("uncertainty"),
        window=given.pop("window"),
        overlap=given.pop("overlap"),
        memory=None if memory is None else parse_bytes(memory),
        radiometry=given.pop("radiometry"),
        strict=given.pop("strict"),
        area=take_area(given),
        postprocessing=take_postprocessing(given),
        dem=given.pop("dem"),
        tta=Augmentation(depth=tta, budget=budget),
    )


def take_model(given: dict[str, Any]) -> ModelChoice:
    """Take out which model runs, where and how.

    Raises:
        UsageError: If a model is given and the ensemble is asked for, too.
    """
    from undercast.loading import ModelChoice
    from undercast.models.package import DEFAULT_MODEL, ENSEMBLE_MODEL

    model, ensemble = given.pop("model"), given.pop("ensemble")
    if model and ensemble:
        msg = f"give --model or --ensemble, not both; got --model {model}. --ensemble is --model {ENSEMBLE_MODEL}."
        raise UsageError(msg)
    name = model or (ENSEMBLE_MODEL if ensemble else DEFAULT_MODEL)
    runtime = {option: given.pop(option) for option in ("device", "backend", "precision", "allow_unverified")}
    return ModelChoice(name=name, **runtime)


def parse_thresholds(texts: Sequence[str]) -> dict[str, float]:
    """Read CLASS=P.

    Raises:
        UsageError: If one is not of this form, is given twice, or class or probability are impossible.
    """
    points: dict[str, float] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if name.strip() in points:
            msg = f"--threshold: expected each class once, got {name.strip()!r} twice."
            raise UsageError(msg)
        try:
            points[name.strip()] = float(value)
        except ValueError:
            separator = ""
        if not separator:
            msg = f"--threshold: expected CLASS=P, got {text!r}. Try --threshold cloud=0.4"
            raise UsageError(msg)
    check_thresholds(points)
    return points


def record_of(words: Sequence[str]) -> str:
    """Give the command line for the records, without users, passwords and queries of URLs."""
    return shlex.join(("undercast", *(_SECRET.sub("", word) if _URL.search(word) else word for word in words)))
