"""`undercast gate`: does a report keep the rules?"""

from __future__ import annotations

from pathlib import Path

import click

from undercast.cli.judging import NO_VALUE, json_option
from undercast.cli.printing import print_json, print_table

NOT_PASSED = 1
"""Exit status where a rule is broken."""


@click.command(name="gate")
@click.argument("report", type=click.Path(path_type=Path))
@click.option("--rules", required=True, type=click.Path(path_type=Path), metavar="RULES", help="Rules (TOML).")
@json_option
@click.pass_context
def command(ctx: click.Context, report: Path, rules: Path, as_json: bool) -> None:
    """Hold a report against rules; exit status 0 or 1.

    REPORT is its .json or its folder, or the package of a scene classifier. The status is 0 where all rules are kept,
    else 1.
    """
    from undercast.evaluation.gate import gate, read_rules
    from undercast.evaluation.scene_record import read_judged

    table = read_rules(rules)
    verdicts = gate(read_judged(report), table, folder=rules.parent)
    passed = all(verdict.passed for verdict in verdicts)
    if as_json:
        print_json({"passed": passed, "rules": [verdict.to_dict() for verdict in verdicts]})
    else:
        print_table(
            ("rule", "found", "where", "verdict", "why"),
            [
                (
                    verdict.rule,
                    NO_VALUE if verdict.found is None else f"{verdict.found:.4f}",
                    verdict.where,
                    "passed" if verdict.passed else "FAILED",
                    verdict.reason,
                )
                for verdict in verdicts
            ],
        )
    if not passed:
        ctx.exit(NOT_PASSED)
