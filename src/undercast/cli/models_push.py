"""`undercast models push`: send a model package to a Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

import click

from undercast.cli.printing import print_json, print_table


@click.command(name="push")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("reference", metavar="hf:OWNER/NAME")
@click.option("--dry-run", is_flag=True, help="Verify the package and show what would go; send nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def push_command(folder: Path, reference: str, dry_run: bool, as_json: bool) -> None:
    """Send a model package to a Hugging Face hub, in one commit.

    The item goes, and the files that it names, each compared with its checksum; nothing else in FOLDER does. A folder
    in the repository and a branch can be named: hf:owner/name/folder@branch.
    """
    from undercast.models.publish.push import plan_push, push

    plan = plan_push(folder, reference)
    commit = None if dry_run else push(plan)
    rows = list(zip(plan.files, plan.sizes, strict=True))
    if as_json:
        files = [{"name": name, "size": size} for name, size in rows]
        target = {"endpoint": plan.endpoint, "repo": plan.repo, "path": plan.path, "revision": plan.revision}
        print_json({**target, "model": plan.title, "files": files, "commit": commit})
        return
    print_table(("file", "bytes"), [(name, str(size)) for name, size in rows])
    place = f"{plan.endpoint}/{plan.repo} ({plan.revision})"
    click.echo(f"{plan.title}: {sum(plan.sizes)} bytes {'would go' if dry_run else 'went'} to {place}")
    if commit is not None:
        click.echo(commit)
