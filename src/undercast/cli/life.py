"""`undercast life`: where a model is in its life, and the steps that it takes."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from undercast.cli.judging import NO_VALUE, json_option, protocol_option, scheme_option
from undercast.cli.opening import open_options, opening_options
from undercast.cli.printing import print_json, print_pairs, print_table, progress_bar
from undercast.destinations import check_new_file
from undercast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from undercast.lifecycle.ledger import Entry, Ledger
    from undercast.lifecycle.states import Life
    from undercast.lifecycle.transitions import Step

NOT_PASSED = 1
"""Exit status where a gate is not passed."""
LONGEST_NAME = 200
"""Characters of a person's name."""

ledger_option = click.option(
    "--ledger",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Ledger of the model's life (JSON lines).",
)
by_option = click.option("--by", metavar="NAME", help="Who does it [the name of your account].")
gate_option = click.option("--gate", type=click.Path(path_type=Path), metavar="GATE", help="Rules (TOML).")


@click.group(name="life")
def command() -> None:
    """Promote, monitor and retrain a model, with a ledger that shows every change.

    A model goes from DEVELOPMENT through COMMISSIONING and PRODUCTION to MONITORING, and back through a retraining.
    """


@command.command(name="begin")
@click.argument("model")
@ledger_option
@by_option
@json_option
def begin_command(model: str, ledger: Path, by: str | None, as_json: bool) -> None:
    """Begin the life of MODEL in DEVELOPMENT: write a new ledger."""
    from undercast.lifecycle.transitions import begin

    print_step(begin(ledger, model, by=person(by)), as_json=as_json)


@command.command(name="status")
@ledger_option
@click.option("--head", metavar="SHA256", help="Hash of an entry, kept elsewhere, that the ledger must still have.")
@json_option
def status_command(ledger: Path, head: str | None, as_json: bool) -> None:
    """Say where a model is and what its next step needs."""
    from undercast.lifecycle.ledger import check_head, read_ledger
    from undercast.lifecycle.states import life_of

    found = read_ledger(ledger)
    if head is not None:
        check_head(found, head)
    print_status(found, life_of(found), as_json=as_json)


@command.command(name="promote")
@click.argument("model")
@ledger_option
@click.option("--report", type=click.Path(path_type=Path), metavar="REPORT", help="Report of MODEL, or its folder.")
@gate_option
@click.option(
    "--scenes",
    multiple=True,
    metavar="SCENES",
    help="For MONITORING: files or folders that drift is measured against; may be repeated.",
)
@opening_options
@by_option
@json_option
@click.pass_context
def promote_command(
    ctx: click.Context,
    /,
    model: str,
    ledger: Path,
    report: Path | None,
    gate: Path | None,
    scenes: tuple[str, ...],
    by: str | None,
    as_json: bool,
    **opening: Any,
) -> None:
    """Take MODEL to its next state where its report keeps the rules of the gate; exit status 0 or 1."""
    from undercast.lifecycle.new_scenes import find_scenes
    from undercast.lifecycle.transitions import Evidence, promote

    found = find_scenes(scenes, open_options(**opening))
    evidence = Evidence(report=report, gate=gate, scenes=found)
    with progress_bar("looking at scenes") as progress:
        step = promote(ledger, model, evidence, by=person(by), progress=progress)
    print_step(step, as_json=as_json)
    if not step.passed:
        ctx.exit(NOT_PASSED)


@command.command(name="monitor")
@click.argument("model")
@click.argument("scenes", nargs=-1)
@ledger_option
@gate_option
@click.option("--data", metavar="DATA", help="References, as for `undercast evaluate`, where there are any.")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="OUT",
    help="Folder for monitoring.json and, with references, report.json and report.html.",
)
@protocol_option
@scheme_option
@opening_options
@by_option
@json_option
@click.pass_context
def monitor_command(
    ctx: click.Context,
    /,
    model: str,
    scenes: tuple[str, ...],
    ledger: Path,
    gate: Path | None,
    data: str | None,
    output: Path,
    protocol: str,
    scheme: str,
    by: str | None,
    as_json: bool,
    **opening: Any,
) -> None:
    """Measure drift and accuracy of MODEL on new SCENES; a failed gate opens a retraining; exit status 0 or 1.

    SCENES are files or folders; those of the references where there are none. Rules of the gate bound figures of the
    report and of drift: band_psi, band_distance, cloud_fraction_change, uncertainty_change.
    """
    from undercast.evaluation.protocols import load_protocol
    from undercast.evaluation.sources import read_references
    from undercast.lifecycle.monitoring import Watch, monitor
    from undercast.lifecycle.new_scenes import find_scenes

    if gate is None:
        raise UsageError("expected --gate GATE with rules on drift, accuracy or both, got none.")
    watch = Watch(
        gate=gate,
        output=output,
        scenes=find_scenes(scenes, open_options(**opening)),
        references=None if data is None else read_references(data, scheme=scheme),
        protocol=load_protocol(protocol),
    )
    with progress_bar("looking at scenes") as progress:
        step = monitor(ledger, model, watch, by=person(by), progress=progress)
    print_step(step, as_json=as_json)
    if not step.passed:
        ctx.exit(NOT_PASSED)


