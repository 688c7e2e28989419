"""`undercast models pull`: fetch a model package to the cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from undercast.cli.printing import print_json, print_pairs, progress_bar, yes_no

if TYPE_CHECKING:
    from undercast.models.fetch.pull import PullOptions
    from undercast.prediction import ModelIdentity


@click.command(name="pull")
@click.argument("reference", metavar="REF")
@click.option("--update", is_flag=True, help="Take the package even if it changed since it was first fetched.")
@click.option("--allow-unverified", is_flag=True, help="Take weights without a checksum; outputs will say so.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def pull_command(reference: str, update: bool, allow_unverified: bool, as_json: bool) -> None:
    """Fetch a model package to the cache, and pin it.

    REF is https://.../item.json, s3://bucket/key/item.json or hf:owner/name[/path/item.json][@revision]. Afterwards
    `--model REF` works without the network. A package that is there is compared with its source and fetched again
    only where files differ from what was fetched.
    """
    from undercast.models.fetch.pull import PullOptions, pull

    with progress_bar("fetching") as bar:
        told = _told(bar)
        options = PullOptions(update=update, allow_unverified=allow_unverified, progress=told)
        pulled = pull(reference, options)
        identity = _identity(pulled.item, PullOptions(allow_unverified=allow_unverified))
    details = {
        "reference": reference,
        "url": pulled.url,
        "item": str(pulled.item),
        "id": identity.id,
        "version": identity.version,
        "members": len(identity.checksums),
        "verified": identity.verified,
        "fetched": list(pulled.fetched),
        "left": list(pulled.left),
        "assumptions": list(identity.assumptions),
    }
    if as_json:
        print_json(details)
        return
    print_pairs(
        [
            ("model", f"{identity.id} {identity.version}, members: {len(identity.checksums)}"),
            ("from", pulled.url),
            ("item", str(pulled.item)),
            ("fetched", ", ".join(pulled.fetched) or "nothing: it was there, unchanged"),
            *([("left out", ", ".join(pulled.left))] if pulled.left else []),
            ("checksums", yes_no(identity.verified)),
            *(("assumed", text) for text in identity.assumptions),
        ]
    )


def _identity(item: Path, options: PullOptions) -> ModelIdentity:
    """Read which model was fetched: a cloud model, or a scene classifier."""
    from undercast.models.fetch.pull import open_package
    from undercast.models.package import is_classifier

    if not is_classifier(item):
        return open_package(item, options).identity
    from undercast.classification.package import read_classifier

    return read_classifier(item).identity


def _told(bar: Callable[[int, int], None] | None) -> Callable[[str, int, int], None] | None:
    """Draw the bytes of the file that is fetched."""
    return None if bar is None else lambda _, there, size: bar(there, max(size, there))
