"""`undercast models optimize`: convert a package's members once for this processor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from undercast.cli.printing import print_json, print_table

if TYPE_CHECKING:
    from undercast.optimizing import MemberGain


@click.command(name="optimize")
@click.argument("package")
@click.option("--again", is_flag=True, help="Convert members that are in the cache already, too.")
@click.option("--allow-unverified", is_flag=True, help="Take a model without checksums.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def optimize_command(package: str, again: bool, allow_unverified: bool, as_json: bool) -> None:
    """Convert the members of a package that PyTorch runs (.pt2) to ONNX, which faster runtimes take.

    PACKAGE is a name of `undercast models list`, a package's folder, or its URL or hf:owner/name. The answers are
    compared with the original's, and the result is kept in the cache for this processor; every later run takes it from
    there.
    """
    from undercast.optimizing import optimize

    gains = optimize(
        package,
        again=again,
        allow_unverified=allow_unverified,
        progress=lambda name: click.echo(f"{name} ...", err=True),
    )
    if as_json:
        print_json({"members": [row(gain) for gain in gains]})
        return
    print_table(
        ("member", "what", "difference", "s per window before", "after", "runs with"),
        [(gain.name, state(gain), *figures(gain), gain.runtime) for gain in gains],
    )


def state(gain: MemberGain) -> str:
    """Say what became of a member."""
    if gain.path is None:
        return "runs as it is"
    return "converted" if gain.made else "in the cache"


def figures(gain: MemberGain) -> tuple[str, str, str]:
    """Give a member's figures as texts."""
    before, after = ("", "") if gain.seconds is None else (f"{gain.seconds[0]:.2f}", f"{gain.seconds[1]:.2f}")
    return ("" if gain.path is None else f"{gain.difference:.1e}", before, after)


def row(gain: MemberGain) -> dict[str, object]:
    """Give a member as plain values."""
    before, after = gain.seconds or (None, None)
    return {
        "name": gain.name,
        "status": state(gain),
        "path": None if gain.path is None else str(gain.path),
        "difference": None if gain.path is None else gain.difference,
        "seconds_before": before,
        "seconds_after": after,
        "runtime": gain.runtime,
    }