@command.command(name="retrain")
@click.argument("package", type=click.Path(path_type=Path))
@ledger_option
@click.option("--recipe", type=click.Path(path_type=Path), help="Train PACKAGE first, by this recipe (TOML).")
@click.option("--data", type=click.Path(path_type=Path), help="Chips for the recipe, with their manifest.json.")
@click.option("--reason", metavar="TEXT", help="Why, where no gate has failed.")
@by_option
@json_option
def retrain_command(
    package: Path,
    ledger: Path,
    recipe: Path | None,
    data: Path | None,
    reason: str | None,
    by: str | None,
    as_json: bool,
) -> None:
    """Write down the next version of a model, PACKAGE, which is then in DEVELOPMENT."""
    from undercast.lifecycle.retraining import Training, retrain

    if (recipe is None) != (data is None):
        raise UsageError("expected --recipe and --data together or neither, got one of them.")
    training = None if recipe is None or data is None else Training(recipe=recipe, data=data)
    step = retrain(ledger, package, by=person(by), reason=reason, training=training)
    print_step(step, as_json=as_json)


@command.command(name="page")
@ledger_option
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), metavar="HTML", help="Page to write.")
@click.option("--overwrite", is_flag=True, help="Replace a page that exists.")
def page_command(ledger: Path, output: Path, overwrite: bool) -> None:
    """Write a model's life as one HTML page, with its timeline."""
    from undercast.lifecycle.ledger import read_ledger
    from undercast.lifecycle.states import life_of, missing
    from undercast.reports.life_page import write_life_page

    if output.resolve() == ledger.resolve():
        msg = f"expected another file for the page than the ledger {ledger}, which it would replace."
        raise UsageError(msg)
    check_new_file(output, overwrite=overwrite)
    found = read_ledger(ledger)
    needs = missing(life_of(found), str(ledger))
    click.echo(write_life_page([entry.to_dict() for entry in found.entries], output, needs=needs))


def person(name: str | None) -> str:
    """Give who does something: the name that was given, or that of the account.

    Raises:
        UsageError: If there is none, or it is no name.
    """
    if name is None:
        try:
            name = getpass.getuser()
        except (OSError, KeyError, ImportError) as error:
            raise UsageError("expected a name of who does this, got an account without one. Give --by NAME") from error
    if not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        msg = f"--by: expected a name of at most {LONGEST_NAME} printable characters, got {name[:40]!r}."
        raise UsageError(msg)
    return name.strip()


def print_step(step: Step, *, as_json: bool) -> None:
    """Print the entry of a step with the verdicts of its gate, and where the model is now."""
    judged = next((one for one in reversed(step.ledger.entries) if one.event != "opened"), step.life.last)
    if not as_json and "gate" in judged.facts:
        print_verdicts(judged)
        click.echo()
    print_status(step.ledger, step.life, as_json=as_json)


def print_verdicts(entry: Entry) -> None:
    """Print what became of each rule."""
    rules: Sequence[Mapping[str, Any]] = entry.facts["gate"]["rules"]
    print_table(
        ("rule", "found", "where", "verdict", "why"),
        [
            (
                rule["rule"],
                NO_VALUE if rule["found"] is None else f"{rule['found']:.4f}",
                rule["where"],
                "passed" if rule["passed"] else "FAILED",
                rule["reason"],
            )
            for rule in rules
        ],
    )


def print_status(ledger: Ledger, life: Life, *, as_json: bool) -> None:
    """Print where a model is and what its next step needs."""
    from undercast.lifecycle.states import missing

    needs = missing(life, str(ledger.path))
    model = life.model
    if as_json:
        print_json(
            {
                "model": {"id": model["id"], "version": model["version"], "weights": dict(model["weights"])},
                "state": life.state,
                "next": life.next_state,
                "retraining_open": life.opened,
                "samples": [dict(sample) for sample in life.samples],
                "needs": list(needs),
                "last": {"entry": life.last.number, "event": life.last.event, "at": life.last.at, "by": life.last.by},
                "head": ledger.head,
            }
        )
        return
    opened = ", a retraining is open" if life.opened else ""
    print_pairs(
        [
            ("model", f"{model['id']} {model['version']}"),
            ("state", f"{life.state}{opened}"),
            ("last", f"entry {life.last.number}: {life.last.event}, {life.last.at}, {life.last.by}"),
            ("head", ledger.head),
            *((f"{'needs' if number == 0 else ''}", line) for number, line in enumerate(needs)),
        ]
    )
