"""`undercast models test`: a package's example data go through every member and through all of them together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from undercast.cli.mask_options import runtime_options
from undercast.cli.printing import print_json, print_table

if TYPE_CHECKING:
    from undercast.trials import Outcome
    from undercast.types import Precision


@click.command(name="test")
@click.argument("package")
@runtime_options
@click.option("--allow-unverified", is_flag=True, help="Take a model without checksums.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def test_command(
    package: str,
    device: str,
    backend: str,
    precision: Precision | Literal["auto"],
    allow_unverified: bool,
    as_json: bool,
) -> None:
    """Run a package's example data through every member and the ensemble; exit status 1 if something is wrong.

    PACKAGE is a name of `undercast models list`, a package's folder, or its URL or hf:owner/name. Answers are compared
    with those recorded in the example data, where there are any. Computed with f32 unless --precision says otherwise.
    """
    from undercast.loading import load_model
    from undercast.trials import run_trial

    model = load_model(
        package,
        device=device,
        backend=backend,
        precision="f32" if precision == "auto" else precision,
        allow_unverified=allow_unverified,
    )
    trial = run_trial(model)
    runtime = {"backend": model.backend, "device": model.device, "precision": model.precision}
    if as_json:
        print_json({"model": model.spec.id, "version": model.spec.version, **runtime, **trial.to_dict()})
    else:
        rows = [("member", outcome) for outcome in trial.members] + [("all", outcome) for outcome in trial.together]
        print_table(
            ("", "name", "lowest", "mean", "highest", "seconds", "from recorded"),
            [(kind, outcome.name, *figures(outcome)) for kind, outcome in rows],
        )
        verdict = "passed" if trial.passed else f"FAILED: {'; '.join(trial.problems)}"
        click.echo(f"{model.spec.id} {model.spec.version} ({', '.join(runtime.values())}): {verdict}")
    if not trial.passed:
        raise click.exceptions.Exit(1)


def figures(outcome: Outcome) -> tuple[str, ...]:
    """Give an outcome's figures as texts."""
    seconds = "" if outcome.seconds is None else f"{outcome.seconds:.2f}"
    difference = "" if outcome.difference is None else f"{outcome.difference:.1e}"
    return (f"{outcome.lowest:.4f}", f"{outcome.mean:.4f}", f"{outcome.highest:.4f}", seconds, difference)
