"""`undercast models card`: build a package's model card from its record, or hold one against it."""

from __future__ import annotations

from pathlib import Path

import click

from undercast.cli.printing import print_json, print_table
from undercast.destinations import check_new_file
from undercast.errors import UsageError

FAULTY = 1
"""Exit status where a card has faults."""


@click.command(name="card")
@click.argument("package")
@click.option("--template", type=click.Path(path_type=Path), help="Markdown with placeholders, such as <AP_MACRO>.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write; standard output unless given.")
@click.option("--overwrite", is_flag=True, help="With --output: replace a file that exists.")
@click.option(
    "--check", is_flag=True, help="Hold the package's own card against its record; exit status 1 if it fails."
)
@click.option("--card", type=click.Path(path_type=Path), help="With --check: this card instead of the package's own.")
@click.option("--json", "as_json", is_flag=True, help="With --check: print one JSON object.")
@click.pass_context
def card_command(
    ctx: click.Context,
    package: str,
    template: Path | None,
    output: Path | None,
    overwrite: bool,
    check: bool,
    card: Path | None,
    as_json: bool,
) -> None:
    """Build the model card of a package: every figure comes from its item and its evaluation record.

    PACKAGE is a cloud model's or a scene classifier's: its folder, its name in `undercast models list`, or a reference.
    """
    if check and (template is not None or output is not None):
        msg = "give --check, or --template and --output, not both."
        raise UsageError(msg)
    if not check and (card is not None or as_json):
        msg = "--card and --json go with --check."
        raise UsageError(msg)
    if output is not None:
        check_new_file(output, overwrite=overwrite)
    from undercast.models.fetch.pull import local_item

    item, _ = local_item(package)
    if check:
        ctx.exit(_check(item, card, as_json=as_json))
    from undercast.models.card.package import package_card
    from undercast.models.card.template import read_template

    text = package_card(item, None if template is None else read_template(template))
    if output is None:
        click.echo(text, nl=False)
        return
    from undercast.reports.files import write_text

    click.echo(str(write_text(text, output)))


def _check(item: Path, card: Path | None, *, as_json: bool) -> int:
    """Print the faults of a card, and give the exit status."""
    from undercast.models.card.package import CARD, card_faults

    path = card or item.parent / CARD
    faults = card_faults(item, card)
    if as_json:
        rows = [{"code": fault.code, "line": fault.line, "message": fault.message} for fault in faults]
        print_json({"card": str(path), "faults": rows})
    else:
        if faults:
            print_table(("line", "fault", "what"), [(str(one.line), one.code, one.message) for one in faults])
        click.echo(f"{path}: {len(faults)} faults")
    return FAULTY if faults else 0
