"""`undercast models lint` and `undercast models repair`: judge a model's STAC item, and write a valid one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from undercast.cli.printing import print_json, print_table
from undercast.models.lint.mlm_rules import VERSIONS

DEFECTIVE = 1
"""Exit status where an item has defects."""


@click.command(name="lint")
@click.argument("item", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def lint_command(ctx: click.Context, item: Path, as_json: bool) -> None:
    """List every defect of a model's STAC item, with the rule that it breaks; exit status 1 if there is one.

    Errors break a schema (STAC 1.1, MLM 1.5, file, eo, raster); warnings pass it and leave a reader to guess. ITEM is
    an item's file or a package's folder. Nothing is fetched, and no weights are opened.
    """
    from undercast.models.lint.defects import lint_file
    from undercast.models.package import item_path

    path = item_path(item)
    defects = lint_file(path)
    counts = Counter(defect.severity for defect in defects)
    if as_json:
        found = [defect.to_dict() for defect in defects]
        print_json({"item": str(path), "errors": counts["error"], "warnings": counts["warning"], "defects": found})
    else:
        if defects:
            rows = [(one.severity, one.code, one.where, one.message, one.rule) for one in defects]
            print_table(("severity", "defect", "where", "what", "rule"), rows)
        click.echo(f"{path}: {counts['error']} errors, {counts['warning']} warnings")
    ctx.exit(DEFECTIVE if defects else 0)


@click.command(name="repair")
@click.argument("item", type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Item to write; must not exist.")
@click.option(
    "--mlm", "version", type=click.Choice(VERSIONS), help="Version of MLM to declare; the item's if it is 1.5."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def repair_command(item: Path, output: Path, version: str | None, as_json: bool) -> None:
    """Write a valid item, and list what was changed and what was assumed.

    What was assumed is kept in the new item (`undercast:assumptions`) and reaches the outputs of its model. Sizes and
    checksums are taken of the files beside ITEM; the new item belongs beside the same files.
    """
    from undercast.models.documents import one_line
    from undercast.models.package import item_path
    from undercast.models.repair.repaired import repair_file

    repaired = repair_file(item_path(item), output, version=version)
    left = [defect.to_dict() for defect in repaired.left]
    if as_json:
        log = {"changes": repaired.log.changes, "assumptions": repaired.log.assumptions}
        print_json({"item": str(output), **log, "left": left})
        return
    rows = [("changed", one_line(line)) for line in repaired.log.changes]
    rows += [("assumed", one_line(line)) for line in repaired.log.assumptions]
    rows += [("left", f"{one['where']}: {one['message']}") for one in left]
    print_table(("", "what"), rows)
    click.echo(f"{output}: 0 errors, {len(left)} warnings")
