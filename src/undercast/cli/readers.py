"""`undercast readers`: list the product formats that can be opened."""

from __future__ import annotations

import click

from undercast.cli.printing import print_json, print_table


@click.command("readers")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def command(as_json: bool) -> None:
    """List the product formats that can be opened, in the order in which they are asked."""
    from undercast.readers import readers

    rows = [{"format": name, "reads": ((reader.__doc__ or "").splitlines() or [""])[0]} for name, reader in readers()]
    if as_json:
        print_json(rows)
        return
    print_table(("format", "reads"), [(row["format"], row["reads"]) for row in rows])
