"""What became of many scenes: one line or a few words for each as it is known, a log for each, one summary."""

from __future__ import annotations

import re
import traceback
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from undercast.cli.app import describe, describe_defect
from undercast.cli.printing import is_quiet, percentages, print_json, print_pairs
from undercast.errors import OutputError, UndercastError

if TYPE_CHECKING:
    from undercast.scaling.jobs import Outcome
    from undercast.writers.outputs import OutputPaths

PATHS = ("class_map", "probabilities", "uncertainty", "quicklook", "style", "item")
"""Outputs in the order in which they are told."""

LONGEST_NAME = 150
"""Characters of a log's name, at most; of a longer one the end is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """How outcomes are told."""

    scenes: int
    """How many there are."""
    as_json: bool
    """Whether each is one JSON object, instead of words."""
    debug: bool
    """Whether errors come with their traceback."""
    logs: Path | None
    """Folder for one log per scene."""


def tell_all(outcomes: Iterable[Outcome], telling: Telling) -> None:
    """Tell what became of each scene, and at the end of all.

    Raises:
        UndercastError: If the only scene failed, or a log cannot be written.
        click.exceptions.Exit: With status 1, if one of several failed.
    """
    from undercast.scaling.jobs import STATUSES

    statuses: Counter[str] = Counter()
    for outcome in outcomes:
        statuses[outcome.status] += 1
        told = told_of(outcome)
        if telling.logs is not None:
            keep_log(outcome, told, telling.logs)
        if telling.as_json:
            print_json(told)
        elif outcome.error is None:
            print_result(told)
        if outcome.error is not None and telling.scenes == 1:
            raise outcome.error
        if outcome.error is not None:
            complain(outcome.source, outcome.error, debug=telling.debug)
    if telling.scenes > 1 and (statuses["failed"] or not is_quiet()):
        counts = ", ".join(f"{statuses[status]} {status}" for status in STATUSES)
        click.echo(f"{telling.scenes} scenes: {counts}.", err=True)
    if statuses["failed"]:
        raise click.exceptions.Exit(1)


def keep_log(outcome: Outcome, told: Mapping[str, Any], folder: Path) -> None:
    """Add what was said while a scene was at work, and what became of it, to its log.

    Raises:
        OutputError: If the log cannot be written.
    """
    name = re.sub(r"[^\w.-]+", "_", outcome.name)[-LONGEST_NAME:].lstrip(".")
    lines = [*outcome.log, f"{told['status']}: {told.get('error') or told.get('class_map')}"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{name}.log").open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
    except OSError as error:
        msg = f"cannot write logs to {folder}: {error.strerror or error}. Choose another folder with --logs."
        raise OutputError(msg) from error


def complain(source: str, error: Exception, *, debug: bool) -> None:
    """Say in one line what is wrong with one of several scenes."""
    click.echo(f"{source}: {line_of(error)}", err=True)
    if debug:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)


def told_of(outcome: Outcome) -> dict[str, Any]:
    """Give what became of a scene as plain values."""
    result = outcome.result
    told = {"scene": outcome.name, "source": outcome.source, "status": outcome.status}
    if outcome.error is not None:
        return {**told, "error": line_of(outcome.error)}
    if result is None:
        return {**told, **(paths_of(outcome.existing) if outcome.existing is not None else {})}
    return {
        **told,
        **paths_of(result.outputs),
        "percent": dict(result.percent),
        "valid_percent": result.outputs.valid_percent,
        "partly_valid": result.outputs.partly_valid,
        "model": {"id": result.model.id, "version": result.model.version, "verified": result.model.verified},
        "backend": result.backend,
        "device": result.device,
        "precision": result.precision,
        "seconds": round(result.seconds, 3),
        "warnings": list(result.warnings),
    }


def line_of(error: Exception) -> str:
    """Give an error in one line."""
    return describe(error) if isinstance(error, UndercastError) else describe_defect(error)


def paths_of(paths: OutputPaths) -> dict[str, str | None]:
    """Give the outputs' absolute paths or URLs; None where an output was not asked for."""
    addresses = paths.addresses()
    return {name: addresses.get(name) for name in PATHS}


def print_result(told: Mapping[str, Any]) -> None:
    """Put what became of a scene in words."""
    if told["status"] == "skipped":
        click.echo(f"{told['scene']}: skipped, its outputs exist ({told['class_map']})")
        return
    if "model" not in told:
        click.echo(f"{told['scene']}: done by a worker that was lost before it could tell more ({told['class_map']})")
        return
    model = told["model"]
    verified = "" if model["verified"] else ", NOT VERIFIED"
    runtime = f"{told['backend']}, {told['device']}, {told['precision']}"
    click.echo(f"{told['scene']}: {percentages(told['percent'])}")
    print_pairs(
        [
            ("  valid", f"{told['valid_percent']:.1f} %"),
            *((f"  {name.replace('_', ' ')}", told[name]) for name in PATHS if told[name] is not None),
            ("  model", f"{model['id']} {model['version']}{verified} ({runtime})"),
            ("  seconds", f"{told['seconds']:.1f}"),
        ]
    )
